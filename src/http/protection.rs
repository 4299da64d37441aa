//! Headers that protect browsers. Each kind of answer carries those that a browser reads of it, and no others: a page loads dozens of
//! files, and the rules of a document on each of them would be a third of what it loads.

use actix_web::{
    HttpResponse,
    http::header::{self, HeaderMap, HeaderName, HeaderValue},
};

/// Which headers an answer carries. The handler leaves it in the extensions of the answer; without it the answer is [`Data`](Protection::Data).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// A browser may show it as a page or run it as a worker: the rules for what it may do.
    Document,
    /// A script or style of the page, which obeys the rules of the page that loads it.
    File,
    /// Everything else: JSON, problem documents, redirects. Where a browser shows it as a page all the same, it may do nothing.
    Data,
}

/// On every answer: its type is what it says, and pages of other origins do not embed it.
static ALL: [(HeaderName, HeaderValue); 2] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
];

/// No inline script or style, nothing from another origin, no frame around it. The one trusted type is the address of the page's
/// service worker.
static DOCUMENT: [(HeaderName, HeaderValue); 4] = [
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
             form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types hailgate",
        ),
    ),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    // The page needs none of what a browser could give it. Names that some browser does not know it reports at every load.
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static(
            "accelerometer=(), autoplay=(), browsing-topics=(), camera=(), display-capture=(), encrypted-media=(), \
             fullscreen=(), geolocation=(), gyroscope=(), hid=(), idle-detection=(), local-fonts=(), magnetometer=(), \
             microphone=(), midi=(), payment=(), picture-in-picture=(), publickey-credentials-get=(), screen-wake-lock=(), \
             serial=(), storage-access=(), usb=(), xr-spatial-tracking=()",
        ),
    ),
];

static DATA: [(HeaderName, HeaderValue); 2] = [
    (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'")),
    // A redirect hands its policy on to the request that follows it.
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
];

/// Where the server is reached over https, browsers shall not try anything else for a year.
const HTTPS_ONLY: HeaderValue = HeaderValue::from_static("max-age=31536000");

impl Protection {
    /// Sets the headers of an answer. `https`: whether browsers reach the server over https. If not, no answer may ask them to
    /// insist on it (RFC 6797 section 7.2).
    pub fn apply(response: &mut HttpResponse, https: bool) {
        let own: &[(HeaderName, HeaderValue)] = match response.extensions().get().copied().unwrap_or(Protection::Data) {
            Protection::Document => &DOCUMENT,
            Protection::File => &[],
            Protection::Data => &DATA,
        };
        let headers: &mut HeaderMap = response.headers_mut();
        for (name, value) in ALL.iter().chain(own) {
            headers.insert(name.clone(), value.clone());
        }
        if https {
            headers.insert(header::STRICT_TRANSPORT_SECURITY, HTTPS_ONLY);
        }
    }
}
