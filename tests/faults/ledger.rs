//! What was said and what came of it; at the end the history is held against it. Knows nothing of the run but this.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
};

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    people::{Person, text},
    server::Site,
    socket::Socket,
    soon,
};

/// Limits that let a test say as much as it can.
pub const FAST: [(&str, &str); 6] = [
    ("HAILGATE_LIMIT_FRAMES_PER_SECOND", "1000000"),
    ("HAILGATE_LIMIT_FRAMES_BURST", "1000000"),
    ("HAILGATE_LIMIT_SENDS_PER_SECOND", "1000000"),
    ("HAILGATE_LIMIT_SENDS_BURST", "1000000"),
    ("HAILGATE_LIMIT_REST_PER_SECOND", "1000000"),
    ("HAILGATE_LIMIT_REST_BURST", "1000000"),
];

/// What a sender was told of one message.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// Stored, by an `ack`, a 201 or a 200.
    Stored(Value),
    /// Refused with this code.
    Refused(String),
    /// Nothing: the connection ended first.
    Nothing,
}

/// Says something by REST under a key. A refusal must be a whole one, with when to try again.
pub async fn by_rest(person: &Person, thread: &str, key: &str) -> Told {
    let body = json!({"thread_id": thread, "content": content(key), "client_message_id": key});
    let sent = person.request(Method::POST, "/api/messages").json(&body).send();
    let Ok(response) = soon("an answer", sent).await else { return Told::Nothing };
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let Ok(text) = response.text().await else { return Told::Nothing };
    if status == 408 && text.is_empty() {
        // The HTTP library's clock may lag where the process stood still: a head that has waited is late at once, and unread.
        return Told::Nothing;
    }
    let answer = crate::answer::Answer { status, headers, body: text };
    if let 200 | 201 = status {
        return Told::Stored(answer.json(status)["message"].clone());
    }
    let code = answer.json(status)["code"].as_str().expect("a code").to_owned();
    let problem = answer.problem(if code == "storage_full" { 507 } else { 503 }, &code);
    assert!(problem["retry_after_ms"].is_u64(), "{problem}");
    Told::Refused(code)
}

/// Says something by a socket under a key.
pub async fn by_socket(socket: &mut Socket, thread: &str, key: &str) -> Told {
    let data = json!({"thread_id": thread, "content": content(key), "client_message_id": key});
    let Some(answer) = socket.try_ask("message.send", data).await else { return Told::Nothing };
    if answer["type"] == "ack" {
        return Told::Stored(answer["data"]["message"].clone());
    }
    assert_eq!((&answer["type"], &answer["data"]["retryable"]), (&json!("error"), &json!(true)), "{answer}");
    assert!(answer["data"]["retry_after_ms"].is_u64(), "{answer}");
    Told::Refused(answer["data"]["code"].as_str().expect("a code").to_owned())
}

/// What is said under a key.
fn content(key: &str) -> String {
    format!("what {key} says")
}

/// Everything that was said in one thread, by key.
#[derive(Debug, Default, Clone)]
pub struct Ledger {
    told: BTreeMap<String, Told>,
}

impl Ledger {
    /// With one message said before anything goes wrong.
    pub async fn begun(sender: &Person, thread: &str) -> Ledger {
        let mut ledger = Ledger::default();
        ledger.note("before", by_rest(sender, thread, "before").await);
        ledger
    }

    /// Holds it against the history, and that against what a socket that was open all the time heard.
    pub async fn is_what_was_heard(&self, reader: &Person, thread: &str, socket: &mut Socket) {
        let history = reader.history(thread).await;
        self.whole(&history);
        hears(socket, thread, 2, 1 + history.len() as u64).await;
    }

    /// Notes that something is said now, of which nothing is known yet.
    pub fn says(&mut self, key: &str) {
        self.told.entry(key.to_owned()).or_insert(Told::Nothing);
    }

    /// Notes an outcome. What was stored once stays stored, as the same message.
    #[track_caller]
    pub fn note(&mut self, key: &str, told: Told) {
        if let Some(Told::Stored(before)) = self.told.get(key) {
            let Told::Stored(now) = &told else { return };
            assert_eq!(before["message_id"], now["message_id"], "{key} was stored twice");
        }
        self.told.insert(key.to_owned(), told);
    }

    /// How many were acknowledged.
    pub fn stored(&self) -> usize {
        self.told.values().filter(|told| matches!(told, Told::Stored(_))).count()
    }

    /// How many were said, whatever came of it.
    pub fn said(&self) -> usize {
        self.told.len()
    }

    /// The keys that were not acknowledged: to be said again.
    pub fn open(&self) -> Vec<String> {
        let open = self.told.iter().filter(|(_, told)| !matches!(told, Told::Stored(_)));
        open.map(|(key, _)| key.clone()).collect()
    }

    /// How many were refused with a code and not stored since.
    pub fn refused(&self, code: &str) -> usize {
        self.told.values().filter(|told| matches!(told, Told::Refused(refused) if refused == code)).count()
    }

    /// A history in which everything was said, and is there once, as it was said and in order; by key.
    #[track_caller]
    pub fn orderly<'a>(&self, history: &'a [Value]) -> BTreeMap<&'a str, &'a Value> {
        let mut there = BTreeMap::new();
        let mut last = 0;
        for message in history {
            let key = text(message, "client_message_id");
            assert!(self.told.contains_key(key), "nobody said {message}");
            assert_eq!(message["content"], content(key), "{message}");
            assert_eq!(there.insert(key, message), None, "{key} is there twice");
            let sequence = message["sequence"].as_u64().expect("a sequence");
            assert!(sequence > last, "{message} after {last}");
            last = sequence;
        }
        there
    }

    /// The keys of what was acknowledged until now and is not there, as the message that it was.
    pub fn lost(&self, there: &BTreeMap<&str, &Value>) -> Vec<String> {
        let same = |one: &Value, other: &Value| ["message_id", "sequence"].iter().all(|field| one[field] == other[field]);
        let lost = self.told.iter().filter(|(key, told)| match told {
            Told::Stored(message) => !there.get(key.as_str()).is_some_and(|there| same(there, message)),
            _ => false,
        });
        lost.map(|(key, _)| key.clone()).collect()
    }

    /// An orderly history that has all that was acknowledged.
    #[track_caller]
    pub fn whole(&self, history: &[Value]) {
        let lost = self.lost(&self.orderly(history));
        assert!(lost.is_empty(), "{} of {} acknowledged messages are lost: {lost:?}", lost.len(), self.stored());
    }
}

/// Says one thing after the other, by a socket if there is one, until it is stopped or the server has gone.
pub async fn talk(
    ledger: &RefCell<Ledger>,
    stop: &Cell<bool>,
    person: &Person,
    mut socket: Option<Socket>,
    thread: &str,
    name: &str,
) {
    for number in 0.. {
        let key = format!("{name}-{number}");
        ledger.borrow_mut().says(&key);
        let told = match &mut socket {
            Some(socket) => by_socket(socket, thread, &key).await,
            None => by_rest(person, thread, &key).await,
        };
        let gone = told == Told::Nothing;
        ledger.borrow_mut().note(&key, told);
        if gone || stop.get() {
            return;
        }
        // A refusal comes at once: others must get their turn too.
        tokio::task::yield_now().await;
    }
}

/// Says again what was not acknowledged, until all of it is.
pub async fn say_again(ledger: &mut Ledger, person: &Person, thread: &str) {
    soon("everything is stored", async {
        for key in ledger.open() {
            while !matches!(ledger.told[&key], Told::Stored(_)) {
                let told = by_rest(person, thread, &key).await;
                ledger.note(&key, told);
            }
        }
    })
    .await;
}

/// The sequences of the events of a thread that a socket hears from now on, up to this one: each once and in order.
pub async fn hears(socket: &mut Socket, thread: &str, from: u64, to: u64) {
    for sequence in from..=to {
        let event = socket.event().await.json;
        assert_eq!((&event["sequence"], &event["thread_id"]), (&json!(sequence), &json!(thread)), "{event}");
    }
}

/// The file that a site's store is.
pub fn store(site: &Site) -> String {
    site.variable("HAILGATE_DATABASE_URL").trim_start_matches("sqlite://").to_owned()
}
