//! A stranger with a valid account gets nothing of a thread: not on a socket, not by poll, not in a list.

use futures_util::future::join;
use serde_json::{Value, json};

use crate::{
    people::{Person, text},
    server::{Server, random},
    socket::Socket,
};

/// Everything that can happen in a thread. The secret stands in title, content and metadata.
async fn live_through(alice: &Person, bob: &Person, secret: &str) -> (String, String) {
    let body = json!({"title": secret, "members": [bob.name]});
    let thread = alice.post("/api/threads", body).await.json(201);
    let thread = text(&thread, "thread_id").to_owned();
    let body =
        json!({"thread_id": thread, "content": secret, "metadata": {"note": secret}, "client_message_id": random(20)});
    let message = alice.post("/api/messages", body).await.json(201);
    let message = text(&message["message"], "message_id").to_owned();
    let mut socket = bob.socket().await;
    let taken_back = socket.say(&thread, secret).await;
    socket.ask("message.delete", json!({"message_id": taken_back["message"]["message_id"]})).await;
    alice.patch(&format!("/api/threads/{thread}"), json!({"title": format!("{secret} again")})).await.json(200);
    bob.put(&format!("/api/threads/{thread}/read"), json!({"sequence": 2})).await.json(200);
    (thread, message)
}

/// Nothing in a text belongs to the thread.
#[track_caller]
fn clean(text: &str, forbidden: &[&str]) {
    for part in forbidden {
        assert!(!text.contains(part), "{part} in {text}");
    }
}

#[tokio::test]
async fn a_stranger_never_hears_of_a_thread_on_any_socket_or_poll() {
    let server = Server::shared();
    let (alice, bob, eve) = (server.person(), server.person(), server.person());
    let own = eve.thread(&[]).await;
    let secret = random(30);
    let cursor = text(&eve.socket().await.hello, "cursor").to_owned();
    let mut open = vec![eve.socket().await, eve.socket().await, eve.resume(&cursor).await];
    let (waiting, (thread, message)) = join(eve.poll(&cursor, 1_500), live_through(&alice, &bob, &secret)).await;
    clean(&waiting.body, &[&thread, &message, &secret]);
    eve.say(&own, "fence").await;
    open.push(eve.resume(&cursor).await);
    for mut socket in open {
        let fence = socket.event().await;
        assert_eq!((&fence.json["thread_id"], &fence.json["data"]["content"]), (&json!(own), &json!("fence")));
        let heard: Vec<&Value> = socket.unasked().into_iter().filter(|frame| frame["type"] != "caught_up").collect();
        assert!(heard.is_empty(), "{heard:?}");
    }
    let polled = eve.poll(&cursor, 0).await;
    assert_eq!(polled.json(200)["events"].as_array().map(Vec::len), Some(1));
    clean(&polled.body, &[&thread, &message, &secret]);
}

#[tokio::test]
async fn a_stranger_finds_nothing_of_a_thread_in_any_list() {
    let server = Server::shared();
    let (alice, bob, eve) = (server.person(), server.person(), server.person());
    let secret = random(30);
    let (thread, message) = live_through(&alice, &bob, &secret).await;
    let own = eve.thread(&[]).await;
    eve.say(&own, "own").await;
    for path in [
        "/api/threads".to_owned(),
        "/api/threads?limit=100".to_owned(),
        "/api/messages".to_owned(),
        "/api/messages?limit=100".to_owned(),
        format!("/api/messages?thread_id={own}&after=0"),
        format!("/api/users?q={}", &secret[..8]),
        "/api/events?timeout_ms=0".to_owned(),
        "/api/system/info".to_owned(),
    ] {
        let answer = eve.get(&path).await;
        answer.json(200);
        clean(&answer.body, &[&thread, &message, &secret, &alice.name, &bob.name]);
    }
    for path in [
        format!("/api/threads/{thread}"),
        format!("/api/threads/{thread}/members"),
        format!("/api/messages?thread_id={thread}"),
        format!("/api/messages?thread_id={thread}&after=0"),
        format!("/api/messages/{message}"),
    ] {
        let answer = eve.get(&path).await;
        answer.problem(404, "not_found");
        clean(&answer.body, &[&secret, &alice.name, &bob.name]);
    }
    eve.get(&format!("/api/threads?after={thread}")).await.problem(400, "invalid");
}

#[tokio::test]
async fn a_stranger_changes_nothing_in_a_thread() {
    let server = Server::shared();
    let (alice, bob, eve) = (server.person(), server.person(), server.person());
    let (thread, message) = live_through(&alice, &bob, &random(30)).await;
    let before = (alice.history(&thread).await, alice.get(&format!("/api/threads/{thread}")).await.body);
    let mut socket: Socket = eve.socket().await;
    for (kind, data) in
        [("message.send", json!({"thread_id": thread, "content": "x"})), ("message.delete", json!({"message_id": message}))]
    {
        assert_eq!(socket.ask(kind, data).await["data"]["code"], "not_found", "{kind}");
    }
    eve.post("/api/messages", json!({"thread_id": thread, "content": "x"})).await.problem(404, "not_found");
    eve.delete(&format!("/api/messages/{message}")).await.problem(404, "not_found");
    eve.patch(&format!("/api/threads/{thread}"), json!({"title": "x"})).await.problem(404, "not_found");
    eve.patch(&format!("/api/threads/{thread}"), json!({"owner": eve.name})).await.problem(404, "not_found");
    eve.put(&format!("/api/threads/{thread}/members/{}", eve.name), json!({})).await.problem(404, "not_found");
    eve.delete(&format!("/api/threads/{thread}/members/{}", bob.name)).await.problem(404, "not_found");
    eve.put(&format!("/api/threads/{thread}/read"), json!({"sequence": 9})).await.problem(404, "not_found");
    eve.delete(&format!("/api/threads/{thread}")).await.problem(404, "not_found");
    let after = (alice.history(&thread).await, alice.get(&format!("/api/threads/{thread}")).await.body);
    assert_eq!(before, after);
}

#[tokio::test]
async fn a_former_member_is_a_stranger() {
    let server = Server::shared();
    let (alice, bob) = (server.person(), server.person());
    let secret = random(30);
    let (thread, message) = live_through(&alice, &bob, "for both").await;
    alice.delete(&format!("/api/threads/{thread}/members/{}", bob.name)).await.empty(204);
    alice.say(&thread, &secret).await;
    bob.get(&format!("/api/messages/{message}")).await.problem(404, "not_found");
    for path in ["/api/threads", "/api/messages"] {
        let answer = bob.get(path).await;
        answer.json(200);
        clean(&answer.body, &[&thread, &message, &secret]);
    }
    let mut socket = bob.socket().await;
    let refused = socket.ask("message.send", json!({"thread_id": thread, "content": "x"})).await;
    assert_eq!(refused["data"]["code"], "not_found");
}
