//! Pruning: the oldest of the log goes, and with it what only it needed; a bounded number of rows a transaction, so
//! that nobody's message waits for long.
//!
//! Decisions: `src/docs/decisions/retention.md`.

use rusqlite::{Connection, Result};
use uuid::Uuid;

use super::{
    super::Done,
    rows::{self, count, signed},
};
use crate::domain::Time;

/// Rows of each kind that one transaction takes.
const ROWS: u64 = 256;

pub(super) fn prune(tx: &Connection, before: Option<Time>) -> Result<Done> {
    let mut most = erase_some(tx)?;
    let mut events = 0;
    if let Some(before) = before {
        events = let_go(tx, before)?;
        // Everything below the first event that is kept can be referred to by nothing any more.
        let floor = kept_from(tx)?.saturating_sub(1);
        most = most.max(events).max(ended_memberships(tx, floor)?).max(deleted_threads(tx, floor)?);
    }
    Ok(Done::Pruned { events, more: most >= ROWS })
}

/// The position of the first event that is kept: 1 if nothing has been pruned.
pub(super) fn kept_from(connection: &Connection) -> Result<u64> {
    connection.prepare_cached("SELECT coalesce((SELECT min(position) FROM events), 1)")?.query_row((), |row| count(row, 0))
}

/// The oldest events go, up to the first one that is young enough: a clock that once was wrong makes the log longer,
/// never shorter. The last one stays, so that the log's end never moves back.
fn let_go(tx: &Connection, before: Time) -> Result<u64> {
    let head = rows::head(tx)?.position.0;
    let oldest: Vec<(u64, Time, Option<i64>)> = tx
        .prepare_cached("SELECT position, at, message_position FROM events WHERE position > 0 ORDER BY position LIMIT ?1")?
        .query_map([signed(ROWS)], |row| Ok((count(row, 0)?, Time(row.get(1)?), row.get(2)?)))?
        .collect::<Result<_>>()?;
    let old = oldest.into_iter().take_while(|(position, at, _)| *at < before && *position < head);
    let (mut events, mut messages) = (0, Vec::new());
    for (position, _, message) in old {
        tx.prepare_cached("DELETE FROM events WHERE position = ?1")?.execute([signed(position)])?;
        messages.extend(message);
        events += 1;
    }
    messages.sort_unstable();
    messages.dedup();
    messages.into_iter().try_for_each(|position| let_message_go(tx, position))?;
    Ok(events)
}

/// A message goes with the last event that tells of it, and its retry key with it.
fn let_message_go(tx: &Connection, position: i64) -> Result<()> {
    let gone: Vec<(String, Option<String>, Uuid)> = tx
        .prepare_cached(
            "DELETE FROM messages WHERE position = ?1
             AND NOT EXISTS (SELECT 1 FROM events WHERE message_position = ?1 AND message_position <> position)
             RETURNING author, client_message_id, message_id",
        )?
        .query_map([position], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_>>()?;
    for (author, key, message) in gone {
        forget_key(tx, &author, key.as_deref(), message)?;
    }
    Ok(())
}

fn forget_key(tx: &Connection, user: &str, key: Option<&str>, target: Uuid) -> Result<()> {
    tx.prepare_cached("DELETE FROM retry_keys WHERE user_id = ?1 AND key = ?2 AND target = ?3")?
        .execute((user, key, target))?;
    Ok(())
}

/// Memberships that ended at or below a position: no cursor that holds is from before.
fn ended_memberships(tx: &Connection, floor: u64) -> Result<u64> {
    let ended: Vec<(String, i64, i64)> = tx
        .prepare_cached(
            "SELECT user_id, thread_num, from_position FROM memberships
             WHERE until_position IS NOT NULL AND until_position <= ?1 ORDER BY until_position LIMIT ?2",
        )?
        .query_map((signed(floor), signed(ROWS)), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_>>()?;
    for membership in &ended {
        tx.prepare_cached("DELETE FROM memberships WHERE user_id = ?1 AND thread_num = ?2 AND from_position = ?3")?
            .execute((&membership.0, membership.1, membership.2))?;
    }
    Ok(ended.len() as u64)
}

/// Deleted threads of which nothing is left.
fn deleted_threads(tx: &Connection, floor: u64) -> Result<u64> {
    let empty: Vec<(i64, Uuid, Option<String>, Option<String>)> = tx
        .prepare_cached(
            "SELECT t.thread_num, t.thread_id, t.created_by, t.retry_key FROM threads t
             WHERE t.deleted_at IS NOT NULL AND t.last_position <= ?1
             AND NOT EXISTS (SELECT 1 FROM memberships m WHERE m.thread_num = t.thread_num)
             AND NOT EXISTS (SELECT 1 FROM messages m WHERE m.thread_num = t.thread_num)
             ORDER BY t.last_position LIMIT ?2",
        )?
        .query_map((signed(floor), signed(ROWS)), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?
        .collect::<Result<_>>()?;
    for (thread_num, thread, by, key) in &empty {
        forget_key(tx, by.as_deref().unwrap_or_default(), key.as_deref(), *thread)?;
        tx.prepare_cached("DELETE FROM threads WHERE thread_num = ?1")?.execute([thread_num])?;
    }
    Ok(empty.len() as u64)
}

/// Erases what the messages of a deleted thread said: all of it, or as much as one transaction may and the rest later.
/// The rows stay as tombstones, because events refer to them and a retry learns the truth.
pub(super) fn erase(tx: &Connection, thread_num: i64) -> Result<u64> {
    let erased = tx
        .prepare_cached(
            "UPDATE messages SET content = NULL, metadata = NULL,
                 deleted_at = (SELECT t.deleted_at FROM threads t WHERE t.thread_num = ?1)
             WHERE position IN (
                 SELECT position FROM messages INDEXED BY messages_by_author
                 WHERE thread_num = ?1 AND deleted_at IS NULL LIMIT ?2)",
        )?
        .execute((thread_num, signed(ROWS)))? as u64;
    tx.prepare_cached("UPDATE threads SET to_erase = ?2 WHERE thread_num = ?1")?.execute((thread_num, erased >= ROWS))?;
    Ok(erased)
}

/// Goes on with one of the threads whose erasing has begun.
fn erase_some(tx: &Connection) -> Result<u64> {
    let begun: Vec<i64> = tx
        .prepare_cached("SELECT thread_num FROM threads WHERE to_erase = 1 AND thread_num > 0 LIMIT 1")?
        .query_map((), |row| row.get(0))?
        .collect::<Result<_>>()?;
    begun.first().map_or(Ok(0), |thread| erase(tx, *thread))
}

#[cfg(test)]
#[path = "prune_tests.rs"]
mod tests;
