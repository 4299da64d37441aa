//! The transport on the raw stream: what the client sends is read when the connection's turn comes, what it is to get is
//! written by whoever has queued it. An idle connection holds no buffer.

use std::{
    cell::{Cell, RefCell},
    future::Future,
    io::{self, IoSlice},
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use actix_codec::Decoder;
use actix_http::ws::{Codec, Frame};
use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::rt::net::TcpStream;
use bytes::{Bytes, BytesMut};
use bytestring::ByteString;
use futures_util::Stream;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream},
    time::timeout,
};

use super::{Frames, Taken, fragments::Fragments, gate::Gate};
use crate::{
    connection_io::{ConnectionIo, DirectWriter, Inbound},
    error::Code,
};

/// A byte stream under HTTP that can be taken over.
pub trait Wire: AsyncRead + AsyncWrite + Unpin + 'static {
    /// Writes some of the pieces. If it takes none now, `cx` is woken when it does.
    ///
    /// # Errors
    /// The stream's.
    fn poll_pieces(&mut self, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(self).poll_write_vectored(cx, pieces)
    }
}

/// Written without a look at whose turn it is: an outlet writes to many sockets in one turn of its own.
impl Wire for TcpStream {
    fn poll_pieces(&mut self, cx: &mut Context<'_>, pieces: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        loop {
            // The system does less for one piece.
            let written = if let [piece] = pieces { self.try_write(piece) } else { self.try_write_vectored(pieces) };
            match written {
                Err(full) if full.kind() == io::ErrorKind::WouldBlock => ready!(self.poll_write_ready(cx))?,
                written => return Poll::Ready(written),
            }
        }
    }
}

impl Wire for TlsStream<TcpStream> {}
impl Wire for DuplexStream {}

/// Bytes read at once.
const SCRATCH: usize = 16 * 1024;

thread_local! {
    /// What is read, of one connection at a time.
    static READ: RefCell<BytesMut> = RefCell::default();
}

/// Takes a connection over: from here on it belongs to `taken`. `read` is what came with the request's head.
pub(super) fn open<T: Wire>(stream: T, read: &[u8], taken: Taken) {
    let Taken { io, gate, start } = taken;
    let socket = Rc::new(Socket {
        stream: RefCell::new(Some(stream)),
        waker: RefCell::new(Waker::noop().clone()),
        full: Cell::new(false),
        state: Cell::new(State::Open),
    });
    io.attach_direct_writer(Rc::<Socket<T>>::clone(&socket));
    let mut reader = Reader {
        socket,
        io,
        codec: Codec::new().max_size(usize::try_from(gate.message_bytes_max()).unwrap_or(usize::MAX)),
        gate,
        fragments: Fragments::default(),
        reading: Reading::On,
        unread: BytesMut::from(read),
        borrowed: false,
    };
    reader.judge(0);
    start(Frames::of(reader));
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// The last words are written.
    Said,
    /// The peer is gone.
    Gone,
}

/// The stream and how far it is.
struct Socket<T> {
    /// Until it lingers alone.
    stream: RefCell<Option<T>>,
    /// The connection's own turn.
    waker: RefCell<Waker>,
    /// It takes nothing now, and will wake the connection when it does.
    full: Cell<bool>,
    state: Cell<State>,
}

impl<T: Wire> Socket<T> {
    fn write(&self, io: &ConnectionIo, cx: &mut Context<'_>) {
        let mut stream = self.stream.borrow_mut();
        let Some(stream) = stream.as_mut().filter(|_| self.state.get() == State::Open) else { return };
        let written = match io.poll_write(|pieces| stream.poll_pieces(cx, pieces)) {
            // What a stream with a buffer of its own keeps back is written here.
            Poll::Ready(Ok(last)) => Pin::new(stream).poll_flush(cx).map_ok(|()| last),
            other => other,
        };
        match written {
            Poll::Pending => self.full.set(true),
            Poll::Ready(Ok(false)) => {}
            Poll::Ready(Ok(true)) => self.state.set(State::Said),
            Poll::Ready(Err(_)) => self.state.set(State::Gone),
        }
    }
}

impl<T: Wire> DirectWriter for Socket<T> {
    fn write_now(&self, io: &ConnectionIo) {
        if self.full.get() {
            return;
        }
        let waker = self.waker.borrow();
        self.write(io, &mut Context::from_waker(&waker));
        if self.state.get() != State::Open {
            waker.wake_by_ref();
        }
    }
}

/// How long a stream may take to end once everything is said.
const LINGER: Duration = Duration::from_secs(1);

/// Says that nothing follows, and takes in what the peer still sends until it goes: a stream that is dropped with something
/// unread takes the last words with it.
pub(super) async fn linger(mut stream: impl Wire) {
    let end = async {
        stream.shutdown().await?;
        let mut rest = BytesMut::with_capacity(1_024);
        while stream.read_buf(&mut rest).await? > 0 {
            rest.clear();
        }
        io::Result::Ok(())
    };
    // A peer that has gone is at its end as well.
    _ = timeout(LINGER, end).await;
}

/// Whether frames are taken from what was read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    On,
    /// Until what was read is used up: what follows it is wrong.
    UpTo(Code),
    Off,
}

/// The connection's side of it, and what was read and is not handed over.
struct Reader<T: Wire> {
    socket: Rc<Socket<T>>,
    io: Rc<ConnectionIo>,
    gate: Gate,
    codec: Codec,
    fragments: Fragments,
    reading: Reading,
    unread: BytesMut,
    /// Whether `unread` is this thread's buffer.
    borrowed: bool,
}

impl<T: Wire> Drop for Reader<T> {
    fn drop(&mut self) {
        self.io.mark_transport_ended();
    }
}

impl<T: Wire> Reader<T> {
    /// Judges what was read from a place on: what is wrong, and what follows it, is not kept.
    fn judge(&mut self, from: usize) {
        if let Err((before, code)) = self.gate.pass(&self.unread[from..]) {
            self.unread.truncate(from + before);
            self.reading = Reading::UpTo(code);
        }
        self.io.set_unfinished(self.gate.unfinished());
    }

    /// The next whole frame of what was read, or what is wrong behind the last.
    fn next_read(&mut self) -> Option<Inbound> {
        if self.reading == Reading::Off {
            return None;
        }
        let frame = self.codec.decode(&mut self.unread);
        if let Ok(Some(frame)) = frame {
            let inbound = self.inbound(frame);
            if matches!(inbound, Inbound::Fault(_) | Inbound::Closed) {
                self.reading = Reading::Off;
            }
            self.io.record_inbound(&inbound);
            return Some(inbound);
        }
        // The gate has seen it all before: what it let through and the codec does not take is a fault as well.
        let broken = frame.is_err().then_some(Code::ProtocolError);
        let behind = if let Reading::UpTo(code) = self.reading { Some(code) } else { broken };
        behind.map(|code| {
            self.reading = Reading::Off;
            Inbound::Fault(code)
        })
    }

    /// Copies: a few bytes that wait for their turn must not keep the whole buffer.
    fn inbound(&mut self, frame: Frame) -> Inbound {
        let text = |bytes: Bytes| ByteString::try_from(Bytes::copy_from_slice(&bytes));
        match frame {
            Frame::Text(bytes) => text(bytes).map_or(Inbound::Fault(Code::NotUtf8), Inbound::Text),
            Frame::Continuation(item) => self.fragments.take(item),
            Frame::Ping(data) => {
                self.io.pong(&data);
                Inbound::Control
            }
            Frame::Pong(_) => Inbound::Control,
            Frame::Binary(bytes) => Inbound::Binary(Bytes::copy_from_slice(&bytes)),
            Frame::Close(reason) => {
                self.io.answer_close(reason);
                Inbound::Closed
            }
        }
    }

    /// Gives the thread's buffer back; what is left in it is kept in one of its own.
    fn settle(&mut self) {
        if self.reading == Reading::Off {
            self.unread.clear();
        }
        if std::mem::take(&mut self.borrowed) {
            let left = BytesMut::from(&self.unread[..]);
            READ.set(std::mem::replace(&mut self.unread, left));
        } else if self.unread.is_empty() {
            self.unread = BytesMut::new();
        }
        self.io.set_buffered(self.unread.capacity() + self.fragments.memory());
    }

    /// Reads once; how many bytes.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut buffer = READ.take();
        buffer.clear();
        buffer.reserve(SCRATCH);
        let read = match &mut *self.socket.stream.borrow_mut() {
            Some(stream) => pin!(stream.read_buf(&mut buffer)).poll(cx),
            None => Poll::Ready(Ok(0)),
        };
        let before = self.unread.len();
        if before == 0 {
            self.unread = buffer;
            self.borrowed = true;
        } else {
            self.unread.extend_from_slice(&buffer);
            READ.set(buffer);
        }
        if let Poll::Ready(Ok(1..)) = read {
            self.judge(before);
        }
        read
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Inbound>> {
        self.socket.full.set(false);
        self.socket.write(&self.io, cx);
        match self.socket.state.get() {
            State::Open => {}
            // The connection ends now; only its stream stays for a while.
            State::Said => {
                self.socket.stream.take().into_iter().for_each(|stream| drop(actix_rt::spawn(linger(stream))));
                return Poll::Ready(None);
            }
            State::Gone => return Poll::Ready(None),
        }
        // Who queues something from now on wakes this; where something is left, the socket does.
        _ = self.io.poll_queued(cx);
        loop {
            ready!(self.io.poll_read_wanted(cx));
            if let Some(inbound) = self.next_read() {
                return Poll::Ready(Some(inbound));
            }
            if self.reading == Reading::Off {
                return Poll::Pending;
            }
            match ready!(self.poll_read(cx)) {
                Ok(1..) => {}
                // The end of the stream is the end of the connection: see `src/docs/decisions/http.md`.
                Ok(0) | Err(_) => return Poll::Ready(None),
            }
        }
    }
}

impl<T: Wire> Stream for Reader<T> {
    type Item = Inbound;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Inbound>> {
        let reader = self.get_mut();
        reader.socket.waker.borrow_mut().clone_from(cx.waker());
        let polled = reader.poll_frame(cx);
        if polled.is_pending() || reader.unread.is_empty() {
            reader.settle();
        }
        polled
    }
}
