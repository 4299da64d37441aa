//! Flushing: entries with unwritten frames, and the cursor frames that go with them.
//!
//! Delivery queues a batch for every entry first. Then a limited number of entries is flushed per turn, so that a large thread does
//! not block the worker.

use std::time::{Duration, Instant};

use super::{Entry, EntryKey, Mode, Registry, SWEEP_INTERVAL};
use crate::{domain::Position, store::Head, wire::TextFrame};

/// What the client knows about its cursor.
pub(super) struct CursorState {
    /// Position up to which the client has every event: of the last cursor frame, or where live delivery or a catch-up began.
    pub(super) position: Position,
    sent_at: Instant,
    /// Whether an event was queued since the last cursor frame.
    has_news: bool,
    /// Whether frames are queued that were not offered to the socket.
    dirty: bool,
}

impl CursorState {
    /// The state after a cursor frame for `position` was sent.
    pub(super) fn sent(position: Position) -> CursorState {
        CursorState { position, sent_at: Instant::now(), has_news: false, dirty: false }
    }

    /// Whether frames are queued that were not offered to the socket.
    pub(super) fn is_dirty(&self) -> bool {
        self.dirty
    }
}

impl Entry {
    /// Whether a cursor frame is due: at most once a second after events, and once every `idle_interval` without.
    fn is_cursor_due(&self, released: Position, now: Instant, idle_interval: Duration) -> bool {
        let interval = if self.cursor_state.has_news { SWEEP_INTERVAL } else { idle_interval };
        let is_behind =
            matches!(self.mode, Mode::Live { after } if released > after) && self.cursor_state.position < released;
        // A long poll gets its cursor in the response body.
        self.subscriber.transport.is_continuous() && is_behind && now.duration_since(self.cursor_state.sent_at) >= interval
    }

    /// Marks the entry as dirty. Returns its key if it was clean.
    fn mark_dirty(&mut self, slot: usize) -> Option<EntryKey> {
        let was_dirty = std::mem::replace(&mut self.cursor_state.dirty, true);
        (!was_dirty).then_some(EntryKey { slot, generation: self.generation })
    }

    /// Marks the entry as dirty with an event. Returns its key if it was clean.
    pub(super) fn mark_dirty_with_event(&mut self, slot: usize) -> Option<EntryKey> {
        self.cursor_state.has_news = true;
        self.mark_dirty(slot)
    }

    fn enqueue_cursor(&mut self, released: Head, now: Instant, frame: TextFrame) {
        let dirty = self.cursor_state.dirty;
        self.cursor_state = CursorState { position: released.position, sent_at: now, has_news: false, dirty };
        self.io.enqueue_event(frame, released.position, released.mark);
    }
}

impl Registry {
    /// Flushes at most `entries_max` dirty entries. Returns whether more are left. `cursor` makes a cursor frame; it is given once
    /// every event up to the released position has been queued.
    pub fn flush(&mut self, now: Instant, entries_max: usize, mut cursor: Option<impl FnMut(Head) -> TextFrame>) -> bool {
        let released = self.released;
        for key in self.dirty.drain(..entries_max.min(self.dirty.len())) {
            let entry = self.entries.get_mut(key.slot).filter(|entry| entry.generation == key.generation);
            let Some(entry) = entry else { continue };
            entry.cursor_state.dirty = false;
            if let Some(cursor) = cursor.as_mut().filter(|_| entry.is_cursor_due(released.position, now, Duration::MAX)) {
                entry.enqueue_cursor(released, now, cursor(released));
            }
            entry.io.flush();
        }
        self.has_dirty()
    }

    /// Whether any entry has unwritten frames.
    pub fn has_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// Queues the cursor frames that are due and were not sent with an event.
    pub(super) fn enqueue_cursors(
        &mut self,
        now: Instant,
        idle_interval: Duration,
        mut cursor: impl FnMut(Head) -> TextFrame,
    ) {
        let released = self.released;
        for (slot, entry) in &mut self.entries {
            if entry.is_cursor_due(released.position, now, idle_interval) {
                entry.enqueue_cursor(released, now, cursor(released));
                self.dirty.extend(entry.mark_dirty(slot));
            } else if !entry.cursor_state.has_news {
                entry.io.shrink();
            }
        }
    }
}
