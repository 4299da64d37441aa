//! The modelled store: a log, who was a member from where to where, the page that its real query would answer with, and
//! what anybody must have been told in the end.

use std::{
    fmt::Debug,
    sync::{Arc, LazyLock},
};

use uuid::Uuid;

use super::super::{EncodedPage, Head, Position};
use crate::{
    domain::{ThreadId, UserId},
    wire::{Change, Envelope},
};

pub const USERS: usize = 3;
pub const THREADS: usize = 4;

/// What the world asks of a store, modelled or real.
pub trait Truth {
    /// A wish to change something.
    type Wish: Clone + Debug;

    /// A wish out of random numbers, the first below [`WISHES`].
    fn wish(what: usize, one: usize, two: usize) -> Self::Wish;
    /// Appends what it comes to, if anything.
    fn append(&mut self, wish: Self::Wish);
    /// The log's end.
    fn end(&self) -> u64;
    /// An event as it is on its way to the hub.
    fn envelope(&self, position: u64) -> Arc<Envelope>;
    /// The threads that somebody is a member of now.
    fn memberships(&self, user: usize) -> Vec<ThreadId>;
    /// The next events that somebody may see.
    fn page(&self, user: usize, after: u64, limit: usize) -> EncodedPage;
    /// What the model says of the same log.
    fn model(&self) -> &Store;
}

/// Bound of the first number of a wish.
pub const WISHES: usize = 59;

/// A user of the model.
pub fn user(number: usize) -> UserId {
    static USER: LazyLock<Vec<UserId>> =
        LazyLock::new(|| (0..USERS).map(|number| UserId::parse(&format!("user{number}")).expect("a user id")).collect());
    USER[number].clone()
}

/// A thread of the model.
pub fn thread_id(thread: usize) -> ThreadId {
    ThreadId(Uuid::from_u128(thread as u128))
}

/// The log's end at a position.
pub fn head(position: u64) -> Head {
    Head { epoch: Uuid::nil(), position: Position(position), mark: 0 }
}

/// What is appended.
#[derive(Debug, Clone)]
pub enum Fact {
    Message,
    Added(Vec<usize>),
    Removed(usize),
    Ended,
}

/// From where to where somebody was a member; the last event belongs to it.
type Span = (u64, Option<u64>);

#[derive(Default)]
pub struct Store {
    log: Vec<(usize, Fact)>,
    threads: [Vec<u64>; THREADS],
    spans: [[Vec<Span>; THREADS]; USERS],
}

impl Store {
    fn is_member(&self, user: usize, thread: usize) -> bool {
        self.spans[user][thread].last().is_some_and(|(_, until)| until.is_none())
    }

    /// Appends what changes something.
    pub fn note(&mut self, thread: usize, fact: Fact) {
        let position = self.end() + 1;
        let fact = match fact {
            Fact::Added(users) => {
                let new: Vec<usize> = users.into_iter().filter(|user| !self.is_member(*user, thread)).collect();
                if new.is_empty() {
                    return;
                }
                new.iter().for_each(|user| self.spans[*user][thread].push((position, None)));
                Fact::Added(new)
            }
            Fact::Removed(user) if !self.is_member(user, thread) => return,
            fact => fact,
        };
        let gone: Vec<usize> = match &fact {
            Fact::Removed(user) => vec![*user],
            Fact::Ended => (0..USERS).filter(|user| self.is_member(*user, thread)).collect(),
            Fact::Message | Fact::Added(_) => Vec::new(),
        };
        for user in gone {
            self.spans[user][thread].last_mut().expect("a member").1 = Some(position);
        }
        self.threads[thread].push(position);
        self.log.push((thread, fact));
    }

    fn thread(&self, position: u64) -> usize {
        self.log[usize::try_from(position).expect("small") - 1].0
    }

    /// Whether an event lies in a time of membership.
    pub fn may_see(&self, user: usize, position: u64) -> bool {
        let inside = |(from, until): &Span| *from <= position && until.is_none_or(|until| position <= until);
        self.spans[user][self.thread(position)].iter().any(inside)
    }

    /// Why this is not what the user must have been told above a place: all of a thread one is a member of; of a time
    /// that is over a beginning, and of the last such time its end.
    pub fn breach(&self, user: usize, above: u64, seen: &[u64]) -> Option<String> {
        for thread in 0..THREADS {
            let spans = &self.spans[user][thread];
            let last_over = spans.iter().rposition(|(_, until)| until.is_some());
            for (number, (from, until)) in spans.iter().enumerate() {
                let inside =
                    |position: &&u64| **position >= *from && **position > above && until.is_none_or(|u| **position < u);
                let all: Vec<u64> = self.threads[thread].iter().filter(inside).copied().collect();
                let got: Vec<u64> =
                    seen.iter().filter(|position| self.thread(**position) == thread).filter(inside).copied().collect();
                let whole = if until.is_none() { got == all } else { all.starts_with(&got) };
                let end_told = until.is_none_or(|until| until <= above || seen.contains(&until));
                if !whole || (last_over == Some(number) && !end_told) {
                    return Some(format!("thread {thread} from {from} to {until:?} above {above}: {got:?} of {all:?}"));
                }
            }
        }
        None
    }
}

impl Truth for Store {
    type Wish = (usize, Fact);

    fn wish(what: usize, one: usize, two: usize) -> (usize, Fact) {
        let fact = match what {
            0..40 => Fact::Message,
            40..52 => Fact::Added(if two.is_multiple_of(4) { (0..USERS).collect() } else { vec![two % USERS] }),
            52..58 => Fact::Removed(two % USERS),
            _ => Fact::Ended,
        };
        (one % THREADS, fact)
    }

    fn append(&mut self, (thread, fact): (usize, Fact)) {
        self.note(thread, fact);
    }

    fn end(&self) -> u64 {
        self.log.len() as u64
    }

    fn envelope(&self, position: u64) -> Arc<Envelope> {
        let (thread, fact) = &self.log[usize::try_from(position).expect("small") - 1];
        let change = match fact {
            Fact::Message => Change::None,
            Fact::Added(users) => Change::Added(users.iter().map(|number| user(*number)).collect()),
            Fact::Removed(number) => Change::Removed(user(*number)),
            Fact::Ended => Change::Ended,
        };
        let (position, thread) = (Position(position), thread_id(*thread));
        Arc::new(Envelope { position, mark: 0, thread, change, frame: "event".into() })
    }

    fn memberships(&self, user: usize) -> Vec<ThreadId> {
        (0..THREADS).filter(|thread| self.is_member(user, *thread)).map(thread_id).collect()
    }

    /// As the store's own query says: of threads one is a member of everything since one joined, of others the last
    /// event that says one left.
    fn page(&self, user: usize, after: u64, limit: usize) -> EncodedPage {
        let mut visible = Vec::new();
        for thread in 0..THREADS {
            let spans = &self.spans[user][thread];
            if let Some((from, None)) = spans.last() {
                let events = &self.threads[thread];
                let first = events.partition_point(|position| position < from || *position <= after);
                visible.extend(events[first..].iter().take(limit));
            }
            visible.extend(spans.iter().filter_map(|(_, until)| *until).max().filter(|until| *until > after));
        }
        visible.sort_unstable();
        visible.truncate(limit);
        let full = visible.len() == limit;
        let complete_to = visible.last().copied().filter(|_| full).unwrap_or(self.end());
        let events = visible.iter().map(|position| Envelope::clone(&self.envelope(*position))).collect();
        EncodedPage { events, complete_to: head(complete_to), read: (!full).then(Vec::new) }
    }

    fn model(&self) -> &Store {
        self
    }
}
