//! Reads the pieces of a record out of the JSON that servers send: frames, rows of history, acknowledgements.

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
};

use serde_json::Value;

use super::record::{Acknowledged, Event, Fact, Message, Name, Row};

/// Gives equal names the same memory. Anything that is not of the expected shape reads as `None`.
#[derive(Debug, Default)]
pub struct Names(HashSet<Name>);

impl Names {
    /// The shared name of this text.
    pub fn of(&mut self, text: &str) -> Name {
        if let Some(name) = self.0.get(text) {
            return Name::clone(name);
        }
        let name = Name::from(text);
        self.0.insert(Name::clone(&name));
        name
    }

    /// An event of the log; `None` for every other frame.
    pub fn event(&mut self, frame: &Value) -> Option<Event> {
        let (sequence, data) = (frame["sequence"].as_u64()?, &frame["data"]);
        let fact = match frame["type"].as_str()? {
            "message.created" => Fact::Posted(message(data)?),
            "thread.created" => Fact::Created,
            "thread.deleted" => Fact::Ended,
            "thread.member_added" => Fact::Joined(self.of(data["user_id"].as_str()?)),
            "thread.member_removed" => Fact::Left(self.of(data["user_id"].as_str()?)),
            _ => Fact::Other,
        };
        Some(Event { thread: self.of(frame["thread_id"].as_str()?), sequence, fact })
    }

    /// A message as a row of history.
    pub fn row(&mut self, shown: &Value) -> Option<Row> {
        let key = shown["client_message_id"].as_str().map(|key| self.of(key));
        let author = self.of(shown["author"].as_str()?);
        Some(Row { sequence: shown["sequence"].as_u64()?, message: message(shown)?, author, key })
    }

    /// A message as its sender was told that it is stored.
    pub fn acknowledged(&mut self, shown: &Value) -> Option<Acknowledged> {
        let Row { sequence, message, author: sender, key } = self.row(shown)?;
        Some(Acknowledged { sender, thread: self.of(shown["thread_id"].as_str()?), message, key, sequence })
    }
}

/// Id and content of a message. A content that was edited is compared with nothing: who saw it before saw another.
fn message(shown: &Value) -> Option<Message> {
    let digits: String = shown["message_id"].as_str()?.chars().filter(|c| *c != '-').collect();
    let body = shown["content"].as_str().filter(|_| shown["edited_at"].is_null()).map(fingerprint);
    Some(Message { id: u128::from_str_radix(&digits, 16).ok()?, body })
}

/// Stands for a content.
pub fn fingerprint(content: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    hasher.finish()
}
