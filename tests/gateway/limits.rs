//! Limits on how much and how fast, and what is said when one is reached.

use futures_util::{StreamExt, stream::FuturesUnordered};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::{
    people::text,
    polling::{LONG_POLL_MS, LONG_POLLS},
    server::{Server, random},
    soon,
};

#[tokio::test]
async fn the_eleventh_connection_of_a_user_is_429_and_one_that_leaves_makes_room() {
    let server = Server::shared();
    let (alice, bob) = (server.person(), server.person());
    let mut sockets = Vec::new();
    for _ in 0..10 {
        sockets.push(alice.socket().await);
    }
    let problem = alice.try_upgrade("/ws").await.problem(429, "too_many_connections");
    assert!(problem["retry_after_ms"].as_u64().is_some_and(|wait| wait > 0), "{problem}");
    alice.poll("", 0).await.problem(429, "too_many_connections");
    bob.socket().await.is_alive().await;
    for socket in &mut sockets {
        socket.is_alive().await;
    }
    sockets[3].close(1000).await;
    let free = async { while alice.poll("", 0).await.status == 429 {} };
    soon("room for one", free).await;
    alice.socket().await.is_alive().await;
}

#[tokio::test]
async fn many_upgrades_at_once_never_get_over_the_limit() {
    let server = Server::new(&[LONG_POLLS]);
    let alice = server.person();
    let path = format!("/api/events?timeout_ms={LONG_POLL_MS}");
    let mut polls: FuturesUnordered<_> = (0..30).map(|_| Box::pin(alice.get(&path))).collect();
    // Those that have a place wait: the others' answers come first.
    for _ in 0..20 {
        polls.next().await.expect("an answer").problem(429, "too_many_connections");
    }
    alice.thread(&[]).await;
    for _ in 0..10 {
        polls.next().await.expect("an answer").json(200);
    }
}

#[tokio::test]
async fn too_many_sends_are_refused_over_both_transports_and_others_go_on() {
    let server = Server::new(&[("HAILGATE_LIMIT_SENDS_PER_SECOND", "1"), ("HAILGATE_LIMIT_SENDS_BURST", "4")]);
    let (alice, bob) = (server.person(), server.person());
    let thread = alice.thread(&[&bob]).await;
    let mut socket = alice.socket().await;
    socket.say(&thread, "1").await;
    alice.say(&thread, "2").await;
    let mut data = json!({"thread_id": thread, "content": "x"});
    let refused = soon("a refusal", async {
        loop {
            data["client_message_id"] = json!(random(20));
            let answer = socket.ask("message.send", data.clone()).await;
            if answer["type"] == "error" {
                return answer["data"].clone();
            }
        }
    })
    .await;
    assert_eq!((&refused["code"], &refused["retryable"]), (&json!("rate_limited"), &json!(true)));
    assert!(refused["retry_after_ms"].as_u64().is_some_and(|wait| (1..=1_001).contains(&wait)), "{refused}");
    let problem = soon("a refusal", async {
        loop {
            let answer = alice.post("/api/messages", json!({"thread_id": thread, "content": "x"})).await;
            if answer.status != 201 {
                return answer.problem(429, "rate_limited");
            }
        }
    })
    .await;
    assert!(problem["retry_after_ms"].as_u64().is_some_and(|wait| (1..=1_001).contains(&wait)), "{problem}");
    socket.is_alive().await;
    bob.say(&thread, "not limited by alice").await;
    // What was refused was not stored: after the wait the same key posts it for the first time.
    let key = data["client_message_id"].clone();
    let sent = soon("room for one more", async {
        loop {
            let answer = alice.post("/api/messages", data.clone()).await;
            if answer.status != 429 {
                return answer.json(201);
            }
        }
    })
    .await;
    assert_eq!(sent["message"]["client_message_id"], key);
}

#[tokio::test]
async fn a_flood_of_frames_is_warned_and_then_closed_4210() {
    let server = Server::shared();
    let alice = server.person();
    let mut socket = alice.socket().await;
    // More than the rate lets through while a busy machine reads them.
    for _ in 0..20_000 {
        if !socket.send_raw(Message::text(r#"{"type":"ping"}"#)).await {
            break;
        }
    }
    let warning = socket.next("error").await["data"].clone();
    assert_eq!((&warning["code"], &warning["retryable"]), (&json!("rate_limited"), &json!(true)));
    assert!(warning["retry_after_ms"].is_u64());
    let bye = socket.closed_with(4210).await;
    assert_eq!((text(&bye, "reason"), &bye["reconnect"]), ("flooding", &json!(true)));
    assert!(bye["retry_after_ms"].as_u64().is_some_and(|wait| wait > 0), "{bye}");
    alice.socket().await.is_alive().await;
}

#[tokio::test]
async fn two_hundred_frames_at_once_are_no_flood() {
    let server = Server::shared();
    let alice = server.person();
    let mut socket = alice.socket().await;
    for id in 0..200 {
        socket.send(json!({"type": "ping", "id": id})).await;
    }
    for id in 0..200 {
        assert_eq!(socket.next("pong").await["id"], id);
    }
}

#[tokio::test]
async fn limits_that_are_set_are_in_force_and_told() {
    let server = Server::new(&[("HAILGATE_LIMIT_CONTENT_CHARS", "10"), ("HAILGATE_LIMIT_FRAME_BYTES", "5160")]);
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    let mut socket = alice.socket().await;
    assert_eq!(
        (&socket.hello["limits"]["content_chars"], &socket.hello["limits"]["frame_bytes"]),
        (&json!(10), &json!(5_160))
    );
    socket.say(&thread, &"x".repeat(10)).await;
    let over = socket.ask("message.send", json!({"thread_id": thread, "content": "x".repeat(11)})).await;
    assert_eq!(over["data"]["code"], "invalid");
    alice.post("/api/messages", json!({"thread_id": thread, "content": "x".repeat(5_160)})).await.problem(413, "too_big");
    socket.send_text(&" ".repeat(5_161)).await;
    socket.closed_with(1009).await;
}
