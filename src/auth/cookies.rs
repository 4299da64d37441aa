//! Cookies as this server sets them: for this host and path, over https where there is any, and for no script to read.

use std::time::Duration;

use actix_web::cookie::{Cookie, SameSite, time};

/// How cookies are set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cookies {
    /// For https only. Then the prefix `__Host-` makes browsers insist on https, this host and the root path.
    pub secure: bool,
}

impl Cookies {
    /// The full name of a cookie.
    pub fn name(self, short: &str) -> String {
        format!("{}{short}", if self.secure { "__Host-" } else { "" })
    }

    /// A cookie that lives so long.
    pub fn make(self, short: &str, value: String, life: Duration) -> Cookie<'static> {
        let seconds = i64::try_from(life.as_secs()).unwrap_or(i64::MAX);
        Cookie::build(self.name(short), value)
            .path("/")
            .secure(self.secure)
            .http_only(true)
            .same_site(SameSite::Lax)
            .max_age(time::Duration::seconds(seconds))
            .finish()
    }
}
