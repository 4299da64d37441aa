//! Gap filling: reads from the store the events that the backplane did not deliver.

use std::sync::Arc;

use actix::prelude::*;

use super::Hub;
use crate::{backplane::Batch, domain::Position, wire::seal};

/// Batches kept that arrived before their predecessor. The store has them as well.
pub(super) const EARLY_BATCHES_MAX: usize = 64;
/// Events of one read.
const GAP_READ_MAX: u64 = 1_000;

impl Hub {
    /// Reads a gap from the store, one read at a time: the events before the first early batch; without one, the events that were in
    /// the log a second ago. Never more, because a batch that is still on its way brings its read markers in their place.
    pub(super) fn fill_gap(&mut self, ctx: &mut Context<Self>) {
        let (from, to) = (self.released.position, self.early.keys().next().copied().unwrap_or(self.log_end));
        if to <= from || std::mem::replace(&mut self.filling_gap, true) {
            return;
        }
        let (reads, to) = (Arc::clone(&self.reads), Position(to.0.min(from.0 + GAP_READ_MAX)));
        let read = async move { reads.events(from, to).await };
        ctx.spawn(read.into_actor(self).map(|read, hub, ctx| {
            hub.filling_gap = false;
            match read {
                Ok(events) => {
                    let encode = |event| Arc::new(seal::seal(event).shared(hub.writer.shared()));
                    let envelopes: Vec<_> = events.iter().map(encode).collect();
                    if let Some(last) = envelopes.last() {
                        let to = last.position;
                        hub.receive(Batch { from: Position(0), to, envelopes, markers: Vec::new() }, ctx);
                        hub.fill_gap(ctx);
                    }
                }
                // The next tick reads again.
                Err(outage) => log::warn!("reading the log to fill a gap failed: {outage}"),
            }
        }));
    }

    /// Reads the end of the log, so that a batch which is lost leaves no gap for longer than a second.
    pub(super) fn poll_log_end(&mut self, ctx: &mut Context<Self>) {
        let reads = Arc::clone(&self.reads);
        let head = async move { reads.head().await }.into_actor(self);
        ctx.spawn(head.map(|head, hub, _| match head {
            Ok(head) => hub.log_end = head.position,
            Err(outage) => log::warn!("reading the end of the log failed: {outage}"),
        }));
    }
}
