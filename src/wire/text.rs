//! A text frame sealed into the bytes that go over the wire (RFC 6455 section 5.2): its header and its text in one piece, made
//! once and shared by everybody who gets it.

use std::{
    str,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use actix_http::ws::{OpCode, Parser};
use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use serde::Serialize;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextFrame(Arc<Encoded>);

#[derive(Debug)]
struct Encoded {
    bytes: Bytes,
    /// Where these bytes are counted while they exist; none for a frame that was made for one connection.
    tally: Option<Tally>,
}

/// Counts the memory of frames that several connections share: each frame once, from [`TextFrame::shared`] until its last
/// reference is dropped. So a delivery counts nothing.
#[derive(Debug, Clone, Default)]
pub struct Tally(Arc<AtomicU64>);

impl Tally {
    /// Bytes of all frames that exist.
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Encoded {
    fn memory(&self) -> u64 {
        (self.bytes.len() + size_of::<Encoded>()) as u64
    }
}

impl PartialEq for Encoded {
    fn eq(&self, other: &Encoded) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Encoded {}

impl Drop for Encoded {
    fn drop(&mut self) {
        if let Some(tally) = &self.tally {
            tally.0.fetch_sub(self.memory(), Ordering::Relaxed);
        }
    }
}

impl TextFrame {
    /// Of JSON.
    ///
    /// # Panics
    /// Never for the shapes of the wire: they hold text and numbers only.
    pub fn of(json: &impl Serialize) -> TextFrame {
        serde_json::to_string(json).expect("text and numbers").as_str().into()
    }

    /// The same frame, counted once by `tally` instead of by each connection that gets it. A frame that already has other
    /// references stays as it is.
    #[must_use]
    pub fn shared(mut self, tally: &Tally) -> TextFrame {
        if let Some(encoded) = Arc::get_mut(&mut self.0)
            && encoded.tally.is_none()
        {
            tally.0.fetch_add(encoded.memory(), Ordering::Relaxed);
            encoded.tally = Some(tally.clone());
        }
        self
    }

    /// Whether a [`Tally`] counts its bytes.
    pub fn is_shared(&self) -> bool {
        self.0.tally.is_some()
    }

    /// The whole frame.
    pub fn wire(&self) -> &[u8] {
        &self.0.bytes
    }

    /// Its text.
    ///
    /// # Panics
    /// Never: it was made of text.
    pub fn text(&self) -> &str {
        str::from_utf8(&self.wire()[header(self.wire())..]).expect("made of text")
    }

    /// Its text, sharing the bytes.
    ///
    /// # Panics
    /// Never: it was made of text.
    pub fn to_text(&self) -> ByteString {
        ByteString::try_from(self.0.bytes.slice(header(self.wire())..)).expect("made of text")
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
        TextFrame(Arc::new(Encoded { bytes: frame(OpCode::Text, text.as_bytes()), tally: None }))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_shared_frame_is_counted_once_until_its_last_reference_is_dropped() {
        let tally = Tally::default();
        let frame = TextFrame::from("hello").shared(&tally);
        let counted = tally.bytes();
        assert!(counted >= 7 && frame.is_shared());
        let copies = vec![frame.clone(); 1_000];
        assert_eq!(tally.bytes(), counted, "each reference is counted");
        let again = frame.shared(&tally);
        assert_eq!(tally.bytes(), counted, "a frame is counted twice");
        drop(again);
        assert_eq!(tally.bytes(), counted, "copies are left");
        drop(copies);
        assert_eq!(tally.bytes(), 0);
    }

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
