//! The auth-context layer: the innermost of the three. It decides who acts, once, for every request.

use std::{
    future::{Future, Ready, ready},
    pin::Pin,
    rc::Rc,
    sync::Arc,
};

use actix_identity::IdentityExt;
use actix_identity::error::GetIdentityError;
use actix_session::SessionExt;
use actix_web::{
    HttpMessage,
    dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready},
    http::header::AUTHORIZATION,
};

use super::{AuthContext, Method, Origins, Tokens, Verdict, session, token::Claims, witness};
use crate::{
    domain::{Account, Clock, Logins, RequestId, SessionId, Time, UserId, logins::SESSION_MAX},
    error::{Code, Error},
};

/// Which credentials a path takes beside cookie and bearer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ways {
    /// `?token=`.
    pub query_token: bool,
}

/// Everything the decision needs.
pub struct Judge {
    /// Accounts and sessions.
    pub logins: Arc<dyn Logins>,
    /// The own issuer's tokens.
    pub tokens: Arc<Tokens>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Whether a verified token creates its user.
    pub create_users: bool,
    /// Allowed origins.
    pub origins: Origins,
    /// What each path takes.
    pub ways: fn(&str) -> Ways,
}

/// The layer.
#[derive(Clone)]
pub struct AuthContextLayer {
    judge: Arc<Judge>,
}

impl AuthContextLayer {
    /// That decides by this judge.
    pub fn new(judge: Arc<Judge>) -> AuthContextLayer {
        AuthContextLayer { judge }
    }
}

impl<S, B> Transform<S, ServiceRequest> for AuthContextLayer
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = actix_web::Error> + 'static,
    B: 'static,
{
    type Response = ServiceResponse<B>;
    type Error = actix_web::Error;
    type InitError = ();
    type Transform = AuthContextService<S>;
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(AuthContextService { service: Rc::new(service), judge: Arc::clone(&self.judge) }))
    }
}

/// The layer in place.
pub struct AuthContextService<S> {
    service: Rc<S>,
    judge: Arc<Judge>,
}

impl<S, B> Service<ServiceRequest> for AuthContextService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = actix_web::Error> + 'static,
    B: 'static,
{
    type Response = ServiceResponse<B>;
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>>>>;

    forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let (service, judge) = (Rc::clone(&self.service), Arc::clone(&self.judge));
        Box::pin(async move {
            if !witness::saw(&request) {
                return Err(Error::new(
                    Code::StackBroken,
                    "The witness did not see the request: the session layer did not run before the auth context.",
                )
                .into());
            }
            let verdict = judge.decide(&request).await?;
            request.extensions_mut().insert(verdict);
            service.call(request).await
        })
    }
}

/// What a session cookie opened: whose login, its public id, when it ends.
type CookieLogin = (UserId, Option<SessionId>, Time);

/// Credentials as a request carries them, before anything is verified.
struct Carried {
    explicit: Vec<(Method, String)>,
    cookie: Option<CookieLogin>,
}

impl Judge {
    async fn decide(&self, request: &ServiceRequest) -> Result<Verdict, Error> {
        let ways = (self.ways)(request.path());
        let carried = Self::carried(request, ways)?;
        let cookie_only = carried.explicit.is_empty() && carried.cookie.is_some();
        let origin = self.origins.judge(request.headers(), cookie_only);
        let request_id = request.extensions().get::<RequestId>().cloned();
        let request_id = request_id.ok_or_else(|| Error::new(Code::StackBroken, "The telemetry layer did not run."))?;
        let who = match self.who(carried, request_id).await {
            // Nobody was judged: the request fails, it does not become anonymous.
            Err(error) if error.code.status() >= 500 => return Err(error),
            who => who,
        };
        Ok(Verdict { who, origin })
    }

    fn carried(request: &ServiceRequest, ways: Ways) -> Result<Carried, Error> {
        let mut explicit = Vec::new();
        for value in request.headers().get_all(AUTHORIZATION) {
            // Another scheme, or bytes that are no text, is a bearer token that cannot verify: never a fallback.
            let bearer = value
                .to_str()
                .ok()
                .and_then(|text| text.split_once(' '))
                .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
            explicit.push((Method::Bearer, bearer.map(|(_, token)| token.trim().to_owned()).unwrap_or_default()));
        }
        for token in query_tokens(request.query_string()) {
            // A way used where the path does not take it cannot verify either.
            explicit.push((Method::QueryToken, if ways.query_token { token } else { String::new() }));
        }
        Ok(Carried { explicit, cookie: Self::cookie(request)? })
    }

    /// Who the session cookie says, as the identity layer left it.
    fn cookie(request: &ServiceRequest) -> Result<Option<CookieLogin>, Error> {
        let broken = || Error::new(Code::Internal, "The session could not be read.");
        let user = match request.get_identity().and_then(|identity| identity.id()) {
            Ok(user) => user,
            // The one case that means: nobody is signed in.
            Err(GetIdentityError::MissingIdentityError(_)) => return Ok(None),
            Err(_) => return Err(broken()),
        };
        let state = request.get_session();
        let login = state.get::<i64>(session::LOGIN_TIME_KEY).map_err(|_| broken())?.ok_or_else(broken)?;
        let session_id = state.get::<String>(session::SESSION_ID_KEY).map_err(|_| broken())?;
        let session_id = session_id.and_then(|id| SessionId::parse(&id).ok());
        let user = UserId::parse(&user).map_err(|_| broken())?;
        Ok(Some((user, session_id, Time::from_seconds(login).plus(SESSION_MAX))))
    }

    async fn who(&self, carried: Carried, request_id: RequestId) -> Result<AuthContext, Error> {
        let Carried { mut explicit, cookie } = carried;
        if explicit.len() > 1 {
            return Err(Error::new(
                Code::SeveralCredentials,
                "Send one credential: a bearer token or a query token, not both.",
            ));
        }
        if let Some((method, token)) = explicit.pop() {
            let claims = self.tokens.verify(&token, self.clock.now()).await?;
            if cookie.is_some_and(|(user, _, _)| user != claims.user) {
                return Err(Error::new(Code::BadCredentials, "The token and the cookie are of different users."));
            }
            let expires_at = claims.expires_at;
            let account = self.account_of(claims).await?;
            return Ok(AuthContext::new(account, method, None, expires_at, request_id));
        }
        let Some((user, session_id, expires_at)) = cookie else {
            return Err(Error::new(Code::Unauthenticated, "Sign in, or send a bearer token."));
        };
        let account = self.logins.account(user).await.map_err(error_of)?;
        let account = account.ok_or_else(|| Error::new(Code::UnknownAccount, "The account behind this login is gone."))?;
        if account.disabled {
            return Err(Error::new(Code::Disabled, "This account is disabled. Ask who runs the server."));
        }
        Ok(AuthContext::new(account, Method::Session, session_id, expires_at, request_id))
    }

    /// The account of a verified token, with what the token grants.
    async fn account_of(&self, claims: Claims) -> Result<Account, Error> {
        let found = self.logins.account(claims.user.clone()).await.map_err(error_of)?;
        let mut account = match found {
            Some(account) => account,
            None if self.create_users => {
                let local = UserId::new_local(claims.user.as_str());
                local.map_err(|reason| Error::new(Code::UnknownAccount, format!("No account can be created: {reason}.")))?;
                let account = Account {
                    user_id: claims.user.clone(),
                    name: claims.name.unwrap_or_else(|| claims.user.to_string()),
                    email: claims.email,
                    tier: "free".to_owned(),
                    permissions: Vec::new(),
                    disabled: false,
                    password_hash: None,
                };
                self.logins.create_account(account.clone(), self.clock.now()).await.map_err(error_of)?;
                account
            }
            None => return Err(Error::new(Code::UnknownAccount, "There is no account for the user this token names.")),
        };
        if account.disabled {
            return Err(Error::new(Code::Disabled, "This account is disabled. Ask who runs the server."));
        }
        account.permissions = claims.permissions;
        account.tier = claims.tier.unwrap_or(account.tier);
        Ok(account)
    }
}

fn error_of(outage: crate::domain::Outage) -> Error {
    match outage {
        crate::domain::Outage::Busy => Error::from(Code::Busy).after_ms(500),
        _ => Error::from(Code::StoreUnavailable).after_ms(1_000),
    }
}

/// Every `token` parameter of a query, decoded.
fn query_tokens(query: &str) -> Vec<String> {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(name, _)| *name == "token").map(|(_, token)| token.to_owned()).collect()
}
