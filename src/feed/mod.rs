//! The feed: catch up from a cursor, then live, with no gap and no double at the seam. One for every transport.
//!
//! The outlet queues nothing while the feed reads. A feed turns live in the same poll in which it has read as far as
//! the outlet has delivered; from then on the outlet drops what is at or below the place read to. So every event
//! above the cursor is sent once, by the one or the other, and nothing is buffered between them.

use std::{rc::Rc, sync::Arc, time::Duration};

use bytestring::ByteString;

use crate::{
    domain::{Cursor, Limits, Marker, Outage, Position, Reset, Resume, UserId, cursor},
    error::{Code, Error},
    hub::{Line, Node, Seat, Sitter},
    store::{Head, Missed, Page},
    wire::{cursor::Purpose, frame::Reply, seal},
};

/// Events of one page of a catch-up.
pub const PAGE: u64 = 100;
/// Most bytes of a marker in a frame.
const MARKER_BYTES: u64 = 110;
/// How long a catch-up waits before it asks a store that failed again.
const RETRY: Duration = Duration::from_secs(1);

/// Where a feed begins.
pub struct Opening {
    /// The place among the listeners.
    pub seat: Rc<Seat>,
    /// Which log.
    pub epoch: uuid::Uuid,
    /// Everything after this position is sent.
    pub from: Position,
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
        Resume::After(from) => {
            Opening { seat, epoch: missed.head.epoch, from, cursor: text.to_owned(), resumed: true, reset: None }
        }
        Resume::Reset(reset) => at_head(node, seat, missed.head, Some(reset)),
    })
}

fn at_head(node: &Node, seat: Rc<Seat>, head: Head, reset: Option<Reset>) -> Opening {
    let cursor = node.cursors.seal(Purpose::Cursor, head.cursor());
    Opening { seat, epoch: head.epoch, from: head.position, cursor, resumed: false, reset }
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

/// Sends everything after `from` and turns the seat live. Paced by the line: each event waits until there is room.
/// `None` if the line ended before.
pub async fn catch_up(node: &Node, user: &UserId, seat: &Seat, line: &Line, mut from: Position) -> Option<CaughtUp> {
    let mut events = 0;
    loop {
        let page = match node.reads.page(user.clone(), from, seat.begin_page(from), PAGE).await {
            Ok(page) => page,
            Err(outage) => {
                wait_for_the_store(outage).await;
                continue;
            }
        };
        if page.pruned {
            // It has read for so long that what comes next is gone: with its cursor it is told so when it comes back.
            line.close(Code::SlowReader);
            return None;
        }
        events += page.events.len() as u64;
        for payload in payloads(&page) {
            line.has_room().await;
            if line.gone() || line.closing().is_some() {
                return None;
            }
            line.send(payload);
        }
        from = page.complete_to.position;
        // No await between the last event and this: what the outlet delivers next is what comes after `from`.
        if let Some(read) = page.read.filter(|_| seat.try_live(from)) {
            return Some(CaughtUp { at: page.complete_to, events, read });
        }
    }
}

async fn wait_for_the_store(outage: Outage) {
    log::debug!("a catch-up waits for the store: {outage}");
    tokio::time::sleep(RETRY).await;
}

/// The sealed events of a page.
pub fn payloads(page: &Page) -> impl Iterator<Item = ByteString> {
    page.events.iter().map(|event| seal::seal(event).payload)
}

/// Tells a client that did not ask to resume of the markers that a catch-up has found.
pub fn tell_markers(line: &Line, read: &[Marker]) {
    read.iter().for_each(|marker| line.send(Reply::ThreadRead(marker.into()).text()));
}

/// A live feed for ever after: whenever the outlet has lost batches, catches up from the store again.
pub async fn stay_live(node: &Node, user: &UserId, seat: &Seat, line: &Line) {
    loop {
        let from = seat.behind().await;
        let Some(CaughtUp { read, .. }) = catch_up(node, user, seat, line, from).await else { return };
        tell_markers(line, &read);
    }
}

#[cfg(test)]
mod tests;
