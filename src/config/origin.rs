//! Origins of pages, written exactly as browsers send them in `Origin`.
//!
//! An `Origin` header is compared byte for byte, so an origin written otherwise (upper case, a default port, an IPv6 address not
//! compressed) would allow no page at all. Each is parsed by the WHATWG URL standard, as browsers do, and compared with what was
//! written. Web views (Capacitor, Tauri, Ionic, Electron) send origins of schemes of their own, which that standard calls opaque:
//! they are taken as scheme, host and port in lower case.

use actix_web::http::Uri;
use url::{Host, Url};

use super::{Environment, check::Checker};

/// Schemes that have no pages, or whose pages all share one origin.
const NO_PAGES: &[&str] =
    &["ws", "wss", "ftp", "file", "data", "blob", "about", "javascript", "filesystem", "sqlite", "postgres"];

/// What is known about an origin that is written right.
#[derive(Debug, PartialEq, Eq)]
struct Origin {
    /// Nobody between client and server can read along: https, this machine, or a page inside an app.
    private: bool,
    /// The scheme is one of an app's own.
    web_view: bool,
}

/// What is wrong, and how it must be written, where that can be told.
#[derive(Debug, PartialEq, Eq)]
struct Wrong {
    what: String,
    right: Option<String>,
}

impl Wrong {
    fn new(what: impl Into<String>) -> Wrong {
        Wrong { what: what.into(), right: None }
    }

    fn otherwise(right: String) -> Wrong {
        Wrong { what: "is not how a browser writes an origin".to_owned(), right: Some(right) }
    }
}

/// Whether a host is this machine's own. Names under `localhost` are by RFC 6761 section 6.3.
fn is_loopback(host: &Host<&str>) -> bool {
    match host {
        Host::Domain(name) => *name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(ip) => ip.is_loopback(),
        Host::Ipv6(ip) => ip.is_loopback(),
    }
}

fn parse(text: &str) -> Result<Origin, Wrong> {
    if text.contains('*') {
        return Err(Wrong::new("has a wildcard, and each origin must be named"));
    }
    let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    match scheme.as_deref() {
        Some("http" | "https") => parse_web(text),
        Some(scheme) if !NO_PAGES.contains(&scheme) => parse_web_view(text),
        _ => Err(Wrong::new("is no origin")),
    }
}

fn parse_web(text: &str) -> Result<Origin, Wrong> {
    let url = Url::parse(text).map_err(|error| Wrong::new(format!("is no origin: {error}")))?;
    let canonical = url.origin().ascii_serialization();
    // The layer that answers browsers reads origins by a stricter parser.
    let (Some(host), Ok(_)) = (url.host(), canonical.parse::<Uri>()) else {
        return Err(Wrong::new("is no origin: its host cannot be one"));
    };
    if canonical != text {
        return Err(Wrong::otherwise(canonical));
    }
    Ok(Origin { private: url.scheme() == "https" || is_loopback(&host), web_view: false })
}

fn parse_web_view(text: &str) -> Result<Origin, Wrong> {
    let wrong = || Wrong::new("is no origin: write scheme://host as the web view sends it, like capacitor://localhost");
    let lower = text.to_ascii_lowercase();
    let (scheme, rest) = lower.split_once("://").ok_or_else(wrong)?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (host, port) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
    let of_scheme = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"+.-".contains(&b);
    let of_host = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
    let fits = scheme.starts_with(|c: char| c.is_ascii_lowercase()) && scheme.bytes().all(of_scheme);
    if !fits || host.is_empty() || !host.bytes().all(of_host) {
        return Err(wrong());
    }
    let port: Option<u16> = port.map(str::parse).transpose().map_err(|_| wrong())?;
    let canonical = format!("{scheme}://{host}{}", port.map(|port| format!(":{port}")).unwrap_or_default());
    if canonical == text { Ok(Origin { private: true, web_view: true }) } else { Err(Wrong::otherwise(canonical)) }
}

/// Whether browsers may send a cookie of the server at `public_url` (SameSite=Lax) with requests of a page of `origin`. A site is
/// a scheme and a registrable domain, of which the list is not known here: hosts that share their last two labels count as
/// one site.
pub fn may_share_a_cookie(public_url: &str, origin: &str) -> bool {
    let (Ok(own), Ok(other)) = (Url::parse(public_url), Url::parse(origin)) else { return false };
    let end = |url: &Url| match url.host() {
        Some(Host::Domain(name)) => {
            let labels: Vec<&str> = name.rsplit('.').take(2).collect();
            Some(labels.join("."))
        }
        other => other.map(|host| host.to_string()),
    };
    own.scheme() == other.scheme() && end(&own).is_some() && end(&own) == end(&other)
}

/// Whether a browser that follows the standard keeps a Secure cookie from a server at this address: over https, or from this machine.
/// `None` where browsers differ, which is over http from this machine.
pub fn keeps_secure_cookies(public_url: &str) -> Option<bool> {
    let url = Url::parse(public_url).ok();
    let here = url.as_ref().and_then(Url::host).is_some_and(|host| is_loopback(&host));
    match url.as_ref().map(Url::scheme) {
        Some("https") => Some(true),
        _ if here => None,
        _ => Some(false),
    }
}

impl Checker<'_> {
    /// The origin under which browsers see this server. A slash at its end is what address bars show.
    pub(super) fn public_url(&mut self, environment: Option<Environment>) -> Option<String> {
        self.written("public_url")?;
        let text = self.text("public_url");
        let text = text.strip_suffix('/').unwrap_or(&text);
        let (origin, found) = self.origin("public_url", text, environment)?;
        if found.web_view {
            let remedy = "Write the address that browsers ask, like https://chat.example.org.";
            self.complain("public_url", format!("{text:?} is the origin of a web view, not of a server."), remedy);
            return None;
        }
        Some(origin)
    }

    /// Origins of other pages that may use this server.
    pub(super) fn allowed_origins(&mut self, environment: Option<Environment>) -> Vec<String> {
        let text = self.text("allowed_origins");
        let parts: Vec<&str> = text.split(',').filter(|part| !part.is_empty()).collect();
        let origins = parts.iter().filter_map(|part| self.origin("allowed_origins", part, environment));
        origins.map(|(origin, _)| origin).collect()
    }

    fn origin(&mut self, key: &'static str, text: &str, environment: Option<Environment>) -> Option<(String, Origin)> {
        let remedy = "Write it as browsers do: https://chat.example.org, without path, in lower case.";
        if text.contains('@') {
            // Not repeated: what stands before it may be a password.
            self.complain(key, format!("`{key}` holds an `@`, which no origin has."), remedy);
            return None;
        }
        let relaxed = matches!(environment, Some(Environment::Development | Environment::Testing));
        match parse(text) {
            Err(Wrong { what, right }) => {
                let remedy = right.map_or_else(|| remedy.to_owned(), |right| format!("Write it as {right}."));
                self.complain(key, format!("{text:?} {what}."), remedy);
                None
            }
            Ok(origin) if !origin.private && !relaxed => {
                let what = format!("{text:?} is plain http: cookies and messages would travel in the open.");
                self.complain(key, what, "Use https.");
                None
            }
            Ok(origin) => Some((text.to_owned(), origin)),
        }
    }
}

/// The host of an address of another server, and whether it is this machine; `None` if the text is no such address.
pub(super) fn host_of(address: &str) -> Option<(String, String, bool)> {
    let url = Url::parse(address).ok()?;
    let host = url.host()?;
    Some((url.scheme().to_owned(), host.to_string(), is_loopback(&host)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Origins as browsers and web views send them.
    const SENT: &[&str] = &[
        "https://chat.example.org",
        "https://chat.example.org:8443",
        "https://chat.example.org.",
        "https://a_b.example.org",
        "http://localhost:8080",
        "http://127.0.0.1:8080",
        "https://[2001:db8::1]",
        "http://[::1]:1",
        "https://xn--bcher-kva.example",
        "http://tauri.localhost",
        "capacitor://localhost",
        "ionic://localhost",
        "tauri://localhost",
        "app://.",
        "app://bundle.example",
        "app://localhost:3000",
        "chrome-extension://aapbdbdomjkkjkaonfhkkikfgjllcleb",
        "moz-extension://2c127fa4-62c7-7e4f-90e5-472b45eecfdc",
    ];
    /// Other ways to write an origin, and the right one.
    const OTHERWISE: &[(&str, &str)] = &[
        ("https://[2001:0db8:0:0:0:0:0:1]", "https://[2001:db8::1]"),
        ("https://[2001:DB8::1]:443", "https://[2001:db8::1]"),
        ("https://[::ffff:192.0.2.1]", "https://[::ffff:c000:201]"),
        ("https://chat.example.org:08443", "https://chat.example.org:8443"),
        ("https://chat.example.org:443", "https://chat.example.org"),
        ("https://chat.example.org:", "https://chat.example.org"),
        ("http://chat.example.org:80", "http://chat.example.org"),
        ("http://127.1:8080", "http://127.0.0.1:8080"),
        ("http://2130706433", "http://127.0.0.1"),
        ("http://0x7f.1", "http://127.0.0.1"),
        ("https://Chat.Example.org", "https://chat.example.org"),
        ("HTTPS://chat.example.org", "https://chat.example.org"),
        ("https://b\u{fc}cher.example", "https://xn--bcher-kva.example"),
        ("https://chat.example.org/", "https://chat.example.org"),
        ("https://chat.example.org/path?x=1#y", "https://chat.example.org"),
        ("https://chat.example.org\\", "https://chat.example.org"),
        ("https:///chat.example.org", "https://chat.example.org"),
        ("https://ch%61t.example.org", "https://chat.example.org"),
        ("Capacitor://localhost", "capacitor://localhost"),
        ("capacitor://LOCALHOST/", "capacitor://localhost"),
        ("app://localhost:03000", "app://localhost:3000"),
        ("tauri://localhost/index.html", "tauri://localhost"),
    ];
    /// What is no origin.
    const NONE: &[&str] = &[
        "",
        "null",
        "*",
        "chat.example.org",
        "https://",
        "https://*.example.org",
        "https://chat.example.org:99999",
        "https://chat.example.org:80a",
        "https://a b",
        "https://1.2.3.4.5",
        "https://[::1",
        "https://[fe80::1%25eth0]",
        "wss://chat.example.org",
        "file://",
        "file:///a",
        "ftp://x",
        "capacitor://",
        "capacitor:///localhost",
        "capacitor://local host",
        "app://localhost:99999",
        "1app://localhost",
        "://localhost",
    ];

    #[test]
    fn an_origin_that_a_browser_sends_is_taken_and_every_other_form_is_told_how_to_write_it() {
        for text in SENT {
            assert!(parse(text).is_ok_and(|origin| origin.private), "{text}: {:?}", parse(text));
        }
        for (text, right) in OTHERWISE {
            assert_eq!(parse(text), Err(Wrong::otherwise((*right).to_owned())), "{text}");
            assert!(parse(right).is_ok(), "{right}");
        }
        for text in NONE {
            assert!(parse(text).is_err_and(|wrong| wrong.right.is_none()), "{text}: {:?}", parse(text));
        }
        assert_eq!(parse("http://chat.example.org"), Ok(Origin { private: false, web_view: false }));
    }

    #[test]
    fn a_cookie_stays_on_its_site() {
        let own = "https://chat.example.org";
        for (origin, may) in [
            ("https://www.example.org", true),
            ("https://chat.example.org:8443", true),
            ("http://chat.example.org", false),
            ("https://chat.example.com", false),
            ("capacitor://localhost", false),
            ("https://192.0.2.1", false),
        ] {
            assert_eq!(may_share_a_cookie(own, origin), may, "{origin}");
        }
        assert!(may_share_a_cookie("http://127.0.0.1:1", "http://127.0.0.1:2"));
        assert!(!may_share_a_cookie("http://127.0.0.1:1", "http://127.0.0.2:1"));
        for (url, keeps) in [
            (own, Some(true)),
            ("http://chat.example.org", Some(false)),
            ("http://127.0.0.1:8080", None),
            ("http://[::1]:1", None),
            ("http://a.localhost", None),
        ] {
            assert_eq!(keeps_secure_cookies(url), keeps, "{url}");
        }
    }
}
