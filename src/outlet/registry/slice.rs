//! Delivery in slices: a burst of events must not block a worker or fill the outboxes of fast readers. The caller flushes between
//! two slices.

use std::sync::Arc;

use super::Registry;
use crate::{
    store::Head,
    wire::{Envelope, SealedMarker},
};

/// Events in one slice.
const SLICE_EVENTS_MAX: usize = 64;

/// Frames queued in one slice, over all connections.
const SLICE_FRAMES_MAX: usize = 16_384;

/// An item of a batch.
#[derive(Debug, Clone)]
pub enum Item {
    /// An event, for the subscribers of its thread.
    Event(Arc<Envelope>),
    /// A read marker, for the connections of its user.
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

/// What was queued since the last complete flush.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Slice {
    events: usize,
    frames: usize,
    bytes: u64,
}

impl Slice {
    fn is_full(&self, bytes_max: u64) -> bool {
        self.events >= SLICE_EVENTS_MAX || self.frames >= SLICE_FRAMES_MAX || self.bytes > bytes_max
    }
}

impl Registry {
    /// Queues items of a batch that ends at `to`, until the slice is full. Returns how many items are left.
    pub fn deliver_slice(&mut self, items: &[Item], to: Head, bytes_max: u64) -> usize {
        if !self.has_dirty() {
            self.slice = Slice::default();
        }
        for (number, item) in items.iter().enumerate() {
            if self.slice.is_full(bytes_max) {
                return items.len() - number;
            }
            let frames = match item {
                Item::Event(envelope) => self.deliver(envelope),
                Item::Marker(marker) => {
                    self.deliver_marker(marker);
                    1
                }
            };
            self.slice.events += 1;
            self.slice.frames += frames;
            self.slice.bytes += item.bytes();
        }
        self.advance(to);
        0
    }
}
