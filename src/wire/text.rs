//! A text frame sealed into the bytes that go over the wire (RFC 6455 section 5.2): its header and its text in one piece, made
//! once and shared by everybody who gets it.

use std::str;

use actix_http::ws::{OpCode, Parser};
use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use serde::Serialize;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextFrame(Bytes);

impl TextFrame {
    /// Of JSON.
    ///
    /// # Panics
    /// Never for the shapes of the wire: they hold text and numbers only.
    pub fn of(json: &impl Serialize) -> TextFrame {
        serde_json::to_string(json).expect("text and numbers").as_str().into()
    }

    /// The whole frame.
    pub fn wire(&self) -> &[u8] {
        &self.0
    }

    /// Its text.
    ///
    /// # Panics
    /// Never: it was made of text.
    pub fn text(&self) -> &str {
        str::from_utf8(&self.0[header(&self.0)..]).expect("made of text")
    }

    /// Its text, sharing the bytes.
    ///
    /// # Panics
    /// Never: it was made of text.
    pub fn to_text(&self) -> ByteString {
        ByteString::try_from(self.0.slice(header(&self.0)..)).expect("made of text")
    }
}

/// A whole frame of any kind, unmasked as a server sends it.
pub fn frame(kind: OpCode, payload: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(payload.len() + 10);
    Parser::write_message(&mut frame, payload, kind, true, false);
    frame.freeze()
}

/// Bytes of a frame's header: two, and those of a longer length.
pub fn header(frame: &[u8]) -> usize {
    match frame[1] {
        126 => 4,
        127 => 10,
        _ => 2,
    }
}

impl From<&str> for TextFrame {
    fn from(text: &str) -> TextFrame {
        TextFrame(frame(OpCode::Text, text.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_frame_gives_its_text_back_and_the_codec_reads_it(text in prop_oneof![".{0,200}", Just("x".repeat(125)),
            Just("x".repeat(126)), Just("x".repeat(65_535)), Just("x".repeat(65_536))]) {
            let frame = TextFrame::from(text.as_str());
            prop_assert_eq!(frame.text(), &text);
            prop_assert_eq!(&*frame.to_text(), text.as_str());
            let (finished, opcode, payload) = Parser::parse(&mut BytesMut::from(frame.wire()), false, 1 << 20)
                .expect("a frame").expect("whole");
            prop_assert_eq!((finished, opcode), (true, OpCode::Text));
            prop_assert_eq!(payload.unwrap_or_default(), text.as_bytes());
        }
    }
}
