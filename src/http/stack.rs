//! THE sentence: Actix middleware wraps session, then identity, then auth context.
//!
//! The order is a type. Each step exists only on the step before it, so any other order does not compile:
//!
//! ```compile_fail,E0599
//! use hailgate::http::stack::Stack;
//! fn identity_first(identity: actix_identity::IdentityMiddleware) {
//!     // no method named `identity` found for struct `Stack<NoSession>`: the session layer comes before it
//!     Stack::new().identity(identity);
//! }
//! ```
//! ```compile_fail,E0599
//! use hailgate::{auth::{AuthContextLayer, LoginSessions, Reseal}, http::stack::Stack};
//! use actix_session::SessionMiddleware;
//! fn no_identity(reseal: Reseal, sessions: SessionMiddleware<LoginSessions>, context: AuthContextLayer) {
//!     // no method named `auth_context` found for struct `Stack<HasSession<_>>`: identity comes before it
//!     Stack::new().session(reseal, sessions).auth_context(context);
//! }
//! ```
//! ```compile_fail,E0277
//! // A stack that is not finished is no middleware.
//! actix_web::App::new().wrap(hailgate::http::stack::Stack::new());
//! ```
//! ```
//! use hailgate::{auth::{AuthContextLayer, LoginSessions, Reseal}, http::stack::Stack};
//! fn the_one_that_compiles(
//!     reseal: Reseal,
//!     sessions: actix_session::SessionMiddleware<LoginSessions>,
//!     identity: actix_identity::IdentityMiddleware,
//!     context: AuthContextLayer,
//! ) {
//!     let _ = actix_web::App::new().wrap(Stack::new().session(reseal, sessions).identity(identity).auth_context(context));
//! }
//! ```
//!
//! What a type cannot say, that a layer really does its work, the witness and the [probe](super::probe) show.
//!
//! Decisions: `src/docs/decisions/stack.md`.

use std::{future::Future, pin::Pin, rc::Rc};

use actix_identity::IdentityMiddleware;
use actix_session::{SessionMiddleware, storage::SessionStore};
use actix_web::{
    Error,
    body::MessageBody,
    dev::{Service, ServiceRequest, ServiceResponse, Transform},
};

use crate::auth::{AuthContextLayer, Reseal, Witness};

/// The whole stack as a request meets it, outside to inside, and what each layer does; then the routes.
pub const LAYERS: [(&str, &str); 6] = [
    ("telemetry", "names the request, writes errors as problem documents, sets the headers all answers have, logs"),
    ("crossing", "tells browsers of the allowed origins that their pages may read the answer"),
    ("session", "which login does the cookie open?"),
    ("witness", "leaves the proof that the session layer ran, and what it said"),
    ("identity", "which user does the session prove, and is the login within its deadline?"),
    ("auth context", "who acts, by which credential, with what rights, until when?"),
];

/// The three layers as one: only a finished [`Stack`] becomes it.
pub struct AuthStack<St: SessionStore> {
    reseal: Reseal,
    session: Rc<SessionMiddleware<St>>,
    identity: Rc<IdentityMiddleware>,
    auth_context: Rc<AuthContextLayer>,
}

// What each layer makes of the service inside it, from the innermost out. The names below fix the order: a step
// taken out or exchanged is a type that does not fit the next.
type InAuthContext<S> = <AuthContextLayer as Transform<S, ServiceRequest>>::Transform;
type InIdentity<S> = <IdentityMiddleware as Transform<InAuthContext<S>, ServiceRequest>>::Transform;
type InWitness<S> = <Witness as Transform<InIdentity<S>, ServiceRequest>>::Transform;
type InSession<S, St> = <SessionMiddleware<St> as Transform<InWitness<S>, ServiceRequest>>::Transform;
type InReseal<S, St> = <Reseal as Transform<InSession<S, St>, ServiceRequest>>::Transform;

impl<S, B, St> Transform<S, ServiceRequest> for AuthStack<St>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    S::Future: 'static,
    B: MessageBody + 'static,
    St: SessionStore + 'static,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type InitError = ();
    type Transform = InReseal<S, St>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Transform, ()>>>>;

    /// `wrap` nests, and what wraps last sees a request first: so from the inside out, session last.
    fn new_transform(&self, handlers: S) -> Self::Future {
        let (session, identity) = (Rc::clone(&self.session), Rc::clone(&self.identity));
        let (auth_context, reseal) = (Rc::clone(&self.auth_context), self.reseal.clone());
        Box::pin(async move {
            let inner: InAuthContext<S> = auth_context.new_transform(handlers).await?;
            let inner: InIdentity<S> = identity.new_transform(inner).await?;
            let inner: InWitness<S> = Witness.new_transform(inner).await?;
            let inner: InSession<S, St> = session.new_transform(inner).await?;
            reseal.new_transform(inner).await
        })
    }
}

/// A stack under construction, at a step.
pub struct Stack<Step>(Step);

/// Nothing yet.
pub struct NoSession(());
/// The session layer, with the one around it that knows every key of its cookie.
pub struct HasSession<St: SessionStore>(Reseal, SessionMiddleware<St>);
/// The session layer and identity.
pub struct HasIdentity<St: SessionStore>(HasSession<St>, IdentityMiddleware);

impl Default for Stack<NoSession> {
    fn default() -> Self {
        Self::new()
    }
}

impl Stack<NoSession> {
    /// An empty stack: all it can take is the session layer.
    pub fn new() -> Self {
        Stack(NoSession(()))
    }

    /// First the session: which login does the cookie open?
    pub fn session<St: SessionStore>(self, reseal: Reseal, layer: SessionMiddleware<St>) -> Stack<HasSession<St>> {
        Stack(HasSession(reseal, layer))
    }
}

impl<St: SessionStore> Stack<HasSession<St>> {
    /// Then identity: which user does the session prove, and is the login still within its deadline?
    pub fn identity(self, layer: IdentityMiddleware) -> Stack<HasIdentity<St>> {
        Stack(HasIdentity(self.0, layer))
    }
}

impl<St: SessionStore> Stack<HasIdentity<St>> {
    /// Then the auth context: who acts, with what rights, until when?
    pub fn auth_context(self, layer: AuthContextLayer) -> AuthStack<St> {
        let HasIdentity(HasSession(reseal, session), identity) = self.0;
        AuthStack { reseal, session: Rc::new(session), identity: Rc::new(identity), auth_context: Rc::new(layer) }
    }
}
