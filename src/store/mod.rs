//! The one authority on order: what may be written, what can be read, and the two traits an engine implements.
//!
//! Writes go through [`Log::commit`], called by the writer thread only. Reads go through [`Reads`], from
//! anywhere, and every one that answers for a user carries that user in its query: membership is never
//! checked after the fact.
//!
//! Decisions: `src/docs/decisions/store.md`.

pub mod sqlite;

use uuid::Uuid;

use crate::{
    domain::{
        Account, BoxFuture, Content, Credential, Draft, Event, LoginAct, LoginDone, Marker, Message, MessageId, Person,
        Position, RetryKey, Sequence, SessionRecord, StoreError, Thread, ThreadId, Time, UserId,
        cursor::Cursor,
        logins::{CredentialError, CredentialStatus, Login, Revocation, SecretHash, Ticket},
    },
    error::{Code, Error},
};

impl From<StoreError> for Error {
    fn from(outage: StoreError) -> Error {
        match outage {
            StoreError::Busy => Error::new(Code::Busy, "The server has too much to do. Try again.").after_ms(500),
            StoreError::Unavailable => Error::new(
                Code::StoreUnavailable,
                "Nothing was stored. Try again, with the same retry key if there was one.",
            )
            .after_ms(1000),
            StoreError::Unknown => {
                let detail = "It is not known whether this was stored. Try again, with the same retry key if there was one.";
                Error::new(Code::StoreUnavailable, detail).after_ms(1000)
            }
            StoreError::Full => {
                Error::new(Code::StorageFull, "The store has no space left. Nothing was stored.").after_ms(5000)
            }
        }
    }
}

impl From<CredentialError> for Error {
    fn from(fallen: CredentialError) -> Error {
        match fallen {
            CredentialError::Disabled => Error::new(Code::Disabled, "This account is disabled. Ask who runs the server."),
            CredentialError::SignedOut => Error::new(Code::SignedOut, "This sign-in has ended. Sign in again."),
        }
    }
}

/// A wish to change threads, by a user, at a time. `id` becomes the id of what it creates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Names the message or thread it creates; random bits of it mark the events.
    pub id: Uuid,
    /// Who wishes it.
    pub by: UserId,
    /// When.
    pub at: Time,
    /// The retry key, where the client gave one.
    pub key: Option<RetryKey>,
    /// What.
    pub act: Act,
}

/// What a change does.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is named for what it is")]
pub enum Act {
    /// Appends a message.
    Send { thread: ThreadId, draft: Draft },
    /// Replaces what a message says: its author may.
    EditMessage { message: MessageId, content: Content },
    /// Deletes a message: its author or the thread's owner may.
    DeleteMessage { message: MessageId },
    /// Creates a thread owned by `by`, with these other members.
    CreateThread { title: Option<String>, members: Vec<UserId> },
    /// Renames a thread or hands it over: its owner may.
    UpdateThread { thread: ThreadId, title: Option<Option<String>>, owner: Option<UserId> },
    /// Deletes a thread and everything in it: its owner may.
    DeleteThread { thread: ThreadId },
    /// Adds a member: the owner may.
    AddMember { thread: ThreadId, user: UserId },
    /// Removes a member: the owner may remove others, everybody may leave.
    RemoveMember { thread: ThreadId, user: UserId },
    /// Moves the read marker forward.
    Read { thread: ThreadId, sequence: Sequence },
}

impl Change {
    /// Bytes it occupies while it waits for the writer.
    pub fn bytes(&self) -> usize {
        size_of::<Self>()
            + match &self.act {
                Act::Send { draft, .. } => draft.bytes(),
                Act::EditMessage { content, .. } => content.as_str().len(),
                Act::CreateThread { members, .. } => members.iter().map(|m| m.as_str().len() + 16).sum(),
                _ => 0,
            }
    }
}

/// Everything the writer can be asked to write.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is named for what it is")]
pub enum Write {
    /// Threads and messages: appends events.
    Change(Change),
    /// Accounts and logins: outside the log.
    Login(Box<LoginAct>),
    /// Lets a part of the log before a time go, with what only it needed; `None`: nothing is too old. And goes on
    /// erasing what deleted threads said.
    Prune { before: Option<Time> },
    /// Shows that writing works: one row outside the log.
    Canary { at: Time },
}

/// A thread as one member sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThreadView {
    /// What all members see.
    pub thread: Thread,
    /// Messages by others, not deleted, above the read marker; counted up to [`UNREAD_MAX`].
    pub unread: u64,
    /// The read marker: the member has read the thread up to this sequence.
    pub read: Sequence,
    /// The newest message, deleted or not.
    pub last_message: Option<Message>,
}

/// Unread messages are counted up to here: the answer "1,000 or more" costs as much for a million.
pub const UNREAD_MAX: u64 = 1_000;

/// What a write did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is named for what it is")]
pub enum Done {
    /// The message as it is now, and whether the retry key had stored it before.
    Message { message: Message, duplicate: bool },
    /// The thread as its maker or changer sees it.
    Thread { view: ThreadView, duplicate: bool },
    /// The read marker now, and what is unread above it.
    Read(Marker),
    /// What a change to accounts and logins did.
    Login(LoginDone),
    /// So many events are gone; whether there is more to clear away.
    Pruned { events: u64, more: bool },
    /// There is nothing to tell.
    Nothing,
}

/// What one transaction did: an outcome for each write, in order, and the events it appended.
#[derive(Debug)]
pub struct Committed {
    /// Refusals are decided before anything of that write is inserted; they spoil nobody else.
    pub outcomes: Vec<Result<Done, Error>>,
    /// In position order, dense.
    pub events: Vec<Event>,
    /// In the order in which they were set.
    pub markers: Vec<MarkerMoved>,
}

/// A read marker that was set, moved by that or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkerMoved {
    /// The log's end at that moment: its place among the events.
    pub at: Position,
    /// Whose.
    pub user: UserId,
    /// As it is now.
    pub marker: Marker,
}

/// The writing half of an engine. Blocking: it lives in the writer's thread.
pub trait Log: Send {
    /// Writes the batch in one transaction. When this returns `Ok`, everything in it survives power loss.
    ///
    /// # Errors
    /// [`StoreError`]; but for [`StoreError::Unknown`], nothing of the batch is stored then.
    fn commit(&mut self, batch: &[Write]) -> Result<Committed, StoreError>;
    /// Nothing more is written: what has to be noted so that the next start knows that this was a good end.
    fn end(&mut self) {}
}

/// The log's end, and what a cursor there needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Which log.
    pub epoch: Uuid,
    /// Its last position.
    pub position: Position,
    /// The mark of the row there.
    pub mark: u32,
}

impl Head {
    /// The cursor at the head.
    pub fn cursor(self) -> Cursor {
        Cursor { epoch: self.epoch, position: self.position, mark: self.mark }
    }
}

/// What a user missed: how many events wait above a position, counted up to a limit plus one, and where the log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missed {
    /// The log's end when it was counted.
    pub head: Head,
    /// The mark of the row at the position asked for, if it is kept; at position 0, which has no row, 0 if nothing
    /// has been pruned.
    pub mark_there: Option<u32>,
    /// How many events.
    pub events: u64,
    /// How many read markers have moved at that position or after it, counted in the same way.
    pub markers: u64,
}

/// How much a page of events may hold. One event always fits, however large.
#[derive(Debug, Clone, Copy)]
pub struct PageLimit {
    /// Events.
    pub events: u64,
    /// Bytes of those events as JSON.
    pub bytes: u64,
}

impl PageLimit {
    /// So many events, however large.
    pub fn of(events: u64) -> PageLimit {
        PageLimit { events, bytes: u64::MAX }
    }
}

/// A page of the events a user may see, and the position up to which it is complete.
#[derive(Debug, Clone)]
pub struct Page {
    /// In position order.
    pub events: Vec<Event>,
    /// Everything of this user at or below this place is in this page or before it.
    pub complete_to: Head,
    /// What came right after the position asked for is no longer kept: the page may lack something.
    pub pruned: bool,
    /// Where the page is complete to the log's end: the read markers that have moved since the position asked for,
    /// with what is unread there.
    pub read: Option<Vec<Marker>>,
}

/// What a user may hear, and on what ground, read at one moment.
#[derive(Debug, Clone)]
pub struct Memberships {
    /// The log's end.
    pub at: Head,
    /// The threads.
    pub threads: Vec<ThreadId>,
    /// What there is to say about the credential; `None`: there is no such user.
    pub status: Option<CredentialStatus>,
}

/// Which messages of a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// The newest.
    Newest,
    /// Those just before a sequence.
    Before(Sequence),
    /// Those just after a sequence.
    After(Sequence),
}

/// A page of messages in rising order.
#[derive(Debug, Clone)]
pub struct Messages {
    /// Rising sequence (one thread) or rising position (all threads).
    pub messages: Vec<Message>,
    /// Whether there are more in the direction of reading.
    pub has_more: bool,
    /// The page keys of the first and last row: their positions.
    pub ends: Option<(Position, Position)>,
    /// The log's end at the time of reading.
    pub head: Head,
}

/// Reads about accounts and logins.
pub trait LoginReads: Send + Sync {
    /// The account of this name.
    fn account(&self, user: UserId) -> BoxFuture<'_, Result<Option<Account>, StoreError>>;
    /// What there is to say about a credential now; `None`: there is no such user.
    fn credential_status(
        &self,
        credential: Credential,
        now: Time,
    ) -> BoxFuture<'_, Result<Option<CredentialStatus>, StoreError>>;
    /// A user's logins, latest use first.
    fn logins(&self, user: UserId, now: Time) -> BoxFuture<'_, Result<Vec<Login>, StoreError>>;
    /// Whose account a subject of an outside issuer is, if it is linked to one.
    fn subject(&self, issuer: String, subject: String) -> BoxFuture<'_, Result<Option<UserId>, StoreError>>;
    /// Whether an account is linked to a subject of an outside issuer.
    fn is_linked(&self, user: UserId) -> BoxFuture<'_, Result<bool, StoreError>>;
    /// Whether there is a refresh token, used or not.
    fn refresh_token(&self, hash: SecretHash) -> BoxFuture<'_, Result<bool, StoreError>>;
    /// A ticket, left as it is.
    fn ticket(&self, hash: SecretHash, now: Time) -> BoxFuture<'_, Result<Option<Ticket>, StoreError>>;
    /// The next revocations after a number, at most so many.
    fn revocations(&self, after: u64, limit: u64) -> BoxFuture<'_, Result<Vec<Revocation>, StoreError>>;
    /// The number of the last revocation; zero if there was none.
    fn last_ending(&self) -> BoxFuture<'_, Result<u64, StoreError>>;
    /// The latest time that a server believed to have been reached, as its last sweep noted it; `None` before the first one.
    fn swept_at(&self) -> BoxFuture<'_, Result<Option<Time>, StoreError>>;
    /// A page of accounts by name.
    fn accounts(&self, after: Option<UserId>, limit: u64) -> BoxFuture<'_, Result<Vec<Account>, StoreError>>;
    /// The session under a key, unless it is over its time or its user is disabled.
    fn session(&self, key: SecretHash, now: Time) -> BoxFuture<'_, Result<Option<SessionRecord>, StoreError>>;
}

/// The reading half of an engine: short read transactions on a bounded pool.
pub trait Reads: LoginReads {
    /// Sets what is done when a read panics on a thread of the engine's, which then is one fewer for good. Called once.
    fn on_panic(&self, alarm: Box<dyn Fn() + Send + Sync>);
    /// The log's end.
    fn head(&self) -> BoxFuture<'_, Result<Head, StoreError>>;
    /// Every event from `from` (not included) to `to` (included), whoever may see it: for the hub, to fill a hole.
    fn events(&self, from: Position, to: Position) -> BoxFuture<'_, Result<Vec<Event>, StoreError>>;
    /// Which threads a credential's user is a member of at the log's end, and whether the credential still holds.
    fn memberships(&self, credential: Credential, now: Time) -> BoxFuture<'_, Result<Memberships, StoreError>>;
    /// How much a user missed after a position; counts no further than `limit` + 1.
    fn missed(&self, user: UserId, after: Position, limit: u64) -> BoxFuture<'_, Result<Missed, StoreError>>;
    /// The next events a user may see after a position, within `most`; at the log's end the read markers that have moved at the position
    /// `moved` or after it, too.
    fn page(
        &self,
        user: UserId,
        after: Position,
        moved: Position,
        most: PageLimit,
    ) -> BoxFuture<'_, Result<Page, StoreError>>;
    /// The read markers that moved between two places in the log, both included, with what was unread at the second.
    fn markers(&self, user: UserId, from: Position, to: Position) -> BoxFuture<'_, Result<Vec<Marker>, StoreError>>;
    /// A page of a user's threads, latest activity first; after the given one, if any. `None`: no such thread.
    #[allow(clippy::type_complexity, reason = "a page and the head it was read at")]
    fn threads(
        &self,
        user: UserId,
        after: Option<ThreadId>,
        limit: u64,
    ) -> BoxFuture<'_, Result<Option<(Vec<ThreadView>, Head)>, StoreError>>;
    /// One thread, for a member.
    fn thread(&self, user: UserId, thread: ThreadId) -> BoxFuture<'_, Result<Option<ThreadView>, StoreError>>;
    /// A page of the members of a thread by id, for a member.
    fn members(
        &self,
        user: UserId,
        thread: ThreadId,
        after: Option<UserId>,
        limit: u64,
    ) -> BoxFuture<'_, Result<Option<Vec<Person>>, StoreError>>;
    /// Messages of one thread, for a member.
    fn messages(
        &self,
        user: UserId,
        thread: ThreadId,
        window: Window,
        limit: u64,
    ) -> BoxFuture<'_, Result<Option<Messages>, StoreError>>;
    /// Messages of all of a user's threads; the window counts positions instead of sequences.
    fn all_messages(&self, user: UserId, window: Window, limit: u64) -> BoxFuture<'_, Result<Messages, StoreError>>;
    /// One message, for a member of its thread.
    fn message(&self, user: UserId, message: MessageId) -> BoxFuture<'_, Result<Option<Message>, StoreError>>;
    /// Users whose id or name begins with a text.
    fn people(&self, prefix: String, limit: u64) -> BoxFuture<'_, Result<Vec<Person>, StoreError>>;
}

/// What an engine tells once when it is opened.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Which log this is.
    pub epoch: Uuid,
    /// The key under which its cursors are sealed.
    pub cursor_key: [u8; 32],
}
