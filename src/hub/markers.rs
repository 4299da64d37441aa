//! Read markers on their way to their user's own connections: in their place among the events, so that what is unread
//! agrees with what was sent; never dropped. A seat that could not take one reads it from the store.

use std::{collections::HashMap, sync::Arc};

use actix::prelude::*;

use super::{Hub, outlet::Outlet, registry::Item, roster::OutletNumber};
use crate::{
    backplane::Batch,
    domain::{Position, UserId},
    wire::{Envelope, SealedMarker},
};

impl Hub {
    /// What a batch brings to each outlet, in log order, of what comes after the position `released`.
    pub(super) fn route(&mut self, batch: &Batch, released: Position) -> HashMap<OutletNumber, Vec<Item>> {
        let mut told: HashMap<OutletNumber, Vec<Item>> = HashMap::new();
        let mut markers = batch.markers.iter().peekable();
        for envelope in batch.envelopes.iter().filter(|envelope| envelope.position > released) {
            while let Some(marker) = markers.next_if(|marker| marker.at < envelope.position) {
                self.route_marker(marker, released, &mut told);
            }
            self.route_event(envelope, &mut told);
        }
        for marker in markers {
            self.route_marker(marker, released, &mut told);
        }
        told
    }

    fn route_event(&mut self, envelope: &Arc<Envelope>, told: &mut HashMap<OutletNumber, Vec<Item>>) {
        self.ephemeral.presence.release(envelope.thread, &envelope.change);
        for outlet in self.roster.release(envelope.position, envelope.thread, &envelope.change) {
            told.entry(outlet).or_default().push(Item::Event(Arc::clone(envelope)));
        }
    }

    /// A marker that comes after events which follow it says too little unread: the user's seats read it again.
    fn route_marker(&self, marker: &Arc<SealedMarker>, released: Position, told: &mut HashMap<OutletNumber, Vec<Item>>) {
        for outlet in self.roster.seats_of(&marker.user) {
            if marker.at >= released {
                told.entry(outlet).or_default().push(Item::Marker(Arc::clone(marker)));
            } else {
                self.read_again(outlet, marker);
            }
        }
    }

    /// The markers of a batch that there was no room to keep.
    pub(super) fn read_markers_again(&self, batch: &Batch) {
        for marker in &batch.markers {
            self.roster.seats_of(&marker.user).for_each(|outlet| self.read_again(outlet, marker));
        }
    }

    fn read_again(&self, outlet: OutletNumber, marker: &SealedMarker) {
        // Must not be lost. Each marker comes from a post, and of those only `writer_posts` are under way: no need of a bound.
        self.outlets[outlet].address.do_send(ReadAgain { user: marker.user.clone(), from: marker.at });
    }
}

/// From the hub: this user's seats are to read the markers from the store that have moved at a position or after it.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct ReadAgain {
    user: UserId,
    from: Position,
}

impl Handler<ReadAgain> for Outlet {
    type Result = ();

    fn handle(&mut self, again: ReadAgain, _: &mut Self::Context) {
        self.registry.borrow_mut().read_again(&again.user, again.from);
    }
}
