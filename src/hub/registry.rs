//! Who listens to what on one worker thread: seats (connections), their users, and the threads those hear.
//! A plain data structure: it queues into lines, and nothing runs inside it.

mod beat;
mod endings;
mod ephemeral;
mod lossy;
mod markers;
mod news;
mod progress;
mod slice;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    rc::Rc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use slab::Slab;
use uuid::Uuid;

use self::slice::Queued;
pub use self::{beat::Deadlines, slice::Item};
use self::{endings::Judged, markers::Owed, news::Told, progress::Progress};
use super::line::Line;
use crate::{
    domain::{ConnectionId, Credential, LEEWAY, Position, ThreadId, Time, UserId},
    error::Code,
    store::Head,
    wire::{Change, Envelope, TextFrame},
};

/// A seat's key; the generation tells a seat from the next one in the same slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SeatKey {
    slot: usize,
    generation: u64,
}

/// Who takes a seat.
#[derive(Debug, Clone)]
pub struct Sitter {
    /// Names the connection.
    pub connection: ConnectionId,
    /// Whose it is, and what must hold for it to stay.
    pub credential: Credential,
    /// When its credentials end.
    pub expires_at: Time,
    /// How it is connected.
    pub transport: Transport,
}

/// How a connection is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// A WebSocket.
    Socket,
    /// Server-sent events.
    Stream,
    /// A long poll: it ends with its first answer, so it needs no beats and no cursor frames.
    Poll,
}

impl Transport {
    /// Whether its client is told where it is while it is connected.
    fn is_told(self) -> bool {
        self != Transport::Poll
    }
}

impl Sitter {
    /// Whether its credentials have ended, with the leeway that they have everywhere.
    fn is_over(&self, now: Time) -> bool {
        now >= self.expires_at.plus(LEEWAY)
    }

    /// Whether it ends with this login or family of tokens.
    pub fn descends_from(&self, id: Uuid) -> bool {
        let Credential { session, family, .. } = &self.credential;
        session.is_some_and(|session| session.0 == id) || family.is_some_and(|family| family.0 == id)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// The hub has not yet told what this user hears.
    Joining,
    /// The feed reads the store; nothing is queued here.
    CatchingUp,
    /// Events above this position are queued.
    Live { after: Position },
}

struct Seat {
    sitter: Sitter,
    judged: Judged,
    generation: u64,
    user: usize,
    line: Rc<Line>,
    mode: Mode,
    waker: Option<Waker>,
    pinged: Instant,
    /// Whether a ping was queued then and nothing has been heard since.
    unanswered: bool,
    progress: Progress,
    told: Told,
    owed: Owed,
}

struct User {
    id: UserId,
    seats: Vec<usize>,
    threads: HashSet<ThreadId>,
}

/// Seats, users and listeners of one thread.
pub struct Registry {
    seats: Slab<Seat>,
    users: Slab<User>,
    by_id: HashMap<UserId, usize>,
    /// One hash an event: thread to the users that hear it. None a delivery.
    listeners: HashMap<ThreadId, Vec<usize>>,
    /// Seats for which something is queued that is not on its way.
    unwritten: VecDeque<SeatKey>,
    queued: Queued,
    released: Head,
    /// The time of the delivery under way: between two sweeps, too, nothing goes to whose credentials have ended.
    now: Time,
    generation: u64,
    swept: Instant,
    /// From when on silence is held against anybody.
    judges_from: Instant,
}

impl Registry {
    /// An empty one, at the log's place when the thread's outlet was made.
    pub fn new(released: Head) -> Registry {
        Registry {
            seats: Slab::new(),
            users: Slab::new(),
            by_id: HashMap::new(),
            listeners: HashMap::new(),
            unwritten: VecDeque::new(),
            queued: Queued::default(),
            released,
            now: Time::default(),
            generation: 0,
            swept: Instant::now(),
            judges_from: Instant::now(),
        }
    }

    /// Takes a seat. It hears nothing yet.
    pub fn enter(&mut self, sitter: Sitter, line: Rc<Line>) -> SeatKey {
        let id = &sitter.credential.user;
        let user = *self
            .by_id
            .entry(id.clone())
            .or_insert_with(|| self.users.insert(User { id: id.clone(), seats: Vec::new(), threads: HashSet::new() }));
        self.generation += 1;
        let generation = self.generation;
        let (mode, told) = (Mode::Joining, Told::now(self.released.position));
        let seat = Seat {
            sitter,
            judged: Judged::NotYet(None),
            generation,
            user,
            line,
            mode,
            waker: None,
            pinged: Instant::now(),
            unanswered: false,
            progress: Progress::new(),
            told,
            owed: Owed::NOTHING,
        };
        let slot = self.seats.insert(seat);
        self.users[user].seats.push(slot);
        SeatKey { slot, generation }
    }

    /// Gives a seat up; the last one of a user takes what that user hears with it.
    pub fn leave(&mut self, key: SeatKey) {
        let Some(user) = self.seat(key).map(|seat| seat.user) else { return };
        self.seats.remove(key.slot);
        self.users[user].seats.retain(|slot| *slot != key.slot);
        if self.users[user].seats.is_empty() {
            let gone = self.users.remove(user);
            self.by_id.remove(&gone.id);
            for thread in gone.threads {
                self.drop_listener(thread, user);
            }
        }
    }

    fn seat(&mut self, key: SeatKey) -> Option<&mut Seat> {
        self.seats.get_mut(key.slot).filter(|seat| seat.generation == key.generation)
    }

    /// What a user hears from now on, all of it; the user's seats that waited for this may catch up.
    pub fn listen_to(&mut self, user: &UserId, threads: &HashSet<ThreadId>, released: Head) {
        let Some(&number) = self.by_id.get(user) else { return };
        let before = std::mem::replace(&mut self.users[number].threads, threads.clone());
        for gone in before.difference(threads) {
            self.drop_listener(*gone, number);
        }
        for new in threads.difference(&before) {
            self.listeners.entry(*new).or_default().push(number);
        }
        self.advance(released);
        for slot in &self.users[number].seats {
            let seat = &mut self.seats[*slot];
            if seat.mode == Mode::Joining {
                seat.mode = Mode::CatchingUp;
            }
            seat.waker.take().into_iter().for_each(Waker::wake);
        }
    }

    fn listen(&mut self, user: &UserId, thread: ThreadId) {
        let Some(&number) = self.by_id.get(user) else { return };
        if self.users[number].threads.insert(thread) {
            self.listeners.entry(thread).or_default().push(number);
        }
    }

    fn unlisten(&mut self, user: &UserId, thread: ThreadId) {
        let Some(&number) = self.by_id.get(user) else { return };
        if self.users[number].threads.remove(&thread) {
            self.drop_listener(thread, number);
        }
    }

    fn drop_listener(&mut self, thread: ThreadId, user: usize) {
        if let Some(listeners) = self.listeners.get_mut(&thread) {
            if let Some(index) = listeners.iter().position(|number| *number == user) {
                listeners.swap_remove(index);
            }
            if listeners.is_empty() {
                self.listeners.remove(&thread);
            }
        }
    }

    /// Deliveries from here on are at this time.
    pub fn at(&mut self, now: Time) {
        self.now = now;
    }

    /// Delivers one event, in log order: who was added hears it, who was removed hears it last.
    ///
    /// It is queued only: [`Registry::flush`] follows. How many seats it was queued for.
    pub fn deliver(&mut self, envelope: &Envelope) -> usize {
        let mut queued = 0;
        if let Change::Added(users) = &envelope.change {
            for user in users {
                self.listen(user, envelope.thread);
            }
        }
        for number in self.listeners.get(&envelope.thread).into_iter().flatten() {
            for slot in &self.users[*number].seats {
                let seat = &mut self.seats[*slot];
                let live = matches!(seat.mode, Mode::Live { after } if envelope.position > after);
                if live && seat.sitter.is_over(self.now) {
                    // What is withheld from it now it must not seem to have had: it comes back with its cursor.
                    seat.line.close(Code::CredentialsExpired);
                } else if live && !lossy::drops() {
                    queued += 1;
                    seat.line.queue_event(envelope.frame.clone(), envelope.position, envelope.mark);
                    self.unwritten.extend(seat.has_news(*slot));
                }
            }
        }
        match &envelope.change {
            Change::Removed(user) => self.unlisten(user, envelope.thread),
            Change::Ended => {
                for number in self.listeners.remove(&envelope.thread).into_iter().flatten() {
                    self.users[number].threads.remove(&envelope.thread);
                }
            }
            Change::None | Change::Added(_) => {}
        }
        // At once, so that a seat that turns live between two events of a batch misses none.
        self.advance(Head { position: envelope.position, mark: envelope.mark, ..self.released });
        queued
    }

    /// Everything up to here has been delivered to this thread's listeners.
    pub fn advance(&mut self, released: Head) {
        if released.position > self.released.position {
            self.released = released;
        }
    }

    /// Up to where this thread has come.
    pub fn released(&self) -> Head {
        self.released
    }

    /// Waits until the hub has told what this seat's user hears.
    pub fn poll_joined(&mut self, key: SeatKey, cx: &Context<'_>) -> Poll<()> {
        match self.seat(key) {
            Some(seat) if seat.mode == Mode::Joining => {
                seat.waker = Some(cx.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }

    /// Turns a seat live if its feed has read as far as this thread has come; else it must read on.
    pub fn try_live(&mut self, key: SeatKey, read: Position) -> bool {
        let reached = read >= self.released.position && self.owes_nothing_more(key);
        if let Some(seat) = self.seat(key).filter(|_| reached) {
            seat.mode = Mode::Live { after: read };
            (seat.told, seat.owed) = (Told::now(read), Owed::NOTHING);
        }
        reached
    }

    /// Up to where a live seat has been told everything, if its thread has come further than its feed had read.
    pub fn reached(&mut self, key: SeatKey) -> Option<Head> {
        let released = self.released;
        let seat = self.seat(key)?;
        matches!(seat.mode, Mode::Live { after } if released.position >= after).then_some(released)
    }

    /// Waits until a live seat must catch up again; from where.
    pub fn poll_behind(&mut self, key: SeatKey, cx: &Context<'_>) -> Poll<Position> {
        match self.seat(key) {
            Some(seat) if seat.mode == Mode::CatchingUp => Poll::Ready(seat.told.at),
            Some(seat) => {
                seat.waker = Some(cx.waker().clone());
                Poll::Pending
            }
            None => Poll::Pending,
        }
    }

    /// Batches were lost on the way to this thread: every live seat catches up from the store, from where it was.
    pub fn fall_behind(&mut self) {
        for slot in self.seats.iter().map(|(slot, _)| slot).collect::<Vec<_>>() {
            self.fall_back(slot);
        }
    }

    /// A seat that is live catches up; one that does so already may have missed a marker.
    fn fall_back(&mut self, slot: usize) {
        let (released, seat) = (self.released.position, &mut self.seats[slot]);
        seat.owed.passed = true;
        if let Mode::Live { after } = seat.mode {
            seat.mode = Mode::CatchingUp;
            seat.told.at = released.max(after);
            seat.waker.take().into_iter().for_each(Waker::wake);
        }
    }

    /// Whether silence is held against anybody now. A sweep that comes late was held up, by this thread or with the whole
    /// machine, and answers may wait unread: the transports get the time until the next one to read them.
    fn judges(&mut self, now: Instant) -> bool {
        if now.duration_since(self.swept) > SWEEP * 2 {
            self.judges_from = now + SWEEP;
        }
        self.swept = now;
        now >= self.judges_from
    }

    /// Once a second: pings, deadlines, cursor frames. `cursor` makes one. What it queues is flushed by the caller.
    pub fn sweep(&mut self, now: Time, instant: Instant, deadlines: Deadlines, cursor: impl FnMut(Head) -> TextFrame) {
        let judges = self.judges(instant);
        for (_, seat) in &mut self.seats {
            if seat.sitter.is_over(now) {
                seat.line.close(Code::CredentialsExpired);
            }
            seat.watch(instant);
            if !judges {
                seat.excuse(instant);
            } else if seat.sitter.transport.is_told() {
                seat.beat(instant, deadlines);
                seat.judge_progress(instant, deadlines.stall);
            }
        }
        self.tell_cursors(instant, deadlines.heartbeat, cursor);
    }
}

/// How often the sweep comes.
pub const SWEEP: Duration = Duration::from_secs(1);

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
