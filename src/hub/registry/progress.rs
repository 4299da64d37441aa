//! Progress: whether a socket takes what it is offered. There is one definition for catch-up and live: a connection for which
//! something waits and whose socket takes nothing of it for the `stall` deadline is a slow reader, as is one whose outbox is full.

use std::time::{Duration, Instant};

use super::{
    super::budget::{Holdings, Laggard, evicted},
    Registry, Seat,
};
use crate::error::Code;

/// When a socket last moved, as far as the sweep has seen.
pub(super) struct Progress {
    taken: u32,
    since: Instant,
}

impl Progress {
    pub(super) fn new() -> Progress {
        Progress { taken: 0, since: Instant::now() }
    }
}

impl Seat {
    /// Looks once a second whether the socket has moved. A socket that was not offered what waits is not to blame for it: an
    /// outlet writes to a few connections a turn, so in a large room most of them wait for theirs at any moment.
    pub(super) fn watch(&mut self, now: Instant) {
        let taken = self.line.taken();
        if taken != self.progress.taken || !self.is_offered() {
            self.progress = Progress { taken, since: now };
        }
    }

    /// Something waits, and the socket was asked to take it.
    fn is_offered(&self) -> bool {
        !self.told.waits() && self.line.outbox_bytes() > 0
    }

    fn stuck(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.progress.since)
    }

    pub(super) fn judge_progress(&self, now: Instant, stall: Duration) {
        if self.stuck(now) > stall {
            self.line.close(Code::SlowReader);
        }
    }

    /// This side stood still: what the peer did meanwhile was not seen.
    pub(super) fn excuse(&mut self, now: Instant) {
        self.progress.since = now;
        self.line.restart_unfinished(now);
    }

    /// What the connection holds because it does not keep up; nothing for a long poll, which ends with what it holds.
    fn lags(&self, slot: usize, now: Instant) -> Option<Laggard> {
        if !self.sitter.transport.is_told() || self.line.closing().is_some() {
            return None;
        }
        let waiting = if self.is_offered() { self.line.outbox_bytes() as u64 } else { 0 };
        let began = self.line.unfinished_since();
        let unfinished = if began.is_some() { self.line.received_bytes() as u64 } else { 0 };
        let arriving = began.map_or(Duration::ZERO, |began| now.saturating_duration_since(began));
        let (stuck, code) =
            if waiting >= unfinished { (self.stuck(now), Code::SlowReader) } else { (arriving, Code::OverCapacity) };
        let bytes = waiting + unfinished;
        (bytes > 0).then_some(Laggard { slot, bytes, stuck, code })
    }
}

impl Registry {
    /// What the connections of this thread hold. The memory of those that are closing is about to be free: if it counted, others
    /// would be closed in their place.
    pub fn holdings(&self, now: Instant) -> Holdings {
        let staying = self.seats.iter().filter(|(_, seat)| seat.line.closing().is_none());
        let memory = staying.map(|(_, seat)| seat.line.memory() as u64).sum();
        let held = self.laggards(now).map(|laggard| laggard.bytes).sum();
        Holdings { memory, held }
    }

    fn laggards(&self, now: Instant) -> impl Iterator<Item = Laggard> + '_ {
        self.seats.iter().filter_map(move |(slot, seat)| seat.lags(slot, now))
    }

    /// Closes connections that do not keep up until so many bytes are on their way out; how many. Their clients come back
    /// and read the store. Connections that keep up hold nothing that could be freed.
    pub fn evict(&self, excess: u64, now: Instant) -> usize {
        if excess == 0 {
            return 0;
        }
        let evicted = evicted(self.laggards(now).collect(), excess);
        evicted.iter().for_each(|laggard| self.seats[laggard.slot].line.close(laggard.code));
        evicted.len()
    }
}

#[cfg(test)]
#[path = "progress_tests.rs"]
mod tests;
