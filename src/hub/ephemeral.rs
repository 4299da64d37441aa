//! Typing notices and presence changes, which are sent and not stored.
//!
//! A typing notice is outdated a moment later, so it is dropped where there is no room: in the hub's mailbox, in an outlet's mailbox, in
//! an outbox. It may fill none of them. A presence change holds until the next one, so it waits for room in a mailbox, and a client whose
//! outbox has no room for it is a slow reader.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use actix::prelude::*;
use governor::clock::MonotonicClock;
use tokio::sync::OwnedSemaphorePermit;

use super::{Hub, messages::GetPresentMembers, presence::Presence, roster::OutletIndex};
use crate::{
    auth::keyed_limiter::{KeyedLimiter, RateQuota},
    domain::{Limits, ThreadId, UserId},
    outlet::{PresenceChange, PresenceChanges, TypingNotice},
};

/// Typing notices that may wait for the hub: an eighth of its mailbox, so that posts find room.
pub const TYPING_MAILBOX_MAX: usize = 512;
/// Typing notices that may wait for an outlet: an eighth of its mailbox, so that batches find room.
pub(super) const TYPING_OUTLET_MAX: usize = 32;

/// The hub's state for typing and presence.
pub(super) struct Ephemeral {
    /// Rate limiter of the users that are sent typing notices, by thread.
    typing: KeyedLimiter<ThreadId>,
    pub(super) presence: Presence,
    unsent: UnsentChanges,
}

impl Ephemeral {
    /// With the limits in force.
    pub(super) fn new(limits: &Limits) -> Ephemeral {
        let receivers = limits.typing_told_per_second;
        let pace = RateQuota { count: receivers, period: Duration::from_secs(1), burst: receivers };
        Ephemeral {
            typing: KeyedLimiter::new("typing notices by thread", pace, limits.rate_keys, &MonotonicClock),
            presence: Presence::new(limits),
            unsent: UnsentChanges::default(),
        }
    }

    /// Whether this many members of a thread may be sent a typing notice now.
    fn may_send_typing(&self, thread: ThreadId, members: usize) -> bool {
        members > 0 && self.typing.take_some(&thread, u32::try_from(members).unwrap_or(u32::MAX)).is_ok()
    }
}

/// A user types, or has stopped.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Typing {
    /// The user.
    pub user: UserId,
    /// The thread.
    pub thread: ThreadId,
    /// Whether the user types, or has stopped.
    pub active: bool,
    /// Slot in the hub's mailbox that typing notices may use; released when the message is handled.
    pub permit: OwnedSemaphorePermit,
}

impl Handler<Typing> for Hub {
    type Result = ();

    fn handle(&mut self, typing: Typing, _: &mut Self::Context) {
        let Typing { user, thread, active, permit: _permit } = typing;
        if !self.roster.is_subscribed(&user, thread) {
            return;
        }
        let subscribers: Vec<(OutletIndex, usize)> = self.roster.subscribers(thread).collect();
        let others = subscribers.iter().map(|(_, users)| users).sum::<usize>() - self.roster.outlets_of(&user).count();
        if !self.ephemeral.may_send_typing(thread, others) {
            return;
        }
        let outlets = subscribers.iter().map(|(outlet, _)| &self.outlets[*outlet]);
        for outlet in outlets.filter(|outlet| !outlet.behind) {
            if let Ok(permit) = Arc::clone(&outlet.typing_slots).try_acquire_owned() {
                let _ = outlet.address.try_send(TypingNotice { user: user.clone(), thread, active, permit });
            }
        }
    }
}

impl Hub {
    /// Sends presence changes to the users who share a thread. Called by the tick.
    ///
    /// Changes for an outlet whose mailbox is full are sent by a later tick. Until then presence makes no further changes, so that at
    /// most the changes of one tick wait, and each user receives changes in order.
    pub(super) fn send_presence_changes(&mut self) {
        if self.ephemeral.unsent.0.is_empty() {
            for (user, changes) in self.ephemeral.presence.tick(Instant::now()) {
                let changes: Arc<[PresenceChange]> = changes.into();
                for outlet in self.roster.outlets_of(&user) {
                    self.ephemeral.unsent.0.entry(outlet).or_default().push((user.clone(), Arc::clone(&changes)));
                }
            }
        }
        let outlets = &self.outlets;
        self.ephemeral.unsent.send(|outlet, changes| match outlets[outlet].address.try_send(PresenceChanges(changes)) {
            Err(SendError::Full(PresenceChanges(changes))) => Some(changes),
            // An outlet that has stopped has no connections left.
            Ok(()) | Err(SendError::Closed(_)) => None,
        });
    }
}

/// A receiver, and the changes for it.
type ChangesFor = (UserId, Arc<[PresenceChange]>);

/// Presence changes that are still to be sent, by outlet.
#[derive(Default)]
struct UnsentChanges(HashMap<OutletIndex, Vec<ChangesFor>>);

impl UnsentChanges {
    /// Passes all changes to `send`, and keeps those that it returns.
    fn send(&mut self, mut send: impl FnMut(OutletIndex, Vec<ChangesFor>) -> Option<Vec<ChangesFor>>) {
        let returned = self.0.drain().filter_map(|(outlet, changes)| Some((outlet, send(outlet, changes)?)));
        self.0 = returned.collect();
    }
}

impl Handler<GetPresentMembers> for Hub {
    type Result = MessageResult<GetPresentMembers>;

    fn handle(&mut self, question: GetPresentMembers, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.ephemeral.presence.members(question.thread))
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
            let sent = (0..1_000).filter(|_| ephemeral.may_send_typing(thread, members)).count() * members;
            let more = usize::try_from(began.elapsed().as_millis() * 2).expect("a short test") + members;
            assert!(sent <= frames_max + if frames_max == 0 { 0 } else { more }, "{members} members: {sent} frames");
            assert!(sent * 10 >= frames_max * 9, "{members} members: {sent} frames");
        }
        assert!(!ephemeral.may_send_typing(ThreadId::new(), 0), "no other member");
    }

    #[test]
    fn changes_of_presence_that_an_inbox_had_no_room_for_are_told_later_once() {
        let alice = UserId::parse("alice").expect("a user id");
        let changes = vec![(alice.clone(), Arc::from([(alice, true)]))];
        let mut unsent = UnsentChanges(HashMap::from([(0, changes.clone()), (1, changes.clone())]));
        let mut received = Vec::new();
        for full in [Some(1), Some(1), None] {
            unsent.send(|outlet, changes| {
                if full == Some(outlet) {
                    return Some(changes);
                }
                received.push((outlet, changes));
                None
            });
            assert_eq!(unsent.0.is_empty(), full.is_none());
        }
        assert_eq!(received, [(0, changes.clone()), (1, changes)]);
    }
}
