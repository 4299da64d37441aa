//! The line between a connection, its transport and the outlet: outbox and inbox of one socket, and the wish to close it.
//!
//! All three live on one thread. Inside a borrow here something is queued, a flag set or a task woken; nothing runs.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    future::poll_fn,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use bytes::Bytes;
use bytestring::ByteString;

use super::outbox::{Full, Out, Outbox};
use crate::{
    domain::{Limits, Outage, Position},
    error::{Code, Error},
    wire::frame::Bye,
};

/// What a client sent, or how its stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inbound {
    /// A whole text message.
    Text(ByteString),
    /// A whole binary message, where the gate lets them in.
    Binary(Bytes),
    /// A ping, a pong, or a fragment that does not complete a message.
    Control,
    /// The client closed, and its close frame was answered.
    Closed,
    /// The client broke the protocol; this is the close code to answer with.
    Fault(Code),
}

/// Why a connection is to close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closing {
    /// The row with the close code.
    pub code: Code,
    /// When to come back, in milliseconds.
    pub retry_after_ms: Option<u64>,
}

impl From<Code> for Closing {
    fn from(code: Code) -> Closing {
        Closing { code, retry_after_ms: None }
    }
}

impl Closing {
    /// What the client is told.
    pub fn bye(self) -> Bye {
        let Closing { code, retry_after_ms } = self;
        Bye { code: code.close().unwrap_or(1000), reason: code.name(), reconnect: code.retryable(), retry_after_ms }
    }

    /// The same, told as a refusal where nothing has been accepted yet.
    pub fn refusal(self) -> Error {
        match self.code {
            Code::Draining => {
                let error = Error::new(Code::Draining, "The server is shutting down. Come back with the same cursor.");
                error.after_ms(self.retry_after_ms.unwrap_or(1_000))
            }
            Code::CredentialsExpired => Error::new(Code::TokenExpired, "The credentials have expired. Get new ones."),
            Code::Disabled => Error::new(Code::Disabled, "This account is disabled. Ask who runs the server."),
            Code::SignedOut => Error::new(Code::SignedOut, "This login has ended. Sign in again."),
            // Never 401 for what is no fault of the credentials: a client would throw its login away.
            _ => Error::from(Outage::Busy),
        }
    }
}

#[derive(Default)]
struct Sleeper(Cell<Option<Waker>>);

impl Sleeper {
    fn wait<T>(&self, cx: &Context<'_>) -> Poll<T> {
        self.0.set(Some(cx.waker().clone()));
        Poll::Pending
    }

    fn wake(&self) {
        if let Some(waker) = self.0.take() {
            waker.wake();
        }
    }
}

/// How long a connection that closes may take for its last words before it is cut.
pub const LAST_WORDS: Duration = Duration::from_secs(1);

/// Frames inside after which the transport reads no further.
const INSIDE_MAX: u64 = 16;

/// One socket's queues.
pub struct Line {
    outbox: RefCell<Outbox>,
    out: Sleeper,
    room: Sleeper,
    inbox: RefCell<VecDeque<Inbound>>,
    inbound: Sleeper,
    reading: Cell<bool>,
    /// Frames that the transport has let in and the connection has not taken.
    inside: Cell<u64>,
    may_read: Sleeper,
    closing: Cell<Option<Closing>>,
    close_asked: Sleeper,
    gone: Cell<bool>,
    ended: Sleeper,
    heard: Cell<Instant>,
    /// When a ping was handed to the transport that nothing has been heard since.
    pinged: Cell<Option<Instant>>,
    cut: RefCell<Option<Box<dyn FnOnce()>>>,
    /// Whether a feed has begun, so that the peer knows who and where it is.
    begun: Cell<bool>,
}

impl Line {
    /// A line whose transport does not read yet.
    pub fn new(limits: &Limits) -> Line {
        Line {
            outbox: RefCell::new(Outbox::new(limits.outbox_bytes, limits.outbox_frames)),
            out: Sleeper::default(),
            room: Sleeper::default(),
            inbox: RefCell::default(),
            inbound: Sleeper::default(),
            reading: Cell::new(false),
            inside: Cell::new(0),
            may_read: Sleeper::default(),
            closing: Cell::new(None),
            close_asked: Sleeper::default(),
            gone: Cell::new(false),
            ended: Sleeper::default(),
            heard: Cell::new(Instant::now()),
            pinged: Cell::new(None),
            cut: RefCell::new(None),
            begun: Cell::new(false),
        }
    }

    /// Sets what ends the socket from outside when the peer does not let it end.
    pub fn set_cut(&self, cut: impl FnOnce() + 'static) {
        *self.cut.borrow_mut() = Some(Box::new(cut));
    }

    /// Ends the socket now, whatever the peer does.
    pub fn cut(&self) {
        let cut = self.cut.borrow_mut().take();
        if let Some(cut) = cut {
            cut();
        }
        self.hang_up();
    }

    // To the peer.

    /// Queues a text frame; a full outbox makes this a slow reader, who is closed.
    pub fn send(&self, text: ByteString) {
        self.push(Out::Text(text));
    }

    /// Queues a binary frame: for other contracts than ours, which has none.
    pub fn send_binary(&self, data: Bytes) {
        self.push(Out::Binary(data));
    }

    /// The same as [`Line::send`], for a frame that brings the peer to a place in the log.
    pub fn event(&self, text: ByteString, position: Position, mark: u32) {
        self.push(Out::Event { text, position, mark });
    }

    fn push(&self, out: Out) {
        if self.closing.get().is_none() && self.outbox.borrow_mut().push(out).is_err() {
            self.close(Code::SlowReader);
        }
        self.out.wake();
    }

    /// A feed begins. Before that the peer has not been told who it is, and nothing may come before it is.
    pub fn begin(&self) {
        self.begun.set(true);
    }

    /// Queues a text frame that is dropped where the outbox is half full: a slow reader needs the room for events. It is
    /// dropped before a feed begins, too.
    pub fn send_ephemeral(&self, text: ByteString) {
        if self.begun.get()
            && self.closing.get().is_none()
            && self.outbox.borrow_mut().push_ephemeral(Out::Text(text)).is_ok()
        {
            self.out.wake();
        }
    }

    /// Queues a protocol ping, if there is room; without room the reader is slow and will be noticed.
    pub fn ping(&self) {
        let _: Result<(), Full> = self.outbox.borrow_mut().push(Out::Ping);
        self.out.wake();
    }

    /// When the transport took a ping that is still unanswered; none while we do not listen for the answer.
    pub fn pinged(&self) -> Option<Instant> {
        self.pinged.get().filter(|_| self.reading.get())
    }

    /// Queues the answer to the peer's ping.
    pub fn pong(&self, data: Bytes) {
        self.outbox.borrow_mut().push_pong(data);
        self.out.wake();
    }

    /// Queues the last words; what waits is dropped if the reader is slow.
    pub fn finish(&self, closing: Closing) {
        self.end(closing, Out::Bye(closing));
    }

    /// Queues the close frame alone, for a peer who would not know the last words of our contract.
    pub fn finish_without_words(&self, closing: Closing) {
        self.end(closing, Out::Close(closing));
    }

    fn end(&self, closing: Closing, last: Out) {
        let mut outbox = self.outbox.borrow_mut();
        if closing.code == Code::SlowReader {
            outbox.clear();
        }
        // If even they do not fit, what waits gives way to them.
        if outbox.push(last.clone()).is_err() {
            outbox.clear();
            let _: Result<(), Full> = outbox.push(last);
        }
        drop(outbox);
        self.out.wake();
    }

    /// For the transport: the next frame to write.
    pub fn poll_out(&self, cx: &Context<'_>) -> Poll<Out> {
        let mut outbox = self.outbox.borrow_mut();
        let Some(out) = outbox.pop() else { return self.out.wait(cx) };
        if out == Out::Ping && self.pinged.get().is_none() {
            self.pinged.set(Some(Instant::now()));
        }
        if outbox.has_room() {
            self.room.wake();
        }
        Poll::Ready(out)
    }

    /// Waits until there is a frame to write.
    pub async fn holds_something(&self) {
        poll_fn(|cx| if self.outbox.borrow().is_empty() { self.out.wait(cx) } else { Poll::Ready(()) }).await;
    }

    /// Waits until a catch-up may queue its next page.
    pub async fn has_room(&self) {
        poll_fn(|cx| if self.gone.get() || self.outbox.borrow().has_room() { Poll::Ready(()) } else { self.room.wait(cx) })
            .await;
    }

    /// Bytes that wait in the outbox.
    pub fn outbox_bytes(&self) -> usize {
        self.outbox.borrow().bytes()
    }

    // From the peer.

    /// For the transport: something arrived.
    pub fn arrived(&self, inbound: Inbound) {
        self.hear();
        self.inbox.borrow_mut().push_back(inbound);
        self.inbound.wake();
    }

    /// Notes a sign of life.
    pub fn hear(&self) {
        self.heard.set(Instant::now());
        self.pinged.set(None);
    }

    /// When the peer was last heard.
    pub fn heard(&self) -> Instant {
        self.heard.get()
    }

    /// For the connection: what arrived next; `None` when the transport has ended.
    pub fn poll_inbound(&self, cx: &Context<'_>) -> Poll<Option<Inbound>> {
        if !self.reading.get() && !self.gone.get() {
            return self.inbound.wait(cx);
        }
        match self.inbox.borrow_mut().pop_front() {
            Some(inbound) => {
                self.inside.set(self.inside.get().saturating_sub(1));
                self.may_read.wake();
                Poll::Ready(Some(inbound))
            }
            None if self.gone.get() => Poll::Ready(None),
            None => self.inbound.wait(cx),
        }
    }

    /// Whether the connection is read: one that owes too many answers is not.
    pub fn set_reading(&self, reading: bool) {
        self.reading.set(reading);
        if reading {
            self.may_read.wake();
            self.inbound.wake();
        }
    }

    /// For the transport: it lets so many more frames in. Each arrives as one [`Inbound`].
    pub fn let_in(&self, frames: u64) {
        self.inside.set(self.inside.get() + frames);
    }

    /// For the transport: waits until it may read. Without this a library that reads all there is and hands over
    /// a few frames at a time would hold a flood of tiny frames without bound.
    pub fn poll_may_read(&self, cx: &Context<'_>) -> Poll<()> {
        if self.reading.get() && self.inside.get() < INSIDE_MAX { Poll::Ready(()) } else { self.may_read.wait(cx) }
    }

    // The end.

    /// Asks for the connection to close; the first reason holds. Only the connection itself acts on it.
    pub fn close(&self, closing: impl Into<Closing>) {
        if self.closing.get().is_none() {
            self.closing.set(Some(closing.into()));
            self.close_asked.wake();
        }
    }

    /// The reason to close, once somebody asked.
    pub fn closing(&self) -> Option<Closing> {
        self.closing.get()
    }

    /// For the connection: waits until somebody asks to close.
    pub async fn close_asked(&self) -> Closing {
        poll_fn(|cx| match self.closing.get() {
            Some(closing) => Poll::Ready(closing),
            None => self.close_asked.wait(cx),
        })
        .await
    }

    /// For the transport: it has ended.
    pub fn hang_up(&self) {
        self.gone.set(true);
        for sleeper in [&self.inbound, &self.room, &self.out, &self.may_read, &self.ended] {
            sleeper.wake();
        }
    }

    /// Waits until the transport has ended.
    pub async fn ended(&self) {
        poll_fn(|cx| if self.gone.get() { Poll::Ready(()) } else { self.ended.wait(cx) }).await;
    }

    /// Whether the transport has ended.
    pub fn gone(&self) -> bool {
        self.gone.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_ended_the_credentials_is_refused_as_if_it_had() {
        for code in Code::ALL.iter().copied().filter(|code| code.close().is_some()) {
            let expected = match code {
                Code::SignedOut => Code::SignedOut,
                Code::Disabled => Code::Disabled,
                Code::CredentialsExpired => Code::TokenExpired,
                Code::Draining => Code::Draining,
                _ => Code::Busy,
            };
            let refusal = Closing::from(code).refusal();
            assert_eq!(refusal.code, expected, "{code:?}");
            assert_eq!(refusal.code.status() == 401, matches!(code.close(), Some(4205 | 4401 | 4403)), "{code:?}");
        }
    }

    #[test]
    fn nothing_that_nobody_keeps_comes_before_the_first_frame() {
        let line = Line::new(&Limits::default());
        line.send_ephemeral("early".into());
        line.send("first".into());
        line.begin();
        line.send_ephemeral("later".into());
        let cx = Context::from_waker(Waker::noop());
        let next = || match line.poll_out(&cx) {
            Poll::Ready(Out::Text(text)) => Some(text.to_string()),
            _ => None,
        };
        assert_eq!([next(), next(), next()], [Some("first".to_owned()), Some("later".to_owned()), None]);
    }
}
