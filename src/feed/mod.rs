//! The feed: catch up from a cursor, then live, with no gap and no double at the seam. One for every transport.
//!
//! The outlet queues nothing while the feed reads. A feed turns live in the same poll in which it has read as far as
//! the outlet has delivered; from then on the outlet drops what is at or below the place read to. So every event
//! above the cursor is sent once, by the one or the other, and nothing is buffered between them.
//!
//! Decisions: `src/docs/decisions/catch-up.md`.

mod source;

use std::{rc::Rc, sync::Arc};

pub use self::source::{Sealed, Seated, Source};
use crate::{
    domain::{Backoff, Cursor, Limits, Marker, Outage, Position, Reset, Resume, cursor},
    error::{Code, Error},
    hub::{Guest, Line, Node, Seat, Sitter},
    store::{Head, Missed},
    wire::{
        TextFrame,
        cursor::Purpose,
        frame::{Established, Reply},
    },
};

/// Events of one page of a catch-up at most.
pub const PAGE: u64 = 100;
/// Part of an outbox that one page takes at most; it is read when three quarters are free.
const PAGE_PART: u64 = 8;
/// Most bytes of a marker in a frame.
const MARKER_BYTES: u64 = 110;

/// Where a feed begins.
pub struct Opening {
    /// The place among the listeners.
    pub seat: Rc<Seat>,
    /// Everything after this place is sent.
    pub at: Head,
    /// The sealed cursor there.
    pub cursor: String,
    /// Whether the client's own cursor holds.
    pub resumed: bool,
    /// Why not, if it gave one.
    pub reset: Option<Reset>,
}

/// Takes a seat, then decides where to begin: at the client's cursor if it holds, else at the head.
///
/// # Errors
/// If the store or the hub cannot answer.
pub async fn open(node: &Arc<Node>, sitter: Sitter, line: &Rc<Line>, since: Option<&str>) -> Result<Opening, Error> {
    let user = sitter.credential.user.clone();
    let seat = Rc::new(Seat::take(node, sitter, line).await?);
    let Some(text) = since else {
        return Ok(at_head(node, seat, node.reads.head().await?, None));
    };
    let Some(given) = node.cursors.open(Purpose::Cursor, text) else {
        return Ok(at_head(node, seat, node.reads.head().await?, Some(Reset::BadCursor)));
    };
    let missed = node.reads.missed(user, given.position, node.limits.resume_events).await?;
    Ok(match decide(&given, &missed, &node.limits) {
        Resume::After(position) => {
            let at = Head { position, mark: given.mark, ..missed.head };
            Opening { seat, at, cursor: text.to_owned(), resumed: true, reset: None }
        }
        Resume::Reset(reset) => at_head(node, seat, missed.head, Some(reset)),
    })
}

fn at_head(node: &Node, seat: Rc<Seat>, head: Head, reset: Option<Reset>) -> Opening {
    let cursor = node.cursors.seal(Purpose::Cursor, head.cursor());
    Opening { seat, at: head, cursor, resumed: false, reset }
}

impl Opening {
    /// The first frame of a connection.
    pub fn established(&self, node: &Node, guest: Guest<'_>) -> TextFrame {
        let first = Established {
            connection_id: guest.connection.to_string(),
            user: guest.user(),
            epoch: self.at.epoch.to_string(),
            cursor: &self.cursor,
            resumed: self.resumed,
            reason: self.reset.map(|reset| reset_code(reset).name()),
            heartbeat_ms: node.limits.heartbeat_ms,
            limits: &node.limits_told,
            auth: guest.auth(),
        };
        Reply::ConnectionEstablished(first).frame()
    }
}

/// Whether a cursor holds, and whether what it missed is little enough to replay: markers come in one frame, which must find
/// room in an outbox beside what a catch-up leaves in it.
pub fn decide(given: &Cursor, missed: &Missed, limits: &Limits) -> Resume {
    let too_many = missed.events > limits.resume_events || missed.markers * MARKER_BYTES > limits.outbox_bytes / 4;
    match cursor::judge(given, missed.head.epoch, missed.head.position, missed.mark_there) {
        Resume::After(_) if too_many => Resume::Reset(Reset::TooMany),
        verdict => verdict,
    }
}

/// What a client is told when its cursor does not hold.
pub fn reset_code(reset: Reset) -> Code {
    match reset {
        Reset::EpochChanged => Code::EpochChanged,
        Reset::Expired => Code::CursorExpired,
        Reset::BadCursor => Code::BadCursor,
        Reset::TooMany => Code::TooManyEvents,
    }
}

/// How a catch-up ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaughtUp {
    /// Everything of this user at or below it was sent.
    pub at: Head,
    /// How many events that was.
    pub events: u64,
    /// The read markers that have moved since it began, with what is unread there.
    pub read: Vec<Marker>,
}

/// Why a catch-up stopped before it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// The store did not answer. Called again, the catch-up goes on.
    Store(Outage),
    /// It has read for so long that what comes next is kept no more.
    Pruned,
    /// The line ends.
    Line,
}

/// A feed under way: from a place in the log into a line. The only thing that catches up and turns live, for every transport.
pub struct Feed<S> {
    source: S,
    line: Rc<Line>,
    /// Everything at or below it was sent.
    from: Position,
    sent: u64,
    backoff: Backoff,
}

impl<S: Source> Feed<S> {
    /// From a place on. The line's first frame is on its way by now. `seed` sets the feed's retries apart from those of others.
    pub fn new(source: S, line: Rc<Line>, from: Position, seed: u64) -> Feed<S> {
        line.begin();
        Feed { source, line, from, sent: 0, backoff: Backoff::new(seed) }
    }

    /// Sends what came after its place and turns the seat live. Paced by the line: a page is read when there is room for all
    /// of it, so nothing waits outside the outbox.
    ///
    /// # Errors
    /// If it stopped before.
    pub async fn catch_up(&mut self) -> Result<CaughtUp, Stopped> {
        loop {
            self.line.has_room().await;
            let Sealed { events, complete_to, read } = self.source.page(self.from).await?;
            if self.line.gone() || self.line.closing().is_some() {
                return Err(Stopped::Line);
            }
            for event in events {
                self.line.replay(event.frame, event.position, event.mark);
                self.sent += 1;
            }
            self.from = complete_to.position;
            // A page shows memberships as they were at the log's end, so only there may the outlet take over: before it, the
            // outlet would deliver of a thread that was left meanwhile what the page has passed over.
            // No await between the last event and this: what the outlet delivers next is what comes after `from`.
            if let Some(read) = read.filter(|_| self.source.try_live(self.from)) {
                return Ok(CaughtUp { at: complete_to, events: std::mem::take(&mut self.sent), read });
            }
        }
    }

    /// The same, however long the store takes to answer; `None` if the line ended before.
    async fn catch_up_patiently(&mut self) -> Option<CaughtUp> {
        loop {
            match self.catch_up().await {
                Ok(caught_up) => {
                    self.backoff.worked();
                    return Some(caught_up);
                }
                Err(Stopped::Line) => return None,
                Err(Stopped::Pruned) => {
                    // With its cursor it is told so when it comes back.
                    self.line.close(Code::SlowReader);
                    return None;
                }
                Err(Stopped::Store(outage)) => {
                    log::debug!("a catch-up waits for the store: {outage}");
                    tokio::time::sleep(self.backoff.failed()).await;
                }
            }
        }
    }

    /// Tells of markers, each in a frame of its own.
    fn tell(&self, read: &[Marker]) {
        read.iter().for_each(|marker| self.line.send(Reply::ThreadRead(marker.into()).frame()));
    }

    /// A live feed for ever after: whenever the outlet has lost batches, catches up from the store again. Ends with the line.
    pub async fn stay_live(&mut self) {
        loop {
            self.from = self.source.behind().await;
            let Some(CaughtUp { read, .. }) = Box::pin(self.catch_up_patiently()).await else { return };
            self.tell(&read);
        }
    }
}

/// A connection's whole feed: what was missed, then live. Ends only with the line.
pub async fn follow(node: Arc<Node>, opening: Opening, line: Rc<Line>) {
    // Boxed, so that a connection that is live does not hold what its catch-up needed.
    if let Some(mut feed) = Box::pin(begin(node, opening, line)).await {
        feed.stay_live().await;
    }
}

/// Catches up and says so; a live feed, if the line has not ended.
async fn begin(node: Arc<Node>, opening: Opening, line: Rc<Line>) -> Option<Feed<Seated>> {
    let Opening { seat, at, resumed, .. } = opening;
    let seed = seat.seed();
    let mut feed = Feed::new(Seated::new(Arc::clone(&node), seat), Rc::clone(&line), at.position, seed);
    let CaughtUp { at, events, read } = feed.catch_up_patiently().await?;
    if resumed {
        let cursor = node.cursors.seal(Purpose::Cursor, at.cursor());
        let read = read.iter().map(Into::into).collect();
        line.event(Reply::CaughtUp { cursor: &cursor, events, read }.frame(), at.position, at.mark);
    } else {
        feed.tell(&read);
    }
    Some(feed)
}

#[cfg(test)]
mod tests;
