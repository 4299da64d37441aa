//! Permits: how many connections are open, of each user and together, and whether one more may be. Under a lock and not in the
//! hub: every upgrade asks and gives back, and two wake-ups of another thread would cost it more than all that is decided here.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use crate::{
    domain::{Limits, UserId},
    error::{Code, Error},
};

/// For how long the list of endings may be unreadable before nobody is admitted.
const PATIENCE: Duration = Duration::from_secs(5);

/// See the module. One a node.
pub(super) struct Permits {
    user_max: u64,
    node_max: u64,
    held: Mutex<Held>,
}

struct Held {
    users: HashMap<UserId, u64>,
    open: u64,
    /// When it was last seen who was signed out.
    seen_at: Instant,
    drained: bool,
    /// Told when the last permit is back.
    empty: Option<oneshot::Sender<()>>,
}

/// The right to one connection; given back when dropped.
pub struct Permit {
    permits: Arc<Permits>,
    user: UserId,
}

impl Permits {
    pub(super) fn new(limits: &Limits) -> Permits {
        let held = Held { users: HashMap::new(), open: 0, seen_at: Instant::now(), drained: false, empty: None };
        Permits { user_max: limits.connections_user, node_max: limits.connections_node, held: Mutex::new(held) }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // Nothing panics while it holds the lock, and counts are right after each line.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more connection of a user.
    ///
    /// # Errors
    /// As [`Permits::would_admit`].
    pub(super) fn admit(self: &Arc<Permits>, user: &UserId) -> Result<Permit, Error> {
        let mut held = self.held();
        self.may_admit(&held, user)?;
        held.open += 1;
        *held.users.entry(user.clone()).or_default() += 1;
        Ok(Permit { permits: Arc::clone(self), user: user.clone() })
    }

    /// What an upgrade would be told now.
    ///
    /// # Errors
    /// `too_many_connections`, `draining`, `store_unavailable` or `over_capacity`.
    pub(super) fn would_admit(&self, user: &UserId) -> Result<(), Error> {
        self.may_admit(&self.held(), user)
    }

    /// The user's limits first, then the node's.
    fn may_admit(&self, held: &Held, user: &UserId) -> Result<(), Error> {
        if held.users.get(user).is_some_and(|open| *open >= self.user_max) {
            let max = self.user_max;
            let detail = format!("You have {max} connections open, the most one user may have. Close one and try again.");
            return Err(Error::new(Code::TooManyConnections, detail).after_ms(5_000));
        }
        if held.drained {
            return Err(draining());
        }
        if !held.known() {
            let detail = "It cannot be seen who was signed out, so nobody is let in. Try again.";
            return Err(Error::new(Code::StoreUnavailable, detail).after_ms(1_000));
        }
        if held.open >= self.node_max {
            return Err(Error::new(Code::OverCapacity, "The server is full. Try again later.").after_ms(10_000));
        }
        Ok(())
    }

    fn give_back(&self, user: &UserId) {
        let mut held = self.held();
        held.open = held.open.saturating_sub(1);
        if let Some(open) = held.users.get_mut(user) {
            *open -= 1;
            if *open == 0 {
                held.users.remove(user);
            }
        }
        if held.open == 0
            && let Some(empty) = held.empty.take()
        {
            // Whoever waited may have reached its deadline.
            let _ = empty.send(());
        }
    }

    /// It was seen just now who was signed out.
    pub(super) fn seen(&self) {
        self.held().seen_at = Instant::now();
    }

    /// Whether that was lately, so that nobody stays in for long who was signed out.
    pub(super) fn known(&self) -> bool {
        self.held().known()
    }

    /// Admits nobody any more; whether somebody is still here, and then `empty` is told when the last has left.
    pub(super) fn drain(&self, empty: oneshot::Sender<()>) -> bool {
        let mut held = self.held();
        held.drained = true;
        if held.open == 0 {
            let _ = empty.send(());
            return false;
        }
        held.empty = Some(empty);
        true
    }

    /// Refused while the node drains.
    ///
    /// # Errors
    /// `draining`.
    pub(super) fn not_drained(&self) -> Result<(), Error> {
        if self.held().drained { Err(draining()) } else { Ok(()) }
    }
}

impl Held {
    fn known(&self) -> bool {
        self.seen_at.elapsed() < PATIENCE
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.permits.give_back(&self.user);
    }
}

fn draining() -> Error {
    Error::new(Code::Draining, "The server is shutting down. Try again shortly.").after_ms(2_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permits(user_max: u64, node_max: u64) -> Arc<Permits> {
        let limits = Limits { connections_user: user_max, connections_node: node_max, ..Limits::default() };
        Arc::new(Permits::new(&limits))
    }

    fn user(name: &str) -> UserId {
        UserId::parse(name).expect("a name")
    }

    fn refused(permits: &Arc<Permits>, name: &str) -> Option<Code> {
        permits.would_admit(&user(name)).err().map(|error| error.code)
    }

    #[test]
    fn a_permit_that_is_dropped_makes_room_for_its_user_and_for_all() {
        let permits = permits(2, 3);
        let first = permits.admit(&user("alice")).expect("room");
        let second = permits.admit(&user("alice")).expect("room");
        assert_eq!(refused(&permits, "alice"), Some(Code::TooManyConnections));
        let third = permits.admit(&user("bob")).expect("room");
        assert_eq!(refused(&permits, "carol"), Some(Code::OverCapacity));
        assert_eq!(refused(&permits, "alice"), Some(Code::TooManyConnections), "what the user can change comes first");
        drop(first);
        assert_eq!((refused(&permits, "alice"), refused(&permits, "carol")), (None, None));
        drop((second, third));
        assert!(permits.held().users.is_empty(), "nothing is kept of who has gone");
    }

    #[test]
    fn a_drain_is_over_when_the_last_permit_is_back() {
        let permits = permits(10, 10);
        let (one, other) = (permits.admit(&user("alice")).expect("room"), permits.admit(&user("bob")).expect("room"));
        let (empty, mut emptied) = oneshot::channel();
        assert!(permits.drain(empty));
        assert_eq!(refused(&permits, "carol"), Some(Code::Draining));
        drop(one);
        assert!(emptied.try_recv().is_err());
        drop(other);
        assert!(emptied.try_recv().is_ok());
        let (empty, mut emptied) = oneshot::channel();
        assert!(!permits.drain(empty) && emptied.try_recv().is_ok(), "nobody has to be waited for");
    }
}
