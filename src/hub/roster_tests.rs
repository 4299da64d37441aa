//! The roster against a model in which the store runs ahead of what the hub has released.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use uuid::Uuid;

use super::*;

#[derive(Debug, Clone, Copy)]
enum Step {
    Enter {
        user: u8,
        outlet: usize,
    },
    /// The oldest joining connection of this user reads its memberships now and tells them.
    SetMemberships {
        user: u8,
    },
    Leave {
        user: u8,
        outlet: usize,
    },
    /// The store commits; the hub does not know yet.
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
    Message {
        thread: u8,
    },
    /// The hub releases the next committed event.
    Release,
}

fn step() -> impl Strategy<Value = Step> {
    let (user, outlet, thread) = (0..3u8, 0..2usize, 0..3u8);
    prop_oneof![
        3 => (user.clone(), outlet.clone()).prop_map(|(user, outlet)| Step::Enter { user, outlet }),
        3 => user.clone().prop_map(|user| Step::SetMemberships { user }),
        2 => (user.clone(), outlet).prop_map(|(user, outlet)| Step::Leave { user, outlet }),
        2 => (user.clone(), thread.clone()).prop_map(|(user, thread)| Step::Add { user, thread }),
        2 => (user, thread.clone()).prop_map(|(user, thread)| Step::Remove { user, thread }),
        1 => thread.clone().prop_map(|thread| Step::End { thread }),
        4 => thread.prop_map(|thread| Step::Message { thread }),
        6 => Just(Step::Release),
    ]
}

fn user_id(user: u8) -> UserId {
    UserId::parse(&format!("user{user}")).expect("a user id")
}

fn thread_id(thread: u8) -> ThreadId {
    ThreadId(Uuid::from_u128(u128::from(thread)))
}

/// A committed event: its thread, and who it adds (true) or removes.
#[derive(Debug, Clone)]
enum Fact {
    Added(u8),
    Removed(u8),
    Ended,
    Message,
}

type Members = BTreeMap<u8, BTreeSet<u8>>;

fn apply(members: &mut Members, thread: u8, fact: &Fact) {
    let members = members.entry(thread).or_default();
    match fact {
        Fact::Added(user) => _ = members.insert(*user),
        Fact::Removed(user) => _ = members.remove(user),
        Fact::Ended => members.clear(),
        Fact::Message => {}
    }
}

struct Seat {
    user: u8,
    outlet: usize,
    /// Where its memberships were read; what lies at or below, it reads from the store itself.
    listens_from: Option<u64>,
}

#[derive(Default)]
struct World {
    roster: Roster,
    log: Vec<(u8, Fact)>,
    released: usize,
    /// As of the log's end, and as of what is released.
    in_store: Members,
    in_hub: Members,
    seats: Vec<Seat>,
}

fn member(members: &Members, thread: u8, user: u8) -> bool {
    members.get(&thread).is_some_and(|members| members.contains(&user))
}

impl World {
    fn commit(&mut self, thread: u8, fact: Fact) {
        apply(&mut self.in_store, thread, &fact);
        self.log.push((thread, fact));
    }

    fn step(&mut self, step: Step) -> Result<(), TestCaseError> {
        match step {
            Step::Enter { user, outlet } => {
                self.roster.subscribe(&user_id(user), outlet);
                self.seats.push(Seat { user, outlet, listens_from: None });
            }
            Step::SetMemberships { user } => {
                let at = self.log.len() as u64;
                let threads = (0..3).filter(|thread| member(&self.in_store, *thread, user)).map(thread_id).collect();
                if let Some(seat) = self.seats.iter_mut().find(|seat| seat.user == user && seat.listens_from.is_none()) {
                    seat.listens_from = Some(at);
                    self.roster.set_memberships(&user_id(user), Position(at), threads);
                }
            }
            Step::Leave { user, outlet } => {
                if let Some(index) = self.seats.iter().position(|seat| seat.user == user && seat.outlet == outlet) {
                    let seat = self.seats.remove(index);
                    self.roster.unsubscribe(&user_id(user), outlet, seat.listens_from.is_none());
                }
            }
            Step::Add { user, thread } if !member(&self.in_store, thread, user) => self.commit(thread, Fact::Added(user)),
            Step::Remove { user, thread } if member(&self.in_store, thread, user) => {
                self.commit(thread, Fact::Removed(user));
            }
            Step::Add { .. } | Step::Remove { .. } => {}
            Step::End { thread } => self.commit(thread, Fact::Ended),
            Step::Message { thread } => self.commit(thread, Fact::Message),
            Step::Release => self.release()?,
        }
        Ok(())
    }

    /// Every seat that listens since before this event, of a user who is a member at it, must be reached; nobody is
    /// reached who is no member, unless by a seat that has read further from the store and drops it.
    fn release(&mut self) -> Result<(), TestCaseError> {
        let Some((thread, fact)) = self.log.get(self.released).cloned() else { return Ok(()) };
        self.released += 1;
        let position = self.released as u64;
        let before = self.in_hub.clone();
        apply(&mut self.in_hub, thread, &fact);
        let change = match fact {
            Fact::Added(user) => Change::Added(vec![user_id(user)]),
            Fact::Removed(user) => Change::Removed(user_id(user)),
            Fact::Ended => Change::Ended,
            Fact::Message => Change::None,
        };
        let got: BTreeSet<usize> = self.roster.release(Position(position), thread_id(thread), &change).into_iter().collect();
        let hears = |user: u8| member(&before, thread, user) || member(&self.in_hub, thread, user);
        for seat in &self.seats {
            let live = seat.listens_from.is_some_and(|from| from < position);
            prop_assert!(
                !live || !hears(seat.user) || got.contains(&seat.outlet),
                "{position} of {thread} missed {}",
                seat.user
            );
        }
        for outlet in got {
            let excused = |seat: &Seat| hears(seat.user) || seat.listens_from.is_none_or(|from| from >= position);
            prop_assert!(
                self.seats.iter().any(|seat| seat.outlet == outlet && excused(seat)),
                "{position} went to {outlet}"
            );
        }
        Ok(())
    }
}

proptest! {
    #[test]
    fn every_event_goes_to_every_outlet_with_a_member_and_to_no_other(steps in prop::collection::vec(step(), 0..80)) {
        let mut world = World::default();
        for step in steps {
            world.step(step)?;
        }
        while world.released < world.log.len() {
            world.release()?;
        }
        for seat in &world.seats {
            let heard = &world.roster.users[&user_id(seat.user)];
            let truth: HashSet<ThreadId> =
                (0..3).filter(|thread| member(&world.in_store, *thread, seat.user)).map(thread_id).collect();
            prop_assert!(!heard.known || *heard.threads == truth);
        }
        for seat in std::mem::take(&mut world.seats) {
            world.roster.unsubscribe(&user_id(seat.user), seat.outlet, seat.listens_from.is_none());
        }
        prop_assert!(world.roster.users.is_empty() && world.roster.routes.is_empty());
    }
}

#[test]
fn the_end_of_a_thread_concerns_who_hears_it_and_who_joins_and_nobody_else() {
    let mut roster = Roster::default();
    let (ended, other) = (ThreadId(Uuid::from_u128(1)), ThreadId(Uuid::from_u128(2)));
    for user in 0..200 {
        roster.subscribe(&user_id(user), 0);
        roster.set_memberships(&user_id(user), Position(0), if user < 3 { vec![ended, other] } else { vec![other] });
    }
    roster.subscribe(&user_id(250), 1);
    let mut concerned: Vec<&UserId> = roster.concerned(ended).collect();
    concerned.sort_unstable();
    assert_eq!(concerned, [&user_id(0), &user_id(1), &user_id(2), &user_id(250)]);
    assert_eq!(roster.release(Position(1), ended, &Change::Ended), [0]);
    assert!(
        !roster.routes.contains_key(&ended)
            && !roster.is_subscribed(&user_id(0), ended)
            && roster.is_subscribed(&user_id(0), other)
    );
    (0..200).for_each(|user| _ = roster.unsubscribe(&user_id(user), 0, false));
    roster.unsubscribe(&user_id(250), 1, true);
    assert!(roster.routes.is_empty() && roster.joining.is_empty() && roster.users.is_empty(), "nothing is left behind");
}
