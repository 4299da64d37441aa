//! What waits in all outboxes of a node, and which of them give way when that is too much: the fullest first. Each outlet
//! weighs its own once a second and adds the difference to one number, so that a delivery costs nothing.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// One outlet's part of it.
pub(super) struct Weight {
    all: Arc<AtomicU64>,
    own: u64,
}

impl Weight {
    /// Nothing waits here yet.
    pub(super) fn new(all: &Arc<AtomicU64>) -> Weight {
        Weight { all: Arc::clone(all), own: 0 }
    }

    /// So many bytes wait here now; how many of them are over this outlet's share of what the node may hold.
    pub(super) fn over(&mut self, own: u64, max: u64) -> u64 {
        let before = std::mem::replace(&mut self.own, own);
        // The sum never falls below its parts: it wraps back to what it is.
        let change = own.wrapping_sub(before);
        let all = self.all.fetch_add(change, Ordering::AcqRel).wrapping_add(change);
        let excess = u128::from(all.saturating_sub(max));
        u64::try_from((excess * u128::from(own)).div_ceil(u128::from(all.max(1)))).unwrap_or(u64::MAX)
    }
}

impl Drop for Weight {
    fn drop(&mut self) {
        self.over(0, u64::MAX);
    }
}

/// Which outboxes give way so that so many bytes are free: the fullest first, and no more than needed.
pub(super) fn fullest(mut waiting: Vec<(usize, u64)>, over: u64) -> Vec<usize> {
    waiting.sort_unstable_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    let mut left = over;
    let give_way = waiting.into_iter().take_while(|(_, bytes)| {
        let wanted = left > 0 && *bytes > 0;
        left = left.saturating_sub(*bytes);
        wanted
    });
    give_way.map(|(slot, _)| slot).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_outlets_together_free_what_is_too_much(parts in prop::collection::vec(0..1_000u64, 1..6), max in 1..3_000u64) {
            let all = Arc::new(AtomicU64::new(0));
            let mut weights: Vec<Weight> = parts.iter().map(|_| Weight::new(&all)).collect();
            for (weight, part) in weights.iter_mut().zip(&parts) {
                weight.over(part * 2, max);
                weight.over(*part, max);
            }
            let sum: u64 = parts.iter().sum();
            prop_assert_eq!(all.load(Ordering::Acquire), sum);
            let over: Vec<u64> = weights.iter_mut().zip(&parts).map(|(weight, part)| weight.over(*part, max)).collect();
            prop_assert!(over.iter().sum::<u64>() >= sum.saturating_sub(max));
            prop_assert!(sum > max || over.iter().all(|over| *over == 0));
            prop_assert!(over.iter().zip(&parts).all(|(over, part)| over <= part));
            drop(weights);
            prop_assert_eq!(all.load(Ordering::Acquire), 0);
        }

        #[test]
        fn the_fullest_give_way_and_no_more_than_needed(bytes in prop::collection::vec(0..100u64, 0..20), over in 0..500u64) {
            let waiting: Vec<(usize, u64)> = bytes.iter().copied().enumerate().collect();
            let gone = fullest(waiting, over);
            let freed: u64 = gone.iter().map(|slot| bytes[*slot]).sum();
            prop_assert!(freed >= over.min(bytes.iter().sum()));
            let least = gone.last().map_or(0, |slot| bytes[*slot]);
            prop_assert!(gone.is_empty() || freed - least < over, "one too many");
            prop_assert!((0..bytes.len()).filter(|slot| !gone.contains(slot)).all(|slot| bytes[slot] <= least || gone.is_empty()));
        }
    }
}
