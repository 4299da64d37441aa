//! What the probe asks: each credential at each kind of route, the rules about origins, and every route of the table.

use std::fmt;

use super::{
    super::routes::{Access, Route, TABLE},
    forge::{CREDENTIALS, Credential, ORIGIN, PresentedCredential, State, TestCredentials, Way},
};
use crate::{
    auth::{AcceptedCredentials, LOGIN_ENDED},
    error::{Code, Error},
    rest::oidc::NOT_SET_UP,
};

/// A kind of route, by the one that stands for it, and what it answers to whoever may come in. What changes
/// something or waits is asked in a way that is refused after the credentials, before anything is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind {
    /// As people read it.
    pub name: &'static str,
    handler: &'static str,
    query: &'static str,
    success: u16,
    says: &'static str,
}

const fn kind(name: &'static str, handler: &'static str, query: &'static str, success: u16, says: &'static str) -> Kind {
    Kind { name, handler, query, success, says }
}

/// Every kind.
pub const KINDS: &[Kind] = &[
    kind("public", "system::info", "", 200, ""),
    kind("reading", "auth::me", "", 200, ""),
    kind("changing", "messages::send", "", 415, ""),
    kind("stream", "events::receive", "timeout_ms=18446744073709551615", 400, ""),
    kind("preflight", "admission::preflight", "", 200, "accepted"),
    kind("upgrade", "admission::connect", "", 101, ""),
];

/// What a question belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A credential at a kind of route.
    Credential(&'static Credential, &'static Kind),
    /// A rule that has to do with more than a credential.
    Rule,
    /// A route of the table, asked by nobody in particular.
    Route,
}

/// What proves an answer right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expected {
    /// The status; none: anything but 404 and 5xx.
    pub status: Option<u16>,
    /// What the problem document's sentence contains.
    pub says: &'static str,
    /// Whether the browser is told, once, to forget its cookie.
    pub cookie_ends: bool,
}

impl Expected {
    /// Whether the status is right.
    pub fn takes(&self, status: u16) -> bool {
        self.status.map_or(status != 404 && status < 500, |expected| status == expected)
    }
}

impl From<u16> for Expected {
    fn from(status: u16) -> Expected {
        Expected { status: Some(status), says: "", cookie_ends: false }
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => write!(f, "{status}")?,
            None => f.write_str("neither 404 nor 5xx")?,
        }
        if !self.says.is_empty() {
            write!(f, " {:?}", self.says)?;
        }
        if self.cookie_ends { f.write_str(" and the cookie ended") } else { Ok(()) }
    }
}

/// A request as bytes, and what proves the answer right.
#[derive(Debug, Clone)]
pub struct Question {
    /// What is asked.
    pub name: String,
    /// What it belongs to.
    pub part: Part,
    /// Which route it asks.
    pub route: &'static Route,
    /// What proves it right.
    pub expected: Expected,
    pub(super) request: String,
}

/// Everything.
pub(super) async fn questions(forge: &TestCredentials) -> Result<Vec<Question>, Error> {
    let mut questions = Vec::new();
    for kind in KINDS {
        let route = Route::of(kind.handler);
        let accepted = (forge.gateway.accepted())(route.path);
        for credential in CREDENTIALS {
            let PresentedCredential { headers, query } = forge.carry(credential).await?;
            let query: Vec<&str> = [kind.query, &query].into_iter().filter(|part| !part.is_empty()).collect();
            let request = request(route, &query.join("&"), &format!("{headers}Origin: {ORIGIN}\r\n"));
            let name = format!("{} on {} {}", credential.name, route.method, route.path);
            let part = Part::Credential(credential, kind);
            questions.push(Question { name, part, route, expected: expected(credential, kind, route, accepted), request });
        }
    }
    questions.extend(rules(forge).await?);
    questions.extend(TABLE.iter().map(|route| {
        let expected = match route.access {
            // Nothing is set up here that would ask others. The words tell it from a route that is missing.
            Access::Configured => Expected { says: NOT_SET_UP, ..Code::NotFound.status().into() },
            access => Expected { status: access.refusal().map(Code::status), says: "", cookie_ends: false },
        };
        let name = format!("route {} {}", route.method, route.path);
        Question { name, part: Part::Route, route, expected, request: request(route, "", "") }
    }));
    Ok(questions)
}

fn expected(credential: &Credential, kind: &Kind, route: &Route, accepted: AcceptedCredentials) -> Expected {
    let opens = credential.way != Way::Nothing && credential.state == State::Right && credential.way.taken(accepted);
    let cookie_ends = credential.way == Way::Session && credential.state == State::Expired;
    match route.access.refusal() {
        Some(refusal) if !opens => {
            Expected { status: Some(refusal.status()), says: if cookie_ends { LOGIN_ENDED } else { "" }, cookie_ends }
        }
        _ => Expected { status: Some(kind.success), says: if opens { kind.says } else { "" }, cookie_ends },
    }
}

/// Origins, forms of an upgrade, and more than one credential.
async fn rules(forge: &TestCredentials) -> Result<Vec<Question>, Error> {
    let right = |way: Way| CREDENTIALS.iter().find(|found| found.way == way && found.state == State::Right);
    let headers = |way: Way| async move {
        let credential = right(way).ok_or(Code::Internal)?;
        Ok::<String, Error>(forge.carry(credential).await?.headers)
    };
    let (session, bearer) = (headers(Way::Session).await?, headers(Way::Bearer).await?);
    let (change, socket) = (Route::of("messages::send"), Route::of("admission::connect"));
    let foreign = format!("Origin: {ORIGIN}.evil.example\r\n");
    let own = format!("Origin: {ORIGIN}\r\n");
    let rows = [
        ("right session of a foreign origin", socket, format!("{session}{foreign}"), Code::ForeignOrigin),
        ("right session without an origin", socket, session.clone(), Code::ForeignOrigin),
        ("right bearer of a foreign origin", socket, format!("{bearer}{foreign}"), Code::ForeignOrigin),
        ("right session of a foreign origin", change, format!("{session}{foreign}"), Code::ForeignOrigin),
        ("right session without an origin", change, session.clone(), Code::ForeignOrigin),
        ("two bearers", socket, format!("{bearer}{bearer}{own}"), Code::SeveralCredentials),
        ("an upgrade with a body", socket, format!("{bearer}Transfer-Encoding: chunked\r\n"), Code::BadUpgrade),
    ];
    let question = |(what, route, headers, code): (&str, &'static Route, String, Code)| {
        let name = format!("{what} on {} {}", route.method, route.path);
        Question { name, part: Part::Rule, route, expected: code.status().into(), request: request(route, "", &headers) }
    };
    Ok(rows.into_iter().map(question).collect())
}

fn request(route: &Route, query: &str, headers: &str) -> String {
    let connection = if route.access == Access::Upgrade {
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\n"
    } else {
        "Connection: close\r\n"
    };
    let (method, target) = (route.method.to_uppercase(), route.example());
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{method} {target}{mark}{query} HTTP/1.1\r\nHost: probe.invalid\r\n{connection}{headers}\r\n")
}
