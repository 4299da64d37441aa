//! The seam between catching up and live, in every order that a random schedule finds: whatever happens, everybody is told
//! what they may see, once, in order.

#[path = "histories_tests.rs"]
mod histories;
#[path = "store_tests.rs"]
mod store;
#[path = "world_tests.rs"]
mod world;

use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::*;

use self::{
    store::{Store, Truth, WISHES},
    world::{CLIENTS, OUTLETS, World},
};
use super::*;

/// One step of a schedule.
#[derive(Debug, Clone)]
enum Step<W> {
    /// The writer commits; nobody knows yet.
    Commit(W),
    /// The hub takes its next message.
    Hub,
    /// The hub releases so many events.
    Release(u64),
    /// The hub's second is over.
    Tick,
    /// An outlet's next message does not fit.
    Lose { outlet: usize },
    /// An outlet takes its next message, or the next slice of one.
    Outlet { outlet: usize },
    /// An outlet's second is over.
    Sweep { outlet: usize },
    /// A client comes, or goes one step on: memberships read, feed begun, page read, page arrived.
    Go { client: usize },
    /// A client reads so many frames.
    Read { client: usize, frames: u64 },
    /// A client goes, to come back with the last cursor it has.
    Leave { client: usize },
}

impl<W> Step<W> {
    /// A step out of random bits: one byte says what, the others with whom.
    fn of<S: Truth<Wish = W>>(bits: u32) -> Step<W> {
        let [what, one, two, _] = bits.to_le_bytes().map(usize::from);
        let (client, outlet) = (one % CLIENTS.len(), one % OUTLETS);
        match what {
            0..WISHES => Step::Commit(S::wish(what, one, two)),
            WISHES..80 => Step::Hub,
            80..104 => Step::Release(1 + two as u64 % 5),
            104..110 => Step::Tick,
            110..113 => Step::Lose { outlet },
            113..150 => Step::Outlet { outlet },
            150..154 => Step::Sweep { outlet },
            154..214 => Step::Go { client },
            214..249 => Step::Read { client, frames: 1 + two as u64 % 8 },
            _ => Step::Leave { client },
        }
    }

    fn take<S: Truth<Wish = W>>(self, world: &mut World<S>) -> Result<(), String> {
        match self {
            Step::Commit(wish) => world.store.append(wish),
            Step::Hub => _ = world.hub(),
            Step::Release(count) => world.release(count),
            Step::Tick => world.tick(),
            Step::Lose { outlet } => world.lose(outlet),
            Step::Outlet { outlet } => _ = world.outlet(outlet),
            Step::Sweep { outlet } => world.sweep(outlet),
            Step::Go { client } => world.go(client),
            Step::Read { client, frames } => world.read(client, frames)?,
            Step::Leave { client } => world.leave(client),
        }
        Ok(())
    }
}

/// Steps of one schedule at most.
const STEPS: usize = 1_100;

/// Runs a schedule, lets the world come to rest, and says what is wrong with what everybody was told.
fn run<S: Truth>(world: &mut World<S>, steps: Vec<Step<S::Wish>>) -> Result<(), String> {
    for step in steps {
        step.take(world)?;
    }
    world.settle()?;
    for (number, client) in world.clients.iter().enumerate() {
        let Some(began) = client.began else { return Err(format!("client {number} never began")) };
        if let Some(breach) = world.store.model().breach(client.user, began, &client.seen) {
            return Err(format!("client {number} of user {}: {breach}", client.user));
        }
    }
    if world.is_empty_when_all_have_left() { Ok(()) } else { Err("something is kept for those who left".to_owned()) }
}

/// Schedules of so many steps at most.
fn schedule<S: Truth>(steps: usize) -> impl Strategy<Value = Vec<Step<S::Wish>>> {
    prop::collection::vec(any::<u32>().prop_map(Step::of::<S>), 0..=steps)
}

static TAKEN: AtomicU64 = AtomicU64::new(0);

proptest! {
    // No test by itself: the one below runs it and counts.
    fn schedules(steps in schedule::<Store>(STEPS)) {
        TAKEN.fetch_add(steps.len() as u64, Ordering::Relaxed);
        run(&mut World::new(Store::default()), steps).map_err(TestCaseError::fail)?;
    }
}

#[test]
fn everybody_is_told_once_in_order_what_they_may_see_whatever_the_schedule() {
    // A million steps, but for a run that asks for few cases.
    let wanted = (u64::from(ProptestConfig::default().cases) * 4_000).min(1_000_000);
    while TAKEN.load(Ordering::Relaxed) < wanted {
        schedules();
    }
}

proptest! {
    #[test]
    fn a_resume_never_replays_more_than_its_limit(at in 0..100u64, end in 0..100u64, events in 0..20u64, limit in 0..20u64) {
        let given = store::head(at).cursor();
        let missed = Missed { head: store::head(end), mark_there: Some(0), events };
        let resumes = decide(&given, &missed, limit) == Resume::After(Position(at));
        prop_assert_eq!(resumes, at <= end && events <= limit);
    }
}
