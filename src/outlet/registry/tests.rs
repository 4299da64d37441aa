//! The registry against a model: a user receives every event of their threads, and none of another thread.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::{
    domain::{ConnectionId, Credential, LEEWAY, Limits},
    outlet::Transport,
};

#[derive(Debug, Clone, Copy)]
enum Step {
    Enter {
        user: u8,
    },
    /// The hub tells what this user hears.
    SetSubscriptions {
        user: u8,
    },
    Live {
        entry: usize,
    },
    Leave {
        entry: usize,
    },
    Add {
        user: u8,
        thread: u8,
    },
    Remove {
        user: u8,
        thread: u8,
    },
    End {
        thread: u8,
    },
    Message {
        thread: u8,
    },
    FallBehind,
}

fn step() -> impl Strategy<Value = Step> {
    let (user, thread, entry) = (0..3u8, 0..3u8, 0..6usize);
    prop_oneof![
        2 => user.clone().prop_map(|user| Step::Enter { user }),
        3 => user.clone().prop_map(|user| Step::SetSubscriptions { user }),
        4 => entry.clone().prop_map(|entry| Step::Live { entry }),
        1 => entry.prop_map(|entry| Step::Leave { entry }),
        2 => (user.clone(), thread.clone()).prop_map(|(user, thread)| Step::Add { user, thread }),
        1 => (user, thread.clone()).prop_map(|(user, thread)| Step::Remove { user, thread }),
        1 => thread.clone().prop_map(|thread| Step::End { thread }),
        6 => thread.prop_map(|thread| Step::Message { thread }),
        1 => Just(Step::FallBehind),
    ]
}

fn user_id(user: u8) -> UserId {
    UserId::parse(&format!("user{user}")).expect("a user id")
}

fn thread_id(thread: u8) -> ThreadId {
    ThreadId(Uuid::from_u128(u128::from(thread)))
}

struct ModelSeat {
    user: u8,
    key: EntryKey,
    io: Rc<ConnectionIo>,
    heard: bool,
    live: bool,
    expected: Vec<String>,
}

struct World {
    registry: Registry,
    head: Head,
    members: BTreeMap<u8, BTreeSet<u8>>,
    entries: Vec<ModelSeat>,
}

impl World {
    fn new() -> World {
        let head = Head { epoch: Uuid::nil(), position: Position(0), mark: 0 };
        World { registry: Registry::new(head), head, members: BTreeMap::new(), entries: Vec::new() }
    }

    fn event(&mut self, thread: u8, change: Change) {
        self.head.position = self.head.position.next();
        let position = self.head.position;
        let payload = format!("{thread}:{}", position.0);
        if let Change::Added(_) = &change {
            self.apply(thread, &change);
        }
        for entry in &mut self.entries {
            if entry.live && self.members.get(&thread).is_some_and(|members| members.contains(&entry.user)) {
                entry.expected.push(payload.clone());
            }
        }
        if !matches!(change, Change::Added(_)) {
            self.apply(thread, &change);
        }
        let envelope = Envelope { position, mark: 0, thread: thread_id(thread), change, frame: payload.as_str().into() };
        self.registry.deliver(&envelope);
        self.registry.advance(self.head);
        let nobody = None::<fn(Head) -> TextFrame>;
        assert!(!self.registry.flush(Instant::now(), usize::MAX, nobody), "something is left unwritten");
    }

    fn apply(&mut self, thread: u8, change: &Change) {
        let members = self.members.entry(thread).or_default();
        match change {
            Change::Added(users) => {
                members.extend(users.iter().filter_map(|u| u.as_str().strip_prefix("user")?.parse::<u8>().ok()));
            }
            Change::Removed(user) => members.retain(|member| user_id(*member) != *user),
            Change::Ended => members.clear(),
            Change::None => {}
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Enter { user } => {
                let io = Rc::new(ConnectionIo::new(&Limits::default()));
                let subscriber = Subscriber {
                    connection: ConnectionId::new(),
                    credential: Credential::of(user_id(user)),
                    expires_at: Time(i64::MAX),
                    transport: Transport::Socket,
                };
                let key = self.registry.register(subscriber, Rc::clone(&io));
                self.entries.push(ModelSeat { user, key, io, heard: false, live: false, expected: Vec::new() });
            }
            Step::SetSubscriptions { user } => {
                let hears = self.members.iter().filter(|(_, members)| members.contains(&user)).map(|(t, _)| thread_id(*t));
                let hears = hears.collect();
                self.registry.set_subscriptions(&user_id(user), &hears, self.head);
                self.entries.iter_mut().filter(|entry| entry.user == user).for_each(|entry| entry.heard = true);
            }
            Step::Live { entry } => {
                let head = self.head.position;
                if let Some(entry) = self.entries.get_mut(entry).filter(|entry| entry.heard && !entry.live) {
                    self.registry.begin_page(entry.key, head);
                    assert!(
                        head == Position(0) || !self.registry.try_live(entry.key, Position(head.0 - 1)),
                        "live too early"
                    );
                    entry.live = self.registry.try_live(entry.key, head);
                    assert!(entry.live);
                }
            }
            Step::Leave { entry } if entry < self.entries.len() => {
                let entry = self.entries.remove(entry);
                self.registry.unregister(entry.key);
            }
            Step::Leave { .. } => {}
            Step::Add { user, thread } => self.event(thread, Change::Added(vec![user_id(user)])),
            Step::Remove { user, thread } => self.event(thread, Change::Removed(user_id(user))),
            Step::End { thread } => self.event(thread, Change::Ended),
            Step::Message { thread } => self.event(thread, Change::None),
            Step::FallBehind => {
                self.registry.start_catch_up_of_all();
                self.entries.iter_mut().for_each(|entry| entry.live = false);
            }
        }
    }
}

fn drain(io: &ConnectionIo) -> Vec<String> {
    let context = Context::from_waker(Waker::noop());
    let mut got = Vec::new();
    while let Poll::Ready(out) = io.poll_next(&context) {
        if let Some(text) = out.text() {
            got.push(text.text().to_owned());
        }
    }
    got
}

proptest! {
    #[test]
    fn a_live_seat_gets_exactly_the_events_of_its_users_threads_in_order(steps in prop::collection::vec(step(), 0..60)) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
        }
        for entry in &world.entries {
            prop_assert_eq!(drain(&entry.io), entry.expected.clone());
        }
        for entry in std::mem::take(&mut world.entries) {
            world.registry.unregister(entry.key);
        }
        prop_assert!(world.registry.entries.is_empty() && world.registry.users.is_empty());
        prop_assert!(world.registry.by_id.is_empty() && world.registry.subscribers.is_empty());
    }
}

/// A live entry of a user that receives thread 1, and its I/O state.
fn live(registry: &mut Registry, transport: Transport, expires_at: Time) -> (EntryKey, Rc<ConnectionIo>) {
    let io = Rc::new(ConnectionIo::new(&Limits::default()));
    io.start_feed();
    let (connection, credential) = (ConnectionId::new(), Credential::of(user_id(1)));
    let key = registry.register(Subscriber { connection, credential, expires_at, transport }, Rc::clone(&io));
    registry.set_subscriptions(&user_id(1), &HashSet::from([thread_id(1)]), registry.released());
    assert!(registry.try_live(key, registry.released().position));
    (key, io)
}

fn event(position: u64) -> Envelope {
    let (position, frame) = (Position(position), "event".into());
    Envelope { position, mark: 0, thread: thread_id(1), change: Change::None, frame }
}

#[test]
fn a_cursor_goes_with_an_event_but_not_to_a_poll() {
    let mut registry = World::new().registry;
    let (_, socket) = live(&mut registry, Transport::Socket, Time(i64::MAX));
    let (_, poll) = live(&mut registry, Transport::Poll, Time(i64::MAX));
    registry.deliver(&event(1));
    let later = Instant::now() + Duration::from_secs(5);
    assert!(!registry.flush(later, usize::MAX, Some(|_: Head| TextFrame::from("cursor"))));
    assert_eq!(drain(&socket), ["event", "cursor"]);
    assert_eq!(drain(&poll), ["event"]);
}

#[test]
fn whose_credentials_have_ended_gets_nothing_more_and_no_other_credential_saves_the_seat() {
    let mut registry = World::new().registry;
    let (key, io) = live(&mut registry, Transport::Socket, Time(0));
    registry.deliver(&event(1));
    registry.set_now(Time(0).plus(LEEWAY));
    registry.deliver(&event(2));
    registry.renew(key, Credential::of(user_id(1)), Time(i64::MAX), 0);
    registry.deliver(&event(3));
    let later = Instant::now() + Duration::from_secs(5);
    assert!(!registry.flush(later, usize::MAX, Some(|_: Head| TextFrame::from("cursor"))));
    assert_eq!(drain(&io), ["event"], "a cursor would promise what was withheld");
    assert_eq!(io.close_request().map(|closing| closing.code), Some(Code::CredentialsExpired));
}
