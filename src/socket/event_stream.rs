//! The transport of server-sent events: the body of an answer that does not end, out of a line. It only goes out: the
//! client is heard no more, and whether it is still there is the TCP connection's to say.

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
    domain::Cursor,
    hub::{Line, Node, Out},
    wire::{
        cursor::Purpose,
        sse::{self, Event},
    },
};

/// Answers with a stream: the first words, then what the line holds until it says farewell.
pub fn answer(
    request: &HttpRequest,
    mut response: HttpResponseBuilder,
    first: Bytes,
    line: Rc<Line>,
    epoch: Uuid,
    node: Arc<Node>,
) -> HttpResponse {
    let body = Stream { first: Some(first), line, epoch, node, ended: false };
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
    line: Rc<Line>,
    epoch: Uuid,
    /// Seals the cursors.
    node: Arc<Node>,
    ended: bool,
}

impl Stream {
    fn bytes(&mut self, out: Out) -> Bytes {
        match out {
            Out::Event { frame, position, mark } => {
                let id = self.node.cursors.seal(Purpose::Cursor, Cursor { epoch: self.epoch, position, mark });
                Event { id: Some(&id), data: frame.text(), ..Event::default() }.bytes()
            }
            Out::Text(frame) => Event { data: frame.text(), ..Event::default() }.bytes(),
            Out::Ping | Out::Pong(_) | Out::Binary(_) => {
                // There is no answer to come: that the connection takes it is all there is to hear.
                self.line.hear();
                sse::BEAT
            }
            Out::Bye { closing, .. } | Out::Close { closing, .. } => {
                self.ended = true;
                let (name, retry_ms) = (Some("bye"), closing.retry_after_ms);
                Event { name, retry_ms, data: &closing.bye().data(), ..Event::default() }.bytes()
            }
            // Nothing comes in on a stream, no close frame either.
            Out::Closed(_) => Bytes::new(),
        }
    }
}

impl MessageBody for Stream {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    /// The library asks while the client reads, and stops asking while it does not: then the line fills.
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        let stream = self.get_mut();
        if let Some(first) = stream.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        if stream.ended {
            return Poll::Ready(None);
        }
        let out = ready!(stream.line.poll_out(cx));
        Poll::Ready(Some(Ok(stream.bytes(out))))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.line.hang_up();
    }
}
