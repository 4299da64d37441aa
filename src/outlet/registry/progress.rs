//! Write progress: detection of slow readers, and eviction when the node is short of memory.
//!
//! A connection is a slow reader if its outbox is full, or if its socket accepts nothing of what it was offered for the `stall`
//! timeout. The rule is the same during catch-up and live delivery.

use std::time::{Duration, Instant};

use super::{Entry, Registry};
use crate::{
    error::Code,
    outlet::memory_budget::{Laggard, MemoryUse, choose_evictions},
};

/// Last write progress of a socket, as the sweep has seen it.
pub(super) struct Progress {
    write_count: u32,
    since: Instant,
}

impl Progress {
    pub(super) fn new() -> Progress {
        Progress { write_count: 0, since: Instant::now() }
    }
}

impl Entry {
    /// Records write progress. Called once a second.
    ///
    /// A dirty entry counts as progress: its socket was not offered the queued frames yet, because the outlet flushes a limited
    /// number of entries per turn.
    pub(super) fn record_progress(&mut self, now: Instant) {
        let write_count = self.io.write_count();
        if write_count != self.progress.write_count || !self.is_offered() {
            self.progress = Progress { write_count, since: now };
        }
    }

    /// Whether frames wait that the socket was offered.
    fn is_offered(&self) -> bool {
        !self.cursor_state.is_dirty() && self.io.outbox_bytes() > 0
    }

    fn stalled_for(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.progress.since)
    }

    /// Requests a close if the socket has accepted nothing for longer than `stall`.
    pub(super) fn check_progress(&self, now: Instant, stall: Duration) {
        if self.stalled_for(now) > stall {
            self.io.request_close(Code::SlowReader);
        }
    }

    /// Restarts the timeouts of the peer, because the server itself was stopped and has not seen what the peer did.
    pub(super) fn restart_timeouts(&mut self, now: Instant) {
        self.progress.since = now;
        self.io.restart_message_timeout(now);
    }

    /// The memory that this connection holds because its peer is slow. `None` for a long poll, which ends with its response.
    fn laggard(&self, slot: usize, now: Instant) -> Option<Laggard> {
        if !self.subscriber.transport.is_continuous() || self.io.close_request().is_some() {
            return None;
        }
        let outbound = if self.is_offered() { self.io.outbox_bytes() as u64 } else { 0 };
        let began = self.io.unfinished_since();
        let inbound = if began.is_some() { self.io.inbound_bytes() as u64 } else { 0 };
        let receiving_for = began.map_or(Duration::ZERO, |began| now.saturating_duration_since(began));
        let (stalled_for, code) = if outbound >= inbound {
            (self.stalled_for(now), Code::SlowReader)
        } else {
            (receiving_for, Code::OverCapacity)
        };
        let bytes = outbound + inbound;
        (bytes > 0).then_some(Laggard { slot, bytes, stalled_for, code })
    }
}

impl Registry {
    /// Memory use of this worker's connections. Closing connections are not counted: their memory is freed soon, and counting it
    /// would evict others in their place.
    pub fn memory_use(&self, now: Instant) -> MemoryUse {
        let open = self.entries.iter().filter(|(_, entry)| entry.io.close_request().is_none());
        let own = open.map(|(_, entry)| entry.io.memory_bytes() as u64).sum();
        let evictable = self.laggards(now).map(|laggard| laggard.bytes).sum();
        MemoryUse { own, evictable }
    }

    fn laggards(&self, now: Instant) -> impl Iterator<Item = Laggard> + '_ {
        self.entries.iter().filter_map(move |(slot, entry)| entry.laggard(slot, now))
    }

    /// Requests a close of slow connections until `excess` bytes will be freed. Returns how many. Their clients reconnect and
    /// catch up from the store. Connections that keep up hold nothing that could be freed.
    pub fn evict(&self, excess: u64, now: Instant) -> usize {
        if excess == 0 {
            return 0;
        }
        let evictions = choose_evictions(self.laggards(now).collect(), excess);
        evictions.iter().for_each(|laggard| self.entries[laggard.slot].io.request_close(laggard.code));
        evictions.len()
    }
}

#[cfg(test)]
#[path = "progress_tests.rs"]
mod tests;
