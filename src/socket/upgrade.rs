//! Upgrades on the raw stream: the same App that answers every other request answers an upgrade too, so that nobody comes in
//! by another way; when it says 101 the connection leaves HTTP, with all that HTTP has held for it.

use std::{
    fmt::Display,
    future::poll_fn,
    pin::{Pin, pin},
    rc::Rc,
    time::Duration,
};

use actix_codec::Framed;
use actix_http::{HttpMessage, Request, Response, body::BoxBody, h1};
use actix_service::{Service, ServiceFactory, fn_service};
use actix_web::{
    body::{BodySize, MessageBody},
    dev::ServiceResponse,
    http::{ConnectionType, StatusCode},
};
use tokio::time::timeout;

use super::{
    Cutter, Offer,
    raw::{self, Wire},
};

/// How long a client may take for each part of an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What answers upgrades: the same App, and then the raw stream.
pub trait UpgradeFactory<T>:
    ServiceFactory<
        (Request, Framed<T, h1::Codec>),
        Config = (),
        Response = (),
        Error = actix_web::Error,
        InitError = (),
        Future: 'static,
    >
{
}
impl<T, F> UpgradeFactory<T> for F where
    F: ServiceFactory<
            (Request, Framed<T, h1::Codec>),
            Config = (),
            Response = (),
            Error = actix_web::Error,
            InitError = (),
            Future: 'static,
        >
{
}

/// The service for upgrades, in front of an App.
pub fn service<T, S>(app: Rc<S>) -> impl UpgradeFactory<T>
where
    T: Wire,
    S: Service<Request, Response = ServiceResponse<BoxBody>, Error: Into<Response<BoxBody>> + Display, Future: 'static>
        + 'static,
{
    fn_service(move |(request, framed): (Request, Framed<T, h1::Codec>)| {
        let app = Rc::clone(&app);
        async move {
            upgrade(&*app, request, framed).await;
            Ok::<(), actix_web::Error>(())
        }
    })
}

async fn upgrade<T, S>(app: &S, request: Request, mut framed: Framed<T, h1::Codec>)
where
    T: Wire,
    S: Service<Request, Response = ServiceResponse<BoxBody>, Error: Into<Response<BoxBody>>>,
{
    if Cutter::has_refused(&request) {
        // The refusal that this follows may still wait to be written.
        _ = flush(&mut framed).await;
        return raw::linger(framed.into_parts().io).await;
    }
    let offer = Offer::default();
    request.extensions_mut().insert(offer.clone());
    let response: Response<BoxBody> = match app.call(request).await {
        // The request is let go here: it holds what the session layer has read.
        Ok(answered) => answered.into_parts().1.into(),
        Err(error) => error.into(),
    };
    let taken = offer.0.take();
    match taken {
        Some(taken) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
            let head = h1::Message::Item((response.drop_body(), BodySize::None));
            if say(&mut framed, head).await.is_some() {
                let parts = framed.into_parts();
                raw::open(parts.io, &parts.read_buf, taken);
            }
        }
        _ => refuse(response, framed).await,
    }
}

/// Writes a part of an answer; `None` if the client does not take it.
async fn say<T: Wire>(framed: &mut Framed<T, h1::Codec>, part: h1::Message<(Response<()>, BodySize)>) -> Option<()> {
    Pin::new(&mut *framed).write(part).ok()?;
    flush(framed).await
}

async fn flush<T: Wire>(framed: &mut Framed<T, h1::Codec>) -> Option<()> {
    let mut framed = Pin::new(framed);
    let flushed = poll_fn(|cx| framed.as_mut().flush::<h1::Message<(Response<()>, BodySize)>>(cx));
    timeout(PATIENCE, flushed).await.ok()?.ok()
}

/// Any other answer is the connection's last: who is in front of us may take what follows for anything.
async fn refuse<T: Wire>(response: Response<BoxBody>, mut framed: Framed<T, h1::Codec>) {
    let (mut response, body) = response.into_parts();
    response.head_mut().set_connection_type(ConnectionType::Close);
    let mut body = pin!(body);
    let mut said = say(&mut framed, h1::Message::Item((response, body.size()))).await;
    while said.is_some() {
        said = match poll_fn(|cx| body.as_mut().poll_next(cx)).await {
            Some(Ok(chunk)) => say(&mut framed, h1::Message::Chunk(Some(chunk))).await,
            Some(Err(_)) => None,
            None => break,
        };
    }
    if said.is_some() && say(&mut framed, h1::Message::Chunk(None)).await.is_some() {
        raw::linger(framed.into_parts().io).await;
    }
}
