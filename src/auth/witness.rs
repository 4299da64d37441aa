//! The witness: a layer directly inside the session layer that leaves a token only it can make, with what the session
//! said at that moment. The auth-context layer refuses to decide about a request that does not carry it, or whose
//! identity names a user that the witness did not see: the session layer must have run before, and identity not yet.

use std::future::{Ready, ready};

use actix_session::SessionExt;
use actix_web::{
    Error, HttpMessage,
    dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready},
};

use super::session::USER_KEY;

/// The token: which user the session named. Private to this module: nothing else can put one into a request.
struct Witnessed(Option<String>);

/// The layer.
#[derive(Debug, Clone, Copy, Default)]
pub struct Witness;

/// Whether the witness saw this request before.
pub(super) fn saw(request: &ServiceRequest) -> bool {
    request.extensions().contains::<Witnessed>()
}

/// Which user the session named to the witness, before the identity layer enforced the deadline of the login.
pub(super) fn user(request: &ServiceRequest) -> Option<String> {
    request.extensions().get::<Witnessed>().and_then(|Witnessed(user)| user.clone())
}

impl<S, B> Transform<S, ServiceRequest> for Witness
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type InitError = ();
    type Transform = WitnessService<S>;
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(WitnessService { service }))
    }
}

/// The layer in place.
pub struct WitnessService<S> {
    service: S,
}

impl<S, B> Service<ServiceRequest> for WitnessService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
{
    type Response = ServiceResponse<B>;
    type Error = Error;
    type Future = S::Future;

    forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let user = request.get_session().get::<String>(USER_KEY).ok().flatten();
        request.extensions_mut().insert(Witnessed(user));
        self.service.call(request)
    }
}
