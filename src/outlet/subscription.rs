//! Subscription of one connection: its registration with hub and outlet.

use std::{cell::Cell, future::poll_fn, rc::Rc, sync::Arc};

use tokio::sync::oneshot;

use super::{EntryKey, LocalOutlet, OutletContext, SetMemberships, Subscribe, Subscriber, Unsubscribe, local_outlet};
use crate::{
    connection_io::ConnectionIo,
    domain::{Credential, Position, StoreError, Time, UserId},
    error::{Code, Error},
    store::{Head, Memberships},
};

/// Subscription of one connection. Unsubscribes when dropped.
pub struct Subscription {
    context: Arc<OutletContext>,
    outlet: Rc<LocalOutlet>,
    key: EntryKey,
    user: UserId,
    seed: u64,
    joining: Cell<bool>,
}

impl Subscription {
    /// Subscribes a connection and waits until this worker's outlet has the subscriptions of its user.
    ///
    /// The order matters. First the connection is registered, so that the hub holds back changes of the user's memberships, and
    /// every revocation reaches the entry. Then the memberships are read, and whether the credential is still valid. Then the hub
    /// applies the changes that it held back.
    ///
    /// # Errors
    /// `signed_out` or `disabled` if the credential has been revoked; an error if the store or the hub cannot answer.
    pub async fn open(context: &Arc<OutletContext>, subscriber: Subscriber, io: &Rc<ConnectionIo>) -> Result<Self, Error> {
        let outlet = local_outlet(context);
        let credential = subscriber.credential.clone();
        let user = credential.user.clone();
        let seed = subscriber.seed();
        let key = outlet.registry.borrow_mut().register(subscriber, Rc::clone(io));
        let joining = Cell::new(true);
        let subscription = Subscription { context: Arc::clone(context), outlet, key, user: user.clone(), seed, joining };
        let hub = &context.hub;
        let (reply, answer) = oneshot::channel();
        // Unbounded, as `SetMemberships` below: one message per connection, and permits limit the connections.
        hub.subscribe.do_send(Subscribe { user: user.clone(), outlet: subscription.outlet.id, reply });
        answer.await.map_err(|_| StoreError::Unavailable)??;
        let Memberships { at, threads, status } = context.reads.memberships(credential.clone(), context.clock.now()).await?;
        let status = status.ok_or_else(|| Error::new(Code::UnknownAccount, "This account is gone."))?;
        status.judge(&credential)?;
        subscription.outlet.registry.borrow_mut().set_checked(key, status.revocations);
        subscription.joining.set(false);
        // The hub answers by sending the subscriptions to the outlet.
        hub.set_memberships.do_send(SetMemberships { user, at, threads });
        poll_fn(|cx| subscription.outlet.registry.borrow_mut().poll_joined(key, cx)).await;
        Ok(subscription)
    }

    /// The user.
    pub fn user(&self) -> &UserId {
        &self.user
    }

    /// A number that differs between connections, to spread their retries.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Replaces the credential by another one of the same user, which was valid when `revocation` was the last one. Returns that
    /// number for the credential before.
    pub fn renew(&self, credential: Credential, expires_at: Time, revocation: u64) -> u64 {
        self.outlet.registry.borrow_mut().renew(self.key, credential, expires_at, revocation)
    }

    /// Records that a catch-up page after a position is about to be read. Returns the position from which markers must be read
    /// with it.
    pub fn begin_page(&self, after: Position) -> Position {
        self.outlet.registry.borrow_mut().begin_page(self.key, after)
    }

    /// Goes live if the feed has read as far as the outlet has delivered.
    pub fn try_live(&self, read: Position) -> bool {
        self.outlet.registry.borrow_mut().try_live(self.key, read)
    }

    /// Position up to which the live connection has received everything, if that is further than its feed has read.
    pub fn live_position(&self) -> Option<Head> {
        self.outlet.registry.borrow_mut().live_position(self.key)
    }

    /// Waits until the connection must catch up again. Returns the position to start from.
    pub async fn behind(&self) -> Position {
        poll_fn(|cx| self.outlet.registry.borrow_mut().poll_behind(self.key, cx)).await
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.outlet.registry.borrow_mut().unregister(self.key);
        // Unbounded: one message per connection, and permits limit the connections.
        let (user, outlet, joining) = (self.user.clone(), self.outlet.id, self.joining.get());
        self.context.hub.unsubscribe.do_send(Unsubscribe { user, outlet, joining });
    }
}
