//! A bounded pool of read-only connections, each with a thread of its own: a read never waits for a write.

use std::{
    cell::RefCell,
    sync::{Arc, Mutex, OnceLock, Weak, mpsc},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};
use tokio::sync::oneshot;

use super::{OpenError, Place, outage};
use crate::domain::{BoxFuture, StoreError};

/// Read connections of one process. Reads are short; more connections than cores would only take turns.
const CONNECTIONS: usize = 3;

/// A read; whether its connection may be used for the next one.
type Job = Box<dyn FnOnce(&mut Connection) -> bool + Send>;

/// Runs reads on the pool's threads, at most `reads_waiting` of them waiting; and single rows where they are asked for.
#[derive(Clone)]
pub struct Pool {
    jobs: mpsc::SyncSender<Job>,
    place: Place,
    alarm: Alarm,
    /// Lives as long as the pool: tells it from others, and whether it is gone.
    alive: Arc<()>,
}

/// What is done when a read panics, once somebody has set it.
type Alarm = Arc<OnceLock<Box<dyn Fn() + Send + Sync>>>;

/// Raises the alarm when a panic takes its thread away.
struct Watched(Alarm);

impl Drop for Watched {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(alarm) = self.0.get()
        {
            alarm();
        }
    }
}

thread_local! {
    /// A read connection of this thread for each pool it has asked; `None` where one could not be made.
    static HERE: RefCell<Vec<(Weak<()>, Option<Connection>)>> = RefCell::default();
}

impl Pool {
    pub(super) fn start(place: &Place, reads_waiting: u64) -> Result<Pool, OpenError> {
        let bound = usize::try_from(reads_waiting).unwrap_or(usize::MAX);
        let (jobs, queue) = mpsc::sync_channel::<Job>(bound);
        let (queue, alarm) = (Arc::new(Mutex::new(queue)), Alarm::default());
        for number in 0..CONNECTIONS {
            let mut connection = reading(place)?;
            let (queue, place, watched) = (Arc::clone(&queue), place.clone(), Watched(Arc::clone(&alarm)));
            std::thread::Builder::new()
                .name(format!("read-{number}"))
                .spawn(move || {
                    let _watched = watched;
                    while let Some(job) = next(&queue) {
                        let sound = job(&mut connection);
                        if !sound && let Ok(fresh) = reading(&place) {
                            connection = fresh;
                        }
                    }
                })
                .map_err(|e| OpenError::System(format!("a read thread did not start: {e}")))?;
        }
        Ok(Pool { jobs, place: place.clone(), alarm, alive: Arc::default() })
    }

    /// Sets what is done when a read panics on a thread of the pool. Without it only that thread ends.
    pub(super) fn alarm(&self, alarm: Box<dyn Fn() + Send + Sync>) {
        // Set once: a pool serves one node.
        let _ = self.alarm.set(alarm);
    }

    /// Runs one statement that finds its row by a key, on this thread: it takes less time than waking another one twice. A
    /// reader of a WAL file waits for nobody; where it would have to, it goes the other way.
    pub(super) fn point<T: Send + 'static>(
        &self,
        read: impl Fn(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> BoxFuture<'_, Result<T, StoreError>> {
        match self.here(&read) {
            Some(found) => Box::pin(std::future::ready(Ok(found))),
            None => self.read(read),
        }
    }

    /// Runs a few such statements on this thread, all seeing the same moment, as long as they find little: `little` answers
    /// nothing where the answer is long, and then `read` gives it on a thread where it keeps nobody waiting.
    pub(super) fn short<T: Send + 'static>(
        &self,
        little: impl Fn(&Connection) -> rusqlite::Result<Option<T>>,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> BoxFuture<'_, Result<T, StoreError>> {
        let found = self.here(|connection| {
            connection.prepare_cached("BEGIN")?.execute(())?;
            let found = little(connection);
            connection.prepare_cached("COMMIT")?.execute(())?;
            found
        });
        match found.flatten() {
            Some(found) => Box::pin(std::future::ready(Ok(found))),
            None => self.read(read),
        }
    }

    /// Reads on this thread's own connection; nothing, if there is none or it failed.
    fn here<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Option<T> {
        HERE.with_borrow_mut(|here| {
            let own = |(pool, _): &(Weak<()>, _)| std::ptr::eq(pool.as_ptr(), Arc::as_ptr(&self.alive));
            if !here.iter().any(own) {
                // A pool that is gone needs its connection here no more.
                here.retain(|(pool, _)| pool.strong_count() > 0);
                let made = reading(&self.place).and_then(|made| made.busy_timeout(Duration::ZERO).map(|()| made));
                here.push((Arc::downgrade(&self.alive), made.ok()));
            }
            let index = here.iter().position(own)?;
            here[index].1.as_ref()?;
            // Taken out while it is used: one whose read panics is dropped, and the next read makes another.
            let (alive, connection) = here.swap_remove(index);
            let connection = connection?;
            let found = read(&connection);
            // One that is still inside of a transaction would go on seeing that moment.
            if !found.as_ref().is_err_and(spoils) && connection.is_autocommit() {
                here.push((alive, Some(connection)));
            }
            found.ok()
        })
    }

    /// Runs one read inside a read transaction, so that all its statements see the same moment.
    pub(super) fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> BoxFuture<'_, Result<T, StoreError>> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            let result = connection
                .transaction_with_behavior(TransactionBehavior::Deferred)
                .and_then(|transaction| read(&transaction));
            let sound = !result.as_ref().is_err_and(spoils);
            // The asker may have gone away; its answer is then nobody's.
            let _ = reply.send(result.map_err(|error| {
                log::error!("a read failed: {error}");
                outage(&error)
            }));
            sound
        });
        let queued = self.jobs.try_send(job);
        Box::pin(async move {
            queued.map_err(|_| StoreError::Busy)?;
            answer.await.unwrap_or(Err(StoreError::Unavailable))
        })
    }
}

/// Whether a connection that met this error may hold something that is wrong, or a file that is no longer there.
fn spoils(error: &rusqlite::Error) -> bool {
    use ErrorCode::{CannotOpen, DatabaseCorrupt, NotADatabase, ReadOnly, SystemIoFailure};
    matches!(error.sqlite_error_code(), Some(SystemIoFailure | CannotOpen | DatabaseCorrupt | NotADatabase | ReadOnly))
}

fn reading(place: &Place) -> rusqlite::Result<Connection> {
    let connection = place.connect(OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // Read-only by pragma, not by flag: a WAL file needs its shared memory file made by whoever comes first.
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

fn next(queue: &Mutex<mpsc::Receiver<Job>>) -> Option<Job> {
    queue.lock().ok()?.recv().ok()
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;
    use crate::{domain::Limits, store::sqlite::Sqlite};

    /// A mark that a connection keeps as long as it lives.
    const MARK: i64 = 77;

    fn mark(connection: &Connection, fails: bool) -> rusqlite::Result<i64> {
        let before = connection.query_row("PRAGMA cache_size", (), |row| row.get(0))?;
        connection.pragma_update(None, "cache_size", MARK)?;
        if fails { Err(rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_IOERR_READ), None)) } else { Ok(before) }
    }

    #[actix_web::test]
    async fn a_connection_that_was_left_inside_of_a_transaction_is_not_used_again() {
        let reads = Sqlite::in_memory(&Limits::default()).expect("a store").reads;
        let inside = |connection: &Connection| Ok(!connection.is_autocommit());
        reads.point(|connection| connection.execute_batch("BEGIN")).await.expect("an answer");
        assert_eq!(reads.point(inside).await, Ok(false));
        assert_eq!(reads.short(|connection| inside(connection).map(Some), inside).await, Ok(true));
        assert_eq!(reads.point(inside).await, Ok(false));
        // The pool answers where this thread's connection could not.
        let fails = |_: &Connection| -> rusqlite::Result<Option<u8>> { Err(rusqlite::Error::InvalidQuery) };
        assert_eq!(reads.short(fails, |_| Ok(7)).await, Ok(7));
        assert_eq!(reads.point(inside).await, Ok(false));
    }

    #[actix_web::test]
    async fn a_panic_on_a_thread_of_the_pool_raises_the_alarm() {
        let reads = Sqlite::in_memory(&Limits::default()).expect("a store").reads;
        let (raise, raised) = std::sync::mpsc::channel();
        let raise = Mutex::new(raise);
        reads.alarm(Box::new(move || raise.lock().expect("no panic").send(()).expect("somebody waits")));
        assert_eq!(reads.read(|_| -> rusqlite::Result<()> { panic!("on purpose") }).await, Err(StoreError::Unavailable));
        assert_eq!(raised.recv_timeout(Duration::from_secs(60)), Ok(()));
    }

    #[test]
    fn a_connection_whose_read_panics_on_the_thread_that_asks_is_not_used_again() {
        let reads = Sqlite::in_memory(&Limits::default()).expect("a store").reads;
        let inside = |connection: &Connection| Ok(!connection.is_autocommit());
        let panics = |connection: &Connection| -> rusqlite::Result<()> {
            connection.execute_batch("BEGIN; SELECT * FROM meta")?;
            panic!("on purpose")
        };
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(reads.point(panics)))).is_err());
        assert_eq!(reads.here(inside), Some(false));
    }

    #[test]
    fn a_statement_is_planned_once_whatever_its_limit() {
        let place = Place::Memory("file::memory:".to_owned());
        let connection = place.connect(OpenFlags::SQLITE_OPEN_READ_WRITE).expect("a database");
        connection
            .execute_batch("CREATE TABLE t (a INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2), (3)")
            .expect("rows");
        let mut statement = connection.prepare("SELECT a FROM t ORDER BY a LIMIT ?1").expect("a statement");
        for limit in 1..=3 {
            let found: Vec<i64> = statement.query_map([limit], |row| row.get(0)).and_then(Iterator::collect).expect("rows");
            assert_eq!(found.len(), usize::try_from(limit).expect("small"));
        }
        assert_eq!(statement.get_status(rusqlite::StatementStatus::RePrepare), 0);
    }

    #[actix_web::test]
    async fn a_connection_whose_read_failed_is_made_anew() {
        let reads = Sqlite::in_memory(&Limits::default()).expect("a store").reads;
        assert_ne!(reads.point(|connection| mark(connection, false)).await, Ok(MARK));
        assert_eq!(reads.point(|connection| mark(connection, false)).await, Ok(MARK), "as long as all is well it is kept");
        assert_eq!(reads.point(|connection| mark(connection, true)).await, Err(StoreError::Unavailable));
        assert_ne!(reads.point(|connection| mark(connection, false)).await, Ok(MARK));
        // Each of the pool's own has met the failure at least once, or has not been used at all.
        for _ in 0..4 * CONNECTIONS {
            assert_eq!(reads.read(|connection| mark(connection, true)).await, Err(StoreError::Unavailable));
        }
        for _ in 0..CONNECTIONS {
            let seen = reads.read(|connection| connection.query_row("PRAGMA cache_size", (), |row| row.get(0))).await;
            assert_ne!(seen, Ok(MARK));
        }
    }
}
