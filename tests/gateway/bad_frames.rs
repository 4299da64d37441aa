//! Bad input on a socket: an error with its code, and the connection is kept, until there is too much of it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    people::{Person, text},
    server::Server,
    socket::Socket,
};

/// Sends bad text, checks the error, and shows that the connection is kept.
async fn survives(socket: &mut Socket, bad: &str, code: &str) -> Value {
    let error = socket.refused(bad).await;
    let shown: String = bad.chars().take(80).collect();
    assert_eq!(error["code"], code, "{shown}: {error}");
    assert!(!text(&error, "message").is_empty());
    assert_eq!(error["retryable"], false, "{error}");
    socket.is_alive().await;
    error
}

/// Sends each on a connection that has not yet used up its ten bad frames.
async fn all_survive(person: &Person, bad: &[(String, &str)]) {
    for some in bad.chunks(9) {
        let mut socket = person.socket().await;
        for (frame, code) in some {
            survives(&mut socket, frame, code).await;
        }
    }
}

#[tokio::test]
async fn text_that_is_not_json_is_refused_and_the_connection_kept() {
    let alice = Server::shared().person();
    let bad = ["hello", "", "{", "{\"type\":\"ping\"", "{} x", "{'type':'ping'}", "\u{feff}{\"type\":\"ping\"}", "NaN"];
    let bad: Vec<_> = bad.iter().map(|bad| ((*bad).to_owned(), "invalid")).collect();
    all_survive(&alice, &bad).await;
}

#[tokio::test]
async fn a_frame_of_wrong_types_is_refused_and_the_connection_kept() {
    let alice = Server::shared().person();
    let thread = alice.thread(&[]).await;
    let send = |field: &str, value: Value| {
        let mut data = json!({"thread_id": thread, "content": "x"});
        data[field] = value;
        (json!({"type": "message.send", "data": data}).to_string(), "invalid")
    };
    let frame = |frame: Value, code| (frame.to_string(), code);
    let bad = [
        frame(json!([1, 2]), "invalid"),
        frame(json!({}), "invalid"),
        frame(json!({"type": 5}), "invalid"),
        frame(json!({"type": null}), "invalid"),
        frame(json!({"type": "ping", "id": {}}), "invalid"),
        frame(json!({"type": "ping", "id": 1.5}), "invalid"),
        frame(json!({"type": "ping", "id": "x".repeat(65)}), "invalid"),
        frame(json!({"type": "ping", "id": 9_007_199_254_740_992u64}), "invalid"),
        frame(json!({"type": "nonsense", "data": {}}), "unknown_type"),
        frame(json!({"type": "PING"}), "unknown_type"),
        frame(json!({"type": "message.send"}), "invalid"),
        frame(json!({"type": "message.send", "data": []}), "invalid"),
        frame(json!({"type": "message.delete", "data": {"message_id": "x"}}), "invalid"),
        send("thread_id", json!(5)),
        send("thread_id", json!("x")),
        send("content", json!(5)),
        send("content", json!("")),
        send("content", json!(" \n")),
        send("content", json!("a\0b")),
        send("content", json!("x".repeat(8_001))),
        send("client_message_id", json!("")),
        send("client_message_id", json!(7)),
        send("metadata", json!("x")),
        send("metadata", json!({"k": "x".repeat(4096)})),
    ];
    all_survive(&alice, &bad).await;
    assert!(alice.history(&thread).await.is_empty());
}

#[tokio::test]
async fn surrogates_and_deep_json_are_refused_and_the_connection_kept() {
    let alice = Server::shared().person();
    let thread = alice.thread(&[]).await;
    let mut socket = alice.socket().await;
    let send = |rest: &str| format!(r#"{{"type":"message.send","data":{{"thread_id":"{thread}","content":{rest}"#);
    for bad in [
        send(r#""\ud800"}}"#),
        send(r#""\udc00x"}}"#),
        send(&format!(r#""x","metadata":{{"a":{}"#, "[".repeat(100_000))),
        "[".repeat(130_000),
    ] {
        let error = socket.refused(&bad).await;
        assert_eq!(error["code"], "invalid", "{error}");
        socket.is_alive().await;
    }
    assert!(alice.history(&thread).await.is_empty());
}

#[tokio::test]
async fn a_ping_takes_any_data_however_deep() {
    let alice = Server::shared().person();
    let mut socket = alice.socket().await;
    socket.send_text(&format!(r#"{{"type":"ping","data":{}{}}}"#, "[".repeat(60_000), "]".repeat(60_000))).await;
    assert!(socket.next("pong").await["data"]["server_time"].is_string());
    socket.is_alive().await;
}

#[tokio::test]
async fn content_of_8000_characters_goes_over_the_socket_even_when_every_one_is_escaped() {
    let alice = Server::shared().person();
    let thread = alice.thread(&[]).await;
    let mut socket = alice.socket().await;
    let ack = socket.say(&thread, &"\u{1f600}".repeat(8_000)).await;
    assert_eq!(ack["message"]["content"], "\u{1f600}".repeat(8_000));
    let escaped = r"\ud83d\ude00".repeat(8_000);
    socket
        .send_text(&format!(r#"{{"type":"message.send","id":1,"data":{{"thread_id":"{thread}","content":"{escaped}"}}}}"#))
        .await;
    let ack = socket.next("ack").await;
    assert_eq!(ack["data"]["message"]["content"], "\u{1f600}".repeat(8_000));
}

#[tokio::test]
async fn a_thread_of_others_is_not_found_the_same_as_an_unknown_one() {
    let server = Server::shared();
    let (alice, eve) = (server.person(), server.person());
    let thread = alice.thread(&[]).await;
    let message = alice.say(&thread, "for nobody else").await;
    let message = text(&message, "message_id");
    let unknown = uuid::Uuid::now_v7().to_string();
    let mut socket = eve.socket().await;
    let mut told = Vec::new();
    for (thread, message) in [(thread.as_str(), message), (&unknown, &unknown)] {
        let send = json!({"type": "message.send", "id": 1, "data": {"thread_id": thread, "content": "x"}});
        let delete = json!({"type": "message.delete", "id": 1, "data": {"message_id": message}});
        let edit = json!({"type": "message.edit", "id": 1, "data": {"message_id": message, "content": "x"}});
        for frame in [send, edit, delete] {
            socket.send(frame).await;
            let error = socket.find("error", |frame| frame["type"] == "error").await;
            assert_eq!(error.json["data"]["code"], "not_found");
            told.push(error.bytes);
        }
    }
    assert_eq!(told[..3], told[3..]);
    socket.is_alive().await;
    assert_eq!(alice.history(&thread).await[0]["content"], "for nobody else");
}

#[tokio::test]
async fn over_rest_a_thread_of_others_answers_byte_for_byte_as_an_unknown_one() {
    let server = Server::shared();
    let (alice, eve) = (server.person(), server.person());
    let thread = alice.thread(&[]).await;
    let message = alice.say(&thread, "for nobody else").await;
    let unknown = uuid::Uuid::now_v7().to_string();
    let requests = |thread: &str, message: &str| {
        vec![
            ("GET", format!("/api/threads/{thread}"), Value::Null),
            ("PATCH", format!("/api/threads/{thread}"), json!({"title": "x"})),
            ("DELETE", format!("/api/threads/{thread}"), Value::Null),
            ("GET", format!("/api/threads/{thread}/members"), Value::Null),
            ("PUT", format!("/api/threads/{thread}/members/{}", eve.name), Value::Null),
            ("PUT", format!("/api/threads/{thread}/members/nobody-at-all"), Value::Null),
            ("DELETE", format!("/api/threads/{thread}/members/{}", eve.name), Value::Null),
            ("DELETE", format!("/api/threads/{thread}/members/{}", alice.name), Value::Null),
            ("PUT", format!("/api/threads/{thread}/read"), json!({"sequence": 1})),
            ("GET", format!("/api/messages?thread_id={thread}"), Value::Null),
            ("POST", "/api/messages".to_owned(), json!({"thread_id": thread, "content": "x"})),
            ("GET", format!("/api/messages/{message}"), Value::Null),
            ("PATCH", format!("/api/messages/{message}"), json!({"content": "x"})),
            ("DELETE", format!("/api/messages/{message}"), Value::Null),
        ]
    };
    let theirs = requests(&thread, text(&message, "message_id"));
    for ((method, path, body), (_, other, other_body)) in theirs.into_iter().zip(requests(&unknown, &unknown)) {
        let mut answers = Vec::new();
        for (path, body) in [(path, body), (other, other_body)] {
            let request = eve.request(method.parse().expect("a method"), &path);
            let request = if body.is_null() { request } else { request.json(&body) };
            let answer = crate::answer::ask(request).await;
            answer.problem(404, "not_found");
            answers.push(answer);
        }
        assert_eq!(answers[0].without_request_id(), answers[1].without_request_id(), "{method}");
        let names = |at: usize| answers[at].headers.keys().map(ToString::to_string).collect::<BTreeSet<_>>();
        assert_eq!(names(0), names(1), "{method}");
    }
    assert_eq!(alice.history(&thread).await.len(), 1);
}

#[tokio::test]
async fn the_tenth_bad_frame_within_a_minute_closes_4400_after_bye() {
    let alice = Server::shared().person();
    let mut socket = alice.socket().await;
    for _ in 0..9 {
        assert_eq!(socket.refused("nonsense").await["code"], "invalid");
    }
    socket.is_alive().await;
    socket.send_text("nonsense").await;
    let bye = socket.closed_with(4400).await;
    assert_eq!(bye["reason"], "contract_broken");
    assert_eq!(bye["reconnect"], false);
}

#[tokio::test]
async fn refusals_that_break_no_contract_do_not_close_the_connection() {
    let alice = Server::shared().person();
    let mut socket = alice.socket().await;
    let unknown = uuid::Uuid::now_v7().to_string();
    for _ in 0..15 {
        let answer = socket.ask("message.send", json!({"thread_id": unknown, "content": "x"})).await;
        assert_eq!(answer["data"]["code"], "not_found");
    }
    socket.is_alive().await;
}

#[tokio::test]
async fn an_answer_repeats_the_id_as_it_was_written_and_unknown_fields_are_ignored() {
    let alice = Server::shared().person();
    let mut socket = alice.socket().await;
    let longest = "\u{e4}".repeat(64);
    for id in [json!("x"), json!(""), json!(0), json!(-1), json!(9_007_199_254_740_991u64), json!(longest)] {
        socket.send(json!({"type": "ping", "id": id, "colour": "red", "data": {"colour": "red"}})).await;
        assert_eq!(socket.next("pong").await["id"], id);
    }
    socket.send(json!({"type": "ping"})).await;
    assert_eq!(socket.next("pong").await.get("id"), None);
    socket.send(json!({"type": "nonsense", "id": "mine"})).await;
    assert_eq!(socket.next("error").await["id"], "mine");
    let thread = alice.thread(&[]).await;
    let data = json!({"thread_id": thread, "content": "x", "colour": "red"});
    assert_eq!(socket.ask("message.send", data).await["type"], "ack");
}
