//! `/api/auth`: sign in with a password or a one-time link, sign out, who am I.

use actix_identity::Identity;
use actix_session::{Session, SessionExt};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, cookie::Cookie, http::header, web};
use uuid::Uuid;

use super::{Body, RestServices, close_ended, no_content, ok, unexpected_outcome};
use crate::{
    auth::{
        AuthContext, HashRequester, Method, OriginAllowed, Rates,
        session::{AGENT_CHARS_MAX, AGENT_KEY, EPOCH_KEY, LOGIN_TIME_KEY, SESSION_ID_KEY, secret_hash},
    },
    domain::{Account, LoginAct, LoginDone, RequestId, SessionId, Time, UserId, logins::SESSION_MAX},
    error::{Code, Error},
    node::Node,
    wire::{
        rest::{LinkBody, LoginBody, MeAnswer},
        shape,
    },
};

/// `POST /api/auth/login`.
///
/// # Errors
/// `bad_login`, with the same words and in the same time whether the name exists or not; `rate_limited` after too many
/// of them, before anything is hashed.
pub async fn login(
    request: HttpRequest,
    _: OriginAllowed,
    body: Body<LoginBody>,
    site: web::Data<RestServices>,
    node: web::Data<Node>,
) -> Result<HttpResponse, Error> {
    let LoginBody { username, password } = body.0;
    let now = node.clock.now();
    let browser = known_browser(&request, &site, &username, now).await?;
    let attempt = Rates::of(&request)?.login(&request, &username, browser)?;
    match proven(&site, attempt.requester(), &username, password).await {
        Ok(Some(account)) => {
            attempt.forgive();
            sign_in(&request, &site, &account, now)
        }
        Ok(None) => Err(Error::new(Code::BadLogin, "Name or password is wrong.")),
        // Nobody looked at the password: nothing was guessed.
        Err(outage) => {
            attempt.forgive();
            Err(outage)
        }
    }
}

/// Which browser this is, if it signed in as this user before. For everybody else nothing is looked up: whether a name
/// exists shows to nobody who does not know it already.
async fn known_browser(
    request: &HttpRequest,
    site: &RestServices,
    username: &str,
    now: Time,
) -> Result<Option<Uuid>, Error> {
    let Some(claim) = site.browsers.claim(request, username, now) else { return Ok(None) };
    let Ok(user) = UserId::parse(username) else { return Ok(None) };
    Ok(site.logins.account(user).await?.and_then(|account| claim.judge(&account)))
}

/// The account that a name and a password open.
async fn proven(
    site: &RestServices,
    requester: HashRequester,
    username: &str,
    password: String,
) -> Result<Option<Account>, Error> {
    let account = match UserId::parse(username) {
        Ok(user) => site.logins.account(user).await?,
        Err(_) => None,
    };
    let hash = account.as_ref().and_then(|account| account.password_hash.clone());
    let right = site.passwords.verify(requester, hash, password).await?;
    Ok(account.filter(|account| right && !account.disabled))
}

/// `POST /api/auth/link`.
///
/// # Errors
/// `not_found` outside development, `bad_login` for a code that is used, over its time or never was.
pub async fn link(
    request: HttpRequest,
    _: OriginAllowed,
    body: Body<LinkBody>,
    site: web::Data<RestServices>,
    node: web::Data<Node>,
) -> Result<HttpResponse, Error> {
    if !site.links {
        return Err(Error::new(Code::NotFound, "Sign-in links exist in development only."));
    }
    let now = node.clock.now();
    let taken = site.logins.act(LoginAct::TakeLink { code: secret_hash(&body.0.code), at: now }).await?;
    let LoginDone::Link(user) = taken else { return Err(unexpected_outcome()) };
    let spent =
        || Error::new(Code::BadLogin, "This sign-in link has been used or has expired. Start the demo again for a new one.");
    let account = site.logins.account(user.ok_or_else(spent)?).await?.filter(|account| !account.disabled);
    sign_in(&request, &site, &account.ok_or_else(spent)?, now)
}

/// Signs somebody in, and says as whom.
pub(super) fn sign_in(
    request: &HttpRequest,
    site: &RestServices,
    account: &Account,
    now: Time,
) -> Result<HttpResponse, Error> {
    let Renewed { session_id, login, browser } = renew(request, site, account, now)?;
    let extensions = request.extensions();
    let request_id = extensions.get::<RequestId>().map_or("", |id| &id.0);
    let mut response = ok(&MeAnswer {
        user_id: account.user_id.as_str(),
        name: &account.name,
        email: account.email.as_deref(),
        session_id: Some(session_id.to_string()),
        auth_method: Method::Session.name(),
        customer_tier: &account.tier,
        permissions: account.permissions.iter().map(|p| p.name()).collect(),
        expires_at: shape::time(login.plus(SESSION_MAX)),
        request_id,
    });
    response.add_cookie(&browser).map_err(|_| Error::from(Code::Internal))?;
    Ok(response)
}

/// A session that somebody has just signed in to.
pub(super) struct Renewed {
    session_id: SessionId,
    /// When it began.
    login: Time,
    /// The cookie by which the browser is known from now on.
    pub browser: Cookie<'static>,
}

/// Renews the session under a new key and names its user, however that was proven; the browser is known from now on.
///
pub(super) fn renew(request: &HttpRequest, site: &RestServices, account: &Account, now: Time) -> Result<Renewed, Error> {
    let session: Session = request.get_session();
    let session_id = SessionId::new();
    // Whatever the browser had before belongs to whoever had it before.
    session.clear();
    let agent = request.headers().get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let agent: String = agent.chars().take(AGENT_CHARS_MAX).collect();
    for (key, value) in [(SESSION_ID_KEY, session_id.to_string()), (AGENT_KEY, agent)] {
        session.insert(key, value).map_err(|_| Error::from(Code::Internal))?;
    }
    session.insert(EPOCH_KEY, account.login_epoch).map_err(|_| Error::from(Code::Internal))?;
    Identity::login(&request.extensions(), account.user_id.to_string()).map_err(|_| Error::from(Code::Internal))?;
    let login = session.get::<i64>(LOGIN_TIME_KEY).ok().flatten().map_or(now, Time::from_seconds);
    let browser = site.browsers.remember(request, &account.user_id, account.password_hash.as_deref(), now);
    Ok(Renewed { session_id, login, browser })
}

/// `POST /api/auth/logout`: ends this login, or the one that the token comes from, and closes its connections.
///
/// # Errors
/// `unauthenticated`; `busy` if the hub could not be told.
pub async fn logout(
    request: HttpRequest,
    who: AuthContext,
    identity: Option<Identity>,
    site: web::Data<RestServices>,
    node: web::Data<Node>,
) -> Result<HttpResponse, Error> {
    if let Some(session) = who.session_id() {
        let user = who.user_id().clone();
        site.logins.act(LoginAct::EndLogin { user, session, at: node.clock.now() }).await?;
        close_ended(&node).await?;
    }
    // Beside a token the cookie adds nothing: it is not signed out by one either.
    if who.method() == Method::Session
        && let Some(identity) = identity
    {
        identity.logout();
        request.get_session().purge();
    }
    Ok(no_content())
}

/// `GET /api/auth/me`.
pub async fn me(who: AuthContext) -> HttpResponse {
    ok(&MeAnswer {
        user_id: who.user_id().as_str(),
        name: who.name(),
        email: who.email(),
        session_id: who.session_id().map(|id| id.to_string()),
        auth_method: who.method().name(),
        customer_tier: who.tier(),
        permissions: who.permissions().iter().map(|p| p.name()).collect(),
        expires_at: shape::time(who.expires_at()),
        request_id: &who.request_id().0,
    })
}
