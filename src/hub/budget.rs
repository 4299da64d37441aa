//! The memory budget of a node: what all its connections hold for what they send and receive, and which of them close when
//! that is too much. A frame that many connections share counts once, wherever it waits; everything else counts where it is.
//!
//! Each outlet adds up its own connections once a second, so a delivery touches no number that threads share.
//!
//! Decisions: `src/docs/decisions/memory.md`.

use std::{
    cmp::Reverse,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::{error::Code, wire::Tally};

/// See the module. One a node.
pub(super) struct Budget {
    max: u64,
    /// Frames that connections share.
    shared: Tally,
    /// The sums over all outlets.
    memory: AtomicU64,
    held: AtomicU64,
}

/// What the connections of one outlet hold, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Holdings {
    /// Memory that exists for one connection each.
    pub memory: u64,
    /// What those connections hold that do not keep up, shared frames included: closing all of them would free it, or less.
    pub held: u64,
}

/// A connection that does not keep up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Laggard {
    /// Its slot in the registry.
    pub slot: usize,
    /// Bytes that it holds.
    pub bytes: u64,
    /// For how long nothing of them has moved.
    pub stuck: Duration,
    /// What it is closed with, should it have to be.
    pub code: Code,
}

impl Budget {
    /// Of so many bytes; `shared` counts the frames that connections share.
    pub(super) fn new(max: u64, shared: Tally) -> Budget {
        Budget { max, shared, memory: AtomicU64::new(0), held: AtomicU64::new(0) }
    }

    /// Frames that connections share are counted here.
    pub(super) fn shared(&self) -> &Tally {
        &self.shared
    }
}

/// One outlet's part of a budget.
#[derive(Default)]
pub(super) struct Share {
    last: Holdings,
}

impl Share {
    /// The outlet's connections hold this now; how many bytes of it have to be freed.
    pub(super) fn excess(&mut self, budget: &Budget, now: Holdings) -> u64 {
        let last = std::mem::replace(&mut self.last, now);
        let memory = add(&budget.memory, last.memory, now.memory);
        let held = add(&budget.held, last.held, now.held);
        let excess = u128::from(memory.saturating_add(budget.shared.bytes()).saturating_sub(budget.max));
        let part = (excess * u128::from(now.held)).div_ceil(u128::from(held.max(1)));
        u64::try_from(part).unwrap_or(u64::MAX).min(now.held)
    }
}

/// Replaces one part of a sum; the sum. It never falls below its parts: it wraps back to what it is.
fn add(sum: &AtomicU64, before: u64, now: u64) -> u64 {
    let change = now.wrapping_sub(before);
    sum.fetch_add(change, Ordering::AcqRel).wrapping_add(change)
}

/// Which connections close so that so many bytes are free, and no more than needed: first those that hold most for the
/// longest (bytes times the time in which nothing moved).
pub(super) fn evicted(mut laggards: Vec<Laggard>, excess: u64) -> Vec<Laggard> {
    let cost = |laggard: &Laggard| u128::from(laggard.bytes) * (laggard.stuck.as_millis() + 1);
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

    fn part(bytes: u64) -> Holdings {
        Holdings { memory: bytes, held: bytes }
    }

    proptest! {
        #[test]
        fn the_outlets_together_free_what_is_too_much(parts in prop::collection::vec(0..1_000u64, 1..6), max in 1..3_000u64) {
            let budget = Budget::new(max, Tally::default());
            let mut shares: Vec<Share> = parts.iter().map(|_| Share::default()).collect();
            for (share, bytes) in shares.iter_mut().zip(&parts) {
                share.excess(&budget, part(bytes * 2));
                share.excess(&budget, part(*bytes));
            }
            let sum: u64 = parts.iter().sum();
            prop_assert_eq!(budget.memory.load(Ordering::Acquire), sum);
            let excess: Vec<u64> =
                shares.iter_mut().zip(&parts).map(|(share, bytes)| share.excess(&budget, part(*bytes))).collect();
            prop_assert!(excess.iter().sum::<u64>() >= sum.saturating_sub(max));
            prop_assert!(sum > max || excess.iter().all(|excess| *excess == 0));
            prop_assert!(excess.iter().zip(&parts).all(|(excess, bytes)| excess <= bytes));
            shares.iter_mut().for_each(|share| _ = share.excess(&budget, Holdings::default()));
            prop_assert_eq!(budget.memory.load(Ordering::Acquire), 0);
        }

        #[test]
        fn those_who_hold_most_for_longest_close_and_no_more_than_needed(
            laggards in prop::collection::vec((0..100u64, 0..5u64), 0..20), excess in 0..500u64,
        ) {
            let all: Vec<Laggard> = laggards.iter().enumerate().map(|(slot, (bytes, seconds))| {
                Laggard { slot, bytes: *bytes, stuck: Duration::from_secs(*seconds), code: Code::SlowReader }
            }).collect();
            let closed = evicted(all.clone(), excess);
            let freed: u64 = closed.iter().map(|laggard| laggard.bytes).sum();
            prop_assert!(freed >= excess.min(all.iter().map(|laggard| laggard.bytes).sum()));
            let last = closed.last().map_or(0, |laggard| laggard.bytes);
            prop_assert!(closed.is_empty() || freed - last < excess, "one too many");
            let cost = |laggard: &Laggard| u128::from(laggard.bytes) * (laggard.stuck.as_millis() + 1);
            let least = closed.iter().map(cost).min().unwrap_or(u128::MAX);
            prop_assert!(all.iter().filter(|laggard| !closed.contains(laggard)).all(|laggard| cost(laggard) <= least));
        }
    }
}
