//! Rows of many threads in one order: each thread is walked through its index, only as far as it is needed.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
};

use rusqlite::Result;

/// Keys that a thread is asked for at first; then four times as many each time.
const FIRST: usize = 2;

/// A thread whose keys are wanted from one on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Walk {
    pub thread_num: i64,
    /// No key of it is below this.
    pub from: i64,
}

/// The lowest keys of all walks together, at most `limit`, rising. `next` gives the keys of a thread from one on, rising,
/// at most so many. A thread is asked only when nothing that is known is below its next key.
pub(super) fn lowest(
    walks: &[Walk],
    limit: usize,
    mut next: impl FnMut(i64, i64, usize) -> Result<Vec<i64>>,
) -> Result<Vec<i64>> {
    let mut heap: BinaryHeap<_> = walks.iter().enumerate().map(|(walk, Walk { from, .. })| Reverse((*from, walk))).collect();
    // What each thread has given beyond what is found, and how much it is asked for next.
    let mut known: Vec<(VecDeque<i64>, usize)> = vec![(VecDeque::new(), FIRST); walks.len()];
    let mut found = Vec::new();
    while found.len() < limit
        && let Some(Reverse((key, walk))) = heap.pop()
    {
        let (ahead, size) = &mut known[walk];
        let mut ended = false;
        if ahead.front() == Some(&key) {
            ahead.pop_front();
            found.push(key);
        } else {
            let want = (*size).min(limit - found.len());
            ahead.extend(next(walks[walk].thread_num, key, want)?);
            *size = size.saturating_mul(4);
            ended = ahead.is_empty();
        }
        if !ended {
            heap.push(Reverse((ahead.front().copied().unwrap_or(key + 1), walk)));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_lowest_are_found_and_no_thread_is_asked_for_more_than_it_may_give(
            owners in prop::collection::vec(0..6usize, 0..120), from in 0..130i64, limit in 0..40usize
        ) {
            // Key n belongs to one thread, as a position of the log does.
            let mut threads = vec![BTreeSet::new(); 6];
            owners.iter().enumerate().for_each(|(key, owner)| _ = threads[*owner].insert(i64::try_from(key).expect("small")));
            let walks: Vec<Walk> = (0..6).map(|thread_num| Walk { thread_num, from }).collect();
            let mut given = 0;
            let found = lowest(&walks, limit, |thread, from, most| {
                let thread = &threads[usize::try_from(thread).expect("small")];
                let keys: Vec<i64> = thread.range(from..).take(most).copied().collect();
                given += keys.len();
                Ok(keys)
            }).expect("keys");
            let last = i64::try_from(owners.len()).expect("small");
            prop_assert_eq!(&found, &(from..last.max(from)).take(limit).collect::<Vec<_>>());
            prop_assert!(given <= 4 * found.len() + FIRST * walks.len(), "{} for {}", given, found.len());
        }

        #[test]
        fn a_thread_that_cannot_be_next_is_never_asked(limit in 1..20usize, bounds in prop::collection::vec(100..200i64, 1..5)) {
            let mut walks = vec![Walk { thread_num: -1, from: 0 }];
            walks.extend(bounds.into_iter().map(|from| Walk { thread_num: 0, from }));
            let found = lowest(&walks, limit, |thread, from, most| {
                assert_eq!(thread, -1, "it begins later");
                Ok((from..100).take(most).collect())
            });
            prop_assert_eq!(found.expect("keys"), (0..100).take(limit).collect::<Vec<_>>());
        }
    }
}
