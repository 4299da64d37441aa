//! The witness: a layer directly inside the session layer that leaves a token only it can make. The auth-context
//! layer refuses to decide about a request that does not carry it.

use std::future::{Ready, ready};

use actix_web::{
    Error, HttpMessage,
    dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready},
};

/// The token. Private to this module: nothing else can put one into a request.
#[derive(Clone, Copy)]
struct Witnessed(());

/// The layer.
#[derive(Debug, Clone, Copy, Default)]
pub struct Witness;

/// Whether the witness saw this request before.
pub(super) fn saw(request: &ServiceRequest) -> bool {
    request.extensions().contains::<Witnessed>()
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
        request.extensions_mut().insert(Witnessed(()));
        self.service.call(request)
    }
}
