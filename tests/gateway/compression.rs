//! Long lists are compressed for clients that take gzip; whatever could tell a secret by its length is not.

use std::io::Read;

use flate2::read::GzDecoder;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    answer::ask,
    people::{Person, text},
    server::Server,
};

/// What came: the coding, the bytes on the wire, and the JSON in them.
struct Got {
    coding: String,
    bytes: usize,
    json: Value,
}

async fn get(person: &Person, path: &str, accepts: &str) -> Got {
    let answer = person.request(Method::GET, path).header("Accept-Encoding", accepts).send().await.expect("an answer");
    let header = |name: &str| answer.headers().get(name).map_or("", |value| value.to_str().expect("text")).to_owned();
    assert_eq!((answer.status().as_u16(), header("content-type").as_str()), (200, "application/json"), "{path}");
    assert_eq!(header("cache-control"), "no-store", "{path}");
    assert!(header("vary").to_lowercase().contains("accept-encoding"), "{path}: {}", header("vary"));
    let (coding, length) = (header("content-encoding"), header("content-length"));
    let body = answer.bytes().await.expect("a body");
    assert_eq!(length, body.len().to_string(), "{path}");
    let mut json = String::new();
    if coding.is_empty() {
        json = String::from_utf8(body.to_vec()).expect("UTF-8");
    } else {
        GzDecoder::new(body.as_ref()).read_to_string(&mut json).expect("gzip");
    }
    Got { coding, bytes: body.len(), json: serde_json::from_str(&json).expect("JSON") }
}

/// Alice with 30 threads and a long history in one of them.
async fn busy(server: &Server) -> (Person, String) {
    let alice = server.person();
    for number in 0..30 {
        alice.post("/api/threads", json!({ "title": format!("Thread {number}"), "members": [] })).await.json(201);
    }
    let thread = alice.thread(&[]).await;
    for number in 0..60 {
        alice.say(&thread, &format!("message {number} of a conversation like any other")).await;
    }
    (alice, thread)
}

fn generous() -> Server {
    let wide = ["HAILGATE_LIMIT_REST_BURST", "HAILGATE_LIMIT_SENDS_BURST", "HAILGATE_LIMIT_THREADS_BURST"];
    Server::new(&wide.map(|name| (name, "5000")))
}

#[tokio::test]
async fn long_lists_come_packed_to_whoever_takes_it_and_hold_the_same() {
    let server = generous();
    let (alice, thread) = busy(&server).await;
    for (path, list, most) in [
        ("/api/threads?limit=100".to_owned(), "threads", 80),
        (format!("/api/messages?limit=100&thread_id={thread}"), "messages", 35),
    ] {
        let plain = get(&alice, &path, "identity").await;
        assert_eq!(plain.coding, "");
        for (accepts, packs) in [
            ("gzip", true),
            ("gzip, deflate, br, zstd", true),
            ("br", false),
            ("gzip;q=0", false),
            ("identity, gzip;q=0.5", false),
        ] {
            let got = get(&alice, &path, accepts).await;
            assert_eq!(got.coding, if packs { "gzip" } else { "" }, "{path} for {accepts}");
            assert_eq!(got.json[list], plain.json[list], "{path} for {accepts}");
            assert!(!packs || got.bytes * 100 < plain.bytes * most, "{path}: {} of {}", got.bytes, plain.bytes);
        }
    }
}

#[tokio::test]
async fn head_tells_the_length_of_the_packed_form() {
    let server = generous();
    let (alice, thread) = busy(&server).await;
    let path = format!("/api/messages?limit=100&thread_id={thread}");
    let got = get(&alice, &path, "gzip").await;
    let head = ask(alice.request(Method::HEAD, &path).header("Accept-Encoding", "gzip")).await;
    assert_eq!((head.status, head.header("content-encoding"), head.body.as_str()), (200, "gzip", ""));
    // The cursor in it is sealed anew, and packs to a few bytes more or less.
    let length: usize = head.header("content-length").parse().expect("a length");
    assert!(length.abs_diff(got.bytes) < 64 && head.varies_by("accept-encoding"), "{length} {}", got.bytes);
}

#[tokio::test]
async fn short_lists_secrets_streams_and_refusals_are_never_packed() {
    let server = generous();
    let (alice, _) = busy(&server).await;
    let short = alice.thread(&[]).await;
    let since = text(&get(&alice, "/api/threads", "gzip").await.json, "cursor").to_owned();
    for number in 0..20 {
        alice.say(&short, &format!("event {number}")).await;
    }
    let long = "x".repeat(2_000);
    for (method, path, status) in [
        (Method::GET, format!("/api/threads/{short}/members"), 200),
        (Method::GET, "/api/auth/me".to_owned(), 200),
        (Method::POST, "/api/auth/token".to_owned(), 403),
        (Method::POST, "/api/ws/ticket".to_owned(), 200),
        (Method::GET, "/api/messages?limit=100".to_owned(), 200),
        (Method::GET, "/api/users?q=al".to_owned(), 200),
        (Method::GET, format!("/api/events?timeout_ms=0&since={since}"), 200),
        (Method::GET, format!("/api/messages?thread_id={long}"), 400),
        (Method::GET, "/nothing".to_owned(), 404),
    ] {
        let answer = ask(alice.request(method, &path).header("Accept-Encoding", "gzip")).await;
        assert_eq!((answer.status, answer.header("content-encoding")), (status, ""), "{path}: {}", answer.body);
    }
    let stream = alice.request(Method::GET, "/api/events").header("Accept", "text/event-stream");
    let answer = stream.header("Accept-Encoding", "gzip").send().await.expect("a stream");
    assert_eq!((answer.status().as_u16(), answer.headers().get("content-encoding")), (200, None));
}

#[tokio::test]
async fn a_list_that_would_keep_a_worker_busy_is_not_packed() {
    let server = generous();
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    // Each of these characters is six bytes of JSON.
    let content = "\u{1}".repeat(8_000);
    for _ in 0..6 {
        alice.say(&thread, &content).await;
    }
    let path = format!("/api/messages?thread_id={thread}");
    let got = get(&alice, &format!("{path}&limit=5"), "gzip").await;
    assert_eq!(got.coding, "gzip", "{} bytes", got.bytes);
    let got = get(&alice, &path, "gzip").await;
    assert!(got.coding.is_empty() && got.bytes > 256 * 1024, "{} bytes", got.bytes);
    assert_eq!(got.json["messages"].as_array().map(Vec::len), Some(6));
}
