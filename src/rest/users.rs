//! `/api/users` and `/api/presence`: find people to talk to, and see who is here.

use actix_web::{HttpRequest, HttpResponse, web};
use unicode_normalization::UnicodeNormalization;

use super::ok;
use crate::{
    auth::{AuthContext, Rates},
    domain::{StoreError, ThreadId, folded_name},
    error::Error,
    hub::messages::GetPresentMembers,
    node::Node,
    wire::{
        rest::{self, PresenceAnswer, PresenceQuery, UsersAnswer, UsersQuery},
        shape::{OnlineShape, UserShape},
    },
};

const RESULTS: u64 = 20;
const PREFIX_CHARS_MIN: usize = 2;
const PREFIX_CHARS_MAX: usize = 128;

/// `GET /api/users?q=`: by the beginning of an id or a name.
///
/// # Errors
/// `invalid`, `rate_limited`, or an outage.
pub async fn find(request: HttpRequest, who: AuthContext, node: web::Data<Node>) -> Result<HttpResponse, Error> {
    Rates::of(&request)?.search(who.user_id())?;
    let query: UsersQuery = rest::from_query(request.query_string())?;
    let prefix = query.q.trim();
    // Counted in the searched form, composed: a letter with a mark is one character, however it was typed.
    if !(PREFIX_CHARS_MIN..=PREFIX_CHARS_MAX).contains(&folded_name(prefix).nfc().count()) {
        return Err(Error::field("q", "must have 2 to 128 characters"));
    }
    let people = node.reads.people(prefix.to_owned(), RESULTS).await?;
    Ok(ok(&UsersAnswer { users: people.iter().map(UserShape::from).collect() }))
}

/// `GET /api/presence?thread_id=`: which members of a thread are here, as far as a socket is told, and how many.
///
/// # Errors
/// `invalid`, `not_found`, or an outage.
pub async fn presence(request: HttpRequest, who: AuthContext, node: web::Data<Node>) -> Result<HttpResponse, Error> {
    let query: PresenceQuery = rest::from_query(request.query_string())?;
    let thread = ThreadId::parse(&query.thread_id).map_err(|reason| Error::field("thread_id", reason))?;
    node.reads.members(who.user_id().clone(), thread, None, 1).await?.ok_or_else(Error::no_thread)?;
    let here = node.hub.send(GetPresentMembers { thread }).await.map_err(|_| StoreError::Busy)?;
    let users = here.users.iter().map(|user| OnlineShape { user_id: user.as_str(), online: true }).collect();
    Ok(ok(&PresenceAnswer { users, online: here.count, live: here.told }))
}
