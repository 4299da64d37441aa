//! The budget of TCP connections of one worker thread, and which of them ends when it is used up. Pure data: no socket here.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// What a connection is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// No request is under way: nothing is lost when it ends.
    Idle,
    /// A request is being answered.
    Busy,
    /// A socket, an event stream or a waiting poll: it holds a permit and is never chosen.
    Kept,
}

/// Time that a new or idle connection has for its TLS handshake or its next request, as long as places are free.
const IDLE_TIMEOUT: Duration = Duration::from_secs(2);

/// How many connections a worker thread may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// All of them: at this number the worker is given no more.
    pub all_max: usize,
    /// From this number on a new connection ends the one that has been idle longest, if that is 2 seconds or more.
    pub comfortable: usize,
    /// The same for idle and busy ones together.
    pub plain_max: usize,
}

impl Bounds {
    /// TLS handshakes that a worker may have under way, for a library that accepts nobody at this number. More than there are
    /// places: the budget decides which connections end, and that also ends their handshakes.
    pub fn handshakes_max(&self) -> usize {
        self.all_max.saturating_add(1)
    }
}

/// A connection's entry in the budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    now: Use,
    since: u64,
}

/// Every connection by its use, in the order in which that began.
#[derive(Debug)]
pub struct Budget<C> {
    bounds: Bounds,
    next: u64,
    /// Each with the time at which its use began.
    uses: [BTreeMap<u64, (Instant, C)>; 3],
}

impl Entry {
    /// What the connection is used for.
    pub fn now(self) -> Use {
        self.now
    }
}

impl<C> Budget<C> {
    /// An empty budget.
    pub fn new(bounds: Bounds) -> Budget<C> {
        Budget { bounds, next: 0, uses: [BTreeMap::new(), BTreeMap::new(), BTreeMap::new()] }
    }

    /// Enters a new connection, which is idle. Returns the one that must end for it, if any.
    pub fn enter(&mut self, connection: C, at: Instant) -> (Entry, Option<C>) {
        let entry = self.insert(Use::Idle, connection, at);
        (entry, self.evict(entry, at))
    }

    /// Notes another use of a connection. One that was chosen to end, or has left, stays out.
    pub fn change(&mut self, entry: Entry, to: Use, at: Instant) -> Entry {
        match self.leave(entry) {
            Some(connection) => self.insert(to, connection, at),
            None => entry,
        }
    }

    /// Takes a connection out.
    pub fn leave(&mut self, entry: Entry) -> Option<C> {
        self.uses[entry.now as usize].remove(&entry.since).map(|(_, connection)| connection)
    }

    fn insert(&mut self, now: Use, connection: C, at: Instant) -> Entry {
        let since = self.next;
        self.next += 1;
        self.uses[now as usize].insert(since, (at, connection));
        Entry { now, since }
    }

    /// Idle ones first, the longest idle before others. One that became idle less than [`IDLE_TIMEOUT`] ago may still be in its TLS
    /// handshake or its first head: it ends only where no place is left. Busy ones end only where the budget is used up and
    /// all are busy: a client that does not read its answer is busy for as long as it likes. The new connection itself is never chosen, so that a
    /// health check gets its turn whoever else comes.
    fn evict(&mut self, new: Entry, at: Instant) -> Option<C> {
        let [idle, busy, kept] = &self.uses;
        let (plain, all) = (idle.len() + busy.len(), idle.len() + busy.len() + kept.len());
        let Bounds { all_max, comfortable, plain_max } = self.bounds;
        let oldest_idle = idle.iter().next().filter(|(since, _)| **since != new.since);
        let chosen = match oldest_idle {
            Some((since, (began, _))) => {
                let old = at.saturating_duration_since(*began) >= IDLE_TIMEOUT;
                let ends = (all > comfortable && old) || all >= all_max || plain > plain_max;
                ends.then_some(Entry { now: Use::Idle, since: *since })?
            }
            None if all >= all_max || plain > plain_max => Entry { now: Use::Busy, since: *busy.keys().next()? },
            _ => return None,
        };
        self.leave(chosen)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;

    fn budget(all_max: usize, comfortable: usize, plain_max: usize) -> Budget<&'static str> {
        Budget::new(Bounds { all_max, comfortable, plain_max })
    }

    /// Seconds after some start.
    fn at(second: u64) -> Instant {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        *START + Duration::from_secs(second)
    }

    #[test]
    fn a_connection_has_two_seconds_for_its_handshake_while_places_are_free() {
        let mut budget = budget(6, 3, 100);
        for name in ["first", "second", "third", "fourth"] {
            assert_eq!(budget.enter(name, at(1)).1, None, "{name}");
        }
        assert_eq!(budget.enter("fifth", at(2)).1, None, "over the comfortable number");
        assert_eq!(budget.enter("sixth", at(2)).1, Some("first"), "no place is left");
        assert_eq!(budget.enter("seventh", at(3)).1, Some("second"));
    }

    #[test]
    fn handshakes_are_never_what_stops_a_worker_from_accepting() {
        let bounds = Bounds { all_max: 20_000, comfortable: 19_000, plain_max: 10_000 };
        assert!(bounds.handshakes_max() > bounds.all_max);
    }

    #[test]
    fn the_connection_that_has_been_idle_longest_ends_for_a_new_one() {
        let mut budget = budget(6, 3, 100);
        let (first, _) = budget.enter("first", at(0));
        let (second, _) = budget.enter("second", at(0));
        assert_eq!(budget.enter("third", at(0)).1, None);
        // Used again: now the second is the longest idle.
        let first = budget.change(first, Use::Busy, at(0));
        budget.change(first, Use::Idle, at(0));
        assert_eq!(budget.enter("fourth", at(9)).1, Some("second"));
        assert_eq!(budget.leave(second), None, "it has left already");
        assert_eq!(budget.enter("fifth", at(9)).1, Some("third"));
    }

    #[test]
    fn a_connection_with_a_permit_is_never_chosen_and_a_busy_one_only_where_no_place_is_left() {
        let mut budget = budget(4, 2, 100);
        let socket = budget.enter("socket", at(0)).0;
        budget.change(socket, Use::Kept, at(0));
        let request = budget.enter("request", at(0)).0;
        budget.change(request, Use::Busy, at(0));
        let (late, chosen) = budget.enter("late", at(0));
        assert_eq!(chosen, None, "over the comfortable number, and nothing is idle");
        budget.change(late, Use::Busy, at(0));
        assert_eq!(budget.enter("health check", at(0)).1, Some("request"), "no place is left: the oldest request ends");
    }

    #[test]
    fn plain_connections_have_a_bound_of_their_own() {
        let mut budget = budget(1_000, 1_000, 2);
        budget.enter("first", at(0));
        budget.enter("second", at(0));
        assert_eq!(budget.enter("third", at(0)).1, Some("first"));
        assert_eq!(budget.enter("fourth", at(0)).1, Some("second"));
    }

    proptest! {
        #[test]
        fn a_flood_of_connections_never_takes_more_places_than_there_are(
            steps in proptest::collection::vec((0u8..4, any::<proptest::sample::Index>()), 1..300)
        ) {
            let bounds = Bounds { all_max: 20, comfortable: 15, plain_max: 12 };
            let mut budget = Budget::new(bounds);
            let mut entries: Vec<Entry> = Vec::new();
            for (number, (step, which)) in steps.into_iter().enumerate() {
                let kept = budget.uses[Use::Kept as usize].len();
                match step {
                    0 => entries.push(budget.enter(number, at(number as u64 / 4)).0),
                    // Permits leave room for the others, as they do in the process.
                    1 if !entries.is_empty() && kept < 10 => {
                        let which = which.index(entries.len());
                        entries[which] = budget.change(entries[which], Use::Kept, at(number as u64 / 4));
                    }
                    2 if !entries.is_empty() => {
                        let which = which.index(entries.len());
                        if entries[which].now != Use::Kept {
                            entries[which] = budget.change(entries[which], Use::Busy, at(number as u64 / 4));
                        }
                    }
                    3 if !entries.is_empty() => {
                        let entry = entries.swap_remove(which.index(entries.len()));
                        budget.leave(entry);
                    }
                    _ => {}
                }
                let [idle, busy, kept] = &budget.uses;
                prop_assert!(idle.len() + busy.len() <= bounds.plain_max);
                prop_assert!(idle.len() + busy.len() + kept.len() <= bounds.all_max);
            }
        }
    }
}
