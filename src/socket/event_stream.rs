//! Transport of server-sent events: a response body that writes the outbox until the connection closes.
//!
//! It is outbound only. Whether the client is still there is known from the TCP connection alone.

use std::{
    convert::Infallible,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, ready},
};

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    body::{BodySize, MessageBody},
    http::{ConnectionType, Version, header},
};
use bytes::Bytes;
use uuid::Uuid;

use crate::{
    connection_io::{ConnectionIo, Outbound},
    domain::Cursor,
    node::Node,
    wire::{
        cursor::Purpose,
        sse::{self, Event},
    },
};

/// Answers with an event stream: `first`, then the frames of the outbox up to `bye`.
pub fn answer(
    request: &HttpRequest,
    mut response: HttpResponseBuilder,
    first: Bytes,
    io: Rc<ConnectionIo>,
    epoch: Uuid,
    node: Arc<Node>,
) -> HttpResponse {
    let body = Stream { first: Some(first), io, epoch, node, ended: false };
    let mut response = response
        .insert_header((header::CONTENT_TYPE, sse::MEDIA_TYPE))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        // Proxies of this family would keep events until they have enough of them.
        .insert_header(("x-accel-buffering", "no"))
        .body(body);
    // A stream has its connection for itself, and that ends with it.
    response.head_mut().set_connection_type(ConnectionType::Close);
    // The library would send chunks to a client that cannot read them; to it the end of the connection is the end.
    response.head_mut().no_chunking(request.version() < Version::HTTP_11);
    response
}

struct Stream {
    first: Option<Bytes>,
    io: Rc<ConnectionIo>,
    epoch: Uuid,
    /// Seals the cursors.
    node: Arc<Node>,
    ended: bool,
}

impl Stream {
    fn bytes(&mut self, out: Outbound) -> Bytes {
        match out {
            Outbound::Event { frame, position, mark } => {
                let id = self.node.cursors.seal(Purpose::Cursor, Cursor { epoch: self.epoch, position, mark });
                Event { id: Some(&id), data: frame.text(), ..Event::default() }.bytes()
            }
            Outbound::Text(frame) => Event { data: frame.text(), ..Event::default() }.bytes(),
            Outbound::Ping | Outbound::Pong(_) | Outbound::Binary(_) => {
                // There is no answer to come: that the connection takes it is all there is to hear.
                self.io.record_activity();
                sse::BEAT
            }
            Outbound::Bye { closing, .. } | Outbound::Close { closing, .. } => {
                self.ended = true;
                let (name, retry_ms) = (Some("bye"), closing.retry_after_ms);
                Event { name, retry_ms, data: &closing.bye().data(), ..Event::default() }.bytes()
            }
            // Nothing comes in on a stream, no close frame either.
            Outbound::CloseAnswer(_) => Bytes::new(),
        }
    }
}

impl MessageBody for Stream {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    /// The library polls while the client reads. While it does not, the outbox fills.
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        let stream = self.get_mut();
        if let Some(first) = stream.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        if stream.ended {
            return Poll::Ready(None);
        }
        let out = ready!(stream.io.poll_next(cx));
        Poll::Ready(Some(Ok(stream.bytes(out))))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.io.mark_transport_ended();
    }
}
