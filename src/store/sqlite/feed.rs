//! What a user may see of the log: the queries behind resume and catch-up. They begin at the user's threads
//! whose last position is above the cursor, never at the log.

use rusqlite::{Connection, OptionalExtension, Result, named_params};

use super::{
    super::{Head, Missed, Page, PageLimit},
    merge::{self, Walk},
    prune,
    rows::{self, EVENT, For, count, signed},
    threads,
};
use crate::domain::{Event, Marker, Position, Sequence, ThreadId, UserId};

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

/// The log's end, and a user's threads there: all, or the first so many.
pub(super) fn memberships(connection: &Connection, user: &UserId, most: Option<u64>) -> Result<(Head, Vec<ThreadId>)> {
    let head = rows::head(connection)?;
    let threads = connection
        .prepare_cached(
            "SELECT t.thread_id FROM memberships m JOIN threads t USING (thread_num)
             WHERE m.user_id = ?1 AND m.until_position IS NULL LIMIT ?2",
        )?
        .query_map((user.as_str(), most.map_or(-1, signed)), |row| Ok(ThreadId(row.get(0)?)))?
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
    let markers = connection.prepare_cached(&format!("SELECT count(*) FROM (SELECT 1 {MOVED} LIMIT :limit)"))?.query_row(
        named_params! { ":user": user.as_str(), ":moved": signed(after.0), ":limit": signed(limit + 1) },
        |row| count(row, 0),
    )?;
    Ok(Missed { head, mark_there, events, markers })
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

/// Reads no further than the limits: of the events, one at most that the page does not hold.
pub(super) fn page(
    connection: &Connection,
    user: &UserId,
    after: Position,
    moved: Position,
    most: PageLimit,
) -> Result<Page> {
    let head = rows::head(connection)?;
    let mut one = connection
        .prepare_cached(&format!("SELECT {EVENT} FROM events e JOIN threads t USING (thread_num) WHERE e.position = ?1"))?;
    let (mut events, mut bytes): (Vec<Event>, u64) = (Vec::new(), 0);
    let positions = positions(connection, user, after, most.events)?;
    let mut full = positions.len() as u64 >= most.events;
    for position in positions {
        let event = one.query_row([position], |row| rows::event(connection, row, For::User))?;
        bytes = bytes.saturating_add(event.json_bytes());
        if bytes > most.bytes && !events.is_empty() {
            full = true;
            break;
        }
        events.push(event);
    }
    // A full page is complete up to its last event; one that is not full, up to the log's end.
    let complete_to = match events.last() {
        Some(last) if full => Head { position: last.position, mark: last.mark, ..head },
        _ => head,
    };
    // Further back they would count messages as unread that are still to be sent.
    let whole = complete_to.position == head.position;
    let read = whole.then(|| markers(connection, user, moved, head.position)).transpose()?;
    Ok(Page { events, complete_to, pruned: prune::kept_from(connection)? > after.0 + 1, read })
}

/// The page after the log's end, which is empty; nothing, if the log goes on or read markers have to be told with it.
pub(super) fn empty_page(connection: &Connection, user: &UserId, after: Position, moved: Position) -> Result<Option<Page>> {
    let head = rows::head(connection)?;
    if head.position != after {
        return Ok(None);
    }
    let some = connection
        .prepare_cached(&format!("SELECT 1 {MOVED} LIMIT 1"))?
        .exists(named_params! { ":user": user.as_str(), ":moved": signed(moved.0) })?;
    let pruned = prune::kept_from(connection)? > after.0 + 1;
    Ok((!some).then(|| Page { events: Vec::new(), complete_to: head, pruned, read: Some(Vec::new()) }))
}

/// A user's memberships whose read marker has moved at the log's position `:moved` or after it.
const MOVED: &str = "FROM memberships m WHERE m.user_id = :user AND m.until_position IS NULL
    AND m.read_position > 0 AND m.read_position >= :moved";

/// Those that moved at `from` or after it and at `to` or before it, with what was unread at `to`.
pub(super) fn markers(connection: &Connection, user: &UserId, from: Position, to: Position) -> Result<Vec<Marker>> {
    let mut found = connection.prepare_cached(&format!(
        "SELECT m.thread_num, m.read_sequence, (SELECT t.thread_id FROM threads t WHERE t.thread_num = m.thread_num)
         {MOVED} AND m.read_position <= :to ORDER BY m.read_position, m.thread_num"
    ))?;
    let range = named_params! { ":user": user.as_str(), ":moved": signed(from.0), ":to": signed(to.0) };
    found
        .query_and_then(range, |row| {
            let sequence = count(row, 1)?;
            let unread = threads::unread_at(connection, row.get(0)?, user, sequence, to)?;
            Ok(Marker { thread: ThreadId(row.get(2)?), sequence: Sequence(sequence), unread })
        })?
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{
        super::testing::{World, user},
        *,
    };
    use crate::{domain::Limits, store::sqlite::Sqlite};

    #[test]
    fn pages_that_are_full_by_their_bytes_tell_the_same_as_one_that_holds_everything() {
        let mut world = World::new(&["alice", "bob"]);
        let thread = world.thread("alice", &["bob"]);
        for length in [1, 3_000, 10, 8_000, 8_000, 20, 30, 1, 2_000] {
            world.send("alice", thread, &"\"".repeat(length));
        }
        let page = |after, most| page(world.connection(), &user("bob"), after, after, most).expect("an answer");
        let whole = page(Position(0), PageLimit::of(100));
        for bytes in [0, 4_000, 20_000, u64::MAX] {
            let (mut after, mut told) = (Position(0), Vec::new());
            loop {
                let Page { events, complete_to, read, .. } = page(after, PageLimit { events: 100, bytes });
                let held: u64 = events.iter().map(Event::json_bytes).sum();
                assert!(held <= bytes || events.len() == 1, "{held} of {bytes} bytes in {} events", events.len());
                assert_eq!(read.is_some(), complete_to.position == whole.complete_to.position);
                told.extend(events);
                after = complete_to.position;
                if read.is_some() {
                    break;
                }
            }
            assert_eq!(told, whole.events, "{bytes} bytes a page");
        }
    }

    #[test]
    fn moved_markers_are_found_by_their_index() {
        let store = Sqlite::in_memory(&Limits::default()).expect("a database in memory");
        let connection = store.log.connection.as_ref().expect("the writing connection");
        let plan: Vec<String> = connection
            .prepare(&format!("EXPLAIN QUERY PLAN SELECT 1 {MOVED}"))
            .expect("a plan")
            .query_map(named_params! { ":user": "alice", ":moved": 5 }, |row| row.get(3))
            .expect("rows")
            .collect::<Result<_>>()
            .expect("text");
        assert!(plan.iter().any(|step| step.contains("INDEX markers (user_id=? AND read_position>?")), "{plan:#?}");
    }
}
