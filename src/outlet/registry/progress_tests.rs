//! Tests of one thread and its outlet, second by second: which connections a sweep closes, and which it does not.

use std::{cell::Cell, rc::Rc, sync::Arc, task::Poll};

use uuid::Uuid;

use super::*;
use crate::{
    connection_io::{Closing, ConnectionIo, DirectWriter, Inbound},
    domain::{ConnectionId, Credential, Limits, Position, ThreadId, Time, UserId},
    outlet::{Item, MemoryBudget, Subscriber, Timeouts, Transport, memory_budget::Share},
    store::Head,
    wire::{Change, Envelope, Tally, TextFrame},
};

const ROOM: ThreadId = ThreadId(Uuid::nil());
const TIMEOUTS: Timeouts = Timeouts {
    // Pings are another test's.
    heartbeat: Duration::from_hours(1),
    grace: Duration::from_hours(1),
    message: Duration::from_secs(30),
    stall: Duration::from_secs(30),
};
/// Connections that are written to in one turn.
const TURN: usize = 128;

/// A socket that takes so many bytes.
struct Takes(Cell<usize>);

impl DirectWriter for Takes {
    fn write_now(&self, io: &ConnectionIo) {
        let written = io.poll_write(|pieces| {
            let bytes = pieces.iter().map(|piece| piece.len()).sum::<usize>().min(self.0.get());
            self.0.set(self.0.get() - bytes);
            if bytes == 0 { Poll::Pending } else { Poll::Ready(Ok(bytes)) }
        });
        assert!(!matches!(written, Poll::Ready(Err(_))));
    }
}

struct Room {
    registry: Registry,
    connections: Vec<(Rc<ConnectionIo>, Rc<Takes>)>,
    tally: Tally,
    budget: MemoryBudget,
    share: Share,
    position: u64,
    now: Instant,
}

impl Room {
    fn new(budget: u64) -> Room {
        let tally = Tally::default();
        Room {
            registry: Registry::new(head(0)),
            connections: Vec::new(),
            budget: MemoryBudget::new(budget, tally.clone()),
            tally,
            share: Share::default(),
            position: 0,
            now: Instant::now(),
        }
    }

    /// A member whose socket takes so many bytes; its number.
    fn member(&mut self, takes: usize) -> usize {
        let (io, socket) = (Rc::new(ConnectionIo::new(&Limits::default())), Rc::new(Takes(Cell::new(takes))));
        io.attach_direct_writer(Rc::<Takes>::clone(&socket));
        io.set_reading(true);
        let user = UserId::parse(&format!("user{}", self.connections.len())).expect("a user id");
        let subscriber = Subscriber {
            connection: ConnectionId::new(),
            credential: Credential::of(user.clone()),
            expires_at: Time(i64::MAX),
            transport: Transport::Socket,
        };
        let key = self.registry.register(subscriber, Rc::clone(&io));
        self.registry.set_subscriptions(&user, &[ROOM].into(), head(self.position));
        assert!(self.registry.try_live(key, Position(self.position)));
        self.connections.push((io, socket));
        self.connections.len() - 1
    }

    /// The next so many events, of so many bytes each.
    fn events(&mut self, count: u64, bytes: usize) -> Vec<Item> {
        let event = |number| {
            let frame = TextFrame::from("x".repeat(bytes).as_str()).shared(&self.tally);
            let position = Position(self.position + number);
            Item::Event(Arc::new(Envelope { position, mark: 0, thread: ROOM, change: Change::None, frame }))
        };
        let events = (1..=count).map(event).collect();
        self.position += count;
        events
    }

    /// Queues and writes a batch as the outlet does, and does something after each turn.
    fn deliver(&mut self, items: &[Item], mut after_turn: impl FnMut(&mut Room)) {
        let mut left = items.len();
        loop {
            let more = self.registry.flush(self.now, TURN, None::<fn(Head) -> TextFrame>);
            if !more && left > 0 {
                let slice = Limits::default().outbox_bytes / 8;
                left = self.registry.deliver_slice(&items[items.len() - left..], head(self.position), slice);
            }
            after_turn(self);
            if !self.registry.has_dirty() && left == 0 {
                return;
            }
        }
    }

    /// The sweep of an outlet, a second after the one before; how many connections had to make room.
    fn sweep(&mut self) -> usize {
        self.now += Duration::from_secs(1);
        self.registry.sweep(Time(0), self.now, TIMEOUTS, |_| "cursor".into());
        let excess = self.share.excess(&self.budget, self.registry.memory_use(self.now));
        self.registry.evict(excess, self.now)
    }

    fn closed(&self) -> Vec<(usize, Code)> {
        let codes = self.connections.iter().map(|(io, _)| io.close_request().map(|Closing { code, .. }| code));
        codes.enumerate().filter_map(|(number, code)| Some((number, code?))).collect()
    }
}

fn head(position: u64) -> Head {
    Head { epoch: Uuid::nil(), position: Position(position), mark: 0 }
}

#[test]
fn of_six_thousand_who_read_in_one_room_a_sweep_between_any_two_turns_closes_none() {
    let limits = Limits::default();
    let mut room = Room::new(limits.outboxes_bytes);
    for _ in 0..6_000 {
        room.member(usize::MAX);
    }
    let events = room.events(8, 48 * 1_024);
    let (mut sweeps, mut most) = (0, 0);
    room.deliver(&events, |room| {
        most = most.max(room.connections.iter().map(|(io, _)| io.outbox_bytes() as u64).sum::<u64>());
        assert_eq!(room.sweep(), 0);
        sweeps += 1;
    });
    assert_eq!(room.closed().len(), 0);
    assert!(sweeps > 100, "{sweeps}");
    assert!(most > limits.outboxes_bytes, "what is shared would not have been too much if it were counted for each: {most}");
    drop(events);
    assert!(room.connections.iter().all(|(io, _)| io.outbox_bytes() == 0) && room.tally.bytes() == 0);
}

#[test]
fn where_memory_runs_out_those_close_that_take_nothing_and_the_longest_first() {
    let mut room = Room::new(8 * 1_024 * 1_024);
    let stuck: Vec<usize> = (0..3).map(|_| room.member(0)).collect();
    let slow = room.member(300 * 1_024);
    let readers: Vec<usize> = (0..200).map(|_| room.member(usize::MAX)).collect();
    // A frame that no other connection shares.
    let own = || TextFrame::from("y".repeat(900 * 1_024).as_str());
    for number in &stuck {
        room.connections[*number].0.send(own());
        assert_eq!(room.sweep(), 0);
    }
    room.connections[slow].0.send(own());
    let events = room.events(64, 1_024);
    room.deliver(&events, |room| assert_eq!(room.sweep(), 0));
    for number in &readers[..6] {
        room.connections[*number].0.send(own());
        room.connections[*number].0.flush();
    }
    assert_eq!((room.sweep(), room.closed()), (0, vec![]), "there is room for all");
    room.budget = MemoryBudget::new(3 * 1_024 * 1_024, room.tally.clone());
    room.share = Share::default();
    assert_eq!((room.sweep(), room.closed()), (1, vec![(stuck[0], Code::SlowReader)]));
    room.budget = MemoryBudget::new(0, room.tally.clone());
    room.share = Share::default();
    room.sweep();
    let mut behind: Vec<_> = stuck.iter().chain([&slow]).map(|number| (*number, Code::SlowReader)).collect();
    behind.sort_unstable_by_key(|(number, _)| *number);
    assert_eq!(room.closed(), behind, "nobody who reads");
}

#[test]
fn memory_of_a_connection_that_is_closing_closes_no_other_in_its_place() {
    let mut room = Room::new(1_024 * 1_024);
    let (closing, slow) = (room.member(0), room.member(0));
    let own = |bytes| TextFrame::from("y".repeat(bytes).as_str());
    room.connections[slow].0.send(own(200 * 1_024));
    room.connections[closing].0.send(own(900 * 1_024));
    room.connections[closing].0.request_close(Code::Draining);
    for second in 0..10 {
        assert_eq!((room.sweep(), room.closed()), (0, vec![(closing, Code::Draining)]), "after {second} s");
    }
}

#[test]
fn a_socket_that_takes_nothing_for_the_stall_deadline_is_slow_and_one_that_takes_little_is_not() {
    let mut room = Room::new(u64::MAX);
    let (stuck, trickle, idle) = (room.member(0), room.member(0), room.member(0));
    for number in [stuck, trickle] {
        room.connections[number].0.send_replayed("a page".into(), Position(1), 0);
    }
    for second in 0..TIMEOUTS.stall.as_secs() {
        room.sweep();
        assert_eq!(room.closed(), [], "after {second} s");
        if second == 15 {
            room.connections[trickle].1.0.set(1);
            room.connections[trickle].0.flush();
        }
    }
    for _ in 0..2 {
        room.sweep();
    }
    assert_eq!(room.closed(), [(stuck, Code::SlowReader)]);
    assert_eq!(room.connections[idle].0.outbox_bytes(), 0);
}

#[test]
fn a_message_that_is_not_whole_in_time_ends_its_connection_whatever_trickles_in() {
    let mut room = Room::new(u64::MAX);
    let (trickle, busy) = (room.member(usize::MAX), room.member(usize::MAX));
    room.connections[trickle].0.set_unfinished(Some(1));
    for second in 0..TIMEOUTS.message.as_secs() {
        assert_eq!(room.closed(), [], "after {second} s");
        // One sends control frames between its fragments, the other one message behind the other.
        room.connections[trickle].0.record_inbound(&Inbound::Control);
        room.connections[trickle].0.set_unfinished(Some(1));
        room.connections[busy].0.record_inbound(&Inbound::Control);
        room.connections[busy].0.set_unfinished(Some(second));
        room.sweep();
    }
    room.sweep();
    assert_eq!(room.closed().first(), Some(&(trickle, Code::NoSignOfLife)));
}

#[test]
fn unfinished_messages_count_into_the_budget_and_the_oldest_make_room() {
    let mut room = Room::new(900_000);
    let senders: Vec<usize> = (0..6).map(|_| room.member(usize::MAX)).collect();
    for number in senders {
        let io = &room.connections[number].0;
        io.set_unfinished(Some(1));
        io.set_buffered(200_000);
        // Of the same age for the sweep: the fullest goes first.
        if number == 3 {
            io.set_buffered(262_144);
        }
    }
    assert_eq!((room.sweep(), room.closed()), (2, vec![(0, Code::OverCapacity), (3, Code::OverCapacity)]));
}

#[test]
fn after_this_side_stood_still_nobody_is_judged_by_what_was_not_seen() {
    let mut room = Room::new(u64::MAX);
    let (stuck, sender) = (room.member(0), room.member(usize::MAX));
    room.sweep();
    room.connections[stuck].0.send_replayed("a page".into(), Position(1), 0);
    room.connections[sender].0.set_unfinished(Some(1));
    room.now += Duration::from_secs(100);
    room.sweep();
    room.sweep();
    assert_eq!(room.closed(), []);
}
