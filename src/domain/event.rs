//! Events: facts in the log, and the things they are about, as they are now.

use super::{MessageId, Position, Sequence, ThreadId, Time, UserId};

/// A user as others see them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Who.
    pub user_id: UserId,
    /// The name people read.
    pub name: String,
}

/// What a user posted. A deleted one has neither content nor metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its id.
    pub message_id: MessageId,
    /// Its thread.
    pub thread: ThreadId,
    /// Who posted it.
    pub author: UserId,
    /// The text, `None` once deleted.
    pub content: Option<String>,
    /// JSON text, `None` if there was none or once deleted.
    pub metadata: Option<String>,
    /// The author's retry key, if there was one.
    pub client_message_id: Option<String>,
    /// Its place in the thread.
    pub sequence: Sequence,
    /// When it was posted.
    pub created_at: Time,
    /// When it was last edited.
    pub edited_at: Option<Time>,
    /// When it was deleted.
    pub deleted_at: Option<Time>,
}

/// A conversation as all its members see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread {
    /// Its id.
    pub thread_id: ThreadId,
    /// Its title, if it has one.
    pub title: Option<String>,
    /// Who owns it.
    pub owner: UserId,
    /// How many members it has.
    pub member_count: u64,
    /// The first 50 of them, by name.
    pub members: Vec<Person>,
    /// The sequence of its last event.
    pub sequence: Sequence,
    /// When it was created.
    pub created_at: Time,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// A message was posted.
    MessageCreated(Message),
    /// A message says something else.
    MessageEdited(Message),
    /// A message was deleted; its content is gone.
    MessageDeleted(Message),
    /// A thread was created, with these members; the list is complete only where the event is on its way
    /// to the hub, which must know all of them.
    ThreadCreated(Thread, Vec<UserId>),
    /// Its title or owner changed.
    ThreadUpdated(Thread),
    /// It was deleted, with everything in it.
    ThreadDeleted,
    /// Somebody became a member.
    MemberAdded(Person),
    /// Somebody is no longer a member.
    MemberRemoved(Person),
}

macro_rules! facts {
    ($($variant:ident $name:literal $meaning:literal)*) => {
        impl Fact {
            /// The event's type on the wire and its meaning, of each.
            pub const TABLE: &[(&str, &str)] = &[$(($name, $meaning)),*];

            /// The event's type on the wire.
            pub fn name(&self) -> &'static str {
                match self { $(Fact::$variant { .. } => $name),* }
            }
        }
    };
}

facts! {
    MessageCreated "message.created"       "a message was posted"
    MessageEdited  "message.edited"        "its author replaced the content of a message"
    MessageDeleted "message.deleted"       "a message was deleted; its content and metadata are gone"
    ThreadCreated  "thread.created"        "a thread was created, with its first members"
    ThreadUpdated  "thread.updated"        "the title or the owner of a thread changed"
    ThreadDeleted  "thread.deleted"        "a thread was deleted, with everything in it"
    MemberAdded    "thread.member_added"   "a user became a member"
    MemberRemoved  "thread.member_removed" "a user is no longer a member"
}

/// A fact with its places in the log and in its thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Place in the log.
    pub position: Position,
    /// Random mark of this row, for cursors.
    pub mark: u32,
    /// Its thread.
    pub thread: ThreadId,
    /// Place in the thread.
    pub sequence: Sequence,
    /// When.
    pub at: Time,
    /// Who did it.
    pub by: UserId,
    /// What.
    pub fact: Fact,
}

/// Bytes of an event as JSON beside the texts that users wrote: names of fields, ids, times.
const JSON_BYTES_BESIDE: u64 = 1_024;

impl Event {
    /// Bytes that it takes as JSON at most, for an event as users see it.
    pub fn json_bytes(&self) -> u64 {
        let told = match &self.fact {
            Fact::MessageCreated(message) | Fact::MessageEdited(message) | Fact::MessageDeleted(message) => {
                let Message { content, metadata, client_message_id, .. } = message;
                let metadata = metadata.as_ref().map_or(0, String::len) as u64;
                [content, client_message_id].into_iter().flatten().map(|text| escaped_bytes(text)).sum::<u64>() + metadata
            }
            Fact::ThreadCreated(thread, _) | Fact::ThreadUpdated(thread) => {
                let members: u64 = thread.members.iter().map(person_bytes).sum();
                members + thread.title.as_ref().map_or(0, |title| escaped_bytes(title))
            }
            Fact::MemberAdded(person) | Fact::MemberRemoved(person) => person_bytes(person),
            Fact::ThreadDeleted => 0,
        };
        told + JSON_BYTES_BESIDE
    }
}

fn person_bytes(person: &Person) -> u64 {
    escaped_bytes(&person.name) + person.user_id.as_str().len() as u64 + 32
}

/// Bytes of a text in JSON at most (RFC 8259 section 7).
fn escaped_bytes(text: &str) -> u64 {
    text.bytes()
        .map(|byte| match byte {
            b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 2,
            0..0x20 => 6,
            _ => 1,
        })
        .sum()
}

/// How far a user has read a thread, and how many messages are unread above that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    /// Which thread.
    pub thread: ThreadId,
    /// Up to where it is read.
    pub sequence: Sequence,
    /// Messages by others, not deleted, above it.
    pub unread: u64,
}
