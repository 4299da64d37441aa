//! Signs of life: which peers are asked for one, and which have not given it in time.

use std::time::{Duration, Instant};

use super::Seat;
use crate::error::Code;

/// How long a connection may stand still before it is closed.
#[derive(Debug, Clone, Copy)]
pub struct Deadlines {
    /// Time between two pings.
    pub heartbeat: Duration,
    /// Time for the answer to a ping.
    pub grace: Duration,
    /// Time for a message from the peer to arrive whole.
    pub message: Duration,
    /// Time in which the socket must take something of what waits for it.
    pub stall: Duration,
}

impl Seat {
    /// Pings once a heartbeat. A peer is closed if it leaves a ping unanswered for the grace, counted from when the transport
    /// took it, or if it takes none at all for a heartbeat and the grace.
    ///
    /// While a message arrives, its own deadline stands for all of that: inside a frame a peer cannot answer a ping
    /// (RFC 6455 section 5.4), and the bytes of a message that is not whole are no sign of life.
    pub(super) fn beat(&mut self, now: Instant, deadlines: Deadlines) {
        let Deadlines { heartbeat, grace, message, .. } = deadlines;
        if let Some(began) = self.line.unfinished_since() {
            if now.saturating_duration_since(began) > message {
                self.line.close(Code::NoSignOfLife);
            }
            return;
        }
        if self.line.heard() > self.pinged {
            self.unanswered = false;
        }
        let overdue = self.line.pinged().is_some_and(|taken| now.duration_since(taken) > grace);
        let since = now.duration_since(self.pinged);
        if overdue || (self.unanswered && since > heartbeat + grace) {
            self.line.close(Code::NoSignOfLife);
        } else if !self.unanswered && since >= heartbeat {
            (self.pinged, self.unanswered) = (now, true);
            self.line.ping();
        }
    }
}
