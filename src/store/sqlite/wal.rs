//! Size of the write-ahead log (WAL): the space of a peak is given back to the file system.
//!
//! SQLite copies the WAL into the database file after every 1,000 pages (4 MiB), but only as far as no reader needs it. While a
//! long read is open, such as a backup, the file grows, and by itself it never shrinks while the server runs.

use std::{fs, path::PathBuf, time::Duration};

use rusqlite::{Connection, Result};

use super::{BUSY, Place, rows::signed};
use crate::store::Write;

/// Size to which the WAL is cut back, in bytes. Four times what SQLite lets it grow to in normal operation, so that a busy
/// server does not cut and extend the file again and again.
pub(super) const LIMIT: u64 = 16 << 20;

/// Lets SQLite cut the WAL back to [`LIMIT`] when a write begins it anew. That is the case for the first write after the
/// whole WAL has been copied.
pub(super) fn limit(connection: &Connection) -> Result<()> {
    connection.pragma_update(None, "journal_size_limit", signed(LIMIT))
}

/// Empties the WAL if it is larger than [`LIMIT`] and the batch was the sweep's, which comes once a minute: an idle server
/// writes nothing that would begin it anew.
pub(super) fn shrink_after(batch: &[Write], connection: &Connection, place: &Place) {
    let swept = batch.iter().any(|write| matches!(write, Write::Prune { .. }));
    if swept
        && size(place).is_some_and(|size| size > LIMIT)
        && let Err(error) = empty(connection)
    {
        log::warn!("the write-ahead log could not be emptied: {error}");
    }
}

/// Copies the WAL into the database file and truncates it. Where a reader still needs a part of it, nothing is truncated,
/// and the call does not wait.
pub(super) fn empty(connection: &Connection) -> Result<()> {
    connection.busy_timeout(Duration::ZERO)?;
    let done = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()));
    connection.busy_timeout(BUSY)?;
    done
}

/// Returns the size of the WAL file in bytes, `None` if there is no such file.
fn size(place: &Place) -> Option<u64> {
    let Place::File(path) = place else { return None };
    let mut wal = path.clone().into_os_string();
    wal.push("-wal");
    fs::metadata(PathBuf::from(wal)).ok().map(|wal| wal.len())
}

#[cfg(test)]
mod tests {
    use rusqlite::OpenFlags;

    use super::{
        super::{
            Sqlite,
            testing::{World, draft},
        },
        *,
    };
    use crate::{
        domain::{Limits, ThreadId},
        store::{Act, Log as _},
    };

    /// A store in a file whose WAL has grown past twice the limit while a reader was open, and the thread written to.
    fn peaked() -> (tempfile::TempDir, World, ThreadId, Connection) {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Sqlite::open(&directory.path().join("log.db"), &Limits::default()).expect("a database");
        let mut world = World::of(store, &["alice"]);
        let thread = world.thread("alice", &[]);
        let reader = world.store.log.place.connect(OpenFlags::SQLITE_OPEN_READ_WRITE).expect("a reader");
        reader.execute_batch("BEGIN; SELECT * FROM meta").expect("a read");
        while size(&world.store.log.place).is_none_or(|size| size <= 2 * LIMIT) {
            let batch: Vec<Write> = (0..128)
                .map(|_| world.change("alice", None, Act::Send { thread, draft: draft(&"\u{10348}".repeat(8_000)) }))
                .collect();
            world.store.log.commit(&batch).expect("a commit");
        }
        (directory, world, thread, reader)
    }

    #[test]
    fn the_next_writes_give_the_space_of_a_peak_back() {
        let (_directory, mut world, thread, reader) = peaked();
        drop(reader);
        for _ in 0..2 {
            world.send("alice", thread, "after the peak");
        }
        assert!(size(&world.store.log.place).is_some_and(|size| size <= LIMIT));
    }

    #[test]
    fn the_sweep_gives_it_back_where_nothing_is_written_once_no_reader_needs_it() {
        let (_directory, mut world, _, reader) = peaked();
        world.prune(None);
        assert!(size(&world.store.log.place).is_some_and(|size| size > LIMIT), "a reader needs it");
        drop(reader);
        world.prune(None);
        assert_eq!(size(&world.store.log.place), Some(0));
    }
}
