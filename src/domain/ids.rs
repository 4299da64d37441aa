//! Names of things: who, which thread, which message, and places in the log.

use std::{fmt, sync::Arc};

use uuid::Uuid;

use super::Reason;

/// Longest user id, in bytes.
pub const USER_ID_BYTES_MAX: usize = 128;

/// An account's name on the wire: 1..=128 bytes of `A-Z a-z 0-9 . _ @ | + : -`, compared byte for byte.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UserId(Arc<str>);

impl UserId {
    /// Any id that a verified token or a stored account may carry.
    ///
    /// # Errors
    /// The reason, if the text has another length or alphabet, or is `anonymous` or begins with `system`.
    pub fn parse(text: &str) -> Result<UserId, Reason> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._@|+:-".contains(&b);
        if text.is_empty() || text.len() > USER_ID_BYTES_MAX {
            return Err("must have 1 to 128 characters".into());
        }
        if !text.bytes().all(allowed) {
            return Err("may hold only A-Z a-z 0-9 . _ @ | + : -".into());
        }
        if text == "anonymous" || text.starts_with("system") {
            return Err("`anonymous` and names that begin with `system` are reserved".into());
        }
        Ok(UserId(text.into()))
    }

    /// A name for a new account of this server: lower case, no `:` (that marks outside issuers).
    ///
    /// # Errors
    /// As [`UserId::parse`], and for upper case or `:`.
    pub fn new_local(text: &str) -> Result<UserId, Reason> {
        if text.bytes().any(|b| b.is_ascii_uppercase() || b == b':') {
            return Err("a new name is written in lower case and without `:`".into());
        }
        UserId::parse(text)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! uuid_id {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub Uuid);

        impl $name {
            /// A new one: UUID version 7 (RFC 9562 section 5.7), so that ids sort by time.
            pub fn new() -> Self {
                $name(Uuid::now_v7())
            }

            /// From the hyphenated text that the wire carries.
            ///
            /// # Errors
            /// The reason, if it is not a UUID in that form.
            pub fn parse(text: &str) -> Result<Self, Reason> {
                match Uuid::try_parse(text) {
                    Ok(id) if text.len() == 36 => Ok($name(id)),
                    _ => Err("must be a UUID like 0190c4f2-8b1c-7d3a-9f1e-2b6c8d4e5f60".into()),
                }
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }
    )*};
}

uuid_id! {
    /// A conversation.
    ThreadId
    /// A message.
    MessageId
    /// One open WebSocket, poll or stream.
    ConnectionId
    /// A login's public id; it opens nothing.
    SessionId
    /// The tokens that descend from one `POST` to the token endpoint: they are refreshed, and revoked, together.
    FamilyId
}

/// Names one request in logs, problems and headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(pub Arc<str>);

/// A place in the whole log, in commit order: dense, from 1. Never on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position(pub u64);

impl Position {
    /// The place after this one.
    #[must_use]
    pub fn next(self) -> Position {
        Position(self.0 + 1)
    }
}

/// A place in one thread: 1, 2, 3 ...
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Sequence(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_and_foreign_names_are_refused() {
        for bad in ["", "anonymous", "system", "system-bot", "a b", "a\0", "ä", "a/b", &"x".repeat(129)] {
            assert!(UserId::parse(bad).is_err(), "{bad:?}");
        }
        for good in ["alice", "Alice", "corp:x|1", "a.b_c@d+e-f", &"x".repeat(128)] {
            assert!(UserId::parse(good).is_ok(), "{good:?}");
        }
        assert!(UserId::new_local("Alice").is_err());
        assert!(UserId::new_local("corp:alice").is_err());
    }

    #[test]
    fn only_the_hyphenated_form_of_an_id_is_taken() {
        let id = ThreadId::new();
        assert_eq!(ThreadId::parse(&id.to_string()), Ok(id));
        assert!(ThreadId::parse(&id.0.simple().to_string()).is_err());
        assert!(ThreadId::parse("../../etc/passwd").is_err());
    }
}
