//! What the outlets of a node share.

use std::sync::{Arc, atomic::AtomicBool};

use uuid::Uuid;

use super::{HubLink, MemoryBudget, OutletIds};
use crate::{
    domain::{Clock, Limits},
    process::AbortGuard,
    store::{Head, Reads},
    wire::CursorSeal,
};

/// What the outlets of a node share.
pub struct OutletContext {
    /// Identifies the node among those of the process.
    pub node_id: Uuid,
    /// End of the log when the node started.
    pub start: Head,
    /// Limits in force.
    pub limits: Limits,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Read access to the store.
    pub reads: Arc<dyn Reads>,
    /// Encrypts cursors.
    pub cursors: Arc<CursorSeal>,
    /// Memory budget of all connections.
    pub memory_budget: MemoryBudget,
    /// The hub.
    pub hub: HubLink,
    /// Ids of the outlets.
    pub outlet_ids: OutletIds,
    /// Set when the node shuts down; then outlets may end.
    pub shutting_down: Arc<AtomicBool>,
}

impl OutletContext {
    /// A guard for a part of the node.
    pub(super) fn abort_guard(&self, part: &'static str) -> AbortGuard {
        AbortGuard::new(part, &self.shutting_down)
    }
}
