//! What outlets send to the hub. The hub's room is above this one, so an outlet knows the hub only as recipients of messages.

use std::sync::atomic::{AtomicU64, Ordering};

use actix::prelude::*;
use tokio::sync::oneshot;

use super::Outlet;
use crate::{
    domain::{ThreadId, UserId},
    error::Error,
    store::Head,
};

/// Identifies an outlet on its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutletId(u64);

/// Hands out the ids of a node's outlets.
#[derive(Debug, Default)]
pub struct OutletIds(AtomicU64);

impl OutletIds {
    /// The next id.
    pub(super) fn next(&self) -> OutletId {
        OutletId(self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// Registers an outlet.
#[derive(Message)]
#[rtype(result = "()")]
pub struct RegisterOutlet {
    /// Its id.
    pub id: OutletId,
    /// Its address.
    pub outlet: Addr<Outlet>,
}

/// Registers a connection and holds back the user's membership changes until [`SetMemberships`].
///
/// The reply has a channel of its own: actix drops a message whose sender stops waiting for `send`, and the [`Unsubscribe`] that
/// follows would then count for another connection.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Subscribe {
    /// User of the connection.
    pub user: UserId,
    /// Outlet of the connection.
    pub outlet: OutletId,
    /// Completed when the connection is registered, or refused because the node is draining.
    pub reply: oneshot::Sender<Result<(), Error>>,
}

/// Sets the threads of a user whose connection has subscribed. The hub answers with
/// [`SetSubscriptions`](super::SetSubscriptions).
#[derive(Message)]
#[rtype(result = "()")]
pub struct SetMemberships {
    /// The user.
    pub user: UserId,
    /// End of the log at which the memberships were read.
    pub at: Head,
    /// The user's threads.
    pub threads: Vec<ThreadId>,
}

/// Unregisters a connection.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Unsubscribe {
    /// User of the connection.
    pub user: UserId,
    /// Outlet of the connection.
    pub outlet: OutletId,
    /// Whether the connection ended before its [`SetMemberships`].
    pub joining: bool,
}

/// The hub, as outlets see it.
pub struct HubLink {
    /// Accepts new outlets.
    pub register: Recipient<RegisterOutlet>,
    /// Accepts new connections.
    pub subscribe: Recipient<Subscribe>,
    /// Accepts the memberships of a connection's user.
    pub set_memberships: Recipient<SetMemberships>,
    /// Accepts the ends of connections.
    pub unsubscribe: Recipient<Unsubscribe>,
}
