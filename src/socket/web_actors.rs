//! Transport on actix-web-actors: an actor that copies frames between the response body, which the library polls, and [`ConnectionIo`].
//!
//! The library polls the actor only while the peer reads, so the actor has no policy and no timer. The connection has them, and aborts
//! the TCP connection when the actor is stuck.

use std::{
    cell::Cell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use actix::{Actor, ActorContext, ActorFuture, AsyncContext, StreamHandler};
use actix_http::ws::{Codec, ProtocolError};
use actix_web::{HttpRequest, HttpResponse, dev::Payload, error::PayloadError};
use actix_web_actors::ws::{self, CloseCode, CloseReason, Message, WebsocketContext, WsResponseBuilder};
use bytes::Bytes;
use futures_util::Stream;

use super::{UpgradeSlot, fragments::Fragments, gate::Gate};
use crate::{
    connection_io::{Closing, ConnectionIo, Inbound, Outbound},
    error::{Code, Error},
    wire::frame::Reply,
};

/// Bytes passed to the library per poll. The library's own buffer has no limit.
const PUMP: usize = 64 * 1024;

/// Answers an upgrade with 101 and starts the actor.
///
/// # Errors
/// `bad_upgrade`, if the library refuses what the slot has passed.
pub(super) fn upgrade(
    request: &HttpRequest,
    payload: Payload,
    _proof: UpgradeSlot,
    io: Rc<ConnectionIo>,
    gate: Gate,
) -> Result<HttpResponse, Error> {
    let fault = Rc::new(Cell::new(None));
    let codec = Codec::new().max_size(usize::try_from(gate.message_bytes_max()).unwrap_or(usize::MAX));
    let incoming = Incoming { payload, gate, io: Rc::clone(&io), fault: Rc::clone(&fault), ended: false };
    let pump = Pump { io, fault, fragments: Fragments::default(), broken: false };
    let response = WsResponseBuilder::new(pump, request, incoming).codec(codec).start();
    response.map_err(|error| Error::new(Code::BadUpgrade, format!("The upgrade request is malformed: {error}.")))
}

struct Pump {
    io: Rc<ConnectionIo>,
    fault: Rc<Cell<Option<Code>>>,
    fragments: Fragments,
    /// The library has found a fault, and would tell it again at every poll.
    broken: bool,
}

impl Actor for Pump {
    type Context = WebsocketContext<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.spawn(Outgoing);
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.io.mark_transport_ended();
    }
}

/// From the client, one frame at a time.
impl StreamHandler<Result<Message, ProtocolError>> for Pump {
    fn handle(&mut self, frame: Result<Message, ProtocolError>, ctx: &mut Self::Context) {
        match frame {
            Ok(Message::Text(text)) => self.io.push_inbound(Inbound::Text(text)),
            Ok(Message::Binary(data)) => self.io.push_inbound(Inbound::Binary(data)),
            Ok(Message::Continuation(item)) => self.io.push_inbound(self.fragments.take(item)),
            Ok(Message::Ping(data)) => {
                self.io.pong(&data);
                self.io.push_inbound(Inbound::Control);
            }
            Ok(Message::Pong(_) | Message::Nop) => self.io.push_inbound(Inbound::Control),
            Ok(Message::Close(reason)) => {
                self.io.push_inbound(Inbound::Closed);
                ctx.close(reason);
                ctx.stop();
            }
            Err(_) if self.broken => {}
            Err(error) => {
                self.broken = true;
                self.io.push_inbound(Inbound::Fault(fault(&error)));
            }
        }
    }

    fn finished(&mut self, ctx: &mut Self::Context) {
        match self.fault.take() {
            // The connection answers with the close code; the pump lives until that is written.
            Some(code) => self.io.push_inbound(Inbound::Fault(code)),
            None => ctx.stop(),
        }
    }
}

/// The library reports text that is not UTF-8 as an I/O error, and it is the only I/O error that reaches here.
fn fault(error: &ProtocolError) -> Code {
    match error {
        ProtocolError::Io(_) => Code::NotUtf8,
        ProtocolError::Overflow => Code::FrameTooBig,
        _ => Code::ProtocolError,
    }
}

/// Inbound frames of a connection.
pub(super) struct Arriving(pub(super) Rc<ConnectionIo>);

impl Stream for Arriving {
    type Item = Inbound;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Inbound>> {
        self.0.poll_inbound(cx)
    }
}

/// Moves frames from the outbox to the library while it asks for them.
struct Outgoing;

impl ActorFuture<Pump> for Outgoing {
    type Output = ();

    fn poll(self: Pin<&mut Self>, pump: &mut Pump, ctx: &mut ws::WebsocketContext<Pump>, cx: &mut Context<'_>) -> Poll<()> {
        let mut pumped = 0;
        while pumped < PUMP {
            let out = ready!(pump.io.poll_next(cx));
            pumped += out.wire().len();
            match out {
                Outbound::Text(frame) | Outbound::Event { frame, .. } => ctx.text(frame.to_text()),
                Outbound::Binary(frame) => ctx.binary(Outbound::payload(&frame)),
                Outbound::Ping => ctx.ping(b""),
                Outbound::Pong(frame) => ctx.pong(&Outbound::payload(&frame)),
                Outbound::Bye { closing, .. } => {
                    ctx.text(Reply::Bye(closing.bye()).frame().to_text());
                    return end(closing, ctx);
                }
                Outbound::Close { closing, .. } => return end(closing, ctx),
                // The library answers a close frame by itself, in `handle`.
                Outbound::CloseAnswer(_) => {}
            }
        }
        // More waits: come again once the library has written this.
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// The close frame, and nothing after it.
fn end(closing: Closing, ctx: &mut WebsocketContext<Pump>) -> Poll<()> {
    let bye = closing.bye();
    ctx.close(Some(CloseReason { code: CloseCode::from(bye.code), description: Some(bye.reason.to_owned()) }));
    ctx.stop();
    Poll::Ready(())
}

/// Inbound bytes that the gate has accepted. Read only while [`ConnectionIo`] allows it.
struct Incoming {
    payload: Payload,
    gate: Gate,
    io: Rc<ConnectionIo>,
    fault: Rc<Cell<Option<Code>>>,
    ended: bool,
}

impl Stream for Incoming {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        ready!(self.io.poll_may_read(cx));
        let chunk = ready!(Pin::new(&mut self.payload).poll_next(cx));
        // A payload error is a peer that has gone: the stream ends.
        let Some(Ok(chunk)) = chunk else {
            self.ended = true;
            return Poll::Ready(None);
        };
        match self.gate.pass(&chunk) {
            Ok(frames) => {
                self.io.admit_frames(frames);
                self.io.set_unfinished(self.gate.unfinished());
                self.io.set_buffered(usize::try_from(self.gate.unfinished_bytes()).unwrap_or(usize::MAX));
                Poll::Ready(Some(Ok(chunk)))
            }
            Err((before, code)) => {
                self.ended = true;
                self.fault.set(Some(code));
                Poll::Ready(Some(Ok(chunk.slice(..before))))
            }
        }
    }
}
