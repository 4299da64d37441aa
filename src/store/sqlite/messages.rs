//! Changes to messages that are there: edit and delete.

use rusqlite::{OptionalExtension, Result};
use uuid::Uuid;

use super::{
    super::{Change, Done},
    append::{Batch, Outcome},
    rows::{self, Membership, kind, signed},
};
use crate::{
    domain::{Content, Fact, Message, MessageId},
    error::{Code, Error},
};

/// A message that the asker may see: where it lives, what it is now, and the asker's membership of its thread.
struct Found {
    position: u64,
    message: Message,
    membership: Membership,
}

/// Nothing, if there is no such message or the asker is no member of its thread.
fn find(batch: &Batch<'_>, change: &Change, message: MessageId) -> Result<Option<Found>> {
    let found = batch
        .tx
        .prepare_cached(
            "SELECT m.position, t.thread_id FROM messages m JOIN threads t USING (thread_num) WHERE m.message_id = ?1",
        )?
        .query_row([message.0], |row| Ok((rows::count(row, 0)?, row.get::<_, Uuid>(1)?)))
        .optional()?;
    let Some((position, thread)) = found else { return Ok(None) };
    let Some(membership) = rows::membership(batch.tx, &change.by, thread)? else { return Ok(None) };
    let message = rows::message_at(batch.tx, signed(position))?;
    Ok(Some(Found { position, message, membership }))
}

pub(super) fn edit(batch: &mut Batch<'_>, change: &Change, message: MessageId, content: &Content) -> Outcome {
    let Some(found) = find(batch, change, message)? else { return Ok(Err(Error::no_message())) };
    let Found { position, mut message, membership } = found;
    if message.author != change.by {
        return Ok(Err(Error::new(Code::Forbidden, "Only its author may edit a message.")));
    }
    if message.deleted_at.is_some() {
        return Ok(Err(Error::new(Code::Forbidden, "The message is deleted and cannot be edited. Send a new one.")));
    }
    if message.content.as_deref() == Some(content.as_str()) {
        return Ok(Ok(Done::Message { message, duplicate: true }));
    }
    batch.tx.prepare_cached("UPDATE messages SET content = ?2, edited_at = ?3 WHERE position = ?1")?.execute((
        signed(position),
        content.as_str(),
        change.at.0,
    ))?;
    message.content = Some(content.as_str().to_owned());
    message.edited_at = Some(change.at);
    let fact = Fact::MessageEdited(message.clone());
    batch.append(change, &membership, kind::MESSAGE_EDITED, Some(position), None, fact)?;
    Ok(Ok(Done::Message { message, duplicate: false }))
}

pub(super) fn delete(batch: &mut Batch<'_>, change: &Change, message: MessageId) -> Outcome {
    let Some(found) = find(batch, change, message)? else { return Ok(Err(Error::no_message())) };
    let Found { position, mut message, membership } = found;
    if message.author != change.by && membership.owner != change.by {
        return Ok(Err(Error::new(Code::Forbidden, "Only its author and the thread's owner may delete a message.")));
    }
    if message.deleted_at.is_some() {
        return Ok(Ok(Done::Message { message, duplicate: true }));
    }
    batch
        .tx
        .prepare_cached("UPDATE messages SET content = NULL, metadata = NULL, deleted_at = ?2 WHERE position = ?1")?
        .execute((signed(position), change.at.0))?;
    message.content = None;
    message.metadata = None;
    message.deleted_at = Some(change.at);
    let fact = Fact::MessageDeleted(message.clone());
    batch.append(change, &membership, kind::MESSAGE_DELETED, Some(position), None, fact)?;
    Ok(Ok(Done::Message { message, duplicate: false }))
}
