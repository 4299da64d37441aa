//! A set of sequences, kept as ranges: what a device saw of a thread is most often one of them, however long it is.

/// See the module. The ranges rise and touch nowhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    /// Adds everything from one sequence through another.
    pub fn insert(&mut self, from: u64, through: u64) {
        if from > through {
            return;
        }
        let first = self.0.partition_point(|(_, end)| end.saturating_add(1) < from);
        let behind = self.0.partition_point(|(start, _)| *start <= through.saturating_add(1));
        if first == behind {
            return self.0.insert(first, (from, through));
        }
        let joined = (self.0[first].0.min(from), self.0[behind - 1].1.max(through));
        self.0[first] = joined;
        self.0.drain(first + 1..behind);
    }

    pub fn contains(&self, sequence: u64) -> bool {
        let place = self.0.partition_point(|(_, end)| *end < sequence);
        self.0.get(place).is_some_and(|(start, _)| *start <= sequence)
    }

    /// What of a range is not in it, in rising order.
    pub fn missing(&self, from: u64, through: u64) -> impl Iterator<Item = u64> {
        let mut gaps = Vec::new();
        let mut next = from;
        for (start, end) in self.0.iter().filter(|(_, end)| *end >= from) {
            if *start > through {
                break;
            }
            gaps.push(next..*start);
            next = end.saturating_add(1);
        }
        gaps.push(next..through.saturating_add(1));
        gaps.into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ranges_hold_what_a_plain_set_holds(added in proptest::collection::vec((0_u64..60, 0_u64..8), 0..30), from in 0_u64..70, more in 0_u64..70) {
            let (mut ranges, mut set) = (Ranges::default(), BTreeSet::new());
            for (start, length) in added {
                ranges.insert(start, start + length);
                set.extend(start..=start + length);
                prop_assert!(ranges.0.windows(2).all(|two| two[0].1 + 1 < two[1].0), "{ranges:?}");
            }
            for sequence in 0..80 {
                prop_assert_eq!(ranges.contains(sequence), set.contains(&sequence));
            }
            let missing: Vec<u64> = (from..=from + more).filter(|sequence| !set.contains(sequence)).collect();
            prop_assert_eq!(ranges.missing(from, from + more).collect::<Vec<_>>(), missing);
        }
    }
}
