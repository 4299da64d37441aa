//! The wire as a client of a load test needs it: frames in, read once and without copies; messages out.

use std::{borrow::Cow, fmt::Write, time::Duration};

use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::checker::{Acknowledged, Event, Fact, Message, Name, Row, fingerprint};

/// Text that is borrowed where it holds no escapes.
#[derive(Debug, Deserialize)]
pub struct Text<'a>(#[serde(borrow)] pub Cow<'a, str>);

/// A frame of the server. What is not of interest here is passed over.
#[derive(Debug, Deserialize)]
#[allow(missing_docs, reason = "named as on the wire")]
pub struct Frame<'a> {
    #[serde(borrow)]
    pub r#type: Cow<'a, str>,
    #[serde(default)]
    pub id: Option<u64>,
    #[serde(borrow, default)]
    pub thread_id: Option<Text<'a>>,
    #[serde(default)]
    pub sequence: Option<u64>,
    #[serde(borrow, default)]
    pub data: Data<'a>,
}

/// The data of any frame, and a message.
#[derive(Debug, Default, Deserialize)]
#[allow(missing_docs, reason = "named as on the wire")]
pub struct Data<'a> {
    #[serde(borrow, default)]
    pub message_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub thread_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub author: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub content: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub client_message_id: Option<Text<'a>>,
    #[serde(default)]
    pub sequence: Option<u64>,
    #[serde(borrow, default)]
    pub edited_at: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub user_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub cursor: Option<Text<'a>>,
    #[serde(default)]
    pub resumed: Option<bool>,
    #[serde(default)]
    pub reconnect: Option<bool>,
    #[serde(default)]
    pub retryable: Option<bool>,
    #[serde(default)]
    pub retry_after_ms: Option<u64>,
    /// A name in an error, a number in a farewell.
    #[serde(borrow, default)]
    pub code: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub reason: Option<Text<'a>>,
    /// A message in an acknowledgement, words in an error.
    #[serde(borrow, default)]
    pub message: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub limits: Option<&'a RawValue>,
}

impl Frame<'_> {
    /// The event in it, with names that its receiver may have already; `None` if it is none.
    pub fn event(&self, thread: &Name, user: &Name) -> Option<Event> {
        let (sequence, shown) = (self.sequence?, self.thread_id.as_ref()?);
        let who = || self.data.user_id.as_ref().map(|text| named(&text.0, user));
        let fact = match &*self.r#type {
            "message.created" => Fact::Posted(self.data.message()?),
            "thread.created" => Fact::Created,
            "thread.deleted" => Fact::Ended,
            "thread.member_added" => Fact::Joined(who()?),
            "thread.member_removed" => Fact::Left(who()?),
            _ => Fact::Other,
        };
        Some(Event { thread: named(&shown.0, thread), sequence, fact })
    }

    /// The code of an error.
    pub fn code(&self) -> &str {
        self.data.code.map_or("unknown", |code| code.get().trim_matches('"'))
    }
}

impl<'a> Data<'a> {
    /// Id and content, where this is a message.
    pub fn message(&self) -> Option<Message> {
        let id = Uuid::try_parse(&self.message_id.as_ref()?.0).ok()?.as_u128();
        let body = self.content.as_ref().filter(|_| self.edited_at.is_none()).map(|content| fingerprint(&content.0));
        Some(Message { id, body })
    }

    /// A message as a row of history.
    pub fn row(&self) -> Option<Row> {
        Some(Row {
            sequence: self.sequence?,
            message: self.message()?,
            author: Name::from(&*self.author.as_ref()?.0),
            key: self.client_message_id.as_ref().map(|key| Name::from(&*key.0)),
        })
    }

    /// The message of an acknowledgement, as its sender was told it.
    pub fn acknowledged(text: &'a str, sender: &Name, thread: &Name) -> Option<Acknowledged> {
        let shown: Data<'_> = serde_json::from_str(text).ok()?;
        Some(Acknowledged {
            sender: named(&shown.author.as_ref()?.0, sender),
            thread: named(&shown.thread_id.as_ref()?.0, thread),
            message: shown.message()?,
            key: shown.client_message_id.as_ref().map(|key| Name::from(&*key.0)),
            sequence: shown.sequence?,
        })
    }
}

/// The name that is known already, if it is that.
fn named(text: &str, known: &Name) -> Name {
    if text == &**known { Name::clone(known) } else { Name::from(text) }
}

/// A message to be sent, once: whose, the how manieth, and the moment at which it was to be sent, since the run's origin.
#[derive(Debug, Clone, Copy)]
pub struct Draft {
    /// Number of its sender.
    pub user: u32,
    /// Its number among those of its sender.
    pub number: u64,
    /// When.
    pub intended: Duration,
}

impl Draft {
    /// Its retry key; the run's mark tells it from those of other runs.
    pub fn key(&self, run: u32) -> String {
        format!("{run:08x}.{}.{}", self.user, self.number)
    }

    /// Its text: the moment first, so that whoever receives it knows how late it is.
    pub fn content(&self, bytes: usize) -> String {
        let mut text = format!("{:012x} {}.{} ", self.intended.as_micros(), self.user, self.number);
        while text.len() < bytes {
            text.push(char::from(b'a' + u8::try_from(text.len() % 26).unwrap_or(0)));
        }
        text
    }

    /// `message.send`'s data, and the body of a post.
    pub fn body(&self, thread: &str, run: u32, bytes: usize) -> String {
        let (key, content) = (self.key(run), self.content(bytes));
        format!("{{\"thread_id\":\"{thread}\",\"client_message_id\":\"{key}\",\"content\":\"{content}\"}}")
    }

    /// The frame that sends it.
    pub fn frame(&self, thread: &str, run: u32, bytes: usize) -> String {
        let mut frame = format!("{{\"type\":\"message.send\",\"id\":{},\"data\":", self.number);
        let _ = write!(frame, "{}}}", self.body(thread, run, bytes));
        frame
    }
}

/// The moment at which a message was to be sent, out of its text.
pub fn intended(content: &str) -> Option<Duration> {
    let micros = u64::from_str_radix(content.get(..12)?, 16).ok()?;
    Some(Duration::from_micros(micros))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::{domain::Limits, wire::command};

    proptest! {
        #[test]
        fn what_is_sent_is_what_the_server_reads_and_carries_its_moment(
            user in 0_u32..1_000_000, number in 1_u64..10_000_000_000, micros in 0_u64..(1 << 47), bytes in 40_usize..900, run: u32,
        ) {
            let draft = Draft { user, number, intended: Duration::from_micros(micros) };
            let thread = "0190c4f2-8b1c-7d3a-9f1e-2b6c8d4e5f60";
            let (_, command) = command::parse(&draft.frame(thread, run, bytes), &Limits::default());
            let Ok(command::Command::Send { draft: read, key, .. }) = command else { panic!("{command:?}") };
            prop_assert_eq!(key.map(|key| key.as_str().to_owned()), Some(draft.key(run)));
            prop_assert_eq!(intended(read.content()), Some(draft.intended));
            prop_assert_eq!(read.content().len(), bytes);
        }
    }

    #[test]
    fn frames_are_read_as_the_checker_reads_them() {
        let shown = json!({
            "message_id": "0190c4f2-8b1c-7d3a-9f1e-2b6c8d4e5f60", "thread_id": "t", "author": "alice", "content": "x\n",
            "metadata": null, "client_message_id": "k", "sequence": 3, "created_at": "2026-01-01T00:00:00.000Z",
        });
        let mut names = super::super::checker::Names::default();
        let (thread, user) = (Name::from("t"), Name::from("alice"));
        for (kind, data) in [
            ("message.created", shown.clone()),
            ("message.edited", shown.clone()),
            ("thread.member_added", json!({"user_id": "bob", "name": "Bob"})),
            ("thread.member_removed", json!({"user_id": "alice", "name": "Alice"})),
            ("thread.created", json!({"thread_id": "t"})),
            ("thread.deleted", json!({})),
        ] {
            let value = json!({"type": kind, "thread_id": "t", "sequence": 3, "at": "", "by": "alice", "data": data});
            let text = value.to_string();
            let frame: Frame<'_> = serde_json::from_str(&text).expect("a frame");
            assert_eq!(frame.event(&thread, &user), names.event(&value), "{kind}");
        }
        let (text, told) = (shown.to_string(), names.acknowledged(&shown).expect("a message"));
        let read = Data::acknowledged(&text, &user, &thread).expect("a message");
        assert_eq!(
            (read.message, read.sequence, read.key, read.thread),
            (told.message, told.sequence, told.key, told.thread)
        );
        let other: Frame<'_> = serde_json::from_str(
            r#"{"type":"error","id":7,"data":{"code":"rate_limited","message":"x","retry_after_ms":5}}"#,
        )
        .expect("a frame");
        assert_eq!((other.code(), other.id, other.data.retry_after_ms), ("rate_limited", Some(7), Some(5)));
    }
}
