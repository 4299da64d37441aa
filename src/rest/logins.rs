//! `/api/auth/sessions` and `/api/auth/password`: what users may do about their own logins.

use actix_session::SessionExt;
use actix_web::{HttpRequest, HttpResponse, web};

use super::{Body, RestServices, close_ended, no_content, ok, unexpected_outcome};
use crate::{
    auth::{
        AuthContext, Method, Rates, password,
        session::{AGENT_KEY, LOGIN_TIME_KEY, move_login},
    },
    domain::{LoginAct, LoginDone, SessionId, Time, logins::Login},
    error::{Code, Error},
    node::Node,
    wire::{
        rest::{LoginShape, LoginsAnswer, PasswordBody},
        shape,
    },
};

/// `GET /api/auth/sessions`: where I am signed in, latest use first.
///
/// # Errors
/// An outage.
pub async fn list(who: AuthContext, site: web::Data<RestServices>, node: web::Data<Node>) -> Result<HttpResponse, Error> {
    let logins = site.logins.logins(who.user_id().clone(), node.clock.now()).await?;
    let sessions = logins.iter().map(|login| shape(login, who.session_id())).collect();
    Ok(ok(&LoginsAnswer { sessions }))
}

fn shape(login: &Login, current: Option<SessionId>) -> LoginShape {
    let state = |wanted: &str| login.state.iter().find(|(key, _)| key == wanted).map(|(_, value)| value.as_str());
    let began = state(LOGIN_TIME_KEY).and_then(|seconds| seconds.parse().ok()).map_or(login.seen_at, Time::from_seconds);
    LoginShape {
        session_id: login.session_id.to_string(),
        created_at: shape::time(began),
        last_seen_at: shape::time(login.seen_at),
        expires_at: shape::time(login.expires_at),
        user_agent: state(AGENT_KEY).and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default(),
        current: current == Some(login.session_id),
    }
}

/// `DELETE /api/auth/sessions/{id}`: ends one of my logins, with its tokens and connections.
///
/// # Errors
/// `not_found` for a login that is over or somebody else's.
pub async fn end(
    who: AuthContext,
    path: web::Path<String>,
    site: web::Data<RestServices>,
    node: web::Data<Node>,
) -> Result<HttpResponse, Error> {
    let unknown = || Error::new(Code::NotFound, "You have no such sign-in; it may have ended already.");
    let session = SessionId::parse(&path).map_err(|_| unknown())?;
    let act = LoginAct::EndLogin { user: who.user_id().clone(), session, at: node.clock.now() };
    match site.logins.act(act).await? {
        LoginDone::Ended { sessions: 0 } => Err(unknown()),
        LoginDone::Ended { .. } => close_ended(&node).await.map(|_| no_content()),
        _ => Err(unexpected_outcome()),
    }
}

/// `POST /api/auth/password`: another password; every other login of mine ends, and this one goes on under another key.
///
/// # Errors
/// `forbidden` for a token, and for an account without a password; `bad_login` for a wrong one; `invalid` for a new one
/// that is too short or too common; `rate_limited` after too many wrong ones.
pub async fn password(
    request: HttpRequest,
    who: AuthContext,
    body: Body<PasswordBody>,
    site: web::Data<RestServices>,
    node: web::Data<Node>,
) -> Result<HttpResponse, Error> {
    let PasswordBody { current_password, new_password } = body.0;
    if who.method() != Method::Session {
        return Err(Error::new(Code::Forbidden, "Sign in with your password to change it; a token cannot."));
    }
    password::check_new("new_password", &new_password)?;
    let account = site.logins.account(who.user_id().clone()).await?;
    let claim = site.browsers.claim(&request, who.user_id().as_str(), node.clock.now());
    let browser = account.as_ref().zip(claim).and_then(|(account, claim)| claim.judge(account));
    let Some(old) = account.and_then(|account| account.password_hash) else {
        return Err(Error::new(Code::Forbidden, "This account has no password here. Change it where you sign in."));
    };
    // Whoever holds a login may not guess its password faster than anybody else.
    let attempt = Rates::of(&request)?.login(&request, who.user_id().as_str(), browser)?;
    let requester = attempt.requester();
    match site.passwords.verify(requester, Some(old), current_password).await {
        Ok(false) => return Err(Error::new(Code::BadLogin, "The current password is wrong. Nothing was changed.")),
        Ok(true) => attempt.forgive(),
        Err(busy) => {
            attempt.forgive();
            return Err(busy);
        }
    }
    let (user, hash) = (who.user_id().clone(), site.passwords.hash(requester, new_password).await?);
    let at = node.clock.now();
    // The browser is known by its password: it gets another cookie with another password.
    let browser = site.browsers.remember(&request, &user, Some(&hash), at);
    let act = LoginAct::SetPassword { user, hash, keep: who.session_id(), at };
    match site.logins.act(act).await? {
        LoginDone::PasswordSet { login_epoch } => {
            // Under another key: who copied the cookie before has nothing of it any more.
            move_login(&request.get_session(), login_epoch).map_err(|_| unexpected_outcome())?;
            close_ended(&node).await?;
            let mut response = no_content();
            response.add_cookie(&browser).map_err(|_| Error::from(Code::Internal))?;
            Ok(response)
        }
        LoginDone::NoSuchUser => Err(Error::new(Code::SignedOut, "This sign-in has ended meanwhile. Nothing was changed.")),
        _ => Err(unexpected_outcome()),
    }
}
