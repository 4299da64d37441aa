//! The transport on actix-web-actors: a pump actor between the response body that the library polls and the line.
//!
//! The library polls its actor only while the peer reads, so the pump holds no policy and no timer: those are in
//! the connection, which cuts the socket from outside when the pump is stuck.

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
    error::{Code, Error},
    hub::{Closing, Inbound, Line, Out},
    wire::frame::Reply,
};

/// Bytes the pump hands to the library in one poll; what it holds is unbounded otherwise.
const PUMP: usize = 64 * 1024;

/// Answers an upgrade with 101 and pumps between its stream, as far as the gate lets it in, and the line.
///
/// # Errors
/// `bad_upgrade`, if the library refuses what the slot has passed.
pub(super) fn upgrade(
    request: &HttpRequest,
    payload: Payload,
    _proof: UpgradeSlot,
    line: Rc<Line>,
    gate: Gate,
) -> Result<HttpResponse, Error> {
    let fault = Rc::new(Cell::new(None));
    let codec = Codec::new().max_size(usize::try_from(gate.message_bytes_max()).unwrap_or(usize::MAX));
    let incoming = Incoming { payload, gate, line: Rc::clone(&line), fault: Rc::clone(&fault), ended: false };
    let pump = Pump { line, fault, fragments: Fragments::default(), broken: false };
    let response = WsResponseBuilder::new(pump, request, incoming).codec(codec).start();
    response.map_err(|error| Error::new(Code::BadUpgrade, format!("The upgrade request is malformed: {error}.")))
}

struct Pump {
    line: Rc<Line>,
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
        self.line.hang_up();
    }
}

/// From the client, one frame at a time.
impl StreamHandler<Result<Message, ProtocolError>> for Pump {
    fn handle(&mut self, frame: Result<Message, ProtocolError>, ctx: &mut Self::Context) {
        match frame {
            Ok(Message::Text(text)) => self.line.arrived(Inbound::Text(text)),
            Ok(Message::Binary(data)) => self.line.arrived(Inbound::Binary(data)),
            Ok(Message::Continuation(item)) => self.line.arrived(self.fragments.take(item)),
            Ok(Message::Ping(data)) => {
                self.line.pong(&data);
                self.line.arrived(Inbound::Control);
            }
            Ok(Message::Pong(_) | Message::Nop) => self.line.arrived(Inbound::Control),
            Ok(Message::Close(reason)) => {
                self.line.arrived(Inbound::Closed);
                ctx.close(reason);
                ctx.stop();
            }
            Err(_) if self.broken => {}
            Err(error) => {
                self.broken = true;
                self.line.arrived(Inbound::Fault(fault(&error)));
            }
        }
    }

    fn finished(&mut self, ctx: &mut Self::Context) {
        match self.fault.take() {
            // The connection answers with the close code; the pump lives until that is written.
            Some(code) => self.line.arrived(Inbound::Fault(code)),
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

/// What has arrived on a line.
pub(super) struct Arriving(pub(super) Rc<Line>);

impl Stream for Arriving {
    type Item = Inbound;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Inbound>> {
        self.0.poll_inbound(cx)
    }
}

/// To the client: moves frames out of the line while the library asks for them.
struct Outgoing;

impl ActorFuture<Pump> for Outgoing {
    type Output = ();

    fn poll(self: Pin<&mut Self>, pump: &mut Pump, ctx: &mut ws::WebsocketContext<Pump>, cx: &mut Context<'_>) -> Poll<()> {
        let mut pumped = 0;
        while pumped < PUMP {
            let out = ready!(pump.line.poll_out(cx));
            pumped += out.wire().len();
            match out {
                Out::Text(frame) | Out::Event { frame, .. } => ctx.text(frame.to_text()),
                Out::Binary(frame) => ctx.binary(Out::payload(&frame)),
                Out::Ping => ctx.ping(b""),
                Out::Pong(frame) => ctx.pong(&Out::payload(&frame)),
                Out::Bye { closing, .. } => {
                    ctx.text(Reply::Bye(closing.bye()).frame().to_text());
                    return end(closing, ctx);
                }
                Out::Close { closing, .. } => return end(closing, ctx),
                // The library answers a close frame by itself, in `handle`.
                Out::Closed(_) => {}
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

/// The client's bytes behind the gate, read only while the line lets us.
struct Incoming {
    payload: Payload,
    gate: Gate,
    line: Rc<Line>,
    fault: Rc<Cell<Option<Code>>>,
    ended: bool,
}

impl Stream for Incoming {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        ready!(self.line.poll_may_read(cx));
        let chunk = ready!(Pin::new(&mut self.payload).poll_next(cx));
        // A payload error is a peer that has gone: the stream ends.
        let Some(Ok(chunk)) = chunk else {
            self.ended = true;
            return Poll::Ready(None);
        };
        match self.gate.pass(&chunk) {
            Ok(frames) => {
                self.line.let_in(frames);
                self.line.receiving(self.gate.unfinished());
                self.line.set_buffered(usize::try_from(self.gate.unfinished_bytes()).unwrap_or(usize::MAX));
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
