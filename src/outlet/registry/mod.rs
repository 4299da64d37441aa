//! Registry of one worker's subscriptions: entries (connections), their users, and the threads that each user receives.
//!
//! A plain data structure: it queues frames into outboxes. The only I/O is [`Registry::flush`], which lets transports write. The
//! outlet actor and the connections of its worker share it.

mod ephemeral;
mod flush;
mod heartbeat;
mod lossy;
mod markers;
mod progress;
mod revocations;
mod slice;

use std::{
    collections::{HashMap, HashSet, VecDeque},
    rc::Rc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use slab::Slab;

use self::{flush::CursorState, markers::PendingMarkers, progress::Progress, revocations::RevocationCheck, slice::Slice};
pub use self::{heartbeat::Timeouts, slice::Item};
use super::subscriber::Subscriber;
use crate::{
    connection_io::ConnectionIo,
    domain::{Position, ThreadId, Time, UserId},
    error::Code,
    store::Head,
    wire::{Change, Envelope, TextFrame},
};

/// Interval of the sweep: heartbeats, timeouts, cursor frames, memory.
pub const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// Key of an entry. The generation distinguishes entries that use the same slot one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EntryKey {
    slot: usize,
    generation: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// The hub has not sent the user's subscriptions yet.
    Joining,
    /// The feed reads pages from the store; delivery queues nothing.
    CatchingUp,
    /// Delivery queues events after this position.
    Live { after: Position },
}

/// Subscription of one connection.
struct Entry {
    subscriber: Subscriber,
    revocation_check: RevocationCheck,
    generation: u64,
    /// Slot of the user.
    user: usize,
    io: Rc<ConnectionIo>,
    mode: Mode,
    /// The feed, waiting for the end of joining or for the next catch-up.
    waker: Option<Waker>,
    ping_queued_at: Instant,
    /// Whether nothing was received since the last ping was queued.
    ping_pending: bool,
    progress: Progress,
    cursor_state: CursorState,
    pending_markers: PendingMarkers,
}

struct User {
    id: UserId,
    /// Slots of the user's entries.
    entries: Vec<usize>,
    threads: HashSet<ThreadId>,
}

/// Subscriptions of one worker.
pub struct Registry {
    entries: Slab<Entry>,
    users: Slab<User>,
    by_id: HashMap<UserId, usize>,
    /// Users that receive a thread. One lookup per event, none per delivery.
    subscribers: HashMap<ThreadId, Vec<usize>>,
    /// Entries with unwritten frames.
    dirty: VecDeque<EntryKey>,
    slice: Slice,
    released: Head,
    /// Time of the current delivery. Credentials that expire between two sweeps are checked against it.
    now: Time,
    generation: u64,
    swept_at: Instant,
    /// Start of timeout enforcement; see [`Registry::enforces_timeouts`].
    enforced_from: Instant,
}

impl Registry {
    /// An empty registry. `released` is the end of the log when the outlet was created.
    pub fn new(released: Head) -> Registry {
        Registry {
            entries: Slab::new(),
            users: Slab::new(),
            by_id: HashMap::new(),
            subscribers: HashMap::new(),
            dirty: VecDeque::new(),
            slice: Slice::default(),
            released,
            now: Time::default(),
            generation: 0,
            swept_at: Instant::now(),
            enforced_from: Instant::now(),
        }
    }

    /// Registers a connection. It receives nothing until [`Registry::set_subscriptions`].
    pub fn register(&mut self, subscriber: Subscriber, io: Rc<ConnectionIo>) -> EntryKey {
        let id = &subscriber.credential.user;
        let user = *self
            .by_id
            .entry(id.clone())
            .or_insert_with(|| self.users.insert(User { id: id.clone(), entries: Vec::new(), threads: HashSet::new() }));
        self.generation += 1;
        let generation = self.generation;
        let entry = Entry {
            subscriber,
            revocation_check: RevocationCheck::Pending(None),
            generation,
            user,
            io,
            mode: Mode::Joining,
            waker: None,
            ping_queued_at: Instant::now(),
            ping_pending: false,
            progress: Progress::new(),
            cursor_state: CursorState::sent(self.released.position),
            pending_markers: PendingMarkers::NONE,
        };
        let slot = self.entries.insert(entry);
        self.users[user].entries.push(slot);
        EntryKey { slot, generation }
    }

    /// Unregisters a connection. With the last connection of a user, the user's subscriptions are removed.
    pub fn unregister(&mut self, key: EntryKey) {
        let Some(user) = self.entry(key).map(|entry| entry.user) else { return };
        self.entries.remove(key.slot);
        self.users[user].entries.retain(|slot| *slot != key.slot);
        if self.users[user].entries.is_empty() {
            let removed = self.users.remove(user);
            self.by_id.remove(&removed.id);
            for thread in removed.threads {
                self.remove_subscriber(thread, user);
            }
        }
    }

    fn entry(&mut self, key: EntryKey) -> Option<&mut Entry> {
        self.entries.get_mut(key.slot).filter(|entry| entry.generation == key.generation)
    }

    /// Replaces the threads that a user receives. The user's joining connections may catch up from here.
    pub fn set_subscriptions(&mut self, user: &UserId, threads: &HashSet<ThreadId>, released: Head) {
        let Some(&number) = self.by_id.get(user) else { return };
        let before = std::mem::replace(&mut self.users[number].threads, threads.clone());
        for removed in before.difference(threads) {
            self.remove_subscriber(*removed, number);
        }
        for added in threads.difference(&before) {
            self.subscribers.entry(*added).or_default().push(number);
        }
        self.advance(released);
        for slot in &self.users[number].entries {
            let entry = &mut self.entries[*slot];
            if entry.mode == Mode::Joining {
                entry.mode = Mode::CatchingUp;
            }
            entry.waker.take().into_iter().for_each(Waker::wake);
        }
    }

    fn subscribe(&mut self, user: &UserId, thread: ThreadId) {
        let Some(&number) = self.by_id.get(user) else { return };
        if self.users[number].threads.insert(thread) {
            self.subscribers.entry(thread).or_default().push(number);
        }
    }

    fn unsubscribe(&mut self, user: &UserId, thread: ThreadId) {
        let Some(&number) = self.by_id.get(user) else { return };
        if self.users[number].threads.remove(&thread) {
            self.remove_subscriber(thread, number);
        }
    }

    fn remove_subscriber(&mut self, thread: ThreadId, user: usize) {
        if let Some(subscribers) = self.subscribers.get_mut(&thread) {
            if let Some(index) = subscribers.iter().position(|number| *number == user) {
                subscribers.swap_remove(index);
            }
            if subscribers.is_empty() {
                self.subscribers.remove(&thread);
            }
        }
    }

    /// Sets the time of the deliveries that follow.
    pub fn set_now(&mut self, now: Time) {
        self.now = now;
    }

    /// Queues one event, in log order, and returns for how many connections. An added member receives the event; a removed one
    /// receives it as the last of its thread. [`Registry::flush`] follows.
    pub fn deliver(&mut self, envelope: &Envelope) -> usize {
        let mut queued = 0;
        if let Change::Added(users) = &envelope.change {
            for user in users {
                self.subscribe(user, envelope.thread);
            }
        }
        for number in self.subscribers.get(&envelope.thread).into_iter().flatten() {
            for slot in &self.users[*number].entries {
                let entry = &mut self.entries[*slot];
                let live = matches!(entry.mode, Mode::Live { after } if envelope.position > after);
                if live && entry.subscriber.has_expired(self.now) {
                    // Its cursor stays before this event, so the client receives it after the next sign-in.
                    entry.io.request_close(Code::CredentialsExpired);
                } else if live && !lossy::skips() {
                    queued += 1;
                    entry.io.enqueue_event(envelope.frame.clone(), envelope.position, envelope.mark);
                    self.dirty.extend(entry.mark_dirty_with_event(*slot));
                }
            }
        }
        match &envelope.change {
            Change::Removed(user) => self.unsubscribe(user, envelope.thread),
            Change::Ended => {
                for number in self.subscribers.remove(&envelope.thread).into_iter().flatten() {
                    self.users[number].threads.remove(&envelope.thread);
                }
            }
            Change::None | Change::Added(_) => {}
        }
        // After each event, so that an entry that goes live in the middle of a batch misses none.
        self.advance(Head { position: envelope.position, mark: envelope.mark, ..self.released });
        queued
    }

    /// Records that every event up to `released` has been queued for this worker's subscribers.
    pub fn advance(&mut self, released: Head) {
        if released.position > self.released.position {
            self.released = released;
        }
    }

    /// Position up to which this worker has delivered.
    pub fn released(&self) -> Head {
        self.released
    }

    /// Waits until the hub has sent the subscriptions of the entry's user.
    pub fn poll_joined(&mut self, key: EntryKey, cx: &Context<'_>) -> Poll<()> {
        match self.entry(key) {
            Some(entry) if entry.mode == Mode::Joining => {
                entry.waker = Some(cx.waker().clone());
                Poll::Pending
            }
            _ => Poll::Ready(()),
        }
    }

    /// Makes an entry live if its feed has read as far as this worker has delivered. Otherwise the feed must read on.
    pub fn try_live(&mut self, key: EntryKey, read: Position) -> bool {
        let complete = read >= self.released.position && self.has_all_markers(key);
        if let Some(entry) = self.entry(key).filter(|_| complete) {
            entry.mode = Mode::Live { after: read };
            (entry.cursor_state, entry.pending_markers) = (CursorState::sent(read), PendingMarkers::NONE);
        }
        complete
    }

    /// Position up to which a live entry has received everything, if the worker has delivered further than the feed had read.
    pub fn live_position(&mut self, key: EntryKey) -> Option<Head> {
        let released = self.released;
        let entry = self.entry(key)?;
        matches!(entry.mode, Mode::Live { after } if released.position >= after).then_some(released)
    }

    /// Waits until a live entry must catch up again. Returns the position to start from.
    pub fn poll_behind(&mut self, key: EntryKey, cx: &Context<'_>) -> Poll<Position> {
        match self.entry(key) {
            Some(entry) if entry.mode == Mode::CatchingUp => Poll::Ready(entry.cursor_state.position),
            Some(entry) => {
                entry.waker = Some(cx.waker().clone());
                Poll::Pending
            }
            None => Poll::Pending,
        }
    }

    /// Makes every live entry catch up from the store, because batches for this worker were dropped.
    pub fn start_catch_up_of_all(&mut self) {
        for slot in self.entries.iter().map(|(slot, _)| slot).collect::<Vec<_>>() {
            self.start_catch_up(slot);
        }
    }

    /// Makes a live entry catch up. An entry that does so already may have missed a marker.
    fn start_catch_up(&mut self, slot: usize) {
        let (released, entry) = (self.released.position, &mut self.entries[slot]);
        entry.pending_markers.missed = true;
        if let Mode::Live { after } = entry.mode {
            entry.mode = Mode::CatchingUp;
            entry.cursor_state.position = released.max(after);
            entry.waker.take().into_iter().for_each(Waker::wake);
        }
    }

    /// Whether timeouts are enforced now. After a delayed sweep they are not, for one interval: the worker or the machine was
    /// stopped, and replies of the peers may be unread.
    fn enforces_timeouts(&mut self, now: Instant) -> bool {
        if now.duration_since(self.swept_at) > SWEEP_INTERVAL * 2 {
            self.enforced_from = now + SWEEP_INTERVAL;
        }
        self.swept_at = now;
        now >= self.enforced_from
    }

    /// Sends pings and cursor frames that are due, and requests a close of connections whose credentials or timeouts expired.
    /// Called every `SWEEP_INTERVAL`; the caller flushes. `cursor` makes a cursor frame.
    pub fn sweep(&mut self, now: Time, instant: Instant, timeouts: Timeouts, cursor: impl FnMut(Head) -> TextFrame) {
        let enforced = self.enforces_timeouts(instant);
        for (_, entry) in &mut self.entries {
            if entry.subscriber.has_expired(now) {
                entry.io.request_close(Code::CredentialsExpired);
            }
            entry.record_progress(instant);
            if !enforced {
                entry.restart_timeouts(instant);
            } else if entry.subscriber.transport.is_continuous() {
                entry.check_heartbeat(instant, timeouts);
                entry.check_progress(instant, timeouts.stall);
            }
        }
        self.enqueue_cursors(instant, timeouts.heartbeat, cursor);
    }
}

#[cfg(test)]
mod tests;
