//! Strikes: so many offences within a minute and a connection is closed.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

const WINDOW: Duration = Duration::from_secs(60);
const STRIKES: usize = 10;

/// The offences of the last minute.
#[derive(Debug, Default)]
pub(super) struct Strikes(VecDeque<Instant>);

impl Strikes {
    /// Notes an offence; whether it is one too many.
    pub fn strike(&mut self, now: Instant) -> bool {
        while self.0.front().is_some_and(|first| now.duration_since(*first) > WINDOW) {
            self.0.pop_front();
        }
        self.0.push_back(now);
        self.0.len() >= STRIKES
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
