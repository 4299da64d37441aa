//! The writing connection: one transaction a batch, and what is done when one fails. After a failure nothing that SQLite
//! still holds in memory is believed: the connection is closed, and the file read again through another.
//!
//! Decisions: `src/docs/decisions/writer.md`.

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior, ffi};

use super::{
    super::{Committed, Log, Write},
    Place, append, outage, relaxed,
    serving::ServingLock,
    wal,
};
use crate::domain::{Limits, StoreError, Synchronous};

/// See the module.
pub struct SqliteLog {
    pub(super) place: Place,
    pub(super) connection: Option<Connection>,
    pub(super) limits: Limits,
    pub(super) synchronous: Synchronous,
    /// Whether the last batch failed: the first failure is worth a line, and so is the end of them.
    pub(super) failing: bool,
    /// Held by the server of the file, until its writer has ended.
    pub(super) serving: Option<ServingLock>,
}

impl Log for SqliteLog {
    fn commit(&mut self, batch: &[Write]) -> Result<Committed, StoreError> {
        let done = self.try_commit(batch);
        if done.is_ok() && std::mem::take(&mut self.failing) {
            log::info!("the store takes writes again");
        }
        done
    }

    fn end(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        // After this the database file is whole by itself. The read connections are still open, so SQLite does not do it.
        if let Err(error) = relaxed::end(&connection, self.synchronous).and_then(|()| wal::empty(&connection)) {
            log::warn!("the log could not be closed in good order, so that clients may have to load anew: {error}");
        }
    }
}

/// How one transaction ended.
enum Attempt {
    Committed(Committed),
    /// Rolled back before the commit: nothing of it is stored.
    Refused(rusqlite::Error),
    /// The commit itself failed: it may be stored or not, as a whole.
    Unknown(Committed, rusqlite::Error),
}

impl SqliteLog {
    fn connect(&self) -> rusqlite::Result<Connection> {
        let connection = self.place.connect(OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        relaxed::set(&connection, self.synchronous)?;
        Ok(connection)
    }

    fn try_commit(&mut self, batch: &[Write]) -> Result<Committed, StoreError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect().map_err(|error| self.failed("the database cannot be opened", &error))?,
        };
        match attempt(&mut connection, batch, &self.limits) {
            Attempt::Committed(committed) => {
                wal::shrink_after(batch, &connection, &self.place);
                self.connection = Some(connection);
                Ok(committed)
            }
            Attempt::Refused(error) => {
                // Who only waited for its turn has read nothing that could be wrong.
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) && connection.is_autocommit() {
                    self.connection = Some(connection);
                }
                Err(self.failed("nothing was written", &error))
            }
            Attempt::Unknown(committed, error) => {
                drop(connection);
                self.settle(committed, &error)
            }
        }
    }

    /// Says the first of several failures in a row.
    fn failed(&mut self, what: &str, error: &rusqlite::Error) -> StoreError {
        if !std::mem::replace(&mut self.failing, true) {
            log::error!("the store fails, {what}: {error}");
        }
        outage(error)
    }

    /// After a commit that failed: is the transaction in the log, and is that sure?
    fn settle(&mut self, committed: Committed, error: &rusqlite::Error) -> Result<Committed, StoreError> {
        let told = self.failed("a commit did not succeed", error);
        let fresh = self.connect().map_err(|_| StoreError::Unknown)?;
        let landed = append::landed(&fresh, &committed).map_err(|_| StoreError::Unknown)?;
        let sure = match landed {
            Some(true) => copied(&fresh),
            Some(false) => !may_come_back(error) || overwritten(&fresh),
            // It appended nothing by which it could be found.
            None => !may_come_back(error),
        };
        if !sure {
            return Err(StoreError::Unknown);
        }
        self.connection = Some(fresh);
        if landed == Some(true) { Ok(committed) } else { Err(told) }
    }
}

/// Whether everything in the write-ahead log is now in the database file, and synced there. A sync that failed may have
/// left pages that the system takes for written, so that syncing once more would prove nothing; copying writes them anew.
fn copied(connection: &Connection) -> bool {
    let busy = connection.query_row("PRAGMA wal_checkpoint(FULL)", (), |row| row.get::<_, bool>(0));
    matches!(busy, Ok(false))
}

/// Whether what was written whole, but not synced, could be found there when the file is next recovered.
fn may_come_back(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() != Some(ErrorCode::DiskFull)
        && error.sqlite_extended_error_code() != Some(ffi::SQLITE_IOERR_WRITE)
}

/// Writes over what a failed commit left at the end of the write-ahead log.
fn overwritten(connection: &Connection) -> bool {
    connection.execute("UPDATE meta SET canary_at = canary_at + 1", ()).is_ok()
}

fn attempt(connection: &mut Connection, batch: &[Write], limits: &Limits) -> Attempt {
    let transaction = match connection.transaction_with_behavior(TransactionBehavior::Immediate) {
        Ok(transaction) => transaction,
        Err(error) => return Attempt::Refused(error),
    };
    match append::apply_all(&transaction, batch, limits) {
        Err(error) => Attempt::Refused(error),
        Ok(committed) => match transaction.commit() {
            Ok(()) => Attempt::Committed(committed),
            Err(error) => Attempt::Unknown(committed, error),
        },
    }
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
