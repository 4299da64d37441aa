//! What the hub is asked by connections, REST handlers and the node.

use actix::prelude::*;
use tokio::sync::oneshot;
use uuid::Uuid;

use super::presence::PresentMembers;
use crate::{
    auth::AuthContext,
    backplane::Batch,
    domain::{Content, Draft, MessageId, RetryKey, Sequence, ThreadId, Time},
    error::Error,
    store::{Act, Change, Done},
};

/// A change of the log, requested by the user of an auth context. Only an auth context can make one.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Post {
    pub(super) change: Change,
    pub(super) reply: oneshot::Sender<Result<Done, Error>>,
}

/// Receives the outcome of a [`Post`].
pub type PostReply = oneshot::Receiver<Result<Done, Error>>;

impl Post {
    /// Posts a message to a thread.
    pub fn send(who: &AuthContext, at: Time, thread: ThreadId, draft: Draft, key: Option<RetryKey>) -> (Post, PostReply) {
        Self::act(who, at, key, Act::Send { thread, draft })
    }

    /// Replaces the content of a message.
    pub fn edit(who: &AuthContext, at: Time, message: MessageId, content: Content) -> (Post, PostReply) {
        Self::act(who, at, None, Act::EditMessage { message, content })
    }

    /// Deletes a message.
    pub fn delete(who: &AuthContext, at: Time, message: MessageId) -> (Post, PostReply) {
        Self::act(who, at, None, Act::DeleteMessage { message })
    }

    /// Moves a read marker.
    pub fn read(who: &AuthContext, at: Time, thread: ThreadId, sequence: Sequence) -> (Post, PostReply) {
        Self::act(who, at, None, Act::Read { thread, sequence })
    }

    /// Any other change of a thread.
    pub fn act(who: &AuthContext, at: Time, key: Option<RetryKey>, act: Act) -> (Post, PostReply) {
        let (reply, answer) = oneshot::channel();
        let change = Change { id: Uuid::now_v7(), by: who.user_id().clone(), at, key, act };
        (Post { change, reply }, answer)
    }
}

/// Asks which members of a thread are present. The caller has checked that the asking user is a member.
#[derive(Message)]
#[rtype(result = "PresentMembers")]
pub struct GetPresentMembers {
    /// The thread.
    pub thread: ThreadId,
}

/// A batch that arrived over the backplane.
#[derive(Message)]
#[rtype(result = "()")]
pub struct BatchReceived(pub Batch);

/// Reads the revocations now, because this node has just written one. The result is the number of connections that were asked to
/// close.
#[derive(Message)]
#[rtype(result = "Result<u64, Error>")]
pub struct PollRevocations;

/// Admits no connection from now on and closes all. Completes `empty` when the last permit is released.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Drain {
    /// Completed when no connection is left.
    pub empty: oneshot::Sender<()>,
}

/// Asks whether the hub admits connections. The result is the part that prevents it, or `None`.
#[derive(Message)]
#[rtype(result = "Option<&'static str>")]
pub struct CheckReadiness;

/// Stops the hub and its outlets: the node has shut down.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Shutdown;
