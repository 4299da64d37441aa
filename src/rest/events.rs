//! `/api/events`: receive without a socket, by a stream or by long poll. A waiting poll is a connection in every rule: one
//! that ends with the first it hears.

use std::{
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use actix_web::{
    HttpRequest, HttpResponse, body,
    http::{Method, header},
    web,
};

use super::{
    accept::{self, Form},
    stream,
};
use crate::{
    auth::AuthContext,
    connection_io::{Closing, ConnectionIo, Outbound},
    domain::{Marker, Reset},
    error::{Code, Error},
    feed::{self, Feed, Opening, Stopped, StoreSource},
    node::Node,
    outlet::{ConnectionIdentity, Transport},
    socket::Cutter,
    store::Head,
    wire::{
        TextFrame,
        cursor::Purpose,
        rest::{self, EventsQuery, PollAnswer},
        sse,
    },
};

/// `GET /api/events`: what has happened since a cursor, at once or when something does.
///
/// # Errors
/// `not_acceptable`, `too_many_connections`, `draining`, `invalid`, or an outage; 410 to a poll whose cursor does not hold.
pub async fn receive(request: HttpRequest, who: AuthContext, node: web::Data<Node>) -> Result<HttpResponse, Error> {
    let node = node.into_inner();
    let EventsQuery { since, timeout_ms, .. } = rest::from_query(request.query_string())?;
    let longest = node.limits.poll_ms;
    let wait = timeout_ms.unwrap_or(longest);
    if wait > longest {
        return Err(Error::field("timeout_ms", format!("must be at most {longest}")));
    }
    let form = accept::form(&request)?;
    if request.method() == Method::HEAD {
        return Ok(head(form));
    }
    match form {
        Form::Stream => stream::open(&request, &who, node, since).await,
        Form::Poll => poll(&request, &who, &node, since.as_deref(), Duration::from_millis(wait)).await,
    }
}

/// The answer to `HEAD`: who may read and in which form, at once. It waits for nothing and takes none of the user's
/// connections.
fn head(form: Form) -> HttpResponse {
    let media_type = match form {
        Form::Stream => sse::MEDIA_TYPE,
        Form::Poll => "application/json",
    };
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::CONTENT_TYPE, media_type))
        .body(body::None::new())
}

async fn poll(
    request: &HttpRequest,
    who: &AuthContext,
    node: &Arc<Node>,
    since: Option<&str>,
    wait: Duration,
) -> Result<HttpResponse, Error> {
    let (_permit, displaced) = node.admit_stand_in(who.credential()).await?;
    let _kept = Cutter::keep(request);
    let io = Rc::new(ConnectionIo::new(&node.limits));
    let opening = feed::open(node, ConnectionIdentity::new(who).subscriber(Transport::Poll), &io, since).await?;
    if let Some(reset) = opening.reset {
        return Err(does_not_hold(reset));
    }
    let since = opening.at.position;
    let (events, at) = tokio::select! {
        biased;
        heard = hear(node, opening, &io, wait) => heard?,
        () = displaced.wait() => {
            let detail = "A socket has taken the place of this poll. Go on with its cursor there.";
            return Err(Error::new(Code::TooManyConnections, detail).after_ms(5_000));
        }
    };
    let read = node.reads.markers(who.user_id().clone(), since, at.position).await?;
    let cursor = node.cursors.seal(Purpose::Cursor, at.cursor());
    Ok(answer(&events, &read, &cursor))
}

fn does_not_hold(reset: Reset) -> Error {
    Error::new(feed::reset_code(reset), "The cursor does not hold. Load what you need by REST and follow from there.")
}

/// What was missed, a page of it at most; if that is nothing, whatever comes until the time is over. And the place up to
/// which that is everything.
async fn hear(
    node: &Arc<Node>,
    opening: Opening,
    io: &Rc<ConnectionIo>,
    wait: Duration,
) -> Result<(Vec<TextFrame>, Head), Error> {
    let Opening { subscription, at, .. } = opening;
    let mut feed = Feed::new(
        StoreSource::new(Arc::clone(node), Rc::clone(&subscription)),
        Rc::clone(io),
        at.position,
        subscription.seed(),
    );
    let mut caught_up = None;
    // In this order: of what was missed as much as possible is queued before it is taken.
    tokio::select! {
        biased;
        _ = io.close_requested() => {}
        done = feed.catch_up() => match done {
            Ok(done) => caught_up = Some(done.at),
            Err(Stopped::Store(outage)) => return Err(outage.into()),
            Err(Stopped::Pruned) => return Err(does_not_hold(Reset::Expired)),
            Err(Stopped::Closed) => {}
        },
        () = io.has_queued() => {}
    }
    if caught_up.is_some() {
        tokio::select! {
            biased;
            _ = io.close_requested() => {}
            () = io.has_queued() => {}
            () = feed.stay_live() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
    match io.close_request() {
        // Too much came at once: what had room is told, the next poll goes on behind it.
        None | Some(Closing { code: Code::SlowReader, .. }) => {}
        Some(closing) => return Err(closing.refusal()),
    }
    let (events, mut at, all) = taken(io, at);
    // No await since the last was taken: if nothing is left, the rest up to where the thread has come is not this user's.
    if all && io.close_request().is_none() {
        let further = caught_up.into_iter().chain(subscription.live_position());
        at = further.fold(at, |at, head| if head.position > at.position { head } else { at });
    }
    Ok((events, at))
}

/// Takes at most a page of queued events. Returns them, the position of the last, and whether that was all.
fn taken(io: &ConnectionIo, mut at: Head) -> (Vec<TextFrame>, Head, bool) {
    let waker = Context::from_waker(Waker::noop());
    let mut events = Vec::new();
    while (events.len() as u64) < feed::PAGE {
        let Poll::Ready(out) = io.poll_next(&waker) else { return (events, at, true) };
        // Of markers it is enough to have been woken: the answer brings them as they are at its end.
        if let Outbound::Event { frame, position, mark } = out {
            at = Head { position, mark, ..at };
            events.push(frame);
        }
    }
    (events, at, false)
}

fn answer(events: &[TextFrame], read: &[Marker], cursor: &str) -> HttpResponse {
    let events: Vec<&str> = events.iter().map(TextFrame::text).collect();
    let body = PollAnswer { events, read: read.iter().map(Into::into).collect(), cursor }.text();
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header(header::ContentType::json())
        .body(body)
}
