//! Inbound half of a connection: frames that wait for the connection task, read backpressure, and signs of life.
//!
//! Invariant: the transport stops reading at 16 frames or 64 KiB of complete messages that wait, and while the connection task
//! does not read. The TCP receive window then holds the peer back.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    task::{Context, Poll},
    time::Instant,
};

use bytes::Bytes;
use bytestring::ByteString;

use super::{ConnectionIo, WakerSlot};
use crate::error::Code;

/// Waiting frames at which the transport stops reading.
const FRAMES_MAX: u64 = 16;
/// Bytes of complete messages that wait, at which the transport stops reading.
const BYTES_MAX: usize = 64 * 1024;

/// An inbound frame, or the end of the inbound stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inbound {
    /// A complete text message.
    Text(ByteString),
    /// A complete binary message, if the contract allows them.
    Binary(Bytes),
    /// A ping or a pong.
    Control,
    /// A fragment that does not complete a message.
    Fragment,
    /// The peer's close frame; the transport has answered it.
    Closed,
    /// A protocol violation, with the code to close with.
    Fault(Code),
}

impl Inbound {
    fn bytes(&self) -> usize {
        match self {
            Inbound::Text(text) => text.len(),
            Inbound::Binary(data) => data.len(),
            Inbound::Control | Inbound::Fragment | Inbound::Closed | Inbound::Fault(_) => 0,
        }
    }
}

/// Inbound state of one connection.
pub(super) struct Inbox {
    queue: RefCell<VecDeque<Inbound>>,
    /// Bytes of the messages in `queue`.
    queue_bytes: Cell<usize>,
    frame_arrived: WakerSlot,
    /// Whether the connection task reads.
    reading: Cell<bool>,
    /// Frames that the transport has admitted and the connection task has not taken.
    frames: Cell<u64>,
    may_read: WakerSlot,
    last_activity: Cell<Instant>,
    /// The incomplete message: its number on this connection, and when its first byte arrived.
    unfinished: Cell<Option<(u64, Instant)>>,
    /// Bytes in the transport's read buffer.
    buffered: Cell<usize>,
}

impl Default for Inbox {
    fn default() -> Inbox {
        Inbox {
            queue: RefCell::default(),
            queue_bytes: Cell::new(0),
            frame_arrived: WakerSlot::default(),
            reading: Cell::new(false),
            frames: Cell::new(0),
            may_read: WakerSlot::default(),
            last_activity: Cell::new(Instant::now()),
            unfinished: Cell::new(None),
            buffered: Cell::new(0),
        }
    }
}

impl Inbox {
    /// Whether the connection task reads.
    pub(super) fn is_read(&self) -> bool {
        self.reading.get()
    }

    /// Bytes of memory in use.
    pub(super) fn memory_bytes(&self) -> usize {
        self.queue_bytes.get() + self.buffered.get()
    }

    /// Wakes every waiting task.
    pub(super) fn wake_all(&self) {
        self.frame_arrived.wake();
        self.may_read.wake();
    }
}

impl ConnectionIo {
    /// Queues an inbound frame for the connection task. Called by the transport.
    pub fn push_inbound(&self, inbound: Inbound) {
        self.record_inbound(&inbound);
        let inbox = &self.inbox;
        inbox.queue_bytes.set(inbox.queue_bytes.get() + inbound.bytes());
        inbox.queue.borrow_mut().push_back(inbound);
        inbox.frame_arrived.wake();
    }

    /// Records a sign of life, unless the frame is a fragment: an incomplete message is none.
    pub fn record_inbound(&self, inbound: &Inbound) {
        if *inbound != Inbound::Fragment {
            self.record_activity();
        }
    }

    /// Records a sign of life of the peer.
    pub fn record_activity(&self) {
        self.inbox.last_activity.set(Instant::now());
        self.ping_written_at.set(None);
    }

    /// Time of the peer's last sign of life.
    pub fn last_activity(&self) -> Instant {
        self.inbox.last_activity.get()
    }

    /// Sets the number of the incomplete message, or `None`. The message timeout starts when the number changes.
    pub fn set_unfinished(&self, message: Option<u64>) {
        let unfinished = &self.inbox.unfinished;
        if unfinished.get().map(|(number, _)| number) != message {
            unfinished.set(message.map(|number| (number, Instant::now())));
        }
    }

    /// Sets the bytes in the transport's read buffer.
    pub fn set_buffered(&self, bytes: usize) {
        self.inbox.buffered.set(bytes);
    }

    /// Start of the incomplete message. `None` while the connection task does not read.
    pub fn unfinished_since(&self) -> Option<Instant> {
        self.inbox.unfinished.get().filter(|_| self.inbox.is_read()).map(|(_, since)| since)
    }

    /// Restarts the message timeout, because the server did not read for a while.
    pub fn restart_message_timeout(&self, now: Instant) {
        if let Some((number, _)) = self.inbox.unfinished.get() {
            self.inbox.unfinished.set(Some((number, now)));
        }
    }

    /// Bytes of memory that inbound data takes.
    pub fn inbound_bytes(&self) -> usize {
        self.inbox.memory_bytes()
    }

    /// Takes the next inbound frame; `None` after the transport has ended. Called by the connection task.
    pub fn poll_inbound(&self, cx: &Context<'_>) -> Poll<Option<Inbound>> {
        let inbox = &self.inbox;
        if !inbox.is_read() && !self.transport_ended.get() {
            return inbox.frame_arrived.wait(cx);
        }
        match inbox.queue.borrow_mut().pop_front() {
            Some(inbound) => {
                inbox.frames.set(inbox.frames.get().saturating_sub(1));
                inbox.queue_bytes.set(inbox.queue_bytes.get() - inbound.bytes());
                inbox.may_read.wake();
                Poll::Ready(Some(inbound))
            }
            None if self.transport_ended.get() => Poll::Ready(None),
            None => inbox.frame_arrived.wait(cx),
        }
    }

    /// Sets whether the connection task reads. It does not while too many of its commands are unanswered.
    pub fn set_reading(&self, reading: bool) {
        if !self.inbox.reading.replace(reading) && reading {
            self.restart_message_timeout(Instant::now());
            self.inbox.wake_all();
        }
    }

    /// Waits until the connection task reads. For a transport with a read buffer of its own.
    pub fn poll_read_wanted(&self, cx: &Context<'_>) -> Poll<()> {
        if self.inbox.is_read() { Poll::Ready(()) } else { self.inbox.frame_arrived.wait(cx) }
    }

    /// Counts frames that the transport has read. Each is passed to [`ConnectionIo::push_inbound`] later.
    pub fn admit_frames(&self, frames: u64) {
        self.inbox.frames.set(self.inbox.frames.get() + frames);
    }

    /// Waits until the transport may read. Without this, a library that reads everything available and passes on a few frames at
    /// a time would buffer a flood of frames without limit.
    pub fn poll_may_read(&self, cx: &Context<'_>) -> Poll<()> {
        let inbox = &self.inbox;
        let has_room = inbox.frames.get() < FRAMES_MAX && inbox.queue_bytes.get() < BYTES_MAX;
        if inbox.is_read() && has_room { Poll::Ready(()) } else { inbox.may_read.wait(cx) }
    }
}
