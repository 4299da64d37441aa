//! The outlet: deliveries of one worker thread. A registry that connections call directly, and an actor whose
//! address the hub holds.
//!
//! Decisions: `src/docs/decisions/delivery.md`.

use std::{
    cell::{Cell, RefCell},
    collections::{HashMap, HashSet},
    future::poll_fn,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use actix::prelude::*;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::{
    Hub, Node,
    bell::Bell,
    budget::{Holdings, Share},
    closing::Closing,
    line::Line,
    messages::{Enter, Leave, Listen, Meet},
    registry::{Deadlines, Item, Registry, SWEEP, SeatKey, Sitter},
};
use crate::{
    domain::{Credential, Limits, Outage, Position, ThreadId, Time, UserId},
    error::{Code, Error},
    store::{Head, Memberships},
    wire::{TextFrame, cursor::Purpose, frame::Reply},
};

/// Batches that may wait for one outlet; over it the outlet's connections catch up from the store.
const INBOX: usize = 256;

/// The actor half.
pub struct Outlet {
    pub(super) registry: Rc<RefCell<Registry>>,
    pub(super) node: Arc<Node>,
    share: Share,
    /// Whether what is queued is being written.
    writing: bool,
    _bell: Bell,
}

/// What a connection holds of its thread's outlet.
struct Here {
    registry: Rc<RefCell<Registry>>,
    address: Addr<Outlet>,
    hub: Addr<Hub>,
}

thread_local! {
    /// One outlet a thread and node; a process serves one node, and the probe another before it.
    static HERE: RefCell<HashMap<uuid::Uuid, Rc<Here>>> = RefCell::default();
}

/// This thread's outlet, made at the first call.
fn here(node: &Arc<Node>) -> Rc<Here> {
    HERE.with_borrow_mut(|outlets| {
        // Outlets of nodes that have ended are of no more use.
        outlets.retain(|_, here| here.address.connected());
        let made = outlets.entry(node.node_id).or_insert_with(|| {
            let registry = Rc::new(RefCell::new(Registry::new(node.born_at)));
            let (share, bell) = (Share::default(), node.bell("an outlet"));
            let actor =
                Outlet { registry: Rc::clone(&registry), node: Arc::clone(node), share, writing: false, _bell: bell };
            let address = actor.start();
            // One of these a worker thread, at its first connection: no need of a bound.
            node.hub.do_send(Meet { outlet: address.clone() });
            Rc::new(Here { registry, address, hub: node.hub.clone() })
        });
        Rc::clone(made)
    })
}

impl Drop for Outlet {
    /// Its connections end with it.
    fn drop(&mut self) {
        self.share.excess(&self.node.budget, Holdings::default());
    }
}

impl Actor for Outlet {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(INBOX);
        ctx.run_interval(SWEEP, Self::sweep);
    }
}

impl Outlet {
    fn sweep(&mut self, ctx: &mut Context<Self>) {
        let (node, now) = (&self.node, Instant::now());
        let mut registry = self.registry.borrow_mut();
        registry.sweep(node.clock.now(), now, deadlines(&node.limits), cursor(node));
        let excess = self.share.excess(&node.budget, registry.holdings(now));
        let closed = registry.evict(excess, now);
        if closed > 0 {
            log::warn!("outboxes_bytes is exceeded: {closed} connections that do not keep up close to free {excess} bytes");
        }
        drop(registry);
        self.write_soon(ctx);
    }

    /// Writes what was queued, once the mailbox is empty: what waits there goes out with it, in the same writes.
    fn write_soon(&mut self, ctx: &mut Context<Self>) {
        if self.registry.borrow().has_unwritten() && !std::mem::replace(&mut self.writing, true) {
            let writing = write(Rc::clone(&self.registry), Arc::clone(&self.node), Rest::default());
            ctx.spawn(writing.into_actor(self).map(|(), outlet, _| outlet.writing = false));
        }
    }
}

fn deadlines(limits: &Limits) -> Deadlines {
    Deadlines {
        heartbeat: Duration::from_millis(limits.heartbeat_ms),
        grace: Duration::from_millis(limits.heartbeat_grace_ms),
        message: Duration::from_millis(limits.message_ms),
        stall: Duration::from_millis(limits.stall_ms),
    }
}

/// Writes what is queued, and queues the rest whenever there is nothing left to write: a burst must not make fast readers look
/// slow. Between turns transports and requests on this thread have theirs.
async fn write(registry: Rc<RefCell<Registry>>, node: Arc<Node>, mut rest: Rest) {
    while !rest.turn(&mut registry.borrow_mut(), &node) {
        tokio::task::yield_now().await;
    }
}

/// Seals a cursor frame, once for all who are told the same place.
fn cursor(node: &Node) -> impl FnMut(Head) -> TextFrame {
    let mut sealed: Option<(Head, TextFrame)> = None;
    move |head| match &sealed {
        Some((at, frame)) if *at == head => frame.clone(),
        _ => {
            let cursor = node.cursors.seal(Purpose::Cursor, head.cursor());
            let frame = Reply::Cursor { cursor: &cursor }.frame().shared(node.budget.shared());
            sealed.insert((head, frame)).1.clone()
        }
    }
}

/// Seats that are written in one turn at most: a request on the same thread waits for a turn or two, and the library lets a task
/// do no more at once over TLS.
const TURN: usize = 128;

/// What of a batch is not queued yet.
#[derive(Default)]
struct Rest {
    items: Vec<Item>,
    left: usize,
    to: Option<Head>,
}

impl Rest {
    /// Queues as much as there is room for.
    fn queue(&mut self, registry: &mut Registry, node: &Node) {
        if let Some(to) = self.to {
            let items = &self.items[self.items.len() - self.left..];
            self.left = registry.deliver_slice(items, to, node.limits.outbox_bytes / 8);
        }
        if self.left == 0 {
            self.to = None;
        }
    }

    /// Writes to some seats; whether nothing is left to write or to queue.
    fn turn(&mut self, registry: &mut Registry, node: &Node) -> bool {
        let more = registry.flush(Instant::now(), TURN, self.to.is_none().then(|| cursor(node)));
        if !more {
            self.queue(registry, node);
        }
        !registry.has_unwritten() && self.to.is_none()
    }
}

/// From the hub: a batch for this thread's listeners.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Deliver {
    /// In position order.
    pub items: Vec<Item>,
    /// Up to where everything has now been told.
    pub to: Head,
}

impl Handler<Deliver> for Outlet {
    type Result = ();

    fn handle(&mut self, batch: Deliver, ctx: &mut Self::Context) {
        self.registry.borrow_mut().at(self.node.clock.now());
        let Deliver { items, to } = batch;
        let mut rest = Rest { left: items.len(), items, to: Some(to) };
        rest.queue(&mut self.registry.borrow_mut(), &self.node);
        if rest.to.is_none() {
            return self.write_soon(ctx);
        }
        // The mailbox waits until there was room for all of it.
        ctx.wait(write(Rc::clone(&self.registry), Arc::clone(&self.node), rest).into_actor(self));
    }
}

/// From the hub: what these users hear, all of it. With `behind`, batches were lost before.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Hear {
    /// Users with a seat here.
    pub users: Vec<(UserId, Arc<HashSet<ThreadId>>)>,
    /// As of this place in the log.
    pub at: Head,
    /// Whether the live seats must catch up from the store.
    pub behind: bool,
}

impl Handler<Hear> for Outlet {
    type Result = ();

    fn handle(&mut self, hear: Hear, _: &mut Self::Context) {
        let mut registry = self.registry.borrow_mut();
        if hear.behind {
            registry.fall_behind();
        }
        for (user, threads) in &hear.users {
            registry.listen_to(user, threads, hear.at);
        }
        registry.advance(hear.at);
    }
}

/// Whose connections are to close.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "each field is named for what it is")]
pub enum Whose {
    /// Those of one login, or of one family of tokens, whose credential was judged before ending number `ending`.
    Login { id: Uuid, ending: u64 },
    /// All of a user, judged before ending number `ending`.
    User { user: UserId, ending: u64 },
    /// Everybody's, each with a delay of its own spread over so many milliseconds.
    Everybody { spread_ms: u64 },
}

/// From the hub: close these. The answer: how many were asked to.
#[derive(Message, Clone)]
#[rtype(result = "u64")]
pub struct Close {
    /// Which.
    pub whose: Whose,
    /// Why.
    pub code: Code,
}

impl Handler<Close> for Outlet {
    type Result = u64;

    fn handle(&mut self, close: Close, _: &mut Self::Context) -> u64 {
        let Close { whose, code } = close;
        let mut registry = self.registry.borrow_mut();
        match whose {
            Whose::Login { id, ending } => registry.close_ended(ending, code, |sitter| sitter.descends_from(id)),
            Whose::User { user, ending } => registry.close_ended(ending, code, |sitter| sitter.credential.user == user),
            Whose::Everybody { spread_ms } => registry.close_all(|sitter| {
                // The id is random: so is its share of the spread.
                let delay = sitter.connection.0.as_u64_pair().1 % spread_ms.max(1);
                Closing { code, retry_after_ms: Some(delay) }
            }),
        }
    }
}

/// From the hub: the node has ended.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Stop;

impl Handler<Stop> for Outlet {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        ctx.stop();
    }
}

/// A place among this thread's listeners; given up when dropped.
pub struct Seat {
    here: Rc<Here>,
    key: SeatKey,
    user: UserId,
    seed: u64,
    joining: Cell<bool>,
}

impl Seat {
    /// Takes a seat and waits until the hub has told this thread what the user hears.
    ///
    /// Registers first, so that the hub holds back the changes of this user's memberships and every ending reaches this
    /// seat, then reads the memberships and whether the credential still holds, then lets the hub apply what changed since.
    ///
    /// # Errors
    /// `signed_out` or `disabled`, if the credential has ended in the meantime; if the store or the hub cannot answer.
    pub async fn take(node: &Arc<Node>, sitter: Sitter, line: &Rc<Line>) -> Result<Seat, Error> {
        let here = here(node);
        let credential = sitter.credential.clone();
        let user = credential.user.clone();
        // The id is random: so is what sets this connection's retries apart.
        let seed = sitter.connection.0.as_u64_pair().1;
        let key = here.registry.borrow_mut().enter(sitter, Rc::clone(line));
        let seat = Seat { here, key, user: user.clone(), seed, joining: Cell::new(true) };
        let outlet = seat.here.address.clone();
        let (entered, answer) = oneshot::channel();
        // This and `Listen`: at most one a seat, and seats are bounded by the permits.
        seat.here.hub.do_send(Enter { user: user.clone(), outlet, entered });
        answer.await.map_err(|_| Outage::Unavailable)??;
        let Memberships { at, threads, standing } = node.reads.memberships(credential.clone(), node.clock.now()).await?;
        let standing = standing.ok_or_else(|| Error::new(Code::UnknownAccount, "This account is gone."))?;
        standing.judge(&credential)?;
        seat.here.registry.borrow_mut().judged(key, standing.endings);
        seat.joining.set(false);
        // The outlet is told what is heard: that is the answer.
        seat.here.hub.do_send(Listen { user, at, threads });
        poll_fn(|cx| seat.here.registry.borrow_mut().poll_joined(key, cx)).await;
        Ok(seat)
    }

    /// Whose it is.
    pub fn user(&self) -> &UserId {
        &self.user
    }

    /// A number that hardly another connection has.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// From now on the seat is held by another credential of the same user, which held when ending number `endings` was the
    /// last one; that number of the credential before.
    pub fn renew(&self, credential: Credential, expires_at: Time, endings: u64) -> u64 {
        self.here.registry.borrow_mut().renew(self.key, credential, expires_at, endings)
    }

    /// A page of a catch-up is about to be read after a position: since when markers have to be read with it.
    pub fn begin_page(&self, after: Position) -> Position {
        self.here.registry.borrow_mut().begin_page(self.key, after)
    }

    /// Turns live if everything up to `read` covers what this thread has delivered.
    pub fn try_live(&self, read: Position) -> bool {
        self.here.registry.borrow_mut().try_live(self.key, read)
    }

    /// Up to where a live seat has been told everything, if that is further than its feed has read.
    pub fn reached(&self) -> Option<Head> {
        self.here.registry.borrow_mut().reached(self.key)
    }

    /// Waits until this seat must catch up from the store again; from where.
    pub async fn behind(&self) -> Position {
        poll_fn(|cx| self.here.registry.borrow_mut().poll_behind(self.key, cx)).await
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.here.registry.borrow_mut().leave(self.key);
        // At most one a seat, and seats are bounded by the permits.
        let (user, outlet) = (self.user.clone(), self.here.address.clone());
        self.here.hub.do_send(Leave { user, outlet, joining: self.joining.get() });
    }
}
