//! Changes to threads: create, rename, hand over, members in and out, read markers.

use rusqlite::{Connection, OptionalExtension, Result};
use uuid::Uuid;

use super::{
    super::{Change, Done, ThreadView, UNREAD_MAX},
    append::{Batch, Outcome},
    prune,
    rows::{self, Membership, count, kind, signed},
};
use crate::{
    domain::{Fact, Marker, Person, Position, RetryKey, Sequence, ThreadId, UserId, draft::fingerprint},
    error::{Code, Error},
};

/// Looks up the asker's membership or returns the refusal.
macro_rules! member_or_refuse {
    ($batch:expr, $change:expr, $thread:expr) => {
        match rows::membership($batch.tx, &$change.by, $thread.0)? {
            Some(membership) => membership,
            None => return Ok(Err(Error::no_thread())),
        }
    };
}

pub(super) fn create(batch: &mut Batch<'_>, change: &Change, title: Option<&str>, members: &[UserId]) -> Outcome {
    let mut parts: Vec<&[u8]> = vec![b"thread", title.unwrap_or_default().as_bytes()];
    parts.extend(members.iter().map(|m| m.as_str().as_bytes()));
    let body = fingerprint(&parts);
    match batch.retried(change, body)? {
        Some(Err(refused)) => return Ok(Err(refused)),
        Some(Ok(target)) => return created_before(batch, change, target),
        None => {}
    }
    let people = match people(batch, change, members)? {
        Ok(people) => people,
        Err(refused) => return Ok(Err(refused)),
    };
    batch.remember(change, change.id, body)?;
    let first = batch.next_position();
    batch
        .tx
        .prepare_cached(
            "INSERT INTO threads
                 (thread_id, title, owner, member_count, sequence, last_position, created_at, created_by, retry_key)
             VALUES (?1, ?2, ?3, ?4, 0, ?5, ?6, ?3, ?7)",
        )?
        .execute((
            change.id,
            title,
            change.by.as_str(),
            signed(people.len() as u64),
            signed(first),
            change.at.0,
            change.key.as_ref().map(RetryKey::as_str),
        ))?;
    let thread_num = batch.tx.last_insert_rowid();
    // The event that creates the thread is its sequence 1; everybody named in it has seen it.
    for person in &people {
        join(batch.tx, thread_num, &person.user_id, first, 1)?;
    }
    let joined = people.iter().map(|person| person.user_id.clone()).collect();
    let membership =
        Membership { thread_num, owner: change.by.clone(), sequence: 0, member_count: people.len() as u64, read: 1 };
    let mut thread = rows::thread(batch.tx, thread_num)?;
    thread.sequence = Sequence(1);
    batch.append(change, &membership, kind::THREAD_CREATED, None, None, Fact::ThreadCreated(thread.clone(), joined))?;
    Ok(Ok(Done::Thread { view: batch.view(change, &membership, thread)?, duplicate: false }))
}

fn created_before(batch: &Batch<'_>, change: &Change, target: Uuid) -> Outcome {
    let Some(membership) = rows::membership(batch.tx, &change.by, target)? else { return Ok(Err(Error::no_thread())) };
    let thread = rows::thread(batch.tx, membership.thread_num)?;
    Ok(Ok(Done::Thread { view: batch.view(change, &membership, thread)?, duplicate: true }))
}

/// The owner and the other members, each once; or why one of them cannot be.
fn people(batch: &Batch<'_>, change: &Change, members: &[UserId]) -> Result<std::result::Result<Vec<Person>, Error>> {
    let mut wanted: Vec<&UserId> = std::iter::once(&change.by).chain(members).collect();
    wanted.sort();
    wanted.dedup();
    if wanted.len() as u64 > batch.limits.thread_members {
        return Ok(Err(Error::field("members", format!("a thread has at most {} members", batch.limits.thread_members))));
    }
    let owned: i64 = batch
        .tx
        .prepare_cached("SELECT count(*) FROM threads WHERE owner = ?1 AND deleted_at IS NULL")?
        .query_row([change.by.as_str()], |row| row.get(0))?;
    if u64::try_from(owned).unwrap_or(0) >= batch.limits.owned_threads {
        return Ok(Err(Error::new(
            Code::Forbidden,
            format!("You own {owned} threads, the most one user may own. Delete or hand over one first."),
        )));
    }
    let mut people = Vec::with_capacity(wanted.len());
    for user in wanted {
        match person(batch.tx, user)? {
            Some(person) => people.push(person),
            None => return Ok(Err(unknown_member(user))),
        }
    }
    Ok(Ok(people))
}

fn unknown_member(user: &UserId) -> Error {
    Error::new(Code::UnknownMember, format!("There is no user `{user}`. Nothing was changed."))
}

fn person(tx: &Connection, user: &UserId) -> Result<Option<Person>> {
    tx.prepare_cached("SELECT user_id, name FROM users WHERE user_id = ?1 AND disabled = 0")?
        .query_row([user.as_str()], |row| rows::person(row, 0))
        .optional()
}

fn join(tx: &Connection, thread_num: i64, user: &UserId, position: u64, read: u64) -> Result<()> {
    tx.prepare_cached(
        "INSERT INTO memberships (user_id, thread_num, from_position, read_sequence) VALUES (?1, ?2, ?3, ?4)",
    )?
    .execute((user.as_str(), thread_num, signed(position), signed(read)))?;
    Ok(())
}

pub(super) fn update(
    batch: &mut Batch<'_>,
    change: &Change,
    thread: ThreadId,
    title: Option<Option<&str>>,
    owner: Option<&UserId>,
) -> Outcome {
    let membership = member_or_refuse!(batch, change, thread);
    if membership.owner != change.by {
        return Ok(Err(Error::new(Code::Forbidden, "Only the thread's owner may do that.")));
    }
    if let Some(owner) = owner {
        if rows::membership(batch.tx, owner, thread.0)?.is_none() {
            return Ok(Err(Error::field("owner", "must be a member of the thread")));
        }
        set_owner(batch.tx, membership.thread_num, owner)?;
    }
    if let Some(title) = title {
        batch
            .tx
            .prepare_cached("UPDATE threads SET title = ?2 WHERE thread_num = ?1")?
            .execute((membership.thread_num, title))?;
    }
    let thread = updated(batch, change, &membership)?;
    Ok(Ok(Done::Thread { view: batch.view(change, &membership, thread)?, duplicate: false }))
}

/// Appends `thread.updated` and returns the thread it tells of.
fn updated(batch: &mut Batch<'_>, change: &Change, membership: &Membership) -> Result<crate::domain::Thread> {
    let mut thread = rows::thread(batch.tx, membership.thread_num)?;
    thread.sequence.0 += 1;
    batch.append(change, membership, kind::THREAD_UPDATED, None, None, Fact::ThreadUpdated(thread.clone()))?;
    Ok(thread)
}

fn set_owner(tx: &Connection, thread_num: i64, owner: &UserId) -> Result<()> {
    tx.prepare_cached("UPDATE threads SET owner = ?2 WHERE thread_num = ?1")?.execute((thread_num, owner.as_str()))?;
    Ok(())
}

pub(super) fn delete(batch: &mut Batch<'_>, change: &Change, thread: ThreadId) -> Outcome {
    let membership = member_or_refuse!(batch, change, thread);
    if membership.owner != change.by {
        return Ok(Err(Error::new(Code::Forbidden, "Only the thread's owner may delete it.")));
    }
    erase(batch, change, &membership)?;
    Ok(Ok(Done::Nothing))
}

/// The last event of a thread; what its messages said goes, its members leave.
fn erase(batch: &mut Batch<'_>, change: &Change, membership: &Membership) -> Result<()> {
    let position = signed(batch.next_position());
    batch.append(change, membership, kind::THREAD_DELETED, None, None, Fact::ThreadDeleted)?;
    let number = membership.thread_num;
    batch
        .tx
        .prepare_cached("UPDATE memberships SET until_position = ?2 WHERE thread_num = ?1 AND until_position IS NULL")?
        .execute((number, position))?;
    batch
        .tx
        .prepare_cached("UPDATE threads SET deleted_at = ?2, title = NULL, member_count = 0 WHERE thread_num = ?1")?
        .execute((number, change.at.0))?;
    prune::erase(batch.tx, number)?;
    Ok(())
}

pub(super) fn add_member(batch: &mut Batch<'_>, change: &Change, thread: ThreadId, user: &UserId) -> Outcome {
    let membership = member_or_refuse!(batch, change, thread);
    if membership.owner != change.by {
        return Ok(Err(Error::new(Code::Forbidden, "Only the thread's owner may add members.")));
    }
    let Some(person) = person(batch.tx, user)? else { return Ok(Err(unknown_member(user))) };
    if rows::membership(batch.tx, user, thread.0)?.is_some() {
        return Ok(Ok(Done::Nothing));
    }
    if membership.member_count >= batch.limits.thread_members {
        let max = batch.limits.thread_members;
        return Ok(Err(Error::new(Code::Forbidden, format!("The thread has {max} members, the most it may have."))));
    }
    join(batch.tx, membership.thread_num, user, batch.next_position(), membership.sequence + 1)?;
    change_count(batch.tx, membership.thread_num, 1)?;
    batch.append(change, &membership, kind::MEMBER_ADDED, None, Some(user), Fact::MemberAdded(person))?;
    Ok(Ok(Done::Nothing))
}

fn change_count(tx: &Connection, thread_num: i64, by: i64) -> Result<()> {
    tx.prepare_cached("UPDATE threads SET member_count = member_count + ?2 WHERE thread_num = ?1")?
        .execute((thread_num, by))?;
    Ok(())
}

pub(super) fn remove_member(batch: &mut Batch<'_>, change: &Change, thread: ThreadId, user: &UserId) -> Outcome {
    let membership = member_or_refuse!(batch, change, thread);
    let own = *user == change.by;
    if !own && membership.owner != change.by {
        return Ok(Err(Error::new(Code::Forbidden, "Only the thread's owner may remove others.")));
    }
    if rows::membership(batch.tx, user, thread.0)?.is_none() {
        return Ok(Ok(Done::Nothing));
    }
    if membership.member_count <= 1 {
        erase(batch, change, &membership)?;
        return Ok(Ok(Done::Nothing));
    }
    let Some(person) = named(batch.tx, user)? else { return Ok(Err(unknown_member(user))) };
    batch
        .tx
        .prepare_cached(
            "UPDATE memberships SET until_position = ?3 WHERE thread_num = ?1 AND user_id = ?2 AND until_position IS NULL",
        )?
        .execute((membership.thread_num, user.as_str(), signed(batch.next_position())))?;
    change_count(batch.tx, membership.thread_num, -1)?;
    batch.append(change, &membership, kind::MEMBER_REMOVED, None, Some(user), Fact::MemberRemoved(person))?;
    if membership.owner == *user {
        hand_over(batch, change, &membership)?;
    }
    Ok(Ok(Done::Nothing))
}

/// An owner who leaves hands over to the oldest member.
fn hand_over(batch: &mut Batch<'_>, change: &Change, membership: &Membership) -> Result<()> {
    let heir: String = batch
        .tx
        .prepare_cached(
            "SELECT user_id FROM memberships WHERE thread_num = ?1 AND until_position IS NULL ORDER BY from_position, user_id LIMIT 1",
        )?
        .query_row([membership.thread_num], |row| row.get(0))?;
    set_owner(batch.tx, membership.thread_num, &rows::user(&heir)?)?;
    updated(batch, change, membership)?;
    Ok(())
}

/// A person, disabled or not: whoever is a member can be removed.
fn named(tx: &Connection, user: &UserId) -> Result<Option<Person>> {
    tx.prepare_cached("SELECT user_id, name FROM users WHERE user_id = ?1")?
        .query_row([user.as_str()], |row| rows::person(row, 0))
        .optional()
}

pub(super) fn read(batch: &mut Batch<'_>, change: &Change, thread: ThreadId, sequence: Sequence) -> Outcome {
    let membership = member_or_refuse!(batch, change, thread);
    // The marker never moves back, and never past what the thread has.
    let read = sequence.0.min(membership.sequence).max(membership.read);
    if read > membership.read {
        batch
            .tx
            .prepare_cached(
                "UPDATE memberships SET read_sequence = ?3, read_position = ?4
                 WHERE thread_num = ?1 AND user_id = ?2 AND until_position IS NULL",
            )?
            .execute((membership.thread_num, change.by.as_str(), signed(read), signed(batch.head())))?;
    }
    let unread = unread(batch.tx, membership.thread_num, &change.by, read)?;
    let marker = Marker { thread, sequence: Sequence(read), unread };
    // One that did not move is told as well: who sets it again may have missed the answer, and so may the others.
    batch.tell_marker(&change.by, marker.clone());
    Ok(Ok(Done::Read(marker)))
}

/// Messages by others, not deleted, above the marker, counted up to [`UNREAD_MAX`].
pub(super) fn unread(tx: &Connection, thread_num: i64, user: &UserId, read: u64) -> Result<u64> {
    unread_up_to(tx, thread_num, user, read, u64::MAX)
}

/// The same, of the messages that were there at a place in the log.
pub(super) fn unread_at(tx: &Connection, thread_num: i64, user: &UserId, read: u64, at: Position) -> Result<u64> {
    let last = tx
        .prepare_cached(
            "SELECT sequence FROM events WHERE thread_num = ?1 AND position <= ?2 ORDER BY position DESC LIMIT 1",
        )?
        .query_row((thread_num, signed(at.0)), |row| count(row, 0))
        .optional()?;
    unread_up_to(tx, thread_num, user, read, last.unwrap_or(0))
}

fn unread_up_to(tx: &Connection, thread_num: i64, user: &UserId, read: u64, last: u64) -> Result<u64> {
    let (looked_at, unread) = tx
        .prepare_cached(
            "SELECT count(*), coalesce(sum(author <> ?3 AND deleted_at IS NULL), 0) FROM (
                 SELECT author, deleted_at FROM messages
                  WHERE thread_num = ?1 AND sequence > ?2 AND sequence <= ?5 LIMIT ?4)",
        )?
        .query_row((thread_num, signed(read), user.as_str(), signed(UNREAD_MAX), signed(last)), |row| {
            Ok((count(row, 0)?, count(row, 1)?))
        })?;
    if looked_at < UNREAD_MAX || unread == UNREAD_MAX {
        Ok(unread)
    } else {
        unread_by_author(tx, thread_num, user, read, last)
    }
}

/// The same without a look at what one wrote oneself, or what is deleted, however much that is.
fn unread_by_author(tx: &Connection, thread_num: i64, user: &UserId, read: u64, last: u64) -> Result<u64> {
    let mut next = tx.prepare_cached(
        "SELECT author FROM messages INDEXED BY messages_by_author
         WHERE thread_num = ?1 AND author > ?2 AND deleted_at IS NULL ORDER BY author LIMIT 1",
    )?;
    let mut theirs = tx.prepare_cached(
        "SELECT count(*) FROM (SELECT 1 FROM messages INDEXED BY messages_by_author
         WHERE thread_num = ?1 AND author = ?2 AND deleted_at IS NULL AND sequence > ?3 AND sequence <= ?5 LIMIT ?4)",
    )?;
    let (mut author, mut unread) = (String::new(), 0);
    while unread < UNREAD_MAX {
        let Some(found) = next.query_row((thread_num, &author), |row| row.get(0)).optional()? else { break };
        author = found;
        if author != user.as_str() {
            let room = signed(UNREAD_MAX - unread);
            unread += theirs.query_row((thread_num, &author, signed(read), room, signed(last)), |row| count(row, 0))?;
        }
    }
    Ok(unread)
}

/// A thread as the member behind this membership sees it.
pub(super) fn view(
    tx: &Connection,
    user: &UserId,
    membership: &Membership,
    thread: crate::domain::Thread,
) -> Result<ThreadView> {
    let last: Option<i64> = tx
        .prepare_cached("SELECT position FROM messages WHERE thread_num = ?1 ORDER BY sequence DESC LIMIT 1")?
        .query_row([membership.thread_num], |row| row.get(0))
        .optional()?;
    let last_message = last.map(|position| rows::message_at(tx, position)).transpose()?;
    let unread = unread(tx, membership.thread_num, user, membership.read)?;
    Ok(ThreadView { thread, unread, read: Sequence(membership.read), last_message })
}
