//! For tests: a store in memory with users and threads, and a time that the test sets.

use rusqlite::Connection;
use uuid::Uuid;

use super::Sqlite;
use crate::{
    domain::{
        Account, Content, Draft, Limits, LoginAct, Message, MessageId, RetryKey, Sequence, StoreError, ThreadId, Time,
        UserId,
    },
    error::Error,
    store::{Act, Change, Committed, Done, Log, Write},
};

pub(super) fn user(name: &str) -> UserId {
    UserId::parse(name).expect("a user id")
}

pub(super) fn draft(content: &str) -> Draft {
    Draft::new(content.to_owned(), None, &Limits::default()).expect("a draft")
}

pub(super) fn content(text: &str) -> Content {
    Content::new(text.to_owned(), &Limits::default()).expect("content")
}

/// A store and the time in it.
pub(super) struct World {
    pub store: Sqlite,
    pub now: Time,
    /// Names what is created, so that two worlds with the same history are the same.
    ids: u128,
}

impl World {
    pub fn new(users: &[&str]) -> World {
        Self::of(Sqlite::in_memory(&Limits::default()).expect("a store"), users)
    }

    pub fn of(store: Sqlite, users: &[&str]) -> World {
        let mut world = World { store, now: Time(1_000), ids: 0 };
        for name in users {
            let account = Account::new(user(name), *name);
            world.write(&Write::Login(Box::new(LoginAct::CreateAccount { account, at: Time(0), keep: false })));
        }
        world
    }

    /// The writing connection.
    pub fn connection(&self) -> &Connection {
        self.store.log.connection.as_ref().expect("the writing connection")
    }

    pub fn count(&self, what: &str) -> u64 {
        self.connection()
            .query_row(&format!("SELECT count(*) FROM {what}"), (), |row| super::rows::count(row, 0))
            .expect("a count")
    }

    pub fn write(&mut self, write: &Write) -> Done {
        let committed = self.store.log.commit(std::slice::from_ref(write)).expect("a commit");
        committed.outcomes.into_iter().next().expect("an outcome").expect("no refusal")
    }

    pub fn change(&mut self, by: &str, key: Option<&str>, act: Act) -> Write {
        self.ids += 1;
        let id = Uuid::from_u128(self.ids);
        let key = key.map(|key| RetryKey::new(key).expect("a key"));
        Write::Change(Change { id, by: user(by), at: self.now, key, act })
    }

    /// One write, whatever comes of it.
    pub fn attempt(&mut self, write: &Write) -> Result<Committed, StoreError> {
        self.store.log.commit(std::slice::from_ref(write))
    }

    pub fn act(&mut self, by: &str, key: Option<&str>, act: Act) -> Result<Done, Error> {
        let write = self.change(by, key, act);
        self.attempt(&write).expect("a commit").outcomes.remove(0)
    }

    pub fn thread(&mut self, owner: &str, members: &[&str]) -> ThreadId {
        let members = members.iter().map(|name| user(name)).collect();
        match self.act(owner, None, Act::CreateThread { title: None, members }) {
            Ok(Done::Thread { view, .. }) => view.thread.thread_id,
            other => panic!("{other:?}"),
        }
    }

    fn message(&mut self, by: &str, key: Option<&str>, act: Act) -> (Message, bool) {
        match self.act(by, key, act) {
            Ok(Done::Message { message, duplicate }) => (message, duplicate),
            other => panic!("{other:?}"),
        }
    }

    pub fn send(&mut self, by: &str, thread: ThreadId, content: &str) -> Message {
        self.send_with_key(by, None, thread, content).0
    }

    pub fn send_with_key(&mut self, by: &str, key: Option<&str>, thread: ThreadId, content: &str) -> (Message, bool) {
        self.message(by, key, Act::Send { thread, draft: draft(content) })
    }

    pub fn edit(&mut self, by: &str, message: MessageId, text: &str) -> Message {
        self.message(by, None, Act::EditMessage { message, content: content(text) }).0
    }

    pub fn delete(&mut self, by: &str, message: MessageId) -> Message {
        self.message(by, None, Act::DeleteMessage { message }).0
    }

    pub fn read(&mut self, by: &str, thread: ThreadId, sequence: u64) -> u64 {
        match self.act(by, None, Act::Read { thread, sequence: Sequence(sequence) }) {
            Ok(Done::Read(marker)) => marker.unread,
            other => panic!("{other:?}"),
        }
    }

    /// Prunes once: how many events went, and whether there is more.
    pub fn prune(&mut self, before: Option<Time>) -> (u64, bool) {
        match self.write(&Write::Prune { before }) {
            Done::Pruned { events, more } => (events, more),
            other => panic!("{other:?}"),
        }
    }

    /// Prunes until nothing is left to prune.
    pub fn prune_all(&mut self, before: Option<Time>) {
        while self.prune(before).1 {}
    }
}
