//! What a user may see of the log: the queries behind resume and catch-up. They begin at the user's threads
//! whose last position is above the cursor, never at the log.

use rusqlite::{Connection, OptionalExtension, Result, named_params};

use super::{
    super::{Head, Missed, Page},
    merge::{self, Walk},
    prune,
    rows::{self, EVENT, For, count, signed},
};
use crate::domain::{Event, Position, ThreadId, UserId};

/// The positions a user may see above `:after`: all events of the threads they are a member of, from where they
/// joined, and of the threads they left since only the one event that says so.
const VISIBLE: &str = "
    SELECT e.position FROM memberships m
    JOIN threads t ON t.thread_num = m.thread_num AND t.last_position > :after
    JOIN events e ON e.thread_num = m.thread_num AND e.position > :after AND e.position >= m.from_position
    WHERE m.user_id = :user AND m.until_position IS NULL
    UNION ALL
    SELECT max(m.until_position) FROM memberships m
    WHERE m.user_id = :user AND m.until_position > :after GROUP BY m.thread_num";

/// Every event from `from` (not included) to `to` (included).
pub(super) fn events(connection: &Connection, from: Position, to: Position) -> Result<Vec<Event>> {
    connection
        .prepare_cached(&format!(
            "SELECT {EVENT} FROM events e JOIN threads t USING (thread_num)
             WHERE e.position > ?1 AND e.position <= ?2 ORDER BY e.position"
        ))?
        .query_and_then((signed(from.0), signed(to.0)), |row| rows::event(connection, row, For::Hub))?
        .collect()
}

pub(super) fn memberships(connection: &Connection, user: &UserId) -> Result<(Head, Vec<ThreadId>)> {
    let head = rows::head(connection)?;
    let threads = connection
        .prepare_cached(
            "SELECT t.thread_id FROM memberships m JOIN threads t USING (thread_num)
             WHERE m.user_id = ?1 AND m.until_position IS NULL",
        )?
        .query_map([user.as_str()], |row| Ok(ThreadId(row.get(0)?)))?
        .collect::<Result<_>>()?;
    Ok((head, threads))
}

pub(super) fn missed(connection: &Connection, user: &UserId, after: Position, limit: u64) -> Result<Missed> {
    let head = rows::head(connection)?;
    let mark_there = match after {
        Position(0) => (prune::kept_from(connection)? == 1).then_some(0),
        _ => connection
            .prepare_cached("SELECT mark FROM events WHERE position = ?1")?
            .query_row([signed(after.0)], |row| row.get(0))
            .optional()?,
    };
    let events =
        connection.prepare_cached(&format!("SELECT count(*) FROM (SELECT 1 FROM ({VISIBLE}) LIMIT :limit)"))?.query_row(
            named_params! { ":user": user.as_str(), ":after": signed(after.0), ":limit": signed(limit + 1) },
            |row| count(row, 0),
        )?;
    Ok(Missed { head, mark_there, events })
}

/// The lowest positions that a user may see after one: of [`VISIBLE`], but each thread is read only as far as needed.
fn positions(connection: &Connection, user: &UserId, after: Position, limit: u64) -> Result<Vec<i64>> {
    let (user, after, most) = (user.as_str(), signed(after.0), usize::try_from(limit).unwrap_or(usize::MAX));
    let walks: Vec<Walk> = connection
        .prepare_cached(
            "SELECT m.thread_num, max(m.from_position, ?2 + 1) FROM memberships m
             JOIN threads t ON t.thread_num = m.thread_num AND t.last_position > ?2
             WHERE m.user_id = ?1 AND m.until_position IS NULL",
        )?
        .query_map((user, after), |row| Ok(Walk { thread_num: row.get(0)?, from: row.get(1)? }))?
        .collect::<Result<_>>()?;
    let mut of_thread = connection
        .prepare_cached("SELECT position FROM events WHERE thread_num = ?1 AND position >= ?2 ORDER BY position LIMIT ?3")?;
    let mut positions = merge::lowest(&walks, most, |thread, from, most| {
        of_thread.query_map((thread, from, signed(most as u64)), |row| row.get(0))?.collect()
    })?;
    let mut left = connection.prepare_cached(
        "SELECT max(until_position) FROM memberships WHERE user_id = ?1 AND until_position > ?2 GROUP BY thread_num",
    )?;
    for position in left.query_map((user, after), |row| row.get(0))? {
        positions.push(position?);
    }
    positions.sort_unstable();
    positions.truncate(most);
    Ok(positions)
}

pub(super) fn page(connection: &Connection, user: &UserId, after: Position, limit: u64) -> Result<Page> {
    let head = rows::head(connection)?;
    let mut one = connection
        .prepare_cached(&format!("SELECT {EVENT} FROM events e JOIN threads t USING (thread_num) WHERE e.position = ?1"))?;
    let events: Vec<Event> = positions(connection, user, after, limit)?
        .into_iter()
        .map(|position| one.query_row([position], |row| rows::event(connection, row, For::User)))
        .collect::<Result<_>>()?;
    // A full page is complete up to its last event; one that is not full, up to the log's end.
    let complete_to = match events.last() {
        Some(last) if events.len() as u64 >= limit => Head { position: last.position, mark: last.mark, ..head },
        _ => head,
    };
    Ok(Page { events, complete_to, pruned: prune::kept_from(connection)? > after.0 + 1 })
}
