//! Feed: sends a connection the events after its cursor, first from the store (catch-up), then live from the outlet. Every transport uses
//! the same feed.
//!
//! Invariant: every event after the cursor is sent once. The outlet queues nothing while the feed reads the store. A feed goes live in the
//! same poll in which it has read as far as the outlet has delivered. From then on the outlet skips events up to the position that the feed
//! has read. Nothing is buffered between the two.
//!
//! Decisions: `src/docs/decisions/catch-up.md`.

mod source;

use std::{rc::Rc, sync::Arc};

pub use self::source::{EncodedPage, Source, StoreSource};
use crate::{
    connection_io::ConnectionIo,
    domain::{Backoff, Cursor, Limits, Marker, Position, Reset, Resume, StoreError, cursor},
    error::{Code, Error},
    node::Node,
    outlet::{ConnectionIdentity, Subscriber, Subscription},
    store::{Head, Missed},
    wire::{
        TextFrame,
        cursor::Purpose,
        frame::{self, Established, Reply},
    },
};

/// Events of one catch-up page.
pub const PAGE: u64 = 100;
/// A page takes at most this part (1/8) of an outbox. It is read when three quarters of the outbox are free.
const PAGE_PART: u64 = 8;
/// Upper bound of the bytes of a marker in a frame.
const MARKER_BYTES: u64 = 110;

/// Start of a feed.
pub struct Opening {
    /// Subscription of the connection.
    pub subscription: Rc<Subscription>,
    /// Events after this position are sent.
    pub at: Head,
    /// Encrypted cursor of that position.
    pub cursor: String,
    /// Whether the client's cursor was accepted.
    pub resumed: bool,
    /// Reason why the client's cursor was rejected.
    pub reset: Option<Reset>,
}

/// Subscribes a connection, then decides where its feed starts: at the client's cursor if it is valid, else at the end of the log.
///
/// # Errors
/// If the store or the hub cannot answer.
pub async fn open(
    node: &Arc<Node>,
    subscriber: Subscriber,
    io: &Rc<ConnectionIo>,
    since: Option<&str>,
) -> Result<Opening, Error> {
    let user = subscriber.credential.user.clone();
    let subscription = Rc::new(Subscription::open(&node.outlets, subscriber, io).await?);
    let Some(text) = since else {
        return Ok(at_head(node, subscription, node.reads.head().await?, None));
    };
    let Some(given) = node.cursors.open(Purpose::Cursor, text) else {
        return Ok(at_head(node, subscription, node.reads.head().await?, Some(Reset::BadCursor)));
    };
    let missed = node.reads.missed(user, given.position, node.limits.resume_events).await?;
    Ok(match decide(&given, &missed, &node.limits) {
        Resume::After(position) => {
            let at = Head { position, mark: given.mark, ..missed.head };
            Opening { subscription, at, cursor: text.to_owned(), resumed: true, reset: None }
        }
        Resume::Reset(reset) => at_head(node, subscription, missed.head, Some(reset)),
    })
}

fn at_head(node: &Node, subscription: Rc<Subscription>, head: Head, reset: Option<Reset>) -> Opening {
    let cursor = node.cursors.seal(Purpose::Cursor, head.cursor());
    Opening { subscription, at: head, cursor, resumed: false, reset }
}

impl Opening {
    /// The first frame of the connection.
    pub fn established(&self, node: &Node, identity: ConnectionIdentity<'_>) -> TextFrame {
        let first = Established {
            connection_id: identity.connection.to_string(),
            user: identity.user(),
            epoch: self.at.epoch.to_string(),
            cursor: &self.cursor,
            resumed: self.resumed,
            reason: self.reset.map(|reset| reset_code(reset).name()),
            heartbeat_ms: node.limits.heartbeat_ms,
            limits: &node.client_limits,
            auth: identity.auth(),
        };
        Reply::ConnectionEstablished(first).frame()
    }
}

/// Decides whether a cursor is valid and the missed events are few enough to replay. Markers are sent in one frame, which must fit into an
/// outbox together with what the catch-up leaves in it.
pub fn decide(given: &Cursor, missed: &Missed, limits: &Limits) -> Resume {
    let too_many = missed.events > limits.resume_events || missed.markers * MARKER_BYTES > limits.outbox_bytes / 4;
    match cursor::judge(given, missed.head.epoch, missed.head.position, missed.mark_there) {
        Resume::After(_) if too_many => Resume::Reset(Reset::TooMany),
        verdict => verdict,
    }
}

/// Code for a rejected cursor.
pub fn reset_code(reset: Reset) -> Code {
    match reset {
        Reset::EpochChanged => Code::EpochChanged,
        Reset::Expired => Code::CursorExpired,
        Reset::BadCursor => Code::BadCursor,
        Reset::TooMany => Code::TooManyEvents,
    }
}

/// Result of a catch-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaughtUp {
    /// Every event of the user up to here was sent.
    pub at: Head,
    /// Number of events sent.
    pub events: u64,
    /// Read markers that moved since the catch-up started, with their unread counts.
    pub read: Vec<Marker>,
}

/// Reason why a catch-up stopped early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// The store failed. The catch-up continues when it is called again.
    Store(StoreError),
    /// It took so long that the next events have been deleted by retention.
    Pruned,
    /// The connection closes.
    Closed,
}

/// A feed in progress. The only code that catches up and goes live, for every transport.
pub struct Feed<S> {
    source: S,
    io: Rc<ConnectionIo>,
    /// Every event up to here was sent.
    from: Position,
    sent: u64,
    backoff: Backoff,
}

impl<S: Source> Feed<S> {
    /// A feed that starts after a position. The first frame of the connection has been queued. `seed` spreads the retries of feeds.
    pub fn new(source: S, io: Rc<ConnectionIo>, from: Position, seed: u64) -> Feed<S> {
        io.start_feed();
        Feed { source, io, from, sent: 0, backoff: Backoff::new(seed) }
    }

    /// Sends the events after its position and goes live. A page is read only when the outbox has room for all of it, so no events wait
    /// outside the outbox.
    ///
    /// # Errors
    /// If it stopped early.
    pub async fn catch_up(&mut self) -> Result<CaughtUp, Stopped> {
        loop {
            self.io.has_page_room().await;
            let EncodedPage { events, complete_to, read } = self.source.page(self.from).await?;
            if self.io.has_transport_ended() || self.io.close_request().is_some() {
                return Err(Stopped::Closed);
            }
            for event in events {
                self.io.send_replayed(event.frame, event.position, event.mark);
                self.sent += 1;
            }
            self.from = complete_to.position;
            // A page shows the memberships as of the end of the log, so the feed may go live only there. Before it, the outlet would
            // deliver events of a thread that the user has left since, which the page has skipped.
            // No await between the last event and `try_live`: the outlet's next delivery is the event after `from`.
            if let Some(read) = read.filter(|_| self.source.try_live(self.from)) {
                return Ok(CaughtUp { at: complete_to, events: std::mem::take(&mut self.sent), read });
            }
        }
    }

    /// Catches up, with retries while the store fails. `None` if the connection closes.
    async fn catch_up_with_retries(&mut self) -> Option<CaughtUp> {
        loop {
            match self.catch_up().await {
                Ok(caught_up) => {
                    self.backoff.worked();
                    return Some(caught_up);
                }
                Err(Stopped::Closed) => return None,
                Err(Stopped::Pruned) => {
                    // The client reconnects with its cursor, which is then rejected as expired.
                    self.io.request_close(Code::SlowReader);
                    return None;
                }
                Err(Stopped::Store(outage)) => {
                    log::debug!("a catch-up waits for the store: {outage}");
                    tokio::time::sleep(self.backoff.failed()).await;
                }
            }
        }
    }

    /// Sends markers, each in one frame.
    fn send_markers(&self, read: &[Marker]) {
        read.iter().for_each(|marker| self.io.send(Reply::ThreadRead(marker.into()).frame()));
    }

    /// Stays live: catches up again whenever batches for the outlet were dropped. Ends when the connection closes.
    pub async fn stay_live(&mut self) {
        loop {
            self.from = self.source.behind().await;
            let Some(CaughtUp { read, .. }) = Box::pin(self.catch_up_with_retries()).await else { return };
            self.send_markers(&read);
        }
    }
}

/// The feed of a connection: catch-up, then live. Ends when the connection closes.
pub async fn follow(node: Arc<Node>, opening: Opening, io: Rc<ConnectionIo>) {
    // Boxed, so that a live connection does not keep the memory of its catch-up.
    if let Some(mut feed) = Box::pin(start(node, opening, io)).await {
        feed.stay_live().await;
    }
}

/// Catches up and sends `caught_up`. `None` if the connection closes.
async fn start(node: Arc<Node>, opening: Opening, io: Rc<ConnectionIo>) -> Option<Feed<StoreSource>> {
    let Opening { subscription, at, resumed, .. } = opening;
    let seed = subscription.seed();
    let mut feed = Feed::new(StoreSource::new(Arc::clone(&node), subscription), Rc::clone(&io), at.position, seed);
    let CaughtUp { at, events, read } = feed.catch_up_with_retries().await?;
    if resumed {
        let cursor = node.cursors.seal(Purpose::Cursor, at.cursor());
        let read = read.iter().map(Into::into).collect();
        io.send_event(Reply::CaughtUp(frame::CaughtUp { cursor: &cursor, events, read }).frame(), at.position, at.mark);
    } else {
        feed.send_markers(&read);
    }
    Some(feed)
}

#[cfg(test)]
mod tests;
