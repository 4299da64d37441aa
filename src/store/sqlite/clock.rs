//! The latest time that a server's clock has shown, kept in the database: a revocation must reach every token that was let
//! in by it, also after the clock was set back.

use std::time::Duration;

use rusqlite::{Connection, Result};

use crate::domain::Time;

/// How far ahead of the clock the latest time is believed: no token lives longer, so one that was let in by a clock further
/// ahead counts as not valid yet for at least that long. A clock that was years ahead for a moment must not have every
/// later revocation refuse new tokens for years.
const AHEAD_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Notes what the clock shows.
pub(super) fn note(tx: &Connection, now: Time) -> Result<()> {
    let sql = "UPDATE meta SET latest_at = min(max(latest_at, ?1), ?2)";
    tx.prepare_cached(sql)?.execute((now.0, now.plus(AHEAD_MAX).0))?;
    Ok(())
}

/// The latest time that a clock has shown; at least `now`, and at most [`AHEAD_MAX`] later.
pub(super) fn latest(connection: &Connection, now: Time) -> Result<Time> {
    let sql = "SELECT min(max(latest_at, ?1), ?2) FROM meta";
    connection.prepare_cached(sql)?.query_row((now.0, now.plus(AHEAD_MAX).0), |row| row.get(0).map(Time))
}

/// Notes the latest time that the server believes to have been reached. The server decides whether it may go back, see
/// `node/clock_steps.rs`.
pub(super) fn swept(tx: &Connection, known: Time) -> Result<()> {
    tx.prepare_cached("UPDATE meta SET swept_at = ?1")?.execute([known.0])?;
    Ok(())
}
