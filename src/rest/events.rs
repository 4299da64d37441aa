//! `/api/events`: receive without a socket, by long poll. A waiting poll is a connection in every rule.

use std::{
    future::poll_fn,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use bytestring::ByteString;

use crate::{
    auth::AuthContext,
    domain::{ConnectionId, Reset},
    error::{Code, Error},
    feed::{self, Opening},
    hub::{Closing, Line, Node, Out, Sitter},
    store::Head,
    wire::{
        cursor::Purpose,
        rest::{self, EventsQuery},
    },
};

/// `GET /api/events`: what has happened since a cursor, at once or when something does.
///
/// # Errors
/// 410 with the reason if the cursor does not hold; `too_many_connections`, `draining`, `invalid`, or an outage.
pub async fn poll(request: HttpRequest, who: AuthContext, node: web::Data<Node>) -> Result<HttpResponse, Error> {
    let node = node.into_inner();
    let query: EventsQuery = rest::from_query(request.query_string())?;
    let longest = node.limits.poll_ms;
    let wait = query.timeout_ms.unwrap_or(longest);
    if wait > longest {
        return Err(Error::field("timeout_ms", format!("must be at most {longest}")));
    }
    let _permit = node.admit(who.user_id()).await?;
    let line = Rc::new(Line::new(&node.limits));
    let opening = feed::open(&node, sitter(&who), &line, query.since.as_deref()).await?;
    if let Some(reset) = opening.reset {
        return Err(does_not_hold(reset));
    }
    let (events, at) = receive(&node, &who, &opening, &line, Duration::from_millis(wait)).await?;
    let cursor = node.cursors.seal(Purpose::Cursor, at.cursor());
    Ok(answer(&events, &cursor))
}

fn does_not_hold(reset: Reset) -> Error {
    Error::new(feed::reset_code(reset), "The cursor does not hold. Load what you need by REST and follow from there.")
}

fn sitter(who: &AuthContext) -> Sitter {
    Sitter {
        connection: ConnectionId::new(),
        credential: who.credential().clone(),
        expires_at: who.expires_at(),
        socket: false,
    }
}

/// A page of what was missed; if that is nothing, whatever comes until the time is over.
async fn receive(
    node: &Arc<Node>,
    who: &AuthContext,
    opening: &Opening,
    line: &Line,
    wait: Duration,
) -> Result<(Vec<ByteString>, Head), Error> {
    let mut from = opening.from;
    let at = loop {
        let page = node.reads.page(who.user_id().clone(), from, opening.seat.begin_page(from), feed::PAGE).await?;
        if page.pruned {
            return Err(does_not_hold(Reset::Expired));
        }
        let missed: Vec<ByteString> = feed::payloads(&page).collect();
        if !missed.is_empty() {
            return Ok((missed, page.complete_to));
        }
        from = page.complete_to.position;
        if opening.seat.try_live(from) {
            break page.complete_to;
        }
    };
    let first = tokio::select! {
        // In this order: what has been queued is worth nothing once the seat must close or has fallen behind.
        biased;
        closing = line.close_asked() => return closed(closing, at),
        _ = opening.seat.behind() => None,
        out = poll_fn(|cx| line.poll_out(cx)) => Some(out),
        () = tokio::time::sleep(wait) => None,
    };
    let Some(first) = first else { return Ok((Vec::new(), at)) };
    let mut events: Vec<ByteString> = text(first).into_iter().collect();
    let waker = Context::from_waker(std::task::Waker::noop());
    while let Poll::Ready(out) = line.poll_out(&waker) {
        events.extend(text(out));
    }
    // No await since the last frame was taken: everything delivered up to here is in `events`.
    let released = opening.seat.released();
    Ok((events, if released.position > at.position { released } else { at }))
}

fn text(out: Out) -> Option<ByteString> {
    match out {
        Out::Text(text) => Some(text),
        Out::Ping | Out::Pong(_) | Out::Close { .. } => None,
    }
}

/// A poll that has to end: with nothing lost where the client was only too slow, else with why.
fn closed(closing: Closing, at: Head) -> Result<(Vec<ByteString>, Head), Error> {
    match closing.code {
        Code::SlowReader => Ok((Vec::new(), at)),
        _ => Err(closing.refusal()),
    }
}

/// `{events, cursor}`; events are sealed JSON already and the cursor's alphabet needs no escape.
fn answer(events: &[ByteString], cursor: &str) -> HttpResponse {
    let events: Vec<&str> = events.iter().map(AsRef::as_ref).collect();
    let body = format!(r#"{{"events":[{}],"cursor":"{cursor}"}}"#, events.join(","));
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header(header::ContentType::json())
        .body(body)
}
