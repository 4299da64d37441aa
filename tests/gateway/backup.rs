//! The files of the store: a backup beside a server that is written to, a restore, and the size of the write-ahead log.

use std::{
    cell::Cell,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use futures_util::future::join_all;
use serde_json::json;

use crate::{
    people::{Person, text},
    server::{PASSWORD, Server, Site},
    soon,
};

/// Limits that let a test send as much as it can.
const FAST: [(&str, &str); 4] = [
    ("HAILGATE_LIMIT_SENDS_PER_SECOND", "1000000"),
    ("HAILGATE_LIMIT_SENDS_BURST", "1000000"),
    ("HAILGATE_LIMIT_REST_PER_SECOND", "1000000"),
    ("HAILGATE_LIMIT_REST_BURST", "1000000"),
];

fn database(site: &Site) -> PathBuf {
    site.variable("HAILGATE_DATABASE_URL").trim_start_matches("sqlite://").into()
}

/// A site with the same keys whose database is a copy of this file.
fn restored(site: &Site, from: &Path) -> Arc<Site> {
    let mut copy = Site { variables: site.variables.clone(), ..Site::empty() };
    let file = copy.directory.path().join("restored.db");
    fs::copy(from, &file).expect("a copy");
    for (_, value) in copy.variables.iter_mut().filter(|(name, _)| name == "HAILGATE_DATABASE_URL") {
        *value = format!("sqlite://{}", file.display());
    }
    Arc::new(copy)
}

/// Says one thing after the other until it is stopped; how many.
async fn talk(person: &Person, thread: &str, stop: &Cell<bool>) -> usize {
    let mut said = 0;
    while !stop.get() {
        person.say(thread, &format!("{said} {}", "meanwhile ".repeat(100))).await;
        said += 1;
    }
    said
}

#[tokio::test]
async fn a_backup_beside_a_server_that_is_written_to_is_whole() {
    let server = Server::new(&FAST);
    let (alice, browser) = (server.person(), server.browser().await);
    let thread = alice.thread(&[]).await;
    let cursor = text(&alice.socket().await.hello, "cursor").to_owned();
    for number in 0..50 {
        alice.say(&thread, &format!("before {number}")).await;
    }
    let (before, stop) = (alice.history(&thread).await, Cell::new(false));
    let site = Arc::clone(&server.site);
    let backing_up = async {
        let output = tokio::task::spawn_blocking(move || site.run(&["backup", "backup.db"])).await.expect("a command");
        stop.set(true);
        output
    };
    let (output, said) = tokio::join!(backing_up, join_all((0..4).map(|_| talk(&alice, &thread, &stop))));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.iter().all(|said| *said > 0), "nothing was written meanwhile: {said:?}");

    let file = server.site.directory.path().join("backup.db");
    assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
    let names =
        fs::read_dir(server.site.directory.path()).expect("a directory").map(|entry| entry.expect("an entry").path());
    let made: Vec<PathBuf> = names.filter(|path| path.display().to_string().contains("/backup.db")).collect();
    assert_eq!(made, std::slice::from_ref(&file), "nothing else is left");
    let (bytes, again) = (fs::read(&file).expect("a file"), server.site.run(&["backup", "backup.db"]));
    assert_eq!(again.status.code(), Some(1), "an existing file is never replaced");
    assert!(String::from_utf8_lossy(&again.stderr).contains("backup.db exists already"), "{again:?}");
    assert_eq!(fs::read(&file).expect("a file"), bytes);

    let all = alice.history(&thread).await;
    let copy = restored(&server.site, &file).serve();
    let there = alice.at(&copy).history(&thread).await;
    assert!(there.len() >= before.len() && all.starts_with(&there), "{} of {} messages", there.len(), all.len());
    // Clients notice that it is another log, and everybody signs in again.
    let socket = alice.at(&copy).resume(&cursor).await;
    assert_eq!((&socket.hello["resumed"], &socket.hello["reason"]), (&json!(false), &json!("epoch_changed")));
    browser.get("/api/auth/me").await.json(200);
    browser.at(&copy).get("/api/auth/me").await.problem(401, "unauthenticated");
    copy.login(&browser.name, PASSWORD).await.json(200);
    let next = alice.at(&copy).say(&thread, "after").await;
    assert_eq!(next["sequence"].as_u64(), there.last().and_then(|last| last["sequence"].as_u64()).map(|last| last + 1));
}

#[test]
fn a_backup_of_nothing_says_so_and_makes_nothing() {
    let site = Site::new(&[]);
    let output = site.run(&["backup", "backup.db"]);
    assert_eq!(output.status.code(), Some(69));
    assert!(String::from_utf8_lossy(&output.stderr).contains("Check HAILGATE_DATABASE_URL"), "{output:?}");
    let output = site.run(&["backup", "nowhere/backup.db"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(fs::read_dir(site.directory.path()).expect("a directory").count(), 0);
}

#[tokio::test]
async fn a_server_that_has_ended_leaves_everything_in_the_one_file() {
    let mut server = Server::new(&[]);
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    let message = alice.say(&thread, "the last").await;
    server.terminate();
    assert!(server.ended().success());
    let copy = restored(&server.site, &database(&server.site)).serve();
    assert_eq!(alice.at(&copy).history(&thread).await, [message]);
}

#[tokio::test]
async fn the_write_ahead_log_shrinks_again_after_a_peak() {
    const LIMIT: u64 = 16 << 20;
    let server = Server::new(&[&FAST[..], &[("HAILGATE_LIMIT_CONTENT_CHARS", "30000")]].concat());
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    let file = database(&server.site);
    let size = || fs::metadata(format!("{}-wal", file.display())).map_or(0, |wal| wal.len());
    let reader = rusqlite::Connection::open(&file).expect("the store opens");
    reader.execute_batch("BEGIN; SELECT * FROM meta").expect("a read");
    // Four bytes a character.
    let content = "\u{10348}".repeat(30_000);
    while size() <= LIMIT {
        join_all((0..8).map(|_| alice.say(&thread, &content))).await;
    }
    drop(reader);
    soon("the file shrinks", async {
        while size() > LIMIT {
            alice.say(&thread, "after the peak").await;
        }
    })
    .await;
}

#[test]
fn who_looks_for_help_reads_that_the_file_alone_is_not_a_copy() {
    let site = Site::empty();
    for command in [["serve", "--help"], ["backup", "--help"]] {
        let told = site.told(&command, "");
        assert!(told.contains("backup") && told.contains("-wal"), "{told}");
    }
    for page in ["README.md", "src/docs/operate.md", "src/config/SETTINGS.md"] {
        let page = fs::read_to_string(format!("{}/{page}", env!("CARGO_MANIFEST_DIR"))).expect("a page");
        assert!(page.contains("hailgate backup"));
    }
}
