//! A relaxed log: with `synchronous=NORMAL` a power cut can take the end of it, although it was acknowledged. So the file says that
//! it is open like that, and a start that finds it so begins a new epoch, in which no cursor of before holds.

use rusqlite::{Connection, Result, TransactionBehavior};
use uuid::Uuid;

use super::{OpenError, ServingLock, Sqlite};
use crate::domain::Synchronous;

impl Sqlite {
    /// For the server of this file, which holds its lock: judges how the last one ended, and sets how sure a commit is from now on.
    ///
    /// # Errors
    /// [`OpenError`], with the engine's words.
    pub(super) fn serving(mut self, lock: ServingLock, synchronous: Synchronous) -> std::result::Result<Sqlite, OpenError> {
        if let Some(connection) = &mut self.log.connection {
            if let Some(epoch) = begin(connection, synchronous)? {
                log::warn!(
                    "the last server did not end in good order and its writes were not synced: some may be lost, clients load anew"
                );
                self.identity.epoch = epoch;
            }
            set(connection, synchronous)?;
        }
        self.log.synchronous = synchronous;
        self.log.serving = Some(lock);
        Ok(self)
    }
}

/// Sets how sure a commit is on this connection.
pub(super) fn set(connection: &Connection, synchronous: Synchronous) -> Result<()> {
    connection.pragma_update(None, "synchronous", synchronous.name())
}

/// Notes how the log is open from now on; the new epoch, if it may have lost its end.
fn begin(connection: &mut Connection, synchronous: Synchronous) -> Result<Option<Uuid>> {
    set(connection, Synchronous::Full)?;
    let relaxed = synchronous == Synchronous::Normal;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let was: bool = transaction.query_row("SELECT relaxed FROM meta", (), |row| row.get(0))?;
    let epoch = was.then(Uuid::now_v7);
    if let Some(epoch) = epoch {
        transaction.execute("UPDATE meta SET epoch = ?1", [epoch])?;
    }
    if was != relaxed {
        transaction.execute("UPDATE meta SET relaxed = ?1", [relaxed])?;
    }
    transaction.commit()?;
    Ok(epoch)
}

/// The end in good order: with this commit everything before it is synced.
pub(super) fn end(connection: &Connection, synchronous: Synchronous) -> Result<()> {
    if synchronous == Synchronous::Normal {
        set(connection, Synchronous::Full)?;
        connection.execute("UPDATE meta SET relaxed = 0", ())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;
    use super::*;
    use crate::{domain::Limits, store::Log};

    fn start(file: &std::path::Path, synchronous: Synchronous) -> World {
        let lock = ServingLock::take(file).expect("nobody else serves");
        let store = Sqlite::open_to_serve(file, &Limits::default(), lock, synchronous);
        World::of(store.expect("a database"), &[])
    }

    fn is_set(world: &World) -> Synchronous {
        let number: i64 = world.connection().query_row("PRAGMA synchronous", (), |row| row.get(0)).expect("a number");
        if number == 1 { Synchronous::Normal } else { Synchronous::Full }
    }

    #[test]
    fn only_a_relaxed_log_that_was_not_ended_gets_a_new_epoch() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("log.db");
        let mut before = start(&file, Synchronous::Full).store.identity.epoch;
        for (first, ends, then, same) in [
            (Synchronous::Full, false, Synchronous::Full, true),
            (Synchronous::Full, false, Synchronous::Normal, true),
            (Synchronous::Normal, true, Synchronous::Normal, true),
            (Synchronous::Normal, true, Synchronous::Full, true),
            (Synchronous::Normal, false, Synchronous::Full, false),
            (Synchronous::Normal, false, Synchronous::Normal, false),
        ] {
            // Whatever the last round left behind.
            start(&file, first).store.log.end();
            let mut world = start(&file, first);
            assert_eq!(is_set(&world), first);
            if before != world.store.identity.epoch {
                before = world.store.identity.epoch;
            }
            if ends {
                world.store.log.end();
            }
            drop(world);
            let after = start(&file, then);
            assert_eq!(after.store.identity.epoch == before, same, "{first:?}, ended: {ends}, then {then:?}");
            let told: Uuid = after.connection().query_row("SELECT epoch FROM meta", (), |row| row.get(0)).expect("an epoch");
            assert_eq!(told, after.store.identity.epoch);
            before = told;
        }
    }

    #[test]
    fn a_command_beside_the_server_changes_nothing_about_it() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("log.db");
        let server = start(&file, Synchronous::Normal);
        let beside = Sqlite::open(&file, &Limits::default()).expect("a database");
        assert_eq!(beside.identity.epoch, server.store.identity.epoch);
        drop(beside);
        server.connection().execute("DELETE FROM refinery_schema_history WHERE version > 7", ()).expect("a row");
        let refused = Sqlite::open(&file, &Limits::default()).err().expect("refused").to_string();
        assert!(refused.contains("of an older version") && refused.contains("served by"), "{refused}");
        assert_eq!(server.count("meta WHERE relaxed = 1"), 1);
    }
}
