//! `/api/events` as a stream of server-sent events. A stream is a connection in every rule: what a socket is told, it is
//! told, and it ends as a socket ends.

use std::{future::pending, rc::Rc, sync::Arc, time::Duration};

use actix_web::{HttpRequest, HttpResponse};
use bytes::{Bytes, BytesMut};

use crate::{
    auth::AuthContext,
    connection_io::{CLOSE_TIMEOUT, ConnectionIo},
    error::{Code, Error},
    feed::{self, Opening},
    hub::{Displaced, Permit},
    node::Node,
    outlet::{ConnectionIdentity, Transport},
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
    let (io, identity) = (Rc::new(ConnectionIo::new(&node.limits)), ConnectionIdentity::new(who));
    let last = request.headers().get(LAST_EVENT_ID).filter(|id| !id.is_empty());
    // One that is no text is no cursor either.
    let since = last.map(|id| id.to_str().unwrap_or_default().to_owned()).or(since);
    let opening = feed::open(&node, identity.subscriber(Transport::Stream), &io, since.as_deref()).await?;
    if let Some(closing) = io.close_request() {
        return Err(closing.refusal());
    }
    let cut = Cut::of(request);
    cut.unless_confirmed_within(Duration::from_millis(node.limits.heartbeat_grace_ms));
    io.set_abort(move || cut.now());
    let first = first(&opening, &node, identity);
    let (body_io, epoch) = (Rc::clone(&io), opening.at.epoch);
    let response = event_stream::answer(request, HttpResponse::Ok(), first, body_io, epoch, Arc::clone(&node));
    actix_rt::spawn(attend(node, opening, io, place, displaced));
    Ok(response)
}

/// `connection_established`; and where the client's cursor does not hold, a `reset`, after which it goes on from the head.
fn first(opening: &Opening, node: &Node, identity: ConnectionIdentity<'_>) -> Bytes {
    let id = Some(opening.cursor.as_str());
    let mut bytes = BytesMut::new();
    let established = opening.established(node, identity);
    bytes.extend_from_slice(&Event { id, data: established.text(), ..Event::default() }.bytes());
    if let Some(reset) = opening.reset {
        let reset = frame::Reset { code: feed::reset_code(reset).name(), cursor: &opening.cursor };
        bytes.extend_from_slice(&Event { name: Some("reset"), id, data: &reset.data(), retry_ms: None }.bytes());
    }
    bytes.freeze()
}

/// Runs the feed until the transport has ended, or a close is requested and the close timeout has passed.
async fn attend(node: Arc<Node>, opening: Opening, io: Rc<ConnectionIo>, place: (Permit, Occupied), displaced: Displaced) {
    let follow = async {
        feed::follow(node, opening, Rc::clone(&io)).await;
        pending::<()>().await;
    };
    let gives_way = async {
        displaced.wait().await;
        io.request_close(Code::TooManyConnections);
        pending::<()>().await;
    };
    let farewell = async {
        io.send_bye(io.close_requested().await);
        tokio::time::sleep(CLOSE_TIMEOUT).await;
        io.abort();
    };
    tokio::select! {
        () = follow => {}
        () = gives_way => {}
        () = farewell => {}
        () = io.transport_ended() => {}
    }
    drop(place);
    // The body has ended, but its last bytes may still be on their way: not for ever.
    tokio::time::sleep(CLOSE_TIMEOUT).await;
    io.abort();
}
