//! What was queued for seats and is not on its way yet, and the cursors that go with it: of all the seats for which a batch
//! had something, a few at a time are written, so that a large thread does not stall a worker.

use std::time::{Duration, Instant};

use super::{Mode, Registry, SWEEP, Seat, SeatKey};
use crate::{domain::Position, store::Head, wire::TextFrame};

/// Where a seat's client is, as far as it was told.
pub(super) struct Told {
    /// Every event of its user at or below it was sent, and it knows.
    pub(super) at: Position,
    when: Instant,
    /// Whether an event was queued since.
    news: bool,
    /// Whether something is queued that is not on its way.
    waits: bool,
}

impl Told {
    /// Told just now.
    pub(super) fn now(at: Position) -> Told {
        Told { at, when: Instant::now(), news: false, waits: false }
    }

    /// Whether something is queued that the socket was not offered yet.
    pub(super) fn waits(&self) -> bool {
        self.waits
    }
}

impl Seat {
    /// Whether the client is to be told where it is: at most once a second where events came, seldom where none did.
    fn owes_cursor(&self, released: Position, now: Instant, seldom: Duration) -> bool {
        let patience = if self.told.news { SWEEP } else { seldom };
        let live_after = matches!(self.mode, Mode::Live { after } if released > after);
        // A long poll has its place from the answer.
        self.sitter.transport.is_told()
            && live_after
            && self.told.at < released
            && now.duration_since(self.told.when) >= patience
    }

    /// Something is queued for it; its key, if it was the first since the seat was written.
    fn waits(&mut self, slot: usize) -> Option<SeatKey> {
        let before = std::mem::replace(&mut self.told.waits, true);
        (!before).then_some(SeatKey { slot, generation: self.generation })
    }

    /// The same, for an event.
    pub(super) fn has_news(&mut self, slot: usize) -> Option<SeatKey> {
        self.told.news = true;
        self.waits(slot)
    }

    fn tell_cursor(&mut self, released: Head, now: Instant, frame: TextFrame) {
        self.told = Told { at: released.position, when: now, news: false, waits: self.told.waits };
        self.line.queue_event(frame, released.position, released.mark);
    }
}

impl Registry {
    /// Writes to the seats that something was queued for, so many at most; whether more are left. With `cursor`, which makes
    /// the frame of one, everything up to where this thread has come has been queued.
    pub fn flush(&mut self, now: Instant, most: usize, mut cursor: Option<impl FnMut(Head) -> TextFrame>) -> bool {
        let released = self.released;
        for key in self.unwritten.drain(..most.min(self.unwritten.len())) {
            let seat = self.seats.get_mut(key.slot).filter(|seat| seat.generation == key.generation);
            let Some(seat) = seat else { continue };
            seat.told.waits = false;
            if let Some(cursor) = cursor.as_mut().filter(|_| seat.owes_cursor(released.position, now, Duration::MAX)) {
                seat.tell_cursor(released, now, cursor(released));
            }
            seat.line.flush();
        }
        self.has_unwritten()
    }

    /// Whether something is queued that is not on its way.
    pub fn has_unwritten(&self) -> bool {
        !self.unwritten.is_empty()
    }

    /// Tells where they are those who were not told with what came for them.
    pub(super) fn tell_cursors(&mut self, now: Instant, seldom: Duration, mut cursor: impl FnMut(Head) -> TextFrame) {
        let released = self.released;
        for (slot, seat) in &mut self.seats {
            if seat.owes_cursor(released.position, now, seldom) {
                seat.tell_cursor(released, now, cursor(released));
                self.unwritten.extend(seat.waits(slot));
            } else if !seat.told.news {
                seat.line.settle();
            }
        }
    }
}
