//! Known browsers: a sealed cookie names a user and a browser that has signed in as that user, and with which password.
//!
//! It is used to count failed logins of known browsers separately, so that failures of others cannot lock the owner out. It signs nobody in,
//! except in `hailgate demo` (`rest/demo.rs`).

use std::{sync::Arc, time::Duration};

use actix_web::{HttpRequest, cookie::Cookie};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use uuid::Uuid;

use super::{Cookies, KeyRing, session::secret_hash};
use crate::domain::{Account, Time, UserId};

/// The cookie's name, without a prefix.
const NAME: &str = "hailgate-browser";
/// What the ring seals it for.
const PURPOSE: &str = "known browser";
/// Time for which a browser is known after a login.
const LIFE: Duration = Duration::from_secs(180 * 24 * 60 * 60);

/// Issues and reads the cookies of known browsers.
pub struct KnownBrowsers {
    ring: Arc<KeyRing>,
    cookies: Cookies,
}

/// Content of a valid, unexpired cookie. The account decides whether it still applies.
pub struct KnownBrowserClaim {
    browser: Uuid,
    user: String,
    password: String,
}

impl KnownBrowserClaim {
    /// Which browser this is, if it signed in to this account with the password that holds now.
    pub fn judge(&self, account: &Account) -> Option<Uuid> {
        let holds =
            account.user_id.as_str() == self.user && password_mark(account.password_hash.as_deref()) == self.password;
        holds.then_some(self.browser)
    }
}

/// Distinguishes one password hash from another; useful only with the key of the cookie.
fn password_mark(hash: Option<&str>) -> String {
    URL_SAFE_NO_PAD.encode(&secret_hash(hash.unwrap_or_default())[..16])
}

impl KnownBrowsers {
    /// With the keys that seal the cookie.
    pub fn new(ring: Arc<KeyRing>, cookies: Cookies) -> KnownBrowsers {
        KnownBrowsers { ring, cookies }
    }

    /// What the browser's cookie says, if it signed in as this user before.
    pub fn claim(&self, request: &HttpRequest, user: &str, now: Time) -> Option<KnownBrowserClaim> {
        let cookie = request.cookie(&self.cookies.name(NAME))?;
        self.read(cookie.value(), user, now)
    }

    fn read(&self, sealed: &str, user: &str, now: Time) -> Option<KnownBrowserClaim> {
        let text = self.ring.open(PURPOSE, sealed)?;
        let mut parts = text.splitn(4, ' ');
        let (at, browser, password, named) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let at = Time::from_seconds(at.parse().ok()?);
        let young = at <= now && now.since(at) < LIFE;
        let browser = Uuid::try_parse(browser).ok()?;
        (young && named == user).then(|| KnownBrowserClaim {
            browser,
            user: named.to_owned(),
            password: password.to_owned(),
        })
    }

    /// The cookie by which a browser that signs in to this account now is known later. It stays the same browser, also
    /// when the password is another since.
    pub fn remember(&self, request: &HttpRequest, user: &UserId, password_hash: Option<&str>, now: Time) -> Cookie<'static> {
        let browser = self.claim(request, user.as_str(), now).map_or_else(Uuid::new_v4, |claim| claim.browser);
        let text = format!("{} {browser} {} {user}", now.seconds(), password_mark(password_hash));
        self.cookies.make(NAME, self.ring.seal(PURPOSE, &text), LIFE)
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_browser_is_known_for_its_user_and_password_until_its_time_is_over_and_stays_the_same() {
        let ring = Arc::new(KeyRing::new(&[[1; 64]]).expect("a ring"));
        let browsers = KnownBrowsers::new(Arc::clone(&ring), Cookies { secure: true });
        let (alice, now) = (UserId::parse("alice").expect("a user id"), Time(1_700_000_000_000));
        let account = |hash: Option<&str>| Account {
            user_id: alice.clone(),
            name: String::new(),
            email: None,
            tier: String::new(),
            permissions: Vec::new(),
            disabled: false,
            password_hash: hash.map(str::to_owned),
            login_epoch: 0,
        };
        let nobody = TestRequest::default().to_http_request();
        let cookie = browsers.remember(&nobody, &alice, Some("one"), now);
        assert_eq!(cookie.name(), "__Host-hailgate-browser");
        let asks = |cookie: &Cookie<'static>| TestRequest::default().cookie(cookie.clone()).to_http_request();
        let known = |cookie: &Cookie<'static>, now: Time, hash: Option<&str>| {
            browsers.claim(&asks(cookie), "alice", now).and_then(|claim| claim.judge(&account(hash)))
        };
        let first = known(&cookie, now, Some("one")).expect("known");
        for other in [Some("two"), Some(""), None] {
            assert_eq!(known(&cookie, now, other), None, "another password");
        }
        let bob = Account { user_id: UserId::parse("bob").expect("a user id"), ..account(Some("one")) };
        assert!(browsers.claim(&asks(&cookie), "bob", now).is_none());
        assert_eq!(browsers.claim(&asks(&cookie), "alice", now).expect("alice's").judge(&bob), None);
        assert!(browsers.claim(&nobody, "alice", now).is_none());
        assert_eq!(known(&cookie, now.plus(LIFE), Some("one")), None);
        assert_eq!(known(&cookie, Time(now.0 - 60_000), Some("one")), None, "from a future");
        let again = browsers.remember(&asks(&cookie), &alice, Some("two"), now.plus(LIFE / 2));
        assert_eq!(known(&again, now.plus(LIFE), Some("two")), Some(first));
        assert_ne!(known(&browsers.remember(&nobody, &alice, Some("one"), now), now, Some("one")), Some(first));
        let session = Cookie::new(cookie.name().to_owned(), ring.seal("session", "1700000000 x y alice"));
        assert!(browsers.claim(&asks(&session), "alice", now).is_none());
    }
}
