//! I/O state of one connection, shared by its transport, its connection task and the outlet: outbound queue, inbound queue and
//! close request.
//!
//! All users of a [`ConnectionIo`] run on one worker thread. A method queues data, sets a flag or wakes a task. It runs
//! the code of the transport in three places only: [`DirectWriter::write_now`] in [`ConnectionIo::flush`], the function set by
//! [`ConnectionIo::set_abort`], and the `write` passed to [`ConnectionIo::poll_write`], which runs inside the borrow of the outbox.
//!
//! Invariants:
//! - Nothing follows a `bye` or close frame (RFC 6455 section 5.5.1).
//! - The first close request wins. Only the connection task acts on it.
//! - A full outbox is a close request with `slow_reader`. While the connection is open, no frame is dropped
//!   silently, except ephemeral frames, pings and pongs.
//!
//! Decisions: `src/docs/decisions/transport.md`.

mod closing;
mod inbox;
mod outbox;
mod waker_slot;

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    io::{self, IoSlice},
    rc::Rc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use actix_http::ws::CloseReason;

pub use self::{
    closing::Closing,
    inbox::Inbound,
    outbox::{Outbound, Outbox, OutboxFull, close_reason},
};
use self::{inbox::Inbox, waker_slot::WakerSlot};
use crate::{
    domain::{Limits, Position},
    error::Code,
    wire::TextFrame,
};

/// Time in which a closing connection must take its `bye` and close frame before its TCP connection is aborted.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Slices of one vectored write.
const SLICES_MAX: usize = 64;

/// Progress of the last frame of a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum LastFrame {
    NotQueued,
    Queued,
    Written,
}

/// A transport that can write at once, outside its own task.
pub trait DirectWriter {
    /// Writes as much of the outbox as the socket accepts now. The transport's own task writes the rest and handles errors.
    fn write_now(&self, io: &ConnectionIo);
}

/// I/O state of one connection.
pub struct ConnectionIo {
    outbox: RefCell<Outbox>,
    direct_writer: RefCell<Option<Rc<dyn DirectWriter>>>,
    /// The transport task, waiting for a frame to write.
    frame_queued: WakerSlot,
    /// The catch-up task, waiting for room for a page.
    page_room: WakerSlot,
    /// Number of writes that the socket accepted; wraps around.
    write_count: Cell<u32>,
    inbox: Inbox,
    close_request: Cell<Option<Closing>>,
    last_frame: Cell<LastFrame>,
    close_requested: WakerSlot,
    transport_ended: Cell<bool>,
    transport_end: WakerSlot,
    /// Time at which the oldest unanswered ping was written.
    ping_written_at: Cell<Option<Instant>>,
    abort: RefCell<Option<Box<dyn FnOnce()>>>,
    /// Whether the feed has started: from then on `connection_established` precedes every frame that is queued.
    feed_started: Cell<bool>,
}

impl ConnectionIo {
    /// State of a connection whose inbound frames are not read yet.
    pub fn new(limits: &Limits) -> ConnectionIo {
        ConnectionIo {
            outbox: RefCell::new(Outbox::new(limits.outbox_bytes, limits.outbox_frames)),
            direct_writer: RefCell::new(None),
            frame_queued: WakerSlot::default(),
            page_room: WakerSlot::default(),
            write_count: Cell::new(0),
            inbox: Inbox::default(),
            close_request: Cell::new(None),
            last_frame: Cell::new(LastFrame::NotQueued),
            close_requested: WakerSlot::default(),
            transport_ended: Cell::new(false),
            transport_end: WakerSlot::default(),
            ping_written_at: Cell::new(None),
            abort: RefCell::new(None),
            feed_started: Cell::new(false),
        }
    }

    /// Sets the function that closes the TCP connection without the peer's cooperation.
    pub fn set_abort(&self, abort: impl FnOnce() + 'static) {
        *self.abort.borrow_mut() = Some(Box::new(abort));
    }

    /// Closes the TCP connection now, without waiting for the peer.
    pub fn abort(&self) {
        let abort = self.abort.borrow_mut().take();
        if let Some(abort) = abort {
            abort();
        }
        self.mark_transport_ended();
    }

    // Outbound frames.

    /// Queues a text frame and wakes the transport. Requests a close with `slow_reader` if the outbox is full.
    pub fn send(&self, frame: TextFrame) {
        self.enqueue(Outbound::Text(frame));
        self.frame_queued.wake();
    }

    /// Queues a binary frame. Only contracts other than Hailgate's own use it.
    pub fn send_binary(&self, data: &[u8]) {
        self.enqueue(Outbound::binary(data));
        self.frame_queued.wake();
    }

    /// Queues an event frame and wakes the transport. The client's cursor moves to `position` with it.
    pub fn send_event(&self, frame: TextFrame, position: Position, mark: u32) {
        self.enqueue_event(frame, position, mark);
        self.frame_queued.wake();
    }

    /// Queues an event frame without waking the transport. The caller calls [`ConnectionIo::flush`] after the last one.
    pub fn enqueue_event(&self, frame: TextFrame, position: Position, mark: u32) {
        self.enqueue(Outbound::Event { frame, position, mark });
    }

    /// Queues an event of a catch-up page regardless of the limits: the page was read because there was room for it.
    pub fn send_replayed(&self, frame: TextFrame, position: Position, mark: u32) {
        if self.is_open() {
            self.outbox.borrow_mut().force(Outbound::Event { frame, position, mark });
            self.frame_queued.wake();
        }
    }

    fn enqueue(&self, frame: Outbound) {
        if self.is_open() && self.outbox.borrow_mut().push(frame).is_err() {
            self.request_close(Code::SlowReader);
        }
    }

    /// Writes queued frames: at once through the direct writer if the transport has one, else by waking its task.
    pub fn flush(&self) {
        match &*self.direct_writer.borrow() {
            Some(writer) => writer.write_now(self),
            None => self.frame_queued.wake(),
        }
    }

    fn is_open(&self) -> bool {
        self.close_request.get().is_none() && self.last_frame.get() == LastFrame::NotQueued
    }

    /// Sets the direct writer of the transport.
    pub fn attach_direct_writer(&self, writer: Rc<dyn DirectWriter>) {
        *self.direct_writer.borrow_mut() = Some(writer);
    }

    /// Marks the feed as started. Before that, the client has not received `connection_established`, which must come first.
    pub fn start_feed(&self) {
        self.feed_started.set(true);
    }

    /// Queues a text frame that must not be lost, if the feed has started. Before that, the client has no state that the frame
    /// could change.
    pub fn send_after_start(&self, frame: TextFrame) {
        if self.feed_started.get() {
            self.send(frame);
        }
    }

    /// Queues an ephemeral text frame. Drops it before the feed starts, and if the outbox is half full: a slow reader needs the
    /// rest for events.
    pub fn send_ephemeral(&self, frame: TextFrame) {
        if self.feed_started.get()
            && self.is_open()
            && self.outbox.borrow_mut().push_ephemeral(Outbound::Text(frame)).is_ok()
        {
            self.frame_queued.wake();
        }
    }

    /// Queues a ping. Drops it if the outbox is full: then the progress timeout detects a dead peer.
    pub fn ping(&self) {
        if self.last_frame.get() == LastFrame::NotQueued {
            let _: Result<(), OutboxFull> = self.outbox.borrow_mut().push(Outbound::Ping);
            self.frame_queued.wake();
        }
    }

    /// Time at which the oldest unanswered ping was written. `None` while inbound frames are not read, because the pong may be
    /// among them.
    pub fn ping_written_at(&self) -> Option<Instant> {
        self.ping_written_at.get().filter(|_| self.inbox.is_read())
    }

    /// Queues a pong with the data of the peer's ping.
    pub fn pong(&self, data: &[u8]) {
        if self.last_frame.get() == LastFrame::NotQueued {
            self.outbox.borrow_mut().push_pong(data);
            self.frame_queued.wake();
        }
    }

    /// Queues `bye` and the close frame. Frames queued before are dropped if the reader is slow.
    pub fn send_bye(&self, closing: Closing) {
        self.send_last(closing, Outbound::bye(closing));
    }

    /// Queues the close frame without `bye`, for contracts other than Hailgate's own.
    pub fn send_close(&self, closing: Closing) {
        self.send_last(closing, Outbound::close(closing));
    }

    fn send_last(&self, closing: Closing, last: Outbound) {
        if self.last_frame.replace(LastFrame::Queued) != LastFrame::NotQueued {
            return;
        }
        let mut outbox = self.outbox.borrow_mut();
        if closing.code == Code::SlowReader {
            outbox.clear();
        }
        // If the last frame does not fit, the queued frames are dropped for it.
        if outbox.push(last.clone()).is_err() {
            outbox.clear();
            outbox.force(last);
        }
        drop(outbox);
        self.frame_queued.wake();
    }

    /// Queues the answer to the peer's close frame and drops every frame queued before: the peer reads no further.
    pub fn answer_close(&self, reason: Option<CloseReason>) {
        let mut outbox = self.outbox.borrow_mut();
        outbox.clear();
        // A close frame of ours that is partly written already is the answer.
        if !outbox.ends() && self.last_frame.get() != LastFrame::Written {
            outbox.force(Outbound::close_answer(reason));
        }
        if self.last_frame.get() == LastFrame::NotQueued {
            self.last_frame.set(LastFrame::Queued);
        }
    }

    // For the transport.

    /// Takes the next frame to write.
    pub fn poll_next(&self, cx: &Context<'_>) -> Poll<Outbound> {
        let mut outbox = self.outbox.borrow_mut();
        let Some(frame) = outbox.pop() else { return self.frame_queued.wait(cx) };
        self.on_frame_written(&frame);
        self.on_progress(&outbox);
        Poll::Ready(frame)
    }

    /// Passes queued bytes to `write`, oldest first, until the outbox is empty or `write` is pending. Ready when the outbox is
    /// empty, with `true` if the last frame of the connection was written.
    ///
    /// # Errors
    /// The error of `write`.
    pub fn poll_write(&self, mut write: impl FnMut(&[IoSlice]) -> Poll<io::Result<usize>>) -> Poll<io::Result<bool>> {
        loop {
            let mut outbox = self.outbox.borrow_mut();
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let count = outbox.slices(&mut slices);
            if count == 0 {
                return Poll::Ready(Ok(self.last_frame.get() == LastFrame::Written));
            }
            match ready!(write(&slices[..count]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                bytes => outbox.advance(bytes, |frame| {
                    self.on_frame_written(frame);
                    if frame.is_last() {
                        self.last_frame.set(LastFrame::Written);
                    }
                }),
            }
            self.on_progress(&outbox);
        }
    }

    fn on_progress(&self, outbox: &Outbox) {
        self.write_count.set(self.write_count.get().wrapping_add(1));
        if outbox.has_page_room() {
            self.page_room.wake();
        }
    }

    fn on_frame_written(&self, frame: &Outbound) {
        if *frame == Outbound::Ping && self.ping_written_at.get().is_none() {
            self.ping_written_at.set(Some(Instant::now()));
        }
    }

    /// Waits until a frame is queued.
    pub fn poll_queued(&self, cx: &Context<'_>) -> Poll<()> {
        if self.outbox.borrow().is_empty() { self.frame_queued.wait(cx) } else { Poll::Ready(()) }
    }

    /// Waits until a frame is queued.
    pub async fn has_queued(&self) {
        poll_fn(|cx| self.poll_queued(cx)).await;
    }

    /// Waits until there is room for another catch-up page, or the transport has ended.
    pub async fn has_page_room(&self) {
        poll_fn(|cx| self.poll_page_room(cx)).await;
    }

    /// Polls for room for another catch-up page, or the end of the transport.
    pub fn poll_page_room(&self, cx: &Context<'_>) -> Poll<()> {
        let ready = self.transport_ended.get() || self.outbox.borrow().has_page_room();
        if ready { Poll::Ready(()) } else { self.page_room.wait(cx) }
    }

    // For the outlet's sweep.

    /// Frees the capacity of an empty outbox.
    pub fn shrink(&self) {
        self.outbox.borrow_mut().shrink();
    }

    /// Bytes queued in the outbox.
    pub fn outbox_bytes(&self) -> usize {
        self.outbox.borrow().bytes()
    }

    /// Bytes of memory that exist for this connection alone, in both directions. Frames shared with other connections are not
    /// counted.
    pub fn memory_bytes(&self) -> usize {
        self.outbox.borrow().memory_bytes() + self.inbox.memory_bytes()
    }

    /// Number of writes that the socket accepted. Changes with every write; wraps around.
    pub fn write_count(&self) -> u32 {
        self.write_count.get()
    }

    // Closing.

    /// Requests that the connection closes. The first request wins; the connection task acts on it.
    pub fn request_close(&self, closing: impl Into<Closing>) {
        if self.close_request.get().is_none() {
            self.close_request.set(Some(closing.into()));
            self.close_requested.wake();
        }
    }

    /// The close request, if there is one.
    pub fn close_request(&self) -> Option<Closing> {
        self.close_request.get()
    }

    /// Waits for a close request.
    pub async fn close_requested(&self) -> Closing {
        poll_fn(|cx| match self.close_request.get() {
            Some(closing) => Poll::Ready(closing),
            None => self.close_requested.wait(cx),
        })
        .await
    }

    /// Marks the transport as ended and wakes every waiting task. Called by the transport.
    pub fn mark_transport_ended(&self) {
        self.transport_ended.set(true);
        *self.direct_writer.borrow_mut() = None;
        self.inbox.wake_all();
        for slot in [&self.page_room, &self.frame_queued, &self.transport_end] {
            slot.wake();
        }
    }

    /// Waits until the transport has ended.
    pub async fn transport_ended(&self) {
        poll_fn(|cx| if self.transport_ended.get() { Poll::Ready(()) } else { self.transport_end.wait(cx) }).await;
    }

    /// Whether the transport has ended.
    pub fn has_transport_ended(&self) -> bool {
        self.transport_ended.get()
    }
}

#[cfg(test)]
mod tests;
