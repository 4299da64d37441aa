//! Distributions: recorded in a histogram, told as percentiles and buckets.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::results::{Latency, Percentiles};

/// Longest latency that is told apart, in microseconds: an hour.
const MICROS_MAX: u64 = 3_600_000_000;
/// Digits that are kept of each value.
const DIGITS: u8 = 3;
/// The buckets that are told begin at so many microseconds, and each ends so much higher than the one before.
const BUCKETS: (u64, f64) = (10, 1.1);

/// A distribution of times.
#[derive(Debug, Clone)]
pub struct Times(Histogram<u64>);

impl Default for Times {
    fn default() -> Times {
        Times(Histogram::new_with_bounds(1, MICROS_MAX, DIGITS).expect("bounds that fit each other"))
    }
}

impl Times {
    /// One more. What lasted longer than an hour counts as an hour.
    pub fn record(&mut self, time: Duration) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.0.saturating_record(micros.max(1));
    }

    /// All of another.
    pub fn add(&mut self, other: &Times) {
        self.0.add(&other.0).expect("equal bounds");
    }

    /// Its points; `None` if there is nothing.
    pub fn percentiles(&self) -> Option<Percentiles> {
        let at = |quantile| self.0.value_at_quantile(quantile);
        let points = Percentiles { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: self.0.max() };
        (!self.0.is_empty()).then_some(points)
    }

    /// As results tell it.
    pub fn latency(&self) -> Latency {
        let (first, growth) = BUCKETS;
        let buckets =
            self.0.iter_log(first, growth).map(|step| (step.value_iterated_to(), step.count_since_last_iteration()));
        Latency {
            count: self.0.len(),
            mean_us: self.0.mean(),
            us: self.percentiles().unwrap_or_default(),
            buckets: buckets.filter(|(_, count)| *count > 0).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn points_lie_within_a_thousandth_of_the_sorted_values(
            mut micros in proptest::collection::vec(1_u64..100_000_000, 1..400),
        ) {
            let mut times = Times::default();
            micros.iter().for_each(|us| times.record(Duration::from_micros(*us)));
            micros.sort_unstable();
            let points = times.percentiles().expect("values");
            let of = |thousandths: usize| micros[(micros.len() * thousandths).div_ceil(1_000).max(1) - 1];
            for (told, true_value) in
                [(points.p50, of(500)), (points.p90, of(900)), (points.p99, of(990)), (points.p999, of(999)), (points.max, of(1_000))]
            {
                prop_assert!(told >= true_value && told <= true_value + true_value / 1_000 + 1, "{told} for {true_value}");
            }
            let latency = times.latency();
            prop_assert_eq!(latency.buckets.iter().map(|(_, count)| count).sum::<u64>(), latency.count);
            let mut before = 0;
            for (end, count) in &latency.buckets {
                let within = micros.iter().filter(|us| **us > before && **us <= *end).count() as u64;
                prop_assert!(end > &before && within.abs_diff(*count) <= micros.len() as u64 / 20 + 2, "{end}: {count}, {within}");
                before = *end;
            }
        }
    }

    #[test]
    fn nothing_recorded_has_no_points() {
        assert_eq!(Times::default().percentiles(), None);
        assert_eq!(Times::default().latency().count, 0);
    }
}
