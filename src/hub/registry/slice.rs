//! A batch in slices: a burst of events must not stall a worker thread or fill outboxes that are read.

use std::sync::Arc;

use super::Registry;
use crate::{
    store::Head,
    wire::{Envelope, SealedMarker},
};

/// Events that are queued before what was queued is written, at most.
const SLICE: usize = 64;

/// Times that one is queued before, at most.
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

/// How much was queued since everything was last written.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Queued {
    events: usize,
    times: usize,
    bytes: u64,
}

impl Queued {
    fn is_enough(&self, bytes_max: u64) -> bool {
        self.events >= SLICE || self.times >= QUEUED || self.bytes > bytes_max
    }
}

impl Registry {
    /// Delivers the first of a batch that ends at `to`, until so much is queued that it has to be written first; how many are
    /// left.
    pub fn deliver_slice(&mut self, items: &[Item], to: Head, bytes_max: u64) -> usize {
        if !self.has_unwritten() {
            self.queued = Queued::default();
        }
        for (number, item) in items.iter().enumerate() {
            if self.queued.is_enough(bytes_max) {
                return items.len() - number;
            }
            let times = match item {
                Item::Event(envelope) => self.deliver(envelope),
                Item::Marker(marker) => {
                    self.deliver_marker(marker);
                    1
                }
            };
            self.queued.events += 1;
            self.queued.times += times;
            self.queued.bytes += item.bytes();
        }
        self.advance(to);
        0
    }
}
