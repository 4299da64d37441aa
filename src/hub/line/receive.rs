//! The receiving half of a line: what has arrived from the peer and waits for the connection, whether the transport may read
//! on, and when the peer was last heard.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    task::{Context, Poll},
    time::Instant,
};

use super::{super::transport::Inbound, Line, Sleeper};

/// Frames that wait for the connection after which the transport reads no further.
const INSIDE_MAX: u64 = 16;
/// Bytes of whole messages that wait for the connection after which the transport reads no further.
const INBOX_BYTES_MAX: usize = 64 * 1024;

/// See the module.
pub(super) struct Receive {
    inbox: RefCell<VecDeque<Inbound>>,
    /// Bytes of the messages in `inbox`.
    inbox_bytes: Cell<usize>,
    arrived: Sleeper,
    reading: Cell<bool>,
    /// Frames that the transport has let in and the connection has not taken.
    inside: Cell<u64>,
    may_read: Sleeper,
    heard: Cell<Instant>,
    /// The message that has begun to arrive and is not whole: its number on this connection, and when it began.
    unfinished: Cell<Option<(u64, Instant)>>,
    /// Bytes that the transport keeps of what it has read.
    buffered: Cell<usize>,
}

impl Default for Receive {
    fn default() -> Receive {
        Receive {
            inbox: RefCell::default(),
            inbox_bytes: Cell::new(0),
            arrived: Sleeper::default(),
            reading: Cell::new(false),
            inside: Cell::new(0),
            may_read: Sleeper::default(),
            heard: Cell::new(Instant::now()),
            unfinished: Cell::new(None),
            buffered: Cell::new(0),
        }
    }
}

impl Receive {
    /// Whether the connection is read.
    pub(super) fn is_on(&self) -> bool {
        self.reading.get()
    }

    /// Bytes of memory that it takes.
    pub(super) fn memory(&self) -> usize {
        self.inbox_bytes.get() + self.buffered.get()
    }

    /// Wakes everybody who waits for something from the peer.
    pub(super) fn wake(&self) {
        self.arrived.wake();
        self.may_read.wake();
    }
}

impl Line {
    /// For the transport: something arrived.
    pub fn arrived(&self, inbound: Inbound) {
        self.hear_of(&inbound);
        let receive = &self.receive;
        receive.inbox_bytes.set(receive.inbox_bytes.get() + inbound.bytes());
        receive.inbox.borrow_mut().push_back(inbound);
        receive.arrived.wake();
    }

    /// Notes a sign of life, if this is one: a fragment is none before its message is whole.
    pub fn hear_of(&self, inbound: &Inbound) {
        if *inbound != Inbound::Fragment {
            self.hear();
        }
    }

    /// Notes a sign of life.
    pub fn hear(&self) {
        self.receive.heard.set(Instant::now());
        self.pinged.set(None);
    }

    /// When the peer was last heard.
    pub fn heard(&self) -> Instant {
        self.receive.heard.get()
    }

    /// For the transport: which message of this connection has begun to arrive and is not whole, if any, by its number.
    pub fn receiving(&self, message: Option<u64>) {
        let unfinished = &self.receive.unfinished;
        if unfinished.get().map(|(number, _)| number) != message {
            unfinished.set(message.map(|number| (number, Instant::now())));
        }
    }

    /// For the transport: how many bytes it keeps of what it has read.
    pub fn set_buffered(&self, bytes: usize) {
        self.receive.buffered.set(bytes);
    }

    /// Since when a message has been arriving that is not whole; none while the connection is not read.
    pub fn unfinished_since(&self) -> Option<Instant> {
        self.receive.unfinished.get().filter(|_| self.receive.is_on()).map(|(_, since)| since)
    }

    /// Gives the message that is arriving its whole time again, because this side did not read it meanwhile.
    pub fn restart_unfinished(&self, now: Instant) {
        if let Some((number, _)) = self.receive.unfinished.get() {
            self.receive.unfinished.set(Some((number, now)));
        }
    }

    /// Bytes of memory that what has arrived takes.
    pub fn received_bytes(&self) -> usize {
        self.receive.memory()
    }

    /// For the connection: what arrived next; `None` when the transport has ended.
    pub fn poll_inbound(&self, cx: &Context<'_>) -> Poll<Option<Inbound>> {
        let receive = &self.receive;
        if !receive.is_on() && !self.gone.get() {
            return receive.arrived.wait(cx);
        }
        match receive.inbox.borrow_mut().pop_front() {
            Some(inbound) => {
                receive.inside.set(receive.inside.get().saturating_sub(1));
                receive.inbox_bytes.set(receive.inbox_bytes.get() - inbound.bytes());
                receive.may_read.wake();
                Poll::Ready(Some(inbound))
            }
            None if self.gone.get() => Poll::Ready(None),
            None => receive.arrived.wait(cx),
        }
    }

    /// Whether the connection is read: one that owes too many answers is not.
    pub fn set_reading(&self, reading: bool) {
        if !self.receive.reading.replace(reading) && reading {
            self.restart_unfinished(Instant::now());
            self.receive.wake();
        }
    }

    /// For a transport that keeps what it has read: waits until the connection wants more.
    pub fn poll_wanted(&self, cx: &Context<'_>) -> Poll<()> {
        if self.receive.is_on() { Poll::Ready(()) } else { self.receive.arrived.wait(cx) }
    }

    /// For the transport: it lets so many more frames in. Each arrives as one [`Inbound`].
    pub fn let_in(&self, frames: u64) {
        self.receive.inside.set(self.receive.inside.get() + frames);
    }

    /// For the transport: waits until it may read. Without this a library that reads all there is and hands over
    /// a few frames at a time would hold a flood of frames without bound.
    pub fn poll_may_read(&self, cx: &Context<'_>) -> Poll<()> {
        let receive = &self.receive;
        let has_room = receive.inside.get() < INSIDE_MAX && receive.inbox_bytes.get() < INBOX_BYTES_MAX;
        if receive.is_on() && has_room { Poll::Ready(()) } else { receive.may_read.wait(cx) }
    }
}
