//! Ends a TCP connection that the HTTP library holds, from outside of it.

use std::{
    any::Any,
    cell::Cell,
    net::Shutdown,
    os::fd::AsFd,
    rc::{Rc, Weak},
    time::Duration,
};

use actix_http::{Extensions, Request};
use actix_web::{
    HttpRequest, HttpResponse,
    http::{ConnectionType, Version},
    rt::net::TcpStream,
};
use socket2::SockRef;

use super::{
    accepted::{Held, Tcp},
    budget::Use,
};

/// Ends a TCP connection from outside. The HTTP dispatcher is stuck in a write while the peer does not read, and
/// with it everything that runs inside the response; this needs neither.
pub struct Cutter {
    socket: Rc<dyn AsFd>,
    /// The connection's entry in the budget of its thread. One of somebody else's server has none.
    budgeted: Option<Rc<Tcp>>,
    /// The last request of the connection has been answered: what follows on it is not carried out.
    ended: Rc<Cell<bool>>,
}

/// How long a connection may take for its last answer before it is cut.
const LINGER: Duration = Duration::from_secs(1);

impl Cutter {
    /// For the HTTP service's connect callback of a server that is not ours: keeps a duplicate of the socket's descriptor with
    /// the connection. Without it, cutting a peer that does not read is best effort: it happens when the system notices. What
    /// is written goes out at once, too: a frame that waits for the confirmation of the one before it is late.
    pub fn install(io: &TcpStream, data: &mut Extensions) {
        if let Err(error) = io.set_nodelay(true) {
            log::debug!("a connection ended before it was served: {error}");
        }
        match SockRef::from(io).try_clone() {
            Ok(socket) => _ = data.insert(Cutter { socket: Rc::new(socket), budgeted: None, ended: Rc::default() }),
            Err(error) => log::warn!("a connection cannot be cut from outside: {error}"),
        }
    }

    /// The same, for `HttpServer::on_connect` of actix-web, which says nothing of the stream's type. Of a connection over
    /// TLS, give the TCP stream inside to [`Cutter::install`].
    pub fn on_connect(io: &dyn Any, data: &mut Extensions) {
        io.downcast_ref::<TcpStream>().into_iter().for_each(|io| Cutter::install(io, data));
    }

    /// For a connection that was accepted here, without a second descriptor.
    pub(super) fn sharing(tcp: Rc<Tcp>) -> Cutter {
        let socket = Rc::<Tcp>::clone(&tcp);
        Cutter { socket, budgeted: Some(tcp), ended: Rc::default() }
    }

    fn of(request: &HttpRequest) -> Option<&Cutter> {
        Cutter::for_version(request.version(), request.conn_data::<Cutter>())
    }

    /// Over HTTP/2 other requests share the connection, so the end of one is not the end of theirs: the connection is never
    /// marked or cut.
    fn for_version(version: Version, cutter: Option<&Cutter>) -> Option<&Cutter> {
        cutter.filter(|_| version < Version::HTTP_2)
    }

    /// Nothing more on this request's connection is to be answered: an upgrade was refused, and whoever is in
    /// front of us may take what follows for anything.
    pub fn refuse_rest(request: &HttpRequest, response: &mut HttpResponse) {
        Last::of(request).answer(response);
        Cut::of(request).after(response, LINGER);
    }

    /// Whether the last request of this one's connection has been answered before.
    pub(super) fn has_ended(request: &Request) -> bool {
        request.conn_data::<Cutter>().is_some_and(|cutter| cutter.ended.get())
    }

    /// Holds a request that follows the last one of its connection, and cuts the connection once the answer has had time to go
    /// out. The HTTP library reads ahead, and would carry it out. Every other request passes at once.
    pub async fn hold_behind_last(request: &HttpRequest) {
        if Cutter::of(request).is_some_and(|cutter| cutter.ended.get()) {
            tokio::time::sleep(LINGER).await;
            Cut::of(request).now();
            std::future::pending::<()>().await;
        }
    }

    /// Notes that a request is being answered, until the returned value is dropped: its connection is not idle.
    pub fn busy(request: &HttpRequest) -> Occupied {
        Occupied(Cutter::budgeted(request).map(|tcp| tcp.hold(Use::Busy)))
    }

    /// Notes that a request holds a permit, until the returned value is dropped: its connection is not cut for a new one.
    pub fn keep(request: &HttpRequest) -> Occupied {
        Occupied(Cutter::budgeted(request).map(|tcp| tcp.hold(Use::Kept)))
    }

    /// Notes that a connection is a WebSocket from here on.
    pub(super) fn take(request: &HttpRequest) {
        Cutter::budgeted(request).into_iter().for_each(|tcp| tcp.take());
    }

    fn budgeted(request: &HttpRequest) -> Option<Rc<Tcp>> {
        Cutter::of(request).and_then(|cutter| cutter.budgeted.clone())
    }
}

/// Makes an answer the last one of its connection.
pub struct Last(Option<Rc<Cell<bool>>>);

impl Last {
    /// On this request's connection.
    pub fn of(request: &HttpRequest) -> Last {
        Last(Cutter::of(request).map(|cutter| Rc::clone(&cutter.ended)))
    }

    /// Says so in the answer. What follows on the connection is not carried out.
    pub fn answer(&self, response: &mut HttpResponse) {
        response.head_mut().set_connection_type(ConnectionType::Close);
        self.0.iter().for_each(|ended| ended.set(true));
    }
}

/// A connection in use.
#[must_use]
pub struct Occupied(#[allow(dead_code, reason = "its drop is what it is for")] Option<Held>);

/// The end of a connection, if it is still there then.
pub struct Cut(Option<Weak<dyn AsFd>>);

impl Cut {
    /// Of this request's connection. Weak, so that one which ends by itself gives its descriptor back at once.
    pub fn of(request: &HttpRequest) -> Cut {
        Cut(Cutter::of(request).map(|cutter| Rc::downgrade(&cutter.socket)))
    }

    fn socket(&self) -> Option<Rc<dyn AsFd>> {
        self.0.as_ref().and_then(Weak::upgrade)
    }

    /// The system ends the connection once the peer has confirmed nothing of what was written for so long: where no
    /// answer is asked for, nothing else tells a peer that is gone from one that is silent. Without the option the
    /// system's own patience holds.
    pub fn unless_confirmed_within(&self, patience: Duration) {
        let socket = self.socket();
        if let Some(Err(error)) = socket.map(|socket| SockRef::from(&socket).set_tcp_user_timeout(Some(patience))) {
            log::warn!("a client that vanishes from a stream is noticed late: {error}");
        }
    }

    /// Now.
    pub fn now(&self) {
        // An error means that the peer has gone already.
        self.socket().into_iter().for_each(|socket| drop(SockRef::from(&socket).shutdown(Shutdown::Both)));
    }

    /// After an answer, which tells the client, and a while for it to be written and noticed. The HTTP library alone
    /// would wait for the end of an unread body for ever.
    pub fn after(self, response: &mut HttpResponse, delay: Duration) {
        response.head_mut().set_connection_type(ConnectionType::Close);
        actix_rt::spawn(async move {
            tokio::time::sleep(delay).await;
            self.now();
        });
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_request_over_http_2_never_ends_the_connection_that_others_share() {
        let (socket, _peer) = UnixStream::pair().expect("two sockets");
        let cutter = Cutter { socket: Rc::new(socket), budgeted: None, ended: Rc::default() };
        for version in [Version::HTTP_10, Version::HTTP_11] {
            assert!(Cutter::for_version(version, Some(&cutter)).is_some(), "{version:?}");
        }
        for version in [Version::HTTP_2, Version::HTTP_3] {
            assert!(Cutter::for_version(version, Some(&cutter)).is_none(), "{version:?}");
        }
    }
}
