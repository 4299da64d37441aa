//! What authentication needs to know of accounts and sessions, whoever stores them.

use std::{fmt, time::Duration};

use uuid::Uuid;

use super::{BoxFuture, FamilyId, LEEWAY, Permission, SessionId, Time, UserId};

/// Failure of the store. Except for [`StoreError::Unknown`], nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A queue in front of it is full.
    #[error("the queue in front of the store is full")]
    Busy,
    /// It failed, or the file is locked by another process.
    #[error("the store failed")]
    Unavailable,
    /// It failed in the middle of a commit, and could not be asked afterwards.
    #[error("the store failed, and it is not known what it kept")]
    Unknown,
    /// No space is left.
    #[error("the store has no space left")]
    Full,
}

/// A user's account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Who.
    pub user_id: UserId,
    /// The name people read.
    pub name: String,
    /// E-mail, never shown to others.
    pub email: Option<String>,
    /// Customer tier, `free` by default.
    pub tier: String,
    /// What the account may do beyond a member's rights.
    pub permissions: Vec<Permission>,
    /// Refused everywhere.
    pub disabled: bool,
    /// Argon2id hash in PHC form; `None`: no password opens this account.
    pub password_hash: Option<String>,
    /// Raised whenever its logins end as a whole: what was proven before opens no new one.
    pub login_epoch: u64,
}

impl Account {
    /// A new one, which no password opens.
    pub fn new(user_id: UserId, name: impl Into<String>) -> Account {
        Account {
            user_id,
            name: name.into(),
            email: None,
            tier: "free".to_owned(),
            permissions: Vec::new(),
            disabled: false,
            password_hash: None,
            login_epoch: 0,
        }
    }
}

/// A login as it is stored. The key that opens it is stored only as its SHA-256.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRecord {
    /// The session layer's state: names and JSON values.
    pub state: Vec<(String, String)>,
    /// Who signed in, once somebody has.
    pub user_id: Option<UserId>,
    /// The login's public id, once somebody has signed in.
    pub session_id: Option<SessionId>,
    /// The account's login epoch when the proof was looked at; another one by now makes a new session too late.
    pub login_epoch: Option<u64>,
    /// Whether it goes on under another key: the login must be there still, and its row under the key before gives way.
    pub moved: bool,
    /// When it was last used; written at most every five minutes.
    pub seen_at: Time,
    /// When it ends at the latest.
    pub expires_at: Time,
}

/// How long a session lives without a request.
pub const SESSION_IDLE: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a session lives at most.
pub const SESSION_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How often use of a session is written down at most.
pub const SESSION_TOUCH: Duration = Duration::from_secs(5 * 60);

/// Logins of one user; over it the one that was used least recently ends.
pub const SESSIONS_MAX: u32 = 100;
/// Families of refresh tokens of one login; over it the oldest ends.
pub const FAMILIES_MAX: u32 = 10;
/// Used refresh tokens that a family remembers; an older one is unknown.
pub const ROTATIONS_KEPT: u32 = 1_000;
/// How long a ticket lives.
pub const TICKET: Duration = Duration::from_secs(30);
/// Time for which revocations are kept. No connection of a node that is suspended for longer is still open.
pub const REVOCATIONS_KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// SHA-256 of an opaque secret: what is stored in its place.
pub type SecretHash = [u8; 32];

/// What an authenticated request or connection depends on. Checked against the store at every request, every subscription of a
/// connection, and every revocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// The user.
    pub user: UserId,
    /// `iat` of a token. `None` for a session.
    pub issued_at: Option<Time>,
    /// The login it ends with.
    pub session: Option<SessionId>,
    /// The family of tokens it ends with.
    pub family: Option<FamilyId>,
}

impl Credential {
    /// One that ends with its user alone.
    pub fn of(user: UserId) -> Credential {
        Credential { user, issued_at: None, session: None, family: None }
    }
}

/// State of a credential in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialStatus {
    /// Its user's account.
    pub account: Account,
    /// When everything of the user was last revoked, by the clock of the server or command that did it.
    pub not_before: Time,
    /// When its login was last used; `None` if it has one and that has ended.
    pub seen_at: Option<Time>,
    /// Whether its family of tokens is there, if it has one.
    pub family: bool,
    /// Number of the last revocation when this was read. Revocations up to it are taken into account.
    pub revocations: u64,
}

/// Reason why a verified credential is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialError {
    /// The account is disabled.
    Disabled,
    /// Its login, its family or everything of its user was ended.
    SignedOut,
}

impl CredentialStatus {
    /// Whether the credential still holds.
    ///
    /// A login ends by its row, whatever any clock shows. A token without a login ends by its `iat`: it may have been let in
    /// while dated up to [`LEEWAY`] ahead of the server's clock, so a revocation reaches tokens that are dated so far ahead.
    ///
    /// # Errors
    /// Why it does not.
    pub fn judge(&self, credential: &Credential) -> Result<(), CredentialError> {
        if self.account.disabled {
            return Err(CredentialError::Disabled);
        }
        let ended = match credential.session {
            Some(_) => self.seen_at.is_none(),
            None => credential.issued_at.is_some_and(|issued| issued <= self.not_before.plus(LEEWAY)),
        };
        if ended || !self.family { Err(CredentialError::SignedOut) } else { Ok(()) }
    }
}

/// A single-use ticket: the asking context, to be opened again by whoever shows the ticket within its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// What must still hold.
    pub credential: Credential,
    /// Rights of the asking context.
    pub permissions: Vec<Permission>,
    /// Tier of the asking context.
    pub tier: String,
    /// When the asking context ends.
    pub context_expires_at: Time,
    /// When the ticket itself ends.
    pub expires_at: Time,
}

/// A login as its user sees it in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// Its public id.
    pub session_id: SessionId,
    /// The session layer's state.
    pub state: Vec<(String, String)>,
    /// When it was last used.
    pub seen_at: Time,
    /// When it ends at the latest.
    pub expires_at: Time,
}

/// Who a provider of sign-ins says somebody is.
#[derive(Clone, PartialEq, Eq)]
pub struct Subject {
    /// The provider.
    pub issuer: String,
    /// Its name of the person, which never changes and never goes to another.
    pub subject: String,
    /// What a new account of it may be called, best first.
    pub user_ids: Vec<UserId>,
    /// The name people read, where the provider tells one.
    pub name: Option<String>,
    /// E-mail, where the provider tells it. It links nothing: another may have had the address before.
    pub email: Option<String>,
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject").field("issuer", &self.issuer).field("subject", &self.subject).finish_non_exhaustive()
    }
}

/// A change to accounts and logins. Everything that ends a login also notes the end, for every node to read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is named for what it is")]
pub enum LoginAct {
    /// A session, new or changed; the least used one of a user over the limit ends.
    SaveSession { key: SecretHash, record: SessionRecord },
    /// A session was used.
    TouchSession { key: SecretHash, at: Time },
    /// A login was used, by one of its tokens or sockets.
    TouchLogin { session: SessionId, at: Time },
    /// A session ends.
    EndSession { key: SecretHash, at: Time },
    /// A login of this user ends.
    EndLogin { user: UserId, session: SessionId, at: Time },
    /// A new account; refused if the name is taken, unless `keep` says to leave it as it is.
    CreateAccount { account: Account, at: Time, keep: bool },
    /// Finds the account of a provider's subject, or makes it, and stores the name and e-mail that the provider tells now. Too late,
    /// and nothing is stored, if the user was revoked or disabled after revocation number `after`: the sign-in had begun by then.
    /// Nothing is stored for a disabled account either.
    LinkSubject { subject: Subject, after: u64, at: Time },
    /// Another password; ends the user's logins but for the one to keep, without which nothing is done. That one loses its
    /// key, its tokens and its tickets, and is saved again under another key.
    SetPassword { user: UserId, hash: String, keep: Option<SessionId>, at: Time },
    /// More permissions, or fewer.
    ChangePermissions { user: UserId, give: Vec<Permission>, take: Vec<Permission> },
    /// Signs the user out everywhere: logins, families, tickets, and every token that was let in until now.
    Revoke { user: UserId, at: Time },
    /// Refuses the account from now on and signs it out everywhere, or takes it again.
    SetDisabled { user: UserId, disabled: bool, at: Time },
    /// A one-time sign-in code, instead of any other of that user.
    PutLink { code: SecretHash, user: UserId, expires_at: Time },
    /// Uses up a one-time sign-in code.
    TakeLink { code: SecretHash, at: Time },
    /// A family of refresh tokens of a login, with its first; the oldest one of a login over the limit ends.
    NewFamily { family: FamilyId, user: UserId, session: SessionId, token: SecretHash, expires_at: Time, at: Time },
    /// Uses up a refresh token for the next; one that was used before ends its family.
    Refresh { token: SecretHash, next: SecretHash, at: Time },
    /// A new ticket.
    PutTicket { hash: SecretHash, ticket: Ticket },
    /// Uses up a ticket.
    TakeTicket { hash: SecretHash, at: Time },
    /// Clears away what is over its time at `at`, a part of it at a time; idle logins end. Tickets go by what the clock shows: one
    /// that has expired opens nothing any more. Notes `clock`, and `known`, the latest time that is believed to have been reached.
    Sweep { at: Time, known: Time, clock: Time },
}

/// What a change did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is named for what it is")]
pub enum LoginDone {
    /// It was done.
    Done,
    /// There is no such user; nothing was done.
    NoSuchUser,
    /// The name is taken; nothing was done.
    NameTaken,
    /// What it rests on has changed since it began; nothing was done.
    TooLate,
    /// The permissions as they are now.
    Permissions(Vec<Permission>),
    /// So many logins ended.
    Ended { sessions: u64 },
    /// The password is set; the login to keep goes on under a new key in this epoch.
    PasswordSet { login_epoch: u64 },
    /// Cleared away; whether there is more.
    Swept { more: bool },
    /// Whom a one-time code signed in, if it was good.
    Link(Option<UserId>),
    /// The subject's account as this change left it; `None`: every user id that it could have is another subject's. A session of
    /// this sign-in is saved with the login epoch read here, so that a revocation after this change refuses it.
    Linked(Option<Box<Account>>),
    /// What became of a refresh token.
    Refreshed(Refreshed),
    /// The ticket, if it was good.
    Ticket(Option<Ticket>),
}

/// What became of a refresh token.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is named for what it is")]
pub enum Refreshed {
    /// There is none, its time is over, or its login has ended.
    Unknown,
    /// It was used before: its family has ended, because one of the two users stole it.
    Reused,
    /// The next one is its family's now.
    Next { credential: Credential, status: Box<CredentialStatus>, expires_at: Time },
}

/// A revocation. Every node reads them in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// Its number; rises with each revocation.
    pub number: u64,
    /// The user.
    pub user: UserId,
    /// What was revoked.
    pub what: Revoked,
}

/// What a revocation ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revoked {
    /// One login or one family of tokens, by its id.
    One(Uuid),
    /// Everything of the user, who may sign in again.
    Everything,
    /// The account is disabled.
    Account,
}

/// Accounts and logins. Every answer is read from the store, never from a cache.
pub trait Logins: Send + Sync {
    /// The session under this key, unless it is over its time or its user is disabled.
    fn session(&self, key: SecretHash, now: Time) -> BoxFuture<'_, Result<Option<SessionRecord>, StoreError>>;
    /// What the store says about a credential; `None`: there is no such user.
    fn credential_status(
        &self,
        credential: Credential,
        now: Time,
    ) -> BoxFuture<'_, Result<Option<CredentialStatus>, StoreError>>;
    /// The account of this name.
    fn account(&self, user: UserId) -> BoxFuture<'_, Result<Option<Account>, StoreError>>;
    /// Whose account a subject of an outside issuer is, if it is linked to one.
    fn subject(&self, issuer: String, subject: String) -> BoxFuture<'_, Result<Option<UserId>, StoreError>>;
    /// Whether an account is linked to a subject of an outside issuer.
    fn is_linked(&self, user: UserId) -> BoxFuture<'_, Result<bool, StoreError>>;
    /// A user's logins, latest use first.
    fn logins(&self, user: UserId, now: Time) -> BoxFuture<'_, Result<Vec<Login>, StoreError>>;
    /// Whether there is a refresh token, used or not.
    fn refresh_token(&self, hash: SecretHash) -> BoxFuture<'_, Result<bool, StoreError>>;
    /// A ticket, left as it is.
    fn ticket(&self, hash: SecretHash, now: Time) -> BoxFuture<'_, Result<Option<Ticket>, StoreError>>;
    /// Changes something.
    fn act(&self, act: LoginAct) -> BoxFuture<'_, Result<LoginDone, StoreError>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_falls_with_its_account_its_login_its_family_and_its_users_revocation() {
        let user = UserId::parse("alice").expect("a user id");
        let account = |disabled| Account {
            user_id: user.clone(),
            name: String::new(),
            email: None,
            tier: String::new(),
            permissions: Vec::new(),
            disabled,
            password_hash: None,
            login_epoch: 0,
        };
        let status = CredentialStatus {
            account: account(false),
            not_before: Time(10_500),
            seen_at: Some(Time(0)),
            family: true,
            revocations: 0,
        };
        let session = Credential { user: user.clone(), issued_at: None, session: Some(SessionId::new()), family: None };
        let token = |issued: i64| Credential { issued_at: Some(Time(issued)), session: None, ..session.clone() };
        assert_eq!(status.judge(&session), Ok(()));
        assert_eq!(status.judge(&token(15_501)), Ok(()), "dated after what was let in before");
        assert_eq!(status.judge(&token(15_500)), Err(CredentialError::SignedOut), "dated by a clock that is ahead");
        assert_eq!(status.judge(&token(10_000)), Err(CredentialError::SignedOut), "dated by the second");
        let descends = Credential { issued_at: Some(Time(10_501)), ..session.clone() };
        assert_eq!(status.judge(&descends), Ok(()), "of a login that is there");
        let ended = CredentialStatus { seen_at: None, ..status.clone() };
        assert_eq!(ended.judge(&session), Err(CredentialError::SignedOut));
        assert_eq!(ended.judge(&descends), Err(CredentialError::SignedOut));
        assert_eq!(ended.judge(&token(16_000)), Ok(()), "a token without a login needs none");
        assert_eq!(CredentialStatus { family: false, ..status.clone() }.judge(&session), Err(CredentialError::SignedOut));
        assert_eq!(CredentialStatus { account: account(true), ..status }.judge(&session), Err(CredentialError::Disabled));
    }
}
