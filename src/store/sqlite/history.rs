//! History: messages of one thread, of all threads of a user, and by id.

use rusqlite::{Connection, OptionalExtension, Result};

use super::{
    super::{Messages, Window},
    merge::{self, Walk},
    rows::{self, MESSAGE, count, signed},
};
use crate::domain::{Message, MessageId, Position, ThreadId, UserId};

pub(super) fn of_thread(
    connection: &Connection,
    user: &UserId,
    thread: ThreadId,
    window: Window,
    limit: u64,
) -> Result<Option<Messages>> {
    let Some(membership) = rows::membership(connection, user, thread.0)? else { return Ok(None) };
    let (bound, order) = match window {
        Window::Newest | Window::Before(_) => ("<", "DESC"),
        Window::After(_) => (">", "ASC"),
    };
    let rows = connection
        .prepare_cached(&format!(
            "SELECT m.position, {MESSAGE} FROM messages m JOIN threads t USING (thread_num)
             WHERE m.thread_num = ?1 AND m.sequence {bound} ?2 ORDER BY m.sequence {order} LIMIT ?3"
        ))?
        .query_and_then((membership.thread_num, edge(window), signed(limit + 1)), |row| {
            Ok((Position(count(row, 0)?), rows::message(row, 1)?))
        })?
        .collect::<Result<_>>()?;
    page(connection, rows, window, limit).map(Some)
}

/// The window counts positions. The threads are walked, newest or oldest first, and none further than the page needs.
pub(super) fn of_user(connection: &Connection, user: &UserId, window: Window, limit: u64) -> Result<Messages> {
    let (edge, wanted) = (edge(window), usize::try_from(limit + 1).unwrap_or(usize::MAX));
    let threads: Vec<(i64, i64)> = connection
        .prepare_cached(
            "SELECT t.thread_num, t.last_position FROM memberships s JOIN threads t USING (thread_num)
             WHERE s.user_id = ?1 AND s.until_position IS NULL",
        )?
        .query_map([user.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_>>()?;
    let positions = if let Window::After(_) = window {
        let walks = threads.into_iter().filter(|(_, last)| *last > edge);
        let walks: Vec<Walk> = walks.map(|(thread_num, _)| Walk { thread_num, from: edge.saturating_add(1) }).collect();
        merge::lowest(&walks, wanted, |thread, from, most| rising(connection, thread, from, most))?
    } else {
        // Backwards, the highest position is the lowest key.
        let from = |last: i64| -last.min(edge.saturating_sub(1));
        let walks: Vec<Walk> = threads.into_iter().map(|(thread_num, last)| Walk { thread_num, from: from(last) }).collect();
        let keys = merge::lowest(&walks, wanted, |thread, from, most| falling(connection, thread, -from, most))?;
        keys.into_iter().map(|key| -key).collect()
    };
    let placed =
        |position: i64| Ok((Position(u64::try_from(position).unwrap_or(0)), rows::message_at(connection, position)?));
    let rows = positions.into_iter().map(placed).collect::<Result<_>>()?;
    page(connection, rows, window, limit)
}

/// Positions of a thread's messages from one on. An event of the thread says where in its sequence that is; the position
/// is asked for too, because the events there may have been pruned.
fn rising(connection: &Connection, thread: i64, from: i64, most: usize) -> Result<Vec<i64>> {
    connection
        .prepare_cached(
            "SELECT position FROM messages WHERE thread_num = ?1 AND position >= ?2 AND sequence > coalesce(
                 (SELECT sequence FROM events WHERE thread_num = ?1 AND position < ?2 ORDER BY position DESC LIMIT 1), 0)
             ORDER BY sequence LIMIT ?3",
        )?
        .query_map((thread, from, signed(most as u64)), |row| row.get(0))?
        .collect()
}

/// The same from a position down, as keys that rise.
fn falling(connection: &Connection, thread: i64, from: i64, most: usize) -> Result<Vec<i64>> {
    connection
        .prepare_cached(
            "SELECT -position FROM messages WHERE thread_num = ?1 AND position <= ?2 AND sequence < coalesce(
                 (SELECT sequence FROM events WHERE thread_num = ?1 AND position > ?2 ORDER BY position LIMIT 1), ?4)
             ORDER BY sequence DESC LIMIT ?3",
        )?
        .query_map((thread, from, signed(most as u64), i64::MAX), |row| row.get(0))?
        .collect()
}

pub(super) fn message(connection: &Connection, user: &UserId, message: MessageId) -> Result<Option<Message>> {
    connection
        .prepare_cached(&format!(
            "SELECT {MESSAGE} FROM messages m JOIN threads t USING (thread_num)
             JOIN memberships s ON s.thread_num = m.thread_num AND s.user_id = ?2 AND s.until_position IS NULL
             WHERE m.message_id = ?1"
        ))?
        .query_row((message.0, user.as_str()), |row| rows::message(row, 0))
        .optional()
}

fn edge(window: Window) -> i64 {
    match window {
        Window::Newest => i64::MAX,
        Window::Before(sequence) | Window::After(sequence) => signed(sequence.0),
    }
}

/// A page out of messages with the positions they live under, one more than it holds if there are more.
fn page(connection: &Connection, mut rows: Vec<(Position, Message)>, window: Window, limit: u64) -> Result<Messages> {
    let has_more = rows.len() as u64 > limit;
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    if !matches!(window, Window::After(_)) {
        rows.reverse();
    }
    let ends = rows.first().zip(rows.last()).map(|(first, last)| (first.0, last.0));
    let messages = rows.into_iter().map(|(_, message)| message).collect();
    Ok(Messages { messages, has_more, ends, head: rows::head(connection)? })
}
