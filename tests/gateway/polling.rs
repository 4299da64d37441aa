//! Receiving without a socket: the long poll, and changing between it and the socket.

use std::time::{Duration, Instant};

use futures_util::future::join;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    answer::ask,
    people::{Person, text},
    server::Server,
};

/// A poll may wait for longer than any test does: one that returns was woken.
pub const LONG_POLLS: (&str, &str) = ("HAILGATE_LIMIT_POLL_MS", "600000");
/// The longest wait of a poll there, in milliseconds.
pub const LONG_POLL_MS: u64 = 600_000;

fn contents(answer: &Value) -> Vec<&str> {
    let events = answer["events"].as_array().expect("events");
    events.iter().map(|event| text(&event["data"], "content")).collect()
}

async fn now(person: &Person) -> String {
    text(&person.get("/api/events?timeout_ms=0").await.json(200), "cursor").to_owned()
}

#[tokio::test]
async fn without_since_a_poll_begins_now() {
    let server = Server::shared();
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    alice.say(&thread, "before").await;
    let first = alice.get("/api/events?timeout_ms=0").await.json(200);
    assert_eq!(first["events"], json!([]));
    alice.say(&thread, "after").await;
    let next = alice.poll(text(&first, "cursor"), 10_000).await.json(200);
    assert_eq!(contents(&next), ["after"]);
}

#[tokio::test]
async fn a_poll_that_is_behind_returns_at_once_with_the_bytes_a_socket_gets() {
    let server = Server::new(&[LONG_POLLS]);
    let (alice, bob) = (server.person(), server.person());
    let thread = alice.thread(&[&bob]).await;
    let mut socket = alice.socket().await;
    let cursor = now(&bob).await;
    alice.say(&thread, "\u{1f600} one").await;
    let answer = bob.poll(&cursor, LONG_POLL_MS).await;
    let event = socket.event().await;
    assert!(answer.body.contains(&event.bytes), "{} in {}", event.bytes, answer.body);
    assert_eq!(answer.json(200)["events"], json!([event.json]));
}

#[tokio::test]
async fn a_poll_waits_and_returns_when_an_event_comes() {
    let server = Server::new(&[LONG_POLLS]);
    let (alice, bob) = (server.person(), server.person());
    let thread = alice.thread(&[&bob]).await;
    let cursor = now(&bob).await;
    let later = async {
        // Other requests first, so that the poll waits when the event comes.
        for _ in 0..5 {
            alice.get("/api/auth/me").await.json(200);
        }
        alice.say(&thread, "hello").await
    };
    let (answer, _) = join(bob.poll(&cursor, LONG_POLL_MS), later).await;
    assert_eq!(contents(&answer.json(200)), ["hello"]);
}

#[tokio::test]
async fn a_poll_in_vain_lasts_its_time_and_its_cursor_goes_on() {
    let server = Server::shared();
    let (alice, eve) = (server.person(), server.person());
    let (thread, foreign) = (alice.thread(&[]).await, eve.thread(&[]).await);
    let cursor = now(&alice).await;
    let began = Instant::now();
    let (answer, _) = join(alice.poll(&cursor, 700), eve.say(&foreign, "not for alice")).await;
    assert!(began.elapsed() >= Duration::from_millis(700), "{:?}", began.elapsed());
    let answer = answer.json(200);
    assert_eq!(answer["events"], json!([]));
    alice.say(&thread, "next").await;
    assert_eq!(contents(&alice.poll(text(&answer, "cursor"), 0).await.json(200)), ["next"]);
    assert_eq!(contents(&alice.poll(&cursor, 0).await.json(200)), ["next"]);
}

#[tokio::test]
async fn successive_polls_lose_nothing_and_repeat_nothing_while_others_post() {
    let server = Server::new(&[("HAILGATE_LIMIT_SENDS_BURST", "1000"), ("HAILGATE_LIMIT_REST_BURST", "5000")]);
    let (alice, bob) = (server.person(), server.person());
    let thread = alice.thread(&[&bob]).await;
    let mut cursor = now(&bob).await;
    let post = async {
        for number in 0..300 {
            alice.say(&thread, &number.to_string()).await;
        }
    };
    let follow = async {
        let mut heard = Vec::new();
        while heard.len() < 300 {
            let answer = bob.poll(&cursor, 10_000).await.json(200);
            heard.extend(contents(&answer).iter().map(|content| content.parse::<u32>().expect("a number")));
            cursor = text(&answer, "cursor").to_owned();
        }
        heard
    };
    let (heard, ()) = join(follow, post).await;
    assert_eq!(heard, (0..300).collect::<Vec<_>>());
    assert_eq!(bob.poll(&cursor, 0).await.json(200)["events"], json!([]));
}

#[tokio::test]
async fn changing_between_poll_and_socket_loses_nothing_and_repeats_nothing() {
    let server = Server::new(&[("HAILGATE_LIMIT_SENDS_BURST", "1000"), ("HAILGATE_LIMIT_REST_BURST", "5000")]);
    let (alice, bob) = (server.person(), server.person());
    let thread = alice.thread(&[&bob]).await;
    let mut cursor = now(&bob).await;
    let post = async {
        for number in 0..120 {
            alice.say(&thread, &number.to_string()).await;
        }
    };
    let follow = async {
        let mut heard: Vec<u32> = Vec::new();
        let number = |event: &Value| text(&event["data"], "content").parse().expect("a number");
        while heard.len() < 120 {
            let answer = bob.poll(&cursor, 10_000).await.json(200);
            heard.extend(answer["events"].as_array().expect("events").iter().map(number));
            cursor = text(&answer, "cursor").to_owned();
            // On the socket up to its own place; what comes after that is left to the next poll.
            let mut socket = bob.resume(&cursor).await;
            let caught_up = socket.next("caught_up").await["data"].clone();
            for _ in 0..caught_up["events"].as_u64().expect("a number") {
                heard.push(number(&socket.event().await.json));
            }
            cursor = text(&caught_up, "cursor").to_owned();
            socket.close(1000).await;
        }
        heard
    };
    let (heard, ()) = join(follow, post).await;
    assert_eq!(heard, (0..120).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_poll_that_is_far_behind_comes_in_pages() {
    let server = Server::new(&[("HAILGATE_LIMIT_SENDS_BURST", "1000"), ("HAILGATE_LIMIT_REST_BURST", "5000")]);
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    let mut cursor = now(&alice).await;
    for number in 0..250 {
        alice.say(&thread, &number.to_string()).await;
    }
    let mut heard = Vec::new();
    while heard.len() < 250 {
        let answer = alice.poll(&cursor, 0).await.json(200);
        let page: Vec<u32> = contents(&answer).iter().map(|content| content.parse().expect("a number")).collect();
        assert!((1..=100).contains(&page.len()), "{}", page.len());
        heard.extend(page);
        cursor = text(&answer, "cursor").to_owned();
    }
    assert_eq!(heard, (0..250).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_logout_ends_a_waiting_poll_with_401() {
    let server = Server::shared();
    let alice = server.browser().await;
    let elsewhere = server.sign_in(&alice.name).await;
    let cursor = now(&alice).await;
    let logout = async {
        for _ in 0..5 {
            elsewhere.get("/api/auth/me").await.json(200);
        }
        ask(alice.request(Method::POST, "/api/auth/logout")).await.empty(204);
    };
    let (answer, ()) = join(alice.poll(&cursor, 30_000), logout).await;
    assert_eq!(answer.status, 401, "{}", answer.body);
    let code = answer.json(401)["code"].clone();
    assert!(code == "signed_out" || code == "unauthenticated", "{code}");
    let own = elsewhere.thread(&[]).await;
    assert_eq!(elsewhere.poll(&cursor, 10_000).await.json(200)["events"][0]["thread_id"], own.as_str());
}

#[tokio::test]
async fn a_poll_is_told_of_memberships_as_a_socket_is() {
    let server = Server::shared();
    let (alice, bob) = (server.person(), server.person());
    let cursor = now(&bob).await;
    let thread = alice.thread(&[&bob]).await;
    alice.delete(&format!("/api/threads/{thread}/members/{}", bob.name)).await.empty(204);
    alice.say(&thread, "after").await;
    let answer = bob.poll(&cursor, 0).await.json(200);
    let kinds: Vec<&str> = answer["events"].as_array().expect("events").iter().map(|event| text(event, "type")).collect();
    assert_eq!(kinds, ["thread.member_removed"]);
}
