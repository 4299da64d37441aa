//! Histories of memberships over the real store: threads are made, handed over, left and deleted, people come and go as
//! members and as clients, and each is told of each once, as a client that counts sequences would have it.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use proptest::prelude::*;
use serde_json::Value;
use uuid::Uuid;

use super::{
    super::{EncodedPage, Position},
    run, schedule,
    store::{Fact, Store, THREADS, Truth, USERS, user},
    world::{Client, World},
};
use crate::{
    domain::{self, Account, Content, Draft, Event, Limits, LoginAct, MessageId, ThreadId, Time, UserId},
    error::Error,
    store::{Act, Change, Done, Log, PageLimit, Reads, Write, sqlite::Sqlite},
    wire::{Envelope, TextFrame, seal},
};

/// What somebody wishes; the owner does what only an owner may. A wish that is refused changes nothing.
#[derive(Debug, Clone)]
pub enum Wish {
    Create { by: usize, with: Vec<usize> },
    Send { thread: usize, by: usize },
    Edit { message: usize },
    Delete { message: usize },
    Add { thread: usize, user: usize },
    Remove { thread: usize, user: usize },
    Leave { thread: usize, user: usize },
    HandOver { thread: usize, user: usize },
    Rename { thread: usize },
    End { thread: usize },
}

/// The real store, and the model of the same log.
struct Real {
    store: Sqlite,
    runtime: tokio::runtime::Runtime,
    model: Store,
    envelopes: Vec<Arc<Envelope>>,
    threads: Vec<(ThreadId, UserId)>,
    messages: Vec<(MessageId, UserId)>,
}

impl Real {
    fn new() -> Real {
        let mut store = Sqlite::in_memory(&Limits::default()).expect("a database in memory");
        let account = |number| LoginAct::CreateAccount {
            account: Account::new(user(number), format!("User {number}")),
            at: Time(0),
            keep: true,
        };
        let accounts: Vec<Write> = (0..USERS).map(|number| Write::Login(Box::new(account(number)))).collect();
        store.log.commit(&accounts).expect("accounts");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let (model, envelopes) = (Store::default(), Vec::new());
        Real { store, runtime, model, envelopes, threads: Vec::new(), messages: Vec::new() }
    }

    /// Who does it and what it is; `None`: there is no such thing.
    fn act(&self, wish: &Wish) -> Option<(UserId, Act)> {
        let of = |thread: &usize| self.threads.get(*thread).cloned();
        Some(match wish {
            Wish::Create { by, with } if self.threads.len() < THREADS => {
                let members = with.iter().map(|number| user(*number)).collect();
                (user(*by), Act::CreateThread { title: None, members })
            }
            Wish::Create { .. } => return None,
            Wish::Send { thread, by } => {
                let draft = Draft::new("hello".to_owned(), None, &Limits::default()).ok()?;
                (user(*by), Act::Send { thread: of(thread)?.0, draft })
            }
            Wish::Edit { message } | Wish::Delete { message } => {
                let (message, author) = self.messages.get(message % self.messages.len().max(1))?.clone();
                let content = Content::new("hello again".to_owned(), &Limits::default()).ok()?;
                let edits = matches!(wish, Wish::Edit { .. });
                (author, if edits { Act::EditMessage { message, content } } else { Act::DeleteMessage { message } })
            }
            Wish::Add { thread, user: number } => {
                let (thread, owner) = of(thread)?;
                (owner, Act::AddMember { thread, user: user(*number) })
            }
            Wish::Remove { thread, user: number } => {
                let (thread, owner) = of(thread)?;
                (owner, Act::RemoveMember { thread, user: user(*number) })
            }
            Wish::Leave { thread, user: number } => {
                (user(*number), Act::RemoveMember { thread: of(thread)?.0, user: user(*number) })
            }
            Wish::HandOver { thread, user: number } => {
                let (thread, owner) = of(thread)?;
                (owner, Act::UpdateThread { thread, title: None, owner: Some(user(*number)) })
            }
            Wish::Rename { thread } => {
                let (thread, owner) = of(thread)?;
                (owner, Act::UpdateThread { thread, title: Some(Some("Lunch".to_owned())), owner: None })
            }
            Wish::End { thread } => {
                let (thread, owner) = of(thread)?;
                (owner, Act::DeleteThread { thread })
            }
        })
    }

    /// Tells the model what the store has appended.
    fn note(&mut self, event: &Event) {
        let number = |user: &UserId| (0..USERS).find(|number| super::store::user(*number) == *user).expect("a user");
        let owner = |thread: &domain::Thread| (thread.thread_id, thread.owner.clone());
        let fact = match &event.fact {
            domain::Fact::ThreadCreated(thread, joined) => {
                self.threads.push(owner(thread));
                Fact::Added(joined.iter().map(number).collect())
            }
            domain::Fact::ThreadUpdated(thread) => {
                let at = self.threads.iter().position(|(id, _)| *id == thread.thread_id).expect("a thread");
                self.threads[at] = owner(thread);
                Fact::Message
            }
            domain::Fact::MemberAdded(person) => Fact::Added(vec![number(&person.user_id)]),
            domain::Fact::MemberRemoved(person) => Fact::Removed(number(&person.user_id)),
            domain::Fact::ThreadDeleted => Fact::Ended,
            _ => Fact::Message,
        };
        let thread = self.threads.iter().position(|(id, _)| *id == event.thread).expect("a thread");
        self.model.note(thread, fact);
        assert_eq!(self.model.end(), event.position.0, "the model has the same log");
        self.envelopes.push(Arc::new(seal::seal(event)));
    }
}

impl Truth for Real {
    type Wish = Wish;

    fn wish(what: usize, one: usize, two: usize) -> Wish {
        let (thread, user) = (one % THREADS, two % USERS);
        match what {
            0..18 => Wish::Send { thread, by: user },
            18..24 => Wish::Create { by: user, with: (0..USERS).filter(|number| one >> number & 1 == 1).collect() },
            24..34 => Wish::Add { thread, user },
            34..41 => Wish::Remove { thread, user },
            41..46 => Wish::Leave { thread, user },
            46..50 => Wish::HandOver { thread, user },
            50..53 => Wish::Delete { message: one },
            53..56 => Wish::Edit { message: one },
            56..58 => Wish::Rename { thread },
            _ => Wish::End { thread },
        }
    }

    fn append(&mut self, wish: Wish) {
        static CLOCK: AtomicI64 = AtomicI64::new(1_750_000_000_000);
        let Some((by, act)) = self.act(&wish) else { return };
        let at = Time(CLOCK.fetch_add(1, Ordering::Relaxed));
        let change = Change { id: Uuid::now_v7(), by: by.clone(), at, key: None, act };
        let committed = self.store.log.commit(&[Write::Change(change)]).expect("a store that works");
        if let Some(Ok::<Done, Error>(Done::Message { message, duplicate: false })) = committed.outcomes.first()
            && matches!(wish, Wish::Send { .. })
        {
            self.messages.push((message.message_id, by));
        }
        committed.events.iter().for_each(|event| self.note(event));
    }

    fn end(&self) -> u64 {
        self.model.end()
    }

    fn envelope(&self, position: u64) -> Arc<Envelope> {
        Arc::clone(&self.envelopes[usize::try_from(position).expect("small") - 1])
    }

    fn memberships(&self, number: usize) -> Vec<ThreadId> {
        let credential = domain::Credential::of(user(number));
        let read = self.runtime.block_on(self.store.reads.memberships(credential, Time(0)));
        read.expect("a store that works").threads
    }

    fn page(&self, number: usize, after: u64, limit: usize) -> EncodedPage {
        let after = Position(after);
        let page = self.store.reads.page(user(number), after, after, PageLimit::of(limit as u64));
        let page = self.runtime.block_on(page).expect("a store that works");
        EncodedPage { events: page.events.iter().map(seal::seal).collect(), complete_to: page.complete_to, read: page.read }
    }

    fn model(&self) -> &Store {
        &self.model
    }
}

/// What a client that counts sequences finds wrong with what it was told.
fn miscounted(client: &Client) -> Option<String> {
    /// The next sequence of each thread that is counted; none of one that was left.
    type Counts = HashMap<String, Option<u64>>;
    let (me, mut counts) = (user(client.user), Counts::new());
    for text in client.heard.iter().map(TextFrame::text) {
        let event: Value = serde_json::from_str(text).expect("JSON");
        let thread = event["thread_id"].as_str().expect("a thread").to_owned();
        let (kind, sequence) = (event["type"].as_str().expect("a type"), event["sequence"].as_u64().expect("a sequence"));
        let own = event["data"]["user_id"] == me.as_str();
        let counted = counts.get(&thread).copied();
        let left = kind == "thread.deleted" || (kind == "thread.member_removed" && own);
        let fine = match (kind, counted) {
            // Also of a membership that came and went unseen.
            _ if left => true,
            ("thread.created", _) => counted.is_none(),
            ("thread.member_added", _) if own => counted.flatten().is_none(),
            (_, Some(next)) => next == Some(sequence),
            (_, None) => true,
        };
        if !fine || counted.flatten().is_some_and(|next| sequence < next) {
            return Some(format!("after {counted:?}: {text}"));
        }
        counts.insert(thread, (!left).then_some(sequence + 1));
    }
    None
}

/// What a client that comes back to where it began is told, compared with what this one was told.
fn differs(real: &Real, client: &Client) -> Option<String> {
    let told: HashMap<u64, &str> = client.seen.iter().copied().zip(client.heard.iter().map(TextFrame::text)).collect();
    let mut after = client.began.unwrap_or_default();
    loop {
        let EncodedPage { events, complete_to, read } = real.page(client.user, after, 50);
        for event in events {
            let (position, again) = (event.position.0, event.frame);
            let Some(live) = told.get(&position) else { return Some(format!("never told: {}", again.text())) };
            let (mut live, mut again): (Value, Value) =
                (serde_json::from_str(live).expect("JSON"), serde_json::from_str(again.text()).expect("JSON"));
            // A replay shows threads and messages as they are now.
            let kind = again["type"].as_str().expect("a type");
            let changed = ["edited_at", "deleted_at"].iter().any(|at| again["data"][at].is_string());
            if kind == "thread.created" || kind == "thread.updated" || changed {
                (live["data"], again["data"]) = (Value::Null, Value::Null);
            }
            if live != again {
                return Some(format!("told {live}, and again {again}"));
            }
        }
        after = complete_to.position.0;
        if read.is_some() {
            return None;
        }
    }
}

proptest! {
    // Each makes a database, so a part of the cases.
    #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases / 4 + 1))]

    #[test]
    fn whoever_is_removed_added_back_and_promoted_is_told_of_each_once_live_and_on_resume(steps in schedule::<Real>(300)) {
        let mut world = World::new(Real::new());
        run(&mut world, steps).map_err(TestCaseError::fail)?;
        for (number, client) in world.clients.iter().enumerate() {
            prop_assert_eq!(miscounted(client), None, "client {} of user {}", number, client.user);
            prop_assert_eq!(differs(&world.store, client), None, "client {} of user {}", number, client.user);
        }
    }
}
