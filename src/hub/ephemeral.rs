//! What is told and not kept: who types, who comes and goes. Who types is worth nothing a moment later, so it is dropped
//! where there is no room: in the hub's mailbox, in an outlet's inbox, in an outbox. None of them is filled with it. A change
//! of presence counts until the next one: it waits for room in an inbox, and without room in an outbox the client is slow.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use actix::prelude::*;
use governor::clock::MonotonicClock;
use tokio::sync::OwnedSemaphorePermit;

use super::{
    Hub, Node,
    messages::WhoIsHere,
    outlet::Outlet,
    presence::{Delta, Presence},
    roster::OutletNumber,
};
use crate::{
    auth::rate::{Pace, Rate},
    domain::{Limits, ThreadId, UserId},
    wire::{frame::Reply, shape::OnlineShape},
};

/// Typing notices that wait for the hub at most: an eighth of its mailbox, so that posts find room beside them.
pub(super) const MAILBOX_EPHEMERAL: usize = 512;
/// Typing notices that wait for an outlet at most: an eighth of its inbox, so that batches find room beside them.
pub(super) const INBOX_EPHEMERAL: usize = 32;

/// What the hub keeps for it.
pub(super) struct Ephemeral {
    /// Members told of each thread that somebody types there.
    typing: Rate<ThreadId>,
    pub(super) presence: Presence,
    /// Changes of presence that an outlet's inbox had no room for.
    untold: Untold,
}

impl Ephemeral {
    /// With the limits in force.
    pub(super) fn new(limits: &Limits) -> Ephemeral {
        let told = limits.typing_told_per_second;
        let told = Pace { count: told, period: Duration::from_secs(1), burst: told };
        Ephemeral {
            typing: Rate::new("typing notices by thread", told, limits.rate_keys, &MonotonicClock),
            presence: Presence::new(limits),
            untold: Untold::default(),
        }
    }

    /// Whether so many members of a thread may be told now that somebody types.
    fn may_tell(&self, thread: ThreadId, members: usize) -> bool {
        members > 0 && self.typing.take_some(&thread, u32::try_from(members).unwrap_or(u32::MAX)).is_ok()
    }
}

/// Somebody types, or has stopped.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Typing {
    user: UserId,
    thread: ThreadId,
    active: bool,
    _room: OwnedSemaphorePermit,
}

impl Node {
    /// Tells the others of a thread that a user types, or has stopped; if they are not too many and there is room.
    pub fn types(&self, user: &UserId, thread: ThreadId, active: bool) {
        if let Ok(room) = Arc::clone(&self.ephemeral).try_acquire_owned() {
            // The permit says that there is room, unless posts have filled the mailbox.
            let _ = self.hub.try_send(Typing { user: user.clone(), thread, active, _room: room });
        }
    }
}

impl Handler<Typing> for Hub {
    type Result = ();

    fn handle(&mut self, typing: Typing, _: &mut Self::Context) {
        let Typing { user, thread, active, .. } = typing;
        if !self.roster.hears(&user, thread) {
            return;
        }
        let hearing: Vec<(OutletNumber, usize)> = self.roster.hearing(thread).collect();
        let others = hearing.iter().map(|(_, users)| users).sum::<usize>() - self.roster.seats_of(&user).count();
        if !self.ephemeral.may_tell(thread, others) {
            return;
        }
        for entry in hearing.iter().map(|(outlet, _)| &self.outlets[*outlet]).filter(|entry| !entry.behind) {
            if let Ok(room) = Arc::clone(&entry.ephemeral).try_acquire_owned() {
                let _ = entry.address.try_send(Types { user: user.clone(), thread, active, _room: room });
            }
        }
    }
}

/// From the hub: tell a thread's other listeners that somebody types.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Types {
    user: UserId,
    thread: ThreadId,
    active: bool,
    _room: OwnedSemaphorePermit,
}

impl Handler<Types> for Outlet {
    type Result = ();

    fn handle(&mut self, typing: Types, _: &mut Self::Context) {
        let Types { user, thread, active, .. } = typing;
        let text = Reply::Typing { thread_id: thread.to_string(), user_id: user.as_str(), active }.frame();
        let text = text.shared(self.node.budget.shared());
        let mut registry = self.registry.borrow_mut();
        registry.at(self.node.clock.now());
        registry.tell_others(thread, &user, &text);
    }
}

impl Hub {
    /// Once a second: tells each who has come or gone of the people they share a thread with.
    ///
    /// What an outlet's inbox has no room for is told at a later tick. Until then presence makes no further changes, so
    /// that at most one tick's changes wait and each user is told of them in order.
    pub(super) fn tell_presence(&mut self) {
        if self.ephemeral.untold.0.is_empty() {
            for (user, deltas) in self.ephemeral.presence.tick(Instant::now()) {
                let deltas: Arc<[Delta]> = deltas.into();
                for outlet in self.roster.seats_of(&user) {
                    self.ephemeral.untold.0.entry(outlet).or_default().push((user.clone(), Arc::clone(&deltas)));
                }
            }
        }
        let outlets = &self.outlets;
        self.ephemeral.untold.tell(|outlet, told| match outlets[outlet].address.try_send(ComeAndGone(told)) {
            Err(SendError::Full(ComeAndGone(told))) => Some(told),
            // An outlet that is gone has no connections left.
            Ok(()) | Err(SendError::Closed(_)) => None,
        });
    }
}

/// Changes of presence that are still to be told, by outlet.
#[derive(Default)]
struct Untold(HashMap<OutletNumber, Vec<Told>>);

impl Untold {
    /// Hands everything to its outlet, and keeps what comes back.
    fn tell(&mut self, mut send: impl FnMut(OutletNumber, Vec<Told>) -> Option<Vec<Told>>) {
        let back = self.0.drain().filter_map(|(outlet, told)| Some((outlet, send(outlet, told)?)));
        self.0 = back.collect();
    }
}

/// From the hub: tell these users who has come or gone.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct ComeAndGone(Vec<Told>);

/// Who is told, and what.
type Told = (UserId, Arc<[Delta]>);

impl Handler<ComeAndGone> for Outlet {
    type Result = ();

    fn handle(&mut self, told: ComeAndGone, _: &mut Self::Context) {
        let mut registry = self.registry.borrow_mut();
        registry.at(self.node.clock.now());
        for (user, deltas) in told.0 {
            let users = deltas.iter().map(|(other, online)| OnlineShape { user_id: other.as_str(), online: *online });
            registry.tell(&user, &Reply::Presence { users: users.collect() }.frame());
        }
    }
}

impl Handler<WhoIsHere> for Hub {
    type Result = MessageResult<WhoIsHere>;

    fn handle(&mut self, asked: WhoIsHere, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.ephemeral.presence.here(asked.thread))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_typists_in_a_thread_of_ten_thousand_cost_a_bounded_number_of_frames_a_second() {
        let ephemeral = Ephemeral::new(&Limits::default());
        let began = Instant::now();
        for (members, frames_max) in [(9_999, 0), (2_001, 0), (2_000, 2_000), (199, 2_000), (1, 1_000)] {
            let thread = ThreadId::new();
            let told = (0..1_000).filter(|_| ephemeral.may_tell(thread, members)).count() * members;
            let more = usize::try_from(began.elapsed().as_millis() * 2).expect("a short test") + members;
            assert!(told <= frames_max + if frames_max == 0 { 0 } else { more }, "{members} members: {told} frames");
            assert!(told * 10 >= frames_max * 9, "{members} members: {told} frames");
        }
        assert!(!ephemeral.may_tell(ThreadId::new(), 0), "alone");
    }

    #[test]
    fn changes_of_presence_that_an_inbox_had_no_room_for_are_told_later_once() {
        let alice = UserId::parse("alice").expect("a user id");
        let told = vec![(alice.clone(), Arc::from([(alice, true)]))];
        let mut untold = Untold(HashMap::from([(0, told.clone()), (1, told.clone())]));
        let mut heard = Vec::new();
        for full in [Some(1), Some(1), None] {
            untold.tell(|outlet, told| {
                if full == Some(outlet) {
                    return Some(told);
                }
                heard.push((outlet, told));
                None
            });
            assert_eq!(untold.0.is_empty(), full.is_none());
        }
        assert_eq!(heard, [(0, told.clone()), (1, told)]);
    }
}
