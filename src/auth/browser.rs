//! Browsers that signed in before: a sealed cookie names the user and the browser. It proves no identity; it only
//! keeps failures that others cause from locking the owner out of his own browser.

use std::{sync::Arc, time::Duration};

use actix_web::{HttpRequest, cookie::Cookie};
use uuid::Uuid;

use super::{Cookies, KeyRing};
use crate::domain::{Time, UserId};

/// The cookie's name, without a prefix.
const NAME: &str = "hailgate-browser";
/// What the ring seals it for.
const PURPOSE: &str = "known browser";
/// How long a browser is known after a login.
const LIFE: Duration = Duration::from_secs(180 * 24 * 60 * 60);

/// Knows browsers again.
pub struct Browsers {
    ring: Arc<KeyRing>,
    cookies: Cookies,
}

impl Browsers {
    /// With the keys that seal the cookie.
    pub fn new(ring: Arc<KeyRing>, cookies: Cookies) -> Browsers {
        Browsers { ring, cookies }
    }

    /// Which browser this is, if it signed in as this user before.
    pub fn known(&self, request: &HttpRequest, user: &str, now: Time) -> Option<Uuid> {
        let cookie = request.cookie(&self.cookies.name(NAME))?;
        self.read(cookie.value(), user, now)
    }

    fn read(&self, sealed: &str, user: &str, now: Time) -> Option<Uuid> {
        let text = self.ring.open(PURPOSE, sealed)?;
        let mut parts = text.splitn(3, ' ');
        let (at, browser, named) = (parts.next()?, parts.next()?, parts.next()?);
        let at = Time::from_seconds(at.parse().ok()?);
        let young = at <= now && now.since(at) < LIFE;
        (young && named == user).then(|| Uuid::try_parse(browser).ok()).flatten()
    }

    /// The cookie by which a browser that signs in now is known later; it stays the same browser.
    pub fn remember(&self, request: &HttpRequest, user: &UserId, now: Time) -> Cookie<'static> {
        let browser = self.known(request, user.as_str(), now).unwrap_or_else(Uuid::new_v4);
        let text = format!("{} {browser} {user}", now.seconds());
        self.cookies.make(NAME, self.ring.seal(PURPOSE, &text), LIFE)
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_browser_is_known_for_its_user_alone_until_its_time_is_over_and_stays_the_same() {
        let ring = Arc::new(KeyRing::new(&[[1; 64]]).expect("a ring"));
        let browsers = Browsers::new(Arc::clone(&ring), Cookies { secure: true });
        let (alice, now) = (UserId::parse("alice").expect("a user id"), Time(1_700_000_000_000));
        let nobody = TestRequest::default().to_http_request();
        let cookie = browsers.remember(&nobody, &alice, now);
        assert_eq!(cookie.name(), "__Host-hailgate-browser");
        let asks = |cookie: &Cookie<'static>| TestRequest::default().cookie(cookie.clone()).to_http_request();
        let first = browsers.known(&asks(&cookie), "alice", now).expect("known");
        assert_eq!(browsers.known(&asks(&cookie), "bob", now), None);
        assert_eq!(browsers.known(&nobody, "alice", now), None);
        assert_eq!(browsers.known(&asks(&cookie), "alice", now.plus(LIFE)), None);
        assert_eq!(browsers.known(&asks(&cookie), "alice", Time(now.0 - 60_000)), None, "from a future");
        let again = browsers.remember(&asks(&cookie), &alice, now.plus(LIFE / 2));
        assert_eq!(browsers.known(&asks(&again), "alice", now.plus(LIFE)), Some(first));
        assert_ne!(browsers.known(&asks(&browsers.remember(&nobody, &alice, now)), "alice", now), Some(first));
        let session = Cookie::new(cookie.name().to_owned(), ring.seal("session", "1700000000 x alice"));
        assert_eq!(browsers.known(&asks(&session), "alice", now), None);
    }
}
