//! What the store is told.

use super::check::Checker;
use crate::domain::Synchronous;

impl Checker<'_> {
    /// How sure a commit must be.
    pub(super) fn synchronous(&mut self) -> Option<Synchronous> {
        let (key, text) = ("sqlite_synchronous", self.text("sqlite_synchronous"));
        let found = Synchronous::ALL.into_iter().find(|synchronous| synchronous.name() == text);
        if found.is_none() {
            self.complain(
                key,
                format!("`{key}` cannot be {text:?}."),
                "Write full, or normal if a power cut may cost messages.",
            );
        }
        found
    }
}
