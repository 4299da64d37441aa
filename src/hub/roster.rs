//! Who is present on this node, what they hear, and which outlets therefore get which thread's events.
//! A plain data structure over outlet numbers: the hub decides by it.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crate::{
    domain::{Position, ThreadId, UserId},
    wire::Change,
};

/// An outlet's number on this node.
pub type OutletNumber = usize;

#[derive(Default)]
struct Present {
    /// Seats on each outlet.
    seats: HashMap<OutletNumber, usize>,
    /// Seats whose memberships are being read.
    joining: usize,
    /// Membership changes released since the first of those entered.
    changes: Vec<(Position, ThreadId, bool)>,
    /// Whether `threads` is known; from then on releases keep it.
    known: bool,
    threads: Arc<HashSet<ThreadId>>,
}

/// Who hears a thread on this node. Exists while somebody does.
#[derive(Default)]
struct Route {
    /// How many of the users on each outlet.
    outlets: HashMap<OutletNumber, usize>,
    users: HashSet<UserId>,
}

/// What a user hears and where their seats are.
pub type Heard = (Arc<HashSet<ThreadId>>, Vec<OutletNumber>);

/// Present users and the routes of threads to outlets.
#[derive(Default)]
pub struct Roster {
    users: HashMap<UserId, Present>,
    /// Users with a seat whose memberships are being read.
    joining: HashSet<UserId>,
    routes: Routes,
}

impl Roster {
    /// A seat was taken; its memberships are about to be read, so changes to them are kept from now on.
    pub fn enter(&mut self, user: &UserId, outlet: OutletNumber) {
        let present = self.users.entry(user.clone()).or_default();
        present.joining += 1;
        self.joining.insert(user.clone());
        let seats = present.seats.entry(outlet).or_default();
        *seats += 1;
        if *seats == 1 {
            for thread in present.threads.iter() {
                route(&mut self.routes, *thread, user, &[outlet]);
            }
        }
    }

    /// The memberships of a user as read at a position. What changed since is applied; the result is what the
    /// user hears. Only the first read counts: it may be ahead of what is released, which its own seat makes up for by
    /// reading the store, but another seat that is live already must still hear what lies between.
    pub fn listen(&mut self, user: &UserId, at: Position, threads: Vec<ThreadId>) -> Option<Heard> {
        let present = self.users.get_mut(user)?;
        let outlets: Vec<OutletNumber> = present.seats.keys().copied().collect();
        if std::mem::replace(&mut present.known, true) {
            let heard = Arc::clone(&present.threads);
            self.joined(user);
            return Some((heard, outlets));
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
        let heard = Arc::clone(&present.threads);
        self.joined(user);
        Some((heard, outlets))
    }

    /// One seat less waits; with the user's last of them the kept changes have served.
    fn joined(&mut self, user: &UserId) {
        let Some(present) = self.users.get_mut(user) else { return };
        present.joining = present.joining.saturating_sub(1);
        if present.joining == 0 {
            present.changes = Vec::new();
            self.joining.remove(user);
        }
    }

    /// A seat was given up, perhaps while it was still joining; whether it was the user's last.
    pub fn leave(&mut self, user: &UserId, outlet: OutletNumber, joining: bool) -> bool {
        if joining {
            self.joined(user);
        }
        let Some(present) = self.users.get_mut(user) else { return false };
        let Some(seats) = present.seats.get_mut(&outlet) else { return false };
        *seats -= 1;
        if *seats == 0 {
            present.seats.remove(&outlet);
            for thread in present.threads.iter() {
                unroute(&mut self.routes, *thread, &[outlet]);
            }
        }
        let last = present.seats.is_empty();
        if last {
            for thread in present.threads.iter() {
                forget(&mut self.routes, *thread, user);
            }
            self.joining.remove(user);
            self.users.remove(user);
        }
        last
    }

    /// Whether a present user hears a thread.
    pub fn hears(&self, user: &UserId, thread: ThreadId) -> bool {
        self.users.get(user).is_some_and(|present| present.threads.contains(&thread))
    }

    /// Where a thread is heard, and by how many users there.
    pub fn hearing(&self, thread: ThreadId) -> impl Iterator<Item = (OutletNumber, usize)> {
        self.routes.get(&thread).into_iter().flat_map(|route| &route.outlets).map(|(outlet, users)| (*outlet, *users))
    }

    /// Where a user has seats.
    pub fn seats_of(&self, user: &UserId) -> impl Iterator<Item = OutletNumber> {
        self.users.get(user).into_iter().flat_map(|present| present.seats.keys().copied())
    }

    /// Where an event goes, in log order: applies what it changes, before for who is added, after for who is removed.
    pub fn release(&mut self, position: Position, thread: ThreadId, change: &Change) -> Vec<OutletNumber> {
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

    /// Present users for whom the end of a thread may change something; some twice. As many as hear it or are joining, not all.
    fn concerned(&self, thread: ThreadId) -> impl Iterator<Item = &UserId> {
        self.routes.get(&thread).into_iter().flat_map(|route| &route.users).chain(&self.joining)
    }

    fn change(&mut self, position: Position, user: &UserId, thread: ThreadId, added: bool) {
        let Some(present) = self.users.get_mut(user) else { return };
        if present.joining > 0 {
            present.changes.push((position, thread, added));
        }
        let outlets: Vec<OutletNumber> = present.seats.keys().copied().collect();
        let threads = Arc::make_mut(&mut present.threads);
        if added && threads.insert(thread) {
            route(&mut self.routes, thread, user, &outlets);
        } else if !added && threads.remove(&thread) {
            unroute(&mut self.routes, thread, &outlets);
            forget(&mut self.routes, thread, user);
        }
    }

    /// Everybody with a seat on an outlet, and what they hear.
    pub fn on(&self, outlet: OutletNumber) -> Vec<(UserId, Arc<HashSet<ThreadId>>)> {
        let here = self.users.iter().filter(|(_, present)| present.seats.contains_key(&outlet));
        here.map(|(user, present)| (user.clone(), Arc::clone(&present.threads))).collect()
    }
}

type Routes = HashMap<ThreadId, Route>;

/// A user hears a thread on these outlets too.
fn route(routes: &mut Routes, thread: ThreadId, user: &UserId, outlets: &[OutletNumber]) {
    let route = routes.entry(thread).or_default();
    route.users.insert(user.clone());
    for outlet in outlets {
        *route.outlets.entry(*outlet).or_default() += 1;
    }
}

/// One user less hears a thread on these outlets.
fn unroute(routes: &mut Routes, thread: ThreadId, outlets: &[OutletNumber]) {
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

/// A user hears a thread no more, on any outlet.
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
