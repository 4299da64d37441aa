//! Read markers at the seats of their user. Like an event, a marker is told to a live seat and read from the store by one
//! that catches up; unlike one, it has no position of its own. So a seat that catches up notes that one has passed by.

use super::{Mode, Registry, SeatKey};
use crate::{
    domain::{Position, UserId},
    error::Code,
    wire::SealedMarker,
};

/// What a seat that catches up owes its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owed {
    /// Markers that have moved at this position or after it.
    from: Position,
    /// Whether one has passed by since the page under way was begun.
    pub(super) passed: bool,
}

impl Owed {
    /// Nothing: every marker so far was told.
    pub(super) const NOTHING: Owed = Owed { from: Position(u64::MAX), passed: false };
}

impl Registry {
    /// A page of a catch-up is about to be read after a position: since when markers have to be read with it.
    pub fn begin_page(&mut self, key: SeatKey, after: Position) -> Position {
        let Some(seat) = self.seat(key) else { return after };
        seat.owed = Owed { from: seat.owed.from.min(after), passed: false };
        seat.owed.from
    }

    /// Whether the page under way has every marker.
    pub(super) fn owes_nothing_more(&mut self, key: SeatKey) -> bool {
        self.seat(key).is_none_or(|seat| !seat.owed.passed)
    }

    /// Tells a user of a marker, in log order.
    pub fn deliver_marker(&mut self, marker: &SealedMarker) {
        let Some(&number) = self.by_id.get(&marker.user) else { return };
        for slot in &self.users[number].seats {
            let seat = &mut self.seats[*slot];
            match seat.mode {
                // One that lies before what the seat has read was read with it, and counts less as unread.
                Mode::Live { after } if marker.at >= after => {
                    if seat.sitter.is_over(self.now) {
                        seat.line.close(Code::CredentialsExpired);
                    } else {
                        seat.line.send(marker.frame.clone());
                    }
                }
                Mode::Live { .. } => {}
                Mode::Joining | Mode::CatchingUp => seat.owed.passed = true,
            }
        }
    }

    /// A user's seats read the markers again that have moved at a position or after it.
    pub fn read_again(&mut self, user: &UserId, from: Position) {
        let Some(&number) = self.by_id.get(user) else { return };
        for slot in self.users[number].seats.clone() {
            self.seats[slot].owed.from = self.seats[slot].owed.from.min(from);
            self.fall_back(slot);
        }
    }
}
