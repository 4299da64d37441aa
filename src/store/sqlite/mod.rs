//! SQLite, the default engine: one file, one writing connection, a few read-only ones beside it.
//!
//! WAL, so that reads never queue behind writes; `synchronous=FULL`, so that a commit survives power loss.

mod accounts;
mod append;
mod backup;
mod clock;
mod credential_status;
mod feed;
mod history;
mod log;
mod logins;
mod merge;
mod messages;
mod people;
mod pool;
mod prune;
mod read;
mod relaxed;
mod rows;
mod serving;
mod threads;
mod wal;

#[cfg(test)]
mod scale_tests;
#[cfg(test)]
mod testing;

use std::{io, path::Path, time::Duration};

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, config::DbConfig, ffi, functions::FunctionFlags};
use uuid::Uuid;

use self::pool::Pool;
pub use self::{
    backup::{Backup, BackupError},
    log::SqliteLog,
    serving::{Linked, ServingLock, Unserved, one_name},
};
use super::Identity;
use crate::domain::{Limits, StoreError, Synchronous, folded_name};

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
    /// The file has several names.
    #[error(transparent)]
    Linked(#[from] Linked),
    /// Its tables are of an older version, and a server of that version may be using them.
    #[error("its tables are of an older version and have to be brought up to date, but {0}")]
    Outdated(Unserved),
    /// The file could not be made.
    #[error("{0}")]
    File(#[from] io::Error),
    /// A thread or the random source was not to be had.
    #[error("{0}")]
    System(String),
}

impl Sqlite {
    /// Opens or creates the file and brings its tables up to date, beside a running server. Tables of an older version are not
    /// changed under a server: it would go on writing by the rules of that version.
    ///
    /// # Errors
    /// [`OpenError`], with the engine's words.
    pub fn open(file: &Path, limits: &Limits) -> Result<Sqlite, OpenError> {
        serving::create(file)?;
        one_name(file)?;
        let place = Place::File(file.to_owned());
        let connection = place.connect(OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        // Held until the tables are up to date.
        let _lock = is_outdated(&connection)?.then(|| ServingLock::take(file)).transpose().map_err(OpenError::Outdated)?;
        Self::open_over(connection, place, limits)
    }

    /// The same for the one who serves from it and holds its lock.
    ///
    /// # Errors
    /// [`OpenError`], with the engine's words.
    pub fn open_to_serve(
        file: &Path,
        limits: &Limits,
        lock: ServingLock,
        synchronous: Synchronous,
    ) -> Result<Sqlite, OpenError> {
        Self::open_at(Place::File(file.to_owned()), limits)?.serving(lock, synchronous)
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
        let connection = place.connect(OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE)?;
        Self::open_over(connection, place, limits)
    }

    fn open_over(mut connection: Connection, place: Place, limits: &Limits) -> Result<Sqlite, OpenError> {
        migrate(&mut connection)?;
        let identity = identity(&mut connection)?;
        let reads = Pool::start(&place, limits.reads_waiting)?;
        let log = SqliteLog {
            place,
            connection: Some(connection),
            limits: limits.clone(),
            synchronous: Synchronous::Full,
            failing: false,
            serving: None,
        };
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
        // Else SQLite plans a statement anew at every use, as soon as its LIMIT is a parameter.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        if matches!(self, Place::File(_)) {
            connection.pragma_update(None, "journal_mode", "WAL")?;
            wal::limit(&connection)?;
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

/// Whether the tables are of an older version than this program's. A new file has none.
fn is_outdated(connection: &Connection) -> Result<bool, rusqlite::Error> {
    if !connection.table_exists(None, "refinery_schema_history")? {
        return Ok(false);
    }
    let applied: Option<i64> =
        connection.query_row("SELECT max(version) FROM refinery_schema_history", (), |row| row.get(0))?;
    let newest = migrations::runner().get_migrations().iter().map(|migration| i64::from(migration.version())).max();
    Ok(applied < newest)
}

/// Brings the tables up to date. Migrations that compute a column call the function that computes it for new rows.
fn migrate(connection: &mut Connection) -> Result<(), OpenError> {
    connection.create_scalar_function("folded_name", 1, FunctionFlags::SQLITE_UTF8, |call| {
        call.get::<String>(0).map(|name| folded_name(&name))
    })?;
    migrations::runner().run(connection)?;
    Ok(())
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

fn outage(error: &rusqlite::Error) -> StoreError {
    match (error.sqlite_error_code(), error.sqlite_extended_error_code()) {
        // The second: no room for the file that the processes share.
        (Some(ErrorCode::DiskFull), _) | (_, Some(ffi::SQLITE_IOERR_SHMSIZE)) => StoreError::Full,
        _ => StoreError::Unavailable,
    }
}
