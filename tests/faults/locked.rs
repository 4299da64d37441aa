//! Another process holds the store's write lock: writers wait a while and are told, nobody else notices.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    ledger::{FAST, Ledger, Told, by_rest, by_socket, say_again, store},
    outage::{heals, only_writes_fail},
    server::Server,
    soon, within,
};

/// Two writers, one after the other, wait two seconds each for the lock; the rest is for a machine that does other things.
const WAIT: Duration = Duration::from_secs(60);

/// The write lock, held like another program would hold it.
fn lock(server: &Server) -> rusqlite::Connection {
    let other = rusqlite::Connection::open(store(&server.site)).expect("the store opens");
    other.busy_timeout(Duration::from_secs(10)).expect("a time");
    other.execute_batch("BEGIN EXCLUSIVE").expect("the lock");
    other
}

#[tokio::test]
async fn a_lock_that_is_held_refuses_writes_alone_and_its_end_heals_it() {
    let server = Server::new(&FAST);
    let (alice, bob, browser) = (server.person(), server.person(), server.browser().await);
    let thread = alice.thread(&[&bob]).await;
    let (mut of_alice, mut of_bob, mut idle) = (alice.socket().await, bob.socket().await, alice.socket().await);
    let mut ledger = Ledger::begun(&alice, &thread).await;

    let other = lock(&server);
    let (mut round, mut undisturbed) = (0, 0);
    while undisturbed < 2 {
        let (rest, socket) = (format!("rest-{round}"), format!("socket-{round}"));
        let both = async { tokio::join!(by_rest(&alice, &thread, &rest), by_socket(&mut of_alice, &thread, &socket)) };
        let mut told = std::pin::pin!(within(WAIT, "both are told", both));
        // Meanwhile, again and again, each before the writers are told: pings and pages.
        let mut pace = tokio::time::interval(Duration::from_millis(100));
        let mut beats = 0;
        let (of_rest, of_socket) = loop {
            tokio::select! {
                told = &mut told => break told,
                () = async {
                    pace.tick().await;
                    of_bob.is_alive().await;
                    idle.is_alive().await;
                    bob.history(&thread).await;
                    beats += 1;
                } => {}
            }
        };
        // A busy machine may be too slow for it now and then, a server whose reads wait always is.
        undisturbed += usize::from(beats >= 2);
        round += 1;
        assert!(round < 10, "pings and reads wait with the writers");
        for (key, told) in [(&rest, of_rest), (&socket, of_socket)] {
            assert_eq!(told, Told::Refused("store_unavailable".to_owned()));
            ledger.note(key, told);
        }
    }
    only_writes_fail(&server, &alice, &browser, &thread, "store_unavailable").await;

    other.execute_batch("COMMIT").expect("the lock is given back");
    heals(&server, &mut ledger, &alice, &thread).await;
    say_again(&mut ledger, &alice, &thread).await;
    ledger.is_what_was_heard(&alice, &thread, &mut of_bob).await;
    of_alice.is_alive().await;
}

#[tokio::test]
async fn a_lock_that_is_held_for_a_moment_only_delays_writes() {
    let server = Server::new(&FAST);
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    let mut socket = alice.socket().await;
    let (mut stored, mut delayed) = (Vec::new(), false);
    // On a busy machine the moment may last longer than writers wait.
    for round in 0..10 {
        let keys = [format!("one-{round}"), format!("two-{round}")];
        let other = lock(&server);
        let mut rest = std::pin::pin!(by_rest(&alice, &thread, &keys[0]));
        let mut live = std::pin::pin!(by_socket(&mut socket, &thread, &keys[1]));
        let both = async { tokio::join!(&mut rest, &mut live) };
        let early = tokio::time::timeout(Duration::from_millis(500), both).await;
        other.execute_batch("COMMIT").expect("the lock is given back");
        let told = match early {
            Ok(told) => {
                let acknowledged = matches!(told.0, Told::Stored(_)) || matches!(told.1, Told::Stored(_));
                assert!(!acknowledged, "acknowledged while the store was locked: {told:?}");
                told
            }
            Err(_) => soon("both are told", async { tokio::join!(rest, live) }).await,
        };
        let told = keys.iter().zip([told.0, told.1]).filter(|(_, told)| matches!(told, Told::Stored(_)));
        let before = stored.len();
        stored.extend(told.map(|(key, _)| json!(key)));
        delayed = stored.len() == before + 2;
        if delayed {
            break;
        }
    }
    assert!(delayed, "refused again and again");
    let history = alice.history(&thread).await;
    let mut found: Vec<_> = history.iter().map(|message| message["client_message_id"].clone()).collect();
    stored.sort_by_key(Value::to_string);
    found.sort_by_key(Value::to_string);
    assert_eq!(found, stored);
}
