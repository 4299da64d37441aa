//! Keyed rate limiter (GCRA, by governor) with a bounded number of keys. A cell can be returned, so a limit on failures can be
//! applied before the outcome is known.
//!
//! Decisions: `src/docs/decisions/limits.md`.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::Hash,
    num::NonZeroU32,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use governor::{
    Quota, RateLimiter,
    clock::{Clock, MonotonicClock, Reference},
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::StateStore,
};

/// How often a full table is searched for keys that could be forgotten, at most: the search reads all of it.
const SWEEP: Duration = Duration::from_secs(1);
/// Longest time over which a burst may be saved up.
const SAVED: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// What a key that finds no room waits for: longer than any other wait.
const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Reason for refusing a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LimitExceeded {
    /// The key has used up its cells; the next comes after this time.
    Limited(Duration),
    /// More cells than the key ever has at once.
    TooMany,
    /// The table of keys is full, and this key is not in it.
    Full,
}

/// Rate and burst of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateQuota {
    /// Cells that come back in a period.
    pub count: u64,
    /// The period.
    pub period: Duration,
    /// Cells at once.
    pub burst: u64,
}

impl RateQuota {
    fn quota(self) -> Quota {
        let number = |number: u128| NonZeroU32::new(u32::try_from(number).unwrap_or(u32::MAX)).unwrap_or(NonZeroU32::MIN);
        let each = (self.period / number(self.count.into()).get()).max(Duration::from_nanos(1));
        let burst = u128::from(self.burst).min(SAVED.as_nanos() / each.as_nanos());
        // Only a period of zero is no quota, and `each` is none.
        Quota::with_period(each).unwrap_or(Quota::per_second(NonZeroU32::MIN)).allow_burst(number(burst))
    }
}

/// The rate.
pub struct KeyedLimiter<K: Hash + Eq + Clone, C: Clock + Clone = MonotonicClock> {
    table: Arc<Table<K, C>>,
    limiter: RateLimiter<K, Shared<K, C>, C, NoOpMiddleware<C::Instant>>,
    /// Time in which one cell comes back.
    each: Nanos,
}

impl<K: Hash + Eq + Clone, C: Clock + Clone> KeyedLimiter<K, C> {
    /// For at most so many keys at once; `what` names the table where it is full.
    pub fn new(what: &'static str, pace: RateQuota, keys_max: u64, clock: &C) -> KeyedLimiter<K, C> {
        let quota = pace.quota();
        let kept = Mutex::new(Kept { until: HashMap::new(), swept: None });
        let keys_max = usize::try_from(keys_max).unwrap_or(usize::MAX);
        let table = Arc::new(Table { what, keys_max, clock: clock.clone(), start: clock.now(), kept });
        let limiter = RateLimiter::new(quota, Shared(Arc::clone(&table)), clock.clone());
        KeyedLimiter { table, limiter, each: quota.replenish_interval().into() }
    }

    /// Takes a cell.
    ///
    /// # Errors
    /// Why there is none.
    pub fn take(&self, key: &K) -> Result<(), LimitExceeded> {
        self.take_some(key, 1)
    }

    /// Takes so many cells or none.
    ///
    /// # Errors
    /// Why there are none.
    pub fn take_some(&self, key: &K, cells: u32) -> Result<(), LimitExceeded> {
        let Some(cells) = NonZeroU32::new(cells) else { return Ok(()) };
        let until = match self.limiter.check_key_n(key, cells) {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(until)) => until,
            Err(_) => return Err(LimitExceeded::TooMany),
        };
        let wait = until.wait_time_from(self.table.clock.now());
        Err(if wait > NEVER / 2 { LimitExceeded::Full } else { LimitExceeded::Limited(wait) })
    }

    /// Gives a cell back that was taken: as if it never had been.
    pub fn give_back(&self, key: &K) {
        let now = self.table.now();
        if let Entry::Occupied(mut entry) = self.table.lock().until.entry(key.clone()) {
            let until = entry.get().saturating_sub(self.each);
            if until <= now {
                entry.remove();
            } else {
                entry.insert(until);
            }
        }
    }

    /// Keys kept now.
    #[cfg(test)]
    fn keys(&self) -> usize {
        self.table.lock().until.len()
    }
}

/// Where each key stands.
struct Table<K, C: Clock> {
    what: &'static str,
    keys_max: usize,
    clock: C,
    start: C::Instant,
    kept: Mutex<Kept<K>>,
}

struct Kept<K> {
    /// When all cells of a key are back. A key whose time has come is as good as one that never was.
    until: HashMap<K, Nanos>,
    swept: Option<Nanos>,
}

impl<K: Hash + Eq + Clone, C: Clock> Table<K, C> {
    fn now(&self) -> Nanos {
        self.clock.now().duration_since(self.start)
    }

    fn lock(&self) -> MutexGuard<'_, Kept<K>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether one more key may be kept, after those were forgotten that can be.
    fn has_room(&self, kept: &mut Kept<K>) -> bool {
        let now = self.now();
        let sweeps = kept.swept.is_none_or(|swept| now >= swept + Nanos::from(SWEEP));
        if kept.until.len() >= self.keys_max && sweeps {
            kept.until.retain(|_, until| *until > now);
            kept.swept = Some(now);
            if kept.until.len() >= self.keys_max {
                log::warn!("{}: {} keys are kept, which is the limit; new ones are refused", self.what, self.keys_max);
            }
        }
        kept.until.len() < self.keys_max
    }
}

/// The table as governor uses it.
struct Shared<K, C: Clock>(Arc<Table<K, C>>);

impl<K: Hash + Eq + Clone, C: Clock> StateStore for Shared<K, C> {
    type Key = K;

    fn measure_and_replace<T, F, E>(&self, key: &K, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut kept = self.0.lock();
        let known = kept.until.get(key).copied();
        if known.is_none() && !self.0.has_room(&mut kept) {
            return decide(Some(NEVER.into())).map(|(answer, _)| answer);
        }
        let (answer, until) = decide(known)?;
        kept.until.insert(key.clone(), until);
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;
    use proptest::prelude::*;

    use super::*;

    fn rate(count: u64, burst: u64, keys_max: u64) -> (KeyedLimiter<u8, FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let pace = RateQuota { count, period: Duration::from_secs(60), burst };
        (KeyedLimiter::new("a test", pace, keys_max, &clock), clock)
    }

    #[test]
    fn a_burst_passes_and_then_one_at_a_time_and_the_wait_that_is_told_is_enough() {
        let (rate, clock) = rate(5, 5, 10);
        assert!((0..5).all(|_| rate.take(&1).is_ok()));
        assert_eq!(rate.take(&1), Err(LimitExceeded::Limited(Duration::from_secs(12))));
        assert_eq!(rate.take(&2), Ok(()), "another key");
        clock.advance(Duration::from_millis(11_999));
        assert_eq!(rate.take(&1), Err(LimitExceeded::Limited(Duration::from_millis(1))));
        clock.advance(Duration::from_millis(1));
        assert_eq!(rate.take(&1), Ok(()));
        assert!(rate.take(&1).is_err());
        assert_eq!((rate.take_some(&3, 6), rate.take_some(&3, 5)), (Err(LimitExceeded::TooMany), Ok(())));
    }

    #[test]
    fn never_more_keys_are_kept_than_the_limit_and_those_that_are_over_make_room() {
        let (rate, clock) = rate(60, 5, 3);
        for key in 0..3 {
            rate.take(&key).expect("room");
        }
        assert_eq!((rate.take(&9), rate.keys()), (Err(LimitExceeded::Full), 3));
        assert_eq!(rate.take(&1), Ok(()), "a key that is kept goes on");
        clock.advance(Duration::from_millis(1_000));
        assert_eq!((rate.take(&9), rate.keys()), (Ok(()), 2), "two of three were over");
        rate.give_back(&9);
        rate.give_back(&9);
        assert_eq!(rate.keys(), 1);
    }

    #[test]
    fn settings_at_the_end_of_their_range_are_a_rate_still() {
        for (count, burst) in [(1, u64::MAX), (u64::MAX, 1), (u64::MAX, u64::MAX), (1, 1)] {
            let (rate, _) = rate(count, burst, u64::MAX);
            assert_eq!(rate.take(&1), Ok(()), "{count} {burst}");
        }
    }

    proptest! {
        /// Who takes a cell and gives it back leaves everything as it would be without: failures alone count.
        #[test]
        fn cells_given_back_change_nothing_for_those_that_are_kept(
            steps in prop::collection::vec((0u8..3, any::<bool>(), 0u64..20_000, 0u64..3_000), 1..80),
        ) {
            let ((tried, clock), (reference, reference_clock)) = (rate(5, 5, 100), rate(5, 5, 100));
            for (key, fails, before, during) in steps {
                clock.advance(Duration::from_millis(before));
                reference_clock.advance(Duration::from_millis(before));
                let taken = tried.take(&key);
                if fails {
                    prop_assert_eq!(taken, reference.take(&key));
                }
                clock.advance(Duration::from_millis(during));
                reference_clock.advance(Duration::from_millis(during));
                if !fails && taken.is_ok() {
                    tried.give_back(&key);
                }
            }
        }
    }
}
