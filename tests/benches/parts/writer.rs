//! The writer's batch: messages stored in one transaction, beside bare loops of SQLite with the same settings: one runs the
//! same statements, one only those that write rows. All on a disk, with `synchronous=FULL`.

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
use rusqlite::{Connection, ToSql, TransactionBehavior, config::DbConfig};
use tempfile::TempDir;
use uuid::Uuid;

use super::{text, user};

const BATCHES: [usize; 4] = [1, 16, 64, 256];
/// The bare loops, and whether each asks what the store asks before it writes.
const BARE: [(&str, bool); 2] = [("same statements", true), ("same rows alone", false)];
const NOW: Time = Time(1_780_000_000_000);

pub fn measure(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("writer");
    group.sample_size(20).measurement_time(Duration::from_secs(3));
    for size in BATCHES {
        group.throughput(Throughput::Elements(size as u64));
        let (mut stored, mut ids) = (Stored::new(), Ids(0));
        group.bench_function(format!("store, {size}"), |bencher| {
            let thread = stored.thread;
            let setup = || writes(thread, &ids.take(size));
            bencher.iter_batched(setup, |batch| stored.commit(&batch), BatchSize::PerIteration);
        });
        for (name, asks) in BARE {
            let (mut bare, mut ids) = (Bare::new(asks), Ids(0));
            group.bench_function(format!("{name}, {size}"), |bencher| {
                bencher.iter_batched(|| ids.take(size), |batch| bare.commit(&batch), BatchSize::PerIteration);
            });
        }
    }
    group.finish();
}

/// By turns, so that whatever the disk does meanwhile it does to all: medians, and what the store's is to the others.
pub fn table(turns: usize) {
    println!("\nmessages a second, median of {turns} batches by turns, and the store to the others");
    println!("{:>8}{:>12}{:>20}{:>24}", "batch", "store", BARE[0].0, BARE[1].0);
    for size in BATCHES {
        let (mut stored, mut bare, mut ids) = (Stored::new(), BARE.map(|(_, asks)| Bare::new(asks)), Ids(0));
        let mut times = [const { Vec::new() }; 3];
        for _ in 0..turns {
            let batch = ids.take(size);
            let orders = writes(stored.thread, &batch);
            times[0].push(took(|| stored.commit(&orders)));
            times[1].push(took(|| bare[0].commit(&batch)));
            times[2].push(took(|| bare[1].commit(&batch)));
        }
        #[allow(clippy::cast_precision_loss, reason = "a few hundred")]
        let [store, same, rows] = times.map(|times| size as f64 / median(times));
        println!("{size:>8}{store:>12.0}{same:>12.0} ({:>5.2}){rows:>16.0} ({:>5.2})", store / same, store / rows);
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

const MEMBERSHIP: &str = "SELECT t.thread_num, t.owner, t.sequence, t.member_count, m.read_sequence
    FROM threads t JOIN memberships m ON m.thread_num = t.thread_num AND m.user_id = 'alice'
    WHERE t.thread_id = ?1 AND m.until_position IS NULL AND t.deleted_at IS NULL";
const COUNTS: &str = "UPDATE threads SET sequence = sequence + 1, last_position = ?2 WHERE thread_num = ?1";
const COUNTS_AND_TELLS: &str =
    "UPDATE threads SET sequence = sequence + 1, last_position = ?2 WHERE thread_num = ?1 RETURNING sequence, thread_id";

/// The same rows, bound and run in a loop.
struct Bare {
    connection: Connection,
    asks: bool,
    thread_id: ThreadId,
    thread: i64,
    position: i64,
    sequence: i64,
    _folder: TempDir,
}

impl Bare {
    fn new(asks: bool) -> Bare {
        let (folder, store, thread_id) = database();
        drop(store);
        let connection = Connection::open(file(folder.path())).expect("the database");
        for (name, value) in [("synchronous", "FULL"), ("foreign_keys", "ON"), ("temp_store", "MEMORY")] {
            connection.pragma_update(None, name, value).expect("a setting");
        }
        // The library clears a statement's bindings when it puts it back; without this SQLite would then plan a join anew.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).expect("a setting");
        let query = "SELECT thread_num, last_position, sequence FROM threads";
        let (thread, position, sequence) =
            connection.query_row(query, (), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).expect("the thread");
        Bare { connection, asks, thread_id, thread, position, sequence, _folder: folder }
    }

    fn commit(&mut self, batch: &[(Uuid, String)]) {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate).expect("a transaction");
        for (id, text) in batch {
            self.position += 1;
            self.sequence += 1;
            let Bare { asks, thread_id, thread, position, sequence, .. } = *self;
            let run = |sql: &str, parameters: &[&dyn ToSql]| {
                let mut statement = transaction.prepare_cached(sql).expect("a statement");
                let mut rows = statement.query(parameters).expect("rows");
                while rows.next().expect("a row").is_some() {}
            };
            let key = id.to_string();
            if asks {
                run("SELECT target, body FROM retry_keys WHERE user_id = 'alice' AND key = ?1", &[&key]);
                run(MEMBERSHIP, &[&thread_id.0]);
            }
            run("INSERT INTO retry_keys (user_id, key, target, body) VALUES ('alice', ?1, ?2, ?3)", &[&key, id, &[7u8; 32]]);
            run(
                "INSERT INTO messages (position, message_id, thread_num, sequence, author, content, client_message_id, created_at)
                 VALUES (?1, ?2, ?3, ?4, 'alice', ?5, ?6, ?7)",
                &[&position, id, &thread, &sequence, text, &key, &NOW.0],
            );
            let counts = if asks { COUNTS_AND_TELLS } else { COUNTS };
            run(counts, &[&thread, &position]);
            run(
                "INSERT INTO events (position, mark, thread_num, sequence, kind, at, by, message_position)
                 VALUES (?1, 7, ?2, ?3, 1, ?4, 'alice', ?1)",
                &[&position, &thread, &sequence, &NOW.0],
            );
        }
        transaction.commit().expect("a commit");
    }
}
