//! Seal: an event becomes bytes once, and every listener gets the same bytes.

use serde::Serialize;

use super::{
    Field, Tally, TextFrame,
    frame::Reply,
    shape::{self, MessageShape, ThreadShape, UserShape},
};
use crate::domain::{Event, Fact, Marker, Position, ThreadId, UserId};

/// What an event changes in who listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    None,
    /// These listen from this event on.
    Added(Vec<UserId>),
    /// This one listens no more after this event.
    Removed(UserId),
    /// Nobody listens any more after this event.
    Ended,
}

/// An event sealed once into bytes, with its address.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// Place in the log.
    pub position: Position,
    /// Mark of the row, for cursors.
    pub mark: u32,
    /// Whose members get it.
    pub thread: ThreadId,
    /// What it changes in who listens.
    pub change: Change,
    /// The frame.
    pub frame: TextFrame,
}

/// A read marker sealed into bytes, for its user's own connections.
#[derive(Debug, Clone)]
pub struct SealedMarker {
    /// Its place among the events: right after this position.
    pub at: Position,
    /// Whose.
    pub user: UserId,
    /// The frame.
    pub frame: TextFrame,
}

impl Envelope {
    /// The same event for many connections; see [`TextFrame::shared`].
    #[must_use]
    pub fn shared(self, tally: &Tally) -> Envelope {
        Envelope { frame: self.frame.shared(tally), ..self }
    }
}

/// Seals a read marker that was set at a place in the log, for all connections of its user.
pub fn marker(at: Position, user: &UserId, marker: &Marker, tally: &Tally) -> SealedMarker {
    SealedMarker { at, user: user.clone(), frame: Reply::ThreadRead(marker.into()).frame().shared(tally) }
}

shapes! {
    #[derive(Serialize)]
    struct EventFrame<'a> {
        r#type: &'static str,
        thread_id: String,
        sequence: u64,
        at: String,
        by: &'a str,
        data: Data<'a>,
    }
}

/// Fields of the frame of an event.
pub const EVENT_FIELDS: &[Field] = EventFrame::FIELDS;

#[derive(Serialize)]
#[serde(untagged)]
enum Data<'a> {
    Message(MessageShape<'a>),
    Thread(ThreadShape<'a>),
    User(UserShape<'a>),
    Nothing {},
}

/// Fields of `data` in an event of this type.
pub fn data_fields(name: &str) -> &'static [Field] {
    match name {
        "thread.created" | "thread.updated" => ThreadShape::FIELDS,
        "thread.member_added" | "thread.member_removed" => UserShape::FIELDS,
        _ if name.starts_with("message.") => MessageShape::FIELDS,
        _ => &[],
    }
}

/// Seals an event.
///
/// # Panics
/// Never: the shapes hold text and numbers only.
pub fn seal(event: &Event) -> Envelope {
    let (data, change) = match &event.fact {
        Fact::MessageCreated(message) | Fact::MessageEdited(message) | Fact::MessageDeleted(message) => {
            (Data::Message(message.into()), Change::None)
        }
        Fact::ThreadCreated(thread, joined) => (Data::Thread(thread.into()), Change::Added(joined.clone())),
        Fact::ThreadUpdated(thread) => (Data::Thread(thread.into()), Change::None),
        Fact::ThreadDeleted => (Data::Nothing {}, Change::Ended),
        Fact::MemberAdded(person) => (Data::User(person.into()), Change::Added(vec![person.user_id.clone()])),
        Fact::MemberRemoved(person) => (Data::User(person.into()), Change::Removed(person.user_id.clone())),
    };
    let frame = EventFrame {
        r#type: event.fact.name(),
        thread_id: event.thread.to_string(),
        sequence: event.sequence.0,
        at: shape::time(event.at),
        by: event.by.as_str(),
        data,
    };
    let frame = TextFrame::of(&frame);
    Envelope { position: event.position, mark: event.mark, thread: event.thread, change, frame }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Message, MessageId, Person, Sequence, Time};

    /// The data of an event has no field that the list of its type does not have.
    fn assert_data_as_listed(event: &Event) {
        let frame: serde_json::Value = serde_json::from_str(seal(event).frame.text()).expect("JSON");
        let listed: Vec<&str> = data_fields(event.fact.name()).iter().map(|field| field.name).collect();
        for name in frame["data"].as_object().expect("an object").keys() {
            assert!(listed.contains(&name.as_str()), "{name} of {event:?}");
        }
    }

    #[test]
    fn no_frame_of_an_event_is_larger_than_its_event_says() {
        let user = UserId::parse(&"u".repeat(128)).expect("a user id");
        let thread = ThreadId::new();
        let message = |content: &str| Message {
            message_id: MessageId::new(),
            thread,
            author: user.clone(),
            content: Some(content.repeat(1_000)),
            metadata: Some(r#"{"a":"\u0001"}"#.to_owned()),
            client_message_id: Some("\"".repeat(128)),
            sequence: Sequence(u64::MAX),
            created_at: Time(0),
            edited_at: Some(Time(0)),
            deleted_at: Some(Time(0)),
        };
        let facts = ["x", "\u{1}", "\"", "\\", "\n", "\u{8}", "\u{7f}", "\u{1f600}", "\u{2028}"]
            .map(|content| Fact::MessageCreated(message(content)))
            .into_iter()
            .chain([Fact::ThreadDeleted, Fact::MemberAdded(Person { user_id: user.clone(), name: "\u{1}".repeat(100) })]);
        for fact in facts {
            let (position, at) = (Position(u64::MAX), Time(0));
            let event = Event { position, mark: u32::MAX, thread, sequence: Sequence(u64::MAX), at, by: user.clone(), fact };
            assert_data_as_listed(&event);
            let frame = seal(&event).frame.wire().len() as u64;
            assert!(frame <= event.json_bytes(), "{frame} bytes of {event:?}");
        }
    }
}
