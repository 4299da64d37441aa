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

impl Present {
    /// One seat less waits; with the last of them the kept changes have served.
    fn joined(&mut self) {
        self.joining = self.joining.saturating_sub(1);
        if self.joining == 0 {
            self.changes = Vec::new();
        }
    }
}

/// What a user hears and where their seats are.
pub type Heard = (Arc<HashSet<ThreadId>>, Vec<OutletNumber>);

/// Present users and the routes of threads to outlets.
#[derive(Default)]
pub struct Roster {
    users: HashMap<UserId, Present>,
    /// For each thread, how many present users hear it on each outlet.
    routes: HashMap<ThreadId, HashMap<OutletNumber, usize>>,
}

impl Roster {
    /// A seat was taken; its memberships are about to be read, so changes to them are kept from now on.
    pub fn enter(&mut self, user: &UserId, outlet: OutletNumber) {
        let present = self.users.entry(user.clone()).or_default();
        present.joining += 1;
        let seats = present.seats.entry(outlet).or_default();
        *seats += 1;
        if *seats == 1 {
            for thread in present.threads.iter() {
                *self.routes.entry(*thread).or_default().entry(outlet).or_default() += 1;
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
            present.joined();
            return Some((Arc::clone(&present.threads), outlets));
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
        }
        for new in present.threads.difference(&before) {
            route(&mut self.routes, *new, &outlets);
        }
        present.joined();
        Some((Arc::clone(&present.threads), outlets))
    }

    /// A seat was given up, perhaps while it was still joining; whether it was the user's last.
    pub fn leave(&mut self, user: &UserId, outlet: OutletNumber, joining: bool) -> bool {
        let Some(present) = self.users.get_mut(user) else { return false };
        if joining {
            present.joined();
        }
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
        self.routes.get(&thread).into_iter().flatten().map(|(outlet, users)| (*outlet, *users))
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
        let outlets = self.routes.get(&thread).map(|outlets| outlets.keys().copied().collect()).unwrap_or_default();
        match change {
            Change::Removed(user) => self.change(position, user, thread, false),
            Change::Ended => {
                let hearing: Vec<UserId> = self
                    .users
                    .iter()
                    .filter(|(_, present)| present.joining > 0 || present.threads.contains(&thread))
                    .map(|(user, _)| user.clone())
                    .collect();
                hearing.iter().for_each(|user| self.change(position, user, thread, false));
            }
            Change::None | Change::Added(_) => {}
        }
        outlets
    }

    fn change(&mut self, position: Position, user: &UserId, thread: ThreadId, added: bool) {
        let Some(present) = self.users.get_mut(user) else { return };
        if present.joining > 0 {
            present.changes.push((position, thread, added));
        }
        let outlets: Vec<OutletNumber> = present.seats.keys().copied().collect();
        let threads = Arc::make_mut(&mut present.threads);
        if added && threads.insert(thread) {
            route(&mut self.routes, thread, &outlets);
        } else if !added && threads.remove(&thread) {
            unroute(&mut self.routes, thread, &outlets);
        }
    }

    /// Everybody with a seat on an outlet, and what they hear.
    pub fn on(&self, outlet: OutletNumber) -> Vec<(UserId, Arc<HashSet<ThreadId>>)> {
        let here = self.users.iter().filter(|(_, present)| present.seats.contains_key(&outlet));
        here.map(|(user, present)| (user.clone(), Arc::clone(&present.threads))).collect()
    }
}

type Routes = HashMap<ThreadId, HashMap<OutletNumber, usize>>;

fn route(routes: &mut Routes, thread: ThreadId, outlets: &[OutletNumber]) {
    let hearing = routes.entry(thread).or_default();
    for outlet in outlets {
        *hearing.entry(*outlet).or_default() += 1;
    }
}

fn unroute(routes: &mut Routes, thread: ThreadId, outlets: &[OutletNumber]) {
    let Some(hearing) = routes.get_mut(&thread) else { return };
    for outlet in outlets {
        if let Some(users) = hearing.get_mut(outlet) {
            *users -= 1;
            if *users == 0 {
                hearing.remove(outlet);
            }
        }
    }
    if hearing.is_empty() {
        routes.remove(&thread);
    }
}

#[cfg(test)]
#[path = "roster_tests.rs"]
mod tests;
