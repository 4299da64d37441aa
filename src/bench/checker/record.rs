//! What a run writes down: plain values, each about something that somebody outside the server saw.

use std::sync::Arc;

/// The id of a user or a thread, or a retry key; shared, because a record holds each very often.
pub type Name = Arc<str>;

/// Everything that is judged.
#[derive(Debug, Default, Clone)]
pub struct Record {
    /// What senders were told, in any order. A retry that was told `duplicate` stands here once more.
    pub acknowledged: Vec<Acknowledged>,
    /// Who was a member, from which event to which. A user may have several of one thread, one after the other.
    pub tenures: Vec<Tenure>,
    /// What each device saw. A user may have several. Each begins before the first tenure of its user ends.
    pub streams: Vec<Stream>,
    /// What history returns at the end, one a thread.
    pub histories: Vec<History>,
}

/// A message as somebody was shown it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its id, as a number.
    pub id: u128,
    /// A fingerprint of its content; `None` where there is no content, or none to be compared.
    pub body: Option<u64>,
}

/// An `ack` or a 201: this is stored.
#[derive(Debug, Clone)]
pub struct Acknowledged {
    /// Who posted it.
    pub sender: Name,
    /// Where.
    pub thread: Name,
    /// The message as the sender was told it.
    pub message: Message,
    /// Its retry key, if it had one.
    pub key: Option<Name>,
    /// Its place in the thread.
    pub sequence: u64,
}

/// A user's time in a thread. Both ends are sequences of the thread and belong to it.
#[derive(Debug, Clone)]
pub struct Tenure {
    /// Who.
    pub user: Name,
    /// Where.
    pub thread: Name,
    /// The event by which they became a member: `thread.created` or `thread.member_added`.
    pub from: u64,
    /// The event by which they ceased to be one: `thread.member_removed` or `thread.deleted`. `None`: still a member.
    pub until: Option<u64>,
}

/// What one device of a user saw, in order.
#[derive(Debug, Clone)]
pub struct Stream {
    /// Whose.
    pub user: Name,
    /// What.
    pub steps: Vec<Step>,
}

/// One thing that a device saw.
#[derive(Debug, Clone)]
pub enum Step {
    /// An event came over the wire.
    Heard {
        /// What it says.
        event: Event,
        /// Whether the device handed it on. It drops an event whose sequence is not above the last of its thread:
        /// on the wire an event may come more than once.
        handed_on: bool,
    },
    /// The device was told that not everything it missed will follow, and that it must load what there is.
    Reset,
    /// A thread was loaded by REST: these are its messages above `after`, up to `through` or beyond.
    Loaded {
        /// Which.
        thread: Name,
        /// The sequence that was asked after.
        after: u64,
        /// The thread's last sequence, told before its messages were asked for.
        through: u64,
        /// Sequence and message of each.
        messages: Vec<(u64, Message)>,
    },
}

/// An event of the log as one device was sent it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its thread.
    pub thread: Name,
    /// Its place there.
    pub sequence: u64,
    /// What happened.
    pub fact: Fact,
}

/// What happened, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// A message was posted.
    Posted(Message),
    /// The thread was made.
    Created,
    /// The thread was deleted.
    Ended,
    /// Somebody became a member.
    Joined(Name),
    /// Somebody ceased to be one.
    Left(Name),
    /// Anything else.
    Other,
}

/// What history returns of a thread at the end.
#[derive(Debug, Clone)]
pub struct History {
    /// Which.
    pub thread: Name,
    /// The sequence of its last event.
    pub head: u64,
    /// The sequence above which its messages were asked for; 0: all of them.
    pub after: u64,
    /// These messages in the order in which they came.
    pub rows: Vec<Row>,
}

/// A message in the history.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its place.
    pub sequence: u64,
    /// What it is.
    pub message: Message,
    /// Who posted it.
    pub author: Name,
    /// The author's retry key, if there was one.
    pub key: Option<Name>,
}
