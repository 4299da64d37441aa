//! The roster against a model that stores nothing but facts.

use std::collections::BTreeSet;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Enter {
        user: u8,
        outlet: usize,
    },
    /// The oldest joining seat of this user gets its memberships.
    Listen {
        user: u8,
    },
    Leave {
        user: u8,
        outlet: usize,
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
    Message {
        thread: u8,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let (user, outlet, thread) = (0..3u8, 0..2usize, 0..3u8);
    prop_oneof![
        3 => (user.clone(), outlet.clone()).prop_map(|(user, outlet)| Step::Enter { user, outlet }),
        3 => user.clone().prop_map(|user| Step::Listen { user }),
        2 => (user.clone(), outlet).prop_map(|(user, outlet)| Step::Leave { user, outlet }),
        2 => (user.clone(), thread.clone()).prop_map(|(user, thread)| Step::Add { user, thread }),
        2 => (user, thread.clone()).prop_map(|(user, thread)| Step::Remove { user, thread }),
        1 => thread.clone().prop_map(|thread| Step::End { thread }),
        4 => thread.prop_map(|thread| Step::Message { thread }),
    ]
}

fn user_id(user: u8) -> UserId {
    UserId::parse(&format!("user{user}")).expect("a user id")
}

fn thread_id(thread: u8) -> ThreadId {
    ThreadId(Uuid::from_u128(u128::from(thread)))
}

/// A seat's user and outlet, and what was read when it entered, or none once it listens.
type ModelSeat = (u8, usize, Option<(u64, Vec<u8>)>);

#[derive(Default)]
struct Model {
    /// The truth of the store: who is a member of what, and where the log ends.
    members: BTreeSet<(u8, u8)>,
    position: u64,
    seats: Vec<ModelSeat>,
}

impl Model {
    fn threads_of(&self, user: u8) -> Vec<u8> {
        self.members.iter().filter(|(u, _)| *u == user).map(|(_, thread)| *thread).collect()
    }

    /// Outlets where somebody who has listened hears this thread.
    fn must_hear(&self, thread: u8) -> BTreeSet<usize> {
        let listens = |user: u8| self.seats.iter().any(|(u, _, waits)| *u == user && waits.is_none());
        let hears = |(user, _, _): &&(u8, usize, _)| listens(*user) && self.members.contains(&(*user, thread));
        self.seats.iter().filter(hears).map(|(_, outlet, _)| *outlet).collect()
    }

    fn may_hear(&self, thread: u8) -> BTreeSet<usize> {
        let member = |(user, _, _): &&(u8, usize, _)| self.members.contains(&(*user, thread));
        self.seats.iter().filter(member).map(|(_, outlet, _)| *outlet).collect()
    }
}

fn released(roster: &mut Roster, model: &Model, thread: u8, change: &Change) -> BTreeSet<usize> {
    roster.release(Position(model.position), thread_id(thread), change).into_iter().collect()
}

/// The oldest joining seat of a user gets what was read for it: the roster must make up for what came since.
fn listen(roster: &mut Roster, model: &mut Model, user: u8) -> Result<(), TestCaseError> {
    let waiting = model.seats.iter_mut().find(|(u, _, waits)| *u == user && waits.is_some());
    if let Some((at, threads)) = waiting.and_then(|(_, _, waits)| waits.take()) {
        let threads = threads.into_iter().map(thread_id).collect();
        let (heard, _) = roster.listen(&user_id(user), Position(at), threads).expect("a present user");
        let truth: HashSet<ThreadId> = model.threads_of(user).into_iter().map(thread_id).collect();
        prop_assert_eq!(heard.as_ref(), &truth);
    }
    Ok(())
}

proptest! {
    #[test]
    fn every_event_goes_to_every_outlet_with_a_member_and_to_no_other(steps in prop::collection::vec(step(), 0..60)) {
        let (mut roster, mut model) = (Roster::default(), Model::default());
        for step in steps {
            match step {
                Step::Enter { user, outlet } => {
                    roster.enter(&user_id(user), outlet);
                    // The read may be as old as the entering: the roster must make up for what came since.
                    let read = (model.position, model.threads_of(user));
                    model.seats.push((user, outlet, Some(read)));
                }
                Step::Listen { user } => listen(&mut roster, &mut model, user)?,
                Step::Leave { user, outlet } => {
                    if let Some(index) = model.seats.iter().position(|(u, o, _)| *u == user && *o == outlet) {
                        let (_, _, waits) = model.seats.remove(index);
                        roster.leave(&user_id(user), outlet, waits.is_some());
                    }
                }
                Step::Add { user, thread } => {
                    if model.members.insert((user, thread)) {
                        model.position += 1;
                        let got = released(&mut roster, &model, thread, &Change::Added(vec![user_id(user)]));
                        prop_assert!(got.is_superset(&model.must_hear(thread)) && got.is_subset(&model.may_hear(thread)));
                    }
                }
                Step::Remove { user, thread } => {
                    if model.members.contains(&(user, thread)) {
                        model.position += 1;
                        // The removed user hears this one event still.
                        let must = model.must_hear(thread);
                        let got = released(&mut roster, &model, thread, &Change::Removed(user_id(user)));
                        prop_assert!(got.is_superset(&must));
                        model.members.remove(&(user, thread));
                    }
                }
                Step::End { thread } => {
                    model.position += 1;
                    let must = model.must_hear(thread);
                    let got = released(&mut roster, &model, thread, &Change::Ended);
                    prop_assert!(got.is_superset(&must));
                    model.members.retain(|(_, t)| *t != thread);
                }
                Step::Message { thread } => {
                    model.position += 1;
                    let got = released(&mut roster, &model, thread, &Change::None);
                    prop_assert!(got.is_superset(&model.must_hear(thread)), "{:?} {:?}", got, model.must_hear(thread));
                    prop_assert!(got.is_subset(&model.may_hear(thread)), "{:?} {:?}", got, model.may_hear(thread));
                }
            }
        }
        for (user, outlet, waits) in std::mem::take(&mut model.seats) {
            roster.leave(&user_id(user), outlet, waits.is_some());
        }
        prop_assert!(roster.users.is_empty() && roster.routes.is_empty());
    }
}
