//! Pure values: ids, draft, event, cursor, permission, limits, and the trait for logins.
//! No actix, serde, clock or I/O here: everything that decides is a function of its arguments.

pub mod backoff;
pub mod chance;
pub mod cursor;
pub mod draft;
pub mod event;
pub mod ids;
pub mod limits;
pub mod logins;
pub mod name;
pub mod permission;
pub mod synchronous;
pub mod time;

pub use backoff::Backoff;
pub use chance::Chance;
pub use cursor::{Cursor, Reset, Resume};
pub use draft::{Content, Draft, Metadata, RetryKey};
pub use event::{Event, Fact, Marker, Message, Person, Thread};
pub use ids::{ConnectionId, FamilyId, MessageId, Position, RequestId, Sequence, SessionId, ThreadId, UserId};
pub use limits::{Limits, RETRY_KEYS_KEPT};
pub use logins::{Account, Credential, LoginAct, LoginDone, Logins, SessionRecord, StoreError};
pub use name::{folded_name, shown_name};
pub use permission::Permission;
pub use synchronous::Synchronous;
pub use time::{Clock, LEEWAY, Reading, Time, Uptime};

use std::{future::Future, pin::Pin};

/// A boxed future that may cross threads: what the asynchronous traits of the core return.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Why a value is refused: a sentence for the one who sent it.
pub type Reason = std::borrow::Cow<'static, str>;
