//! The outermost layer: gives each request its id, writes each error as a problem document, sets the headers that
//! every answer has, and logs one line a request. Query strings are never logged: they may hold tokens.

use std::{
    convert::Infallible,
    future::{Future, Ready, ready},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use actix_web::{
    HttpMessage, HttpRequest, HttpResponse, ResponseError,
    body::{self, BodySize, BodyStream, BoxBody, MessageBody},
    dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready},
    error::InternalError,
    http::{
        ConnectionType, Method, StatusCode, Version,
        header::{self, HeaderName, HeaderValue},
    },
};
use bytes::Bytes;
use futures_util::stream;
use uuid::Uuid;

use super::{host, protection::Protection};
use crate::{
    auth::{
        AuthOutcome, Rates,
        session::{self, SessionFailure},
    },
    domain::{RequestId, StoreError},
    error::{Code, Error},
    socket::{Cut, Cutter, Last, Occupied},
    wire::problem::{Arrival, Problem},
};

/// How long a request in chunks may go on after its answer.
const UNREAD_BODY: Duration = Duration::from_secs(5);

/// The layer.
#[derive(Debug, Clone, Copy)]
pub struct Telemetry {
    /// Whether requests leave no line in the log.
    pub quiet: bool,
    /// Whether browsers reach the server over https. If not, no answer may ask them to insist on it (RFC 6797 section 7.2).
    pub https: bool,
}

impl<S, B> Transform<S, ServiceRequest> for Telemetry
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = actix_web::Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = actix_web::Error;
    type InitError = ();
    type Transform = TelemetryService<S>;
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(TelemetryService { service: Rc::new(service), layer: *self }))
    }
}

/// The layer in place.
pub struct TelemetryService<S> {
    service: Rc<S>,
    layer: Telemetry,
}

impl<S, B> Service<ServiceRequest> for TelemetryService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = actix_web::Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>>>>;

    forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let (service, Telemetry { quiet, https }) = (Rc::clone(&self.service), self.layer);
        Box::pin(async move {
            Cutter::hold_behind_last(request.request()).await;
            let occupied = Cutter::busy(request.request());
            // A second one would give the request a second name, and the log a second line.
            if request.extensions().contains::<RequestId>() {
                return Err(Error::new(Code::StackBroken, "The telemetry layer ran twice.").into());
            }
            let began = Instant::now();
            let id = RequestId(Uuid::now_v7().to_string().into());
            request.extensions_mut().insert(id.clone());
            let client =
                Rates::of(request.request()).map_or_else(|_| String::new(), |rates| rates.client(request.request()));
            let asked = Asked { method: request.method().clone(), path: request.path().to_owned(), client, began, quiet };
            let head = request.method() == Method::HEAD;
            let reuse = ConnectionReuse::of(&request);
            let (answered, failure) = match host::judge(request.headers()) {
                Ok(()) => {
                    let (answered, failure) = session::watched(service.call(request)).await;
                    (answered.map(ServiceResponse::map_into_boxed_body), failure)
                }
                Err(refused) => (Ok(request.error_response(refused)), None),
            };
            match answered {
                Ok(answered) => {
                    let (request, response) = answered.into_parts();
                    let mut response = told(response, &id, https, head);
                    reuse.apply(&mut response);
                    asked.log(Some(&request), &response, &id);
                    let response = response.map_body(|_, body| BoxBody::new(OccupyingBody { body, _occupied: occupied }));
                    Ok(ServiceResponse::new(request, response))
                }
                // A layer failed before any handler: its request is gone with it, so the answer travels as an error.
                Err(error) => {
                    let mut response = told(layer_error(&error, failure), &id, https, head);
                    reuse.apply(&mut response);
                    asked.log(None, &response, &id);
                    Err(InternalError::from_response("a layer failed", response).into())
                }
            }
        })
    }
}

/// Whether a connection ends with the answer to a request.
struct ConnectionReuse {
    last: Last,
    /// The request says so, is of HTTP/1.0, or cannot be trusted to end where it seems to.
    asked: bool,
    /// Of a request in chunks: what nobody reads of the body the library would take in for ever.
    chunked: Option<Cut>,
}

impl ConnectionReuse {
    fn of(request: &ServiceRequest) -> ConnectionReuse {
        let chunked = request.headers().contains_key(header::TRANSFER_ENCODING);
        let closes = request.head().connection_type() == ConnectionType::Close;
        ConnectionReuse {
            last: Last::of(request.request()),
            asked: chunked || closes || host::judge(request.headers()).is_err(),
            chunked: chunked.then(|| Cut::of(request.request())),
        }
    }

    /// The library has read ahead, and goes by what it read last: it would answer requests behind this one (RFC 9112 section
    /// 9.6 forbids that), and let the connection stay for them.
    fn apply(self, response: &mut HttpResponse) {
        // Without an option of its own an answer says what its version means; the library sets the version again.
        response.head_mut().version = Version::HTTP_11;
        if self.asked || response.head().connection_type() == ConnectionType::Close {
            self.last.answer(response);
        }
        self.chunked.into_iter().for_each(|cut| cut.after(response, UNREAD_BODY));
    }
}

/// The body of an answer: until it is written, its connection is not idle.
struct OccupyingBody {
    body: BoxBody,
    _occupied: Occupied,
}

impl MessageBody for OccupyingBody {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.get_mut().body).poll_next(cx)
    }
}

/// What a layer failed with. The session layer tells every failure of its store as a bare 500; `failure` says which it was.
fn layer_error(error: &actix_web::Error, failure: Option<SessionFailure>) -> HttpResponse {
    let response = error.error_response();
    if response.status() != StatusCode::INTERNAL_SERVER_ERROR || response.extensions().contains::<Error>() {
        return response;
    }
    let mut known = Error::from(failure.unwrap_or(SessionFailure::StoreError(StoreError::Unavailable))).error_response();
    // What layers around it added, so that a page of an allowed origin can read it.
    for (name, value) in response.headers() {
        known.headers_mut().append(name.clone(), value.clone());
    }
    known
}

/// An answer with the headers that all have; to `HEAD` without the body.
fn told(response: HttpResponse, id: &RequestId, https: bool, head: bool) -> HttpResponse {
    let mut response = with_problem(response, id);
    if head {
        response = without_body(response);
    }
    Protection::apply(&mut response, https);
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        response.headers_mut().insert(HeaderName::from_static("x-request-id"), value);
    }
    response
}

/// The answer to `HEAD`: the length of the body in place of the body. The HTTP library would leave the body out by itself,
/// but it goes by the last request that it has read, which is another one where a client pipelines.
fn without_body(response: HttpResponse) -> HttpResponse {
    let BodySize::Sized(length) = response.body().size() else { return response.set_body(BoxBody::new(body::None::new())) };
    let mut response = response.set_body(BoxBody::new(BodyStream::new(stream::empty::<Result<Bytes, Infallible>>())));
    response.head_mut().no_chunking(true);
    response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
    response
}

/// An error answer with its problem document; every other answer as it is.
fn with_problem(response: HttpResponse, id: &RequestId) -> HttpResponse {
    if !response.status().is_client_error() && !response.status().is_server_error() {
        return response;
    }
    // The framework's own refusals carry no error of ours; health checks carry a document of theirs.
    let known = response.extensions().get::<Error>().cloned();
    if known.is_none()
        && response.headers().contains_key(header::CONTENT_TYPE)
        && response.status() == StatusCode::SERVICE_UNAVAILABLE
    {
        return response;
    }
    let error = known.unwrap_or_else(|| Code::of_status(response.status().as_u16()).into());
    let arrived = response.extensions().get::<Arrival>().cloned();
    let body = serde_json::to_string(&Problem::new(&error, &id.0, arrived.as_ref())).unwrap_or_default();
    let status = StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = response.set_body(BoxBody::new(body));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if error.code == Code::UpgradeRequired {
        response.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    }
    response
}

/// What was asked, for the log.
struct Asked {
    method: Method,
    path: String,
    /// Where limits by address count the client.
    client: String,
    began: Instant,
    quiet: bool,
}

impl Asked {
    /// One line: the matched pattern where there is one, else the beginning of what the client wrote, escaped. A refusal
    /// says why, whose it was and from where, so that the request's id leads somewhere.
    fn log(&self, request: Option<&HttpRequest>, response: &HttpResponse, id: &RequestId) {
        if self.quiet {
            return;
        }
        let status = response.status();
        let level = if status.is_server_error() { log::Level::Error } else { log::Level::Info };
        let start = || format!("{:?}", self.path.chars().take(80).collect::<String>());
        let path = request.and_then(|request| request.match_pattern()).unwrap_or_else(start);
        let micros = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        let (method, number) = (self.method.as_str(), status.as_u16());
        if number < 400 {
            log::log!(target: "hailgate::request", level, request_id = &*id.0, micros; "{method} {path} {number}");
            return;
        }
        let code = response.extensions().get::<Error>().map_or("", |error| error.code.name());
        let who = request.and_then(|request| AuthOutcome::of(request).ok()?.who().ok());
        let user = who.as_ref().map_or("", |who| who.user_id().as_str());
        let client = self.client.as_str();
        log::log!(
            target: "hailgate::request", level, request_id = &*id.0, micros, code, user, client; "{method} {path} {number}"
        );
    }
}
