//! What is asked of a running server from outside, and what proves the answers right. Routes and refusals come from the
//! table that the start-up probe walks. Every request is harmless: it shows nothing, or something that opens nothing.

use reqwest::{Url, header::HeaderMap};
use serde::Serialize;
use serde_json::Value;

use super::cures::{Fault, Proxy};
use crate::{
    config::Environment,
    error::Code,
    http::routes::{Access, Route, TABLE},
};

/// An origin that no server allows: the name can belong to nobody (RFC 6761).
pub const FOREIGN: &str = "https://foreign.invalid";
/// An address that no client has (RFC 5737), as somebody would write who wants to count as another.
const FORGED: &str = "192.0.2.1";
/// As many bytes as a message may have as JSON.
const BODY_BYTES: usize = 128 * 1024 - 1;
/// A token that no server made.
const GARBAGE: &str = "not-a-token";

/// One request, and what its answer must prove.
#[derive(Debug)]
pub struct Ask {
    /// What is special about it.
    pub name: &'static str,
    pub method: String,
    pub url: Url,
    pub headers: Vec<(&'static str, String)>,
    /// Bytes of a body; it says nothing.
    pub body: usize,
    /// Whether it asks to become a WebSocket.
    pub upgrade: bool,
    pub proofs: Vec<Proof>,
}

/// What an answer must prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// This status.
    Status(u16),
    /// A problem document of this row of the table of codes.
    Refused(Code),
    /// The name of this program.
    Name,
    /// A known environment, or this one.
    Environment(Option<Environment>),
    /// A header whose value contains a text.
    Header(&'static str, &'static str),
    /// That the request reached the server as an upgrade.
    Upgrade,
    /// That the server finds the client's address, if there is a proxy.
    Address,
    /// That the server does not take a client's word for its address.
    NotForged,
    /// That a cookie reached the server.
    Cookie,
    /// No version of any program.
    NoVersion,
    /// No header that lets a page of another origin read the answer.
    NotShared,
    /// A redirect to https, or nobody there.
    OnlyHttps,
}

/// An answer as far as it is judged.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

/// A question with its answer.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    pub question: String,
    pub asked: String,
    pub expected: String,
    pub got: String,
    pub ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#do: Option<String>,
}

/// What is known of the way to the server from all of its answers.
#[derive(Debug, Clone, Copy, Default)]
pub struct Way {
    proxy: Option<Proxy>,
    http10: bool,
}

/// What the server says that it is.
const NAME: &str = "hailgate";

impl Way {
    /// What to do about a fault on this way.
    pub fn cure(self, fault: Fault) -> String {
        fault.cure(self.proxy)
    }

    /// As far as these answers show it.
    pub fn of(answers: &[&Seen]) -> Way {
        let http10 = answers.iter().any(|seen| arrived(seen, "http") == "1.0");
        Way { proxy: answers.iter().find_map(|seen| Proxy::of(&seen.headers)), http10 }
    }
}

/// Everything that is asked, the first of it whether the server is there, and one of these. `pages`: the origin of the pages that
/// people open, if there are any.
pub fn asks(base: &Url, expected: Option<Environment>, pages: Option<&str>) -> Vec<Ask> {
    let https = base.scheme() == "https";
    let ask = |name, handler: &str, headers: Vec<(&'static str, String)>, proofs: Vec<Proof>| {
        of(base, name, Route::of(handler), headers, proofs)
    };
    let mut page = vec![
        Proof::Header("content-security-policy", "frame-ancestors"),
        Proof::Header("x-content-type-options", "nosniff"),
        Proof::NoVersion,
    ];
    if https {
        page.push(Proof::Header("strict-transport-security", "max-age="));
    }
    let mut asks = vec![
        ask("environment", "system::info", vec![], vec![Proof::Name, Proof::Environment(expected), Proof::NoVersion]),
        ask("readiness", "system::ready", vec![], vec![Proof::Status(200)]),
        ask("the page", "assets::page", vec![], page),
    ];
    asks.extend(sockets(base, pages));
    // The server reads it before it refuses it, and so a proxy does too: another route would answer 401 at once.
    let mut large =
        ask("a login of as many blanks as a body may have", "auth::login", vec![], vec![Proof::Refused(Code::Invalid)]);
    large.body = BODY_BYTES;
    asks.push(large);
    let posting = ("access-control-request-method", "POST".to_owned());
    let mut preflight = ask(
        "a preflight from a foreign origin",
        "messages::send",
        vec![("origin", FOREIGN.to_owned()), posting],
        vec![Proof::NotShared],
    );
    "OPTIONS".clone_into(&mut preflight.method);
    asks.push(preflight);
    asks.extend(TABLE.iter().filter_map(|route| {
        let refusal = route.access.refusal()?;
        let upgrade = route.access == Access::Upgrade;
        let name = if upgrade { "an upgrade without credentials" } else { "a request without credentials" };
        let mut proofs = vec![Proof::Refused(refusal)];
        if upgrade {
            proofs.extend([Proof::Upgrade, Proof::Address]);
        }
        Some(of(base, name, route, vec![], proofs))
    }));
    // Where https has a port of its own, nobody knows which port plain http would have.
    if https && base.port().is_none() {
        let mut plain = ask("plain http", "system::live", vec![], vec![Proof::OnlyHttps]);
        if plain.url.set_scheme("http").is_ok() {
            asks.push(plain);
        }
    }
    asks
}

/// Upgrades that show something.
fn sockets(base: &Url, pages: Option<&str>) -> Vec<Ask> {
    let route = Route::of("admission::connect");
    let ask = |name, header: &'static str, value: &str, proofs: &[Proof]| {
        of(base, name, route, vec![(header, value.to_owned())], proofs.to_vec())
    };
    let (unauthenticated, bad) = (Proof::Refused(Code::Unauthenticated), Proof::Refused(Code::BadCredentials));
    let mut query = of(base, "an upgrade with a garbage query token", route, vec![], vec![bad]);
    query.url.set_query(Some(&format!("token={GARBAGE}")));
    let mut asks = vec![
        ask("an upgrade from a foreign origin", "origin", FOREIGN, &[Proof::Refused(Code::ForeignOrigin)]),
        ask("an upgrade with a garbage bearer", "authorization", &format!("Bearer {GARBAGE}"), &[bad]),
        query,
        ask("an upgrade with a forged address", "x-forwarded-for", FORGED, &[unauthenticated, Proof::NotForged]),
        ask("an upgrade with a cookie", "cookie", "hailgate-check=1", &[unauthenticated, Proof::Cookie]),
    ];
    asks.extend(pages.map(|own| ask("an upgrade from the own origin", "origin", own, &[unauthenticated])));
    asks
}

fn of(base: &Url, name: &'static str, route: &Route, headers: Vec<(&'static str, String)>, proofs: Vec<Proof>) -> Ask {
    let mut url = base.clone();
    url.set_path(&route.example());
    let upgrade = route.access == Access::Upgrade;
    Ask { name, method: route.method.to_uppercase(), url, headers, body: 0, upgrade, proofs }
}

impl Ask {
    /// One finding a proof. `answer` is the answer, or why there is none.
    pub fn judge(&self, answer: &Result<Seen, String>, way: Way) -> Vec<Finding> {
        let https = self.url.scheme() == "https";
        let finding = |proof: &Proof| {
            let (got, ok) = match answer {
                Ok(seen) => (proof.got(seen), proof.holds(seen, https)),
                Err(trouble) => (trouble.clone(), *proof == Proof::OnlyHttps),
            };
            let at = self.url.query().map(|query| format!("?{query}")).unwrap_or_default();
            Finding {
                question: proof.question(self.name),
                asked: format!("{} {}{at}", self.method, self.url.path()),
                expected: proof.expected(),
                got,
                ok,
                r#do: (!ok).then(|| proof.remedy(answer.as_ref().ok(), way)),
            }
        };
        // How a request arrived is not known of an answer that is wrong by itself.
        let right =
            self.proofs.iter().all(|proof| proof.of_arrival() || answer.as_ref().is_ok_and(|seen| proof.holds(seen, https)));
        self.proofs.iter().filter(|proof| right || !proof.of_arrival()).map(finding).collect()
    }
}

fn header<'a>(seen: &'a Seen, name: &str) -> Option<&'a str> {
    seen.headers.get(name).map(|value| value.to_str().unwrap_or("(not text)"))
}

/// How the server says that a request for a socket arrived.
fn arrived<'a>(seen: &'a Seen, field: &str) -> &'a str {
    seen.body["arrived"][field].as_str().unwrap_or_default()
}

fn text<'a>(seen: &'a Seen, field: &str) -> &'a str {
    seen.body[field].as_str().unwrap_or_default()
}

/// Where programs tell strangers which version they are: in headers by a number, in a document by a field.
fn versions(seen: &Seen) -> Vec<String> {
    let numbered = |name: &&&str| header(seen, name).is_some_and(|value| value.contains(|c: char| c.is_ascii_digit()));
    let headers = ["server", "x-powered-by"].iter().filter(numbered);
    let headers = headers.map(|name| format!("{name}: {}", header(seen, name).unwrap_or_default()));
    let fields = ["version", "git_commit", "build_time", "node_id"].iter().filter(|field| !text(seen, field).is_empty());
    headers.chain(fields.map(|field| format!("{field} in the body"))).collect()
}

impl Proof {
    /// Whether it is of how the request reached the server.
    fn of_arrival(self) -> bool {
        matches!(self, Proof::Upgrade | Proof::Address | Proof::NotForged | Proof::Cookie)
    }

    fn question(self, name: &str) -> String {
        match self {
            Proof::Header(header, _) => format!("{header} of {name}"),
            Proof::NoVersion => format!("no version told by {name}"),
            Proof::Name => "a Hailgate at that address".to_owned(),
            Proof::Upgrade => format!("{name}, as it reaches the server"),
            Proof::Address | Proof::NotForged => format!("the client's address of {name}"),
            Proof::Cookie => format!("the cookie of {name}"),
            _ => name.to_owned(),
        }
    }

    fn expected(self) -> String {
        match self {
            Proof::Status(status) => status.to_string(),
            Proof::Refused(code) => format!("{} {}", code.status(), code.name()),
            Proof::Name => format!("the name {NAME}"),
            Proof::Environment(Some(environment)) => environment.name().to_owned(),
            Proof::Environment(None) => "the name of an environment".to_owned(),
            Proof::Header(_, part) => format!("a value with {part}"),
            Proof::Upgrade => "an upgrade".to_owned(),
            Proof::Address => "passed on by a proxy that is trusted, or no proxy".to_owned(),
            Proof::NotForged => "not the one that the client wrote".to_owned(),
            Proof::Cookie => "a cookie".to_owned(),
            Proof::NoVersion => "none".to_owned(),
            Proof::NotShared => "no access-control-allow-origin".to_owned(),
            Proof::OnlyHttps => "a redirect to https, or nobody there".to_owned(),
        }
    }

    fn got(self, seen: &Seen) -> String {
        let code = text(seen, "code");
        let status = if code.is_empty() { seen.status.to_string() } else { format!("{} {code}", seen.status) };
        match self {
            Proof::Status(_) | Proof::Refused(_) => status,
            Proof::Name if text(seen, "name").is_empty() => format!("{status} without a name"),
            Proof::Name => short(text(seen, "name")),
            Proof::Environment(_) if text(seen, "environment").is_empty() => status,
            Proof::Environment(_) => text(seen, "environment").to_owned(),
            Proof::Header(name, _) => header(seen, name).map_or_else(|| "no such header".to_owned(), short),
            proof if proof.of_arrival() && !seen.body["arrived"].is_object() => {
                format!("{status}, which does not say how it arrived")
            }
            Proof::Upgrade if seen.body["arrived"]["upgrade"] == true => "an upgrade".to_owned(),
            Proof::Upgrade => {
                format!(
                    "an ordinary request over HTTP/{}: {}",
                    short(arrived(seen, "http")),
                    short(arrived(seen, "upgrade_fault"))
                )
            }
            Proof::Address | Proof::NotForged => match arrived(seen, "forwarded") {
                "none" => "no X-Forwarded-For",
                "ignored" => "X-Forwarded-For of a proxy that is not trusted",
                "trusted" => "passed on by a proxy that is trusted",
                _ => "the one that the client wrote",
            }
            .to_owned(),
            Proof::Cookie if seen.body["arrived"]["cookie"] == true => "a cookie".to_owned(),
            Proof::Cookie => "none".to_owned(),
            Proof::NoVersion if versions(seen).is_empty() => "none".to_owned(),
            Proof::NoVersion => short(&versions(seen).join(", ")),
            Proof::NotShared => header(seen, "access-control-allow-origin")
                .map_or_else(|| format!("{status} without it"), |origin| format!("{status} with {}", short(origin))),
            Proof::OnlyHttps => match header(seen, "location") {
                Some(location) => format!("{status} to {}", short(location)),
                None => status,
            },
        }
    }

    fn holds(self, seen: &Seen, https: bool) -> bool {
        let told = &seen.body["arrived"];
        match self {
            Proof::Upgrade => told["upgrade"] == true,
            // Where https is asked and plain http arrives, a proxy is on the way.
            Proof::Address => match arrived(seen, "forwarded") {
                "trusted" => true,
                "none" => !https || told["tls"] == true,
                _ => false,
            },
            Proof::NotForged => matches!(arrived(seen, "forwarded"), "none" | "ignored" | "trusted"),
            Proof::Cookie => told["cookie"] == true,
            Proof::Status(status) => seen.status == status,
            Proof::Refused(code) => seen.status == code.status() && text(seen, "code") == code.name(),
            Proof::Name => seen.status == 200 && text(seen, "name") == NAME,
            Proof::Environment(expected) => {
                let told = Environment::named(text(seen, "environment"));
                seen.status == 200 && told.is_some() && (expected.is_none() || told == expected)
            }
            Proof::Header(name, part) => header(seen, name).is_some_and(|value| value.contains(part)),
            Proof::NoVersion => versions(seen).is_empty(),
            Proof::NotShared => header(seen, "access-control-allow-origin").is_none(),
            Proof::OnlyHttps => {
                (300..400).contains(&seen.status)
                    && header(seen, "location").is_some_and(|location| location.starts_with("https://"))
            }
        }
    }

    /// What to do where it does not hold.
    fn remedy(self, seen: Option<&Seen>, way: Way) -> String {
        let Some(seen) = seen else {
            // A proxy that refuses a body may cut the connection before it is sent, and its answer with it.
            if self == Proof::Refused(Code::Invalid) {
                return Fault::Body.cure(way.proxy);
            }
            return "Look at the server's log and the proxy's: the request got no answer.".to_owned();
        };
        match self.fault(seen, way) {
            Some(fault) => fault.cure(way.proxy),
            None => self.advice(seen.status).to_owned(),
        }
    }

    /// What a proxy does wrong, if that is the likely cause.
    fn fault(self, seen: &Seen, way: Way) -> Option<Fault> {
        let told = !self.of_arrival() || seen.body["arrived"].is_object();
        let fault = match (self, seen.status) {
            _ if !told => return None,
            (Proof::Refused(Code::Invalid), 413) => Fault::Body,
            (Proof::Refused(Code::Invalid), _) if text(seen, "code").is_empty() => Fault::Body,
            (Proof::Name | Proof::Refused(_) | Proof::Status(_), 502..=504) if text(seen, "code").is_empty() => {
                Fault::NoServer
            }
            (Proof::Refused(_), 400 | 411) if way.http10 => Fault::Http10,
            (Proof::Refused(Code::ForeignOrigin), 401) | (Proof::Refused(Code::BadCredentials), 403) => Fault::Origin,
            (Proof::Upgrade, _) => Fault::Upgrade,
            (Proof::Address, _) => Fault::NoAddress,
            (Proof::NotForged, _) => Fault::ForgedAddress,
            (Proof::Cookie, _) => Fault::Cookies,
            (Proof::Header("strict-transport-security", _), _) => Fault::Hsts,
            (Proof::Header(..), _) => Fault::Headers,
            (Proof::NoVersion, _) => Fault::Version,
            (Proof::NotShared, _) => Fault::Shared,
            _ => return None,
        };
        Some(fault)
    }

    /// What to do where no line of a proxy is known to be the cause.
    fn advice(self, status: u16) -> &'static str {
        match (self, status) {
            (Proof::Name, _) => {
                "See whether the URL is that of the server, and whether the proxy passes every path on unchanged. Nothing else was asked."
            }
            (Proof::Refused(_) | Proof::Status(_) | Proof::Environment(_), 404 | 405) => {
                "The route is not there: see which version runs, and whether the proxy changes or filters paths."
            }
            (Proof::Status(_), _) => "Read the answer's failing part and the server's log; send no users there yet.",
            (Proof::Refused(_), 101 | 200..=299) => {
                "Take it out of service: it lets in whoever comes. Run `hailgate check` on that very build and configuration."
            }
            (Proof::Refused(Code::Unauthenticated), 403) => {
                "Set HAILGATE_PUBLIC_URL to the origin that browsers show, and let the proxy pass the header Origin on unchanged. Where \
                 pages have another origin, name it with --origin; where only programs come, say --origin none."
            }
            (Proof::Refused(_), 500..) => {
                "Read the server's log of this request; a broken stack fails `hailgate check` too."
            }
            (Proof::Environment(_), _) => "Set ENVIRONMENT in this deployment, or see whether the URL is of another one.",
            (Proof::OnlyHttps, _) => "Let the proxy redirect plain http to https, or close that port.",
            _ => "See whether the proxy answers in the server's place, and which version runs.",
        }
    }
}

/// The beginning, without what a terminal would obey.
fn short(text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_control()).take(80).collect();
    text
}
