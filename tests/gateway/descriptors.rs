//! A server with few file descriptors: who connects and says nothing keeps nobody out.

use std::sync::Arc;

use reqwest::Method;
use tokio::net::TcpSocket;

use crate::{
    answer::ask,
    people::text,
    raw::{Raw, upgrade},
    server::{Server, Site},
    soon,
};

/// A server that may have so many files open, with these variables beside the usual ones. Two workers on any machine: each worker
/// takes descriptors for itself. No head is late: a connection ends for want of descriptors or not at all.
fn with_files(files: usize, more: &[(&str, &str)]) -> Server {
    let own = [("HAILGATE_WORKERS", "2"), ("HAILGATE_LIMIT_HEAD_MS", "600000")];
    let mut site = Site::new(&[&own, more].concat());
    site.through = ["sh", "-c", &format!("ulimit -n {files} && exec \"$0\" \"$@\"")].map(str::to_owned).to_vec();
    Arc::new(site).serve()
}

#[tokio::test]
async fn idle_connections_keep_nobody_out_whatever_their_number() {
    let server = with_files(400, &[]);
    let alice = server.person();
    let mut socket = alice.socket().await;
    let thread = alice.thread(&[]).await;
    socket.expect("thread.created").await;
    // Some say nothing, some begin a request and never end it.
    let mut idle = Vec::new();
    for number in 0..500 {
        let mut raw = Raw::connect(server.port).await;
        if number % 3 == 0 {
            raw.send("GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: ").await;
        }
        idle.push(raw);
        if number % 100 == 99 {
            server.nobody().get("/health/ready").await.json(200);
            alice.say(&thread, "still here").await;
            socket.expect("message.created").await;
            assert!(server.files() < 400, "{}", server.files());
        }
    }
    assert_eq!(alice.try_upgrade("/ws").await.status, 101);
    assert!(!server.log.text().contains("Too many open files"), "{}", server.log.text());
    // The first to come had to go.
    assert_eq!(soon("the end of the oldest", idle.remove(0).rest()).await, b"");
}

#[tokio::test]
async fn answers_that_are_not_read_keep_nobody_out() {
    let server = with_files(400, &[]);
    let mut unread = Vec::new();
    for _ in 0..360 {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4 * 1024).expect("a small buffer");
        let stream = socket.connect(([127, 0, 0, 1], server.port).into());
        let mut raw = Raw::over(soon("a connection", stream).await.expect("a connection"));
        // Answers enough to fill what the system keeps of a connection that is not read.
        raw.send("GET /static/conversation.js HTTP/1.1\r\nHost: x\r\n\r\n".repeat(12)).await;
        unread.push(raw);
    }
    server.nobody().get("/health/ready").await.json(200);
    assert_eq!(server.person().try_upgrade("/ws").await.status, 101);
    assert!(server.files() < 400, "{}", server.files());
}

#[tokio::test]
async fn a_socket_takes_one_descriptor_and_all_that_the_files_allow_are_let_in() {
    let server = with_files(400, &[("HAILGATE_LIMIT_CONNECTIONS_USER", "1000")]);
    let alice = server.person();
    // With two workers: 400 files, 80 for the process, 32 for plain connections.
    let places = server.log.wait_for("the places", |line| {
        let (_, rest) = line.split_once("room for ")?;
        rest.split(' ').next()?.parse::<usize>().ok()
    });
    assert!(places > 200, "{places}");
    let mut sockets = vec![Raw::socket(server.port, alice.token()).await];
    let before = server.files();
    while sockets.len() < places {
        sockets.push(Raw::socket(server.port, alice.token()).await);
    }
    // Beside them a few plain connections may be open.
    assert!(server.files() < before + places + 20, "{before} to {}", server.files());
    alice.try_upgrade("/ws").await.problem(503, "over_capacity");
    server.nobody().get("/health/ready").await.json(200);
}

#[tokio::test]
async fn a_request_with_upgrade_to_another_path_gives_its_place_back_when_its_client_goes() {
    let server = Server::new(&[("HAILGATE_LIMIT_CONNECTIONS_USER", "2")]);
    let alice = server.person();
    let held = alice.socket().await;
    for accept in ["application/json", "text/event-stream"] {
        let more = format!("Authorization: Bearer {}\r\nAccept: {accept}\r\n", alice.token());
        let mut raw = Raw::connect(server.port).await;
        raw.send(upgrade("/api/events", &more)).await;
        let places = async |status: u16| {
            let free = async || ask(alice.request(Method::GET, "/api/events?timeout_ms=0")).await;
            soon(&format!("an answer {status} beside {accept}"), async { while free().await.status != status {} }).await;
        };
        places(429).await;
        drop(raw);
        places(200).await;
    }
    assert!(!text(&held.hello, "connection_id").is_empty());
}
