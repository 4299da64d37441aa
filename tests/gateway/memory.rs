//! Memory that a client can make the server hold: what it does not read, and messages that it does not finish.

use futures_util::future::{join, join_all, select_all};
use serde_json::{Value, json};

use crate::{
    people::{Person, text},
    raw::{Raw, TEXT, frame, header, upgrade},
    server::Server,
    soon,
};

/// Near the longest message: 32 KB in JSON.
fn long() -> String {
    "\u{1f600}".repeat(7_900)
}

/// Posts so many long messages; the cursor before them.
async fn history(who: &Person, count: usize) -> String {
    let thread = who.thread(&[]).await;
    let before = who.get("/api/threads").await.json(200);
    let post = |_| who.post("/api/messages", json!({"thread_id": thread, "content": long()}));
    for answer in join_all((0..count).map(post)).await {
        answer.json(201);
    }
    text(&before, "cursor").to_owned()
}

/// A resume of which the first event has arrived and nothing more is read.
async fn resumes(who: &Person, cursor: &str) -> Raw {
    let mut raw = Raw::connect(who.port()).await;
    raw.send(upgrade(&format!("/ws?since={cursor}"), &format!("Authorization: Bearer {}\r\n", who.token()))).await;
    assert_eq!(raw.head().await.status, 101);
    while raw.json().await["type"] != "message.created" {}
    raw
}

const BEAT: &[u8] = br#"{"type":"beat"}"#;

#[tokio::test]
async fn a_resume_that_reads_nothing_holds_no_more_than_a_part_of_its_outbox() {
    let server = Server::new(&[("HAILGATE_LIMIT_SENDS_BURST", "1000"), ("HAILGATE_LIMIT_CONNECTIONS_USER", "30")]);
    let alice = server.person();
    let cursor = history(&alice, 110).await;
    let before = server.resident_kib();
    let mut sockets = Vec::new();
    for _ in 0..30 {
        sockets.push(resumes(&alice, &cursor).await);
    }
    let grown = server.resident_kib().saturating_sub(before);
    assert!(grown < 32 * 1_024, "{grown} KiB for thirty resumes of 3.4 MiB each");
}

#[tokio::test]
async fn a_resume_that_takes_nothing_is_slow_however_much_it_beats_and_one_that_reads_is_not() {
    let server = Server::new(&[
        ("HAILGATE_LIMIT_SENDS_BURST", "1000"),
        ("HAILGATE_LIMIT_REST_BURST", "1000000"),
        ("HAILGATE_LIMIT_CONNECTIONS_USER", "2"),
        ("HAILGATE_LIMIT_STALL_MS", "10000"),
        ("HAILGATE_LIMIT_FRAMES_BURST", "1000000"),
    ]);
    let alice = server.person();
    let cursor = history(&alice, 300).await;
    let (mut reads, mut stuck) = (alice.resume(&cursor).await, resumes(&alice, &cursor).await);
    let reading = async {
        for _ in 0..300 {
            reads.expect("message.created").await;
        }
        assert_eq!(reads.next("caught_up").await["data"]["events"], 300);
    };
    // The place of the stuck one becomes free.
    let place = soon("a free place", async {
        while alice.poll("", 0).await.status == 429 {
            stuck.send(frame(TEXT, BEAT)).await;
        }
    });
    join(reading, place).await;
    reads.is_alive().await;
    let left = stuck.rest().await;
    assert!(left.len() < 300 * long().len(), "it took everything");
}

/// Heartbeats of a second.
const HASTY: [(&str, &str); 2] = [("HAILGATE_LIMIT_HEARTBEAT_MS", "1000"), ("HAILGATE_LIMIT_HEARTBEAT_GRACE_MS", "1000")];

#[tokio::test]
async fn a_message_that_is_not_finished_in_time_is_closed_4204_whatever_trickles_in() {
    let many = [("HAILGATE_LIMIT_FRAMES_PER_SECOND", "1000000"), ("HAILGATE_LIMIT_FRAMES_BURST", "1000000")];
    let server = Server::new(&[&HASTY[..], &many, &[("HAILGATE_LIMIT_MESSAGE_MS", "1000")]].concat());
    let (alice, bob) = (server.person(), server.person());
    let trickle = async {
        let mut raw = Raw::socket(server.port, alice.token()).await;
        raw.send(header(TEXT, 1_000)).await;
        // Another byte whenever the server asks for a sign of life.
        for _ in 0..8 {
            match raw.frame().await {
                Some((0x89, _)) => raw.send(b"x").await,
                Some((TEXT, payload)) => {
                    return serde_json::from_slice::<Value>(&payload).expect("JSON")["data"]["code"].clone();
                }
                other => panic!("{other:?}"),
            }
        }
        Value::Null
    };
    let fragments = async {
        let mut raw = Raw::socket(server.port, bob.token()).await;
        raw.send(frame(0x01, br#"{"type""#)).await;
        // Pings between the fragments, as fast as they are answered.
        soon("an end", async {
            loop {
                raw.send(frame(0x89, b"")).await;
                match raw.frame().await {
                    Some((0x8a | 0x89, _)) => {}
                    Some((TEXT, payload)) => {
                        return serde_json::from_slice::<Value>(&payload).expect("JSON")["data"]["code"].clone();
                    }
                    other => panic!("{other:?}"),
                }
            }
        })
        .await
    };
    assert_eq!(join(trickle, fragments).await, (json!(4204), json!(4204)));
}

#[tokio::test]
async fn who_sends_a_message_slowly_but_in_time_stays() {
    let server = Server::new(&[
        ("HAILGATE_LIMIT_HEARTBEAT_MS", "1000"),
        ("HAILGATE_LIMIT_HEARTBEAT_GRACE_MS", "10000"),
        ("HAILGATE_LIMIT_MESSAGE_MS", "120000"),
    ]);
    let (alice, bob) = (server.person(), server.person());
    let mut slow = Raw::socket(server.port, alice.token()).await;
    let mut polite = Raw::socket(server.port, bob.token()).await;
    let ping = frame(TEXT, br#"{"type":"ping"}"#);
    slow.send(&ping[..ping.len() - 1]).await;
    // Longer than a heartbeat and the grace, 11 s: the pings come a second apart.
    let mut pings = 0;
    while pings < 14 {
        let (first, payload) = polite.frame().await.expect("a frame");
        if first == 0x89 {
            pings += 1;
            polite.send(frame(0x8a, &payload)).await;
        }
    }
    slow.send(&ping[ping.len() - 1..]).await;
    assert_eq!(slow.json().await["type"], "pong");
}

#[tokio::test]
async fn where_unfinished_messages_fill_the_memory_of_the_node_they_are_closed_4211_and_readers_stay() {
    let server = Server::new(&[("HAILGATE_LIMIT_OUTBOXES_BYTES", "262144")]);
    let (alice, bob) = (server.person(), server.person());
    let mut reader = bob.socket().await;
    let mut sockets = Vec::new();
    for _ in 0..8 {
        let mut raw = Raw::socket(server.port, alice.token()).await;
        raw.send(&frame(TEXT, &vec![b'x'; 131_000])[..100_000]).await;
        sockets.push(raw);
    }
    let first = select_all(sockets.iter_mut().map(|raw| Box::pin(raw.closed()))).await;
    assert_eq!(first.0, (Some(4211), Some(4211)));
    reader.is_alive().await;
}
