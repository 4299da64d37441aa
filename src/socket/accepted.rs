//! An accepted TCP connection. HTTP reads and writes it, and [`Cutter`] ends it, over one descriptor.

use std::{
    cell::{Cell, RefCell},
    io::{self, IoSlice},
    net::{Shutdown, SocketAddr},
    os::fd::{AsFd, BorrowedFd},
    pin::Pin,
    rc::{Rc, Weak},
    task::{Context, Poll, ready},
    time::Instant,
};

use actix_http::Extensions;
use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::rt::net::{ActixStream, Ready, TcpStream};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

use super::{
    Cutter, Wire,
    budget::{Bounds, Budget, Entry, Use},
};

/// The connections of one worker thread.
#[derive(Clone)]
pub struct Connections(Rc<RefCell<Budget<Weak<Tcp>>>>);

impl Connections {
    /// None yet, and at most so many.
    pub fn new(bounds: Bounds) -> Connections {
        Connections(Rc::new(RefCell::new(Budget::new(bounds))))
    }

    /// Takes a connection into the budget. Where it is near its end, the connection that has been idle longest is ended:
    /// idle connections that nobody has authenticated must not keep others out.
    pub fn accept(&self, stream: TcpStream) -> Accepted {
        // A frame that waits for the confirmation of the one before it is late.
        if let Err(error) = stream.set_nodelay(true) {
            log::debug!("a connection ended before it was served: {error}");
        }
        let mut chosen = None;
        let tcp = Rc::new_cyclic(|tcp| {
            let (entry, evicted) = self.0.borrow_mut().enter(Weak::clone(tcp), Instant::now());
            chosen = evicted;
            Tcp { stream, connections: self.clone(), entry: Cell::new(entry), held: Cell::default() }
        });
        if let Some(evicted) = chosen.and_then(|evicted| evicted.upgrade()) {
            // An error means that the peer has gone already.
            _ = SockRef::from(&evicted.stream).shutdown(Shutdown::Both);
        }
        Accepted(tcp)
    }
}

/// The stream, which HTTP and those who may end it share, and its entry in the budget.
pub(super) struct Tcp {
    stream: TcpStream,
    connections: Connections,
    entry: Cell<Entry>,
    /// How many parts of the program hold it in each use.
    held: Cell<[u32; 3]>,
}

impl Tcp {
    /// Adds a use, which holds until the returned value is dropped, beside others and in any order. The strongest counts: the
    /// answer of a poll is still being written when the poll has given its permit back.
    pub(super) fn hold(self: Rc<Tcp>, held: Use) -> Held {
        self.count(held, 1);
        Held { tcp: self, held }
    }

    /// Keeps it until it ends, whatever becomes of the request.
    pub(super) fn take(&self) {
        self.count(Use::Kept, 1);
    }

    fn count(&self, held: Use, change: i32) {
        let mut counts = self.held.get();
        counts[held as usize] = counts[held as usize].saturating_add_signed(change);
        self.held.set(counts);
        let now = match counts {
            [_, 0, 0] => Use::Idle,
            [_, _, 0] => Use::Busy,
            _ => Use::Kept,
        };
        if now != self.entry.get().now() {
            self.entry.set(self.connections.0.borrow_mut().change(self.entry.get(), now, Instant::now()));
        }
    }
}

/// A use of a connection, which ends when this is dropped.
pub(super) struct Held {
    tcp: Rc<Tcp>,
    held: Use,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.tcp.count(self.held, -1);
    }
}

impl AsFd for Tcp {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl Drop for Tcp {
    fn drop(&mut self) {
        self.connections.0.borrow_mut().leave(self.entry.get());
    }
}

/// The connection as HTTP has it.
pub struct Accepted(Rc<Tcp>);

impl Accepted {
    /// The peer's address, unless it has gone already.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.0.stream.peer_addr().ok()
    }

    /// For the HTTP service's connect callback: lets [`Cutter`] end the connection.
    pub fn install(io: &Accepted, data: &mut Extensions) {
        data.insert(Cutter::sharing(Rc::clone(&io.0)));
    }

    fn poll_write_with(
        &self,
        cx: &mut Context<'_>,
        mut write: impl FnMut(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        let stream = &self.0.stream;
        loop {
            match write(stream) {
                Err(full) if full.kind() == io::ErrorKind::WouldBlock => ready!(stream.poll_write_ready(cx))?,
                written => return Poll::Ready(written),
            }
        }
    }
}

impl AsyncRead for Accepted {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let stream = &self.0.stream;
        loop {
            ready!(stream.poll_read_ready(cx))?;
            let (space, mut read) = (buffer.remaining(), 0);
            // A read that leaves space has emptied the socket. Said so here, the next call needs no system call to learn it;
            // tokio's own TcpStream does the same.
            let emptied = stream.try_io(Interest::READABLE, || {
                read = stream.try_read_buf(buffer)?;
                if 0 < read && read < space { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
            });
            match emptied {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && read == 0 => {}
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Poll::Ready(Err(error)),
                _ => return Poll::Ready(Ok(())),
            }
        }
    }
}

impl AsyncWrite for Accepted {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_with(cx, |stream| stream.try_write(bytes))
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.get_mut().poll_pieces(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(SockRef::from(&self.0.stream).shutdown(Shutdown::Write))
    }
}

impl ActixStream for Accepted {
    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        ActixStream::poll_read_ready(&self.0.stream, cx)
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready>> {
        ActixStream::poll_write_ready(&self.0.stream, cx)
    }
}

/// Written without a look at whose turn it is: an outlet writes to many sockets in one turn of its own.
impl Wire for Accepted {
    fn poll_pieces(&mut self, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        // The system does less for one piece.
        self.poll_write_with(cx, |stream| match pieces {
            [piece] => stream.try_write(piece),
            pieces => stream.try_write_vectored(pieces),
        })
    }
}
impl Wire for TlsStream<Accepted> {}

#[cfg(test)]
mod tests {
    use super::*;

    async fn accepted() -> Accepted {
        let port = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let address = port.local_addr().expect("an address");
        let stream = TcpStream::connect(address).await.expect("a connection");
        Connections::new(Bounds { all_max: 10, comfortable: 9, plain_max: 10 }).accept(stream)
    }

    #[tokio::test]
    async fn a_connection_is_busy_until_the_answer_of_its_poll_is_written() {
        let tcp = accepted().await.0;
        let now = || tcp.entry.get().now();
        assert_eq!(now(), Use::Idle);
        let answered = Rc::clone(&tcp).hold(Use::Busy);
        let poll = Rc::clone(&tcp).hold(Use::Kept);
        assert_eq!(now(), Use::Kept);
        drop(poll);
        assert_eq!(now(), Use::Busy, "its answer is being written");
        // The body of a stream may end before what feeds it.
        let stream = Rc::clone(&tcp).hold(Use::Kept);
        drop(answered);
        assert_eq!(now(), Use::Kept);
        drop(stream);
        assert_eq!(now(), Use::Idle);
        let request = Rc::clone(&tcp).hold(Use::Busy);
        tcp.take();
        drop(request);
        assert_eq!(now(), Use::Kept, "a WebSocket");
    }
}
