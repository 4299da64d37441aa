//! Frames that the server sends unasked: the first of a connection, cursors, typing, presence, read markers, and the last.
//! Events are encoded in `seal.rs`, answers to commands in `command.rs`.

use std::collections::BTreeMap;

use bytestring::ByteString;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::{
    Field, TextFrame,
    shape::{MarkerShape, OnlineShape},
};
use crate::domain::Limits;

shapes! {
    /// Data of `caught_up`.
    #[derive(Serialize)]
    #[allow(missing_docs, reason = "named as on the wire")]
    pub struct CaughtUp<'a> {
        pub cursor: &'a str,
        pub events: u64,
        pub read: Vec<MarkerShape>,
    }

    /// Data of `cursor`.
    #[derive(Serialize)]
    #[allow(missing_docs, reason = "named as on the wire")]
    pub struct CursorData<'a> {
        pub cursor: &'a str,
    }

    /// Data of `typing`.
    #[derive(Serialize)]
    #[allow(missing_docs, reason = "named as on the wire")]
    pub struct Typing<'a> {
        pub thread_id: String,
        pub user_id: &'a str,
        pub active: bool,
    }

    /// Data of `presence`.
    #[derive(Serialize)]
    #[allow(missing_docs, reason = "named as on the wire")]
    pub struct Presence<'a> {
        pub users: Vec<OnlineShape<'a>>,
    }
}

macro_rules! replies {
    ($($variant:ident($data:ident $(<$life:lifetime>)?) $name:tt $meaning:literal)*) => {
        /// A frame that the server sends unasked, beside events.
        #[derive(Serialize)]
        #[serde(tag = "type", content = "data")]
        pub enum Reply<'a> { $(#[doc = $meaning] #[serde(rename = $name)] $variant($data $(<$life>)?)),* }

        /// Type, fields of `data` and meaning of each frame that the server sends unasked, beside events.
        pub const TABLE: &[(&str, &[Field], &str)] = &[$(($name, $data::FIELDS, $meaning)),*];
    };
}

replies! {
    ConnectionEstablished(Established<'a>) "connection_established" "first on every connection"
    CaughtUp(CaughtUp<'a>) "caught_up" "the missed events have been sent; `read` holds the read markers that moved meanwhile"
    Cursor(CursorData<'a>) "cursor" "every logged event of this user at or below the cursor was sent before this frame"
    ThreadRead(MarkerShape) "thread.read" "a read marker of this user was set, on whatever connection; not in the log"
    Typing(Typing<'a>) "typing" "another member of the thread types or has stopped; not in the log, may be dropped"
    Presence(Presence<'a>) "presence" "users with whom one shares a thread came or went; not in the log"
    Bye(Bye) "bye" "the connection is about to close; nothing follows but the close frame"
}

shapes! {
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

shapes! {
    /// `reset`: a stream's cursor does not hold, and it goes on from this one.
    #[derive(Serialize)]
    pub struct Reset<'a> {
        /// Why.
        pub code: &'static str,
        /// Where it goes on.
        pub cursor: &'a str,
    }
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

shapes! {
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
}

shapes! {
    /// The connected user.
    #[derive(Serialize)]
    pub struct Myself<'a> {
        /// Who.
        pub user_id: &'a str,
        /// The name people read.
        pub name: &'a str,
    }
}

shapes! {
    /// How a connection was admitted.
    #[derive(Serialize)]
    pub struct Auth<'a> {
        /// `session`, `bearer`, ...
        pub method: &'a str,
        /// When the credentials end.
        pub expires_at: String,
    }
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
