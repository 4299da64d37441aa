//! The server dies, and everybody comes back at the same moment.

use std::time::Instant;

use futures_util::future::join_all;
use serde_json::json;

use crate::{
    ledger::{FAST, Ledger, by_rest},
    people::{Person, text},
    server::Server,
    within,
};

/// Connections, of so many users.
const MANY: usize = 1_000;
const USERS: usize = 20;
/// All are back in this time, on two cores that build other things too.
const BACK: std::time::Duration = std::time::Duration::from_secs(60);

/// Opens a connection where a cursor is and hears everything up to a sequence, each once and in order; its newest cursor.
async fn returns(person: &Person, cursor: &str, from: u64, to: u64) {
    let mut socket = within(BACK, "a socket", Box::pin(person.resume(cursor))).await;
    assert_eq!(socket.hello["resumed"], json!(true), "{}", socket.hello);
    for sequence in from..=to {
        let event = within(BACK, "an event", socket.event()).await.json;
        assert_eq!(event["sequence"], sequence, "{event}");
    }
    assert!(!socket.unasked().iter().any(|frame| frame["sequence"].is_u64()), "{:?}", socket.unasked());
}

#[tokio::test]
async fn a_thousand_that_come_back_at_once_all_get_what_they_missed() {
    // Each has a socket at both ends.
    rlimit::increase_nofile_limit(8_192).expect("open files");
    let own = [("HAILGATE_LIMIT_CONNECTIONS_USER", "1000"), ("HAILGATE_LIMIT_UPGRADES_PER_SECOND", "10000")];
    let server = Server::new(&[&FAST[..], &own[..], &[("HAILGATE_LIMIT_UPGRADES_BURST", "10000")]].concat());
    let alice = server.person();
    let mut users = Vec::new();
    for _ in 0..USERS {
        users.push(server.person());
    }
    let thread = alice.thread(&users.iter().collect::<Vec<_>>()).await;
    let mut sockets = Vec::new();
    for number in 0..MANY {
        sockets.push(users[number % USERS].socket().await);
    }
    let cursors: Vec<String> = sockets.iter().map(|socket| text(&socket.hello, "cursor").to_owned()).collect();
    let mut ledger = Ledger::default();
    for number in 0..10 {
        let key = format!("before-{number}");
        ledger.note(&key, by_rest(&alice, &thread, &key).await);
    }
    let server = server.crash_and_restart();
    drop(sockets);

    let alice = alice.at(&server);
    let users: Vec<Person> = users.iter().map(|user| user.at(&server)).collect();
    let began = Instant::now();
    let back = join_all(cursors.iter().enumerate().map(|(number, cursor)| {
        let user = &users[number % USERS];
        returns(user, cursor, 2, 21)
    }));
    // Said into the middle of it.
    let said = async {
        for number in 0..10 {
            let key = format!("during-{number}");
            ledger.note(&key, by_rest(&alice, &thread, &key).await);
        }
    };
    tokio::join!(back, said);
    println!("{MANY} were back after {:?}", began.elapsed());
    assert_eq!(ledger.stored(), 20);
    ledger.whole(&alice.history(&thread).await);
}
