//! What a feed stands on: the store's pages for one user, and that user's seat. A trait, so that a model can take the
//! place of the store and of the worker thread.

use std::{rc::Rc, sync::Arc};

use super::{PAGE, PAGE_PART, Stopped};
use crate::{
    domain::{Limits, Marker, Position},
    hub::{Node, Seat},
    store::{Head, PageLimit},
    wire::{Envelope, seal},
};

/// The next events of one user, sealed.
#[derive(Debug, Clone)]
pub struct Sealed {
    /// In position order.
    pub events: Vec<Envelope>,
    /// Everything of this user at or below this place is among them or before them.
    pub complete_to: Head,
    /// Where that is the log's end: the read markers that have moved since the catch-up began.
    pub read: Option<Vec<Marker>>,
}

/// See the module.
pub trait Source {
    /// The next events after a position; or [`Stopped::Store`], [`Stopped::Pruned`].
    fn page(&self, after: Position) -> impl Future<Output = Result<Sealed, Stopped>>;

    /// Turns the seat live, if everything up to `read` covers what its worker thread has delivered, and no marker has
    /// passed since the page was begun.
    fn try_live(&self, read: Position) -> bool;

    /// Waits until the seat must catch up again; from where.
    fn behind(&self) -> impl Future<Output = Position>;
}

/// A seat of this node, over its store.
pub struct Seated {
    node: Arc<Node>,
    seat: Rc<Seat>,
}

impl Seated {
    /// The seat's own user, whose pages are read.
    pub fn new(node: Arc<Node>, seat: Rc<Seat>) -> Seated {
        Seated { node, seat }
    }
}

/// How large a page may be: a part of the outbox in which all of it is queued at once.
fn most(limits: &Limits) -> PageLimit {
    PageLimit { events: PAGE.min(limits.outbox_frames / PAGE_PART).max(1), bytes: limits.outbox_bytes / PAGE_PART }
}

impl Source for Seated {
    async fn page(&self, after: Position) -> Result<Sealed, Stopped> {
        let (user, moved) = (self.seat.user().clone(), self.seat.begin_page(after));
        let page = self.node.reads.page(user, after, moved, most(&self.node.limits)).await.map_err(Stopped::Store)?;
        if page.pruned {
            return Err(Stopped::Pruned);
        }
        let events = page.events.iter().map(seal::seal).collect();
        Ok(Sealed { events, complete_to: page.complete_to, read: page.read })
    }

    fn try_live(&self, read: Position) -> bool {
        self.seat.try_live(read)
    }

    async fn behind(&self) -> Position {
        self.seat.behind().await
    }
}
