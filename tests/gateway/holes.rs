//! Holes that a review found, each closed and kept closed: how a socket can be had or filled, and how an event
//! can be lost.

use std::time::Duration;

use serde_json::json;

use crate::{
    people::{Person, text},
    raw::{Raw, frame, upgrade},
    server::Server,
    soon,
};

/// The status that an upgrade with these headers gets.
async fn upgraded(server: &Server, request: String) -> u16 {
    let mut raw = Raw::connect(server.port).await;
    raw.send(request).await;
    raw.head().await.status
}

#[tokio::test]
async fn the_origin_of_an_upgrade_is_judged_however_its_path_is_written() {
    let server = Server::shared();
    let alice = server.browser().await;
    for path in ["/ws", "/%77s", "/w%73", "/%77%73"] {
        let foreign = format!("Cookie: {}\r\nOrigin: https://evil.example\r\n", alice.cookie());
        assert_eq!(upgraded(server, upgrade(path, &foreign)).await, 403, "{path}");
        let missing = format!("Cookie: {}\r\n", alice.cookie());
        assert_eq!(upgraded(server, upgrade(path, &missing)).await, 403, "{path}");
    }
}

#[tokio::test]
async fn an_upgrade_to_a_websocket_and_something_else_is_400_and_nothing_behind_it_is_answered() {
    let server = Server::shared();
    let alice = server.person();
    let behind = "GET /health HTTP/1.1\r\nHost: chat.test\r\n\r\n";
    let good = upgrade("/ws", &format!("Authorization: Bearer {}\r\n", alice.token()));
    for value in ["websocket, x", "xwebsocket", "websocket\r\nUpgrade: websocket", "websocket/13"] {
        let mut raw = Raw::connect(server.port).await;
        raw.send(good.replace("Upgrade: websocket", &format!("Upgrade: {value}")) + behind).await;
        let answer = String::from_utf8_lossy(&raw.rest().await).into_owned();
        assert!(answer.starts_with("HTTP/1.1 400 "), "{value}: {answer}");
        assert!(!answer.contains("healthy"), "{value}: {answer}");
    }
    assert_eq!(upgraded(server, good.replace("Upgrade: websocket", "Upgrade: WebSocket")).await, 101);
}

#[tokio::test]
async fn an_upgrade_that_follows_a_refused_one_is_not_answered_and_the_connection_ends() {
    let server = Server::new(&[]);
    let first = "GET /ws HTTP/1.1\r\nHost: chat.test\r\n\r\n";
    let second = "GET /x HTTP/1.1\r\nHost: chat.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let mut before = 0;
    for round in 0..20 {
        // The first one of all is the first on each worker thread, too.
        if round == 4 {
            before = server.files();
        }
        let mut raw = Raw::connect(server.port).await;
        raw.send(format!("{first}{second}")).await;
        let answer = String::from_utf8_lossy(&raw.rest().await).into_owned();
        assert!(answer.starts_with("HTTP/1.1 401 ") || answer.starts_with("HTTP/1.1 426 "), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    }
    let left = async {
        let mut pace = tokio::time::interval(Duration::from_millis(50));
        while server.files() > before {
            pace.tick().await;
        }
    };
    soon("their descriptors are given back", left).await;
}

#[tokio::test]
async fn a_key_that_is_not_sixteen_bytes_in_base64_is_400() {
    let server = Server::shared();
    let alice = server.person();
    let good = upgrade("/ws", &format!("Authorization: Bearer {}\r\n", alice.token()));
    let key = "dGhlIHNhbXBsZSBub25jZQ==";
    for bad in [
        "x",
        "dGhlIHNhbXBsZSBub25jZQ",
        "dGhlIHNhbXBsZSBub25jZSE=",
        "dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ] {
        assert_eq!(upgraded(server, good.replace(key, bad)).await, 400, "{bad}");
    }
}

#[tokio::test]
async fn a_flood_of_tiny_control_frames_is_sent_away_and_never_held() {
    let server = Server::new(&[]);
    let alice = server.person();
    let before = server.resident_kib();
    let mut raw = Raw::socket(server.port, alice.token()).await;
    // A million pings of six bytes, or as many as the server takes before it has enough of them.
    let thousand = frame(0x89, b"").repeat(1_000);
    for _ in 0..1_000 {
        raw.send(&thousand).await;
    }
    raw.rest().await;
    let grown = server.resident_kib().saturating_sub(before);
    assert!(grown < 8 * 1024, "{grown} KiB more");
    server.log.wait_for("the server lives", |line| line.contains("/ws").then_some(()));
    assert_eq!(alice.get("/api/auth/me").await.status, 200);
}

/// Three bytes a character in JSON: a page of such messages is larger than the outbox of these servers.
fn large(number: usize) -> String {
    format!("{number} {}", "ж".repeat(7_000))
}

const OUTBOX: (&str, &str) = ("HAILGATE_LIMIT_OUTBOX_BYTES", "65536");

async fn say_many(who: &Person, thread: &str, count: usize) {
    let posts = (0..count).map(|number| {
        let body = json!({"thread_id": thread, "content": large(number)});
        who.post("/api/messages", body)
    });
    for answer in futures_util::future::join_all(posts).await {
        answer.json(201);
    }
}

#[tokio::test]
async fn a_catch_up_larger_than_the_outbox_is_paced_and_never_slow() {
    let server = Server::new(&[OUTBOX]);
    let (alice, bob) = (server.person(), server.person());
    let thread = alice.thread(&[&bob]).await;
    let threads = bob.get("/api/threads").await.json(200);
    say_many(&alice, &thread, 40).await;
    let mut socket = bob.resume(text(&threads, "cursor")).await;
    for sequence in 2..42 {
        assert_eq!(socket.expect("message.created").await["sequence"], sequence);
    }
    assert_eq!(socket.next("caught_up").await["data"]["events"], 40);
    socket.is_alive().await;
}

#[tokio::test]
async fn a_burst_larger_than_the_outbox_does_not_make_a_reader_slow() {
    let server = Server::new(&[OUTBOX]);
    let (alice, bob) = (server.person(), server.person());
    let thread = alice.thread(&[&bob]).await;
    let mut socket = bob.socket().await;
    let hear = async {
        for sequence in 2..42 {
            assert_eq!(socket.expect("message.created").await["sequence"], sequence);
        }
        socket.is_alive().await;
    };
    futures_util::future::join(say_many(&alice, &thread, 40), hear).await;
}

#[tokio::test]
async fn polls_lose_nothing_of_bursts_larger_than_the_outbox() {
    let server = Server::new(&[OUTBOX]);
    let (alice, bob) = (server.person(), server.person());
    let thread = alice.thread(&[&bob]).await;
    let mut cursor = text(&bob.get("/api/threads").await.json(200), "cursor").to_owned();
    let hear = async {
        let mut sequences = Vec::new();
        while sequences.len() < 40 {
            let page = bob.poll(&cursor, 5_000).await.json(200);
            sequences
                .extend(page["events"].as_array().expect("events").iter().filter_map(|event| event["sequence"].as_u64()));
            text(&page, "cursor").clone_into(&mut cursor);
        }
        assert_eq!(sequences, (2..42).collect::<Vec<_>>());
    };
    futures_util::future::join(say_many(&alice, &thread, 40), hear).await;
}

#[tokio::test]
async fn polls_whose_client_has_gone_give_their_places_back() {
    let server = Server::shared();
    let alice = server.person();
    let poll = format!("GET /api/events HTTP/1.1\r\nHost: chat.test\r\nAuthorization: Bearer {}\r\n\r\n", alice.token());
    for _ in 0..3 {
        let mut gone = Vec::new();
        for _ in 0..10 {
            let mut raw = Raw::connect(server.port).await;
            raw.send(&poll).await;
            gone.push(raw);
        }
        drop(gone);
        let back = async { while alice.get("/api/events?timeout_ms=0").await.status != 200 {} };
        soon("a place", back).await;
    }
}

#[tokio::test]
async fn a_refused_upgrade_whose_body_never_comes_is_cut() {
    let server = Server::shared();
    let alice = server.person();
    let mut raw = Raw::connect(server.port).await;
    raw.send(upgrade("/ws", &format!("Authorization: Bearer {}\r\nTransfer-Encoding: chunked\r\n", alice.token()))).await;
    assert!(String::from_utf8_lossy(&raw.rest().await).starts_with("HTTP/1.1 400 "));
}

#[tokio::test]
async fn a_request_whose_body_nobody_reads_and_never_ends_is_cut() {
    let server = Server::shared();
    let cut = [("POST /api/messages", 401), ("GET /health", 200)].map(async |(asked, status)| {
        let mut raw = Raw::connect(server.port).await;
        raw.send(format!("{asked} HTTP/1.1\r\nHost: chat.test\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")).await;
        let answer = String::from_utf8_lossy(&raw.rest().await).into_owned();
        let told = answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.contains("connection: close");
        assert!(told, "{asked}: {answer}");
    });
    futures_util::future::join_all(cut).await;
}

#[tokio::test]
async fn a_broken_header_in_two_parts_is_closed_1002() {
    let server = Server::shared();
    for parts in [[&b"\xc1"[..], b"\x81"], [b"\x83", b"\x81"], [b"\x81", b"\x7e"], [b"\x81\xff", b"\x80"]] {
        let alice = server.person();
        let mut raw = Raw::socket(server.port, alice.token()).await;
        for part in parts {
            raw.send(part).await;
        }
        assert_eq!(raw.closed().await, (Some(1002), Some(1002)), "{parts:?}");
    }
}

#[tokio::test]
async fn a_token_beside_a_cookie_signs_nobody_out_of_the_cookie() {
    let server = Server::shared();
    let alice = server.browser().await;
    let mut socket = alice.socket().await;
    let token = server.site.token(&alice.name);
    let logout = alice.request(reqwest::Method::POST, "/api/auth/logout").bearer_auth(token);
    assert_eq!(crate::answer::ask(logout).await.status, 204);
    socket.is_alive().await;
    assert_eq!(alice.get("/api/auth/me").await.status, 200);
}
