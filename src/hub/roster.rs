//! Roster: the connected users of this node, the threads they receive, and the routes from threads to outlets.
//!
//! A plain data structure over outlet indexes. The hub routes by it.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crate::{
    domain::{Position, ThreadId, UserId},
    wire::Change,
};

/// Index of an outlet in the hub.
pub type OutletIndex = usize;

/// A user with a connection.
#[derive(Default)]
struct Present {
    /// Number of connections, by outlet.
    connections: HashMap<OutletIndex, usize>,
    /// Number of connections whose memberships are being read.
    joining: usize,
    /// Membership changes released since the first of those subscribed; `true` for an added member.
    changes: Vec<(Position, ThreadId, bool)>,
    /// Whether `threads` has been read. From then on, released events update it.
    known: bool,
    threads: Arc<HashSet<ThreadId>>,
}

/// Subscribers of a thread on this node. Exists while there are any.
#[derive(Default)]
struct Route {
    /// Number of users, by outlet.
    outlets: HashMap<OutletIndex, usize>,
    users: HashSet<UserId>,
}

/// The threads that a user receives, and the outlets of the user's connections.
pub type Subscriptions = (Arc<HashSet<ThreadId>>, Vec<OutletIndex>);

/// Connected users, and the routes from threads to outlets.
#[derive(Default)]
pub struct Roster {
    users: HashMap<UserId, Present>,
    /// Users with a connection whose memberships are being read.
    joining: HashSet<UserId>,
    routes: Routes,
}

impl Roster {
    /// Registers a connection. Its memberships are about to be read, so membership changes are recorded from now on.
    pub fn subscribe(&mut self, user: &UserId, outlet: OutletIndex) {
        let present = self.users.entry(user.clone()).or_default();
        present.joining += 1;
        self.joining.insert(user.clone());
        let connections = present.connections.entry(outlet).or_default();
        *connections += 1;
        if *connections == 1 {
            for thread in present.threads.iter() {
                route(&mut self.routes, *thread, user, &[outlet]);
            }
        }
    }

    /// Sets the memberships of a user as read at a position, applies the changes recorded since, and returns the user's
    /// subscriptions.
    ///
    /// Only the first read is applied. A read may be ahead of the released events. Its own connection reads the events between from
    /// the store, but another connection of the user that is live already must still receive them.
    pub fn set_memberships(&mut self, user: &UserId, at: Position, threads: Vec<ThreadId>) -> Option<Subscriptions> {
        let present = self.users.get_mut(user)?;
        let outlets: Vec<OutletIndex> = present.connections.keys().copied().collect();
        if std::mem::replace(&mut present.known, true) {
            let current = Arc::clone(&present.threads);
            self.joined(user);
            return Some((current, outlets));
        }
        let mut threads: HashSet<ThreadId> = threads.into_iter().collect();
        for (position, thread, added) in &present.changes {
            match added {
                _ if *position <= at => {}
                true => _ = threads.insert(*thread),
                false => _ = threads.remove(thread),
            }
        }
        let before = std::mem::replace(&mut present.threads, Arc::new(threads));
        for gone in before.difference(&present.threads) {
            unroute(&mut self.routes, *gone, &outlets);
            forget(&mut self.routes, *gone, user);
        }
        for new in present.threads.difference(&before) {
            route(&mut self.routes, *new, user, &outlets);
        }
        let current = Arc::clone(&present.threads);
        self.joined(user);
        Some((current, outlets))
    }

    /// Records that one connection has joined. With the user's last joining connection, the recorded changes are dropped.
    fn joined(&mut self, user: &UserId) {
        let Some(present) = self.users.get_mut(user) else { return };
        present.joining = present.joining.saturating_sub(1);
        if present.joining == 0 {
            present.changes = Vec::new();
            self.joining.remove(user);
        }
    }

    /// Unregisters a connection, which may still be joining. Returns whether it was the user's last one.
    pub fn unsubscribe(&mut self, user: &UserId, outlet: OutletIndex, joining: bool) -> bool {
        if joining {
            self.joined(user);
        }
        let Some(present) = self.users.get_mut(user) else { return false };
        let Some(connections) = present.connections.get_mut(&outlet) else { return false };
        *connections -= 1;
        if *connections == 0 {
            present.connections.remove(&outlet);
            for thread in present.threads.iter() {
                unroute(&mut self.routes, *thread, &[outlet]);
            }
        }
        let last = present.connections.is_empty();
        if last {
            for thread in present.threads.iter() {
                forget(&mut self.routes, *thread, user);
            }
            self.joining.remove(user);
            self.users.remove(user);
        }
        last
    }

    /// Whether a connected user receives a thread.
    pub fn is_subscribed(&self, user: &UserId, thread: ThreadId) -> bool {
        self.users.get(user).is_some_and(|present| present.threads.contains(&thread))
    }

    /// Outlets with subscribers of a thread, and the number of users on each.
    pub fn subscribers(&self, thread: ThreadId) -> impl Iterator<Item = (OutletIndex, usize)> {
        self.routes.get(&thread).into_iter().flat_map(|route| &route.outlets).map(|(outlet, users)| (*outlet, *users))
    }

    /// Outlets with connections of a user.
    pub fn outlets_of(&self, user: &UserId) -> impl Iterator<Item = OutletIndex> {
        self.users.get(user).into_iter().flat_map(|present| present.connections.keys().copied())
    }

    /// Applies the membership change of an event, in log order, and returns the outlets that receive the event. An added member
    /// receives it, and so does a removed one.
    pub fn release(&mut self, position: Position, thread: ThreadId, change: &Change) -> Vec<OutletIndex> {
        if let Change::Added(users) = change {
            users.iter().for_each(|user| self.change(position, user, thread, true));
        }
        let outlets = self.routes.get(&thread).map(|route| route.outlets.keys().copied().collect()).unwrap_or_default();
        match change {
            Change::Removed(user) => self.change(position, user, thread, false),
            Change::Ended => {
                let concerned: HashSet<UserId> = self.concerned(thread).cloned().collect();
                concerned.iter().for_each(|user| self.change(position, user, thread, false));
            }
            Change::None | Change::Added(_) => {}
        }
        outlets
    }

    /// Connected users that the end of a thread may concern, some of them twice: its subscribers and the joining users, not all.
    fn concerned(&self, thread: ThreadId) -> impl Iterator<Item = &UserId> {
        self.routes.get(&thread).into_iter().flat_map(|route| &route.users).chain(&self.joining)
    }

    fn change(&mut self, position: Position, user: &UserId, thread: ThreadId, added: bool) {
        let Some(present) = self.users.get_mut(user) else { return };
        if present.joining > 0 {
            present.changes.push((position, thread, added));
        }
        let outlets: Vec<OutletIndex> = present.connections.keys().copied().collect();
        let threads = Arc::make_mut(&mut present.threads);
        if added && threads.insert(thread) {
            route(&mut self.routes, thread, user, &outlets);
        } else if !added && threads.remove(&thread) {
            unroute(&mut self.routes, thread, &outlets);
            forget(&mut self.routes, thread, user);
        }
    }

    /// Users with a connection on an outlet, each with the threads they receive.
    pub fn users_on(&self, outlet: OutletIndex) -> Vec<(UserId, Arc<HashSet<ThreadId>>)> {
        let users = self.users.iter().filter(|(_, present)| present.connections.contains_key(&outlet));
        users.map(|(user, present)| (user.clone(), Arc::clone(&present.threads))).collect()
    }
}

type Routes = HashMap<ThreadId, Route>;

/// Adds a user to the route of a thread, on these outlets.
fn route(routes: &mut Routes, thread: ThreadId, user: &UserId, outlets: &[OutletIndex]) {
    let route = routes.entry(thread).or_default();
    route.users.insert(user.clone());
    for outlet in outlets {
        *route.outlets.entry(*outlet).or_default() += 1;
    }
}

/// Removes one user from the counts of these outlets.
fn unroute(routes: &mut Routes, thread: ThreadId, outlets: &[OutletIndex]) {
    let Some(route) = routes.get_mut(&thread) else { return };
    for outlet in outlets {
        if let Some(users) = route.outlets.get_mut(outlet) {
            *users -= 1;
            if *users == 0 {
                route.outlets.remove(outlet);
            }
        }
    }
}

/// Removes a user from the route of a thread.
fn forget(routes: &mut Routes, thread: ThreadId, user: &UserId) {
    let Some(route) = routes.get_mut(&thread) else { return };
    route.users.remove(user);
    if route.users.is_empty() {
        routes.remove(&thread);
    }
}

#[cfg(test)]
#[path = "roster_tests.rs"]
mod tests;
