//! A batch in slices: a burst of events must not stall a worker thread or fill outboxes that are read.

use std::sync::Arc;

use super::{super::weight::fullest, Registry};
use crate::{
    error::Code,
    store::Head,
    wire::{Envelope, SealedMarker},
};

/// Events of one slice of a batch at most.
const SLICE: usize = 64;

/// Times that one is queued in a slice at most.
const QUEUED: usize = 16_384;

/// What is delivered, in log order.
#[derive(Debug, Clone)]
pub enum Item {
    /// To those who hear its thread.
    Event(Arc<Envelope>),
    /// To its user.
    Marker(Arc<SealedMarker>),
}

impl Item {
    fn bytes(&self) -> u64 {
        match self {
            Item::Event(envelope) => envelope.frame.wire().len() as u64,
            Item::Marker(marker) => marker.frame.wire().len() as u64,
        }
    }
}

impl Registry {
    /// Delivers the first of a batch that ends at `to`, up to so many and so many bytes; how many are left.
    pub fn deliver_slice(&mut self, items: &[Item], to: Head, bytes_max: u64) -> usize {
        let (mut bytes, mut queued) = (0, 0);
        for (number, item) in items.iter().enumerate() {
            if number > 0 && (number >= SLICE || queued >= QUEUED || bytes > bytes_max) {
                return items.len() - number;
            }
            bytes += item.bytes();
            match item {
                Item::Event(envelope) => queued += self.deliver(envelope),
                Item::Marker(marker) => self.deliver_marker(marker),
            }
        }
        self.advance(to);
        0
    }

    /// Bytes that wait in the outboxes of this thread.
    pub fn waiting(&self) -> u64 {
        self.seats.iter().map(|(_, seat)| seat.line.outbox_bytes() as u64).sum()
    }

    /// Closes the fullest outboxes, until so many bytes are on their way out. Their clients come back and read the store.
    pub fn relieve(&self, over: u64) {
        if over > 0 {
            let waiting = self.seats.iter().map(|(slot, seat)| (slot, seat.line.outbox_bytes() as u64)).collect();
            fullest(waiting, over).into_iter().for_each(|slot| self.seats[slot].line.close(Code::SlowReader));
        }
    }
}
