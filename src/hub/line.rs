//! The line between a connection, its transport and the outlet: outbox and inbox of one socket, and the wish to close it.
//!
//! All three live on one thread. Inside a borrow here something is queued, a flag set or a task woken; nothing runs.

mod receive;

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    io::{self, IoSlice},
    rc::Rc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use actix_http::ws::CloseReason;

use self::receive::Receive;
use super::{
    closing::Closing,
    outbox::{Full, Out, Outbox},
    sleeper::Sleeper,
    transport::Flush,
};
use crate::{
    domain::{Limits, Position},
    error::Code,
    wire::TextFrame,
};

/// How long a connection that closes may take for its last words before it is cut.
pub const LAST_WORDS: Duration = Duration::from_secs(1);

/// How far the last frame is, after which nothing may follow (RFC 6455 section 5.5.1).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    NotYet,
    Queued,
    Written,
}

/// Pieces of one vectored write.
const PIECES: usize = 64;

/// One socket's queues.
pub struct Line {
    outbox: RefCell<Outbox>,
    direct: RefCell<Option<Rc<dyn Flush>>>,
    out: Sleeper,
    room: Sleeper,
    /// Counts how often the socket took something; wraps around.
    taken: Cell<u32>,
    receive: Receive,
    closing: Cell<Option<Closing>>,
    last: Cell<Last>,
    close_asked: Sleeper,
    gone: Cell<bool>,
    ended: Sleeper,
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
            direct: RefCell::new(None),
            out: Sleeper::default(),
            room: Sleeper::default(),
            taken: Cell::new(0),
            receive: Receive::default(),
            closing: Cell::new(None),
            last: Cell::new(Last::NotYet),
            close_asked: Sleeper::default(),
            gone: Cell::new(false),
            ended: Sleeper::default(),
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
    pub fn send(&self, frame: TextFrame) {
        self.push(Out::Text(frame));
        self.out.wake();
    }

    /// Queues a binary frame: for other contracts than ours, which has none.
    pub fn send_binary(&self, data: &[u8]) {
        self.push(Out::binary(data));
        self.out.wake();
    }

    /// The same as [`Line::send`], for a frame that brings the peer to a place in the log.
    pub fn event(&self, frame: TextFrame, position: Position, mark: u32) {
        self.queue_event(frame, position, mark);
        self.out.wake();
    }

    /// Queues an event and wakes nobody: a [`Line::flush`] follows when more have been queued.
    pub fn queue_event(&self, frame: TextFrame, position: Position, mark: u32) {
        self.push(Out::Event { frame, position, mark });
    }

    /// Queues an event of a page that was read because there was room for it: it is never too much.
    pub fn replay(&self, frame: TextFrame, position: Position, mark: u32) {
        if self.is_open() {
            self.outbox.borrow_mut().force(Out::Event { frame, position, mark });
            self.out.wake();
        }
    }

    fn push(&self, out: Out) {
        if self.is_open() && self.outbox.borrow_mut().push(out).is_err() {
            self.close(Code::SlowReader);
        }
    }

    /// Gets what is queued on its way: written at once where the transport takes it directly.
    pub fn flush(&self) {
        match &*self.direct.borrow() {
            Some(direct) => direct.flush(self),
            None => self.out.wake(),
        }
    }

    fn is_open(&self) -> bool {
        self.closing.get().is_none() && self.last.get() == Last::NotYet
    }

    /// From now on a socket takes frames directly.
    pub fn attach(&self, direct: Rc<dyn Flush>) {
        *self.direct.borrow_mut() = Some(direct);
    }

    /// A feed begins. Before that the peer has not been told who it is, and nothing may come before it is.
    pub fn begin(&self) {
        self.begun.set(true);
    }

    /// Queues a text frame that must not be lost, once a feed begins: before that the peer knows nothing that it could change.
    pub fn send_once_begun(&self, frame: TextFrame) {
        if self.begun.get() {
            self.send(frame);
        }
    }

    /// Queues a text frame that is dropped where the outbox is half full: a slow reader needs the room for events. It is
    /// dropped before a feed begins, too.
    pub fn send_ephemeral(&self, frame: TextFrame) {
        if self.begun.get() && self.is_open() && self.outbox.borrow_mut().push_ephemeral(Out::Text(frame)).is_ok() {
            self.out.wake();
        }
    }

    /// Queues a protocol ping, if there is room; without room the reader is slow and will be noticed.
    pub fn ping(&self) {
        if self.last.get() == Last::NotYet {
            let _: Result<(), Full> = self.outbox.borrow_mut().push(Out::Ping);
            self.out.wake();
        }
    }

    /// When the transport took a ping that is still unanswered; none while we do not listen for the answer.
    pub fn pinged(&self) -> Option<Instant> {
        self.pinged.get().filter(|_| self.receive.is_on())
    }

    /// Queues the answer to the peer's ping.
    pub fn pong(&self, data: &[u8]) {
        if self.last.get() == Last::NotYet {
            self.outbox.borrow_mut().push_pong(data);
            self.out.wake();
        }
    }

    /// Queues the last words; what waits is dropped if the reader is slow.
    pub fn finish(&self, closing: Closing) {
        self.end(closing, Out::bye(closing));
    }

    /// Queues the close frame alone, for a peer who would not know the last words of our contract.
    pub fn finish_without_words(&self, closing: Closing) {
        self.end(closing, Out::close(closing));
    }

    fn end(&self, closing: Closing, last: Out) {
        if self.last.replace(Last::Queued) != Last::NotYet {
            return;
        }
        let mut outbox = self.outbox.borrow_mut();
        if closing.code == Code::SlowReader {
            outbox.clear();
        }
        // If even they do not fit, what waits gives way to them.
        if outbox.push(last.clone()).is_err() {
            outbox.clear();
            outbox.force(last);
        }
        drop(outbox);
        self.out.wake();
    }

    /// Queues the answer to the peer's close frame; what waits is dropped, for the peer listens no more.
    pub fn answer_close(&self, reason: Option<CloseReason>) {
        let mut outbox = self.outbox.borrow_mut();
        outbox.clear();
        // Our own close frame, if it is on its way, is the answer.
        if !outbox.ends() && self.last.get() != Last::Written {
            outbox.force(Out::closed(reason));
        }
        if self.last.get() == Last::NotYet {
            self.last.set(Last::Queued);
        }
    }

    /// For the transport: the next frame to write.
    pub fn poll_out(&self, cx: &Context<'_>) -> Poll<Out> {
        let mut outbox = self.outbox.borrow_mut();
        let Some(out) = outbox.pop() else { return self.out.wait(cx) };
        self.left(&out);
        self.progress();
        if outbox.has_room() {
            self.room.wake();
        }
        Poll::Ready(out)
    }

    /// For a transport that writes bytes: hands them over, oldest first, until all are taken or `write` takes no more. Ready
    /// when nothing is left: whether the last words were among it.
    ///
    /// # Errors
    /// What `write` failed with.
    pub fn poll_write(&self, mut write: impl FnMut(&[IoSlice]) -> Poll<io::Result<usize>>) -> Poll<io::Result<bool>> {
        loop {
            let mut outbox = self.outbox.borrow_mut();
            let mut pieces = [IoSlice::new(&[]); PIECES];
            let count = outbox.slices(&mut pieces);
            if count == 0 {
                return Poll::Ready(Ok(self.last.get() == Last::Written));
            }
            match ready!(write(&pieces[..count]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                bytes => outbox.wrote(bytes, |out| {
                    self.left(out);
                    if out.is_last() {
                        self.last.set(Last::Written);
                    }
                }),
            }
            self.progress();
            if outbox.has_room() {
                self.room.wake();
            }
        }
    }

    fn progress(&self) {
        self.taken.set(self.taken.get().wrapping_add(1));
    }

    /// A frame is on its way.
    fn left(&self, out: &Out) {
        if *out == Out::Ping && self.pinged.get().is_none() {
            self.pinged.set(Some(Instant::now()));
        }
    }

    /// For a transport that writes bytes: waits until something is queued.
    pub fn poll_queued(&self, cx: &Context<'_>) -> Poll<()> {
        if self.outbox.borrow().is_empty() { self.out.wait(cx) } else { Poll::Ready(()) }
    }

    /// Waits until there is a frame to write.
    pub async fn holds_something(&self) {
        poll_fn(|cx| self.poll_queued(cx)).await;
    }

    /// Waits until a catch-up may read and queue its next page.
    pub async fn has_room(&self) {
        poll_fn(|cx| self.poll_room(cx)).await;
    }

    /// The same.
    pub fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        if self.gone.get() || self.outbox.borrow().has_room() { Poll::Ready(()) } else { self.room.wait(cx) }
    }

    /// For one that says nothing: gives back the room that nothing needs.
    pub fn settle(&self) {
        self.outbox.borrow_mut().settle();
    }

    /// Bytes that wait in the outbox.
    pub fn outbox_bytes(&self) -> usize {
        self.outbox.borrow().bytes()
    }

    /// Bytes of memory that this connection alone takes for what it sends and receives.
    pub fn memory(&self) -> usize {
        self.outbox.borrow().memory() + self.receive.memory()
    }

    /// A number that changes whenever the socket takes something.
    pub fn taken(&self) -> u32 {
        self.taken.get()
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
        *self.direct.borrow_mut() = None;
        self.receive.wake();
        for sleeper in [&self.room, &self.out, &self.ended] {
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
#[path = "line_tests.rs"]
mod tests;
