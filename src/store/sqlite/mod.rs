//! SQLite, the default engine: one file, one writing connection, a few read-only ones beside it.
//!
//! WAL, so that reads never queue behind writes; `synchronous=FULL`, so that a commit survives power loss.

mod accounts;
mod append;
mod feed;
mod logins;
mod messages;
mod pool;
mod prune;
mod read;
mod rows;
mod standing;
mod threads;

#[cfg(test)]
mod testing;

use std::{fs, io, os::unix::fs::OpenOptionsExt, path::Path, time::Duration};

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, TransactionBehavior};
use uuid::Uuid;

use self::pool::Pool;
use super::{Committed, Identity, Log, Write};
use crate::domain::{Limits, Outage};

/// How long a statement waits for another process to release the file.
const BUSY: Duration = Duration::from_secs(2);

/// Where the database is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    File(std::path::PathBuf),
    Memory(String),
}

/// An opened database: its writing half, its reading half, and who it is.
pub struct Sqlite {
    /// For the writer thread.
    pub log: SqliteLog,
    /// For everybody.
    pub reads: Pool,
    /// Epoch and cursor key.
    pub identity: Identity,
}

/// Why a database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The engine's words.
    #[error("{0}")]
    Engine(#[from] rusqlite::Error),
    /// The migrations' words.
    #[error("its migrations failed: {0}")]
    Migration(#[from] refinery::Error),
    /// A thread or the random source was not to be had.
    #[error("{0}")]
    System(String),
}

impl Sqlite {
    /// Opens or creates the file and brings its tables up to date.
    ///
    /// # Errors
    /// [`OpenError`], with the engine's words.
    pub fn open(file: &Path, limits: &Limits) -> Result<Sqlite, OpenError> {
        // For its owner alone: it holds password hashes. SQLite gives its side files the same mode.
        let made = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
        match made {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(OpenError::System(error.to_string())),
            _ => Self::open_at(Place::File(file.to_owned()), limits),
        }
    }

    /// A throwaway database in memory, gone with its last connection: for the probe and for tests.
    ///
    /// # Errors
    /// [`OpenError`], with the engine's words.
    pub fn in_memory(limits: &Limits) -> Result<Sqlite, OpenError> {
        // The memdb file system shares a name that begins with a slash between the connections of this process.
        Self::open_at(Place::Memory(format!("file:/hailgate-{}?vfs=memdb", Uuid::new_v4())), limits)
    }

    fn open_at(place: Place, limits: &Limits) -> Result<Sqlite, OpenError> {
        let mut connection = place.connect(OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        migrations::runner().run(&mut connection)?;
        let identity = identity(&mut connection)?;
        let reads = Pool::start(&place, limits.reads_waiting)?;
        let log = SqliteLog { place, connection: Some(connection), limits: limits.clone() };
        Ok(Sqlite { log, reads, identity })
    }
}

impl Place {
    fn connect(&self, flags: OpenFlags) -> Result<Connection, rusqlite::Error> {
        let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
        let connection = match self {
            Place::File(path) => Connection::open_with_flags(path, flags)?,
            Place::Memory(uri) => Connection::open_with_flags(uri, flags)?,
        };
        connection.busy_timeout(BUSY)?;
        connection.set_prepared_statement_cache_capacity(64);
        if matches!(self, Place::File(_)) {
            connection.pragma_update(None, "journal_mode", "WAL")?;
        }
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        Ok(connection)
    }
}

mod migrations {
    refinery::embed_migrations!("src/store/migrations");
    pub(super) use self::migrations::runner;
}

fn identity(connection: &mut Connection) -> Result<Identity, OpenError> {
    let read = |connection: &Connection| {
        let row = "SELECT epoch, cursor_key FROM meta";
        connection.query_row(row, (), |row| Ok(Identity { epoch: row.get(0)?, cursor_key: row.get(1)? })).optional()
    };
    // Written once, and not at every start: that would take the write lock from a running server.
    if let Some(identity) = read(connection)? {
        return Ok(identity);
    }
    let mut cursor_key = [0; 32];
    aws_lc_rs::rand::fill(&mut cursor_key).map_err(|_| OpenError::System("the random source failed".into()))?;
    // Two processes that open a new file at once agree on the first one's row.
    connection.execute(
        "INSERT INTO meta (one, epoch, cursor_key) VALUES (1, ?1, ?2) ON CONFLICT DO NOTHING",
        (Uuid::now_v7(), cursor_key),
    )?;
    read(connection)?.ok_or_else(|| OpenError::System("its identity could not be written".into()))
}

/// The writing connection. Reopened after a failed commit, because what SQLite still holds in memory then
/// is no evidence of what the disk holds.
pub struct SqliteLog {
    place: Place,
    connection: Option<Connection>,
    limits: Limits,
}

impl Log for SqliteLog {
    fn commit(&mut self, batch: &[Write]) -> Result<Committed, Outage> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.place.connect(OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(|e| outage(&e))?,
        };
        match attempt(&mut connection, batch, &self.limits) {
            Attempt::Committed(committed) => {
                self.connection = Some(connection);
                Ok(committed)
            }
            Attempt::Refused(error) => {
                log::error!("a batch of {} writes was rolled back: {error}", batch.len());
                // One that waited for a lock in vain is sound. Any other is opened anew: it may have been opened while the
                // file could not be written, and would be read-only for ever.
                if connection.is_autocommit() && error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) {
                    self.connection = Some(connection);
                }
                Err(outage(&error))
            }
            Attempt::Unknown(committed, error) => {
                log::error!("a commit of {} writes failed, looking it up: {error}", batch.len());
                drop(connection);
                let fresh = self.place.connect(OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(|_| Outage::Unknown)?;
                let landed = append::landed(&fresh, &committed).map_err(|_| Outage::Unknown)?;
                self.connection = Some(fresh);
                if landed { Ok(committed) } else { Err(outage(&error)) }
            }
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

fn outage(error: &rusqlite::Error) -> Outage {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Outage::Full,
        _ => Outage::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Time;

    #[test]
    fn a_connection_that_could_not_write_is_not_used_again() {
        let mut log = Sqlite::in_memory(&Limits::default()).expect("a store").log;
        let canary = [Write::Canary { at: Time(1) }];
        let connection = log.connection.as_ref().expect("a connection");
        connection.pragma_update(None, "query_only", true).expect("a setting");
        assert_eq!(log.commit(&canary).map(drop), Err(Outage::Unavailable));
        assert_eq!(log.commit(&canary).map(drop), Ok(()));
    }
}
