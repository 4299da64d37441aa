//! Frames: what a client may say on a socket, and what the server answers. Every frame is `{type, id?, data}`.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use bytestring::ByteString;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::{
    TextFrame,
    rest::{self, SendBody},
    shape::{MarkerShape, MessageShape, OnlineShape},
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
    match frame.r#type.as_ref() {
        "ping" => Ok(Command::Ping),
        "beat" => Ok(Command::Beat),
        "message.send" => {
            let (thread, draft, key) = data::<SendBody>(frame)?.accept(limits)?;
            Ok(Command::Send { thread, draft, key })
        }
        "message.edit" => {
            let EditData { message_id: id, content } = data(frame)?;
            Ok(Command::Edit { message: message_id(&id)?, content: rest::content(content, limits)? })
        }
        "message.delete" => Ok(Command::Delete { message: message_id(&data::<DeleteData>(frame)?.message_id)? }),
        "thread.read" => {
            let ReadData { thread_id, sequence } = data(frame)?;
            Ok(Command::Read { thread: thread(&thread_id)?, sequence: Sequence(sequence) })
        }
        "typing" => {
            let TypingData { thread_id, active } = data(frame)?;
            Ok(Command::Typing { thread: thread(&thread_id)?, active })
        }
        "token.refresh" => Ok(Command::Refresh { token: data::<RefreshData>(frame)?.token }),
        other => Err(Error::new(Code::UnknownType, format!("There is no frame type `{}`.", shortened(other)))),
    }
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

/// What the server says, beside events.
#[derive(Serialize)]
#[serde(tag = "type", content = "data", rename_all = "snake_case")]
#[allow(missing_docs, reason = "each field is named for what it is")]
pub enum Reply<'a> {
    /// First on every connection.
    ConnectionEstablished(Established<'a>),
    /// The missed events have been sent.
    CaughtUp { cursor: &'a str, events: u64, read: Vec<MarkerShape> },
    /// Every logged event of this user at or below it was sent before.
    Cursor { cursor: &'a str },
    /// A read marker of this user was set, on whatever connection. Not in the log.
    #[serde(rename = "thread.read")]
    ThreadRead(MarkerShape),
    /// Another member types, or has stopped. Not in the log.
    Typing { thread_id: String, user_id: &'a str, active: bool },
    /// Who has come or gone of those one shares a thread with. Not in the log.
    Presence { users: Vec<OnlineShape<'a>> },
    /// The connection is about to close.
    Bye(Bye),
}

/// `bye`.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Bye {
    /// The close code.
    pub code: u16,
    /// Its name.
    pub reason: &'static str,
    /// Whether to come back.
    pub reconnect: bool,
    /// When, in milliseconds.
    pub retry_after_ms: Option<u64>,
}

impl Bye {
    /// The data alone, for a transport that names its events.
    ///
    /// # Panics
    /// Never: it holds text and numbers only.
    pub fn data(&self) -> ByteString {
        serde_json::to_string(self).expect("text and numbers").into()
    }
}

/// `reset`: a stream's cursor does not hold, and it goes on from this one.
#[derive(Serialize)]
pub struct Reset<'a> {
    /// Why.
    pub code: &'static str,
    /// Where it goes on.
    pub cursor: &'a str,
}

impl Reset<'_> {
    /// The data.
    ///
    /// # Panics
    /// Never: it holds text only.
    pub fn data(&self) -> ByteString {
        serde_json::to_string(self).expect("text").into()
    }
}

/// `connection_established`.
#[derive(Serialize)]
pub struct Established<'a> {
    /// Names this connection in the admin list and in logs.
    pub connection_id: String,
    /// Who is connected.
    pub user: Myself<'a>,
    /// Which log.
    pub epoch: String,
    /// Where this connection begins.
    pub cursor: &'a str,
    /// Whether the missed events follow.
    pub resumed: bool,
    /// Why not, if a cursor was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// Time between the server's pings.
    pub heartbeat_ms: u64,
    /// Every limit in force.
    pub limits: &'a RawValue,
    /// How the connection was admitted, and until when.
    pub auth: Auth<'a>,
}

/// The connected user.
#[derive(Serialize)]
pub struct Myself<'a> {
    /// Who.
    pub user_id: &'a str,
    /// The name people read.
    pub name: &'a str,
}

/// How a connection was admitted.
#[derive(Serialize)]
pub struct Auth<'a> {
    /// `session`, `bearer`, ...
    pub method: &'a str,
    /// When the credentials end.
    pub expires_at: String,
}

/// The limits in force as `connection_established` tells them: the same to everybody.
///
/// # Panics
/// Never: they are names and numbers.
pub fn limits(limits: &Limits) -> Box<RawValue> {
    let told: BTreeMap<&str, u64> = limits.told().into_iter().collect();
    to_raw_value(&told).expect("names and numbers")
}

impl Reply<'_> {
    /// The frame.
    pub fn frame(&self) -> TextFrame {
        TextFrame::of(self)
    }
}

#[derive(Serialize)]
struct Answer<'a, D> {
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a RawValue>,
    data: D,
}

#[derive(Serialize)]
struct ErrorData<'a> {
    code: &'static str,
    message: Cow<'a, str>,
    retryable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
}

fn answer(r#type: &'static str, id: Option<&FrameId>, data: impl Serialize) -> TextFrame {
    let id = id.and_then(|id| serde_json::from_str(&id.0).ok());
    TextFrame::of(&Answer { r#type, id, data })
}

/// `pong`.
pub fn pong(id: Option<&FrameId>, now: crate::domain::Time) -> TextFrame {
    #[derive(Serialize)]
    struct Pong {
        server_time: String,
    }
    answer("pong", id, Pong { server_time: super::shape::time(now) })
}

/// `ack`: the message is stored.
pub fn ack(id: Option<&FrameId>, message: &Message, duplicate: bool) -> TextFrame {
    #[derive(Serialize)]
    struct Ack<'a> {
        message: MessageShape<'a>,
        duplicate: bool,
    }
    answer("ack", id, Ack { message: message.into(), duplicate })
}

/// `ack` of `thread.read`: the marker now.
pub fn read(id: Option<&FrameId>, marker: &Marker) -> TextFrame {
    answer("ack", id, MarkerShape::from(marker))
}

/// `ack` of `token.refresh`: the connection goes on until then.
pub fn refreshed(id: Option<&FrameId>, expires_at: crate::domain::Time) -> TextFrame {
    #[derive(Serialize)]
    struct Refreshed {
        expires_at: String,
    }
    answer("ack", id, Refreshed { expires_at: super::shape::time(expires_at) })
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
