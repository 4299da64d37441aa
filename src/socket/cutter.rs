//! Ends a TCP connection that the HTTP library holds, from outside of it.

use std::{
    any::Any,
    cell::Cell,
    net::Shutdown,
    sync::{Arc, Weak},
    time::Duration,
};

use actix_http::{Extensions, Request};
use actix_web::{HttpRequest, HttpResponse, http::ConnectionType, rt::net::TcpStream};
use socket2::{SockRef, Socket};

/// Ends a TCP connection from outside. The HTTP dispatcher is stuck in a write while the peer does not read, and
/// with it everything that runs inside the response; this needs neither.
pub struct Cutter {
    socket: Arc<Socket>,
    /// An upgrade was refused here: what follows on this connection is not a request.
    refused: Cell<bool>,
}

/// How long a connection with a refused upgrade may take for its answer before it is cut.
const LINGER: Duration = Duration::from_secs(1);

impl Cutter {
    /// For the HTTP service's connect callback: keeps a duplicate of the socket's descriptor with the connection.
    /// Without it, cutting a peer that does not read is best effort: it happens when the system notices. What is written
    /// goes out at once, too: a frame that waits for the confirmation of the one before it is late.
    pub fn install(io: &TcpStream, data: &mut Extensions) {
        if let Err(error) = io.set_nodelay(true) {
            log::debug!("a connection ended before it was served: {error}");
        }
        match SockRef::from(io).try_clone() {
            Ok(socket) => _ = data.insert(Cutter { socket: Arc::new(socket), refused: Cell::new(false) }),
            Err(error) => log::warn!("a connection cannot be cut from outside: {error}"),
        }
    }

    /// The same, for `HttpServer::on_connect` of actix-web, which says nothing of the stream's type. Of a connection over
    /// TLS, give the TCP stream inside to [`Cutter::install`].
    pub fn on_connect(io: &dyn Any, data: &mut Extensions) {
        io.downcast_ref::<TcpStream>().into_iter().for_each(|io| Cutter::install(io, data));
    }

    /// Nothing more on this request's connection is to be answered: an upgrade was refused, and whoever is in
    /// front of us may take what follows for anything.
    pub fn refuse_rest(request: &HttpRequest, response: &mut HttpResponse) {
        if let Some(cutter) = request.conn_data::<Cutter>() {
            cutter.refused.set(true);
        }
        Cut::of(request).after(response, LINGER);
    }

    /// Whether an upgrade was refused on this request's connection.
    pub(super) fn has_refused(request: &Request) -> bool {
        request.conn_data::<Cutter>().is_some_and(|cutter| cutter.refused.get())
    }

    /// Holds a request that follows a refused upgrade, which the HTTP library had read before it knew, until the
    /// connection is cut. Every other request passes at once.
    pub async fn hold_refused(request: &HttpRequest) {
        if request.conn_data::<Cutter>().is_some_and(|cutter| cutter.refused.get()) {
            std::future::pending::<()>().await;
        }
    }
}

/// The end of a connection, if it is still there then.
pub struct Cut(Weak<Socket>);

impl Cut {
    /// Of this request's connection. Weak, so that one which ends by itself gives its descriptor back at once.
    pub fn of(request: &HttpRequest) -> Cut {
        Cut(request.conn_data::<Cutter>().map(|cutter| Arc::downgrade(&cutter.socket)).unwrap_or_default())
    }

    /// The system ends the connection once the peer has confirmed nothing of what was written for so long: where no
    /// answer is asked for, nothing else tells a peer that is gone from one that is silent. Without the option the
    /// system's own patience holds.
    pub fn unless_confirmed_within(&self, patience: Duration) {
        if let Some(Err(error)) = self.0.upgrade().map(|socket| socket.set_tcp_user_timeout(Some(patience))) {
            log::warn!("a client that vanishes from a stream is noticed late: {error}");
        }
    }

    /// Now.
    pub fn now(&self) {
        // An error means that the peer has gone already.
        self.0.upgrade().into_iter().for_each(|socket| drop(socket.shutdown(Shutdown::Both)));
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
