//! A store that fails: nothing is ever acknowledged that is not stored, nothing poisoned is kept, and it heals by itself.

use std::{path::Path, time::Instant};

use super::{
    super::{
        BUSY, Sqlite,
        testing::{World, draft, user},
    },
    *,
};
use crate::{
    domain::ThreadId,
    store::{Act, Done, Reads, Window},
};

fn world(file: &Path, users: &[&str]) -> World {
    World::of(Sqlite::open(file, &Limits::default()).expect("a database"), users)
}

/// A world in a file with a thread of alice's.
fn filed() -> (tempfile::TempDir, World, ThreadId) {
    let directory = tempfile::tempdir().expect("a directory");
    let mut world = world(&directory.path().join("log.db"), &["alice"]);
    let thread = world.thread("alice", &[]);
    world.send("alice", thread, "before");
    (directory, world, thread)
}

fn send(world: &mut World, thread: ThreadId, content: &str) -> Write {
    world.change("alice", None, Act::Send { thread, draft: draft(content) })
}

async fn said(world: &World, thread: ThreadId) -> Vec<String> {
    let page = world.store.reads.messages(user("alice"), thread, Window::Newest, 100).await.expect("reads go on");
    page.expect("a thread").messages.into_iter().filter_map(|message| message.content).collect()
}

/// Another connection to the same file, as another process has one.
fn beside(world: &World) -> Connection {
    world.store.log.place.connect(OpenFlags::SQLITE_OPEN_READ_WRITE).expect("another connection")
}

/// What hinders a write is there: as often as it is tried, nothing is stored and nobody is told that it was.
async fn refuses(world: &mut World, thread: ThreadId, write: &Write, outage: StoreError) {
    let also = send(world, thread, &"x".repeat(8_000));
    let failed = world.store.log.commit(&[write.clone(), also]);
    assert_eq!(failed.expect_err("it cannot be stored"), outage);
    assert_eq!(said(world, thread).await, ["before"], "reads go on, and nothing of it is there");
}

/// What hindered it is gone: the same write succeeds, once, and a reopened file has it.
async fn heals(directory: &tempfile::TempDir, mut world: World, thread: ThreadId, write: &Write) {
    let again = world.attempt(write).expect("it heals").outcomes.remove(0);
    assert!(matches!(again, Ok(Done::Message { duplicate: false, .. })), "{again:?}");
    assert_eq!(said(&world, thread).await, ["before", "lost"]);
    drop(world);
    assert_eq!(said(&self::world(&directory.path().join("log.db"), &[]), thread).await, ["before", "lost"]);
}

#[actix_web::test]
async fn a_statement_that_fails_costs_its_batch_and_nothing_else() {
    let (directory, mut world, thread) = filed();
    let write = send(&mut world, thread, "lost");
    let trigger = "CREATE TRIGGER t BEFORE INSERT ON events BEGIN SELECT raise(ABORT, 'no'); END";
    beside(&world).execute(trigger, ()).expect("a trigger");
    for _ in 0..3 {
        refuses(&mut world, thread, &write, StoreError::Unavailable).await;
    }
    beside(&world).execute("DROP TRIGGER t", ()).expect("no trigger");
    heals(&directory, world, thread, &write).await;
}

#[actix_web::test]
async fn a_connection_that_failed_is_not_used_again() {
    // Each lasts as long as the connection: the next write finds another one.
    for (pragma, outage) in [("query_only = on", StoreError::Unavailable), ("max_page_count = 1", StoreError::Full)] {
        let (directory, mut world, thread) = filed();
        let write = send(&mut world, thread, "lost");
        world.connection().execute_batch(&format!("PRAGMA {pragma}")).expect("a pragma");
        refuses(&mut world, thread, &write, outage).await;
        assert!(world.store.log.connection.is_none(), "{pragma}");
        heals(&directory, world, thread, &write).await;
    }
}

#[actix_web::test]
async fn a_file_that_another_process_holds_locked_refuses_writes_after_a_while_and_no_reads() {
    let (directory, mut world, thread) = filed();
    let write = send(&mut world, thread, "lost");
    let other = beside(&world);
    other.execute_batch("BEGIN EXCLUSIVE; UPDATE meta SET canary_at = 1").expect("a lock");
    let Sqlite { mut log, reads, identity } = world.store;
    // A busy machine may be too slow for it now and then, a read that waits for the write always is.
    let mut reads_before = 0;
    for _ in 0..10 {
        let (started, batch) = (Instant::now(), vec![write.clone()]);
        let writing = std::thread::spawn(move || (log.commit(&batch).map(|_| ()), log));
        let found = reads.thread(user("alice"), thread).await;
        reads_before += usize::from(!writing.is_finished());
        let (outcome, back) = writing.join().expect("no panic");
        log = back;
        assert_eq!((outcome, found.map(|found| found.is_some())), (Err(StoreError::Unavailable), Ok(true)));
        assert!(started.elapsed() >= BUSY, "the write gave up at once");
        if reads_before > 0 {
            break;
        }
    }
    assert!(reads_before > 0, "each read waited for the write");
    assert!(log.connection.is_some(), "a connection that only waited is kept");
    let world = World::of(Sqlite { log, reads, identity }, &[]);
    other.execute_batch("ROLLBACK").expect("no lock");
    heals(&directory, world, thread, &write).await;
}

#[actix_web::test]
async fn a_file_that_cannot_be_opened_again_is_an_outage_until_it_can() {
    let (directory, mut world, thread) = filed();
    let write = send(&mut world, thread, "lost");
    let (file, away) = (directory.path().join("log.db"), directory.path().join("away.db"));
    world.store.log.connection = None;
    std::fs::rename(&file, &away).expect("it is moved away");
    for _ in 0..2 {
        refuses(&mut world, thread, &write, StoreError::Unavailable).await;
    }
    std::fs::rename(&away, &file).expect("it is moved back");
    heals(&directory, world, thread, &write).await;
}

fn failure(code: std::ffi::c_int) -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)
}

/// Lets a batch be stored, or not, and then says that its commit failed: what is told of it?
fn told(world: &mut World, thread: ThreadId, lands: bool, code: std::ffi::c_int) -> Result<usize, StoreError> {
    let write = send(world, thread, &format!("{lands} {code}"));
    let mut connection = world.store.log.connection.take().expect("a connection");
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).expect("a transaction");
    let committed = append::apply_all(&transaction, &[write], &Limits::default()).expect("no failure");
    if lands {
        transaction.commit().expect("a commit");
    } else {
        drop(transaction);
    }
    drop(connection);
    world.store.log.settle(committed, &failure(code)).map(|committed| committed.outcomes.len())
}

#[actix_web::test]
async fn a_commit_that_failed_is_looked_up_and_acknowledged_only_where_it_is_sure() {
    let (directory, mut world, thread) = filed();
    let (sync, space) = (ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_FULL);
    assert_eq!(told(&mut world, thread, false, sync), Err(StoreError::Unavailable));
    assert_eq!(told(&mut world, thread, false, space), Err(StoreError::Full));
    assert_eq!(told(&mut world, thread, true, sync), Ok(1), "stored, and copied into the database file since");
    // Somebody who reads an older state keeps the copying from being whole: nobody can be told that it is stored.
    let reader = beside(&world);
    reader.execute_batch("BEGIN; SELECT * FROM events").expect("a read");
    world.send("alice", thread, "between");
    assert_eq!(told(&mut world, thread, true, sync), Err(StoreError::Unknown));
    assert!(world.store.log.connection.is_none());
    drop(reader);
    let stored = ["before".to_owned(), format!("true {sync}"), "between".to_owned(), format!("true {sync}")];
    assert_eq!(said(&world, thread).await, stored);
    // And where the file itself is away, nothing is known at all.
    let (file, away) = (directory.path().join("log.db"), directory.path().join("away.db"));
    let committed = world.store.log.commit(&[Write::Canary { at: crate::domain::Time(0) }]).expect("it goes on");
    std::fs::rename(&file, &away).expect("it is moved away");
    assert_eq!(world.store.log.settle(committed, &failure(sync)).map(|_| ()), Err(StoreError::Unknown));
}

#[actix_web::test]
async fn what_appends_no_event_is_unknown_unless_it_did_not_fit() {
    let (_directory, mut world, _) = filed();
    for (code, outage) in [(ffi::SQLITE_IOERR_FSYNC, StoreError::Unknown), (ffi::SQLITE_FULL, StoreError::Full)] {
        let committed = world.store.log.commit(&[Write::Canary { at: crate::domain::Time(0) }]).expect("a commit");
        assert_eq!(world.store.log.settle(committed, &failure(code)).map(|_| ()), Err(outage));
    }
}
