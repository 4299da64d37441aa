//! A fault that is built in on purpose: with the feature `lossy` one delivery in a hundred thousand is not made, so that a
//! test can show that a load test notices. No other build can do this.

#[cfg(feature = "lossy")]
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// One delivery of so many is not made.
#[cfg(feature = "lossy")]
const ONE_IN: u64 = 100_000;

/// Whether this delivery is not to be made.
#[cfg(feature = "lossy")]
pub(super) fn drops() -> bool {
    static DELIVERIES: AtomicU64 = AtomicU64::new(0);
    DELIVERIES.fetch_add(1, Relaxed) % ONE_IN == ONE_IN / 2
}

/// Whether this delivery is not to be made.
#[cfg(not(feature = "lossy"))]
pub(super) const fn drops() -> bool {
    false
}
