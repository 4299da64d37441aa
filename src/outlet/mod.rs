//! Outlet: delivery actor of one worker thread, with the registry of the worker's subscriptions.
//!
//! The hub sends batches to the actor. Connections call the registry directly, because they run on the same thread. The
//! actor never reads the store and never waits for the hub; only [`Subscription::open`] does, in the connection's own task.
//!
//! Decisions: `src/docs/decisions/delivery.md`.

mod context;
mod hub_link;
mod memory_budget;
mod messages;
mod registry;
mod subscriber;
mod subscription;

use std::{
    cell::RefCell,
    collections::HashMap,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use actix::prelude::*;
use uuid::Uuid;

pub use self::{
    context::OutletContext,
    hub_link::{HubLink, OutletId, OutletIds, RegisterOutlet, SetMemberships, Subscribe, Unsubscribe},
    memory_budget::MemoryBudget,
    messages::{
        Close, CloseTarget, DeliverBatch, PresenceChange, PresenceChanges, RereadMarkers, SetSubscriptions, Stop,
        TypingNotice,
    },
    registry::{EntryKey, Item, Registry, Timeouts},
    subscriber::{ConnectionIdentity, Subscriber, Transport},
    subscription::Subscription,
};
use self::{
    memory_budget::{MemoryUse, Share},
    registry::SWEEP_INTERVAL,
};
use crate::{
    domain::Limits,
    process::AbortGuard,
    store::Head,
    wire::{
        TextFrame,
        cursor::Purpose,
        frame::{CursorData, Reply},
    },
};

/// Messages that may wait for one outlet. If a batch does not fit, the outlet's connections catch up from the store.
const MAILBOX_CAPACITY: usize = 256;

/// Entries flushed per turn. A request on the same worker waits for one or two turns, and actix's task budget allows no more
/// writes at once over TLS.
const ENTRIES_PER_TURN: usize = 128;

/// Delivery actor of one worker thread.
pub struct Outlet {
    registry: Rc<RefCell<Registry>>,
    context: Arc<OutletContext>,
    share: Share,
    /// Whether a flush task is running.
    flushing: bool,
    _abort_guard: AbortGuard,
}

/// This worker's outlet, as connections see it.
struct LocalOutlet {
    id: OutletId,
    registry: Rc<RefCell<Registry>>,
    address: Addr<Outlet>,
}

thread_local! {
    /// One outlet per worker and node. A process serves one node; `check` and the tests run others before or beside it.
    static LOCAL_OUTLETS: RefCell<HashMap<Uuid, Rc<LocalOutlet>>> = RefCell::default();
}

/// Returns this worker's outlet of a node. The first call starts it.
fn local_outlet(context: &Arc<OutletContext>) -> Rc<LocalOutlet> {
    LOCAL_OUTLETS.with_borrow_mut(|outlets| {
        // Outlets of nodes that have shut down are removed.
        outlets.retain(|_, outlet| outlet.address.connected());
        let local = outlets.entry(context.node_id).or_insert_with(|| {
            let registry = Rc::new(RefCell::new(Registry::new(context.start)));
            let actor = Outlet {
                registry: Rc::clone(&registry),
                context: Arc::clone(context),
                share: Share::default(),
                flushing: false,
                _abort_guard: context.abort_guard("an outlet"),
            };
            let address = actor.start();
            let id = context.outlet_ids.next();
            // Unbounded: one message per worker, at its first connection.
            context.hub.register.do_send(RegisterOutlet { id, outlet: address.clone() });
            Rc::new(LocalOutlet { id, registry, address })
        });
        Rc::clone(local)
    })
}

impl Drop for Outlet {
    /// Removes its connections from the memory budget: they end with it.
    fn drop(&mut self) {
        self.share.excess(&self.context.memory_budget, MemoryUse::default());
    }
}

impl Actor for Outlet {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_CAPACITY);
        ctx.run_interval(SWEEP_INTERVAL, Self::sweep);
    }
}

impl Outlet {
    fn sweep(&mut self, ctx: &mut Context<Self>) {
        let (context, now) = (&self.context, Instant::now());
        let mut registry = self.registry.borrow_mut();
        registry.sweep(context.clock.now(), now, timeouts(&context.limits), cursor_frames(context));
        let excess = self.share.excess(&context.memory_budget, registry.memory_use(now));
        let closed = registry.evict(excess, now);
        if closed > 0 {
            log::warn!("outboxes_bytes is exceeded: {closed} connections that do not keep up close to free {excess} bytes");
        }
        drop(registry);
        self.flush_soon(ctx);
    }

    /// Starts a flush task. It runs once the mailbox is empty, so that waiting batches are written with the same system calls.
    fn flush_soon(&mut self, ctx: &mut Context<Self>) {
        if self.registry.borrow().has_dirty() && !std::mem::replace(&mut self.flushing, true) {
            let flush = deliver_and_flush(Rc::clone(&self.registry), Arc::clone(&self.context), PendingDelivery::default());
            ctx.spawn(flush.into_actor(self).map(|(), outlet, _| outlet.flushing = false));
        }
    }
}

fn timeouts(limits: &Limits) -> Timeouts {
    Timeouts {
        heartbeat: Duration::from_millis(limits.heartbeat_ms),
        grace: Duration::from_millis(limits.heartbeat_grace_ms),
        message: Duration::from_millis(limits.message_ms),
        stall: Duration::from_millis(limits.stall_ms),
    }
}

/// Makes cursor frames. Connections at the same position share one frame.
fn cursor_frames(context: &OutletContext) -> impl FnMut(Head) -> TextFrame {
    let mut latest: Option<(Head, TextFrame)> = None;
    move |head| match &latest {
        Some((at, frame)) if *at == head => frame.clone(),
        _ => {
            let cursor = context.cursors.seal(Purpose::Cursor, head.cursor());
            let frame = Reply::Cursor(CursorData { cursor: &cursor }).frame().shared(context.memory_budget.shared());
            latest.insert((head, frame)).1.clone()
        }
    }
}

/// Flushes, and queues the rest of a batch whenever everything before it has been flushed: otherwise a burst would fill the
/// outboxes of fast readers. Yields between turns, so that transports and requests on this worker run.
async fn deliver_and_flush(registry: Rc<RefCell<Registry>>, context: Arc<OutletContext>, mut pending: PendingDelivery) {
    while !pending.turn(&mut registry.borrow_mut(), &context) {
        tokio::task::yield_now().await;
    }
}

/// The part of a batch that is not queued yet.
#[derive(Default)]
struct PendingDelivery {
    items: Vec<Item>,
    /// Number of items left.
    left: usize,
    /// End of the batch, until all of it is queued.
    end: Option<Head>,
}

impl PendingDelivery {
    /// Queues one slice.
    fn queue_slice(&mut self, registry: &mut Registry, context: &OutletContext) {
        if let Some(end) = self.end {
            let items = &self.items[self.items.len() - self.left..];
            self.left = registry.deliver_slice(items, end, context.limits.outbox_bytes / 8);
        }
        if self.left == 0 {
            self.end = None;
        }
    }

    /// Flushes some entries, and queues a slice if none is left. Returns whether everything is queued and flushed.
    fn turn(&mut self, registry: &mut Registry, context: &OutletContext) -> bool {
        let cursor = self.end.is_none().then(|| cursor_frames(context));
        if !registry.flush(Instant::now(), ENTRIES_PER_TURN, cursor) {
            self.queue_slice(registry, context);
        }
        !registry.has_dirty() && self.end.is_none()
    }
}
