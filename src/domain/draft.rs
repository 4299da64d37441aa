//! A draft: text on its way in, within the limits, not yet accepted by the store.

use sha2::{Digest, Sha256};

use super::{Limits, Reason, ThreadId};

/// Why a field of a draft is refused: the field and a sentence.
pub type FieldReason = (&'static str, Reason);

/// Metadata of a message: the canonical text (sorted keys, no blanks) of a JSON object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata(String);

impl Metadata {
    /// From canonical JSON text, whose depth its parser has limited.
    ///
    /// # Errors
    /// The reason, if it is over the limit in bytes.
    pub fn new(canonical: String, limits: &Limits) -> Result<Metadata, FieldReason> {
        if canonical.len() as u64 > limits.metadata_bytes {
            return Err(("metadata", format!("must be at most {} bytes as JSON", limits.metadata_bytes).into()));
        }
        Ok(Metadata(canonical))
    }

    /// The JSON text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The client's name for a post, so that a retry is recognised: 1..=128 printable ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryKey(String);

impl RetryKey {
    /// From `client_message_id` or `Idempotency-Key`.
    ///
    /// # Errors
    /// The reason, if it has another length or alphabet.
    pub fn new(text: &str) -> Result<RetryKey, Reason> {
        let printable = text.bytes().all(|b| (0x20..0x7f).contains(&b));
        if text.is_empty() || text.len() > 128 || !printable {
            return Err("must be 1 to 128 printable ASCII characters".into());
        }
        Ok(RetryKey(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a message says, kept as sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content(String);

impl Content {
    /// 1..=`content_chars` Unicode scalar values, not blank, without NUL.
    ///
    /// # Errors
    /// The field and the reason.
    pub fn new(text: String, limits: &Limits) -> Result<Content, FieldReason> {
        let max = limits.content_chars;
        // Bytes first: counting the characters of a large text is the costly part.
        if text.len() as u64 > max.saturating_mul(4) || text.chars().count() as u64 > max {
            return Err(("content", format!("must be at most {max} characters").into()));
        }
        if text.trim().is_empty() {
            return Err(("content", "must not be empty or blank".into()));
        }
        if text.contains('\0') {
            return Err(("content", "must not contain NUL".into()));
        }
        Ok(Content(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Content and metadata within the limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    content: Content,
    metadata: Option<Metadata>,
}

impl Draft {
    /// A draft of content as [`Content::new`] takes it.
    ///
    /// # Errors
    /// The field and the reason.
    pub fn new(content: String, metadata: Option<Metadata>, limits: &Limits) -> Result<Draft, FieldReason> {
        Ok(Draft { content: Content::new(content, limits)?, metadata })
    }

    /// The text.
    pub fn content(&self) -> &str {
        self.content.as_str()
    }

    /// The metadata, if any.
    pub fn metadata(&self) -> Option<&Metadata> {
        self.metadata.as_ref()
    }

    /// Bytes this draft occupies on its way to the store.
    pub fn bytes(&self) -> usize {
        self.content().len() + self.metadata.as_ref().map_or(0, |m| m.0.len())
    }

    /// What "the same body" means for a retry key: SHA-256 over thread, content and metadata.
    pub fn fingerprint(&self, thread: ThreadId) -> [u8; 32] {
        fingerprint(&[
            thread.0.as_bytes(),
            self.content().as_bytes(),
            self.metadata.as_ref().map_or(b"", |m| m.0.as_bytes()),
        ])
    }
}

/// SHA-256 over parts, each preceded by its length so that no two lists collide.
pub fn fingerprint(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn draft(content: &str) -> Result<Draft, FieldReason> {
        Draft::new(content.to_owned(), None, &Limits::default())
    }

    #[test]
    fn content_is_limited_in_characters_not_in_bytes() {
        assert!(draft(&"x".repeat(8_000)).is_ok());
        assert!(draft(&"x".repeat(8_001)).is_err());
        assert!(draft(&"😀".repeat(8_000)).is_ok());
        assert!(draft(&"😀".repeat(8_001)).is_err());
    }

    #[test]
    fn blank_and_nul_are_refused() {
        for bad in ["", " ", "\n\t\u{a0}\u{2003}", "a\0b", "\0"] {
            assert!(draft(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn a_draft_keeps_what_was_sent(content in "\\PC{1,200}") {
            match draft(&content) {
                Ok(kept) => prop_assert_eq!(kept.content(), content),
                Err(_) => prop_assert!(content.trim().is_empty()),
            }
        }

        #[test]
        fn fingerprints_differ_when_anything_differs(a in "[a-z]{1,9}", b in "[a-z]{1,9}", t: u128) {
            let thread = ThreadId(uuid::Uuid::from_u128(t));
            let (x, y) = (draft(&a), draft(&b));
            let (Ok(x), Ok(y)) = (x, y) else { return Ok(()) };
            prop_assert_eq!(a == b, x.fingerprint(thread) == y.fingerprint(thread));
            prop_assert_ne!(x.fingerprint(thread), x.fingerprint(ThreadId(uuid::Uuid::from_u128(t ^ 1))));
        }

        #[test]
        fn a_retry_key_is_printable_ascii(text in "\\PC{0,140}") {
            let fine = (1..=128).contains(&text.len()) && text.bytes().all(|b| (0x20..0x7f).contains(&b));
            prop_assert_eq!(RetryKey::new(&text).is_ok(), fine);
        }
    }
}
