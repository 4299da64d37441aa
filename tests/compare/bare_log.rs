//! The loop beside our writer: what it says to SQLite for a message, and nothing else around it.

use rusqlite::{Connection, TransactionBehavior};
use tempfile::TempDir;
use uuid::Uuid;

use crate::{
    http::{self, Http},
    sides::{Kind, Server, token, user},
};

/// A file of our tables, with users that each have a thread of their own.
pub struct BareLog {
    connection: Connection,
    _directory: TempDir,
    threads: Vec<(String, Uuid)>,
    said: usize,
}

impl BareLog {
    /// Messages of one transaction: as many as our writer takes at most.
    pub const BATCH: u64 = 256;

    /// Our server makes it; then it is opened without it.
    pub fn like_ours(users: usize) -> BareLog {
        let directory = TempDir::new().expect("a directory");
        let file = directory.path().join("bare.db");
        let url = format!("sqlite://{}", file.display());
        let server = Server::on_all_cores(Kind::Hailgate, &[("HAILGATE_DATABASE_URL", &url)]);
        let mut client = Http::connect(&server.address);
        for number in 0..users {
            client.ask(&http::post("/api/threads", &token(&user(number)), "{\"members\":[]}"), "201");
        }
        drop(client);
        server.stop();
        let connection = Connection::open(&file).expect("a database");
        connection.pragma_update(None, "journal_mode", "WAL").expect("as ours");
        connection.pragma_update(None, "synchronous", "FULL").expect("as ours");
        connection.pragma_update(None, "foreign_keys", true).expect("as ours");
        connection.set_prepared_statement_cache_capacity(64);
        let threads = connection
            .prepare("SELECT owner, thread_id FROM threads")
            .and_then(|mut threads| threads.query_map((), |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
            .expect("the threads");
        BareLog { connection, _directory: directory, threads, said: 0 }
    }

    /// Stores so many messages.
    pub fn store(&mut self, count: u64) {
        let mut left = count;
        while left > 0 {
            let batch = left.min(Self::BATCH);
            self.batch(batch).expect("they are stored");
            left -= batch;
        }
    }

    fn batch(&mut self, count: u64) -> rusqlite::Result<()> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let _: Vec<u8> = transaction.prepare_cached("SELECT epoch FROM meta")?.query_row((), |row| row.get(0))?;
        let mut position: i64 = transaction
            .prepare_cached("SELECT position, mark FROM events WHERE position = (SELECT max(position) FROM events)")?
            .query_row((), |row| row.get(0))?;
        for _ in 0..count {
            let (user, thread) = &self.threads[self.said % self.threads.len()];
            self.said += 1;
            position += 1;
            message(&transaction, position, user, *thread)?;
        }
        transaction.commit()
    }
}

/// The statements of one message.
fn message(transaction: &Connection, position: i64, user: &str, thread: Uuid) -> rusqlite::Result<()> {
    let (number, sequence): (i64, i64) = transaction
        .prepare_cached(
            "SELECT t.thread_num, t.owner, t.sequence, t.member_count, m.read_sequence
             FROM threads t JOIN memberships m ON m.thread_num = t.thread_num AND m.user_id = ?1
             WHERE t.thread_id = ?2 AND m.until_position IS NULL AND t.deleted_at IS NULL",
        )?
        .query_row((user, thread), |row| Ok((row.get(0)?, row.get(2)?)))?;
    let at = 1_800_000_000_000_i64;
    transaction
        .prepare_cached(
            "INSERT INTO messages (position, message_id, thread_num, sequence, author, content, metadata, client_message_id, created_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute((position, Uuid::now_v7(), number, sequence + 1, user, CONTENT, None::<&str>, None::<&str>, at))?;
    let sequence: i64 = transaction
        .prepare_cached(
            "UPDATE threads SET sequence = sequence + 1, last_position = ?2 WHERE thread_num = ?1 RETURNING sequence, thread_id",
        )?
        .query_row((number, position), |row| row.get(0))?;
    transaction
        .prepare_cached(
            "INSERT INTO events (position, mark, thread_num, sequence, kind, at, by, message_position, subject)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?
        .execute((position, position & 0xffff, number, sequence, 1, at, user, position, None::<&str>))?;
    Ok(())
}

/// As long as what a crowd says.
const CONTENT: &str = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
