//! Puts the fragments of a message together. The gate has already limited their number and their sum.

use actix_http::ws::Item;
use bytes::{Bytes, BytesMut};
use bytestring::ByteString;

use crate::error::Code;

/// The message under way.
#[derive(Debug, Default)]
pub(super) struct Fragments(BytesMut);

impl Fragments {
    /// Takes a fragment; the whole message with the last one.
    pub fn take(&mut self, item: Item) -> Result<Option<ByteString>, Code> {
        match item {
            Item::FirstText(bytes) => {
                self.0 = BytesMut::from(bytes.as_ref());
                Ok(None)
            }
            Item::Continue(bytes) => {
                self.0.extend_from_slice(&bytes);
                Ok(None)
            }
            Item::Last(bytes) => {
                self.0.extend_from_slice(&bytes);
                text(std::mem::take(&mut self.0).freeze()).map(Some)
            }
            Item::FirstBinary(_) => Err(Code::BinaryFrame),
        }
    }
}

fn text(bytes: Bytes) -> Result<ByteString, Code> {
    ByteString::try_from(bytes).map_err(|_| Code::NotUtf8)
}
