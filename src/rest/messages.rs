//! `/api/messages`: history, and the posts of clients without a socket.

use actix_web::{HttpRequest, HttpResponse, web};

use super::{Body, created, ok, packed, page, unexpected_outcome};
use crate::{
    auth::AuthContext,
    domain::{MessageId, Position, RetryKey, Sequence, ThreadId},
    error::Error,
    hub::messages::Post,
    node::Node,
    store::{Done, Head, Window},
    wire::{
        cursor::Purpose,
        rest::{self, EditBody, MessagesAnswer, MessagesQuery, SendBody, SentAnswer, StrictSendBody},
        shape::MessageShape,
    },
};

const PAGE: u64 = 50;

/// `POST /api/messages`.
///
/// # Errors
/// `invalid`, `not_found`, `key_reused`, `rate_limited`, or an outage.
pub async fn send(
    request: HttpRequest,
    who: AuthContext,
    body: Body<StrictSendBody>,
    node: web::Data<Node>,
) -> Result<HttpResponse, Error> {
    let (thread, draft, key) = SendBody::from(body.0).accept(&node.limits)?;
    let key = one_key(key, idempotency_key(&request)?)?;
    match node.post(Post::send(&who, node.clock.now(), thread, draft, key)).await? {
        Done::Message { message, duplicate } => {
            let answer = SentAnswer { message: (&message).into(), duplicate };
            Ok(if duplicate { ok(&answer) } else { created(&answer) })
        }
        _ => Err(unexpected_outcome()),
    }
}

/// The `Idempotency-Key` header, if there is one.
pub(super) fn idempotency_key(request: &HttpRequest) -> Result<Option<RetryKey>, Error> {
    let mut values = request.headers().get_all("idempotency-key");
    let refused = |reason| Error::field("Idempotency-Key", reason);
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => RetryKey::new(value.to_str().unwrap_or_default()).map(Some).map_err(refused),
        _ => Err(refused("must stand once".into())),
    }
}

fn one_key(in_body: Option<RetryKey>, in_header: Option<RetryKey>) -> Result<Option<RetryKey>, Error> {
    match (in_body, in_header) {
        (Some(body), Some(header)) if body != header => {
            Err(Error::field("client_message_id", "must equal the Idempotency-Key header where both are given"))
        }
        (body, header) => Ok(body.or(header)),
    }
}

/// `GET /api/messages`.
///
/// # Errors
/// `invalid`, `not_found`, or an outage.
pub async fn list(request: HttpRequest, who: AuthContext, node: web::Data<Node>) -> Result<HttpResponse, Error> {
    let query: MessagesQuery = rest::from_query(request.query_string())?;
    let limit = page(query.limit, PAGE, node.limits.page)?;
    let user = who.user_id().clone();
    let seal = |head: Head| node.cursors.seal(Purpose::Cursor, head.cursor());
    if let Some(thread) = &query.thread_id {
        let thread = ThreadId::parse(thread).map_err(|reason| Error::field("thread_id", reason))?;
        let window = window(&query, |text| text.parse().ok().map(Sequence))?;
        let found = node.reads.messages(user, thread, window, limit).await?.ok_or_else(Error::no_thread)?;
        let messages = found.messages.iter().map(MessageShape::from).collect();
        let (has_more, cursor) = (found.has_more, seal(found.head));
        return Ok(packed::list(&request, &MessagesAnswer { messages, has_more, cursor, before: None, after: None }));
    }
    let open = |text: &str| node.cursors.open(Purpose::PageKey, text).map(|key| Sequence(key.position.0));
    let found = node.reads.all_messages(user, window(&query, open)?, limit).await?;
    let key = |position: Position| {
        let place = Head { position, ..found.head };
        node.cursors.seal(Purpose::PageKey, place.cursor())
    };
    Ok(ok(&MessagesAnswer {
        messages: found.messages.iter().map(MessageShape::from).collect(),
        has_more: found.has_more,
        cursor: seal(found.head),
        before: found.ends.map(|(first, _)| key(first)),
        after: found.ends.map(|(_, last)| key(last)),
    }))
}

/// The window a query asks for; `open` reads one of its ends.
fn window(query: &MessagesQuery, open: impl Fn(&str) -> Option<Sequence>) -> Result<Window, Error> {
    let end =
        |field: &'static str, text: &str| open(text).ok_or_else(|| Error::field(field, "is not an end of a page here"));
    match (query.before.as_deref(), query.after.as_deref()) {
        (Some(_), Some(_)) => Err(Error::field("before", "cannot stand beside `after`")),
        (Some(before), None) => Ok(Window::Before(end("before", before)?)),
        (None, Some(after)) => Ok(Window::After(end("after", after)?)),
        (None, None) => Ok(Window::Newest),
    }
}

fn id(path: &str) -> Result<MessageId, Error> {
    // Text that is no id names no message.
    MessageId::parse(path).map_err(|_| Error::no_message())
}

/// `GET /api/messages/{id}`.
///
/// # Errors
/// `not_found`, or an outage.
pub async fn get(who: AuthContext, path: web::Path<String>, node: web::Data<Node>) -> Result<HttpResponse, Error> {
    let message = node.reads.message(who.user_id().clone(), id(&path)?).await?.ok_or_else(Error::no_message)?;
    Ok(ok(&MessageShape::from(&message)))
}

/// `PATCH /api/messages/{id}`: the author says something else.
///
/// # Errors
/// `invalid`, `not_found`, `forbidden`, `rate_limited`, or an outage.
pub async fn edit(
    who: AuthContext,
    path: web::Path<String>,
    body: Body<EditBody>,
    node: web::Data<Node>,
) -> Result<HttpResponse, Error> {
    let content = rest::content(body.0.content, &node.limits)?;
    match node.post(Post::edit(&who, node.clock.now(), id(&path)?, content)).await? {
        Done::Message { message, .. } => Ok(ok(&MessageShape::from(&message))),
        _ => Err(unexpected_outcome()),
    }
}

/// `DELETE /api/messages/{id}`.
///
/// # Errors
/// `not_found`, `forbidden`, `rate_limited`, or an outage.
pub async fn delete(who: AuthContext, path: web::Path<String>, node: web::Data<Node>) -> Result<HttpResponse, Error> {
    match node.post(Post::delete(&who, node.clock.now(), id(&path)?)).await? {
        Done::Message { message, .. } => Ok(ok(&MessageShape::from(&message))),
        _ => Err(unexpected_outcome()),
    }
}
