//! The auth-context layer: the innermost of the three. It decides who acts, once, for every request.

use std::{
    future::{Future, Ready, ready},
    pin::Pin,
    rc::Rc,
    sync::Arc,
};

use actix_web::{
    HttpMessage,
    dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready},
};

use super::{AuthOutcome, Judge, witness};
use crate::error::{Code, Error};

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
            // A second one would judge a credential again that can be used once.
            if request.extensions().contains::<AuthOutcome>() {
                return Err(Error::new(Code::StackBroken, "The auth context layer ran twice.").into());
            }
            let outcome = judge.decide(&request).await?;
            request.extensions_mut().insert(outcome);
            service.call(request).await
        })
    }
}
