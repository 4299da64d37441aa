//! What authentication needs to know of accounts and sessions, whoever stores them.

use std::time::Duration;

use super::{Answer, Permission, SessionId, Time, UserId};

/// Why the store could not answer. But for [`Outage::Unknown`], nothing was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Outage {
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

/// SHA-256 of an opaque secret: what is stored in its place.
pub type SecretHash = [u8; 32];

/// Accounts and sessions. Every answer is the truth of the store now, never a cache.
pub trait Logins: Send + Sync {
    /// The session under this key, unless it is over its time or its user is disabled.
    fn session(&self, key: SecretHash, now: Time) -> Answer<'_, Result<Option<SessionRecord>, Outage>>;
    /// Writes a session, new or changed.
    fn save_session(&self, key: SecretHash, record: SessionRecord) -> Answer<'_, Result<(), Outage>>;
    /// Notes that a session was used.
    fn touch_session(&self, key: SecretHash, now: Time) -> Answer<'_, Result<(), Outage>>;
    /// Ends a session.
    fn end_session(&self, key: SecretHash) -> Answer<'_, Result<(), Outage>>;
    /// The account of this name.
    fn account(&self, user: UserId) -> Answer<'_, Result<Option<Account>, Outage>>;
    /// Creates the account of a verified token's user, if there is none.
    fn create_account(&self, account: Account, now: Time) -> Answer<'_, Result<(), Outage>>;
    /// Uses up a one-time sign-in code; the user it was for, if it was good.
    fn consume_link(&self, code: SecretHash, now: Time) -> Answer<'_, Result<Option<UserId>, Outage>>;
}
