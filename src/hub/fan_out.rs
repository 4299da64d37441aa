//! Fan-out: releases batches in log order and routes their events and read markers to outlets.
//!
//! A read marker keeps its place among the events, so that its unread count agrees with what was sent. A marker is never dropped: a
//! connection that could not receive one reads it from the store.

use std::{collections::HashMap, sync::Arc};

use actix::prelude::*;

use super::{Hub, OutletIndex, gap::EARLY_BATCHES_MAX};
use crate::{
    backplane::Batch,
    domain::Position,
    outlet::{DeliverBatch, Item, RereadMarkers},
    store::Head,
    wire::{Envelope, SealedMarker},
};

/// Items of a batch, by outlet.
type Routed = HashMap<OutletIndex, Vec<Item>>;

impl Hub {
    /// Releases a batch if it is the next one. Keeps an early one and reads the gap before it from the store.
    pub(super) fn receive(&mut self, batch: Batch, ctx: &mut Context<Self>) {
        if batch.from > self.released.position {
            let has_room = self.early.len() < EARLY_BATCHES_MAX;
            let dropped = if has_room { self.early.insert(batch.from, batch) } else { Some(batch) };
            dropped.iter().for_each(|batch| self.reread_markers_of(batch));
            self.fill_gap(ctx);
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

    /// Sends a batch to the outlets with subscribers: one message per outlet and batch.
    fn release(&mut self, batch: &Batch) {
        let routed = self.route(batch, self.released.position);
        if let Some(last) = batch.envelopes.last().filter(|last| last.position > self.released.position) {
            self.released = Head { position: last.position, mark: last.mark, ..self.released };
        }
        for (index, items) in routed {
            let outlet = &mut self.outlets[index];
            if !outlet.behind {
                outlet.behind = outlet.address.try_send(DeliverBatch { items, end: self.released }).is_err();
            }
        }
    }

    /// The items of a batch after the position `released`, by outlet and in log order.
    fn route(&mut self, batch: &Batch, released: Position) -> Routed {
        let mut routed = Routed::new();
        let mut markers = batch.markers.iter().peekable();
        for envelope in batch.envelopes.iter().filter(|envelope| envelope.position > released) {
            while let Some(marker) = markers.next_if(|marker| marker.at < envelope.position) {
                self.route_marker(marker, released, &mut routed);
            }
            self.route_event(envelope, &mut routed);
        }
        for marker in markers {
            self.route_marker(marker, released, &mut routed);
        }
        routed
    }

    fn route_event(&mut self, envelope: &Arc<Envelope>, routed: &mut Routed) {
        self.ephemeral.presence.apply(envelope.thread, &envelope.change);
        for outlet in self.roster.release(envelope.position, envelope.thread, &envelope.change) {
            routed.entry(outlet).or_default().push(Item::Event(Arc::clone(envelope)));
        }
    }

    /// A marker that arrives after later events has an outdated unread count, so the user's connections read it from the store.
    fn route_marker(&self, marker: &Arc<SealedMarker>, released: Position, routed: &mut Routed) {
        for outlet in self.roster.outlets_of(&marker.user) {
            if marker.at >= released {
                routed.entry(outlet).or_default().push(Item::Marker(Arc::clone(marker)));
            } else {
                self.reread(outlet, marker);
            }
        }
    }

    /// Makes connections read the markers of a batch from the store, because there was no room to keep the batch.
    fn reread_markers_of(&self, batch: &Batch) {
        for marker in &batch.markers {
            self.roster.outlets_of(&marker.user).for_each(|outlet| self.reread(outlet, marker));
        }
    }

    fn reread(&self, outlet: OutletIndex, marker: &SealedMarker) {
        // Must not be lost. Unbounded: each marker comes from a post, and `writer_posts` limits the posts in progress.
        self.outlets[outlet].address.do_send(RereadMarkers { user: marker.user.clone(), from: marker.at });
    }
}
