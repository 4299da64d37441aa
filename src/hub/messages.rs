//! What the hub can be told and asked.

use actix::prelude::*;
use tokio::sync::oneshot;
use uuid::Uuid;

pub use super::permits::Permit;
use super::{outlet::Outlet, presence::Here};
use crate::{
    auth::AuthContext,
    backplane::Batch,
    domain::{Content, Draft, MessageId, RetryKey, Sequence, ThreadId, Time, UserId},
    error::Error,
    store::{Act, Change, Done, Head},
};

/// A worker thread has made its outlet.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Meet {
    /// Its address.
    pub outlet: Addr<Outlet>,
}

/// A seat was taken on an outlet: keep this user's membership changes until [`Listen`]. It carries its own reply: a message whose
/// sender waits by `send` and goes away is never handled, and the [`Leave`] that follows would count for another seat.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Enter {
    /// Whose seat.
    pub user: UserId,
    /// Where.
    pub outlet: Addr<Outlet>,
    /// Told when it is kept, or that nobody is seated any more.
    pub entered: oneshot::Sender<Result<(), Error>>,
}

/// The memberships of a user that has entered. The outlet is told what the user hears.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Listen {
    /// Whose.
    pub user: UserId,
    /// The place in the log at which they were read.
    pub at: Head,
    /// The threads.
    pub threads: Vec<ThreadId>,
}

/// A seat was given up.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Leave {
    /// Whose.
    pub user: UserId,
    /// Where.
    pub outlet: Addr<Outlet>,
    /// Whether its [`Listen`] never came.
    pub joining: bool,
}

/// A wish to change threads, by the user of an auth context. There is no other way to make one.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Post {
    pub(super) change: Change,
    pub(super) reply: oneshot::Sender<Result<Done, Error>>,
}

/// What a post's reply arrives on.
pub type Answer = oneshot::Receiver<Result<Done, Error>>;

impl Post {
    /// A message for a thread.
    pub fn by(who: &AuthContext, at: Time, thread: ThreadId, draft: Draft, key: Option<RetryKey>) -> (Post, Answer) {
        Self::act(who, at, key, Act::Send { thread, draft })
    }

    /// Other content for a message.
    pub fn edit(who: &AuthContext, at: Time, message: MessageId, content: Content) -> (Post, Answer) {
        Self::act(who, at, None, Act::EditMessage { message, content })
    }

    /// The deletion of a message.
    pub fn deletion(who: &AuthContext, at: Time, message: MessageId) -> (Post, Answer) {
        Self::act(who, at, None, Act::DeleteMessage { message })
    }

    /// A read marker.
    pub fn read(who: &AuthContext, at: Time, thread: ThreadId, sequence: Sequence) -> (Post, Answer) {
        Self::act(who, at, None, Act::Read { thread, sequence })
    }

    /// Any other change to a thread.
    pub fn act(who: &AuthContext, at: Time, key: Option<RetryKey>, act: Act) -> (Post, Answer) {
        let (reply, answer) = oneshot::channel();
        let change = Change { id: Uuid::now_v7(), by: who.user_id().clone(), at, key, act };
        (Post { change, reply }, answer)
    }
}

/// Which members of a thread are here? Asked for a member.
#[derive(Message)]
#[rtype(result = "Here")]
pub struct WhoIsHere {
    /// Of which thread.
    pub thread: ThreadId,
}

/// A batch came over the backplane.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Arrived(pub Batch);

/// Something has just ended by a write of this node: read the endings now, and answer when they are told. So many
/// connections were asked to close.
#[derive(Message)]
#[rtype(result = "Result<u64, Error>")]
pub struct Look;

/// Admit nobody, send everybody away; the reply comes when the last permit is back.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Drain {
    /// Told when no connection is left.
    pub empty: oneshot::Sender<()>,
}

/// Is the hub there, and does it admit? If not, the part that keeps it from that.
#[derive(Message)]
#[rtype(result = "Option<&'static str>")]
pub struct Ready;

/// The node has ended: stop.
#[derive(Message)]
#[rtype(result = "()")]
pub struct End;
