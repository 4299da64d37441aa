//! Source of a feed: pages of the store for one user, and the user's subscription. A trait, so that tests can replace the store and the
//! outlet by a model.

use std::{rc::Rc, sync::Arc};

use super::{PAGE, PAGE_PART, Stopped};
use crate::{
    domain::{Limits, Marker, Position},
    node::Node,
    outlet::Subscription,
    store::{Head, PageLimit},
    wire::{Envelope, seal},
};

/// A page of a user's events, encoded.
#[derive(Debug, Clone)]
pub struct EncodedPage {
    /// In position order.
    pub events: Vec<Envelope>,
    /// Every event of the user up to here is in this page or an earlier one.
    pub complete_to: Head,
    /// At the end of the log: the read markers that moved since the catch-up started.
    pub read: Option<Vec<Marker>>,
}

/// Source of a feed.
pub trait Source {
    /// Reads the page after a position. Fails with [`Stopped::Store`] or [`Stopped::Pruned`].
    fn page(&self, after: Position) -> impl Future<Output = Result<EncodedPage, Stopped>>;

    /// Goes live if the outlet has not delivered further than `read`, and no marker was published since the page was requested.
    fn try_live(&self, read: Position) -> bool;

    /// Waits until the connection must catch up again. Returns the position to start from.
    fn behind(&self) -> impl Future<Output = Position>;
}

/// The store of this node and a subscription.
pub struct StoreSource {
    node: Arc<Node>,
    subscription: Rc<Subscription>,
}

impl StoreSource {
    /// A source for the user of a subscription.
    pub fn new(node: Arc<Node>, subscription: Rc<Subscription>) -> StoreSource {
        StoreSource { node, subscription }
    }
}

/// Size limit of a page: the part of the outbox that all of it must fit into.
fn page_limit(limits: &Limits) -> PageLimit {
    PageLimit { events: PAGE.min(limits.outbox_frames / PAGE_PART).max(1), bytes: limits.outbox_bytes / PAGE_PART }
}

impl Source for StoreSource {
    async fn page(&self, after: Position) -> Result<EncodedPage, Stopped> {
        let (user, moved) = (self.subscription.user().clone(), self.subscription.begin_page(after));
        let page = self.node.reads.page(user, after, moved, page_limit(&self.node.limits)).await.map_err(Stopped::Store)?;
        if page.pruned {
            return Err(Stopped::Pruned);
        }
        let events = page.events.iter().map(seal::seal).collect();
        Ok(EncodedPage { events, complete_to: page.complete_to, read: page.read })
    }

    fn try_live(&self, read: Position) -> bool {
        self.subscription.try_live(read)
    }

    async fn behind(&self) -> Position {
        self.subscription.behind().await
    }
}
