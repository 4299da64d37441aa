//! `/api/threads`: conversations, their members, and how far one has read.

use actix_web::{HttpRequest, HttpResponse, web};

use super::{Body, created, messages::idempotency_key, no_content, ok, packed, page, unexpected_outcome};
use crate::{
    auth::{AuthContext, Rates},
    domain::{RetryKey, Sequence, ThreadId, UserId},
    error::{Code, Error},
    hub::messages::Post,
    node::Node,
    store::{Act, Done, ThreadView},
    wire::{
        cursor::Purpose,
        rest::{self, MembersAnswer, MembersQuery, ReadBody, ThreadBody, ThreadPatch, ThreadsAnswer, ThreadsQuery},
        shape::{MarkerShape, ThreadShape, UserShape},
    },
};

fn shape(view: &ThreadView) -> ThreadShape<'_> {
    ThreadShape::for_member(&view.thread, view.unread, view.read, view.last_message.as_ref())
}

fn id(path: &str) -> Result<ThreadId, Error> {
    // Text that is no id names no thread.
    ThreadId::parse(path).map_err(|_| Error::no_thread())
}

async fn change(node: &Node, who: &AuthContext, key: Option<RetryKey>, act: Act) -> Result<Done, Error> {
    node.post(Post::act(who, node.clock.now(), key, act)).await
}

/// `GET /api/threads`: latest activity first.
///
/// # Errors
/// `invalid`, or an outage.
pub async fn list(request: HttpRequest, who: AuthContext, node: web::Data<Node>) -> Result<HttpResponse, Error> {
    let query: ThreadsQuery = rest::from_query(request.query_string())?;
    let limit = page(query.limit, node.limits.page, node.limits.page)?;
    let wrong = || Error::field("after", "must be a thread of yours");
    let after = query.after.as_deref().map(ThreadId::parse).transpose().map_err(|_| wrong())?;
    let (views, head) = node.reads.threads(who.user_id().clone(), after, limit).await?.ok_or_else(wrong)?;
    // Only the first page tells where to follow from: later ones are read at a later head.
    let cursor = after.is_none().then(|| node.cursors.seal(Purpose::Cursor, head.cursor()));
    // Somebody in one thread must not learn of another.
    Ok(packed::rows_apart(&request, &ThreadsAnswer { threads: views.iter().map(shape).collect(), cursor }))
}

/// `POST /api/threads`.
///
/// # Errors
/// `invalid`, `unknown_user` (and nothing is created), `key_reused`, `rate_limited`, or an outage.
pub async fn create(
    request: HttpRequest,
    who: AuthContext,
    body: Body<ThreadBody>,
    node: web::Data<Node>,
) -> Result<HttpResponse, Error> {
    let title = rest::title(body.0.title, &node.limits)?;
    let members = rest::members(&body.0.members)?;
    let key = idempotency_key(&request)?;
    let rates = Rates::of(&request)?;
    rates.thread(who.user_id(), members.len())?;
    let done = change(&node, &who, key, Act::CreateThread { title, members }).await;
    if !matches!(done, Ok(Done::Thread { duplicate: false, .. })) {
        rates.no_thread(who.user_id());
    }
    match done? {
        Done::Thread { view, duplicate: false } => Ok(created(&shape(&view))),
        Done::Thread { view, duplicate: true } => Ok(ok(&shape(&view))),
        _ => Err(unexpected_outcome()),
    }
}

/// `GET /api/threads/{id}`.
///
/// # Errors
/// `not_found`, or an outage.
pub async fn get(who: AuthContext, path: web::Path<String>, node: web::Data<Node>) -> Result<HttpResponse, Error> {
    let view = node.reads.thread(who.user_id().clone(), id(&path)?).await?.ok_or_else(Error::no_thread)?;
    Ok(ok(&shape(&view)))
}

/// `PATCH /api/threads/{id}`: rename, hand over.
///
/// # Errors
/// `invalid`, `not_found`, `forbidden`, `rate_limited`, or an outage.
pub async fn update(
    who: AuthContext,
    path: web::Path<String>,
    body: Body<ThreadPatch>,
    node: web::Data<Node>,
) -> Result<HttpResponse, Error> {
    let ThreadPatch { title, owner } = body.0;
    if title.is_none() && owner.is_none() {
        return Err(Error::field("body", "must change the title or the owner"));
    }
    let title = title.map(|title| rest::title(title, &node.limits)).transpose()?;
    let owner = owner.as_deref().map(UserId::parse).transpose().map_err(|reason| Error::field("owner", reason))?;
    match change(&node, &who, None, Act::UpdateThread { thread: id(&path)?, title, owner }).await? {
        Done::Thread { view, .. } => Ok(ok(&shape(&view))),
        _ => Err(unexpected_outcome()),
    }
}

/// `DELETE /api/threads/{id}`.
///
/// # Errors
/// `not_found`, `forbidden`, `rate_limited`, or an outage.
pub async fn delete(who: AuthContext, path: web::Path<String>, node: web::Data<Node>) -> Result<HttpResponse, Error> {
    change(&node, &who, None, Act::DeleteThread { thread: id(&path)? }).await?;
    Ok(no_content())
}

/// `GET /api/threads/{id}/members`.
///
/// # Errors
/// `invalid`, `not_found`, or an outage.
pub async fn members(
    request: HttpRequest,
    who: AuthContext,
    path: web::Path<String>,
    node: web::Data<Node>,
) -> Result<HttpResponse, Error> {
    let query: MembersQuery = rest::from_query(request.query_string())?;
    let limit = page(query.limit, node.limits.page, node.limits.page)?;
    let after = query.after.as_deref().map(UserId::parse).transpose().map_err(|reason| Error::field("after", reason))?;
    let found = node.reads.members(who.user_id().clone(), id(&path)?, after, limit).await?;
    let members = found.ok_or_else(Error::no_thread)?;
    Ok(packed::list(&request, &MembersAnswer { members: members.iter().map(UserShape::from).collect() }))
}

/// A member named in a path: text that is no id names nobody.
fn member(text: &str) -> Result<UserId, Error> {
    UserId::parse(text).map_err(|_| Error::new(Code::UnknownMember, "There is no such user. Nothing was changed."))
}

/// `PUT /api/threads/{id}/members/{user_id}`.
///
/// # Errors
/// `not_found`, `forbidden`, `unknown_user`, `rate_limited`, or an outage.
pub async fn add(
    request: HttpRequest,
    who: AuthContext,
    path: web::Path<(String, String)>,
    node: web::Data<Node>,
) -> Result<HttpResponse, Error> {
    Rates::of(&request)?.members(who.user_id(), 1)?;
    change(&node, &who, None, Act::AddMember { thread: id(&path.0)?, user: member(&path.1)? }).await?;
    Ok(no_content())
}

/// `DELETE /api/threads/{id}/members/{user_id}`: remove somebody, or leave.
///
/// # Errors
/// `not_found`, `forbidden`, `unknown_user`, `rate_limited`, or an outage.
pub async fn remove(
    who: AuthContext,
    path: web::Path<(String, String)>,
    node: web::Data<Node>,
) -> Result<HttpResponse, Error> {
    change(&node, &who, None, Act::RemoveMember { thread: id(&path.0)?, user: member(&path.1)? }).await?;
    Ok(no_content())
}

/// `PUT /api/threads/{id}/read`: moves the read marker forward.
///
/// # Errors
/// `invalid`, `not_found`, or an outage.
pub async fn read(
    who: AuthContext,
    path: web::Path<String>,
    body: Body<ReadBody>,
    node: web::Data<Node>,
) -> Result<HttpResponse, Error> {
    let thread = id(&path)?;
    match node.post(Post::read(&who, node.clock.now(), thread, Sequence(body.0.sequence))).await? {
        Done::Read(marker) => Ok(ok(&MarkerShape::from(&marker))),
        _ => Err(unexpected_outcome()),
    }
}
