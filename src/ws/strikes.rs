//! Strikes: counts violations within a sliding window, to close connections that go on.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Length of the window.
const WINDOW: Duration = Duration::from_secs(60);
/// Violations within the window at which a connection is closed.
const STRIKES_MAX: usize = 10;

/// Violations within the window.
#[derive(Debug, Default)]
pub(super) struct Strikes(VecDeque<Instant>);

impl Strikes {
    /// Records a violation. Returns whether the connection is to be closed.
    pub fn strike(&mut self, now: Instant) -> bool {
        while self.0.front().is_some_and(|first| now.duration_since(*first) > WINDOW) {
            self.0.pop_front();
        }
        self.0.push_back(now);
        self.0.len() >= STRIKES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tenth_within_a_minute_is_one_too_many() {
        let (mut strikes, start) = (Strikes::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        for second in 0..9 {
            assert!(!strikes.strike(at(second)));
        }
        assert!(strikes.strike(at(9)));
        let mut strikes = Strikes::default();
        for tenth in 0..100 {
            assert!(!strikes.strike(at(tenth * 7)));
        }
    }
}
