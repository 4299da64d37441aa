//! Revocations that concern an entry: those stored after its credential was checked. Revocations are numbered in the order in
//! which they were stored.

use super::{EntryKey, Registry};
use crate::{
    connection_io::Closing,
    domain::{Credential, Time},
    error::Code,
    outlet::Subscriber,
};

/// Up to which revocation the credential of an entry has been checked.
#[derive(Debug, Clone, Copy)]
pub(super) enum RevocationCheck {
    /// The credential is being read from the store. Holds the last revocation received meanwhile, which the read may include.
    Pending(Option<(u64, Code)>),
    /// The credential was valid when this was the last revocation.
    UpTo(u64),
}

impl Registry {
    /// Records that the credential of an entry was valid when `revocation` was the last one.
    pub fn set_checked(&mut self, key: EntryKey, revocation: u64) {
        let Some(entry) = self.entry(key) else { return };
        if let RevocationCheck::Pending(Some((number, code))) = entry.revocation_check
            && number > revocation
        {
            entry.io.request_close(code);
        }
        entry.revocation_check = RevocationCheck::UpTo(revocation);
    }

    /// Replaces the credential of an entry by another one of the same user, which was valid when `revocation` was the last one.
    /// Returns that number for the credential before.
    pub fn renew(&mut self, key: EntryKey, credential: Credential, expires_at: Time, revocation: u64) -> u64 {
        let Some(entry) = self.entry(key) else { return 0 };
        entry.subscriber = Subscriber { credential, expires_at, ..entry.subscriber.clone() };
        match std::mem::replace(&mut entry.revocation_check, RevocationCheck::UpTo(revocation)) {
            RevocationCheck::Pending(_) => 0,
            RevocationCheck::UpTo(before) => before,
        }
    }

    /// Requests a close of the entries that revocation `number` concerns, and returns how many. An entry whose credential is still
    /// being read decides in [`Registry::set_checked`].
    pub fn close_revoked(&mut self, number: u64, code: Code, concerns: impl Fn(&Subscriber) -> bool) -> u64 {
        let mut closed = 0;
        for (_, entry) in self.entries.iter_mut().filter(|(_, entry)| concerns(&entry.subscriber)) {
            match &mut entry.revocation_check {
                RevocationCheck::Pending(received) => *received = Some((number, code)),
                RevocationCheck::UpTo(checked) if number <= *checked => {}
                RevocationCheck::UpTo(_) => {
                    entry.io.request_close(code);
                    closed += 1;
                }
            }
        }
        closed
    }

    /// Requests a close of every entry, and returns how many.
    pub fn close_all(&self, closing: impl Fn(&Subscriber) -> Closing) -> u64 {
        self.entries.iter().map(|(_, entry)| entry.io.request_close(closing(&entry.subscriber))).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::{
        connection_io::ConnectionIo,
        domain::{ConnectionId, Limits, Position, UserId},
        outlet::Transport,
        store::Head,
    };

    const START: Head = Head { epoch: uuid::Uuid::nil(), position: Position(0), mark: 0 };

    fn credential() -> Credential {
        Credential::of(UserId::parse("alice").expect("a user id"))
    }

    fn subscribed(registry: &mut Registry) -> (EntryKey, Rc<ConnectionIo>) {
        let (io, connection) = (Rc::new(ConnectionIo::new(&Limits::default())), ConnectionId::new());
        let subscriber =
            Subscriber { connection, credential: credential(), expires_at: Time(i64::MAX), transport: Transport::Socket };
        (registry.register(subscriber, Rc::clone(&io)), io)
    }

    fn end(registry: &mut Registry, number: u64) -> u64 {
        registry.close_revoked(number, Code::SignedOut, |_| true)
    }

    #[test]
    fn an_ending_closes_the_seats_whose_credential_was_judged_before_it_in_whatever_order_they_meet() {
        for checked_up_to in 0..4 {
            for revocation in 1..4 {
                let older = checked_up_to < revocation;
                let mut registry = Registry::new(START);
                let (before, io_before) = subscribed(&mut registry);
                let (after, io_after) = subscribed(&mut registry);
                registry.set_checked(after, checked_up_to);
                assert_eq!(end(&mut registry, revocation), u64::from(older));
                assert!(io_before.close_request().is_none(), "nobody knows yet");
                registry.set_checked(before, checked_up_to);
                for io in [io_before, io_after] {
                    assert_eq!(
                        io.close_request().is_some(),
                        older,
                        "revocation {revocation}, checked up to {checked_up_to}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_seat_that_waits_is_closed_by_the_newest_ending_that_it_was_told_of() {
        let mut registry = Registry::new(START);
        let (key, io) = subscribed(&mut registry);
        end(&mut registry, 3);
        end(&mut registry, 5);
        registry.set_checked(key, 4);
        assert!(io.close_request().is_some());
    }

    #[test]
    fn another_credential_brings_the_number_up_to_which_it_was_judged() {
        let mut registry = Registry::new(START);
        let (key, io) = subscribed(&mut registry);
        registry.set_checked(key, 2);
        assert_eq!(registry.renew(key, credential(), Time(i64::MAX), 7), 2);
        assert_eq!(end(&mut registry, 7), 0);
        assert_eq!(registry.renew(key, credential(), Time(i64::MAX), 2), 7, "taken back");
        assert_eq!(end(&mut registry, 7), 1);
        assert!(io.close_request().is_some());
    }
}
