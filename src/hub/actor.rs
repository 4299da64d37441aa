//! The hub actor: who is connected where, rates, and the release of events in log order.
//! It has a thread of its own, never waits in a handler, and holds no socket.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use actix::prelude::*;
use governor::clock::MonotonicClock;
use tokio::sync::Semaphore;

use super::{
    bell::Bell,
    endings::{self, Endings},
    ephemeral::{Ephemeral, INBOX_EPHEMERAL},
    messages::{Arrived, Drain, End, Enter, Leave, Listen, Meet, Post, Ready},
    outlet::{self, Close, Deliver, Hear, Outlet, Whose},
    permits::Permits,
    roster::{OutletNumber, Roster},
    writer::Writer,
};
use crate::{
    auth::{
        rate::{Pace, Rate},
        rates::refusal,
    },
    backplane::Batch,
    domain::{Limits, Position, UserId},
    error::{Code, Error},
    store::{Act, Head, Reads, Write},
    wire::seal,
};

/// Messages that may wait for the hub; over it posters are told that the server is busy.
const MAILBOX: usize = 4_096;
/// Batches kept that arrived before the one they follow; the store has them all anyway.
const EARLY: usize = 64;
/// Events that one read fills a hole with.
const FILL: u64 = 1_000;

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
    /// Messages and other changes of each user.
    sends: Rate<UserId>,
    pub(super) outlets: Vec<OutletEntry>,
    pub(super) roster: Roster,
    pub(super) ephemeral: Ephemeral,
    released: Head,
    early: BTreeMap<Position, Batch>,
    filling: bool,
    /// Where the log ended a second ago: what is still missing then is read.
    owed: Position,
    pub(super) permits: Arc<Permits>,
    pub(super) endings: Endings,
    bell: Option<Bell>,
}

impl Hub {
    /// A hub that has released everything up to `released`.
    pub(super) fn new(
        limits: &Limits,
        (writer, reads): (Writer, Arc<dyn Reads>),
        permits: Arc<Permits>,
        released: Head,
        last_ending: u64,
        bell: Bell,
    ) -> Hub {
        let pace = Pace { count: limits.sends_per_second, period: Duration::from_secs(1), burst: limits.sends_burst };
        Hub {
            limits: limits.clone(),
            writer,
            reads,
            sends: Rate::new("sends by user", pace, limits.rate_keys, &MonotonicClock),
            outlets: Vec::new(),
            roster: Roster::default(),
            ephemeral: Ephemeral::new(limits),
            released,
            early: BTreeMap::new(),
            filling: false,
            owed: released.position,
            permits,
            endings: Endings::after(last_ending),
            bell: Some(bell),
        }
    }

    fn number(&self, outlet: &Addr<Outlet>) -> Option<OutletNumber> {
        self.outlets.iter().position(|entry| entry.address == *outlet)
    }

    /// Releases a batch if it is next; keeps it if it came early; asks the store if there is a hole.
    fn arrive(&mut self, batch: Batch, ctx: &mut Context<Self>) {
        if batch.from > self.released.position {
            let displaced = if self.early.len() < EARLY { self.early.insert(batch.from, batch) } else { Some(batch) };
            displaced.iter().for_each(|displaced| self.read_markers_again(displaced));
            self.fill(ctx);
            return;
        }
        self.release(&batch);
        while let Some(entry) = self.early.first_entry() {
            if *entry.key() > self.released.position {
                break;
            }
            let batch = entry.remove();
            self.release(&batch);
        }
    }

    /// Tells each outlet that has listeners: one message an outlet a batch.
    fn release(&mut self, batch: &Batch) {
        let told = self.route(batch, self.released.position);
        if let Some(last) = batch.envelopes.last().filter(|last| last.position > self.released.position) {
            self.released = Head { position: last.position, mark: last.mark, ..self.released };
        }
        for (number, items) in told {
            let entry = &mut self.outlets[number];
            if !entry.behind {
                entry.behind = entry.address.try_send(Deliver { items, to: self.released }).is_err();
            }
        }
    }

    /// Reads a hole from the store, one read at a time: what lies before the first batch that came early; without one,
    /// what was in the log a second ago. Never more: a batch that is still on its way brings its markers in their place.
    fn fill(&mut self, ctx: &mut Context<Self>) {
        let (from, to) = (self.released.position, self.early.keys().next().copied().unwrap_or(self.owed));
        if to <= from || std::mem::replace(&mut self.filling, true) {
            return;
        }
        let (reads, to) = (Arc::clone(&self.reads), Position(to.0.min(from.0 + FILL)));
        let read = async move { reads.events(from, to).await };
        ctx.spawn(read.into_actor(self).map(|read, hub, ctx| {
            hub.filling = false;
            match read {
                Ok(events) => {
                    let sealed = |event| Arc::new(seal::seal(event).shared(hub.writer.shared()));
                    let envelopes: Vec<_> = events.iter().map(sealed).collect();
                    if let Some(last) = envelopes.last() {
                        let to = last.position;
                        hub.arrive(Batch { from: Position(0), to, envelopes, markers: Vec::new() }, ctx);
                        hub.fill(ctx);
                    }
                }
                // The next tick asks again.
                Err(outage) => log::warn!("the hub could not read the log: {outage}"),
            }
        }));
    }

    /// Where the log ends is looked up once a second: a batch that never came leaves no hole behind it.
    fn look(&mut self, ctx: &mut Context<Self>) {
        let reads = Arc::clone(&self.reads);
        let head = async move { reads.head().await }.into_actor(self);
        ctx.spawn(head.map(|head, hub, _| match head {
            Ok(head) => hub.owed = head.position,
            Err(outage) => log::warn!("the hub could not read the log's end: {outage}"),
        }));
    }

    fn tick(&mut self, ctx: &mut Context<Self>) {
        self.fill(ctx);
        self.look(ctx);
        for number in 0..self.outlets.len() {
            if self.outlets[number].behind {
                let hear = Hear { users: self.roster.on(number), at: self.released, behind: true };
                self.outlets[number].behind = self.outlets[number].address.try_send(hear).is_err();
            }
        }
        self.tell_presence();
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
    type Result = ();

    fn handle(&mut self, enter: Enter, _: &mut Self::Context) {
        let Some(outlet) = self.number(&enter.outlet) else { return };
        // Entered even when refused: the seat's `Leave` follows either way.
        self.roster.enter(&enter.user, outlet);
        // Admitted before the drain, seated after it: nobody would send it away. Who went meanwhile needs no answer.
        let _ = enter.entered.send(self.permits.not_drained());
    }
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

impl Handler<Post> for Hub {
    type Result = ();

    fn handle(&mut self, post: Post, _: &mut Self::Context) {
        let Post { change, reply } = post;
        let free = matches!(change.act, Act::Read { .. });
        if !free && let Err(refused) = self.sends.take(&change.by) {
            let error = refusal("sends", refused);
            let detail = "You are sending too fast. Wait a moment.";
            let told = if error.code == Code::RateLimited { Error { detail: detail.into(), ..error } } else { error };
            let _ = reply.send(Err(told));
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
        if !self.permits.drain(drain.empty) {
            return;
        }
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
        match (self.permits.not_drained().is_err(), self.permits.known()) {
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
