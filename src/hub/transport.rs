//! What a line and its transport are to each other.

use bytes::Bytes;
use bytestring::ByteString;

use super::line::Line;
use crate::error::Code;

/// What a client sent, or how its stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inbound {
    /// A whole text message.
    Text(ByteString),
    /// A whole binary message, where the gate lets them in.
    Binary(Bytes),
    /// A ping or a pong.
    Control,
    /// A fragment that does not complete a message.
    Fragment,
    /// The client closed, and its close frame was answered.
    Closed,
    /// The client broke the protocol; this is the close code to answer with.
    Fault(Code),
}

impl Inbound {
    /// Bytes of its message.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Inbound::Text(text) => text.len(),
            Inbound::Binary(data) => data.len(),
            Inbound::Control | Inbound::Fragment | Inbound::Closed | Inbound::Fault(_) => 0,
        }
    }
}

/// A socket that takes frames from its line by itself, whoever's turn it is. Every other transport is woken and asks for them.
pub trait Flush {
    /// Writes what the socket takes now. What it does not take, and what goes wrong, is for the connection's own turn.
    fn flush(&self, line: &Line);
}
