//! What is asked of a running server from outside, and what proves the answers right. Routes and refusals come from the
//! table that the start-up probe walks. Every request is harmless: it shows nothing, or something that opens nothing.

use reqwest::{Url, header::HeaderMap};
use serde::Serialize;
use serde_json::Value;

use crate::{
    config::Environment,
    error::Code,
    http::routes::{Access, Route, TABLE},
};

/// An origin that no server allows: the name can belong to nobody (RFC 6761).
pub const FOREIGN: &str = "https://foreign.invalid";
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
    pub r#do: Option<&'static str>,
}

/// What the server says that it is.
const NAME: &str = "hailgate";

/// Everything that is asked, the first of it whether the server is there, and one of these.
pub fn asks(base: &Url, expected: Option<Environment>) -> Vec<Ask> {
    let https = base.scheme() == "https";
    let ask = |name, handler: &str, headers: Vec<(&'static str, String)>, proofs: Vec<Proof>| {
        of(base, name, Route::of(handler), headers, proofs)
    };
    let socket = "admission::connect";
    let bearer = ("authorization", format!("Bearer {GARBAGE}"));
    let origin = ("origin", FOREIGN.to_owned());
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
        ask("an upgrade from a foreign origin", socket, vec![origin.clone()], vec![Proof::Refused(Code::ForeignOrigin)]),
        ask("an upgrade with a garbage bearer", socket, vec![bearer], vec![Proof::Refused(Code::BadCredentials)]),
    ];
    let mut query = ask("an upgrade with a garbage query token", socket, vec![], vec![Proof::Refused(Code::BadCredentials)]);
    query.url.set_query(Some(&format!("token={GARBAGE}")));
    asks.push(query);
    let posting = ("access-control-request-method", "POST".to_owned());
    let mut preflight =
        ask("a preflight from a foreign origin", "messages::send", vec![origin, posting], vec![Proof::NotShared]);
    "OPTIONS".clone_into(&mut preflight.method);
    asks.push(preflight);
    asks.extend(TABLE.iter().filter_map(|route| {
        let refusal = route.access.refusal()?;
        let upgrade = route.access == Access::Upgrade;
        let name = if upgrade { "an upgrade without credentials" } else { "a request without credentials" };
        Some(of(base, name, route, vec![], vec![Proof::Refused(refusal)]))
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

fn of(base: &Url, name: &'static str, route: &Route, headers: Vec<(&'static str, String)>, proofs: Vec<Proof>) -> Ask {
    let mut url = base.clone();
    url.set_path(&route.example());
    let upgrade = route.access == Access::Upgrade;
    Ask { name, method: route.method.to_uppercase(), url, headers, upgrade, proofs }
}

impl Ask {
    /// One finding a proof. `answer` is the answer, or why there is none.
    pub fn judge(&self, answer: &Result<Seen, String>) -> Vec<Finding> {
        let finding = |proof: &Proof| {
            let (got, ok) = match answer {
                Ok(seen) => (proof.got(seen), proof.holds(seen)),
                Err(trouble) => (trouble.clone(), *proof == Proof::OnlyHttps),
            };
            let at = self.url.query().map(|query| format!("?{query}")).unwrap_or_default();
            Finding {
                question: proof.question(self.name),
                asked: format!("{} {}{at}", self.method, self.url.path()),
                expected: proof.expected(),
                got,
                ok,
                r#do: (!ok).then(|| proof.remedy(answer.as_ref().map_or(0, |seen| seen.status))),
            }
        };
        self.proofs.iter().map(finding).collect()
    }
}

fn header<'a>(seen: &'a Seen, name: &str) -> Option<&'a str> {
    seen.headers.get(name).map(|value| value.to_str().unwrap_or("(not text)"))
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
    fn question(self, name: &str) -> String {
        match self {
            Proof::Header(header, _) => format!("{header} of {name}"),
            Proof::NoVersion => format!("no version told by {name}"),
            Proof::Name => "a Hailgate at that address".to_owned(),
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

    fn holds(self, seen: &Seen) -> bool {
        match self {
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
    fn remedy(self, status: u16) -> &'static str {
        match (self, status) {
            (Proof::Name, _) => {
                "See whether the URL is that of the server, and whether the proxy passes every path on unchanged. Nothing else was asked."
            }
            (_, 0) => "Look at the server's log and the proxy's: the request got no answer.",
            (Proof::Refused(_) | Proof::Status(_) | Proof::Environment(_), 404 | 405) => {
                "The route is not there: see which version runs, and whether the proxy changes or filters paths."
            }
            (Proof::Status(_), _) => "Read the answer's failing part and the server's log; send no users there yet.",
            (Proof::Refused(_), 101 | 200..=299) => {
                "Take it out of service: it lets in whoever comes. Run `hailgate check` on that very build and configuration."
            }
            (Proof::Refused(_), 426) => "Let the proxy pass the headers Upgrade and Connection on.",
            (Proof::Refused(_), 500..) => {
                "Read the server's log of this request; a broken stack fails `hailgate check` too."
            }
            (Proof::Refused(_), _) => "See whether the proxy answers in the server's place, and which version runs.",
            (Proof::Environment(_), _) => "Set ENVIRONMENT in this deployment, or see whether the URL is of another one.",
            (Proof::Header("strict-transport-security", _), _) => {
                "Let the proxy that speaks https add: Strict-Transport-Security: max-age=31536000"
            }
            (Proof::Header(..), _) => "Let the proxy pass the server's headers on unchanged, and see which version runs.",
            (Proof::NoVersion, _) => "Take the version out of the proxy's answers, like `server_tokens off` in nginx.",
            (Proof::NotShared, _) => "Take the CORS headers out of the proxy: HAILGATE_ALLOWED_ORIGINS says who may come.",
            (Proof::OnlyHttps, _) => "Let the proxy redirect plain http to https, or close that port.",
        }
    }
}

/// The beginning, without what a terminal would obey.
fn short(text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_control()).take(80).collect();
    text
}
