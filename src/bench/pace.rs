//! When which user sends: an open loop, whose moments are fixed before the run and wait for nobody.

use std::time::Duration;

use crate::domain::Chance;

/// Whose turn it is, and when: message `k` of all is due `k / rate` seconds after the start, and users take turns in an
/// order that chance fixed once. A worker of the generator walks over the turns of its own users.
#[derive(Debug, Clone)]
pub struct Pace {
    /// Own turns in a round, and who has each.
    turns: Vec<(u64, u32)>,
    users: u64,
    next: usize,
    round: u64,
    gap_ns: f64,
    until: Duration,
}

impl Pace {
    /// The turns of the users that `own` names, among all who send, at so many messages a second over all, until an end.
    pub fn new(senders: Vec<u32>, rate: f64, until: Duration, seed: u64, own: impl Fn(u32) -> bool) -> Pace {
        let users = senders.len() as u64;
        let order = shuffled(senders, seed);
        let turns = (0..).zip(order).filter(|(_, user)| own(*user)).collect();
        Pace { turns, users, next: 0, round: 0, gap_ns: 1e9 / rate, until }
    }

    /// The next moment after the start, and whose it is; `None` after the end. It stays until [`Pace::take`].
    pub fn peek(&self) -> Option<(Duration, u32)> {
        let (turn, user) = *self.turns.get(self.next)?;
        let moment = moment(self.round * self.users + turn, self.gap_ns);
        (moment < self.until).then_some((moment, user))
    }

    /// Number of moments from the beginning to the end, over the users that `own` named; 0 without an end.
    pub fn planned(&self) -> u64 {
        if self.until == Duration::MAX || self.turns.is_empty() {
            return 0;
        }
        let all = moments(self.until, self.gap_ns);
        let last_round = self.turns.iter().filter(|(turn, _)| *turn < all % self.users).count();
        all / self.users * self.turns.len() as u64 + last_round as u64
    }

    /// Goes on to the next.
    pub fn take(&mut self) {
        self.next += 1;
        if self.next == self.turns.len() {
            (self.next, self.round) = (0, self.round + 1);
        }
    }

    /// The next user in turn, whatever the time: for a closed loop.
    pub fn turn(&mut self) -> Option<u32> {
        let (_, user) = *self.turns.get(self.next)?;
        self.take();
        Some(user)
    }
}

#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within a week")]
fn moment(number: u64, gap_ns: f64) -> Duration {
    Duration::from_nanos((number as f64 * gap_ns) as u64)
}

/// Number of moments before an end.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within a week")]
fn moments(until: Duration, gap_ns: f64) -> u64 {
    let near = (until.as_nanos() as f64 / gap_ns) as u64;
    // Division rounds: the number is `near`, or one or two beside it.
    (near.saturating_sub(1)..=near + 2).find(|number| moment(*number, gap_ns) >= until).unwrap_or(near)
}

/// All in an order that the seed fixes (Fisher and Yates).
fn shuffled(mut order: Vec<u32>, seed: u64) -> Vec<u32> {
    let mut chance = Chance::new(seed);
    for place in (1..order.len()).rev() {
        order.swap(place, usize::try_from(chance.below(place as u64 + 1)).unwrap_or(0));
    }
    order
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_moment_has_one_user_and_users_take_turns(
            users in 1_u32..50, workers in 1_u32..5, rate in 1.0_f64..5_000.0, ms in 1_u64..3_000, seed: u64,
        ) {
            let until = Duration::from_millis(ms);
            let (mut all, mut planned) = (Vec::new(), 0);
            for worker in 0..workers {
                let mut pace = Pace::new((0..users).collect(), rate, until, seed, |user| user % workers == worker);
                let mut last = None;
                planned += pace.planned();
                while let Some((moment, user)) = pace.peek() {
                    prop_assert!(user % workers == worker && last.is_none_or(|last| last < moment));
                    last = Some(moment);
                    all.push((moment, user));
                    pace.take();
                }
            }
            prop_assert_eq!(planned, all.len() as u64);
            all.sort_unstable();
            for (number, (due, _)) in all.iter().enumerate() {
                prop_assert_eq!(*due, moment(number as u64, 1e9 / rate), "no moment is left out or taken twice");
            }
            let next = moment(all.len() as u64, 1e9 / rate);
            prop_assert!(next >= until, "it ends where it must");
            for round in all.chunks_exact(users as usize) {
                let mut turns: Vec<u32> = round.iter().map(|(_, user)| *user).collect();
                turns.sort_unstable();
                prop_assert_eq!(turns, (0..users).collect::<Vec<_>>(), "everybody once a round");
            }
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_order_and_another_another() {
        let shuffled = |seed| shuffled((0..100).collect(), seed);
        assert_eq!(shuffled(7), shuffled(7));
        assert_ne!(shuffled(7), shuffled(8));
    }
}
