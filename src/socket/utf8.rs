//! UTF-8 that comes in pieces, refused with the first byte that cannot be part of any.

use crate::error::Code;

/// The bytes of a character that has begun and is not whole.
#[derive(Debug, Clone, Default)]
pub(super) struct Utf8 {
    begun: [u8; 4],
    have: usize,
}

impl Utf8 {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// `not_utf8`, as soon as no bytes that follow could mend it.
    pub fn pass(&mut self, mut bytes: &[u8]) -> Result<(), Code> {
        while self.have > 0
            && let Some((next, rest)) = bytes.split_first()
        {
            self.begun[self.have] = *next;
            self.have += 1;
            bytes = rest;
            if whole_or_begun(&self.begun[..self.have])?.is_empty() {
                self.have = 0;
            }
        }
        if self.have == 0 {
            let begun = whole_or_begun(bytes)?;
            self.begun[..begun.len()].copy_from_slice(begun);
            self.have = begun.len();
        }
        Ok(())
    }

    /// The text ends here.
    ///
    /// # Errors
    /// `not_utf8`, if it ends inside a character.
    pub fn end(&mut self) -> Result<(), Code> {
        if std::mem::take(&mut self.have) == 0 { Ok(()) } else { Err(Code::NotUtf8) }
    }
}

/// What is left after the last whole character: nothing, or up to three bytes that a character may begin with.
fn whole_or_begun(bytes: &[u8]) -> Result<&[u8], Code> {
    match std::str::from_utf8(bytes) {
        Ok(_) => Ok(&[]),
        Err(error) if error.error_len().is_none() => Ok(&bytes[error.valid_up_to()..]),
        Err(_) => Err(Code::NotUtf8),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a stream of these pieces is.
    fn in_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<(), Code> {
        let mut utf8 = Utf8::default();
        pieces.into_iter().try_for_each(|piece| utf8.pass(piece))?;
        utf8.end()
    }

    #[test]
    fn a_byte_that_nothing_can_mend_is_refused_with_that_byte() {
        let table: [&[u8]; 13] = [
            b"\x80",
            b"\xc0",
            b"\xc1",
            b"\xf5",
            b"\xff",
            b"\xc3(",
            b"\xe0\x80",
            b"\xe2\x82(",
            b"\xed\xa0",
            b"\xf0\x80",
            b"\xf4\x90",
            b"\xf0\x9f\x98(",
            b"\xce\xba\xe1\xbd\xb9\xed\xbf",
        ];
        for bytes in table {
            let mut utf8 = Utf8::default();
            let (last, before) = bytes.split_last().expect("a byte");
            assert_eq!(utf8.pass(before), Ok(()), "{bytes:x?}");
            assert_eq!(utf8.pass(&[*last]), Err(Code::NotUtf8), "{bytes:x?}");
        }
    }

    #[test]
    fn the_first_and_the_last_character_of_each_length_are_taken_in_any_pieces() {
        for text in
            ["\0", "\x7f", "\u{80}", "\u{7ff}", "\u{800}", "\u{d7ff}", "\u{e000}", "\u{ffff}", "\u{10000}", "\u{10ffff}"]
        {
            for cut in 0..=text.len() {
                let (before, after) = text.as_bytes().split_at(cut);
                assert_eq!(in_pieces([before, after]), Ok(()), "{text:?} at {cut}");
                assert_eq!(in_pieces([before]).is_ok(), cut == 0 || cut == text.len(), "{text:?} to {cut}");
            }
        }
    }

    /// Bytes of which many are nearly text.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            4 => any::<char>().prop_map(|c| c.to_string().into_bytes()),
            1 => any::<(char, prop::sample::Index)>().prop_map(|(c, cut)| {
                let bytes = c.to_string().into_bytes();
                bytes[..cut.index(bytes.len())].to_vec()
            }),
            1 => any::<u8>().prop_map(|byte| vec![byte]),
        ];
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn in_pieces_it_is_text_if_and_only_if_it_is_whole(bytes in bytes(), size in 1..9usize) {
            let whole = std::str::from_utf8(&bytes).is_ok();
            prop_assert_eq!(in_pieces(bytes.chunks(size)).is_ok(), whole);
        }
    }
}
