//! Puts the fragments of a message together. The gate has already limited their number and their sum, and has seen
//! that those of a text are UTF-8.

use actix_http::ws::Item;
use bytes::BytesMut;
use bytestring::ByteString;

use crate::{connection_io::Inbound, error::Code};

/// The message under way.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    bytes: BytesMut,
    binary: bool,
}

impl Fragments {
    /// Takes a fragment: what it is to the connection, which is the whole message with the last one.
    pub fn take(&mut self, item: Item) -> Inbound {
        match item {
            Item::FirstText(bytes) => *self = Fragments { bytes: BytesMut::from(bytes), binary: false },
            Item::FirstBinary(bytes) => *self = Fragments { bytes: BytesMut::from(bytes), binary: true },
            Item::Continue(bytes) => self.bytes.extend_from_slice(&bytes),
            Item::Last(bytes) => {
                self.bytes.extend_from_slice(&bytes);
                return self.whole();
            }
        }
        Inbound::Fragment
    }

    /// Bytes of memory that it takes.
    pub fn memory(&self) -> usize {
        self.bytes.capacity()
    }

    fn whole(&mut self) -> Inbound {
        let Fragments { bytes, binary } = std::mem::take(self);
        if binary {
            return Inbound::Binary(bytes.freeze());
        }
        ByteString::try_from(bytes.freeze()).map_or(Inbound::Fault(Code::NotUtf8), Inbound::Text)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn a_message_is_what_its_first_fragment_says_and_comes_with_its_last() {
        let part = Bytes::from_static;
        let mut fragments = Fragments::default();
        for (first, whole) in [
            (Item::FirstText(part(b"\xf0\x9f")), Inbound::Text("\u{1f600}!".into())),
            (Item::FirstBinary(part(b"\xf0\x9f")), Inbound::Binary(part(b"\xf0\x9f\x98\x80!"))),
            (Item::FirstText(part(b"")), Inbound::Fault(Code::NotUtf8)),
            (Item::FirstBinary(part(b"")), Inbound::Binary(part(b"\x98\x80!"))),
        ] {
            assert_eq!(fragments.take(first), Inbound::Fragment);
            assert_eq!(fragments.take(Item::Continue(part(b"\x98\x80"))), Inbound::Fragment);
            assert_eq!(fragments.take(Item::Last(part(b"!"))), whole);
        }
    }
}
