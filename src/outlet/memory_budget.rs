//! Memory budget of a node: memory in use by all of its connections, and which of them are closed under memory pressure.
//!
//! A frame that connections share counts once, however many outboxes hold it. All other memory counts for its connection. Each outlet
//! sums up its own connections once a second, so a delivery updates no counter that workers share.
//!
//! Decisions: `src/docs/decisions/memory.md`.

use std::{
    cmp::Reverse,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::{error::Code, wire::Tally};

/// Memory budget of a node.
pub struct MemoryBudget {
    /// Limit in bytes: the setting `outboxes_bytes`.
    max: u64,
    /// Bytes of shared frames.
    shared: Tally,
    /// Sums over all outlets.
    own: AtomicU64,
    evictable: AtomicU64,
}

/// Memory use of one outlet's connections, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemoryUse {
    /// Memory that no other connection shares.
    pub own: u64,
    /// Memory of slow connections, including shared frames: upper bound of what closing all of them frees.
    pub evictable: u64,
}

/// A slow connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Laggard {
    /// Its slot in the registry.
    pub slot: usize,
    /// Bytes queued for it and received from it.
    pub bytes: u64,
    /// Time without progress.
    pub stalled_for: Duration,
    /// Code to close it with.
    pub code: Code,
}

impl MemoryBudget {
    /// A budget of `max` bytes. `shared` counts the bytes of shared frames.
    pub fn new(max: u64, shared: Tally) -> MemoryBudget {
        MemoryBudget { max, shared, own: AtomicU64::new(0), evictable: AtomicU64::new(0) }
    }

    /// Counter of the bytes of shared frames.
    pub fn shared(&self) -> &Tally {
        &self.shared
    }
}

/// One outlet's share of a memory budget.
#[derive(Default)]
pub(super) struct Share {
    last: MemoryUse,
}

impl Share {
    /// Updates the memory use of the outlet. Returns how many bytes it must free.
    pub(super) fn excess(&mut self, budget: &MemoryBudget, now: MemoryUse) -> u64 {
        let last = std::mem::replace(&mut self.last, now);
        let own = add(&budget.own, last.own, now.own);
        let evictable = add(&budget.evictable, last.evictable, now.evictable);
        let excess = u128::from(own.saturating_add(budget.shared.bytes()).saturating_sub(budget.max));
        let part = (excess * u128::from(now.evictable)).div_ceil(u128::from(evictable.max(1)));
        u64::try_from(part).unwrap_or(u64::MAX).min(now.evictable)
    }
}

/// Replaces one part of a sum and returns the sum. Wrapping arithmetic, so that the order of updates does not matter.
fn add(sum: &AtomicU64, before: u64, now: u64) -> u64 {
    let change = now.wrapping_sub(before);
    sum.fetch_add(change, Ordering::AcqRel).wrapping_add(change)
}

/// Chooses the connections to close so that `excess` bytes are freed, and no more than needed: first those with the largest product
/// of bytes and time without progress.
pub(super) fn choose_evictions(mut laggards: Vec<Laggard>, excess: u64) -> Vec<Laggard> {
    let cost = |laggard: &Laggard| u128::from(laggard.bytes) * (laggard.stalled_for.as_millis() + 1);
    laggards.sort_by_key(|laggard| Reverse(cost(laggard)));
    let mut left = excess;
    laggards.retain(|laggard| {
        let wanted = left > 0 && laggard.bytes > 0;
        left = left.saturating_sub(laggard.bytes);
        wanted
    });
    laggards
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn part(bytes: u64) -> MemoryUse {
        MemoryUse { own: bytes, evictable: bytes }
    }

    proptest! {
        #[test]
        fn the_outlets_together_free_what_is_too_much(parts in prop::collection::vec(0..1_000u64, 1..6), max in 1..3_000u64) {
            let budget = MemoryBudget::new(max, Tally::default());
            let mut shares: Vec<Share> = parts.iter().map(|_| Share::default()).collect();
            for (share, bytes) in shares.iter_mut().zip(&parts) {
                share.excess(&budget, part(bytes * 2));
                share.excess(&budget, part(*bytes));
            }
            let sum: u64 = parts.iter().sum();
            prop_assert_eq!(budget.own.load(Ordering::Acquire), sum);
            let excess: Vec<u64> =
                shares.iter_mut().zip(&parts).map(|(share, bytes)| share.excess(&budget, part(*bytes))).collect();
            prop_assert!(excess.iter().sum::<u64>() >= sum.saturating_sub(max));
            prop_assert!(sum > max || excess.iter().all(|excess| *excess == 0));
            prop_assert!(excess.iter().zip(&parts).all(|(excess, bytes)| excess <= bytes));
            shares.iter_mut().for_each(|share| _ = share.excess(&budget, MemoryUse::default()));
            prop_assert_eq!(budget.own.load(Ordering::Acquire), 0);
        }

        #[test]
        fn those_who_hold_most_for_longest_close_and_no_more_than_needed(
            laggards in prop::collection::vec((0..100u64, 0..5u64), 0..20), excess in 0..500u64,
        ) {
            let all: Vec<Laggard> = laggards.iter().enumerate().map(|(slot, (bytes, seconds))| {
                Laggard { slot, bytes: *bytes, stalled_for: Duration::from_secs(*seconds), code: Code::SlowReader }
            }).collect();
            let closed = choose_evictions(all.clone(), excess);
            let freed: u64 = closed.iter().map(|laggard| laggard.bytes).sum();
            prop_assert!(freed >= excess.min(all.iter().map(|laggard| laggard.bytes).sum()));
            let last = closed.last().map_or(0, |laggard| laggard.bytes);
            prop_assert!(closed.is_empty() || freed - last < excess, "one too many");
            let cost = |laggard: &Laggard| u128::from(laggard.bytes) * (laggard.stalled_for.as_millis() + 1);
            let least = closed.iter().map(cost).min().unwrap_or(u128::MAX);
            prop_assert!(all.iter().filter(|laggard| !closed.contains(laggard)).all(|laggard| cost(laggard) <= least));
        }
    }
}
