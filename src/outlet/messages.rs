//! What the hub sends to an outlet, and the handlers.

use std::{collections::HashSet, sync::Arc};

use actix::prelude::*;
use tokio::sync::OwnedSemaphorePermit;
use uuid::Uuid;

use super::{Item, Outlet, PendingDelivery, deliver_and_flush};
use crate::{
    connection_io::Closing,
    domain::{Position, ThreadId, UserId},
    error::Code,
    store::Head,
    wire::{
        frame::{self, Reply},
        shape::OnlineShape,
    },
};

/// A batch for the subscribers of this worker.
#[derive(Message)]
#[rtype(result = "()")]
pub struct DeliverBatch {
    /// Items in log order.
    pub items: Vec<Item>,
    /// End of the batch: position up to which the hub has released everything.
    pub end: Head,
}

impl Handler<DeliverBatch> for Outlet {
    type Result = ();

    fn handle(&mut self, batch: DeliverBatch, ctx: &mut Self::Context) {
        self.registry.borrow_mut().set_now(self.context.clock.now());
        let DeliverBatch { items, end } = batch;
        let mut pending = PendingDelivery { left: items.len(), items, end: Some(end) };
        pending.queue_slice(&mut self.registry.borrow_mut(), &self.context);
        if pending.end.is_none() {
            return self.flush_soon(ctx);
        }
        // The mailbox is not read until all of the batch is queued.
        let delivery = deliver_and_flush(self.registry.clone(), Arc::clone(&self.context), pending);
        ctx.wait(delivery.into_actor(self));
    }
}

/// Sets the threads that users receive.
#[derive(Message)]
#[rtype(result = "()")]
pub struct SetSubscriptions {
    /// Users with a connection on this worker, each with all of their threads.
    pub users: Vec<(UserId, Arc<HashSet<ThreadId>>)>,
    /// Position in the log for which they hold.
    pub at: Head,
    /// Whether batches were dropped before, so that the live connections must catch up.
    pub behind: bool,
}

impl Handler<SetSubscriptions> for Outlet {
    type Result = ();

    fn handle(&mut self, subscriptions: SetSubscriptions, _: &mut Self::Context) {
        let SetSubscriptions { users, at, behind } = subscriptions;
        let mut registry = self.registry.borrow_mut();
        if behind {
            registry.start_catch_up_of_all();
        }
        for (user, threads) in &users {
            registry.set_subscriptions(user, threads, at);
        }
        registry.advance(at);
    }
}

/// The connections that a [`Close`] concerns.
#[derive(Debug, Clone)]
pub enum CloseTarget {
    /// Those of a session or token family whose credential was checked before this revocation.
    Login {
        /// Id of the session or token family.
        id: Uuid,
        /// Number of the revocation.
        revocation: u64,
    },
    /// Those of a user whose credential was checked before this revocation.
    User {
        /// The user.
        user: UserId,
        /// Number of the revocation.
        revocation: u64,
    },
    /// All. Each client may reconnect after a random part of this time, in milliseconds.
    All {
        /// Length of the interval, in milliseconds.
        spread_ms: u64,
    },
}

/// Closes connections. The result is the number of those that were asked to close.
#[derive(Message, Clone)]
#[rtype(result = "u64")]
pub struct Close {
    /// Which connections.
    pub target: CloseTarget,
    /// The reason.
    pub code: Code,
}

impl Handler<Close> for Outlet {
    type Result = u64;

    fn handle(&mut self, close: Close, _: &mut Self::Context) -> u64 {
        let Close { target, code } = close;
        let mut registry = self.registry.borrow_mut();
        match target {
            CloseTarget::Login { id, revocation } => {
                registry.close_revoked(revocation, code, |subscriber| subscriber.descends_from(id))
            }
            CloseTarget::User { user, revocation } => {
                registry.close_revoked(revocation, code, |subscriber| subscriber.credential.user == user)
            }
            CloseTarget::All { spread_ms } => registry.close_all(|subscriber| {
                let delay = subscriber.seed() % spread_ms.max(1);
                Closing { code, retry_after_ms: Some(delay) }
            }),
        }
    }
}

/// Sends a typing notice to the other subscribers of a thread.
#[derive(Message)]
#[rtype(result = "()")]
pub struct TypingNotice {
    /// The user who types.
    pub user: UserId,
    /// The thread.
    pub thread: ThreadId,
    /// Whether the user types, or has stopped.
    pub active: bool,
    /// Slot in the mailbox that typing notices may use; released when the message is handled.
    pub permit: OwnedSemaphorePermit,
}

impl Handler<TypingNotice> for Outlet {
    type Result = ();

    fn handle(&mut self, notice: TypingNotice, _: &mut Self::Context) {
        let TypingNotice { user, thread, active, permit: _permit } = notice;
        let frame = Reply::Typing(frame::Typing { thread_id: thread.to_string(), user_id: user.as_str(), active }).frame();
        let frame = frame.shared(self.context.memory_budget.shared());
        let mut registry = self.registry.borrow_mut();
        registry.set_now(self.context.clock.now());
        registry.send_to_others(thread, &user, &frame);
    }
}

/// A user who came online (`true`) or went offline.
pub type PresenceChange = (UserId, bool);

/// Sends presence changes to users: each user with the changes that concern them.
#[derive(Message)]
#[rtype(result = "()")]
pub struct PresenceChanges(pub Vec<(UserId, Arc<[PresenceChange]>)>);

impl Handler<PresenceChanges> for Outlet {
    type Result = ();

    fn handle(&mut self, changes: PresenceChanges, _: &mut Self::Context) {
        let mut registry = self.registry.borrow_mut();
        registry.set_now(self.context.clock.now());
        for (receiver, changes) in changes.0 {
            let users = changes.iter().map(|(user, online)| OnlineShape { user_id: user.as_str(), online: *online });
            registry.send_to_user(&receiver, &Reply::Presence(frame::Presence { users: users.collect() }).frame());
        }
    }
}

/// Makes the connections of a user read the markers from the store that moved at a position or later.
#[derive(Message)]
#[rtype(result = "()")]
pub struct RereadMarkers {
    /// The user.
    pub user: UserId,
    /// The position.
    pub from: Position,
}

impl Handler<RereadMarkers> for Outlet {
    type Result = ();

    fn handle(&mut self, reread: RereadMarkers, _: &mut Self::Context) {
        self.registry.borrow_mut().reread_markers(&reread.user, reread.from);
    }
}

/// Stops the outlet: the node has shut down.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Stop;

impl Handler<Stop> for Outlet {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
