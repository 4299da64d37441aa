//! Upgrades on the raw stream: the same App that answers every other request answers an upgrade too, so that nobody comes in
//! by another way; when it says 101 the connection leaves HTTP, with all that HTTP has held for it.
//!
//! Decisions: `src/docs/decisions/upgrades.md`.

use std::{
    fmt::Display,
    future::{pending, poll_fn},
    mem::MaybeUninit,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, ready},
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
use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt, ReadBuf},
    time::timeout,
};

use super::{
    Cutter, Offer,
    raw::{self, Wire},
};

/// How long a client may take for each part of an answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes that a client may send before its upgrade is answered; it is read so far to notice its end.
const READ_AHEAD: usize = 16 * 1024;

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

/// Waits until the client has gone: it has closed the connection, or its half of it. What it sends meanwhile is kept, up to a
/// number of bytes; a client that sends more before it is answered is there.
async fn has_left<T: Wire>(io: &mut T, read: &mut BytesMut) {
    while read.len() < READ_AHEAD {
        if !matches!(io.read_buf(read).await, Ok(1..)) {
            return;
        }
    }
    pending::<()>().await;
}

/// The same while an answer goes out behind which nothing is read: what the client sends is dropped.
fn poll_has_left<T: Wire>(io: &mut T, cx: &mut Context<'_>) -> Poll<()> {
    let mut bytes = [MaybeUninit::uninit(); 1_024];
    for _ in 0..READ_AHEAD / bytes.len() {
        let mut read = ReadBuf::uninit(&mut bytes);
        match ready!(Pin::new(&mut *io).poll_read(cx, &mut read)) {
            Ok(()) if !read.filled().is_empty() => {}
            _ => return Poll::Ready(()),
        }
    }
    // Others have their turn before the rest.
    cx.waker().wake_by_ref();
    Poll::Pending
}

async fn upgrade<T, S>(app: &S, request: Request, mut framed: Framed<T, h1::Codec>)
where
    T: Wire,
    S: Service<Request, Response = ServiceResponse<BoxBody>, Error: Into<Response<BoxBody>>>,
{
    if Cutter::has_ended(&request) {
        // The answer that this follows may still wait to be written.
        _ = flush(&mut framed).await;
        return raw::linger(framed.into_parts().io).await;
    }
    let offer = Offer::default();
    request.extensions_mut().insert(offer.clone());
    let mut parts = framed.into_parts();
    let answered = tokio::select! {
        biased;
        answered = app.call(request) => answered,
        // Nobody waits for the answer: what makes it gives its permit back.
        () = has_left(&mut parts.io, &mut parts.read_buf) => return,
    };
    let mut framed = Framed::from_parts(parts);
    let response: Response<BoxBody> = match answered {
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
    timeout(WRITE_TIMEOUT, flushed).await.ok()?.ok()
}

/// Any other answer is the connection's last: who is in front of us may take what follows for anything.
async fn refuse<T: Wire>(response: Response<BoxBody>, mut framed: Framed<T, h1::Codec>) {
    let (mut response, body) = response.into_parts();
    response.head_mut().set_connection_type(ConnectionType::Close);
    let mut body = pin!(body);
    let mut said = say(&mut framed, h1::Message::Item((response, body.size()))).await;
    while said.is_some() {
        let next = poll_fn(|cx| match body.as_mut().poll_next(cx) {
            Poll::Pending => poll_has_left(framed.io_mut(), cx).map(|()| None),
            Poll::Ready(next) => Poll::Ready(Some(next)),
        });
        said = match next.await {
            Some(Some(Ok(chunk))) => say(&mut framed, h1::Message::Chunk(Some(chunk))).await,
            Some(Some(Err(_))) | None => None,
            Some(None) => break,
        };
    }
    if said.is_some() && say(&mut framed, h1::Message::Chunk(None)).await.is_some() {
        raw::linger(framed.into_parts().io).await;
    }
}
