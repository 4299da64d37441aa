//! The same send by REST and by socket: one event, the same bytes but for ids and times, whichever way it is received and
//! however often it is replayed.

use std::{fmt::Write as _, sync::LazyLock};

use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use crate::{
    people::{Person, text},
    server::Server,
    socket::Socket,
};

/// Contents, each with metadata or none.
fn sends() -> Vec<(String, Option<Value>)> {
    let mut deep = json!({});
    for _ in 0..7 {
        deep = json!({"d": deep});
    }
    let all = [
        ("plain", None),
        ("  blanks around\t\n", None),
        ("\u{436}\u{4e2d}\u{6587} \u{1f600}\u{1f468}\u{200d}\u{1f469} e\u{301} \u{202e}\u{2028}\u{2029}\u{feff}", None),
        ("\" \\ / \u{8}\u{c}\n\r\t \u{1}\u{1f}\u{7f}\u{80}\u{fffd}\u{10ffff}", None),
        ("<script>alert('&amp;')</script>", Some(json!({}))),
        ("{\"type\":\"message.created\",\"sequence\":1}", Some(json!({"sequence": 1, "thread_id": null}))),
        ("numbers", Some(json!({"a": [0, -0.0, 1.0, 1e3, 1.5e-7, u64::MAX, i64::MIN, true, false, null, ""]}))),
        ("names", Some(json!({"z": 1, "a": 2, "\u{436}\"\\": {"b": 1, "a": [{}, []]}, "": "\u{0}\u{1f600}"}))),
        ("deep", Some(deep)),
    ];
    let long = [("\u{1f600}".repeat(8_000), None), ("\u{1}".repeat(8_000), Some(json!({"x": "y".repeat(4_000)})))];
    all.into_iter().map(|(content, metadata)| (content.to_owned(), metadata)).chain(long).collect()
}

/// JSON text with every character that is not plain written as an escape.
fn escaped(value: &Value) -> String {
    let mut text = String::new();
    for c in value.to_string().chars() {
        if c.is_ascii() && c != '/' && c != '\u{7f}' {
            text.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(text, "\\u{unit:04X}").expect("text grows");
            }
        }
    }
    text
}

/// An event's text with its own ids and times under one name each.
fn but_for_ids_and_times(event: &str) -> String {
    let json: Value = serde_json::from_str(event).expect("JSON");
    let data = &json["data"];
    let mut same = event.to_owned();
    for field in ["thread_id", "at", "message_id", "client_message_id", "created_at", "edited_at", "deleted_at"] {
        for own in [&json[field], &data[field]].into_iter().filter_map(Value::as_str) {
            same = same.replace(&format!("\"{field}\":\"{own}\""), &format!("\"{field}\":*"));
        }
    }
    same
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    events: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Holds<'a> {
    #[serde(borrow)]
    message: &'a RawValue,
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    data: &'a RawValue,
}

fn data(frame: &str) -> &str {
    serde_json::from_str::<Frame<'_>>(frame).expect("a frame").data.get()
}

fn message(told: &str) -> &str {
    serde_json::from_str::<Holds<'_>>(told).expect("an answer").message.get()
}

/// Where people may send as fast as these tests do.
static SERVER: LazyLock<Server> = LazyLock::new(|| Server::new(&[("HAILGATE_LIMIT_SENDS_BURST", "100000")]));

/// Two people and two threads, one for each transport.
struct Pair {
    alice: Person,
    bob: Person,
    of_alice: Socket,
    of_bob: Socket,
    by_rest: String,
    by_socket: String,
}

impl Pair {
    async fn meet() -> Pair {
        let (alice, bob) = (SERVER.person(), SERVER.person());
        let (by_rest, by_socket) = (alice.thread(&[&bob]).await, alice.thread(&[&bob]).await);
        let (of_alice, of_bob) = (alice.socket().await, bob.socket().await);
        Pair { alice, bob, of_alice, of_bob, by_rest, by_socket }
    }

    /// The event that both are sent: its text.
    async fn told(&mut self) -> String {
        let (hers, his) = (self.of_alice.event().await, self.of_bob.event().await);
        assert_eq!(hers.bytes, his.bytes, "everybody gets the same bytes, the sender too");
        his.bytes
    }

    /// Sends by REST; the event.
    async fn post(&mut self, body: &mut Value) -> String {
        body["thread_id"] = json!(self.by_rest);
        let answer = self.alice.post("/api/messages", body.clone()).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        let event = self.told().await;
        assert_eq!(message(&answer.body), data(&event), "the answer shows the message as the event does");
        event
    }

    /// Sends by socket, written otherwise; the event.
    async fn say(&mut self, body: &mut Value) -> String {
        body["thread_id"] = json!(self.by_socket);
        self.command("message.send", body).await
    }

    /// Gives a command by socket; the event.
    async fn command(&mut self, kind: &str, asked: &Value) -> String {
        self.of_alice.send_text(&escaped(&json!({"type": kind, "id": 7, "data": asked}))).await;
        let event = self.told().await;
        let ack = self.of_alice.find("ack", |frame| frame["type"] == "ack").await.bytes;
        assert_eq!(message(data(&ack)), data(&event), "the ack shows the message as the event does");
        event
    }
}

#[tokio::test]
async fn a_send_by_rest_and_one_by_socket_give_the_same_event_however_it_is_received() {
    let mut pair = Pair::meet().await;
    let cursor = text(&pair.of_bob.hello, "cursor").to_owned();
    let mut live = Vec::new();
    for (turn, (content, metadata)) in sends().into_iter().enumerate() {
        for key in [None, Some("key")] {
            let mut body = json!({"content": content, "metadata": metadata});
            if let Some(key) = key {
                body["client_message_id"] = json!(format!("{key} rest {turn}"));
            }
            let by_rest = pair.post(&mut body).await;
            if let Some(key) = key {
                body["client_message_id"] = json!(format!("{key} socket {turn}"));
            }
            let by_socket = pair.say(&mut body).await;
            assert_eq!(but_for_ids_and_times(&by_rest), but_for_ids_and_times(&by_socket));
            let event: Value = serde_json::from_str(&by_rest).expect("JSON");
            assert_eq!(event["data"]["content"], content.as_str(), "stored as sent");
            assert_eq!(event["data"]["metadata"], metadata.clone().unwrap_or(Value::Null), "stored as sent");
            live.extend([by_rest, by_socket]);
        }
    }
    let mut resumed = pair.bob.resume(&cursor).await;
    for event in &live {
        assert_eq!(&resumed.event().await.bytes, event, "a resume replays the same bytes");
    }
    let mut stream = pair.bob.stream_since(&cursor).await;
    for event in &live {
        assert_eq!(&stream.event().await.data, event, "a stream tells the same bytes");
    }
    let (mut polled, mut since) = (Vec::new(), cursor);
    while polled.len() < live.len() {
        let answer = pair.bob.poll(&since, 0).await;
        let page: Page<'_> = serde_json::from_str(&answer.body).expect("a page");
        assert!(!page.events.is_empty(), "{} of {} polled", polled.len(), live.len());
        polled.extend(page.events.iter().map(|event| event.get().to_owned()));
        text(&answer.json(200), "cursor").clone_into(&mut since);
    }
    assert_eq!(polled, live, "a poll tells the same bytes");
}

#[tokio::test]
async fn a_waiting_poll_tells_the_bytes_that_a_socket_does() {
    let mut pair = Pair::meet().await;
    let mut cursor = text(&pair.of_bob.hello, "cursor").to_owned();
    for (content, metadata) in sends() {
        let (bob, since) = (pair.bob.clone(), std::mem::take(&mut cursor));
        // Whether it waits or comes too late is no matter: the same bytes either way.
        let polled = bob.poll(&since, 20_000);
        let mut body = json!({"content": content, "metadata": metadata});
        let (polled, event) = tokio::join!(polled, pair.post(&mut body));
        let page: Page<'_> = serde_json::from_str(&polled.body).expect("a page");
        assert_eq!(page.events.iter().map(|event| event.get()).collect::<Vec<_>>(), [event.as_str()]);
        text(&polled.json(200), "cursor").clone_into(&mut cursor);
    }
}

#[tokio::test]
async fn an_edit_and_a_deletion_by_rest_and_by_socket_give_the_same_events() {
    let mut pair = Pair::meet().await;
    let cursor = text(&pair.of_bob.hello, "cursor").to_owned();
    let mut changes = Vec::new();
    for (content, metadata) in sends() {
        let mut body = json!({"content": "before", "metadata": metadata});
        let of_message = |event: &str| {
            let event: Value = serde_json::from_str(event).expect("JSON");
            text(&event["data"], "message_id").to_owned()
        };
        let by_rest = of_message(&pair.post(&mut body).await);
        let by_socket = of_message(&pair.say(&mut body).await);
        let path = format!("/api/messages/{by_rest}");
        let answer = pair.alice.patch(&path, json!({"content": content})).await;
        let edited = pair.told().await;
        assert_eq!((answer.status, answer.body.as_str()), (200, data(&edited)), "the answer shows it as the event does");
        let other = pair.command("message.edit", &json!({"message_id": by_socket, "content": content})).await;
        assert_eq!(but_for_ids_and_times(&edited), but_for_ids_and_times(&other));
        let answer = pair.alice.delete(&path).await;
        let deleted = pair.told().await;
        assert_eq!((answer.status, answer.body.as_str()), (200, data(&deleted)), "the answer shows it as the event does");
        let other = pair.command("message.delete", &json!({"message_id": by_socket})).await;
        assert_eq!(but_for_ids_and_times(&deleted), but_for_ids_and_times(&other));
        changes.extend([deleted, other]);
    }
    // A replay shows what is deleted as deleted in every event of it: the deletion itself is the same as it was live.
    let mut resumed = pair.bob.resume(&cursor).await;
    for change in &changes {
        let deletion = resumed.find("a deletion", |frame| frame["type"] == "message.deleted").await;
        assert_eq!(&deletion.bytes, change);
    }
}
