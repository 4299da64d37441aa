//! Presence: which users are online, by thread, and the changes that other users must be sent. A plain data structure; the hub's tick
//! drives it.
//!
//! A user is online from the first connection until `presence_linger_ms` after the last one, so that a reconnect or the time between
//! two polls is no change. Every change is sent, in order, to the online users who share a thread with the user that has at most
//! `presence_members` online members. So a client that has asked for the present members and applies the changes is up to date.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::{Duration, Instant},
};

use slab::Slab;

use crate::{
    domain::{Limits, ThreadId, UserId},
    outlet::PresenceChange,
    wire::Change,
};

/// Changes sent to one user per tick, so that a frame is much smaller than an outbox.
const CHANGES_PER_USER_MAX: usize = 1_000;

/// The online members of a thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresentMembers {
    /// Users, sorted by id; at most `presence_members`.
    pub users: Vec<UserId>,
    /// Number of online members.
    pub count: u64,
    /// Whether the members are sent presence changes of this thread.
    pub told: bool,
}

struct User {
    id: UserId,
    threads: HashSet<ThreadId>,
    /// When the last connection ended; `None` while there is one.
    left: Option<Instant>,
    /// Whether others have been sent that the user is online.
    told: bool,
    /// Whether the user is in `changed`.
    queued: bool,
}

/// Online users of this node.
pub struct Presence {
    users: Slab<User>,
    by_id: HashMap<UserId, usize>,
    threads: HashMap<ThreadId, HashSet<usize>>,
    /// Users whose change may have to be sent, each once.
    changed: VecDeque<usize>,
    /// When users left, in order. Some have come back since.
    leaving: VecDeque<(Instant, UserId)>,
    linger: Duration,
    members_max: usize,
    told_max: usize,
}

impl Presence {
    /// No user is online.
    pub fn new(limits: &Limits) -> Presence {
        let size = |max| usize::try_from(max).unwrap_or(usize::MAX);
        Presence {
            users: Slab::new(),
            by_id: HashMap::new(),
            threads: HashMap::new(),
            changed: VecDeque::new(),
            leaving: VecDeque::new(),
            linger: Duration::from_millis(limits.presence_linger_ms),
            members_max: size(limits.presence_members),
            told_max: size(limits.presence_told_per_second),
        }
    }

    /// Records that a user has a connection and receives these threads. For a user who is online already, events keep the threads up
    /// to date.
    pub fn arrive(&mut self, id: &UserId, threads: &HashSet<ThreadId>) {
        let number = *self.by_id.entry(id.clone()).or_insert_with(|| {
            let user = User { id: id.clone(), threads: HashSet::new(), left: None, told: false, queued: false };
            self.users.insert(user)
        });
        let user = &mut self.users[number];
        user.left = None;
        if user.threads != *threads {
            let before = std::mem::replace(&mut user.threads, threads.clone());
            before.difference(threads).for_each(|gone| unlist(&mut self.threads, *gone, number));
            for new in threads.difference(&before) {
                self.threads.entry(*new).or_default().insert(number);
            }
        }
        self.queue(number);
    }

    /// Records that the last connection of a user has ended.
    pub fn leave(&mut self, id: &UserId, now: Instant) {
        let Some(&number) = self.by_id.get(id) else { return };
        self.users[number].left = Some(now);
        self.leaving.push_back((now, id.clone()));
    }

    /// Applies the membership change of an event.
    pub fn apply(&mut self, thread: ThreadId, change: &Change) {
        match change {
            Change::None => {}
            Change::Added(users) => {
                for number in users.iter().filter_map(|user| self.by_id.get(user)) {
                    self.users[*number].threads.insert(thread);
                    self.threads.entry(thread).or_default().insert(*number);
                }
            }
            Change::Removed(user) => {
                if let Some(&number) = self.by_id.get(user) {
                    self.users[number].threads.remove(&thread);
                    unlist(&mut self.threads, thread, number);
                }
            }
            Change::Ended => {
                for number in self.threads.remove(&thread).into_iter().flatten() {
                    self.users[number].threads.remove(&thread);
                }
            }
        }
    }

    /// The online members of a thread.
    pub fn members(&self, thread: ThreadId) -> PresentMembers {
        let members = self.threads.get(&thread);
        let count = members.map_or(0, HashSet::len);
        let numbers = members.into_iter().flatten().take(self.members_max);
        let mut users: Vec<UserId> = numbers.map(|number| self.users[*number].id.clone()).collect();
        users.sort();
        PresentMembers { users, count: count as u64, told: count <= self.members_max }
    }

    /// The changes to send now, by receiver. Changes beyond `presence_told_per_second` wait for the next tick.
    pub fn tick(&mut self, now: Instant) -> HashMap<UserId, Vec<PresenceChange>> {
        while let Some((left, _)) = self.leaving.front().filter(|(left, _)| now.duration_since(*left) >= self.linger) {
            let left = *left;
            let number = self.leaving.pop_front().and_then(|(_, id)| self.by_id.get(&id).copied());
            // A user who has come back may have left again; then there is a later entry.
            if let Some(number) = number.filter(|number| self.users[*number].left == Some(left)) {
                self.queue(number);
            }
        }
        let (mut told, mut pairs, mut full) = (HashMap::new(), 0, false);
        while pairs < self.told_max && !full {
            let Some(number) = self.changed.pop_front() else { break };
            let user = &mut self.users[number];
            user.queued = false;
            let over = user.left.is_some_and(|left| now.duration_since(left) >= self.linger);
            if !user.told {
                user.told = true;
                // For a user who has left already, the coming is sent first: another client may have seen it by asking.
                pairs += self.tell(number, true, &mut told, &mut full);
                if over {
                    self.queue(number);
                }
            } else if over {
                pairs += self.tell(number, false, &mut told, &mut full);
                self.remove(number);
            }
        }
        told
    }

    /// Adds a change of a user for those who share a thread with them. Returns the cost.
    fn tell(&self, number: usize, online: bool, told: &mut HashMap<UserId, Vec<PresenceChange>>, full: &mut bool) -> usize {
        let user = &self.users[number];
        let mut done = HashSet::from([number]);
        let mut cost = 1;
        let small = user.threads.iter().filter_map(|thread| self.threads.get(thread));
        for members in small.filter(|members| members.len() <= self.members_max) {
            cost += members.len();
            for other in members.iter().filter(|other| done.insert(**other)) {
                let other = &self.users[*other];
                if other.left.is_none() {
                    let deltas = told.entry(other.id.clone()).or_default();
                    deltas.push((user.id.clone(), online));
                    *full |= deltas.len() >= CHANGES_PER_USER_MAX;
                }
            }
        }
        cost
    }

    fn queue(&mut self, number: usize) {
        if !std::mem::replace(&mut self.users[number].queued, true) {
            self.changed.push_back(number);
        }
    }

    fn remove(&mut self, number: usize) {
        let user = self.users.remove(number);
        self.by_id.remove(&user.id);
        user.threads.into_iter().for_each(|thread| unlist(&mut self.threads, thread, number));
    }
}

fn unlist(threads: &mut HashMap<ThreadId, HashSet<usize>>, thread: ThreadId, number: usize) {
    if let Some(members) = threads.get_mut(&thread) {
        members.remove(&number);
        if members.is_empty() {
            threads.remove(&thread);
        }
    }
}

#[cfg(test)]
#[path = "presence_tests.rs"]
mod tests;
