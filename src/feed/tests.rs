//! The seam between catching up and live, over the real registry, in every order that a random schedule finds.

use std::{collections::HashSet, rc::Rc};

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::{
    domain::{ConnectionId, Credential, Limits, ThreadId, Time},
    hub::{Out, registry::Registry},
    wire::{Change, Envelope},
};

#[derive(Debug, Clone)]
enum Step {
    /// The writer commits an event; the hub does not know it yet.
    Commit,
    /// The hub releases so many of the committed events to the outlet.
    Release(u64),
    /// The feed reads a page, begun now and pushed at a later step.
    Read,
    /// The page arrives: it is sent, and the feed turns live if it may.
    Arrive,
    /// The outlet's inbox overflowed.
    Lose(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Commit),
        3 => (1..4u64).prop_map(Step::Release),
        3 => Just(Step::Read),
        3 => Just(Step::Arrive),
        1 => (1..4u64).prop_map(Step::Lose),
    ]
}

fn head(position: u64) -> Head {
    Head { epoch: Uuid::nil(), position: Position(position), mark: 0 }
}

struct World {
    registry: Registry,
    thread: ThreadId,
    user: UserId,
    key: crate::hub::registry::SeatKey,
    line: Rc<Line>,
    committed: u64,
    released: u64,
    /// Where the feed reads from while it catches up; none while it is live.
    reading: Option<u64>,
    page: Option<(u64, Vec<u64>)>,
}

impl World {
    fn new() -> World {
        let (user, thread) = (UserId::parse("alice").expect("a user id"), ThreadId(Uuid::nil()));
        let line = Rc::new(Line::new(&Limits::default()));
        let mut registry = Registry::new(head(0));
        let sitter = Sitter {
            connection: ConnectionId::new(),
            credential: Credential::of(user.clone()),
            expires_at: Time(i64::MAX),
            socket: true,
        };
        let key = registry.enter(sitter, Rc::clone(&line));
        registry.listen_to(&user, &HashSet::from([thread]), head(0));
        World { registry, thread, user, key, line, committed: 0, released: 0, reading: Some(0), page: None }
    }

    fn release(&mut self, count: u64) {
        for _ in 0..count.min(self.committed - self.released) {
            self.released += 1;
            let position = Position(self.released);
            let payload = self.released.to_string().into();
            self.registry.deliver(&Envelope { position, mark: 0, thread: self.thread, change: Change::None, payload });
            self.registry.advance(head(self.released));
        }
    }

    fn lose(&mut self, count: u64) {
        self.released = self.committed.min(self.released + count);
        self.registry.fall_behind();
        self.registry.listen_to(&self.user, &HashSet::from([self.thread]), head(self.released));
        let context = std::task::Context::from_waker(std::task::Waker::noop());
        if let std::task::Poll::Ready(from) = self.registry.poll_behind(self.key, &context)
            && self.reading.is_none()
        {
            self.reading = Some(from.0);
        }
    }

    fn read(&mut self) {
        if let (Some(from), None) = (self.reading, &self.page) {
            let events: Vec<u64> = (from + 1..=self.committed).take(3).collect();
            let complete = if events.len() == 3 { events[2] } else { self.committed };
            self.page = Some((complete, events));
        }
    }

    fn arrive(&mut self) {
        if let Some((complete, events)) = self.page.take() {
            events.into_iter().for_each(|event| self.line.send(event.to_string().into()));
            let live = self.registry.try_live(self.key, Position(complete));
            self.reading = (!live).then_some(complete);
        }
    }
}

proptest! {
    #[test]
    fn every_event_is_sent_once_in_order_whatever_the_schedule(steps in prop::collection::vec(step(), 0..80)) {
        let mut world = World::new();
        for step in steps {
            match step {
                Step::Commit => world.committed += 1,
                Step::Release(count) => world.release(count),
                Step::Read => world.read(),
                Step::Arrive => world.arrive(),
                Step::Lose(count) => world.lose(count),
            }
        }
        // Left alone, the feed reaches the end.
        while world.reading.is_some() {
            world.read();
            world.arrive();
        }
        world.release(u64::MAX);
        let context = std::task::Context::from_waker(std::task::Waker::noop());
        let mut sent = Vec::new();
        while let std::task::Poll::Ready(out) = world.line.poll_out(&context) {
            if let Out::Text(text) = out {
                sent.push(text.parse::<u64>().expect("a number"));
            }
        }
        prop_assert_eq!(sent, (1..=world.committed).collect::<Vec<_>>());
    }

    #[test]
    fn a_resume_never_replays_more_than_its_limit(at in 0..100u64, end in 0..100u64, events in 0..20u64, limit in 0..20u64) {
        let given = head(at).cursor();
        let missed = Missed { head: head(end), mark_there: Some(0), events, markers: 0 };
        let limits = Limits { resume_events: limit, ..Limits::default() };
        let resumes = decide(&given, &missed, &limits) == Resume::After(Position(at));
        prop_assert_eq!(resumes, at <= end && events <= limit);
    }
}
