//! Presence against a model: whoever asked who is here, and hears what is told, knows who is here.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use uuid::Uuid;

use super::*;

#[derive(Debug, Clone, Copy)]
enum Step {
    Arrive {
        user: u8,
    },
    Leave {
        user: u8,
    },
    Add {
        user: u8,
        thread: u8,
    },
    Remove {
        user: u8,
        thread: u8,
    },
    End {
        thread: u8,
    },
    /// So many milliseconds pass, and what is due is told.
    Tick {
        millis: u64,
    },
}

const USERS: u8 = 5;
const THREADS: u8 = 3;
const LINGER_MS: u64 = 3_000;

fn step() -> impl Strategy<Value = Step> {
    let (user, thread) = (0..USERS, 0..THREADS);
    prop_oneof![
        4 => user.clone().prop_map(|user| Step::Arrive { user }),
        4 => user.clone().prop_map(|user| Step::Leave { user }),
        3 => (user.clone(), thread.clone()).prop_map(|(user, thread)| Step::Add { user, thread }),
        1 => (user, thread.clone()).prop_map(|(user, thread)| Step::Remove { user, thread }),
        1 => thread.prop_map(|thread| Step::End { thread }),
        6 => (0..2_000u64).prop_map(|millis| Step::Tick { millis }),
    ]
}

fn user_id(user: u8) -> UserId {
    UserId::parse(&format!("user{user}")).expect("a user id")
}

fn thread_id(thread: u8) -> ThreadId {
    ThreadId(Uuid::from_u128(u128::from(thread)))
}

struct World {
    presence: Presence,
    members: BTreeMap<u8, BTreeSet<u8>>,
    /// Who has a connection; of the others, since when not.
    seated: BTreeSet<u8>,
    left: BTreeMap<u8, u64>,
    millis: u64,
    start: Instant,
    /// What each connected user believes of others; forgotten with the last connection.
    believed: BTreeMap<u8, BTreeSet<u8>>,
}

impl World {
    fn new(told_per_second: u64) -> World {
        let limits =
            Limits { presence_linger_ms: LINGER_MS, presence_told_per_second: told_per_second, ..Limits::default() };
        World {
            presence: Presence::new(&limits),
            members: BTreeMap::new(),
            seated: BTreeSet::new(),
            left: BTreeMap::new(),
            millis: 0,
            start: Instant::now(),
            believed: BTreeMap::new(),
        }
    }

    fn threads_of(&self, user: u8) -> HashSet<ThreadId> {
        let of = self.members.iter().filter(|(_, members)| members.contains(&user));
        of.map(|(thread, _)| thread_id(*thread)).collect()
    }

    fn share(&self, one: u8, other: u8) -> bool {
        self.members.values().any(|members| members.contains(&one) && members.contains(&other))
    }

    /// A seated user asks about every thread of theirs, as a client does that opens it.
    fn ask(&mut self, user: u8) {
        let believed = self.believed.entry(user).or_default();
        for (thread, members) in self.members.iter().filter(|(_, members)| members.contains(&user)) {
            let answer = self.presence.members(thread_id(*thread));
            assert!(answer.told && answer.count == answer.users.len() as u64);
            believed.retain(|other| !members.contains(other));
            believed.extend(members.iter().filter(|member| answer.users.contains(&user_id(**member))));
        }
    }

    fn step(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Arrive { user } => {
                self.seated.insert(user);
                self.left.remove(&user);
                self.presence.arrive(&user_id(user), &self.threads_of(user));
                self.ask(user);
            }
            Step::Leave { user } if self.seated.remove(&user) => {
                self.left.insert(user, self.millis);
                self.believed.remove(&user);
                self.presence.leave(&user_id(user), self.now());
            }
            Step::Leave { .. } => {}
            Step::Add { user, thread } => {
                self.members.entry(thread).or_default().insert(user);
                self.presence.apply(thread_id(thread), &Change::Added(vec![user_id(user)]));
                // Who becomes a member asks, and whoever hears of a new one asks about it.
                for member in self.members[&thread].clone() {
                    if self.seated.contains(&member) {
                        self.ask(member);
                    }
                }
            }
            Step::Remove { user, thread } => {
                self.members.entry(thread).or_default().remove(&user);
                self.presence.apply(thread_id(thread), &Change::Removed(user_id(user)));
            }
            Step::End { thread } => {
                self.members.remove(&thread);
                self.presence.apply(thread_id(thread), &Change::Ended);
            }
            Step::Tick { millis } => self.tick(millis)?,
        }
        Ok(())
    }

    fn now(&self) -> Instant {
        self.start + Duration::from_millis(self.millis)
    }

    fn tick(&mut self, millis: u64) -> Result<(), TestCaseError> {
        self.millis += millis;
        for (to, deltas) in self.presence.tick(self.now()) {
            let to = (0..USERS).find(|user| user_id(*user) == to).expect("a user of the model");
            prop_assert!(self.seated.contains(&to), "who is not here was told");
            for (about, online) in deltas {
                let about = (0..USERS).find(|user| user_id(*user) == about).expect("a user of the model");
                prop_assert!(about != to && self.share(about, to), "{to} was told of {about}");
                let believed = self.believed.entry(to).or_default();
                if online {
                    believed.insert(about);
                } else {
                    prop_assert!(!self.seated.contains(&about), "{about} is here");
                    let left = self.left.get(&about).copied().unwrap_or_default();
                    prop_assert!(self.millis - left >= LINGER_MS, "{about} may come back");
                    believed.remove(&about);
                }
            }
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn everybody_ends_up_knowing_who_is_here_of_those_they_share_a_thread_with(
        steps in prop::collection::vec(step(), 0..80),
        told_per_second in prop_oneof![Just(1), Just(4), Just(50_000)],
    ) {
        let mut world = World::new(told_per_second);
        for step in steps {
            world.step(step)?;
        }
        world.tick(LINGER_MS)?;
        // However little is told at once, it ends.
        for _ in 0..2 * u64::from(USERS) {
            world.tick(0)?;
        }
        for user in world.seated.clone() {
            for other in (0..USERS).filter(|other| *other != user && world.share(user, *other)) {
                let believed = world.believed.get(&user).is_some_and(|believed| believed.contains(&other));
                prop_assert_eq!(believed, world.seated.contains(&other), "{} of {}", user, other);
            }
        }
        for user in std::mem::take(&mut world.seated) {
            world.presence.leave(&user_id(user), world.now());
        }
        world.tick(LINGER_MS)?;
        for _ in 0..2 * u64::from(USERS) {
            world.tick(0)?;
        }
        let Presence { users, by_id, threads, changed, leaving, .. } = world.presence;
        prop_assert!(users.is_empty() && by_id.is_empty() && threads.is_empty() && changed.is_empty() && leaving.is_empty());
    }
}

/// So many people in one thread, all here.
fn crowd(presence: &mut Presence, thread: u8, people: std::ops::Range<u32>) {
    for number in people {
        let id = UserId::parse(&format!("p{number}")).expect("a user id");
        presence.arrive(&id, &HashSet::from([thread_id(thread)]));
    }
}

#[test]
fn a_thread_of_the_limit_is_told_and_one_person_more_is_told_nothing() {
    let now = Instant::now();
    let most = u32::try_from(Limits::default().presence_members).expect("a small number");
    for (people, told) in [(most, true), (most + 1, false)] {
        let mut presence = Presence::new(&Limits::default());
        crowd(&mut presence, 0, 0..people);
        let pairs: usize = presence.tick(now).values().map(Vec::len).sum();
        assert_eq!(pairs > 0, told, "{people} people: {pairs} pairs");
        let here = presence.members(thread_id(0));
        assert_eq!((here.count, here.told, here.users.len()), (u64::from(people), told, most as usize));
    }
}

#[test]
fn ten_thousand_people_who_come_at_once_cost_a_bounded_number_of_pairs_a_tick() {
    let now = Instant::now();
    let limits = Limits::default();
    let mut presence = Presence::new(&limits);
    // Everybody in the large thread, and in one of two hundred threads of fifty.
    for number in 0..10_000u32 {
        let id = UserId::parse(&format!("p{number}")).expect("a user id");
        let small = u8::try_from(number % 200 + 1).expect("a small number");
        presence.arrive(&id, &HashSet::from([thread_id(0), thread_id(small)]));
    }
    let (mut ticks, mut pairs) = (0, 0);
    loop {
        let told = presence.tick(now);
        if told.is_empty() {
            break;
        }
        let now_told: usize = told.values().map(Vec::len).sum();
        assert!(now_told as u64 <= limits.presence_told_per_second + limits.presence_members, "{now_told} at once");
        assert!(told.values().all(|deltas| deltas.len() <= CHANGES_PER_USER_MAX));
        (ticks, pairs) = (ticks + 1, pairs + now_told);
    }
    assert_eq!(pairs, 10_000 * 49, "each of those in a small thread, and nobody for the large one");
    assert!(ticks >= 9, "{ticks}");
}

#[test]
fn a_reconnect_within_the_linger_is_no_change() {
    let (mut presence, start) = (Presence::new(&Limits::default()), Instant::now());
    let threads = HashSet::from([thread_id(0)]);
    presence.arrive(&user_id(0), &threads);
    presence.arrive(&user_id(1), &threads);
    assert_eq!(presence.tick(start).len(), 2);
    let linger = Duration::from_millis(Limits::default().presence_linger_ms);
    presence.leave(&user_id(1), start);
    let almost = start + linger.saturating_sub(Duration::from_millis(1));
    assert!(presence.tick(almost).is_empty());
    presence.arrive(&user_id(1), &threads);
    presence.leave(&user_id(1), almost);
    assert!(presence.tick(start + linger).is_empty(), "counted from the last time");
    assert_eq!(presence.tick(almost + linger), HashMap::from([(user_id(0), vec![(user_id(1), false)])]));
}
