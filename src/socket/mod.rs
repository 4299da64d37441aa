//! Transports: WebSocket and server-sent events. A transport moves frames between a TCP connection and a [`ConnectionIo`].
//!
//! Invariants:
//! - It reads only while [`ConnectionIo`] allows it.
//! - It checks every frame by its header before it buffers the payload.
//! - It ends when it has written the close frame.
//! - Code above this room does not know which transport a connection has.
//!
//! Decisions: `src/docs/decisions/transport.md`.

pub mod accepted;
pub mod budget;
mod cutter;
pub mod event_stream;
mod fragments;
pub mod gate;
#[cfg(test)]
mod gate_tests;
mod raw;
pub mod upgrade;
mod utf8;
mod web_actors;

use std::{
    cell::RefCell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use actix_http::{RequestHead, ws};
use actix_web::{
    HttpMessage, HttpRequest, HttpResponse,
    dev::Payload,
    http::{Version, header},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::Stream;

use self::gate::Gate;
pub use self::{
    cutter::{Cut, Cutter, Last, Occupied},
    raw::Wire,
};
use crate::{
    connection_io::{ConnectionIo, Inbound},
    error::{Code, Error},
};

/// What a client sends, one frame at a time; ends when the connection does.
pub struct Frames(Pin<Box<dyn Stream<Item = Inbound>>>);

impl Frames {
    fn of(frames: impl Stream<Item = Inbound> + 'static) -> Frames {
        Frames(Box::pin(frames))
    }
}

impl Stream for Frames {
    type Item = Inbound;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Inbound>> {
        self.0.as_mut().poll_next(cx)
    }
}

/// What is to happen with a connection when its upgrade has been answered.
struct Taken {
    io: Rc<ConnectionIo>,
    gate: Gate,
    start: Box<dyn FnOnce(Frames)>,
}

/// Put into a request by a transport that takes its connection over as bytes, once it has been answered with 101.
#[derive(Clone, Default)]
struct Offer(Rc<RefCell<Option<Taken>>>);

/// Answers an upgrade with 101. Once that is written, `start` gets the inbound frames, as far as the gate accepts them, and the transport
/// writes the outbox. If it cannot be written, `start` is dropped.
///
/// # Errors
/// `bad_upgrade`, if the library refuses what the slot has passed.
pub fn accept(
    request: &HttpRequest,
    payload: Payload,
    proof: UpgradeSlot,
    io: &Rc<ConnectionIo>,
    gate: Gate,
    start: impl FnOnce(Frames) + 'static,
) -> Result<HttpResponse, Error> {
    let Some(Offer(offer)) = request.extensions().get().cloned() else {
        let response = web_actors::upgrade(request, payload, proof, Rc::clone(io), gate)?;
        let cut = Cut::of(request);
        io.set_abort(move || cut.now());
        start(Frames::of(web_actors::Arriving(Rc::clone(io))));
        return Ok(response);
    };
    Cutter::take(request);
    let (io, start) = (Rc::clone(io), Box::new(start));
    *offer.borrow_mut() = Some(Taken { io, gate, start });
    Ok(ws::handshake_response(request.head()).finish().map_into_boxed_body().into())
}

/// Proof that a request may be answered with 101: it has the form of an upgrade and of nothing else at the same time.
pub struct UpgradeSlot(());

impl UpgradeSlot {
    /// Judges a request's head.
    ///
    /// A body beside the upgrade is refused: what follows it would be read as a second request by whoever framed
    /// the first one differently (request smuggling).
    ///
    /// # Errors
    /// `upgrade_required` for an ordinary request, `bad_upgrade` for a malformed one.
    pub fn of(request: &HttpRequest, payload: &Payload) -> Result<UpgradeSlot, Error> {
        let head = request.head();
        let bad = |detail: &'static str| Err(Error::new(Code::BadUpgrade, detail));
        match ws::verify_handshake(head) {
            // The key is judged below: the library asks only whether there is one.
            Ok(()) | Err(ws::HandshakeError::BadWebsocketKey) => {}
            // Only GET can be an upgrade: HEAD is told what GET without one is told.
            Err(
                ws::HandshakeError::GetMethodRequired
                | ws::HandshakeError::NoWebsocketUpgrade
                | ws::HandshakeError::UnsupportedVersion,
            ) => {
                return Err(Error::new(Code::UpgradeRequired, "Open a WebSocket here: RFC 6455, version 13."));
            }
            Err(ws::HandshakeError::NoConnectionUpgrade) => return bad("The Connection header must say upgrade."),
            Err(ws::HandshakeError::NoVersionHeader) => return bad("The Sec-WebSocket-Version header must be 13."),
        }
        if head.version != Version::HTTP_11 {
            return bad("An upgrade needs HTTP/1.1.");
        }
        if has_body(head) {
            return bad("An upgrade has no body: leave Transfer-Encoding out, and Content-Length too unless it is 0.");
        }
        // Exactly what the HTTP library takes for an upgrade, whose bytes it then leaves alone; anything else that
        // looks like one would be answered 101 and read on as requests.
        let upgrade = only(head, &header::UPGRADE).is_some_and(|value| value.eq_ignore_ascii_case("websocket"));
        let carried = request.extensions().contains::<Offer>() || !matches!(payload, Payload::None);
        if !upgrade || !carried {
            return bad("The Upgrade header must say websocket and nothing else.");
        }
        let key = only(head, &header::SEC_WEBSOCKET_KEY).and_then(|key| STANDARD.decode(key).ok());
        if key.is_none_or(|key| key.len() != 16) {
            return bad("The Sec-WebSocket-Key header must be 16 bytes in base64.");
        }
        Ok(UpgradeSlot(()))
    }
}

/// Whether a request announces a body. A `Content-Length` of zero announces none (RFC 9110 section 8.6): the HTTP client of
/// Java always sends it, and Apache does so when it translates a WebSocket over HTTP/2. Any other value counts as a body.
fn has_body(head: &RequestHead) -> bool {
    let zero = |value: &header::HeaderValue| !value.is_empty() && value.as_bytes().iter().all(|digit| *digit == b'0');
    head.headers().contains_key(header::TRANSFER_ENCODING) || !head.headers().get_all(header::CONTENT_LENGTH).all(zero)
}

/// Put into a connection's data by a server that speaks TLS on it.
pub struct Encrypted;

/// Whether a request came over TLS as far as this process can tell: not from what a proxy says, but from its own port.
pub fn encrypted(request: &HttpRequest) -> bool {
    request.conn_data::<Encrypted>().is_some() || request.app_config().secure()
}

/// The value of a header that stands once.
fn only<'a>(head: &'a RequestHead, name: &header::HeaderName) -> Option<&'a str> {
    let mut values = head.headers().get_all(name);
    let first = values.next()?.to_str().ok();
    if values.next().is_some() { None } else { first }
}
