//! Rows to values: the columns of each table in one order, read in one place.

use rusqlite::{Connection, OptionalExtension, Result, Row};
use uuid::Uuid;

use super::super::Head;
use crate::domain::{
    Account, Event, Fact, Message, MessageId, Permission, Person, Position, Sequence, Thread, ThreadId, Time, UserId,
};

/// What kind of event a row is. The numbers are in files: never reuse one.
pub(super) mod kind {
    pub const MESSAGE_CREATED: i64 = 1;
    pub const MESSAGE_DELETED: i64 = 2;
    pub const THREAD_CREATED: i64 = 3;
    pub const THREAD_UPDATED: i64 = 4;
    pub const THREAD_DELETED: i64 = 5;
    pub const MEMBER_ADDED: i64 = 6;
    pub const MEMBER_REMOVED: i64 = 7;
    pub const MESSAGE_EDITED: i64 = 8;
}

/// What ended. The numbers are in files: never reuse one.
pub(super) mod revocation {
    pub const ONE: i64 = 0;
    pub const EVERYTHING: i64 = 1;
    pub const ACCOUNT: i64 = 2;
}

/// Permissions as one column.
pub(super) fn permission_text(permissions: &[Permission]) -> String {
    permissions.iter().map(|permission| permission.name()).collect::<Vec<_>>().join(" ")
}

/// Permissions out of their column; names that this server does not know grant nothing.
pub(super) fn permissions(text: &str) -> Vec<Permission> {
    text.split_whitespace().filter_map(Permission::named).collect()
}

/// An unsigned count out of SQLite's signed integers.
pub(super) fn count(row: &Row<'_>, column: usize) -> Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0))
}

/// An unsigned number as SQLite stores it.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A stored user id; the database holds only valid ones.
pub(super) fn user(text: &str) -> Result<UserId> {
    UserId::parse(text).map_err(|reason| rusqlite::Error::InvalidParameterName(format!("stored user id: {reason}")))
}

/// The log's end.
pub(super) fn head(connection: &Connection) -> Result<Head> {
    let epoch = connection.prepare_cached("SELECT epoch FROM meta")?.query_row((), |row| row.get(0))?;
    let last = connection
        .prepare_cached("SELECT position, mark FROM events WHERE position = (SELECT max(position) FROM events)")?
        .query_row((), |row| Ok((Position(count(row, 0)?), row.get(1)?)))
        .optional()?;
    let (position, mark) = last.unwrap_or_default();
    Ok(Head { epoch, position, mark })
}

/// The columns of a message with its thread's id, for a query over `messages m JOIN threads t`. What a deleted thread
/// said is shown to nobody, erased or not yet.
pub(super) const MESSAGE: &str = "m.message_id, t.thread_id, m.author, iif(t.deleted_at IS NULL, m.content, NULL),
    iif(t.deleted_at IS NULL, m.metadata, NULL), m.client_message_id, m.sequence, m.created_at, m.edited_at,
    coalesce(m.deleted_at, t.deleted_at)";

/// A message out of [`MESSAGE`], beginning at a column.
pub(super) fn message(row: &Row<'_>, at: usize) -> Result<Message> {
    Ok(Message {
        message_id: MessageId(row.get(at)?),
        thread: ThreadId(row.get(at + 1)?),
        author: user(row.get_ref(at + 2)?.as_str()?)?,
        content: row.get(at + 3)?,
        metadata: row.get(at + 4)?,
        client_message_id: row.get(at + 5)?,
        sequence: Sequence(count(row, at + 6)?),
        created_at: Time(row.get(at + 7)?),
        edited_at: row.get::<_, Option<i64>>(at + 8)?.map(Time),
        deleted_at: row.get::<_, Option<i64>>(at + 9)?.map(Time),
    })
}

/// A message by the position under which it lives.
pub(super) fn message_at(connection: &Connection, position: i64) -> Result<Message> {
    connection
        .prepare_cached(&format!(
            "SELECT {MESSAGE} FROM messages m JOIN threads t USING (thread_num) WHERE m.position = ?1"
        ))?
        .query_row([position], |row| message(row, 0))
}

/// A thread as all members see it, by its number.
pub(super) fn thread(connection: &Connection, thread_num: i64) -> Result<Thread> {
    let members = connection
        .prepare_cached(
            "SELECT u.user_id, u.name FROM memberships m JOIN users u USING (user_id)
             WHERE m.thread_num = ?1 AND m.until_position IS NULL ORDER BY m.user_id LIMIT 50",
        )?
        .query_map([thread_num], |row| person(row, 0))?
        .collect::<Result<_>>()?;
    connection
        .prepare_cached(
            "SELECT thread_id, title, owner, member_count, sequence, created_at FROM threads WHERE thread_num = ?1",
        )?
        .query_row([thread_num], |row| {
            Ok(Thread {
                thread_id: ThreadId(row.get(0)?),
                title: row.get(1)?,
                owner: user(row.get_ref(2)?.as_str()?)?,
                member_count: count(row, 3)?,
                members,
                sequence: Sequence(count(row, 4)?),
                created_at: Time(row.get(5)?),
            })
        })
}

/// A user as others see them, out of `user_id, name`.
pub(super) fn person(row: &Row<'_>, at: usize) -> Result<Person> {
    Ok(Person { user_id: user(row.get_ref(at)?.as_str()?)?, name: row.get(at + 1)? })
}

/// The columns of an event with its thread's id, for a query over `events e JOIN threads t`.
pub(super) const EVENT: &str =
    "e.position, e.mark, t.thread_id, e.thread_num, e.sequence, e.kind, e.at, e.by, e.message_position, e.subject";

/// For whom an event is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum For {
    /// One user: what they see is enough.
    User,
    /// The hub: it must know everybody who joined.
    Hub,
}

/// An event out of [`EVENT`], with what it is about as that is now.
pub(super) fn event(connection: &Connection, row: &Row<'_>, reader: For) -> Result<Event> {
    let thread_num: i64 = row.get(3)?;
    let fact = match row.get::<_, i64>(5)? {
        kind::MESSAGE_CREATED => Fact::MessageCreated(message_at(connection, row.get(8)?)?),
        kind::MESSAGE_EDITED => Fact::MessageEdited(message_at(connection, row.get(8)?)?),
        kind::MESSAGE_DELETED => Fact::MessageDeleted(message_at(connection, row.get(8)?)?),
        kind::THREAD_CREATED => {
            let joined = if reader == For::Hub { joined(connection, thread_num, row.get(0)?)? } else { Vec::new() };
            Fact::ThreadCreated(thread(connection, thread_num)?, joined)
        }
        kind::THREAD_UPDATED => Fact::ThreadUpdated(thread(connection, thread_num)?),
        kind::MEMBER_ADDED => Fact::MemberAdded(subject(connection, row)?),
        kind::MEMBER_REMOVED => Fact::MemberRemoved(subject(connection, row)?),
        kind::THREAD_DELETED => Fact::ThreadDeleted,
        other => return Err(rusqlite::Error::IntegralValueOutOfRange(5, other)),
    };
    Ok(Event {
        position: Position(count(row, 0)?),
        mark: row.get(1)?,
        thread: ThreadId(row.get(2)?),
        sequence: Sequence(count(row, 4)?),
        at: Time(row.get(6)?),
        by: user(row.get_ref(7)?.as_str()?)?,
        fact,
    })
}

/// Who became a member with the event at a position.
fn joined(connection: &Connection, thread_num: i64, position: i64) -> Result<Vec<UserId>> {
    connection
        .prepare_cached("SELECT user_id FROM memberships WHERE thread_num = ?1 AND from_position = ?2")?
        .query_and_then((thread_num, position), |row| user(row.get_ref(0)?.as_str()?))?
        .collect()
}

fn subject(connection: &Connection, row: &Row<'_>) -> Result<Person> {
    connection
        .prepare_cached("SELECT user_id, name FROM users WHERE user_id = ?1")?
        .query_row([row.get_ref(9)?.as_str()?], |row| person(row, 0))
}

/// The columns of an account, for a query over `users u`.
pub(super) const ACCOUNT: &str =
    "u.user_id, u.name, u.email, u.tier, u.permissions, u.disabled, u.password_hash, u.login_epoch";
/// How many they are.
pub(super) const ACCOUNT_COLUMNS: usize = 8;

/// An account out of [`ACCOUNT`].
pub(super) fn account(row: &Row<'_>) -> Result<Account> {
    Ok(Account {
        user_id: user(row.get_ref(0)?.as_str()?)?,
        name: row.get(1)?,
        email: row.get(2)?,
        tier: row.get(3)?,
        permissions: permissions(row.get_ref(4)?.as_str()?),
        disabled: row.get(5)?,
        password_hash: row.get(6)?,
        login_epoch: count(row, 7)?,
    })
}

/// The number and the id's owner of a thread, if this user is a member of it now.
pub(super) fn membership(connection: &Connection, user: &UserId, thread: Uuid) -> Result<Option<Membership>> {
    connection
        .prepare_cached(
            "SELECT t.thread_num, t.owner, t.sequence, t.member_count, m.read_sequence
             FROM threads t JOIN memberships m ON m.thread_num = t.thread_num AND m.user_id = ?1
             WHERE t.thread_id = ?2 AND m.until_position IS NULL AND t.deleted_at IS NULL",
        )?
        .query_row((user.as_str(), thread), membership_row)
        .optional()
}

/// A membership out of `thread_num, owner, sequence, member_count, read_sequence`.
pub(super) fn membership_row(row: &Row<'_>) -> Result<Membership> {
    Ok(Membership {
        thread_num: row.get(0)?,
        owner: user(row.get_ref(1)?.as_str()?)?,
        sequence: count(row, 2)?,
        member_count: count(row, 3)?,
        read: count(row, 4)?,
    })
}

/// What a member's write or read needs to know of the thread.
pub(super) struct Membership {
    pub thread_num: i64,
    pub owner: UserId,
    pub sequence: u64,
    pub member_count: u64,
    pub read: u64,
}
