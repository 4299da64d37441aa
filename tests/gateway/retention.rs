//! Retention: what is older than the limit is gone, who missed it is told, and threads live on.

use std::{path::PathBuf, sync::Arc};

use serde_json::{Value, json};

use crate::{
    people::text,
    server::{Server, Site, random},
    soon,
};

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

impl Site {
    /// The database file.
    pub fn database(&self) -> PathBuf {
        self.directory.path().join("hailgate.db")
    }
}

/// Ends a server, changes its file, and starts it again.
fn between_two_runs(mut server: Server, change: impl FnOnce(&rusqlite::Connection)) -> Server {
    let site = Arc::clone(&server.site);
    server.terminate();
    assert!(server.ended().success());
    change(&rusqlite::Connection::open(site.database()).expect("the database"));
    site.serve()
}

#[tokio::test]
async fn what_is_older_than_the_retention_goes_at_the_start_and_its_cursors_expire() {
    let week = (7 * DAY_MS).to_string();
    let server = Server::new(&[("HAILGATE_LIMIT_RETENTION_MS", &week), ("HAILGATE_LIMIT_REST_BURST", "5000")]);
    let (alice, bob) = (server.person(), server.person());
    let first = alice.socket().await.hello;
    assert_eq!(first["limits"]["retention_ms"], 7 * DAY_MS);
    let thread = alice.thread(&[&bob]).await;
    let key = random(20);
    let old = json!({"thread_id": thread, "content": "old", "client_message_id": key});
    let message = alice.post("/api/messages", old.clone()).await.json(201)["message"].clone();
    let middle = text(&alice.get("/api/threads").await.json(200), "cursor").to_owned();
    alice.say(&thread, "old too").await;
    let young = alice.say(&thread, "young").await;
    let last = text(&alice.get("/api/threads").await.json(200), "cursor").to_owned();
    let server = between_two_runs(server, |file| {
        let aged = "UPDATE events SET at = at - ?1 WHERE position < (SELECT max(position) FROM events)";
        assert_eq!(file.execute(aged, [8 * DAY_MS]).expect("rows"), 3);
    });
    let (alice, bob) = (alice.at(&server), bob.at(&server));
    soon("pruning", async { while alice.history(&thread).await.len() > 1 {} }).await;
    assert_eq!(bob.history(&thread).await, std::slice::from_ref(&young));
    bob.get(&format!("/api/messages/{}", text(&message, "message_id"))).await.problem(404, "not_found");
    for cursor in [text(&first, "cursor"), &middle] {
        for person in [&alice, &bob] {
            let mut socket = person.resume(cursor).await;
            assert_eq!((&socket.hello["resumed"], &socket.hello["reason"]), (&json!(false), &json!("expired")));
            socket.is_alive().await;
            let problem = person.poll(cursor, 0).await.problem(410, "expired");
            assert!(text(&problem, "detail").contains("Load what you need by REST"), "{problem}");
        }
    }
    let mut socket = bob.resume(&last).await;
    assert_eq!(socket.hello["resumed"], true, "what is kept can be followed: {}", socket.hello);
    let shown = bob.get(&format!("/api/threads/{thread}")).await.json(200);
    assert_eq!((&shown["unread"], &shown["sequence"], &shown["last_message"]), (&json!(1), &json!(4), &young));
    // The key is gone with its message, and free for another.
    let again = alice.post("/api/messages", old).await.json(201);
    assert_eq!((&again["duplicate"], &again["message"]["sequence"]), (&json!(false), &json!(5)));
    assert_eq!(socket.expect("message.created").await["data"], again["message"]);
}

#[tokio::test]
async fn after_a_long_gap_only_what_was_too_old_before_it_is_deleted_at_the_start() {
    let week = (7 * DAY_MS).to_string();
    let server = Server::new(&[("HAILGATE_LIMIT_RETENTION_MS", &week), ("HAILGATE_LIMIT_REST_BURST", "5000")]);
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    alice.say(&thread, "too old").await;
    alice.say(&thread, "old").await;
    alice.say(&thread, "young").await;
    // As if the clock had been set forward by nine days while no server ran. The first message and what came before it were too
    // old already.
    let mut before = 0;
    let server = between_two_runs(server, |file| {
        file.execute("UPDATE events SET at = at - ?1", [9 * DAY_MS]).expect("rows");
        assert_eq!(file.execute("UPDATE events SET at = at - ?1 WHERE position <= 2", [8 * DAY_MS]).expect("rows"), 2);
        file.execute("UPDATE meta SET swept_at = swept_at - ?1", [9 * DAY_MS]).expect("a row");
        before = swept_at(file);
    });
    let later = next_sweep(&server, before).await - before;
    assert!((1..DAY_MS).contains(&later), "it swept by the time of the last sweep and the uptime: {later}");
    let alice = alice.at(&server);
    // One write deletes all that is too old: once the first message is gone, the others are or stay.
    let left = soon("pruning", async {
        loop {
            let left: Vec<Value> = alice.history(&thread).await.iter().map(|message| message["content"].clone()).collect();
            if !left.contains(&json!("too old")) {
                return left;
            }
        }
    })
    .await;
    assert_eq!(left, ["old", "young"]);
}

#[tokio::test]
async fn a_clock_that_is_behind_the_last_sweep_at_the_start_does_not_set_that_time_back() {
    let server = Server::new(&[]);
    let mut before = next_sweep(&server, 0).await;
    // As on a machine without a battery for its clock, which starts a month back.
    let server = between_two_runs(server, |file| {
        file.execute("UPDATE meta SET swept_at = swept_at + ?1", [30 * DAY_MS]).expect("a row");
        before = swept_at(file);
    });
    let later = next_sweep(&server, before).await - before;
    assert!((1..DAY_MS).contains(&later), "the uptime was added to it: {later}");
}

/// What a sweep notes as its time, once it is no longer this.
async fn next_sweep(server: &Server, before: i64) -> i64 {
    let file = rusqlite::Connection::open(server.site.database()).expect("the database");
    soon("a sweep", async {
        while swept_at(&file) == before {
            tokio::task::yield_now().await;
        }
        swept_at(&file)
    })
    .await
}

fn swept_at(file: &rusqlite::Connection) -> i64 {
    file.query_row("SELECT swept_at FROM meta", (), |row| row.get(0)).expect("a row")
}

#[tokio::test]
async fn by_default_everything_is_kept() {
    let server = Server::new(&[]);
    let alice = server.person();
    let hello = alice.socket().await.hello;
    assert_eq!(hello["limits"]["retention_ms"], 0);
    let thread = alice.thread(&[]).await;
    alice.say(&thread, "old").await;
    alice.say(&thread, "newer").await;
    let server = between_two_runs(server, |file| {
        assert_eq!(file.execute("UPDATE events SET at = at - ?1", [20_000 * DAY_MS]).expect("rows"), 3);
    });
    let alice = alice.at(&server);
    alice.say(&thread, "newest").await;
    let said: Vec<Value> = alice.history(&thread).await.iter().map(|message| message["content"].clone()).collect();
    assert_eq!(said, ["old", "newer", "newest"]);
    assert_eq!(alice.resume(text(&hello, "cursor")).await.hello["resumed"], true);
}

#[test]
fn a_retention_below_seven_days_stops_the_program_with_what_to_do() {
    let site = Site::new(&[("HAILGATE_LIMIT_RETENTION_MS", "86400000")]);
    let output = site.run(&["check"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("variable HAILGATE_LIMIT_RETENTION_MS") && said.contains("604800000 (7 days) or more"), "{said}");
}
