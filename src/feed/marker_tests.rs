//! Read markers at the seam between catching up and live: a client that counts what is unread agrees with the store in the end.

use std::{collections::HashSet, rc::Rc};

use proptest::prelude::*;
use uuid::Uuid;

use super::super::*;
use crate::{
    domain::{ConnectionId, Credential, ThreadId, Time, UserId},
    outlet::{EntryKey, Registry, Transport},
    wire::{Change, Envelope, SealedMarker},
};

#[derive(Debug, Clone)]
enum Step {
    /// The writer commits an event, a message by somebody else; the hub does not know it yet.
    Commit,
    /// The writer moves the read marker to so many events before the end.
    Mark(u64),
    /// The hub releases so many of the commits to the outlet.
    Release(u64),
    /// The feed reads a page, begun now and pushed at a later step.
    Read,
    /// The page arrives: it is sent, and the feed turns live if it may.
    Arrive,
    /// The outlet's inbox overflowed.
    Lose(u64),
    /// A marker is overtaken by so many commits, and then found missing.
    Overtake(u64),
    /// The outlet tells the client its place.
    Tell,
    /// The client comes back with the cursor that it has.
    Reconnect,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Commit),
        3 => (0..3u64).prop_map(Step::Mark),
        4 => (1..4u64).prop_map(Step::Release),
        3 => Just(Step::Read),
        3 => Just(Step::Arrive),
        1 => (1..4u64).prop_map(Step::Lose),
        1 => (1..4u64).prop_map(Step::Overtake),
        2 => Just(Step::Tell),
        1 => Just(Step::Reconnect),
    ]
}

fn head(position: u64) -> Head {
    Head { epoch: Uuid::nil(), position: Position(position), mark: 0 }
}

/// What the writer has committed, in order.
#[derive(Debug, Clone, Copy)]
enum Commit {
    /// The event of the next position.
    Event(u64),
    /// A read marker and what is unread above it, at the log's end of that moment.
    Marker { at: u64, read: u64, unread: u64 },
}

/// What a client knows that counts for itself.
#[derive(Debug, Default, PartialEq, Eq)]
struct Client {
    events: Vec<u64>,
    read: u64,
    unread: u64,
    /// Events that came again.
    repeated: u64,
}

impl Client {
    fn hear(&mut self, frame: &str) {
        if let Some((read, unread)) = frame.strip_prefix("marker ").and_then(|numbers| numbers.split_once(' ')) {
            (self.read, self.unread) = (read.parse().expect("a number"), unread.parse().expect("a number"));
            return;
        }
        let event = frame.parse().expect("a number");
        if self.events.last().is_none_or(|last| *last < event) {
            self.events.push(event);
            self.unread += 1;
        } else {
            self.repeated += 1;
        }
    }
}

struct World {
    registry: Registry,
    thread: ThreadId,
    user: UserId,
    key: EntryKey,
    io: Rc<ConnectionIo>,
    log: Vec<Commit>,
    /// How many of the commits the hub has released.
    released: usize,
    /// Where the log ends, where it ended when the marker last moved, and the marker.
    end: u64,
    moved: u64,
    read: u64,
    /// Where the feed reads from while it catches up; none while it is live.
    reading: Option<u64>,
    page: Option<(u64, Vec<u64>, Option<String>)>,
    client: Client,
    cursor: u64,
    /// The client has come back: it may hear again what it knows.
    resumed: bool,
}

fn enter(registry: &mut Registry, user: &UserId) -> (EntryKey, Rc<ConnectionIo>) {
    let io = Rc::new(ConnectionIo::new(&Limits::default()));
    let subscriber = Subscriber {
        connection: ConnectionId::new(),
        credential: Credential::of(user.clone()),
        expires_at: Time(i64::MAX),
        transport: Transport::Socket,
    };
    (registry.register(subscriber, Rc::clone(&io)), io)
}

impl World {
    fn new() -> World {
        let (user, thread) = (UserId::parse("alice").expect("a user id"), ThreadId(Uuid::nil()));
        let mut registry = Registry::new(head(0));
        let (key, io) = enter(&mut registry, &user);
        registry.set_subscriptions(&user, &HashSet::from([thread]), head(0));
        World {
            registry,
            thread,
            user,
            key,
            io,
            log: Vec::new(),
            released: 0,
            end: 0,
            moved: 0,
            read: 0,
            reading: Some(0),
            page: None,
            client: Client::default(),
            cursor: 0,
            resumed: false,
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Commit => {
                self.end += 1;
                self.log.push(Commit::Event(self.end));
            }
            Step::Mark(before) => {
                (self.read, self.moved) = (self.read.max(self.end.saturating_sub(*before)), self.end);
                self.log.push(Commit::Marker { at: self.end, read: self.read, unread: self.end - self.read });
            }
            Step::Release(count) => (0..*count).for_each(|_| self.release()),
            Step::Read => self.read(),
            Step::Arrive => self.arrive(),
            Step::Lose(count) => self.lose(*count),
            Step::Overtake(count) => {
                if let Some(Commit::Marker { at, .. }) = self.log.get(self.released).copied() {
                    self.released += 1;
                    (0..*count).for_each(|_| self.release());
                    self.registry.reread_markers(&self.user, Position(at));
                    self.look();
                }
            }
            Step::Tell if self.reading.is_none() => {
                self.hear();
                self.cursor = self.registry.released().position.0;
            }
            Step::Tell => {}
            Step::Reconnect => {
                self.hear();
                self.registry.unregister(self.key);
                (self.key, self.io) = enter(&mut self.registry, &self.user);
                let released = self.registry.released();
                self.registry.set_subscriptions(&self.user, &HashSet::from([self.thread]), released);
                (self.reading, self.page, self.resumed) = (Some(self.cursor), None, true);
            }
        }
    }

    fn release(&mut self) {
        let Some(commit) = self.log.get(self.released).copied() else { return };
        self.released += 1;
        match commit {
            Commit::Event(position) => {
                let (frame, position) = (position.to_string().as_str().into(), Position(position));
                let change = Change::None;
                self.registry.deliver(&Envelope { position, mark: 0, thread: self.thread, change, frame });
            }
            Commit::Marker { at, read, unread } => {
                let frame = format!("marker {read} {unread}").as_str().into();
                self.registry.deliver_marker(&SealedMarker { at: Position(at), user: self.user.clone(), frame });
            }
        }
    }

    fn lose(&mut self, count: u64) {
        for _ in 0..count {
            self.released = self.log.len().min(self.released + 1);
        }
        let events = self.log[..self.released].iter().filter(|commit| matches!(commit, Commit::Event(_))).count();
        self.registry.start_catch_up_of_all();
        self.registry.set_subscriptions(&self.user, &HashSet::from([self.thread]), head(events as u64));
        self.look();
    }

    /// Whether the subscription must catch up again.
    fn look(&mut self) {
        let context = std::task::Context::from_waker(std::task::Waker::noop());
        if let std::task::Poll::Ready(from) = self.registry.poll_behind(self.key, &context)
            && self.reading.is_none()
        {
            self.reading = Some(from.0);
        }
    }

    fn read(&mut self) {
        if let (Some(from), None) = (self.reading, &self.page) {
            let moved = self.registry.begin_page(self.key, Position(from));
            let events: Vec<u64> = (from + 1..=self.end).take(3).collect();
            let complete = if events.len() == 3 { events[2] } else { self.end };
            let marker = (self.moved >= moved.0).then(|| format!("marker {} {}", self.read, self.end - self.read));
            self.page = Some((complete, events, (complete == self.end).then(|| marker.unwrap_or_default())));
        }
    }

    fn arrive(&mut self) {
        if let Some((complete, events, read)) = self.page.take() {
            events.into_iter().for_each(|event| self.io.send(event.to_string().as_str().into()));
            let live = read.filter(|_| self.registry.try_live(self.key, Position(complete)));
            self.reading = live.is_none().then_some(complete);
            live.filter(|marker| !marker.is_empty()).into_iter().for_each(|marker| self.io.send(marker.as_str().into()));
        }
    }

    /// The client hears what waits for it.
    fn hear(&mut self) {
        let context = std::task::Context::from_waker(std::task::Waker::noop());
        while let std::task::Poll::Ready(out) = self.io.poll_next(&context) {
            if let Some(text) = out.text() {
                self.client.hear(text.text());
            }
        }
    }
}

proptest! {
    #[test]
    fn every_event_is_sent_once_in_order_and_markers_and_unread_agree_whatever_the_schedule(
        steps in prop::collection::vec(step(), 0..80),
    ) {
        let mut world = World::new();
        steps.iter().for_each(|step| world.step(step));
        // Left alone, the feed reaches the end.
        while world.reading.is_some() {
            world.read();
            world.arrive();
        }
        while world.released < world.log.len() {
            world.release();
        }
        world.hear();
        prop_assert_eq!(&world.client.events, &(1..=world.end).collect::<Vec<_>>());
        prop_assert!(world.resumed || world.client.repeated == 0);
        prop_assert_eq!((world.client.read, world.client.unread), (world.read, world.end - world.read));
    }
}
