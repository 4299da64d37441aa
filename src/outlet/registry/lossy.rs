//! Fault injection: with the feature `lossy`, one delivery in 100,000 is skipped, so that a test can show that a load test detects
//! the loss. No other build contains this code.

#[cfg(feature = "lossy")]
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// One delivery in this many is skipped.
#[cfg(feature = "lossy")]
const ONE_IN: u64 = 100_000;

/// Whether this delivery is skipped.
#[cfg(feature = "lossy")]
pub(super) fn skips() -> bool {
    static DELIVERIES: AtomicU64 = AtomicU64::new(0);
    DELIVERIES.fetch_add(1, Relaxed) % ONE_IN == ONE_IN / 2
}

/// Whether this delivery is skipped.
#[cfg(not(feature = "lossy"))]
pub(super) const fn skips() -> bool {
    false
}
