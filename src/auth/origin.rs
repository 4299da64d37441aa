//! Which web origins may use this server. Compared byte for byte; never taken from `Host`.

use actix_web::http::header::{HeaderMap, ORIGIN};

use crate::error::{Code, Error};

/// The allowed origins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins(Vec<String>);

impl Origins {
    /// These, each like `https://chat.example.org`.
    pub fn new(origins: impl IntoIterator<Item = String>) -> Origins {
        Origins(origins.into_iter().collect())
    }

    /// Judges the `Origin` of a request that changes something or opens a socket. A browser always sends one, so
    /// a request that has only a cookie to show must have one too.
    ///
    /// # Errors
    /// `foreign_origin`.
    pub fn judge(&self, headers: &HeaderMap, cookie_only: bool) -> Result<(), Error> {
        let mut sent = headers.get_all(ORIGIN);
        match (sent.next(), sent.next()) {
            (None, _) if cookie_only => {
                let detail = "A request with only a cookie must carry the Origin header. Send a bearer token instead.";
                Err(Error::new(Code::ForeignOrigin, detail))
            }
            (None, _) => Ok(()),
            (Some(origin), None) if self.0.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()) => Ok(()),
            _ => {
                let detail = "This origin is not allowed here. Add it to HAILGATE_ALLOWED_ORIGINS if it should be.";
                Err(Error::new(Code::ForeignOrigin, detail))
            }
        }
    }

    /// Whether a browser says that a page of another origin asks. Without an `Origin` (reads of the own page have none) by
    /// `Sec-Fetch-Site`, which no page can set (Fetch Metadata Request Headers).
    pub fn from_elsewhere(&self, headers: &HeaderMap) -> bool {
        if headers.contains_key(ORIGIN) {
            return self.judge(headers, false).is_err();
        }
        headers.get("sec-fetch-site").is_some_and(|site| site == "same-site" || site == "cross-site")
    }

    /// The allowed origins.
    pub fn list(&self) -> &[String] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    #[test]
    fn only_the_very_same_origin_is_allowed() {
        let origins = Origins::new(["https://chat.example.org".to_owned()]);
        let judge = |values: &[&str], cookie_only| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(ORIGIN, HeaderValue::from_str(value).expect("a header value"));
            }
            origins.judge(&headers, cookie_only).is_ok()
        };
        assert!(judge(&["https://chat.example.org"], true));
        assert!(judge(&[], false));
        let foreign = [
            "",
            "null",
            "http://chat.example.org",
            "https://chat.example.org:444",
            "https://chat.example.org.evil.example",
            "https://evil.example/https://chat.example.org",
            "https://x@chat.example.org",
            "https://CHAT.example.org",
            "file://",
        ];
        for origin in foreign {
            assert!(!judge(&[origin], true) && !judge(&[origin], false), "{origin}");
        }
        assert!(!judge(&[], true), "a cookie without an origin");
        assert!(!judge(&["https://chat.example.org", "https://chat.example.org"], true), "two origins");
    }
}
