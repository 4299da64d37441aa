//! Signs of life: who is asked for one, and who has not given it.

use std::time::{Duration, Instant};

use super::Seat;
use crate::error::Code;

/// How often a silent peer is asked for a sign of life, and how long it may take to give one.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "each field is named for what it is")]
pub struct Beats {
    pub every: Duration,
    pub grace: Duration,
}

impl Seat {
    /// Pings once a heartbeat. Gone is who leaves a ping unanswered for the grace, counted from when the transport took
    /// it, or who takes none at all for a heartbeat and the grace.
    pub(super) fn beat(&mut self, now: Instant, Beats { every, grace }: Beats) {
        if self.line.heard() > self.pinged {
            self.unanswered = false;
        }
        let overdue = self.line.pinged().is_some_and(|taken| now.duration_since(taken) > grace);
        let since = now.duration_since(self.pinged);
        if overdue || (self.unanswered && since > every + grace) {
            self.line.close(Code::NoSignOfLife);
        } else if !self.unanswered && since >= every {
            (self.pinged, self.unanswered) = (now, true);
            self.line.ping();
        }
    }
}
