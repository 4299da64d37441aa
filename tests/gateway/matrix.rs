//! Every way to show who one is, with everything that can be wrong, in every place: the answer is the table's.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{self, client::IntoClientRequest, http::HeaderValue};

use crate::{
    answer::{Answer, ask},
    people::text,
    refusals::{Cell, Fault, Place, TABLE, Way, expected, status},
    server::{ORIGIN, Server},
    shown::{Cast, ENOUGH, Shown, query},
    socket::Socket,
};

/// What is wrong with an answer.
type Complaint = String;

/// Whether a secret may hold this character; every other ends a word.
fn of_a_secret(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-_%+/=".contains(c)
}

/// Nothing of what was shown is repeated.
fn keeps_quiet(shown: &Shown, said: &str) -> Result<(), Complaint> {
    match shown.secrets.iter().find(|secret| said.contains(*secret)) {
        Some(secret) => Err(format!("{secret} is repeated in {said}")),
        None => Ok(()),
    }
}

/// An answer that must be a refusal with this code.
fn refused(place: Place, answer: &Answer, code: &str) -> Result<(), Complaint> {
    if place == Place::Preflight {
        return preflight(answer, code);
    }
    let told: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    if answer.status != status(code) || told["code"] != code {
        return Err(format!("{} {}", answer.status, answer.body));
    }
    answer.problem(status(code), code);
    let challenge = answer.header("www-authenticate");
    let error = challenge.contains("error=\"invalid_token\"");
    match code {
        // RFC 6750 section 3.1: who sent nothing is told no error.
        "unauthenticated" if error => Err(challenge.to_owned()),
        "bad_credentials" | "token_expired" if !error => Err(challenge.to_owned()),
        _ => Ok(()),
    }
}

fn preflight(answer: &Answer, code: &str) -> Result<(), Complaint> {
    let told: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    let right = answer.status == 200 && told["accepted"] == (code == "accepted") && told["code"] == code;
    let explained = told["reason"].as_str().is_some_and(|reason| !reason.is_empty());
    let stored = answer.header("cache-control") != "no-store";
    if right && explained && !stored { Ok(()) } else { Err(format!("{} {}", answer.status, answer.body)) }
}

/// An answer to somebody who must be let in.
fn accepted(cast: &Cast, place: Place, way: Way, answer: &Answer) -> Result<(), Complaint> {
    if place == Place::Preflight {
        return preflight(answer, "accepted");
    }
    let right = if place == Place::Change { 201 } else { 200 };
    if answer.status != right {
        return Err(format!("{} {}", answer.status, answer.body));
    }
    if place != Place::Read {
        return Ok(());
    }
    let told = answer.json(200);
    let mut context = cast.context(way).clone();
    context["request_id"] = told["request_id"].clone();
    if told == context && told["auth_method"] == way.name() { Ok(()) } else { Err(format!("{told} is not {context}")) }
}

/// A socket that must open, as the one who shows this.
async fn opens(cast: &Cast, server: &Server, way: Way, shown: &Shown) -> Result<(), Complaint> {
    let (_, path) = Place::Upgrade.route();
    let address = format!("ws://127.0.0.1:{}{path}?{}", server.port, query(Place::Upgrade, shown));
    let mut request = address.into_client_request().expect("a request");
    for (name, value) in &shown.headers {
        request.headers_mut().append(*name, HeaderValue::from_str(value).expect("a header value"));
    }
    let (socket, head) = match Socket::upgrade(request).await {
        Ok(open) => open,
        Err(tungstenite::Error::Http(refusal)) => {
            let (head, body) = refusal.into_parts();
            return Err(format!("{} {}", head.status, String::from_utf8_lossy(&body.unwrap_or_default())));
        }
        Err(error) => return Err(error.to_string()),
    };
    let (hello, context) = (&socket.hello, cast.context(way));
    let told = json!([hello["user"]["user_id"], hello["auth"]["method"], hello["auth"]["expires_at"]]);
    let due = json!([context["user_id"], way.name(), context["expires_at"]]);
    let named = head.headers().get("sec-websocket-protocol").map(|value| value.to_str().unwrap_or("not text"));
    let quiet = keeps_quiet(shown, &format!("{:?} {hello}", head.headers()));
    let right = told == due && named == (way == Way::Subprotocol).then_some("jwt-auth");
    if right { quiet } else { Err(format!("{told} is not {due}; subprotocol {named:?}")) }
}

/// One cell.
async fn judge(
    cast: &Cast,
    server: &Server,
    place: Place,
    way: Way,
    shown: &Shown,
    code: Option<&str>,
) -> Result<(), Complaint> {
    if place == Place::Upgrade && code.is_none() {
        return opens(cast, server, way, shown).await;
    }
    let answer = cast.ask(server, place, shown).await;
    match code {
        Some(code) => refused(place, &answer, code)?,
        None => accepted(cast, place, way, &answer)?,
    }
    keeps_quiet(shown, &format!("{:?} {}", answer.headers, answer.body))
}

/// Asks a server for cells; every secret that was shown, and every complaint.
struct Run<'a> {
    cast: &'a Cast,
    asked: usize,
    secrets: BTreeSet<String>,
    complaints: Vec<Complaint>,
}

impl Run<'_> {
    /// A way with a fault in every place.
    async fn line(&mut self, fault: Fault, way: Way, cell: Cell) {
        let mut shown = None;
        for place in Place::ALL {
            let now = match shown.take() {
                Some(shown) => shown,
                None => self.cast.shown(fault, way, &self.cast.text(fault, way).await),
            };
            let code = expected(place, way, cell, true);
            let judged = judge(self.cast, &self.cast.server, place, way, &now, code).await;
            self.note(&now, judged.map_err(|why| format!("{fault:?}, {way:?}, {place:?}: wanted {code:?}, got {why}")));
            // A ticket goes on to the next place unless it must be used up: a refusal and a preflight leave it as it is.
            let used = way == Way::Ticket && code.is_none() && place != Place::Preflight;
            shown = (!used).then_some(now);
        }
    }

    fn note(&mut self, shown: &Shown, judged: Result<(), Complaint>) {
        self.asked += 1;
        self.secrets.extend(shown.secrets.iter().cloned());
        self.complaints.extend(judged.err());
    }

    /// Where query tokens are switched off, a right one is refused in every place.
    async fn without_query_tokens(&mut self) {
        let (cast, way) = (self.cast, Way::QueryToken);
        let name = text(cast.context(Way::Bearer), "user_id").to_owned();
        let shown = Shown::default().from(ORIGIN).by(way, &cast.other.site.token(&name));
        for place in Place::ALL {
            let code = expected(place, way, Cell::Accepted, false);
            let judged = judge(cast, &cast.other, place, way, &shown, code).await;
            self.note(&shown, judged.map_err(|why| format!("switched off, {place:?}: wanted {code:?}, got {why}")));
        }
    }

    /// Nothing that was shown stands in the log of the server that it was shown to.
    async fn log_is_clean(&mut self) {
        for server in [&self.cast.server, &self.cast.other] {
            let last = format!("/the-end-{}", crate::server::random(8));
            server.nobody().get(&last).await.problem(404, "not_found");
            server.log.wait_for("the last request", |line| line.contains(&last).then_some(()));
            let log = server.log.text();
            let words: BTreeSet<&str> = log.split(|c| !of_a_secret(c)).filter(|word| word.len() >= ENOUGH).collect();
            let found = self.secrets.iter().filter(|secret| words.iter().any(|word| word.contains(*secret)));
            self.complaints.extend(found.map(|secret| format!("{secret} is in the log")));
        }
    }
}

#[tokio::test]
async fn every_way_with_every_fault_is_answered_in_every_place_as_the_table_says() {
    let cast = Cast::new().await;
    let mut run = Run { cast: &cast, asked: 0, secrets: BTreeSet::new(), complaints: Vec::new() };
    let mut due = Place::ALL.len();
    for row in TABLE {
        for way in Way::ALL {
            let cell = row.cell(way);
            if !matches!(cell, Cell::No(_)) {
                due += Place::ALL.len();
                run.line(row.fault, way, cell).await;
            }
        }
    }
    run.without_query_tokens().await;
    run.log_is_clean().await;
    assert_eq!(run.asked, due);
    assert!(run.complaints.is_empty(), "{} of {due}:\n{}", run.complaints.len(), run.complaints.join("\n"));
}

#[tokio::test]
async fn only_a_cookie_or_a_bearer_token_gets_a_ticket() {
    let server = Server::shared();
    let alice = server.browser().await;
    let token = server.site.token(&alice.name);
    let address = server.url("/api/ws/ticket");
    let first = alice.post("/api/ws/ticket", json!({})).await.json(200);
    for (way, shown) in
        [(Way::Ticket, text(&first, "ticket")), (Way::QueryToken, token.as_str()), (Way::Subprotocol, token.as_str())]
    {
        let shown = Shown::default().by(way, shown);
        let mut request = crate::people::client().post(format!("{address}?{}", shown.query.trim_start_matches('&')));
        for (name, value) in shown.headers {
            request = request.header(name, value);
        }
        ask(request).await.problem(401, "bad_credentials");
    }
    let bearer = alice.with(crate::people::Proof::Bearer(token));
    assert_ne!(bearer.post("/api/ws/ticket", json!({})).await.json(200)["ticket"], first["ticket"]);
}
