//! Delivery of read markers to the connections of their user.
//!
//! A live connection receives a marker like an event; one that catches up reads it from the store. A marker has no position of its
//! own, so an entry that catches up records that one was published meanwhile.

use super::{EntryKey, Mode, Registry};
use crate::{
    domain::{Position, UserId},
    error::Code,
    wire::SealedMarker,
};

/// Markers that a connection must read from the store while it catches up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PendingMarkers {
    /// Markers that moved at this position or later are pending.
    from: Position,
    /// Whether a marker was published since the current page was requested.
    pub(super) missed: bool,
}

impl PendingMarkers {
    /// No marker is pending.
    pub(super) const NONE: PendingMarkers = PendingMarkers { from: Position(u64::MAX), missed: false };
}

impl Registry {
    /// Records that a catch-up page after a position is about to be read. Returns the position from which markers must be read
    /// with it.
    pub fn begin_page(&mut self, key: EntryKey, after: Position) -> Position {
        let Some(entry) = self.entry(key) else { return after };
        entry.pending_markers = PendingMarkers { from: entry.pending_markers.from.min(after), missed: false };
        entry.pending_markers.from
    }

    /// Whether the current page contains every marker.
    pub(super) fn has_all_markers(&mut self, key: EntryKey) -> bool {
        self.entry(key).is_none_or(|entry| !entry.pending_markers.missed)
    }

    /// Queues a marker for the connections of its user, in log order.
    pub fn deliver_marker(&mut self, marker: &SealedMarker) {
        let Some(&number) = self.by_id.get(&marker.user) else { return };
        for slot in &self.users[number].entries {
            let entry = &mut self.entries[*slot];
            match entry.mode {
                // A marker before the position that the catch-up has read was read with it; its unread count is outdated.
                Mode::Live { after } if marker.at >= after => {
                    if entry.subscriber.has_expired(self.now) {
                        entry.io.request_close(Code::CredentialsExpired);
                    } else {
                        entry.io.send(marker.frame.clone());
                    }
                }
                Mode::Live { .. } => {}
                Mode::Joining | Mode::CatchingUp => entry.pending_markers.missed = true,
            }
        }
    }

    /// Makes the connections of a user read the markers from the store that moved at a position or later.
    pub fn reread_markers(&mut self, user: &UserId, from: Position) {
        let Some(&number) = self.by_id.get(user) else { return };
        for slot in self.users[number].entries.clone() {
            let pending = &mut self.entries[slot].pending_markers;
            pending.from = pending.from.min(from);
            self.start_catch_up(slot);
        }
    }
}
