//! Hub: the node's actor for connections, presence and the release of events in log order.
//!
//! It runs on a thread of its own, holds no socket, and never waits in a handler: reads of the store run as actor futures.
//!
//! Invariants:
//! - Events are released in log order, each once.
//! - A user's membership changes that are released while a connection subscribes are applied to what that connection receives.
//!
//! Decisions: `src/docs/decisions/hub.md`.

mod ephemeral;
mod fan_out;
mod gap;
pub mod messages;
mod permits;
mod presence;
mod revocations;
pub mod roster;

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use actix::prelude::*;
use governor::clock::MonotonicClock;
use tokio::sync::Semaphore;

use self::{
    ephemeral::{Ephemeral, TYPING_OUTLET_MAX},
    messages::{BatchReceived, CheckReadiness, Drain, Post, Shutdown},
    revocations::Revocations,
    roster::{OutletIndex, Roster},
};
pub use self::{
    ephemeral::{TYPING_MAILBOX_MAX, Typing},
    permits::{Displaced, Permit, Permits},
    presence::PresentMembers,
};
use crate::{
    auth::{
        keyed_limiter::{KeyedLimiter, RateQuota},
        rates::refusal,
    },
    backplane::Batch,
    domain::{Limits, Position, UserId},
    error::{Code, Error},
    outlet::{
        self, Close, CloseTarget, Outlet, OutletId, RegisterOutlet, SetMemberships, SetSubscriptions, Subscribe, Unsubscribe,
    },
    process::AbortGuard,
    store::{Act, Head, Reads, Write},
    writer::Writer,
};

/// Messages that may wait for the hub. When it is full, a post is refused with `busy`.
const MAILBOX_CAPACITY: usize = 4_096;

/// Interval of gap filling, presence changes and the retry of outlets that are behind.
const TICK: Duration = Duration::from_secs(1);

/// An outlet, as the hub knows it.
struct OutletEntry {
    id: OutletId,
    address: Addr<Outlet>,
    /// Whether a batch did not fit into its mailbox. It is sent no batches, subscriptions or typing
    /// notices until it has accepted all subscriptions anew.
    behind: bool,
    /// Slots in its mailbox for typing notices.
    typing_slots: Arc<Semaphore>,
}

/// The hub actor.
pub struct Hub {
    limits: Limits,
    writer: Writer,
    reads: Arc<dyn Reads>,
    /// Rate limiter of changes, by user.
    sends: KeyedLimiter<UserId>,
    outlets: Vec<OutletEntry>,
    roster: Roster,
    ephemeral: Ephemeral,
    /// End of the released events.
    released: Head,
    /// Batches that arrived before their predecessor, by the position before them.
    early: BTreeMap<Position, Batch>,
    filling_gap: bool,
    /// End of the log, as read last.
    log_end: Position,
    permits: Arc<Permits>,
    revocations: Revocations,
    abort_guard: Option<AbortGuard>,
}

impl Hub {
    /// A hub that has released every event up to `released`, and read every revocation up to `last_revocation`.
    pub fn new(
        limits: &Limits,
        (writer, reads): (Writer, Arc<dyn Reads>),
        permits: Arc<Permits>,
        (released, last_revocation): (Head, u64),
        abort_guard: AbortGuard,
    ) -> Hub {
        let pace = RateQuota { count: limits.sends_per_second, period: Duration::from_secs(1), burst: limits.sends_burst };
        Hub {
            limits: limits.clone(),
            writer,
            reads,
            sends: KeyedLimiter::new("sends by user", pace, limits.rate_keys, &MonotonicClock),
            outlets: Vec::new(),
            roster: Roster::default(),
            ephemeral: Ephemeral::new(limits),
            released,
            early: BTreeMap::new(),
            filling_gap: false,
            log_end: released.position,
            permits,
            revocations: Revocations::after(last_revocation),
            abort_guard: Some(abort_guard),
        }
    }

    fn index_of(&self, outlet: OutletId) -> Option<OutletIndex> {
        self.outlets.iter().position(|entry| entry.id == outlet)
    }

    fn tick(&mut self, ctx: &mut Context<Self>) {
        self.fill_gap(ctx);
        self.poll_log_end(ctx);
        for index in 0..self.outlets.len() {
            if self.outlets[index].behind {
                let users = self.roster.users_on(index);
                let subscriptions = SetSubscriptions { users, at: self.released, behind: true };
                self.outlets[index].behind = self.outlets[index].address.try_send(subscriptions).is_err();
            }
        }
        self.send_presence_changes();
    }

    fn addresses(&self) -> impl Iterator<Item = &Addr<Outlet>> {
        self.outlets.iter().map(|entry| &entry.address)
    }
}

impl Actor for Hub {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_CAPACITY);
        ctx.run_interval(TICK, Self::tick);
        ctx.run_interval(revocations::POLL_INTERVAL, Self::poll_revocations);
    }
}

impl Handler<RegisterOutlet> for Hub {
    type Result = ();

    fn handle(&mut self, registration: RegisterOutlet, _: &mut Self::Context) {
        let RegisterOutlet { id, outlet: address } = registration;
        let typing_slots = Arc::new(Semaphore::new(TYPING_OUTLET_MAX));
        self.outlets.push(OutletEntry { id, address, behind: false, typing_slots });
    }
}

impl Handler<Subscribe> for Hub {
    type Result = ();

    fn handle(&mut self, subscribe: Subscribe, _: &mut Self::Context) {
        let Some(outlet) = self.index_of(subscribe.outlet) else { return };
        // Registered even if it is refused: the connection's `Unsubscribe` follows in both cases.
        self.roster.subscribe(&subscribe.user, outlet);
        // A connection that was admitted before the drain and subscribes after it is refused here, because the drain has closed the
        // others already. If the connection has ended, nothing waits for the reply.
        let _ = subscribe.reply.send(self.permits.not_drained());
    }
}

impl Handler<SetMemberships> for Hub {
    type Result = ();

    fn handle(&mut self, memberships: SetMemberships, _: &mut Self::Context) {
        let SetMemberships { user, at, threads } = memberships;
        let Some((threads, outlets)) = self.roster.set_memberships(&user, at.position, threads) else { return };
        self.ephemeral.presence.arrive(&user, &threads);
        for index in outlets {
            let outlet = &mut self.outlets[index];
            let users = vec![(user.clone(), Arc::clone(&threads))];
            if !outlet.behind {
                let subscriptions = SetSubscriptions { users, at: self.released, behind: false };
                outlet.behind = outlet.address.try_send(subscriptions).is_err();
            }
        }
    }
}

impl Handler<Unsubscribe> for Hub {
    type Result = ();

    fn handle(&mut self, unsubscribe: Unsubscribe, _: &mut Self::Context) {
        let Unsubscribe { user, outlet, joining } = unsubscribe;
        let Some(outlet) = self.index_of(outlet) else { return };
        if self.roster.unsubscribe(&user, outlet, joining) {
            self.ephemeral.presence.leave(&user, Instant::now());
        }
    }
}

impl Handler<Post> for Hub {
    type Result = ();

    fn handle(&mut self, post: Post, _: &mut Self::Context) {
        let Post { change, reply } = post;
        let is_limited = !matches!(change.act, Act::Read { .. });
        if is_limited && let Err(refused) = self.sends.take(&change.by) {
            let error = refusal("sends", refused);
            let detail = "You are sending too fast. Wait a moment.";
            let error = if error.code == Code::RateLimited { Error { detail: detail.into(), ..error } } else { error };
            let _ = reply.send(Err(error));
            return;
        }
        if let Err((reply, outage)) = self.writer.queue(Write::Change(change), reply) {
            let _ = reply.send(Err(outage.into()));
        }
    }
}

impl Handler<BatchReceived> for Hub {
    type Result = ();

    fn handle(&mut self, received: BatchReceived, ctx: &mut Self::Context) {
        self.receive(received.0, ctx);
    }
}

impl Handler<Drain> for Hub {
    type Result = ();

    fn handle(&mut self, drain: Drain, _: &mut Self::Context) {
        if !self.permits.drain(drain.empty) {
            return;
        }
        let spread_ms = self.limits.drain_ms / 2;
        for outlet in self.addresses() {
            // Must not be lost. Unbounded: one message per shutdown.
            outlet.do_send(Close { target: CloseTarget::All { spread_ms }, code: Code::Draining });
        }
    }
}

impl Handler<CheckReadiness> for Hub {
    type Result = Option<&'static str>;

    fn handle(&mut self, _: CheckReadiness, _: &mut Self::Context) -> Option<&'static str> {
        match (self.permits.not_drained().is_err(), self.permits.known()) {
            (true, _) => Some("draining"),
            (false, false) => Some("revocations"),
            (false, true) => None,
        }
    }
}

impl Handler<Shutdown> for Hub {
    type Result = ();

    fn handle(&mut self, _: Shutdown, ctx: &mut Self::Context) {
        for outlet in self.addresses() {
            // Unbounded: the last message of an outlet.
            outlet.do_send(outlet::Stop);
        }
        self.abort_guard = None;
        ctx.stop();
    }
}
