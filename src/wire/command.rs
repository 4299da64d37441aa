//! Commands: the frames that a client may send on a socket, and the frames that answer them. Every frame is
//! `{type, id?, data}`.
//!
//! Invariant: [`TABLE`] is the only list of the types of commands; parsing goes by it.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    Field, TextFrame,
    rest::{self, SendBody, SentAnswer},
    shape::{self, MarkerShape},
};
use crate::{
    domain::{Content, Draft, Limits, Marker, Message, MessageId, RetryKey, Sequence, ThreadId},
    error::{Code, Error},
};

/// A client's `id`, as it wrote it: text of up to 64 characters or an integer below 2^53.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameId(Box<str>);

/// A command out of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is named for what it is")]
pub enum Command {
    /// Answered with `pong`.
    Ping,
    /// Shows that the client lives.
    Beat,
    /// Post a message.
    Send { thread: ThreadId, draft: Draft, key: Option<RetryKey> },
    /// Replace what a message says.
    Edit { message: MessageId, content: Content },
    /// Delete a message.
    Delete { message: MessageId },
    /// Move the read marker.
    Read { thread: ThreadId, sequence: Sequence },
    /// Tell the others that this user types, or has stopped.
    Typing { thread: ThreadId, active: bool },
    /// Go on by this token.
    Refresh { token: Token },
}

/// A token in a command: never printed.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct Token(pub String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({} bytes)", self.0.len())
    }
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

shapes! {
    #[derive(Deserialize)]
    struct EditData {
        message_id: String,
        content: String,
    }

    #[derive(Deserialize)]
    struct DeleteData {
        message_id: String,
    }

    #[derive(Deserialize)]
    struct ReadData {
        thread_id: String,
        sequence: u64,
    }

    #[derive(Deserialize)]
    struct TypingData {
        thread_id: String,
        active: bool,
    }

    #[derive(Deserialize)]
    struct RefreshData {
        token: Token,
    }

    #[derive(Serialize)]
    struct Pong {
        server_time: String,
    }

    #[derive(Serialize)]
    struct Refreshed {
        expires_at: String,
    }

    #[derive(Serialize)]
    struct ErrorData<'a> {
        code: &'static str,
        message: Cow<'a, str>,
        retryable: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    }
}

/// A type of frame that a client may send.
#[derive(Clone, Copy)]
pub struct CommandType {
    /// The field `type`.
    pub name: &'static str,
    /// The fields of `data` that are read; others are ignored.
    pub data: &'static [Field],
    /// Type and data of the frame that answers it if it is not refused; `None` if no frame does.
    pub answer: Option<(&'static str, &'static [Field])>,
    /// What it does.
    pub meaning: &'static str,
    read: for<'a> fn(&Frame<'a>, &Limits) -> Result<Command, Error>,
}

/// Fields of the data of an `error` frame.
pub const ERROR_FIELDS: &[Field] = ErrorData::FIELDS;

macro_rules! commands {
    ($($name:literal $data:expr, $answer:expr, $read:expr, $meaning:literal;)*) => {
        /// Every type of frame that a client may send.
        pub const TABLE: &[CommandType] =
            &[$(CommandType { name: $name, data: $data, answer: $answer, meaning: $meaning, read: $read }),*];
    };
}

commands! {
    // type          data                 answer                              parser
    //     meaning
    "message.send"   SendBody::FIELDS,    Some(("ack", SentAnswer::FIELDS)),  send,
        "posts a message; the `ack` says that it is stored";
    "message.edit"   EditData::FIELDS,    Some(("ack", SentAnswer::FIELDS)),  edit,
        "replaces the content of a message of one's own";
    "message.delete" DeleteData::FIELDS,  Some(("ack", SentAnswer::FIELDS)),  delete,
        "deletes a message";
    "thread.read"    ReadData::FIELDS,    Some(("ack", MarkerShape::FIELDS)), move_marker,
        "moves the read marker forward; the `ack` has the marker as it is then";
    "typing"         TypingData::FIELDS,  None,                               typing,
        "tells the other members that this user types or has stopped";
    "token.refresh"  RefreshData::FIELDS, Some(("ack", Refreshed::FIELDS)),   refresh,
        "replaces the credential of the connection by a token of the same user";
    "ping"           &[],                 Some(("pong", Pong::FIELDS)),       |_, _| Ok(Command::Ping),
        "asks for the server's time; `data` may hold anything";
    "beat"           &[],                 None,                               |_, _| Ok(Command::Beat),
        "resets the heartbeat timeout, as every frame does; `data` may hold anything";
}

/// Reads a frame: its id, so that even a refusal can name it, and the command in it or why there is none.
pub fn parse(text: &str, limits: &Limits) -> (Option<FrameId>, Result<Command, Error>) {
    let frame: Frame<'_> = match serde_json::from_str(text) {
        Ok(frame) => frame,
        Err(error) => return (None, Err(not_a_frame(&error))),
    };
    match frame.id.map(frame_id).transpose() {
        Ok(id) => (id, command(&frame, limits)),
        Err(refused) => (None, Err(refused)),
    }
}

fn not_a_frame(error: &serde_json::Error) -> Error {
    Error::field("frame", format!("must be a JSON object {{type, id?, data}}: {error}"))
}

fn frame_id(raw: &RawValue) -> Result<FrameId, Error> {
    let text = raw.get();
    let fine = match serde_json::from_str::<serde_json::Value>(text) {
        Ok(serde_json::Value::String(id)) => id.chars().count() <= 64,
        Ok(serde_json::Value::Number(id)) => id.as_i64().is_some_and(|n| n.unsigned_abs() < 1 << 53),
        _ => false,
    };
    if !fine {
        return Err(Error::field("id", "must be text of up to 64 characters or an integer below 2^53"));
    }
    Ok(FrameId(text.into()))
}

fn command(frame: &Frame<'_>, limits: &Limits) -> Result<Command, Error> {
    let known = TABLE.iter().find(|row| row.name == frame.r#type);
    let unknown = || format!("There is no frame type `{}`.", shortened(&frame.r#type));
    let row = known.ok_or_else(|| Error::new(Code::UnknownType, unknown()))?;
    (row.read)(frame, limits)
}

fn send(frame: &Frame<'_>, limits: &Limits) -> Result<Command, Error> {
    let (thread, draft, key) = data::<SendBody>(frame)?.accept(limits)?;
    Ok(Command::Send { thread, draft, key })
}

fn edit(frame: &Frame<'_>, limits: &Limits) -> Result<Command, Error> {
    let EditData { message_id: id, content } = data(frame)?;
    Ok(Command::Edit { message: message_id(&id)?, content: rest::content(content, limits)? })
}

fn delete(frame: &Frame<'_>, _: &Limits) -> Result<Command, Error> {
    Ok(Command::Delete { message: message_id(&data::<DeleteData>(frame)?.message_id)? })
}

fn move_marker(frame: &Frame<'_>, _: &Limits) -> Result<Command, Error> {
    let ReadData { thread_id, sequence } = data(frame)?;
    Ok(Command::Read { thread: thread(&thread_id)?, sequence: Sequence(sequence) })
}

fn typing(frame: &Frame<'_>, _: &Limits) -> Result<Command, Error> {
    let TypingData { thread_id, active } = data(frame)?;
    Ok(Command::Typing { thread: thread(&thread_id)?, active })
}

fn refresh(frame: &Frame<'_>, _: &Limits) -> Result<Command, Error> {
    Ok(Command::Refresh { token: data::<RefreshData>(frame)?.token })
}

fn message_id(text: &str) -> Result<MessageId, Error> {
    MessageId::parse(text).map_err(|reason| Error::field("message_id", reason))
}

fn thread(text: &str) -> Result<ThreadId, Error> {
    ThreadId::parse(text).map_err(|reason| Error::field("thread_id", reason))
}

/// At most 40 characters of what a client wrote, without control characters, to say back to it.
fn shortened(text: &str) -> String {
    text.chars().take(40).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn data<'a, T: Deserialize<'a>>(frame: &Frame<'a>) -> Result<T, Error> {
    let Some(raw) = frame.data else { return Err(Error::field("data", "is missing")) };
    rest::from_json(raw.get())
}

#[derive(Serialize)]
struct Answer<'a, D> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a RawValue>,
    data: D,
}

fn answer(r#type: &'static str, id: Option<&FrameId>, data: impl Serialize) -> TextFrame {
    let id = id.and_then(|id| serde_json::from_str(&id.0).ok());
    TextFrame::of(&Answer { r#type, id, data })
}

/// `pong`.
pub fn pong(id: Option<&FrameId>, now: crate::domain::Time) -> TextFrame {
    answer("pong", id, Pong { server_time: shape::time(now) })
}

/// `ack`: the message is stored.
pub fn ack(id: Option<&FrameId>, message: &Message, duplicate: bool) -> TextFrame {
    answer("ack", id, SentAnswer { message: message.into(), duplicate })
}

/// `ack` of `thread.read`: the marker now.
pub fn read(id: Option<&FrameId>, marker: &Marker) -> TextFrame {
    answer("ack", id, MarkerShape::from(marker))
}

/// `ack` of `token.refresh`: the connection goes on until then.
pub fn refreshed(id: Option<&FrameId>, expires_at: crate::domain::Time) -> TextFrame {
    answer("ack", id, Refreshed { expires_at: shape::time(expires_at) })
}

/// `error`. The message of an authentication error contains "auth".
pub fn error(id: Option<&FrameId>, error: &Error) -> TextFrame {
    let message = match error.code.status() {
        401 => format!("authentication: {}", error.detail).into(),
        _ => Cow::from(error.detail.as_ref()),
    };
    let data = ErrorData {
        code: error.code.name(),
        message,
        retryable: error.code.retryable(),
        retry_after_ms: error.retry_after_ms,
    };
    answer("error", id, data)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn code(text: &str) -> Option<Code> {
        parse(text, &Limits::default()).1.err().map(|e| e.code)
    }

    #[test]
    fn the_seeds_ping_is_a_ping() {
        let (_, command) = parse(r#"{"type":"ping","data":{"message":"test"}}"#, &Limits::default());
        assert_eq!(command, Ok(Command::Ping));
    }

    #[test]
    fn bad_frames_have_the_right_code() {
        let thread = "0190c4f2-8b1c-7d3a-9f1e-2b6c8d4e5f60";
        let deep = format!(
            r#"{{"type":"message.send","data":{{"thread_id":"{thread}","content":"x","metadata":{}}}}}"#,
            "{\"a\":".repeat(20_000)
        );
        let table = [
            ("hello", Code::Invalid),
            ("", Code::Invalid),
            ("[1,2]", Code::Invalid),
            ("{\"type\":5}", Code::Invalid),
            ("{\"type\":\"nope\"}", Code::UnknownType),
            ("{\"type\":\"ping\",\"id\":{}}", Code::Invalid),
            ("{\"type\":\"ping\",\"id\":9007199254740992}", Code::Invalid),
            ("{\"type\":\"message.send\"}", Code::Invalid),
            ("{\"type\":\"typing\"}", Code::Invalid),
            ("{\"type\":\"typing\",\"data\":{\"thread_id\":\"x\",\"active\":true}}", Code::Invalid),
            ("{\"type\":\"message.send\",\"data\":{\"thread_id\":5,\"content\":\"x\"}}", Code::Invalid),
            ("{\"type\":\"message.send\",\"data\":{\"thread_id\":\"x\",\"content\":\"x\"}}", Code::Invalid),
            (deep.as_str(), Code::Invalid),
        ];
        for (text, expected) in table {
            assert_eq!(code(text), Some(expected), "{}", shortened(text));
        }
        let surrogate = format!(r#"{{"type":"message.send","data":{{"thread_id":"{thread}","content":"\ud800"}}}}"#);
        assert_eq!(code(&surrogate), Some(Code::Invalid));
    }

    proptest! {
        #[test]
        fn no_text_panics_and_an_id_is_given_back(text in "\\PC{0,64}", id: i32) {
            let _ = parse(&text, &Limits::default());
            let (got, _) = parse(&serde_json::json!({"type": text, "id": id}).to_string(), &Limits::default());
            prop_assert_eq!(got.map(|id| id.0.to_string()), Some(id.to_string()));
        }
    }
}
