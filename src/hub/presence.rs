//! Who is here: users with a connection, by the threads they hear, and what the others have been told of them. A plain
//! data structure; the hub's tick drives it.
//!
//! A user is here from the first seat until `presence_linger_ms` after the last one, so that a reconnect or the gap
//! between two polls is no change. Every coming and every going is told, in this order, to those who are here and share
//! a thread that is not too large; so whoever has asked who is here and hears what is told knows who is here now.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    time::{Duration, Instant},
};

use slab::Slab;

use crate::{
    domain::{Limits, ThreadId, UserId},
    wire::Change,
};

/// Changes told to one user at once: a frame stays far below an outbox.
const DELTAS_MAX: usize = 1_000;

/// Somebody came (true) or went.
pub type Delta = (UserId, bool);

/// Which members of a thread are here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Here {
    /// By id; not all of them where they are too many to be told.
    pub users: Vec<UserId>,
    /// How many they are.
    pub count: u64,
    /// Whether those who are here are told who comes and goes.
    pub told: bool,
}

struct User {
    id: UserId,
    threads: HashSet<ThreadId>,
    /// When the last seat was given up; none while there is one.
    left: Option<Instant>,
    /// Whether the coming has been told.
    told: bool,
    /// Whether it stands in `changed`.
    queued: bool,
}

/// See the module.
pub struct Presence {
    users: Slab<User>,
    by_id: HashMap<UserId, usize>,
    threads: HashMap<ThreadId, HashSet<usize>>,
    /// Of whom something may have to be told, each once.
    changed: VecDeque<usize>,
    /// Who left when, in this order; some have come back since.
    leaving: VecDeque<(Instant, UserId)>,
    linger: Duration,
    members_max: usize,
    told_max: usize,
}

impl Presence {
    /// Nobody is here.
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

    /// A user has a seat and hears these threads. Of one who is here already nothing changes: the log keeps the threads.
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

    /// A user has given up the last seat.
    pub fn leave(&mut self, id: &UserId, now: Instant) {
        let Some(&number) = self.by_id.get(id) else { return };
        self.users[number].left = Some(now);
        self.leaving.push_back((now, id.clone()));
    }

    /// An event changes who is a member.
    pub fn release(&mut self, thread: ThreadId, change: &Change) {
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

    /// Which members of a thread are here.
    pub fn here(&self, thread: ThreadId) -> Here {
        let members = self.threads.get(&thread);
        let count = members.map_or(0, HashSet::len);
        let numbers = members.into_iter().flatten().take(self.members_max);
        let mut users: Vec<UserId> = numbers.map(|number| self.users[*number].id.clone()).collect();
        users.sort();
        Here { users, count: count as u64, told: count <= self.members_max }
    }

    /// What is to be told now, and to whom. What would be too much waits for the next tick.
    pub fn tick(&mut self, now: Instant) -> HashMap<UserId, Vec<Delta>> {
        while let Some((left, _)) = self.leaving.front().filter(|(left, _)| now.duration_since(*left) >= self.linger) {
            let left = *left;
            let number = self.leaving.pop_front().and_then(|(_, id)| self.by_id.get(&id).copied());
            // Who has come back in the meantime may have left again, and stands in the list for that.
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
                // Of who is gone already the coming is told first: somebody may have seen it by asking.
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

    /// Tells those who share a thread with a user that they came or went; what it cost.
    fn tell(&self, number: usize, online: bool, told: &mut HashMap<UserId, Vec<Delta>>, full: &mut bool) -> usize {
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
                    *full |= deltas.len() >= DELTAS_MAX;
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
