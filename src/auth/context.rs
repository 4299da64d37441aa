//! The auth context: who acts, by which credential, with what rights, until when.
//!
//! Only the auth-context layer makes one. A handler that needs a user names [`AuthContext`] as an argument and then
//! cannot run without one.

use std::future::{Ready, ready};

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload};

use super::Rates;
use crate::{
    domain::{Account, Credential, Permission, RequestId, SessionId, Time, UserId},
    error::{Code, Error},
};

/// How a request or an upgrade said who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// The session cookie.
    Session,
    /// `Authorization: Bearer`.
    Bearer,
    /// `Sec-WebSocket-Protocol: jwt-auth, jwt.<token>`.
    Subprotocol,
    /// `?token=`.
    QueryToken,
    /// `?ticket=`.
    Ticket,
}

impl Method {
    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Method::Session => "session",
            Method::Bearer => "bearer",
            Method::Subprotocol => "subprotocol",
            Method::QueryToken => "query_token",
            Method::Ticket => "ticket",
        }
    }
}

/// Who acts. Has no public constructor.
///
/// ```compile_fail,E0451
/// use hailgate::auth::AuthContext;
/// // A handler cannot make up a user: every field is private.
/// fn forge(alice: AuthContext, bob: String) -> AuthContext {
///     AuthContext { name: bob, ..alice }
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthContext {
    credential: Credential,
    name: String,
    email: Option<String>,
    method: Method,
    tier: String,
    permissions: Vec<Permission>,
    expires_at: Time,
    request_id: RequestId,
}

impl AuthContext {
    pub(super) fn new(
        account: Account,
        method: Method,
        credential: Credential,
        expires_at: Time,
        request_id: RequestId,
    ) -> AuthContext {
        let Account { name, email, tier, permissions, .. } = account;
        AuthContext { credential, name, email, method, tier, permissions, expires_at, request_id }
    }

    /// Which user.
    pub fn user_id(&self) -> &UserId {
        &self.credential.user
    }

    /// The name people read.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// E-mail, for the user alone.
    pub fn email(&self) -> Option<&str> {
        self.email.as_deref()
    }

    /// The login behind it, if there is one: a public id that opens nothing.
    pub fn session_id(&self) -> Option<SessionId> {
        self.credential.session
    }

    /// What must still hold for it.
    pub fn credential(&self) -> &Credential {
        &self.credential
    }

    /// Whether it may do this.
    ///
    /// # Errors
    /// `forbidden`, if it may not.
    pub fn must_have(&self, permission: Permission) -> Result<(), Error> {
        if self.permissions.contains(&permission) {
            return Ok(());
        }
        Err(Error::new(Code::Forbidden, format!("This needs the permission `{}`.", permission.name())))
    }

    /// By which credential.
    pub fn method(&self) -> Method {
        self.method
    }

    /// Customer tier.
    pub fn tier(&self) -> &str {
        &self.tier
    }

    /// Rights beyond a member's.
    pub fn permissions(&self) -> &[Permission] {
        &self.permissions
    }

    /// When the credential ends.
    pub fn expires_at(&self) -> Time {
        self.expires_at
    }

    /// The request that carried the credential.
    pub fn request_id(&self) -> &RequestId {
        &self.request_id
    }
}

/// What the auth-context layer found; it puts one into every request.
#[derive(Debug, Clone)]
pub struct AuthOutcome {
    /// Who acts, or why nobody does: an anonymous request grants nothing.
    pub(super) who: Result<AuthContext, Error>,
    /// Whether the request, whoever sends it, may change something or open a socket: by its address and its `Origin`.
    pub(super) entry: Result<(), Error>,
}

impl AuthOutcome {
    /// The outcome on a request.
    ///
    /// # Errors
    /// `stack_broken`, if the auth-context layer did not run.
    pub fn of(request: &HttpRequest) -> Result<AuthOutcome, Error> {
        let outcome = request.extensions().get::<AuthOutcome>().cloned();
        outcome.ok_or_else(|| Error::new(Code::StackBroken, "The auth context layer did not run."))
    }

    /// Who acts.
    ///
    /// # Errors
    /// Why nobody does.
    pub fn who(self) -> Result<AuthContext, Error> {
        self.who
    }

    /// Whether the request, whoever sends it, may change something or open a socket.
    ///
    /// # Errors
    /// `rate_limited` for an address that opens too many sockets; `foreign_origin`.
    pub fn entry(&self) -> Result<(), Error> {
        self.entry.clone()
    }
}

/// Credentials first, then, where something may change, the origin, then the user's rate of requests.
impl FromRequest for AuthContext {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(AuthOutcome::of(request).and_then(|outcome| {
            let AuthOutcome { who, entry } = outcome;
            let context = who?;
            if !request.method().is_safe() {
                entry?;
            }
            Rates::of(request)?.request(context.user_id())?;
            Ok(context)
        }))
    }
}

/// Proof that a public unsafe request, such as a login, comes from an allowed origin or from no browser.
pub struct OriginAllowed(());

impl FromRequest for OriginAllowed {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(AuthOutcome::of(request).and_then(|outcome| outcome.entry.map(OriginAllowed)))
    }
}
