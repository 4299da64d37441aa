//! Rate limits on failed logins: by user and network, by network, and by user.
//!
//! An attempt takes its rate-limit cells before the password is verified and returns them if it succeeds. So parallel guesses cannot exceed
//! the limit, and successful logins use nothing. Unknown user names count like known ones.
//!
//! Decisions: `src/docs/decisions/limits.md`.

use std::time::Duration;

use governor::clock::{Clock, MonotonicClock};
use uuid::Uuid;

use super::{
    address::{Client, Network},
    hash_queue::{HashRequester, Name},
    keyed_limiter::{KeyedLimiter, LimitExceeded, RateQuota},
    session::secret_hash,
};
use crate::{
    domain::Limits,
    error::{Code, Error},
};

/// The limiters of failed logins.
pub struct LoginThrottle<C: Clock + Clone = MonotonicClock> {
    both: KeyedLimiter<(Name, Network), C>,
    address: KeyedLimiter<Network, C>,
    user: KeyedLimiter<Name, C>,
    /// Used in place of `both` and `user` for a browser that has signed in as this user before. Failures of others do not count here.
    browser: KeyedLimiter<(Name, Uuid), C>,
}

/// A login attempt. It counts as failed until it is [forgiven](LoginAttempt::forgive).
#[must_use]
pub struct LoginAttempt<'a, C: Clock + Clone = MonotonicClock> {
    address: AddressAttempt<'a, C>,
    name: Name,
    browser: Option<Uuid>,
}

impl<C: Clock + Clone> LoginThrottle<C> {
    /// With the limits in force.
    pub fn new(limits: &Limits, clock: &C) -> LoginThrottle<C> {
        let pace = |count, period| RateQuota { count, period: Duration::from_secs(period), burst: count };
        let here = pace(limits.login_failures_here_per_minute, 60);
        let (address, user) =
            (pace(limits.login_failures_address_per_minute, 60), pace(limits.login_failures_user_per_hour, 3_600));
        LoginThrottle {
            both: KeyedLimiter::new("failed logins by user and address", here, limits.rate_keys, clock),
            address: KeyedLimiter::new("failed logins by address", address, limits.rate_keys, clock),
            user: KeyedLimiter::new("failed logins by user", user, limits.rate_keys, clock),
            browser: KeyedLimiter::new("failed logins by browser", here, limits.rate_keys, clock),
        }
    }

    /// Begins an attempt at a name; `browser` is one that signed in as this user before.
    ///
    /// # Errors
    /// `rate_limited` after too many failures; `busy` if too many others fail to remember this one.
    pub fn begin(&self, client: Client, name: &str, browser: Option<Uuid>) -> Result<LoginAttempt<'_, C>, Error> {
        let hash = secret_hash(name);
        let name = *hash.first_chunk().unwrap_or(&[0; 16]);
        let at_address = match self.address(client) {
            // Who fills the table with addresses does not keep the owner out of a browser that is known.
            Err(LimitExceeded::Full) if browser.is_some() => false,
            taken => taken.map_err(refusal)?,
        };
        let attempt = LoginAttempt { address: AddressAttempt { attempts: self, client, at_address }, name, browser };
        attempt.take().inspect_err(|_| attempt.address.give_back()).map_err(refusal)?;
        Ok(attempt)
    }

    /// Takes a cell of the address; whether it is one that is counted.
    fn address(&self, client: Client) -> Result<bool, LimitExceeded> {
        if !client.exempt {
            self.address.take(&client.network)?;
        }
        Ok(!client.exempt)
    }

    /// Begins an attempt that names nobody.
    ///
    /// # Errors
    /// As [`LoginThrottle::begin`].
    pub fn begin_nameless(&self, client: Client) -> Result<AddressAttempt<'_, C>, Error> {
        let at_address = self.address(client).map_err(refusal)?;
        Ok(AddressAttempt { attempts: self, client, at_address })
    }
}

/// An attempt that names nobody: it counts as failed at its address until it is [forgiven](AddressAttempt::forgive).
#[must_use]
pub struct AddressAttempt<'a, C: Clock + Clone = MonotonicClock> {
    attempts: &'a LoginThrottle<C>,
    client: Client,
    at_address: bool,
}

impl<C: Clock + Clone> AddressAttempt<'_, C> {
    /// As if it had not been made.
    pub fn forgive(self) {
        self.give_back();
    }

    fn give_back(&self) {
        if self.at_address {
            self.attempts.address.give_back(&self.client.network);
        }
    }
}

impl<C: Clock + Clone> LoginAttempt<'_, C> {
    /// For whom a place in the line of hashes is taken.
    pub fn requester(&self) -> HashRequester {
        let Client { network, exempt } = self.address.client;
        let network = (!exempt).then_some(network);
        HashRequester { login: (self.name, self.browser.is_some()), network }
    }

    /// It succeeded, or nobody looked at the password: as if it had not been made.
    pub fn forgive(self) {
        let LoginThrottle { both, user, browser, .. } = self.address.attempts;
        if let Some(known) = self.browser {
            browser.give_back(&(self.name, known));
        } else {
            both.give_back(&(self.name, self.address.client.network));
            user.give_back(&self.name);
        }
        self.address.forgive();
    }

    /// Takes a cell of everything but the address, or of nothing.
    fn take(&self) -> Result<(), LimitExceeded> {
        let LoginThrottle { both, user, browser, .. } = self.address.attempts;
        if let Some(known) = self.browser {
            browser.take(&(self.name, known))
        } else {
            let here = (self.name, self.address.client.network);
            both.take(&here)?;
            user.take(&self.name).inspect_err(|_| both.give_back(&here))
        }
    }
}

/// The same words whichever count refuses: they tell nothing about the name.
fn refusal(refused: LimitExceeded) -> Error {
    match refused {
        LimitExceeded::Limited(wait) => {
            let detail = "Too many failed logins. Wait a little, then try again.";
            Error::new(Code::RateLimited, detail).after_ms(super::rates::wait_ms(wait))
        }
        LimitExceeded::TooMany | LimitExceeded::Full => {
            let detail = "Too many logins are failing to keep count of another. Try again.";
            Error::new(Code::Busy, detail).after_ms(2_000)
        }
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;
    use crate::auth::address::Addresses;

    fn attempts(limits: &Limits) -> (LoginThrottle<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        (LoginThrottle::new(limits, &clock), clock)
    }

    fn client(last: u8) -> Client {
        Addresses::default().client([192, 0, 2, last].into(), &[])
    }

    /// Fails until it is refused; how often, and what the refusal says to wait.
    fn fail(attempts: &LoginThrottle<FakeRelativeClock>, client: Client, name: &str, browser: Option<Uuid>) -> (usize, u64) {
        for count in 0..1_000 {
            if let Err(error) = attempts.begin(client, name, browser) {
                assert_eq!(error.code, Code::RateLimited);
                return (count, error.retry_after_ms.expect("a wait"));
            }
        }
        panic!("never refused");
    }

    #[test]
    fn five_failures_at_a_name_from_one_address_are_enough_and_other_names_and_addresses_go_on() {
        let (attempts, clock) = attempts(&Limits::default());
        assert_eq!(fail(&attempts, client(1), "alice", None), (5, 12_000));
        assert!(attempts.begin(client(1), "bob", None).is_ok(), "another user, same address");
        assert!(attempts.begin(client(2), "alice", None).is_ok(), "the same user, another address");
        clock.advance(Duration::from_secs(12));
        assert_eq!(fail(&attempts, client(1), "alice", None).0, 1);
    }

    #[test]
    fn thirty_failures_from_one_address_are_enough_whatever_the_names() {
        let (attempts, _) = attempts(&Limits::default());
        let failed = (0..100).take_while(|n| attempts.begin(client(1), &format!("nobody{n}"), None).is_ok()).count();
        assert_eq!(failed, 30);
        assert!(attempts.begin(client(2), "nobody", None).is_ok());
        let exempt = Client { exempt: true, ..client(1) };
        assert!((0..100).all(|n| attempts.begin(exempt, &format!("other{n}"), None).is_ok()));
    }

    #[test]
    fn a_hundred_failures_at_a_user_lock_out_everybody_but_a_browser_that_signed_in_before() {
        let (attempts, clock) = attempts(&Limits::default());
        let failed: usize = (0..40).map(|last| fail(&attempts, client(last), "alice", None).0).sum();
        assert_eq!(failed, 100);
        let told = attempts.begin(client(200), "alice", None).map(drop).expect_err("refused");
        assert_eq!(told.retry_after_ms, Some(36_000));
        let known = Some(Uuid::from_u128(7));
        assert_eq!(fail(&attempts, client(0), "alice", known), (5, 12_000), "also where an attacker shares the address");
        assert!(attempts.begin(client(0), "alice", Some(Uuid::from_u128(8))).is_ok(), "a browser has a count of its own");
        assert!(attempts.begin(client(200), "bob", None).is_ok());
        clock.advance(Duration::from_secs(36));
        assert!(attempts.begin(client(201), "alice", None).is_ok());
        assert!(attempts.begin(client(202), "alice", None).is_err());
    }

    #[test]
    fn a_browser_that_signed_in_before_counts_at_its_address_like_any_other() {
        let (attempts, _) = attempts(&Limits::default());
        let known = |n: u128| attempts.begin(client(1), "alice", Some(Uuid::from_u128(n))).is_ok();
        assert_eq!((0..100).take_while(|n| known(*n)).count(), 30, "each a browser of its own");
        assert!(attempts.begin(client(1), "bob", None).is_err(), "they used the address up for everybody");
        assert!(attempts.begin(client(2), "alice", Some(Uuid::from_u128(0))).is_ok());
        let others = (0..100).take_while(|n| attempts.begin(client(3), &format!("n{n}"), None).is_ok()).count();
        assert_eq!(others, 30);
        assert_eq!(fail(&attempts, client(4), "alice", None).0, 5, "they used nothing of the user up");
    }

    #[test]
    fn a_success_gives_everything_back_and_a_refusal_takes_nothing() {
        let (attempts, _) = attempts(&Limits::default());
        for _ in 0..1_000 {
            attempts.begin(client(1), "alice", None).expect("never locked out").forgive();
            attempts.begin(client(1), "alice", Some(Uuid::from_u128(7))).expect("never locked out").forgive();
        }
        fail(&attempts, client(1), "alice", None);
        for _ in 0..1_000 {
            assert!(attempts.begin(client(1), "alice", None).is_err());
        }
        let others = (0..100).take_while(|n| attempts.begin(client(1), &format!("n{n}"), None).is_ok()).count();
        assert_eq!(others, 25, "thirty, less the five that were counted");
        for _ in 0..1_000 {
            assert!(attempts.begin(client(1), "late", None).is_err());
        }
        assert_eq!(fail(&attempts, client(2), "late", None).0, 5, "what the address refused did not count for the user");
    }

    #[test]
    fn attempts_in_parallel_take_their_cells_before_any_is_decided() {
        let (attempts, _) = attempts(&Limits::default());
        let under_way: Vec<_> = (0..20).filter_map(|_| attempts.begin(client(1), "alice", None).ok()).collect();
        assert_eq!(under_way.len(), 5);
        under_way.into_iter().for_each(LoginAttempt::forgive);
        assert_eq!(fail(&attempts, client(1), "alice", None).0, 5);
    }

    #[test]
    fn where_no_more_can_be_counted_a_login_is_busy_and_a_known_browser_is_not() {
        let (attempts, clock) = attempts(&Limits { rate_keys: 10, ..Limits::default() });
        for last in 0..10 {
            attempts.begin(client(last), &format!("n{last}"), None).map(drop).expect("room");
        }
        assert_eq!(attempts.begin(client(11), "alice", None).map(drop).expect_err("full").code, Code::Busy);
        assert!(attempts.begin(client(11), "alice", Some(Uuid::from_u128(7))).is_ok());
        clock.advance(Duration::from_secs(36));
        assert!(attempts.begin(client(11), "alice", None).is_ok());
    }
}
