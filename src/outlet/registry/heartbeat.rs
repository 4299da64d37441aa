//! Heartbeat: pings, and detection of dead peers.

use std::time::{Duration, Instant};

use super::Entry;
use crate::error::Code;

/// Timeouts of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Interval between two pings.
    pub heartbeat: Duration,
    /// Time for the answer to a ping.
    pub grace: Duration,
    /// Time for an inbound message to arrive completely.
    pub message: Duration,
    /// Time in which the socket must accept some of the queued bytes.
    pub stall: Duration,
}

impl Entry {
    /// Pings once per heartbeat interval and requests a close of dead peers. A peer is dead if a ping stays unanswered for `grace`
    /// after it was written, or if no ping could be written for `heartbeat + grace`.
    ///
    /// While a message arrives, only the message timeout applies: a peer cannot answer a ping in the middle of a frame (RFC 6455
    /// section 5.4), and the bytes of an incomplete message are no sign of life.
    pub(super) fn check_heartbeat(&mut self, now: Instant, timeouts: Timeouts) {
        let Timeouts { heartbeat, grace, message, .. } = timeouts;
        if let Some(began) = self.io.unfinished_since() {
            if now.saturating_duration_since(began) > message {
                self.io.request_close(Code::NoSignOfLife);
            }
            return;
        }
        if self.io.last_activity() > self.ping_queued_at {
            self.ping_pending = false;
        }
        let overdue = self.io.ping_written_at().is_some_and(|written| now.duration_since(written) > grace);
        let since_ping = now.duration_since(self.ping_queued_at);
        if overdue || (self.ping_pending && since_ping > heartbeat + grace) {
            self.io.request_close(Code::NoSignOfLife);
        } else if !self.ping_pending && since_ping >= heartbeat {
            (self.ping_queued_at, self.ping_pending) = (now, true);
            self.io.ping();
        }
    }
}
