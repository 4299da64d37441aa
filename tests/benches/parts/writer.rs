//! The writer's batch: messages stored in one transaction, beside a bare loop of SQLite that writes the same rows with the
//! same settings and asks nothing. Both on a disk, with `synchronous=FULL`.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use criterion::{BatchSize, Criterion, Throughput};
use hailgate::{
    domain::{Account, Draft, Limits, LoginAct, RetryKey, ThreadId, Time},
    store::{
        Act, Change, Done, Log, Write,
        sqlite::{Sqlite, SqliteLog},
    },
};
use rusqlite::{Connection, TransactionBehavior};
use tempfile::TempDir;
use uuid::Uuid;

use super::{text, user};

const BATCHES: [usize; 4] = [1, 16, 64, 256];
const NOW: Time = Time(1_780_000_000_000);

pub fn measure(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("writer");
    group.sample_size(20).measurement_time(Duration::from_secs(3));
    for size in BATCHES {
        let (mut stored, mut bare, mut ids) = (Stored::new(), Bare::new(), Ids(0));
        let mut others = Ids(0);
        group.throughput(Throughput::Elements(size as u64));
        group.bench_function(format!("store, {size}"), |bencher| {
            let thread = stored.thread;
            let setup = || writes(thread, &ids.take(size));
            bencher.iter_batched(setup, |batch| stored.commit(&batch), BatchSize::PerIteration);
        });
        group.bench_function(format!("bare loop, {size}"), |bencher| {
            bencher.iter_batched(|| others.take(size), |batch| bare.commit(&batch), BatchSize::PerIteration);
        });
    }
    group.finish();
}

/// Both by turns, so that whatever the disk does meanwhile it does to both: medians, and what they are to each other.
pub fn table(turns: usize) {
    println!(
        "\nmessages a second, median of {turns} batches by turns\n{:>8}{:>12}{:>12}{:>8}",
        "batch", "store", "bare", "ratio"
    );
    for size in BATCHES {
        let (mut stored, mut bare, mut ids) = (Stored::new(), Bare::new(), Ids(0));
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..turns {
            let batch = ids.take(size);
            let orders = writes(stored.thread, &batch);
            ours.push(took(|| stored.commit(&orders)));
            theirs.push(took(|| bare.commit(&batch)));
        }
        #[allow(clippy::cast_precision_loss, reason = "a few hundred")]
        let [ours, theirs] = [ours, theirs].map(|times| size as f64 / median(times));
        println!("{size:>8}{ours:>12.0}{theirs:>12.0}{:>8.2}", ours / theirs);
    }
}

fn took(run: impl FnOnce()) -> Duration {
    let began = Instant::now();
    run();
    began.elapsed()
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64()
}

/// Makes messages that have not been there before.
struct Ids(u128);

impl Ids {
    fn take(&mut self, count: usize) -> Vec<(Uuid, String)> {
        (0..count)
            .map(|_| {
                self.0 += 1;
                // As a v7 id begins: rising.
                let id = Uuid::from_u128(0x0190_c4f2_8b1c_7d3a_9000_0000_0000_0000 + (self.0 << 64));
                (id, text(120))
            })
            .collect()
    }
}

/// A database with a thread in it, on a disk.
fn database() -> (TempDir, Sqlite, ThreadId) {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let mut store = Sqlite::open(&file(folder.path()), &Limits::default()).expect("a database");
    let account = Account::new(user("alice"), "Alice");
    let account = Write::Login(Box::new(LoginAct::CreateAccount { account, at: NOW, keep: false }));
    let act = Act::CreateThread { title: None, members: Vec::new() };
    let thread = Write::Change(Change { id: Uuid::now_v7(), by: user("alice"), at: NOW, key: None, act });
    let outcomes = store.log.commit(&[account, thread]).expect("a commit").outcomes;
    let Some(Ok(Done::Thread { view, .. })) = outcomes.into_iter().nth(1) else { panic!("no thread") };
    (folder, store, view.thread.thread_id)
}

fn file(folder: &Path) -> std::path::PathBuf {
    folder.join("hailgate.db")
}

/// The store's writing half.
struct Stored {
    log: SqliteLog,
    thread: ThreadId,
    _folder: TempDir,
}

impl Stored {
    fn new() -> Stored {
        let (folder, store, thread) = database();
        Stored { log: store.log, thread, _folder: folder }
    }

    fn commit(&mut self, batch: &[Write]) {
        let committed = self.log.commit(batch).expect("a commit");
        assert!(committed.events.len() == batch.len(), "{:?}", committed.outcomes);
    }
}

/// What the writer is handed; its makers are other threads.
fn writes(thread: ThreadId, batch: &[(Uuid, String)]) -> Vec<Write> {
    let write = |(id, text): &(Uuid, String)| {
        let draft = Draft::new(text.clone(), None, &Limits::default()).expect("a draft");
        let key = Some(RetryKey::new(&id.to_string()).expect("a key"));
        Write::Change(Change { id: *id, by: user("alice"), at: NOW, key, act: Act::Send { thread, draft } })
    };
    batch.iter().map(write).collect()
}

/// The same rows without a question.
struct Bare {
    connection: Connection,
    thread: i64,
    position: i64,
    sequence: i64,
    _folder: TempDir,
}

impl Bare {
    fn new() -> Bare {
        let (folder, store, _) = database();
        drop(store);
        let connection = Connection::open(file(folder.path())).expect("the database");
        for (name, value) in [("synchronous", "FULL"), ("foreign_keys", "ON"), ("temp_store", "MEMORY")] {
            connection.pragma_update(None, name, value).expect("a setting");
        }
        let query = "SELECT thread_num, last_position, sequence FROM threads";
        let (thread, position, sequence) =
            connection.query_row(query, (), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).expect("the thread");
        Bare { connection, thread, position, sequence, _folder: folder }
    }

    fn commit(&mut self, batch: &[(Uuid, String)]) {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).expect("a transaction");
        for (id, text) in batch {
            self.position += 1;
            self.sequence += 1;
            let Bare { thread, position, sequence, .. } = *self;
            let run = |sql: &str, parameters: &[&dyn rusqlite::ToSql]| {
                transaction.prepare_cached(sql).and_then(|mut statement| statement.execute(parameters)).expect("a row");
            };
            let key = id.to_string();
            run("INSERT INTO retry_keys (user_id, key, target, body) VALUES ('alice', ?1, ?2, ?3)", &[&key, id, &[7u8; 32]]);
            run(
                "INSERT INTO messages (position, message_id, thread_num, sequence, author, content, client_message_id, created_at)
                 VALUES (?1, ?2, ?3, ?4, 'alice', ?5, ?6, ?7)",
                &[&position, id, &thread, &sequence, text, &key, &NOW.0],
            );
            run(
                "UPDATE threads SET sequence = ?2, last_position = ?3 WHERE thread_num = ?1",
                &[&thread, &sequence, &position],
            );
            run(
                "INSERT INTO events (position, mark, thread_num, sequence, kind, at, by, message_position)
                 VALUES (?1, 7, ?2, ?3, 1, ?4, 'alice', ?1)",
                &[&position, &thread, &sequence, &NOW.0],
            );
        }
        transaction.commit().expect("a commit");
    }
}
