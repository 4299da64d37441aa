//! Connection permits: limits the open connections of each user and of the node.
//!
//! Under a lock, not in the hub: every upgrade acquires and releases a permit, and two wake-ups of the hub's thread would cost more
//! than the decision.

use std::{
    collections::HashMap,
    future::pending,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use crate::{
    domain::{Credential, FamilyId, Limits, SessionId, UserId},
    error::{Code, Error},
};

/// Time without a successful read of the revocations after which no connection is admitted.
const REVOCATIONS_AGE_MAX: Duration = Duration::from_secs(5);

/// Connection permits of a node.
pub struct Permits {
    user_max: u64,
    node_max: u64,
    held: Mutex<Held>,
}

struct Held {
    users: HashMap<UserId, Open>,
    open: u64,
    /// Number of the last stand-in.
    last: u64,
    /// When the revocations were read last.
    revocations_read_at: Instant,
    drained: bool,
    /// Completed when the last permit is released.
    empty: Option<oneshot::Sender<()>>,
}

/// Open connections of one user.
#[derive(Default)]
struct Open {
    connections: u64,
    /// Event streams and long polls, oldest first: a client uses one while it has no socket.
    stand_ins: Vec<StandIn>,
}

struct StandIn {
    number: u64,
    login: Login,
    /// Ends it. `None` once a socket has replaced it.
    end: Option<oneshot::Sender<()>>,
    /// Whether a socket was admitted to replace it.
    claimed: bool,
}

/// Distinguishes the clients of a user.
type Login = (Option<SessionId>, Option<FamilyId>);

fn login(credential: &Credential) -> Login {
    (credential.session, credential.family)
}

/// Permission for one connection; released when dropped.
pub struct Permit {
    permits: Arc<Permits>,
    user: UserId,
    kind: Kind,
}

enum Kind {
    Socket,
    StandIn(u64),
    /// A socket above the user's limit, until the stand-in of this number has ended.
    InPlaceOf(u64),
}

/// Completed when a socket replaces a stand-in.
pub struct Displaced(oneshot::Receiver<()>);

impl Displaced {
    /// Waits for the replacement; forever if it does not happen.
    pub async fn wait(self) {
        if self.0.await.is_err() {
            pending::<()>().await;
        }
    }
}

impl Permits {
    /// Permits with the limits in force.
    pub fn new(limits: &Limits) -> Permits {
        let held = Held {
            users: HashMap::new(),
            open: 0,
            last: 0,
            revocations_read_at: Instant::now(),
            drained: false,
            empty: None,
        };
        Permits { user_max: limits.connections_user, node_max: limits.connections_node, held: Mutex::new(held) }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // No code panics while it holds the lock, so the counts are consistent.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Acquires a permit for a socket. At the user's limit, the socket replaces the oldest stand-in of the same login, which stays
    /// open until [`Permit::proven`].
    ///
    /// # Errors
    /// As [`Permits::would_admit`].
    pub fn admit(self: &Arc<Permits>, who: &Credential) -> Result<Permit, Error> {
        let mut held = self.held();
        let number = self.may_admit_socket(&held, who)?;
        let open = held.count(&who.user);
        let claimed = open.stand_ins.iter_mut().find(|stand_in| Some(stand_in.number) == number);
        let kind = claimed.map_or(Kind::Socket, |stand_in| {
            stand_in.claimed = true;
            Kind::InPlaceOf(stand_in.number)
        });
        Ok(Permit { permits: Arc::clone(self), user: who.user.clone(), kind })
    }

    /// Acquires a permit for an event stream or long poll.
    ///
    /// # Errors
    /// As [`Permits::would_admit`].
    pub fn admit_stand_in(self: &Arc<Permits>, who: &Credential) -> Result<(Permit, Displaced), Error> {
        let mut held = self.held();
        self.has_room(&held, &who.user)?;
        self.may_admit(&held)?;
        held.last += 1;
        let number = held.last;
        let (end, displaced) = oneshot::channel();
        let stand_in = StandIn { number, login: login(who), end: Some(end), claimed: false };
        held.count(&who.user).stand_ins.push(stand_in);
        let permit = Permit { permits: Arc::clone(self), user: who.user.clone(), kind: Kind::StandIn(number) };
        Ok((permit, Displaced(displaced)))
    }

    /// Whether an upgrade would be admitted now.
    ///
    /// # Errors
    /// `too_many_connections`, `draining`, `store_unavailable` or `over_capacity`.
    pub fn would_admit(&self, who: &Credential) -> Result<(), Error> {
        self.may_admit_socket(&self.held(), who).map(drop)
    }

    /// Checks the user's limit, then the node's. Returns the stand-in that the socket would replace, if it needs to.
    fn may_admit_socket(&self, held: &Held, who: &Credential) -> Result<Option<u64>, Error> {
        let full = self.has_room(held, &who.user);
        let stand_in = full.as_ref().err().and_then(|_| held.claimable(who));
        if stand_in.is_none() {
            full?;
        }
        self.may_admit(held)?;
        Ok(stand_in)
    }

    fn has_room(&self, held: &Held, user: &UserId) -> Result<(), Error> {
        if held.users.get(user).is_none_or(|open| open.connections < self.user_max) {
            return Ok(());
        }
        let max = self.user_max;
        let detail = format!("You have {max} connections open, the most one user may have. Close one and try again.");
        Err(Error::new(Code::TooManyConnections, detail).after_ms(5_000))
    }

    fn may_admit(&self, held: &Held) -> Result<(), Error> {
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

    fn give_back(&self, user: &UserId, kind: &Kind) {
        let mut held = self.held();
        held.open = held.open.saturating_sub(1);
        if let Some(open) = held.users.get_mut(user) {
            open.connections -= 1;
            match kind {
                Kind::Socket => {}
                Kind::StandIn(number) => open.stand_ins.retain(|stand_in| stand_in.number != *number),
                // A socket that never worked leaves its stand-in to the next one.
                Kind::InPlaceOf(number) => {
                    open.stand_ins.iter_mut().filter(|one| one.number == *number).for_each(|one| one.claimed = false);
                }
            }
            if open.connections == 0 {
                held.users.remove(user);
            }
        }
        if held.open == 0
            && let Some(empty) = held.empty.take()
        {
            // The drain may have timed out.
            let _ = empty.send(());
        }
    }

    /// Records that the revocations were read just now.
    pub(super) fn revocations_read(&self) {
        self.held().revocations_read_at = Instant::now();
    }

    /// Whether the revocations were read recently.
    pub(super) fn known(&self) -> bool {
        self.held().known()
    }

    /// Admits no connection from now on. Returns whether any is open; then `empty` is completed when the last permit is released.
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

    /// Fails while the node drains.
    ///
    /// # Errors
    /// `draining`.
    pub(super) fn not_drained(&self) -> Result<(), Error> {
        if self.held().drained { Err(draining()) } else { Ok(()) }
    }
}

impl Held {
    /// Counts one more connection of a user.
    fn count(&mut self, user: &UserId) -> &mut Open {
        self.open += 1;
        let open = self.users.entry(user.clone()).or_default();
        open.connections += 1;
        open
    }

    /// The oldest stand-in of a login that no socket has replaced.
    fn claimable(&self, who: &Credential) -> Option<u64> {
        let free = |one: &&StandIn| !one.claimed && one.end.is_some() && one.login == login(who);
        self.users.get(&who.user)?.stand_ins.iter().find(free).map(|stand_in| stand_in.number)
    }

    fn known(&self) -> bool {
        self.revocations_read_at.elapsed() < REVOCATIONS_AGE_MAX
    }
}

impl Permit {
    /// Ends the stand-in that the socket replaces: the client was heard on the socket, so it works in both directions.
    pub fn proven(&mut self) {
        if let Kind::InPlaceOf(number) = std::mem::replace(&mut self.kind, Kind::Socket) {
            let mut held = self.permits.held();
            let stand_ins = held.users.get_mut(&self.user).map(|open| &mut open.stand_ins);
            let end = stand_ins.into_iter().flatten().find(|one| one.number == number).and_then(|one| one.end.take());
            // The stand-in may have ended already.
            let _ = end.map(|end| end.send(()));
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.permits.give_back(&self.user, &self.kind);
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

    fn who(name: &str) -> Credential {
        Credential::of(user(name))
    }

    fn refused(permits: &Arc<Permits>, name: &str) -> Option<Code> {
        permits.would_admit(&who(name)).err().map(|error| error.code)
    }

    #[test]
    fn a_permit_that_is_dropped_makes_room_for_its_user_and_for_all() {
        let permits = permits(2, 3);
        let first = permits.admit(&who("alice")).expect("room");
        let second = permits.admit(&who("alice")).expect("room");
        assert_eq!(refused(&permits, "alice"), Some(Code::TooManyConnections));
        let third = permits.admit(&who("bob")).expect("room");
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
        let (one, other) = (permits.admit(&who("alice")).expect("room"), permits.admit(&who("bob")).expect("room"));
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

    #[test]
    fn a_socket_takes_the_place_of_one_stand_in_of_its_login_which_ends_when_the_socket_works() {
        let permits = permits(1, 10);
        let (stream, Displaced(mut displaced)) = permits.admit_stand_in(&who("alice")).expect("room");
        assert!(permits.admit_stand_in(&who("alice")).is_err(), "a stand-in takes nobody's place");
        let other = Credential { session: Some(SessionId(uuid::Uuid::nil())), ..who("alice") };
        assert!(permits.admit(&other).is_err(), "another client's");
        drop(permits.admit(&who("alice")).expect("the place of the stand-in"));
        assert!(displaced.try_recv().is_err(), "the socket never worked");
        let mut socket = permits.admit(&who("alice")).expect("the place of the stand-in");
        assert!(permits.admit(&who("alice")).is_err(), "it has one place");
        socket.proven();
        assert!(displaced.try_recv().is_ok());
        assert!(permits.admit(&who("alice")).is_err(), "it is going");
        drop(stream);
        assert_eq!(refused(&permits, "alice"), Some(Code::TooManyConnections));
        drop(socket);
        assert!(permits.held().users.is_empty(), "nothing is kept of who has gone");
    }
}
