//! One transaction of writes: every refusal is decided before its insert, every event gets the next position.

use rusqlite::{Connection, OptionalExtension, Result};
use uuid::Uuid;

use super::{
    super::{Act, Change, Committed, Done, MarkerMoved, ThreadView, Write},
    clock, logins, messages, prune,
    rows::{self, Membership, kind, signed},
    threads,
};
use crate::{
    domain::{Event, Fact, Limits, Marker, Message, MessageId, Position, Sequence, Thread, ThreadId, UserId},
    error::{Code, Error},
};

/// What a write inside the transaction comes to: a refusal, or an engine error that ends the whole batch.
pub(super) type Outcome = Result<std::result::Result<Done, Error>>;

/// The transaction under way: where the log ends, and what was appended so far.
pub(super) struct Batch<'a> {
    pub tx: &'a Connection,
    pub limits: &'a Limits,
    head: u64,
    events: Vec<Event>,
    markers: Vec<MarkerMoved>,
}

/// Applies every write in order.
pub(super) fn apply_all(tx: &Connection, writes: &[Write], limits: &Limits) -> Result<Committed> {
    let head = rows::head(tx)?.position.0;
    let mut batch = Batch { tx, limits, head, events: Vec::with_capacity(writes.len()), markers: Vec::new() };
    let outcomes = writes.iter().map(|write| batch.apply(write)).collect::<Result<_>>()?;
    Ok(Committed { outcomes, events: batch.events, markers: batch.markers })
}

/// Whether a transaction whose commit failed is in the log after all: its last event tells for the whole. Nothing, if it has
/// no event.
pub(super) fn landed(connection: &Connection, committed: &Committed) -> Result<Option<bool>> {
    let Some(last) = committed.events.last() else { return Ok(None) };
    let mark: Option<u32> = connection
        .query_row("SELECT mark FROM events WHERE position = ?1", [signed(last.position.0)], |row| row.get(0))
        .optional()?;
    Ok(Some(mark == Some(last.mark)))
}

impl Batch<'_> {
    fn apply(&mut self, write: &Write) -> Outcome {
        match write {
            Write::Change(change) => self.change(change),
            Write::Login(act) => Ok(Ok(Done::Login(logins::apply(self.tx, act)?))),
            Write::Prune { before } => Ok(Ok(prune::prune(self.tx, *before)?)),
            Write::Canary { at } => {
                self.tx.prepare_cached("UPDATE meta SET canary_at = ?1")?.execute([at.0])?;
                clock::note(self.tx, *at)?;
                Ok(Ok(Done::Nothing))
            }
        }
    }

    fn change(&mut self, change: &Change) -> Outcome {
        match &change.act {
            Act::Send { thread, draft } => self.send(change, *thread, draft),
            Act::EditMessage { message, content } => messages::edit(self, change, *message, content),
            Act::DeleteMessage { message } => messages::delete(self, change, *message),
            Act::CreateThread { title, members } => threads::create(self, change, title.as_deref(), members),
            Act::UpdateThread { thread, title, owner } => {
                threads::update(self, change, *thread, title.as_ref().map(Option::as_deref), owner.as_ref())
            }
            Act::DeleteThread { thread } => threads::delete(self, change, *thread),
            Act::AddMember { thread, user } => threads::add_member(self, change, *thread, user),
            Act::RemoveMember { thread, user } => threads::remove_member(self, change, *thread, user),
            Act::Read { thread, sequence } => threads::read(self, change, *thread, *sequence),
        }
    }

    fn send(&mut self, change: &Change, thread: ThreadId, draft: &crate::domain::Draft) -> Outcome {
        let body = draft.fingerprint(thread);
        match self.retried(change, body)? {
            Some(Err(refused)) => return Ok(Err(refused)),
            Some(Ok(target)) => return self.sent_before(target),
            None => {}
        }
        let Some(membership) = rows::membership(self.tx, &change.by, thread.0)? else { return Ok(Err(Error::no_thread())) };
        self.remember(change, change.id, body)?;
        let (position, sequence) = (self.head + 1, membership.sequence + 1);
        self.tx
            .prepare_cached(
                "INSERT INTO messages (position, message_id, thread_num, sequence, author, content, metadata, client_message_id, created_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute((
                signed(position),
                change.id,
                membership.thread_num,
                signed(sequence),
                change.by.as_str(),
                draft.content(),
                draft.metadata().map(|m| m.as_str()),
                change.key.as_ref().map(|k| k.as_str()),
                change.at.0,
            ))?;
        let message = Message {
            message_id: MessageId(change.id),
            thread,
            author: change.by.clone(),
            content: Some(draft.content().to_owned()),
            metadata: draft.metadata().map(|m| m.as_str().to_owned()),
            client_message_id: change.key.as_ref().map(|k| k.as_str().to_owned()),
            sequence: Sequence(sequence),
            created_at: change.at,
            edited_at: None,
            deleted_at: None,
        };
        self.append(
            change,
            &membership,
            kind::MESSAGE_CREATED,
            Some(position),
            None,
            Fact::MessageCreated(message.clone()),
        )?;
        Ok(Ok(Done::Message { message, duplicate: false }))
    }

    /// The answer to a retry: the message as it is now. The key is the author's own, so no membership is asked.
    fn sent_before(&self, target: Uuid) -> Outcome {
        let position = self
            .tx
            .prepare_cached("SELECT position FROM messages WHERE message_id = ?1")?
            .query_row([target], |row| row.get(0))
            .optional()?;
        Ok(match position {
            Some(position) => Ok(Done::Message { message: rows::message_at(self.tx, position)?, duplicate: true }),
            None => Err(Error::no_thread()),
        })
    }

    /// What a retry key says: nothing yet, the target it stands for, or that it stands for something else.
    pub fn retried(&self, change: &Change, body: [u8; 32]) -> Result<Option<std::result::Result<Uuid, Error>>> {
        let Some(key) = &change.key else { return Ok(None) };
        let found: Option<(Uuid, [u8; 32])> = self
            .tx
            .prepare_cached("SELECT target, body FROM retry_keys WHERE user_id = ?1 AND key = ?2")?
            .query_row((change.by.as_str(), key.as_str()), |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        Ok(found.map(|(target, before)| {
            if before == body {
                return Ok(target);
            }
            Err(Error::new(Code::KeyReused, "This retry key was used for something else. Use a new key for a new request."))
        }))
    }

    /// Keeps the retry key with what it stands for.
    pub fn remember(&self, change: &Change, target: Uuid, body: [u8; 32]) -> Result<()> {
        if let Some(key) = &change.key {
            self.tx
                .prepare_cached("INSERT INTO retry_keys (user_id, key, target, body) VALUES (?1, ?2, ?3, ?4)")?
                .execute((change.by.as_str(), key.as_str(), target, body))?;
        }
        Ok(())
    }

    /// The position that the next event will get.
    pub fn next_position(&self) -> u64 {
        self.head + 1
    }

    /// Where the log ends so far.
    pub fn head(&self) -> u64 {
        self.head
    }

    /// Tells the user's own connections of a read marker, in its place among the events.
    pub fn tell_marker(&mut self, user: &UserId, marker: Marker) {
        self.markers.push(MarkerMoved { at: Position(self.head), user: user.clone(), marker });
    }

    /// Appends an event: the next position of the log, the next sequence of its thread.
    pub fn append(
        &mut self,
        change: &Change,
        membership: &Membership,
        kind: i64,
        message_position: Option<u64>,
        subject: Option<&UserId>,
        fact: Fact,
    ) -> Result<()> {
        let position = self.next_position();
        let (sequence, thread): (i64, Uuid) = self
            .tx
            .prepare_cached(
                "UPDATE threads SET sequence = sequence + 1, last_position = ?2 WHERE thread_num = ?1 RETURNING sequence, thread_id",
            )?
            .query_row((membership.thread_num, signed(position)), |row| Ok((row.get(0)?, row.get(1)?)))?;
        let mark = mark(change.id, position);
        self.tx
            .prepare_cached(
                "INSERT INTO events (position, mark, thread_num, sequence, kind, at, by, message_position, subject)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute((
                signed(position),
                mark,
                membership.thread_num,
                sequence,
                kind,
                change.at.0,
                change.by.as_str(),
                message_position.map(signed),
                subject.map(UserId::as_str),
            ))?;
        self.head = position;
        self.events.push(Event {
            position: Position(position),
            mark,
            thread: ThreadId(thread),
            sequence: Sequence(u64::try_from(sequence).unwrap_or(0)),
            at: change.at,
            by: change.by.clone(),
            fact,
        });
        Ok(())
    }

    /// The thread now, as the one who changed it sees it.
    pub fn view(&self, change: &Change, membership: &Membership, thread: Thread) -> Result<ThreadView> {
        threads::view(self.tx, &change.by, membership, thread)
    }
}

/// The mark of an event: random bits of the change's id, folded with the position so that two events of one change differ.
fn mark(id: Uuid, position: u64) -> u32 {
    let (_, low) = id.as_u64_pair();
    let bytes = (low ^ position.wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_be_bytes();
    u32::from_be_bytes([bytes[4], bytes[5], bytes[6], bytes[7]])
}
