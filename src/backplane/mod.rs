//! The backplane carries envelopes from the writer to every node's hub. It only makes things faster: it may lose,
//! repeat and reorder, because every batch says which positions it covers and the store has them all.

pub mod local;

use std::sync::Arc;

use crate::{
    domain::Position,
    wire::{Envelope, SealedMarker},
};

/// What one transaction did. One that appended nothing begins and ends at the log's end.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The position before the first envelope.
    pub from: Position,
    /// The position of the last.
    pub to: Position,
    /// In position order, without holes.
    pub envelopes: Vec<Arc<Envelope>>,
    /// Read markers that were set, in order, each with its place among the envelopes.
    pub markers: Vec<Arc<SealedMarker>>,
}

/// Carries batches to every hub, this node's included.
pub trait Backplane: Send + Sync {
    /// Sends a batch on its way; never waits.
    fn publish(&self, batch: Batch);
}
