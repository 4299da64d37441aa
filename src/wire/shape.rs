//! How the things of the domain look on the wire: user, message, thread, times.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::domain::{Account, Marker, Message, Person, Sequence, Thread, Time};

/// RFC 3339 in UTC with milliseconds.
pub fn time(time: Time) -> String {
    match jiff::Timestamp::from_millisecond(time.0) {
        Ok(timestamp) => format!("{timestamp:.3}"),
        // Outside the years that RFC 3339 can write: no clock says so, but a forged token might.
        Err(_) if time.0 < 0 => "0000-01-01T00:00:00.000Z".to_owned(),
        Err(_) => "9999-12-31T23:59:59.999Z".to_owned(),
    }
}

shapes! {
    /// A user as others see them.
    #[derive(Debug, Serialize)]
    pub struct UserShape<'a> {
        user_id: &'a str,
        name: &'a str,
    }
}

impl<'a> From<&'a Person> for UserShape<'a> {
    fn from(person: &'a Person) -> Self {
        UserShape { user_id: person.user_id.as_str(), name: &person.name }
    }
}

impl<'a> From<&'a Account> for UserShape<'a> {
    fn from(account: &'a Account) -> Self {
        UserShape { user_id: account.user_id.as_str(), name: &account.name }
    }
}

shapes! {
    /// Whether a user is here.
    #[derive(Debug, Serialize)]
    #[allow(missing_docs, reason = "named as on the wire")]
    pub struct OnlineShape<'a> {
        pub user_id: &'a str,
        pub online: bool,
    }
}

shapes! {
    /// How far a user has read a thread.
    #[derive(Debug, Serialize)]
    pub struct MarkerShape {
        thread_id: String,
        sequence: u64,
        unread: u64,
    }
}

impl From<&Marker> for MarkerShape {
    fn from(marker: &Marker) -> Self {
        let Marker { thread, sequence, unread } = marker;
        MarkerShape { thread_id: thread.to_string(), sequence: sequence.0, unread: *unread }
    }
}

shapes! {
    /// A message; a deleted one has neither content nor metadata.
    #[derive(Debug, Serialize)]
    pub struct MessageShape<'a> {
        message_id: String,
        thread_id: String,
        author: &'a str,
        content: Option<&'a str>,
        metadata: Option<&'a RawValue>,
        client_message_id: Option<&'a str>,
        sequence: u64,
        created_at: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        edited_at: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        deleted_at: Option<String>,
    }
}

impl<'a> From<&'a Message> for MessageShape<'a> {
    fn from(message: &'a Message) -> Self {
        MessageShape {
            message_id: message.message_id.to_string(),
            thread_id: message.thread.to_string(),
            author: message.author.as_str(),
            content: message.content.as_deref(),
            // Stored metadata is the canonical text of an object; whatever is not is shown as none.
            metadata: message.metadata.as_deref().and_then(|text| serde_json::from_str(text).ok()),
            client_message_id: message.client_message_id.as_deref(),
            sequence: message.sequence.0,
            created_at: time(message.created_at),
            edited_at: message.edited_at.map(time),
            deleted_at: message.deleted_at.map(time),
        }
    }
}

shapes! {
    /// A thread. Events leave out `unread`, `read_sequence` and `last_message`: an event is encoded once for all members, and
    /// these differ by member.
    #[derive(Debug, Serialize)]
    pub struct ThreadShape<'a> {
        thread_id: String,
        title: Option<&'a str>,
        owner: &'a str,
        member_count: u64,
        members: Vec<UserShape<'a>>,
        sequence: u64,
        created_at: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        unread: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        read_sequence: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        last_message: Option<Option<MessageShape<'a>>>,
    }
}

impl<'a> From<&'a Thread> for ThreadShape<'a> {
    fn from(thread: &'a Thread) -> Self {
        ThreadShape {
            thread_id: thread.thread_id.to_string(),
            title: thread.title.as_deref(),
            owner: thread.owner.as_str(),
            member_count: thread.member_count,
            members: thread.members.iter().map(UserShape::from).collect(),
            sequence: thread.sequence.0,
            created_at: time(thread.created_at),
            unread: None,
            read_sequence: None,
            last_message: None,
        }
    }
}

impl<'a> ThreadShape<'a> {
    /// As one member sees it: with what is unread above the member's read marker, and the newest message.
    pub fn for_member(thread: &'a Thread, unread: u64, read: Sequence, last_message: Option<&'a Message>) -> Self {
        let last_message = Some(last_message.map(MessageShape::from));
        ThreadShape { unread: Some(unread), read_sequence: Some(read.0), last_message, ..thread.into() }
    }
}
