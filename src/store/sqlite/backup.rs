//! A whole copy of the database in one new file, made beside a running server.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags, Result, TransactionBehavior};
use rustix::{
    fs::{CWD, RenameFlags, renameat_with},
    io::Errno,
};
use uuid::Uuid;

use super::{BUSY, Linked, Sqlite, one_name, rows};

/// Reason why there is no backup; then the file does not exist, unless it did before.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The database cannot be opened or read.
    #[error("the database cannot be read: {0}")]
    Source(rusqlite::Error),
    /// The database has several names.
    #[error(transparent)]
    Linked(#[from] Linked),
    /// The backup or the file that it grows in exists already.
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    /// The copy cannot be written or is not sound.
    #[error("the copy cannot be written: {0}")]
    Copy(String),
}

/// What a backup holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backup {
    /// Events of the log.
    pub events: u64,
    /// Size of the file.
    pub bytes: u64,
}

impl Sqlite {
    /// Copies everything that is stored at one moment into a new file with mode 0600, which is synced when this returns.
    ///
    /// One read transaction sees the whole database, so the copy is consistent and ends however much is written meanwhile;
    /// writers do not wait for it. The copy has an epoch of its own and no logins: a server that runs from it tells clients
    /// to load anew, and revives no login that was ended since.
    ///
    /// # Errors
    /// [`BackupError`]. An existing file is never replaced.
    pub fn back_up(file: &Path, to: &Path) -> std::result::Result<Backup, BackupError> {
        let (folder, partial) = places(to)?;
        one_name(file)?;
        if to.symlink_metadata().is_ok() {
            return Err(BackupError::Exists(to.to_owned()));
        }
        let source = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)
            .and_then(|source| source.busy_timeout(BUSY).map(|()| source))
            .map_err(BackupError::Source)?;
        source.query_row("SELECT epoch FROM meta", (), |_| Ok(())).map_err(BackupError::Source)?;
        let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&partial).map_err(|error| {
            if error.kind() == io::ErrorKind::AlreadyExists {
                BackupError::Exists(partial.clone())
            } else {
                not_written(error)
            }
        })?;
        let copied = copy(&source, &partial).and_then(|events| {
            made.sync_all().map_err(not_written)?;
            let bytes = made.metadata().map_err(not_written)?.len();
            name(&partial, to)?;
            Ok(Backup { events, bytes })
        });
        if copied.is_err() {
            // The first failure is the one to tell of.
            let _ = fs::remove_file(&partial);
        }
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(not_written)?;
        copied
    }
}

/// Returns the folder of the backup and the file in it that the copy grows in.
fn places(to: &Path) -> std::result::Result<(PathBuf, PathBuf), BackupError> {
    let name = to.file_name().ok_or_else(|| BackupError::Copy(format!("{} names no file", to.display())))?;
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let folder = folder.canonicalize().map_err(|error| BackupError::Copy(format!("{}: {error}", folder.display())))?;
    let mut partial = name.to_owned();
    partial.push(".partial");
    Ok((folder.clone(), folder.join(partial)))
}

#[allow(clippy::needless_pass_by_value, reason = "it maps errors")]
fn not_written(error: io::Error) -> BackupError {
    BackupError::Copy(error.to_string())
}

/// Fills the empty file `partial` and makes it a log of its own; the number of its events.
fn copy(source: &Connection, partial: &Path) -> std::result::Result<u64, BackupError> {
    let failed = |error: rusqlite::Error| BackupError::Copy(error.to_string());
    let path = partial.to_str().ok_or_else(|| BackupError::Copy(format!("{} is not UTF-8", partial.display())))?;
    source.execute("VACUUM INTO ?1", [path]).map_err(failed)?;
    let mut copy = Connection::open_with_flags(partial, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(failed)?;
    let sound: String = copy.query_row("PRAGMA quick_check(1)", (), |row| row.get(0)).map_err(failed)?;
    if sound != "ok" {
        return Err(BackupError::Copy(format!("it is not sound: {sound}")));
    }
    let events = begin_anew(&mut copy).map_err(failed)?;
    copy.close().map_err(|(_, error)| failed(error))?;
    Ok(events)
}

/// Gives a copy an epoch of its own and takes the logins out. Works on the tables of every older version too.
fn begin_anew(copy: &mut Connection) -> Result<u64> {
    // What is deleted is overwritten.
    copy.pragma_update(None, "secure_delete", true)?;
    copy.pragma_update(None, "synchronous", "FULL")?;
    let transaction = copy.transaction_with_behavior(TransactionBehavior::Immediate)?;
    transaction.execute("UPDATE meta SET epoch = ?1", [Uuid::now_v7()])?;
    let exists = |sql: &str, name: &str| transaction.prepare(sql)?.exists([name]);
    if exists("SELECT 1 FROM pragma_table_info('meta') WHERE name = ?1", "relaxed")? {
        transaction.execute("UPDATE meta SET relaxed = 0", ())?;
    }
    for table in ["links", "tickets", "refresh_tokens", "families", "sessions"] {
        if exists("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?1", table)? {
            transaction.execute(&format!("DELETE FROM {table}"), ())?;
        }
    }
    let events = transaction.query_row("SELECT count(*) FROM events", (), |row| rows::count(row, 0))?;
    transaction.commit()?;
    Ok(events)
}

/// Gives the finished copy its name, if that is still free.
fn name(partial: &Path, to: &Path) -> std::result::Result<(), BackupError> {
    let named = match renameat_with(CWD, partial, CWD, to, RenameFlags::NOREPLACE) {
        // Not every file system knows this flag; those that do not, like NFS, know links.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            fs::hard_link(partial, to).and_then(|()| fs::remove_file(partial))
        }
        renamed => renamed.map_err(io::Error::from),
    };
    named.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => BackupError::Exists(to.to_owned()),
        _ => not_written(error),
    })
}

#[cfg(test)]
mod tests {
    use super::{super::testing::World, *};
    use crate::domain::Limits;

    #[test]
    fn a_backup_holds_what_the_file_alone_lacks_and_never_replaces_anything() {
        let directory = tempfile::tempdir().expect("a directory");
        let (file, to) = (directory.path().join("log.db"), directory.path().join("copy.db"));
        let mut world = World::of(Sqlite::open(&file, &Limits::default()).expect("a database"), &["alice"]);
        let thread = world.thread("alice", &[]);
        world.send("alice", thread, "in the write-ahead log");
        let backup = Sqlite::back_up(&file, &to).expect("a backup");
        assert_eq!((backup.events, backup.bytes), (2, fs::metadata(&to).expect("a file").len()));
        let before = fs::read(&to).expect("a file");
        for again in [Sqlite::back_up(&file, &to), Sqlite::back_up(&file, &file)] {
            assert!(matches!(again, Err(BackupError::Exists(_))), "{again:?}");
        }
        assert_eq!(fs::read(&to).expect("a file"), before);
        let copy = World::of(Sqlite::open(&to, &Limits::default()).expect("a database"), &[]);
        assert_eq!((copy.count("messages"), copy.count("users")), (1, 1));
        assert_ne!(copy.store.identity.epoch, world.store.identity.epoch);
    }

    #[test]
    fn a_backup_that_fails_leaves_nothing_behind() {
        let directory = tempfile::tempdir().expect("a directory");
        let (file, to) = (directory.path().join("log.db"), directory.path().join("copy.db"));
        assert!(matches!(Sqlite::back_up(&file, &to), Err(BackupError::Source(_))));
        fs::write(&file, "this is no database, but it is long enough to be looked at. ".repeat(100)).expect("a file");
        assert!(matches!(Sqlite::back_up(&file, &to), Err(BackupError::Source(_))));
        assert!(matches!(Sqlite::back_up(&file, Path::new("/")), Err(BackupError::Copy(_))));
        assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 1);
    }

    #[test]
    fn a_database_of_an_older_version_is_backed_up_as_it_is() {
        let directory = tempfile::tempdir().expect("a directory");
        let (file, to) = (directory.path().join("log.db"), directory.path().join("copy.db"));
        let first = Connection::open(&file).expect("a database");
        first.execute_batch(include_str!("../migrations/V1__log.sql")).expect("the first tables");
        first.execute("INSERT INTO meta (one, epoch, cursor_key) VALUES (1, x'00', x'00')", ()).expect("a row");
        drop(first);
        assert_eq!(Sqlite::back_up(&file, &to).expect("a backup").events, 0);
    }
}
