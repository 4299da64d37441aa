//! A model of the store and the hub's thread around the real roster, registries, connection I/O and feeds.
//! Everything that happens between two awaits or two messages is one step, so that a schedule can try every order.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, HashSet, VecDeque},
    future::poll_fn,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use uuid::Uuid;

use super::super::*;
use super::store::{Truth, USERS, head, user};
use crate::{
    connection_io::Outbound,
    domain::{ConnectionId, Credential, Limits, ThreadId, Time, UserId},
    hub::roster::Roster,
    outlet::{EntryKey, Item, Registry, Timeouts, Transport},
};

/// User and outlet of each client: several of one user on one outlet, and on two.
pub const CLIENTS: [(usize, usize); 6] = [(0, 0), (0, 1), (0, 0), (1, 0), (1, 1), (2, 1)];
pub const OUTLETS: usize = 2;
/// Messages that wait for one outlet at most.
const INBOX: usize = 3;
/// Events of one page: small, so that most catch-ups take several.
const PAGE: usize = 3;
/// Frames of one outbox: small, so that some readers are slow.
const OUTBOX: u64 = 12;

enum ToHub {
    Enter { client: usize, serial: u64 },
    SetMemberships { client: usize, serial: u64, at: Position, threads: Vec<ThreadId> },
    Leave { user: usize, outlet: usize, joining: bool },
}

enum ToOutlet {
    Deliver { envelopes: Vec<Item>, to: Head },
    SetSubscriptions { users: Vec<(UserId, Arc<HashSet<ThreadId>>)>, at: Head, behind: bool },
}

struct Outlet {
    registry: Rc<RefCell<Registry>>,
    inbox: VecDeque<ToOutlet>,
    /// A batch of which so many events are left.
    under_way: Option<(Vec<Item>, Head, usize)>,
    behind: bool,
    /// The next message does not fit.
    full: bool,
}

impl Outlet {
    fn try_send(&mut self, message: ToOutlet) -> bool {
        let fits = !std::mem::take(&mut self.full) && self.inbox.len() < INBOX;
        if fits {
            self.inbox.push_back(message);
        }
        fits
    }
}

/// What a feed has asked the store for, what the store has read, and what has reached the feed.
#[derive(Default)]
struct Desk {
    asked: Cell<Option<Position>>,
    read: RefCell<Option<EncodedPage>>,
    answer: RefCell<Option<EncodedPage>>,
}

struct Stand {
    desk: Rc<Desk>,
    registry: Rc<RefCell<Registry>>,
    key: EntryKey,
}

impl Source for Stand {
    async fn page(&self, after: Position) -> Result<EncodedPage, Stopped> {
        self.registry.borrow_mut().begin_page(self.key, after);
        self.desk.asked.set(Some(after));
        let answer = || self.desk.answer.take().map_or(Poll::Pending, Poll::Ready);
        Ok(poll_fn(|_| answer()).await)
    }

    fn try_live(&self, read: Position) -> bool {
        self.registry.borrow_mut().try_live(self.key, read)
    }

    async fn behind(&self) -> Position {
        poll_fn(|cx| self.registry.borrow_mut().poll_behind(self.key, cx)).await
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Stage {
    /// The hub has not heard of the subscription.
    Entering,
    /// It has; the memberships are to be read.
    Entered,
    /// They are on their way to the hub.
    Asking,
    /// The hub has told the outlet.
    Listening,
    /// The feed runs.
    Feeding,
}

struct Subscription {
    key: EntryKey,
    io: Rc<ConnectionIo>,
    stage: Stage,
    desk: Rc<Desk>,
    feed: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

/// Somebody who comes and goes, and what they have been told in all.
#[derive(Default)]
pub struct Client {
    pub user: usize,
    outlet: usize,
    /// Where it began: it may expect everything above.
    pub began: Option<u64>,
    cursor: u64,
    pub seen: Vec<u64>,
    /// The same, word for word.
    pub heard: Vec<TextFrame>,
    subscription: Option<Subscription>,
    serial: u64,
}

pub struct World<S> {
    pub store: S,
    pub clients: Vec<Client>,
    roster: Roster,
    released: u64,
    to_hub: VecDeque<ToHub>,
    outlets: Vec<Outlet>,
    now: Instant,
}

/// Between two things that an outlet does: sometimes a client was told a second ago where it is, sometimes not.
const PACE: Duration = Duration::from_millis(700);

fn noop() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

/// A frame that holds a cursor and nothing else.
const CURSOR: &str = "cursor";

impl<S: Truth> World<S> {
    pub fn new(store: S) -> World<S> {
        let outlet = || Outlet {
            registry: Rc::new(RefCell::new(Registry::new(head(0)))),
            inbox: VecDeque::new(),
            under_way: None,
            behind: false,
            full: false,
        };
        World {
            store,
            clients: CLIENTS.map(|(user, outlet)| Client { user, outlet, ..Client::default() }).into(),
            roster: Roster::default(),
            released: 0,
            to_hub: VecDeque::new(),
            outlets: (0..OUTLETS).map(|_| outlet()).collect(),
            now: Instant::now(),
        }
    }

    /// The hub takes its next message; whether there was one.
    pub fn hub(&mut self) -> bool {
        match self.to_hub.pop_front() {
            None => return false,
            Some(ToHub::Enter { client, serial }) => {
                let Client { user: number, outlet, subscription, serial: now, .. } = &mut self.clients[client];
                self.roster.subscribe(&user(*number), *outlet);
                if let Some(subscription) = subscription.as_mut().filter(|_| *now == serial) {
                    subscription.stage = Stage::Entered;
                }
            }
            Some(ToHub::SetMemberships { client, serial, at, threads }) => {
                let Client { user: number, subscription, serial: now, .. } = &mut self.clients[client];
                let Some((threads, outlets)) = self.roster.set_memberships(&user(*number), at, threads) else { return true };
                if let Some(subscription) = subscription.as_mut().filter(|_| *now == serial) {
                    subscription.stage = Stage::Listening;
                }
                for outlet in outlets {
                    let entry = &mut self.outlets[outlet];
                    if !entry.behind {
                        let users = vec![(user(*number), Arc::clone(&threads))];
                        entry.behind =
                            !entry.try_send(ToOutlet::SetSubscriptions { users, at: head(self.released), behind: false });
                    }
                }
            }
            Some(ToHub::Leave { user: number, outlet, joining }) => {
                self.roster.unsubscribe(&user(number), outlet, joining);
            }
        }
        true
    }

    /// The hub releases so many more events.
    pub fn release(&mut self, count: u64) {
        let to = self.store.end().min(self.released + count);
        let mut told: BTreeMap<usize, Vec<Item>> = BTreeMap::new();
        for position in self.released + 1..=to {
            let envelope = self.store.envelope(position);
            for outlet in self.roster.release(envelope.position, envelope.thread, &envelope.change) {
                told.entry(outlet).or_default().push(Item::Event(Arc::clone(&envelope)));
            }
        }
        self.released = to;
        for (number, envelopes) in told {
            let entry = &mut self.outlets[number];
            if !entry.behind {
                entry.behind = !entry.try_send(ToOutlet::Deliver { envelopes, to: head(to) });
            }
        }
    }

    /// Once a second: outlets that have lost batches are told everything anew.
    pub fn tick(&mut self) {
        for number in 0..OUTLETS {
            if self.outlets[number].behind {
                let (users, at) = (self.roster.users_on(number), head(self.released));
                let hear = ToOutlet::SetSubscriptions { users, at, behind: true };
                self.outlets[number].behind = !self.outlets[number].try_send(hear);
            }
        }
    }

    /// The next message for this outlet is lost.
    pub fn lose(&mut self, outlet: usize) {
        self.outlets[outlet].full = true;
    }

    /// An outlet takes its next message, or the next slice of the batch under way; whether there was any.
    pub fn outlet(&mut self, number: usize) -> bool {
        let outlet = &mut self.outlets[number];
        let mut registry = outlet.registry.borrow_mut();
        let (envelopes, to, rest) = match outlet.under_way.take() {
            Some(under_way) => under_way,
            None => match outlet.inbox.pop_front() {
                None => return false,
                Some(ToOutlet::SetSubscriptions { users, at, behind }) => {
                    if behind {
                        registry.start_catch_up_of_all();
                    }
                    users.iter().for_each(|(user, threads)| registry.set_subscriptions(user, threads, at));
                    registry.advance(at);
                    return true;
                }
                Some(ToOutlet::Deliver { envelopes, to }) => {
                    let rest = envelopes.len();
                    (envelopes, to, rest)
                }
            },
        };
        let left = registry.deliver_slice(&envelopes[envelopes.len() - rest..], to, 1);
        self.now += PACE;
        let more = registry.flush(self.now, usize::MAX, (left == 0).then_some(|_: Head| CURSOR.into()));
        assert!(!more, "something is left unwritten");
        outlet.under_way = (left > 0).then_some((envelopes, to, left));
        true
    }

    /// Cursor frames to those who are live.
    pub fn sweep(&mut self, outlet: usize) {
        self.now += PACE;
        let beats =
            Timeouts { heartbeat: PACE * 7, grace: Duration::from_hours(1), message: Duration::MAX, stall: Duration::MAX };
        self.outlets[outlet].registry.borrow_mut().sweep(Time(0), self.now, beats, |_| CURSOR.into());
    }

    /// A client that is away comes; one that is there does the next thing it waits for.
    pub fn go(&mut self, number: usize) {
        let client = &mut self.clients[number];
        let registry = &self.outlets[client.outlet].registry;
        let Some(subscription) = &mut client.subscription else {
            client.serial += 1;
            let limits = Limits { outbox_frames: OUTBOX, ..Limits::default() };
            let io = Rc::new(ConnectionIo::new(&limits));
            let subscriber = Subscriber {
                connection: ConnectionId(Uuid::nil()),
                credential: Credential::of(user(client.user)),
                expires_at: Time(i64::MAX),
                transport: Transport::Stream,
            };
            let key = registry.borrow_mut().register(subscriber, Rc::clone(&io));
            client.subscription = Some(Subscription { key, io, stage: Stage::Entering, desk: Rc::default(), feed: None });
            self.to_hub.push_back(ToHub::Enter { client: number, serial: client.serial });
            return;
        };
        match subscription.stage {
            Stage::Entering | Stage::Asking => {}
            Stage::Entered => {
                let (at, threads) = (Position(self.store.end()), self.store.memberships(client.user));
                self.to_hub.push_back(ToHub::SetMemberships { client: number, serial: client.serial, at, threads });
                subscription.stage = Stage::Asking;
            }
            Stage::Listening => {
                if registry.borrow_mut().poll_joined(subscription.key, &noop()).is_ready() {
                    if client.began.is_none() {
                        (client.began, client.cursor) = (Some(self.store.end()), self.store.end());
                    }
                    let (desk, key) = (Rc::clone(&subscription.desk), subscription.key);
                    let stand = Stand { desk, registry: Rc::clone(registry), key };
                    subscription.feed = Some(Box::pin(feed(stand, Rc::clone(&subscription.io), client.cursor)));
                    subscription.stage = Stage::Feeding;
                }
            }
            Stage::Feeding => {
                let read = subscription.desk.read.take();
                if read.is_some() {
                    *subscription.desk.answer.borrow_mut() = read;
                } else if let Some(after) = subscription.desk.asked.take() {
                    *subscription.desk.read.borrow_mut() = Some(self.store.page(client.user, after.0, PAGE));
                }
            }
        }
        if subscription.feed.as_mut().is_some_and(|feed| feed.as_mut().poll(&mut noop()).is_ready()) {
            // The connection has closed.
            subscription.feed = None;
        }
    }

    /// The client reads so many frames; a slow one is sent away without those that wait.
    pub fn read(&mut self, number: usize, frames: u64) -> Result<(), String> {
        let Some(subscription) = &mut self.clients[number].subscription else { return Ok(()) };
        if subscription.io.close_request().is_some() {
            self.leave(number);
            return Ok(());
        }
        let io = Rc::clone(&subscription.io);
        for _ in 0..frames {
            let Poll::Ready(out) = io.poll_next(&noop()) else { return Ok(()) };
            if let Outbound::Event { frame, position, .. } = out {
                self.told(number, position.0, frame)?;
            }
        }
        Ok(())
    }

    fn told(&mut self, number: usize, position: u64, frame: TextFrame) -> Result<(), String> {
        let (client, cursor) = (&mut self.clients[number], frame.text() == CURSOR);
        if position < client.cursor || (position == client.cursor && !cursor) {
            return Err(format!("client {number} at {} is told {position} again", client.cursor));
        }
        client.cursor = position;
        if !cursor {
            if !self.store.model().may_see(client.user, position) {
                return Err(format!("client {number} is told {position}, which is not for it"));
            }
            client.seen.push(position);
            client.heard.push(frame);
        }
        Ok(())
    }

    /// The client goes, whatever it was doing.
    pub fn leave(&mut self, number: usize) {
        let client = &mut self.clients[number];
        if let Some(subscription) = client.subscription.take() {
            self.outlets[client.outlet].registry.borrow_mut().unregister(subscription.key);
            let joining = matches!(subscription.stage, Stage::Entering | Stage::Entered);
            self.to_hub.push_back(ToHub::Leave { user: client.user, outlet: client.outlet, joining });
        }
    }

    /// Left alone with everybody there, the world comes to rest with everybody told everything.
    pub fn settle(&mut self) -> Result<(), String> {
        for _ in 0..10_000 {
            let before = (self.store.end(), self.released);
            self.release(2);
            self.tick();
            let mut busy = self.hub() || before.1 != self.released;
            for outlet in 0..OUTLETS {
                while self.outlet(outlet) {
                    busy = true;
                }
                busy |= self.outlets[outlet].behind;
            }
            for client in 0..CLIENTS.len() {
                self.go(client);
                self.read(client, u64::MAX)?;
                let live = self.clients[client].subscription.as_ref().is_some_and(|subscription| {
                    let waits = subscription.desk.asked.get().is_some() || subscription.desk.read.borrow().is_some();
                    subscription.stage == Stage::Feeding && !waits && subscription.io.outbox_bytes() == 0
                });
                busy |= !live;
            }
            if !busy {
                return Ok(());
            }
        }
        Err("the world does not come to rest".to_owned())
    }

    /// Nothing is kept for those who have gone.
    pub fn is_empty_when_all_have_left(&mut self) -> bool {
        (0..CLIENTS.len()).for_each(|client| self.leave(client));
        while self.hub() {}
        (0..USERS).all(|number| self.roster.users_on(number % OUTLETS).is_empty())
    }
}

/// What every transport runs, with the cursor that `caught_up` tells.
async fn feed(stand: Stand, io: Rc<ConnectionIo>, from: u64) {
    let mut feed = Feed::new(stand, Rc::clone(&io), Position(from), 1);
    let Ok(caught_up) = feed.catch_up().await else { return };
    io.send_event(CURSOR.into(), caught_up.at.position, caught_up.at.mark);
    feed.stay_live().await;
}
