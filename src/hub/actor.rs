//! The hub actor: who is connected where, permits and rates, and the release of events in log order.
//! It has a thread of its own, never waits in a handler, and holds no socket.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use actix::prelude::*;
use governor::{RateLimiter, clock::Clock as _, clock::MonotonicClock, state::keyed::HashMapStateStore};
use tokio::sync::{Semaphore, oneshot};

use super::{
    bell::Bell,
    endings::{self, Endings},
    ephemeral::{Ephemeral, INBOX_EPHEMERAL},
    messages::{Admit, Arrived, Drain, End, Enter, Leave, Listen, Meet, Permit, Post, Ready, Release, WouldAdmit},
    outlet::{self, Close, Deliver, Hear, Outlet, Whose},
    quota,
    roster::{OutletNumber, Roster},
    writer::Writer,
};
use crate::{
    backplane::Batch,
    domain::{Limits, Position, UserId},
    error::{Code, Error},
    store::{Act, Head, Reads, Write},
    wire::{Envelope, seal},
};

/// Messages that may wait for the hub; over it posters are told that the server is busy.
const MAILBOX: usize = 4_096;
/// Batches kept that arrived before the one they follow; the store has them all anyway.
const EARLY: usize = 64;
/// Events that one read fills a hole with.
const FILL: u64 = 1_000;
/// Ticks (seconds) after which rates that nobody uses any more are forgotten.
const FORGET: u64 = 60;

type Rates = RateLimiter<UserId, HashMapStateStore<UserId>, MonotonicClock>;

pub(super) struct OutletEntry {
    pub(super) address: Addr<Outlet>,
    /// A batch did not fit into its inbox: it hears nothing until it has been told everything anew.
    pub(super) behind: bool,
    /// Places in its inbox for what is not kept.
    pub(super) ephemeral: Arc<Semaphore>,
}

/// See the module.
pub struct Hub {
    limits: Limits,
    writer: Writer,
    pub(super) reads: Arc<dyn Reads>,
    rates: Rates,
    pub(super) outlets: Vec<OutletEntry>,
    pub(super) roster: Roster,
    pub(super) ephemeral: Ephemeral,
    released: Head,
    early: BTreeMap<Position, Batch>,
    filling: bool,
    permits: HashMap<UserId, u64>,
    open: u64,
    pub(super) endings: Endings,
    ticks: u64,
    draining: Option<oneshot::Sender<()>>,
    drained: bool,
    bell: Option<Bell>,
}

impl Hub {
    /// A hub that has released everything up to `released`.
    pub fn new(limits: &Limits, writer: Writer, reads: Arc<dyn Reads>, released: Head, last_ending: u64, bell: Bell) -> Hub {
        let quota = quota(limits.sends_per_second, limits.sends_burst);
        Hub {
            limits: limits.clone(),
            writer,
            reads,
            rates: RateLimiter::new(quota, HashMapStateStore::default(), MonotonicClock),
            outlets: Vec::new(),
            roster: Roster::default(),
            ephemeral: Ephemeral::new(limits),
            released,
            early: BTreeMap::new(),
            filling: false,
            permits: HashMap::new(),
            open: 0,
            endings: Endings::after(last_ending),
            ticks: 0,
            draining: None,
            drained: false,
            bell: Some(bell),
        }
    }

    fn number(&self, outlet: &Addr<Outlet>) -> Option<OutletNumber> {
        self.outlets.iter().position(|entry| entry.address == *outlet)
    }

    /// Releases a batch if it is next; keeps it if it came early; asks the store if there is a hole.
    fn arrive(&mut self, batch: Batch, ctx: &mut Context<Self>) {
        if batch.from > self.released.position {
            if self.early.len() < EARLY {
                self.early.insert(batch.from, batch);
            }
            self.fill(ctx);
            return;
        }
        self.release(&batch.envelopes);
        while let Some(entry) = self.early.first_entry() {
            if *entry.key() > self.released.position {
                break;
            }
            let batch = entry.remove();
            self.release(&batch.envelopes);
        }
    }

    /// Tells each outlet that has listeners: one message an outlet a batch.
    fn release(&mut self, envelopes: &[Arc<Envelope>]) {
        let mut told: HashMap<OutletNumber, Vec<Arc<Envelope>>> = HashMap::new();
        for envelope in envelopes.iter().filter(|envelope| envelope.position > self.released.position) {
            self.ephemeral.presence.release(envelope.thread, &envelope.change);
            for outlet in self.roster.release(envelope.position, envelope.thread, &envelope.change) {
                told.entry(outlet).or_default().push(Arc::clone(envelope));
            }
        }
        if let Some(last) = envelopes.last().filter(|last| last.position > self.released.position) {
            self.released = Head { position: last.position, mark: last.mark, ..self.released };
        }
        for (number, envelopes) in told {
            let entry = &mut self.outlets[number];
            if !entry.behind {
                entry.behind = entry.address.try_send(Deliver { envelopes, to: self.released }).is_err();
            }
        }
    }

    /// Reads what is missing from the store, one read at a time.
    fn fill(&mut self, ctx: &mut Context<Self>) {
        if std::mem::replace(&mut self.filling, true) {
            return;
        }
        let (reads, from) = (Arc::clone(&self.reads), self.released.position);
        let read = async move {
            let head = reads.head().await?;
            let to = Position(head.position.0.min(from.0 + FILL));
            let events = if to > from { reads.events(from, to).await? } else { Vec::new() };
            Ok::<_, crate::domain::Outage>((to < head.position, events))
        };
        ctx.spawn(read.into_actor(self).map(|read, hub, ctx| {
            hub.filling = false;
            match read {
                Ok((more, events)) => {
                    let envelopes: Vec<_> = events.iter().map(|event| Arc::new(seal::seal(event))).collect();
                    if let Some(last) = envelopes.last() {
                        hub.arrive(Batch { from: Position(0), to: last.position, envelopes }, ctx);
                    }
                    if more {
                        hub.fill(ctx);
                    }
                }
                // The next tick asks again.
                Err(outage) => log::warn!("the hub could not read the log: {outage}"),
            }
        }));
    }

    fn tick(&mut self, ctx: &mut Context<Self>) {
        self.ticks += 1;
        // A batch that never came leaves no hole behind it: once a second the log itself is asked.
        self.fill(ctx);
        for number in 0..self.outlets.len() {
            if self.outlets[number].behind {
                let hear = Hear { users: self.roster.on(number), at: self.released, behind: true };
                self.outlets[number].behind = self.outlets[number].address.try_send(hear).is_err();
            }
        }
        self.tell_presence();
        if self.ticks.is_multiple_of(FORGET) {
            self.rates.retain_recent();
            self.ephemeral.forget();
        }
    }

    /// The outlets' addresses.
    pub(super) fn outlets(&self) -> impl Iterator<Item = &Addr<Outlet>> {
        self.outlets.iter().map(|entry| &entry.address)
    }
}

impl Actor for Hub {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
        ctx.run_interval(Duration::from_secs(1), Self::tick);
        ctx.run_interval(endings::PACE, Self::watch);
    }
}

impl Handler<Meet> for Hub {
    type Result = ();

    fn handle(&mut self, meet: Meet, _: &mut Self::Context) {
        let ephemeral = Arc::new(Semaphore::new(INBOX_EPHEMERAL));
        self.outlets.push(OutletEntry { address: meet.outlet, behind: false, ephemeral });
    }
}

impl Handler<Enter> for Hub {
    type Result = Result<(), Error>;

    fn handle(&mut self, enter: Enter, _: &mut Self::Context) -> Self::Result {
        // Entered even when refused: the seat's `Leave` follows either way.
        let Some(outlet) = self.number(&enter.outlet) else { return Err(Code::Internal.into()) };
        self.roster.enter(&enter.user, outlet);
        // Admitted before the drain, seated after it: nobody would send it away.
        if self.drained { Err(draining()) } else { Ok(()) }
    }
}

fn draining() -> Error {
    Error::new(Code::Draining, "The server is shutting down. Try again shortly.").after_ms(2_000)
}

impl Handler<Listen> for Hub {
    type Result = ();

    fn handle(&mut self, listen: Listen, _: &mut Self::Context) {
        let heard = self.roster.listen(&listen.user, listen.at.position, listen.threads);
        let Some((threads, outlets)) = heard else { return };
        self.ephemeral.presence.arrive(&listen.user, &threads);
        for number in outlets {
            let entry = &mut self.outlets[number];
            let users = vec![(listen.user.clone(), Arc::clone(&threads))];
            if !entry.behind {
                let hear = Hear { users, at: self.released, behind: false };
                entry.behind = entry.address.try_send(hear).is_err();
            }
        }
    }
}

impl Handler<Leave> for Hub {
    type Result = ();

    fn handle(&mut self, leave: Leave, _: &mut Self::Context) {
        let Some(outlet) = self.number(&leave.outlet) else { return };
        if self.roster.leave(&leave.user, outlet, leave.joining) {
            self.ephemeral.presence.leave(&leave.user, Instant::now());
        }
    }
}

impl Hub {
    /// The user's limits first, then the node's.
    fn may_admit(&self, user: &UserId) -> Result<(), Error> {
        let held = self.permits.get(user).copied().unwrap_or(0);
        if held >= self.limits.connections_user {
            let max = self.limits.connections_user;
            let detail = format!("You have {max} connections open, the most one user may have. Close one and try again.");
            return Err(Error::new(Code::TooManyConnections, detail).after_ms(5_000));
        }
        if self.drained {
            return Err(draining());
        }
        if !self.endings.known() {
            let detail = "It cannot be seen who was signed out, so nobody is let in. Try again.";
            return Err(Error::new(Code::StoreUnavailable, detail).after_ms(1_000));
        }
        if self.open >= self.limits.connections_node {
            return Err(Error::new(Code::OverCapacity, "The server is full. Try again later.").after_ms(10_000));
        }
        Ok(())
    }
}

impl Handler<WouldAdmit> for Hub {
    type Result = Result<(), Error>;

    fn handle(&mut self, asked: WouldAdmit, _: &mut Self::Context) -> Self::Result {
        self.may_admit(&asked.user)
    }
}

impl Handler<Admit> for Hub {
    type Result = Result<Permit, Error>;

    fn handle(&mut self, admit: Admit, ctx: &mut Self::Context) -> Self::Result {
        self.may_admit(&admit.user)?;
        self.open += 1;
        *self.permits.entry(admit.user.clone()).or_default() += 1;
        Ok(Permit { hub: ctx.address(), user: admit.user })
    }
}

impl Handler<Release> for Hub {
    type Result = ();

    fn handle(&mut self, release: Release, _: &mut Self::Context) {
        self.open = self.open.saturating_sub(1);
        if let Some(held) = self.permits.get_mut(&release.user) {
            *held -= 1;
            if *held == 0 {
                self.permits.remove(&release.user);
            }
        }
        if self.open == 0
            && let Some(empty) = self.draining.take()
        {
            // Whoever waited may have reached its deadline.
            let _ = empty.send(());
        }
    }
}

impl Handler<Post> for Hub {
    type Result = ();

    fn handle(&mut self, post: Post, _: &mut Self::Context) {
        let Post { change, reply } = post;
        let free = matches!(change.act, Act::Read { .. });
        let verdict = if free { Ok(()) } else { self.rates.check_key(&change.by) };
        if let Err(until) = verdict {
            let wait = until.wait_time_from(MonotonicClock.now()).as_millis();
            let refused = Error::new(Code::RateLimited, "You are sending too fast. Wait a moment.");
            let _ = reply.send(Err(refused.after_ms(u64::try_from(wait).unwrap_or(u64::MAX) + 1)));
            return;
        }
        if let Err((reply, outage)) = self.writer.queue(Write::Change(change), reply) {
            let _ = reply.send(Err(outage.into()));
        }
    }
}

impl Handler<Arrived> for Hub {
    type Result = ();

    fn handle(&mut self, arrived: Arrived, ctx: &mut Self::Context) {
        self.arrive(arrived.0, ctx);
    }
}

impl Handler<Drain> for Hub {
    type Result = ();

    fn handle(&mut self, drain: Drain, _: &mut Self::Context) {
        self.drained = true;
        if self.open == 0 {
            let _ = drain.empty.send(());
            return;
        }
        self.draining = Some(drain.empty);
        let spread_ms = self.limits.drain_ms / 2;
        for outlet in self.outlets() {
            // Must not be lost. One a shutdown: no need of a bound.
            outlet.do_send(Close { whose: Whose::Everybody { spread_ms }, code: Code::Draining });
        }
    }
}

impl Handler<Ready> for Hub {
    type Result = Option<&'static str>;

    fn handle(&mut self, _: Ready, _: &mut Self::Context) -> Option<&'static str> {
        match (self.drained, self.endings.known()) {
            (true, _) => Some("draining"),
            (false, false) => Some("revocations"),
            (false, true) => None,
        }
    }
}

impl Handler<End> for Hub {
    type Result = ();

    fn handle(&mut self, _: End, ctx: &mut Self::Context) {
        for entry in &self.outlets {
            // The last message an outlet gets.
            entry.address.do_send(outlet::Stop);
        }
        self.bell = None;
        ctx.stop();
    }
}
