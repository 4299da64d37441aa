//! Waits between retries: exponential backoff with jitter, so that many who failed together do not ask again together.

use std::time::Duration;

use super::Chance;

/// Longest wait before the first retry.
pub const FIRST: Duration = Duration::from_secs(1);
/// Longest wait before any retry.
pub const LONGEST: Duration = Duration::from_secs(8);

/// The waits of one who retries. Each is drawn evenly from the upper three quarters of a limit that doubles with every failure,
/// from [`FIRST`] to [`LONGEST`].
#[derive(Debug, Clone)]
pub struct Backoff {
    chance: Chance,
    failures: u32,
}

impl Backoff {
    /// No failure so far. Those who may fail together need different seeds.
    pub fn new(seed: u64) -> Backoff {
        Backoff { chance: Chance::new(seed), failures: 0 }
    }

    /// The wait after one more failure.
    pub fn failed(&mut self) -> Duration {
        let most = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures += 1;
        let quarter = most / 4;
        let range = u64::try_from((quarter * 3).as_micros()).unwrap_or(u64::MAX);
        quarter + Duration::from_micros(self.chance.below(range))
    }

    /// It worked: the next failure is a first one.
    pub fn worked(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_limit_and_begin_anew_after_a_success() {
        let mut backoff = Backoff::new(7);
        for most in [1, 2, 4, 8, 8, 8].map(Duration::from_secs) {
            let wait = backoff.failed();
            assert!((most / 4..most).contains(&wait), "{wait:?} of {most:?}");
        }
        (0..100).for_each(|_| assert!(backoff.failed() < LONGEST));
        backoff.worked();
        assert!(backoff.failed() < FIRST);
    }

    #[test]
    fn ten_thousand_who_fail_together_come_back_spread_over_time() {
        const PART: u128 = 50;
        let mut parts = std::collections::BTreeMap::<u128, u32>::new();
        for seed in 0..10_000 {
            *parts.entry(Backoff::new(seed).failed().as_millis() / PART).or_default() += 1;
        }
        assert_eq!(parts.len(), 15, "250 ms to 1 s in parts of 50 ms");
        assert!(parts.values().all(|here| (500..900).contains(here)), "{parts:?}");
    }
}
