//! What a feed stands on: the store's pages for one user, and that user's seat. A trait, so that a model can take the
//! place of the store and of the worker thread.

use std::{rc::Rc, sync::Arc};

use super::{PAGE, Stopped};
use crate::{
    domain::Position,
    hub::{Node, Seat},
    store::Head,
    wire::{Envelope, seal},
};

/// The next events of one user, sealed.
#[derive(Debug, Clone)]
pub struct Sealed {
    /// In position order.
    pub events: Vec<Envelope>,
    /// Everything of this user at or below this place is among them or before them.
    pub complete_to: Head,
    /// Whether that was the log's end when it was read.
    pub at_end: bool,
}

/// See the module.
pub trait Source {
    /// The next events after a position; or [`Stopped::Store`], [`Stopped::Pruned`].
    fn page(&self, after: Position) -> impl Future<Output = Result<Sealed, Stopped>>;

    /// Turns the seat live, if everything up to `read` covers what its worker thread has delivered.
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

impl Source for Seated {
    async fn page(&self, after: Position) -> Result<Sealed, Stopped> {
        let page = self.node.reads.page(self.seat.user().clone(), after, PAGE).await.map_err(Stopped::Store)?;
        if page.pruned {
            return Err(Stopped::Pruned);
        }
        let at_end = (page.events.len() as u64) < PAGE;
        Ok(Sealed { events: page.events.iter().map(seal::seal).collect(), complete_to: page.complete_to, at_end })
    }

    fn try_live(&self, read: Position) -> bool {
        self.seat.try_live(read)
    }

    async fn behind(&self) -> Position {
        self.seat.behind().await
    }
}
