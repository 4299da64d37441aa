//! The server's process stands still for longer than the heartbeat (SIGSTOP), as on a machine that was suspended.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;

use crate::{
    ledger::{FAST, Ledger, by_rest, hears},
    raw::{Raw, TEXT, frame},
    server::Server,
    soon,
};

/// Heartbeat and grace of these tests.
const BEAT: Duration = Duration::from_millis(1_000);
const GRACE: Duration = Duration::from_millis(10_000);
/// How long the process stands still: longer than both.
const STILL: Duration = Duration::from_millis(11_500);

fn server() -> Server {
    let (beat, grace) = (BEAT.as_millis().to_string(), GRACE.as_millis().to_string());
    let own = [
        ("HAILGATE_LIMIT_HEARTBEAT_MS", beat.as_str()),
        ("HAILGATE_LIMIT_HEARTBEAT_GRACE_MS", grace.as_str()),
        ("HAILGATE_LIMIT_CONNECTIONS_USER", "100"),
    ];
    assert!(STILL > BEAT + GRACE);
    Server::new(&[&FAST[..], &own[..]].concat())
}

/// Stops the process, and waits until each of its threads has noticed.
async fn stop(server: &Server) {
    server.signal("STOP");
    let stopped = || {
        let threads = std::fs::read_dir(format!("/proc/{}/task", server.id())).expect("its threads");
        threads.map(|thread| thread.expect("a thread").path().join("stat")).all(|stat| {
            // A thread that has ended in the meantime has stopped too.
            let stat = std::fs::read_to_string(stat).unwrap_or_default();
            // `number (name) state ...`
            stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('T'))
        })
    };
    soon("a standstill", async {
        while !stopped() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_standstill_longer_than_the_heartbeat_disconnects_nobody_and_loses_nothing() {
    let server = server();
    let (alice, bob) = (server.person(), server.person());
    let thread = alice.thread(&[&bob]).await;
    let mut sockets = Vec::new();
    for _ in 0..20 {
        sockets.push(bob.socket().await);
    }
    let mut ledger = Ledger::default();
    let said = async {
        for number in 0..5 {
            let key = format!("before-{number}");
            ledger.note(&key, by_rest(&alice, &thread, &key).await);
        }
        stop(&server).await;
        // Sent while nobody is there to take them: the system does, and they are stored when the process goes on.
        let keys: Vec<_> = (0..5).map(|number| format!("during-{number}")).collect();
        let mut during = std::pin::pin!(join_all(keys.iter().map(|key| by_rest(&alice, &thread, key))));
        let early = tokio::time::timeout(STILL, &mut during).await;
        assert!(early.is_err(), "a process that stands still answered: {early:?}");
        server.signal("CONT");
        for (key, told) in keys.iter().zip(during.await) {
            ledger.note(key, told);
        }
        for key in ledger.open() {
            ledger.note(&key, by_rest(&alice, &thread, &key).await);
        }
        // Long enough for whoever counts the standstill against the clients to cut them.
        let mut pace = tokio::time::interval(BEAT / 4);
        for number in 0..16 {
            pace.tick().await;
            let key = format!("after-{number}");
            ledger.note(&key, by_rest(&alice, &thread, &key).await);
        }
    };
    let heard = join_all(sockets.iter_mut().map(async |socket| {
        hears(socket, &thread, 2, 27).await;
        socket.is_alive().await;
    }));
    tokio::join!(said, heard);
    assert_eq!(ledger.stored(), 26);
    ledger.whole(&alice.history(&thread).await);
}

#[tokio::test]
async fn an_answer_to_a_ping_that_waits_while_the_server_stands_still_counts() {
    let server = server();
    let bob = server.person();
    let mut sockets = Vec::new();
    for _ in 0..20 {
        sockets.push(Raw::socket(server.port, bob.token()).await);
    }
    let pinged = join_all(sockets.iter_mut().map(async |raw| {
        while let Some((first, _)) = raw.frame().await {
            if first == 0x89 {
                return;
            }
        }
        panic!("no ping");
    }));
    soon("a ping of each", pinged).await;
    stop(&server).await;
    for raw in &mut sockets {
        raw.send(frame(0x8a, b"")).await;
    }
    let early = tokio::time::timeout(STILL, bob.get("/health/live")).await;
    assert!(early.is_err(), "a process that stands still answered: {early:?}");
    server.signal("CONT");
    let mut cut = 0;
    for raw in &mut sockets {
        raw.send(frame(TEXT, json!({"type": "ping"}).to_string().as_bytes())).await;
        loop {
            match raw.frame().await {
                Some((TEXT, payload)) if payload.starts_with(br#"{"type":"pong""#) => break,
                Some((TEXT, payload)) if payload.starts_with(br#"{"type":"bye""#) => cut += 1,
                Some(_) => {}
                None => break,
            }
        }
    }
    assert_eq!(cut, 0, "clients that had answered in time are cut");
}
