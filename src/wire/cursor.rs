//! The seal of cursors and page keys: clients keep them, and can neither read nor make one.
//!
//! AES-256-GCM-SIV (RFC 8452) with a random nonce, which forgives a repeated nonce, under the key in the store.
//! A global position would tell everyone the server's traffic.

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, Nonce, RandomizedNonceKey};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use crate::domain::{Cursor, cursor::CURSOR_BYTES};

/// What a sealed position may be used for. One cannot pass for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Resume from here.
    Cursor,
    /// A place in a list of messages over all threads.
    PageKey,
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Purpose::Cursor => b"hailgate cursor 1",
            Purpose::PageKey => b"hailgate page key 1",
        }
    }
}

const NONCE: usize = 12;
const TAG: usize = 16;

/// Seals and opens cursors under one key.
pub struct CursorSeal {
    key: RandomizedNonceKey,
}

impl CursorSeal {
    /// With the store's 32-byte key.
    ///
    /// # Panics
    /// Never: every 32 bytes are a key of this cipher.
    pub fn new(key: &[u8; 32]) -> CursorSeal {
        CursorSeal { key: RandomizedNonceKey::new(&AES_256_GCM_SIV, key).expect("32 bytes are a key") }
    }

    /// Text for clients: 75 characters of `A-Z a-z 0-9 - _`.
    ///
    /// # Panics
    /// If the system's random source fails, which ends the process by its abort guard: no cursor could be told.
    pub fn seal(&self, purpose: Purpose, cursor: Cursor) -> String {
        let mut bytes = cursor.to_bytes().to_vec();
        let nonce =
            self.key.seal_in_place_append_tag(Aad::from(purpose.label()), &mut bytes).expect("the random source works");
        bytes.extend_from_slice(nonce.as_ref());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The cursor in a client's text, or `None` if this server did not seal it for this purpose.
    pub fn open(&self, purpose: Purpose, text: &str) -> Option<Cursor> {
        if text.len() > 128 {
            return None;
        }
        let mut bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        if bytes.len() != CURSOR_BYTES + TAG + NONCE {
            return None;
        }
        let nonce = Nonce::try_assume_unique_for_key(&bytes.split_off(CURSOR_BYTES + TAG)).ok()?;
        let opened = self.key.open_in_place(nonce, Aad::from(purpose.label()), &mut bytes).ok()?;
        Some(Cursor::from_bytes(opened.first_chunk()?))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::domain::Position;

    proptest! {
        #[test]
        fn only_an_untouched_cursor_of_this_key_and_purpose_opens(epoch: u128, at: u64, mark: u32, flip in 0..75usize, text in "\\PC{0,90}") {
            let seal = CursorSeal::new(&[7; 32]);
            let cursor = Cursor { epoch: Uuid::from_u128(epoch), position: Position(at), mark };
            let sealed = seal.seal(Purpose::Cursor, cursor);
            prop_assert_eq!(seal.open(Purpose::Cursor, &sealed), Some(cursor));
            prop_assert_eq!(seal.open(Purpose::PageKey, &sealed), None);
            prop_assert_eq!(CursorSeal::new(&[8; 32]).open(Purpose::Cursor, &sealed), None);
            let mut bent = sealed.clone().into_bytes();
            bent[flip] = if bent[flip] == b'A' { b'B' } else { b'A' };
            prop_assert_eq!(seal.open(Purpose::Cursor, &String::from_utf8_lossy(&bent)), None);
            prop_assert_eq!(seal.open(Purpose::Cursor, &text), None);
        }
    }
}
