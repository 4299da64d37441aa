//! How fast clients and users may ask: by address where nobody is known yet, by user afterwards. Each refusal says when
//! to try again.

use std::time::Duration;

use actix_web::{HttpRequest, web};
use governor::clock::MonotonicClock;
use uuid::Uuid;

use super::{
    address::{Addresses, Forwarding, Network},
    keyed_limiter::{KeyedLimiter, LimitExceeded, RateQuota},
    login_throttle::{AddressAttempt, LoginAttempt, LoginThrottle},
};
use crate::{
    domain::{Limits, UserId},
    error::{Code, Error},
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// Every rate of this node that is not the hub's.
pub struct Rates {
    addresses: Addresses,
    upgrades: KeyedLimiter<Network>,
    attempts: LoginThrottle,
    requests: KeyedLimiter<UserId>,
    searches: KeyedLimiter<UserId>,
    tickets: KeyedLimiter<UserId>,
    tokens: KeyedLimiter<UserId>,
    threads: KeyedLimiter<UserId>,
    members: KeyedLimiter<UserId>,
}

impl Rates {
    /// With the limits in force.
    pub fn new(limits: &Limits, addresses: Addresses) -> Rates {
        let clock = &MonotonicClock;
        let user = |what, count, period, burst| {
            KeyedLimiter::new(what, RateQuota { count, period, burst }, limits.rate_keys, clock)
        };
        let upgrades = RateQuota { count: limits.upgrades_per_second, period: SECOND, burst: limits.upgrades_burst };
        Rates {
            addresses,
            upgrades: KeyedLimiter::new("upgrades by address", upgrades, limits.rate_keys, clock),
            attempts: LoginThrottle::new(limits, clock),
            requests: user("requests by user", limits.rest_per_second, SECOND, limits.rest_burst),
            searches: user("searches by user", limits.searches_per_second, SECOND, limits.searches_per_second),
            tickets: user("tickets by user", limits.tickets_per_second, SECOND, limits.tickets_per_second),
            tokens: user("tokens by user", limits.tickets_per_second, SECOND, limits.tickets_per_second),
            threads: user("new threads by user", limits.threads_per_minute, MINUTE, limits.threads_burst),
            members: user("added members by user", limits.members_per_minute, MINUTE, limits.members_per_minute),
        }
    }

    /// The rates of the node that got this request.
    ///
    /// # Errors
    /// `internal`, if there are none: nothing is let through uncounted.
    pub fn of(request: &HttpRequest) -> Result<&Rates, Error> {
        let rates = request.app_data::<web::Data<Rates>>().map(|rates| rates.get_ref());
        rates.ok_or_else(|| Error::new(Code::Internal, "The server has no rates to count by."))
    }

    /// Where limits by address count the client, as text.
    pub fn client(&self, request: &HttpRequest) -> String {
        self.addresses.of(request).network.to_string()
    }

    /// How that address was found.
    pub fn forwarding(&self, request: &HttpRequest) -> Forwarding {
        self.addresses.forwarding(request)
    }

    /// One upgrade of the client's address.
    ///
    /// # Errors
    /// `rate_limited`, or `busy` if no more addresses can be counted.
    pub fn upgrade(&self, request: &HttpRequest) -> Result<(), Error> {
        let client = self.addresses.of(request);
        if client.exempt {
            return Ok(());
        }
        self.upgrades.take(&client.network).map_err(|refused| refusal("upgrades from your address", refused))
    }

    /// Whether an upgrade would be let through now; counts nothing.
    ///
    /// # Errors
    /// As [`Rates::upgrade`].
    pub fn would_upgrade(&self, request: &HttpRequest) -> Result<(), Error> {
        self.upgrade(request)?;
        let client = self.addresses.of(request);
        if !client.exempt {
            self.upgrades.give_back(&client.network);
        }
        Ok(())
    }

    /// Begins a login.
    ///
    /// # Errors
    /// `rate_limited` after too many failures, or `busy`.
    pub fn login(&self, request: &HttpRequest, name: &str, browser: Option<Uuid>) -> Result<LoginAttempt<'_>, Error> {
        self.attempts.begin(self.addresses.of(request), name, browser)
    }

    /// Begins an attempt that names nobody: with a code, a refresh token or a ticket.
    ///
    /// # Errors
    /// As [`Rates::login`].
    pub fn sign_in(&self, request: &HttpRequest) -> Result<AddressAttempt<'_>, Error> {
        self.attempts.begin_nameless(self.addresses.of(request))
    }

    /// One REST request of a user.
    ///
    /// # Errors
    /// `rate_limited`, or `busy` if no more users can be counted.
    pub fn request(&self, user: &UserId) -> Result<(), Error> {
        self.requests.take(user).map_err(|refused| refusal("requests", refused))
    }

    /// One search for people.
    ///
    /// # Errors
    /// As [`Rates::request`].
    pub fn search(&self, user: &UserId) -> Result<(), Error> {
        self.searches.take(user).map_err(|refused| refusal("searches", refused))
    }

    /// One ticket.
    ///
    /// # Errors
    /// As [`Rates::request`].
    pub fn ticket(&self, user: &UserId) -> Result<(), Error> {
        self.tickets.take(user).map_err(|refused| refusal("tickets", refused))
    }

    /// One pair of tokens.
    ///
    /// # Errors
    /// As [`Rates::request`].
    pub fn token(&self, user: &UserId) -> Result<(), Error> {
        self.tokens.take(user).map_err(|refused| refusal("tokens", refused))
    }

    /// One new thread with so many members to add, or nothing.
    ///
    /// # Errors
    /// As [`Rates::request`]; `invalid` if so many could never be added at once.
    pub fn thread(&self, user: &UserId, members: usize) -> Result<(), Error> {
        self.threads.take(user).map_err(|refused| refusal("new threads", refused))?;
        self.members(user, members).inspect_err(|_| self.threads.give_back(user))
    }

    /// The thread was there already, or was not made.
    pub fn no_thread(&self, user: &UserId) {
        self.threads.give_back(user);
    }

    /// So many added members.
    ///
    /// # Errors
    /// As [`Rates::thread`].
    pub fn members(&self, user: &UserId, members: usize) -> Result<(), Error> {
        let members = u32::try_from(members).unwrap_or(u32::MAX);
        self.members.take_some(user, members).map_err(|refused| match refused {
            LimitExceeded::TooMany => Error::field("members", "names more people than can be added at once; add some later"),
            other => refusal("added members", other),
        })
    }
}

/// Whole milliseconds that are surely enough.
pub(super) fn wait_ms(wait: Duration) -> u64 {
    u64::try_from(wait.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX).max(1)
}

/// What a client is told that is refused by a rate; `what` names the things that are counted.
pub fn refusal(what: &str, refused: LimitExceeded) -> Error {
    match refused {
        LimitExceeded::Limited(wait) => {
            let detail = format!("Too many {what}. Wait a little, then try again.");
            Error::new(Code::RateLimited, detail).after_ms(wait_ms(wait))
        }
        LimitExceeded::TooMany | LimitExceeded::Full => {
            let detail = format!("So many others ask that your {what} cannot be counted. Try again.");
            Error::new(Code::Busy, detail).after_ms(1_000)
        }
    }
}
