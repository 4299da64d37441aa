//! `/api/auth/demo`: signing in again in `hailgate demo`, whose accounts have no password. Every other server answers 404.

use actix_web::{HttpRequest, HttpResponse, http::header::ORIGIN, web};

use super::{RestServices, auth, oidc::NOT_SET_UP};
use crate::{
    auth::OriginAllowed,
    domain::{Account, Time, UserId},
    error::{Code, Error},
    node::Node,
};

/// `POST /api/auth/demo/{user_id}`: signs a browser in that has opened one of the printed links before.
///
/// # Errors
/// `not_found` outside a demo; `foreign_origin` unless a page of this server asks; `bad_login` for any other browser or
/// account.
pub async fn sign_in(
    request: HttpRequest,
    _: OriginAllowed,
    path: web::Path<String>,
    site: web::Data<RestServices>,
    node: web::Data<Node>,
) -> Result<HttpResponse, Error> {
    if site.demo.is_empty() {
        return Err(Error::new(Code::NotFound, NOT_SET_UP));
    }
    // A browser names its page in every POST. What names none is no browser, and has credentials of its own.
    if !request.headers().contains_key(ORIGIN) {
        return Err(Error::new(Code::ForeignOrigin, "Only a page of this server may ask for this."));
    }
    let now = node.clock.now();
    let account = accounts(&request, &site, now).await?.into_iter().find(|account| account.user_id.as_str() == *path);
    let refused = || Error::new(Code::BadLogin, "Open a sign-in link of this demo first. Start it again for new ones.");
    auth::sign_in(&request, &site, &account.ok_or_else(refused)?, now)
}

/// The accounts that this browser may sign in to: all of the demo's without a password if it has signed in to one of the demo's before,
/// else none.
///
/// # Errors
/// If the store cannot be read.
pub async fn accounts(request: &HttpRequest, site: &RestServices, now: Time) -> Result<Vec<Account>, Error> {
    let (mut accounts, mut known) = (Vec::new(), false);
    for user in &site.demo {
        let Some(account) = site.logins.account(user.clone()).await?.filter(|account| !account.disabled) else { continue };
        known |= site.browsers.claim(request, user.as_str(), now).is_some_and(|claim| claim.judge(&account).is_some());
        // Who has set a password wants to be asked for it.
        if account.password_hash.is_none() {
            accounts.push(account);
        }
    }
    Ok(if known { accounts } else { Vec::new() })
}

/// The accounts of a demo, if it is one that only this machine can reach.
pub fn of_this_machine(users: &[UserId], development: bool, address: std::net::SocketAddr) -> Vec<UserId> {
    if development && address.ip().is_loopback() { users.to_vec() } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_demo_that_others_can_reach_has_no_accounts_without_a_password() {
        let users = [UserId::parse("alice").expect("a user id")];
        let open = |address: &str, development| {
            !of_this_machine(&users, development, address.parse().expect("an address")).is_empty()
        };
        assert!(open("127.0.0.1:8080", true) && open("[::1]:8080", true));
        assert!(!open("127.0.0.1:8080", false));
        for address in ["0.0.0.0:8080", "[::]:8080", "192.0.2.1:8080"] {
            assert!(!open(address, true), "{address}");
        }
    }
}
