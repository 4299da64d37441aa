//! Answers to pages of other origins (CORS): the configured ones, exactly, and nobody else. It lets browsers read what
//! they may; what a request may do, the origin rule of the auth context decides.
//!
//! The library tells every asker which headers it would show. So only requests of allowed origins reach it: all others
//! go on as if it were not there, and are answered by the routes.

use std::{future::Future, pin::Pin, rc::Rc};

use actix_cors::{Cors, CorsMiddleware};
use actix_web::{
    Error,
    body::{EitherBody, MessageBody},
    dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready},
    http::header::{self, HeaderName, HeaderValue},
};

use super::routes;
use crate::{
    auth::Origins,
    error::{self, Code},
};

/// Methods that the routes take.
const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];
/// Headers that requests may carry: those that the routes read, and those that browsers' libraries add by themselves, which
/// the routes ignore. The origin decides what a page may do, so none of these opens anything.
const ASKED: [HeaderName; 17] = [
    header::AUTHORIZATION,
    header::CONTENT_TYPE,
    HeaderName::from_static("idempotency-key"),
    HeaderName::from_static("last-event-id"),
    // Clients of event streams, and of REST that must not be answered from a cache.
    header::CACHE_CONTROL,
    header::PRAGMA,
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::RANGE,
    // Request libraries, and what they do against forged requests.
    HeaderName::from_static("x-requested-with"),
    HeaderName::from_static("x-csrf-token"),
    HeaderName::from_static("x-xsrf-token"),
    // Tracing (W3C Trace Context and Baggage, Sentry).
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("baggage"),
    HeaderName::from_static("sentry-trace"),
];
/// Headers of an answer that a page may read.
const SHOWN: [HeaderName; 2] = [header::RETRY_AFTER, HeaderName::from_static("x-request-id")];
/// How long a browser may remember a preflight, in seconds.
const REMEMBERED: usize = 600;

/// The layer.
#[derive(Clone)]
pub struct CorsLayer {
    origins: Origins,
}

impl CorsLayer {
    /// For pages of these origins.
    pub fn new(origins: Origins) -> CorsLayer {
        CorsLayer { origins }
    }

    fn library(&self) -> Cors {
        let cors = Cors::default()
            .allowed_methods(METHODS)
            .allowed_headers(ASKED)
            .expose_headers(SHOWN)
            .supports_credentials()
            .max_age(REMEMBERED);
        self.origins.list().iter().fold(cors, |cors, origin| cors.allowed_origin(origin))
    }
}

impl<S, B> Transform<S, ServiceRequest> for CorsLayer
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    S::Future: 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type InitError = ();
    type Transform = CorsService<S>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Transform, ()>>>>;

    fn new_transform(&self, service: S) -> Self::Future {
        let (layer, service) = (self.clone(), Rc::new(service));
        Box::pin(async move {
            let library = layer.library().new_transform(Rc::clone(&service)).await?;
            Ok(CorsService { origins: layer.origins, service, library })
        })
    }
}

/// The layer in place.
pub struct CorsService<S> {
    origins: Origins,
    service: Rc<S>,
    library: CorsMiddleware<Rc<S>>,
}

impl<S, B> Service<ServiceRequest> for CorsService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    S::Future: 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>>>>;

    forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        // Browsers ask for a module with `Origin` and for the same file without: it must not vary by that, or it is loaded twice.
        if routes::is_versioned_file(request.path()) {
            let answered = self.service.call(request);
            return Box::pin(async move { answered.await.map(ServiceResponse::map_into_left_body) });
        }
        let origin = request.headers().contains_key(header::ORIGIN);
        if origin && self.origins.judge(request.headers(), false).is_ok() {
            let answered = self.library.call(request);
            return Box::pin(async move { answered.await.map(refused_preflight) });
        }
        let answered = self.service.call(request);
        Box::pin(async move {
            let mut response = answered.await?.map_into_left_body();
            // Another origin is answered differently: a cache must not mix them up.
            response.headers_mut().append(header::VARY, HeaderValue::from_static("Origin"));
            Ok(response)
        })
    }
}

/// A preflight that the library refuses says so in words of its own: it is told like every refusal.
fn refused_preflight<B: MessageBody>(mut response: ServiceResponse<EitherBody<B>>) -> ServiceResponse<EitherBody<B>> {
    let refused = response.response().error().is_some_and(|error| error.as_error::<actix_cors::CorsError>().is_some());
    if refused {
        let detail = "Pages of your origin may send the methods and headers of the API only.";
        response.response_mut().extensions_mut().insert(error::Error::new(Code::Forbidden, detail));
    }
    response
}

#[cfg(test)]
mod tests {
    use actix_service::fn_service;
    use actix_web::{HttpResponse, body::BoxBody, error::InternalError, test::TestRequest};

    use super::*;
    use crate::http::telemetry::Telemetry;

    /// What a page of this origin gets where a layer inside fails as the session layer does.
    async fn failed(origin: &'static str) -> HttpResponse {
        let failing = fn_service(|_: ServiceRequest| async {
            let bare = HttpResponse::InternalServerError().finish();
            Err::<ServiceResponse<BoxBody>, Error>(InternalError::from_response("a failing layer", bare).into())
        });
        let cors = CorsLayer::new(Origins::new(["https://allowed.test".to_owned()]));
        let cors = cors.new_transform(failing).await.expect("a layer");
        let outermost = Telemetry { quiet: true, https: true }.new_transform(cors).await.expect("a layer");
        let request = TestRequest::default().insert_header((header::ORIGIN, origin)).to_srv_request();
        outermost.call(request).await.expect_err("an error").error_response()
    }

    #[actix_web::test]
    async fn a_page_of_an_allowed_origin_can_read_that_a_layer_failed() {
        for (origin, allowed) in [("https://allowed.test", true), ("https://evil.test", false)] {
            let response = failed(origin).await;
            assert_eq!(response.status(), 503, "{origin}");
            assert!(response.headers().contains_key(header::RETRY_AFTER));
            let opened = response.headers().get(header::ACCESS_CONTROL_ALLOW_ORIGIN).map(HeaderValue::as_bytes);
            assert_eq!(opened, allowed.then_some(origin.as_bytes()));
            assert_eq!(response.headers().contains_key(header::ACCESS_CONTROL_ALLOW_CREDENTIALS), allowed);
        }
    }
}
