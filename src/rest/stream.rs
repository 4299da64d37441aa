//! `/api/events` as a stream of server-sent events. A stream is a connection in every rule: what a socket is told, it is
//! told, and it ends as a socket ends.

use std::{future::pending, rc::Rc, sync::Arc, time::Duration};

use actix_web::{HttpRequest, HttpResponse};
use bytes::{Bytes, BytesMut};

use crate::{
    auth::AuthContext,
    error::{Code, Error},
    feed::{self, Opening},
    hub::{Displaced, Guest, LAST_WORDS, Line, Node, Transport, messages::Permit},
    socket::{Cut, Cutter, Occupied, event_stream},
    wire::{frame, sse::Event},
};

/// What a browser sends when it comes back by itself.
const LAST_EVENT_ID: &str = "last-event-id";

/// Opens a stream after a cursor, or from now. The cursor of `Last-Event-ID` is the later one: the address is that of the
/// first time.
///
/// # Errors
/// As for an upgrade: `too_many_connections`, `draining`, `over_capacity`, or an outage.
pub(super) async fn open(
    request: &HttpRequest,
    who: &AuthContext,
    node: Arc<Node>,
    since: Option<String>,
) -> Result<HttpResponse, Error> {
    let (permit, displaced) = node.admit_stand_in(who.credential()).await?;
    let place = (permit, Cutter::keep(request));
    let (line, guest) = (Rc::new(Line::new(&node.limits)), Guest::new(who));
    let last = request.headers().get(LAST_EVENT_ID).filter(|id| !id.is_empty());
    // One that is no text is no cursor either.
    let since = last.map(|id| id.to_str().unwrap_or_default().to_owned()).or(since);
    let opening = feed::open(&node, guest.sitter(Transport::Stream), &line, since.as_deref()).await?;
    if let Some(closing) = line.closing() {
        return Err(closing.refusal());
    }
    let cut = Cut::of(request);
    cut.unless_confirmed_within(Duration::from_millis(node.limits.heartbeat_grace_ms));
    line.set_cut(move || cut.now());
    let first = first(&opening, &node, guest);
    let (lines, epoch) = (Rc::clone(&line), opening.at.epoch);
    let response = event_stream::answer(request, HttpResponse::Ok(), first, lines, epoch, Arc::clone(&node));
    actix_rt::spawn(attend(node, opening, line, place, displaced));
    Ok(response)
}

/// `connection_established`; and where the client's cursor does not hold, a `reset`, after which it goes on from the head.
fn first(opening: &Opening, node: &Node, guest: Guest<'_>) -> Bytes {
    let id = Some(opening.cursor.as_str());
    let mut bytes = BytesMut::new();
    let established = opening.established(node, guest);
    bytes.extend_from_slice(&Event { id, data: established.text(), ..Event::default() }.bytes());
    if let Some(reset) = opening.reset {
        let reset = frame::Reset { code: feed::reset_code(reset).name(), cursor: &opening.cursor };
        bytes.extend_from_slice(&Event { name: Some("reset"), id, data: &reset.data(), retry_ms: None }.bytes());
    }
    bytes.freeze()
}

/// Feeds the line until the transport has ended, or somebody asks to close and the last words have had their time.
async fn attend(node: Arc<Node>, opening: Opening, line: Rc<Line>, place: (Permit, Occupied), displaced: Displaced) {
    let follow = async {
        feed::follow(node, opening, Rc::clone(&line)).await;
        pending::<()>().await;
    };
    let gives_way = async {
        displaced.wait().await;
        line.close(Code::TooManyConnections);
        pending::<()>().await;
    };
    let farewell = async {
        line.finish(line.close_asked().await);
        tokio::time::sleep(LAST_WORDS).await;
        line.cut();
    };
    tokio::select! {
        () = follow => {}
        () = gives_way => {}
        () = farewell => {}
        () = line.ended() => {}
    }
    drop(place);
    // The body has ended, but its last bytes may still be on their way: not for ever.
    tokio::time::sleep(LAST_WORDS).await;
    line.cut();
}
