//! Which endings concern a seat: those that its credential has not been judged by. Each has a number, in the order in which
//! they were stored.

use super::{Registry, SeatKey, Sitter};
use crate::{
    domain::{Credential, Time},
    error::Code,
    hub::Closing,
};

/// Up to which ending the credential of a seat has been judged.
#[derive(Debug, Clone, Copy)]
pub(super) enum Judged {
    /// It is still being read. The last ending that was told for it meanwhile, which the read may have taken into account.
    NotYet(Option<(u64, Code)>),
    /// It held when this ending was the last one.
    UpTo(u64),
}

impl Registry {
    /// The credential of a seat held when ending number `endings` was the last one.
    pub fn judged(&mut self, key: SeatKey, endings: u64) {
        let Some(seat) = self.seat(key) else { return };
        if let Judged::NotYet(Some((number, code))) = seat.judged
            && number > endings
        {
            seat.line.close(code);
        }
        seat.judged = Judged::UpTo(endings);
    }

    /// The same user's other credential holds the seat from now on. It held when ending number `endings` was the last one; that
    /// number of the credential before.
    pub fn renew(&mut self, key: SeatKey, credential: Credential, expires_at: Time, endings: u64) -> u64 {
        let Some(seat) = self.seat(key) else { return 0 };
        seat.sitter = Sitter { credential, expires_at, ..seat.sitter.clone() };
        match std::mem::replace(&mut seat.judged, Judged::UpTo(endings)) {
            Judged::NotYet(_) => 0,
            Judged::UpTo(before) => before,
        }
    }

    /// Asks the seats to close that an ending concerns; how many. One whose credential is still being read decides then.
    pub fn close_ended(&mut self, number: u64, code: Code, concerns: impl Fn(&Sitter) -> bool) -> u64 {
        let mut closed = 0;
        for (_, seat) in self.seats.iter_mut().filter(|(_, seat)| concerns(&seat.sitter)) {
            match &mut seat.judged {
                Judged::NotYet(told) => *told = Some((number, code)),
                Judged::UpTo(endings) if number <= *endings => {}
                Judged::UpTo(_) => {
                    seat.line.close(code);
                    closed += 1;
                }
            }
        }
        closed
    }

    /// Asks every seat to close; how many.
    pub fn close_all(&self, closing: impl Fn(&Sitter) -> Closing) -> u64 {
        self.seats.iter().map(|(_, seat)| seat.line.close(closing(&seat.sitter))).count() as u64
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::{
        domain::{ConnectionId, Limits, Position, UserId},
        hub::{Line, Transport},
        store::Head,
    };

    const START: Head = Head { epoch: uuid::Uuid::nil(), position: Position(0), mark: 0 };

    fn credential() -> Credential {
        Credential::of(UserId::parse("alice").expect("a user id"))
    }

    fn seated(registry: &mut Registry) -> (SeatKey, Rc<Line>) {
        let (line, connection) = (Rc::new(Line::new(&Limits::default())), ConnectionId::new());
        let sitter =
            Sitter { connection, credential: credential(), expires_at: Time(i64::MAX), transport: Transport::Socket };
        (registry.enter(sitter, Rc::clone(&line)), line)
    }

    fn end(registry: &mut Registry, number: u64) -> u64 {
        registry.close_ended(number, Code::SignedOut, |_| true)
    }

    #[test]
    fn an_ending_closes_the_seats_whose_credential_was_judged_before_it_in_whatever_order_they_meet() {
        for judged_up_to in 0..4 {
            for ending in 1..4 {
                let older = judged_up_to < ending;
                let mut registry = Registry::new(START);
                let (before, told_before) = seated(&mut registry);
                let (after, told_after) = seated(&mut registry);
                registry.judged(after, judged_up_to);
                assert_eq!(end(&mut registry, ending), u64::from(older));
                assert!(told_before.closing().is_none(), "nobody knows yet");
                registry.judged(before, judged_up_to);
                for line in [told_before, told_after] {
                    assert_eq!(line.closing().is_some(), older, "ending {ending}, judged up to {judged_up_to}");
                }
            }
        }
    }

    #[test]
    fn a_seat_that_waits_is_closed_by_the_newest_ending_that_it_was_told_of() {
        let mut registry = Registry::new(START);
        let (key, line) = seated(&mut registry);
        end(&mut registry, 3);
        end(&mut registry, 5);
        registry.judged(key, 4);
        assert!(line.closing().is_some());
    }

    #[test]
    fn another_credential_brings_the_number_up_to_which_it_was_judged() {
        let mut registry = Registry::new(START);
        let (key, line) = seated(&mut registry);
        registry.judged(key, 2);
        assert_eq!(registry.renew(key, credential(), Time(i64::MAX), 7), 2);
        assert_eq!(end(&mut registry, 7), 0);
        assert_eq!(registry.renew(key, credential(), Time(i64::MAX), 2), 7, "taken back");
        assert_eq!(end(&mut registry, 7), 1);
        assert!(line.closing().is_some());
    }
}
