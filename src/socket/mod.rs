//! The seam between a connection and its transport. A transport moves frames between the wire and a [`Line`]:
//! it reads only while the line lets it, judges every frame by its header before its payload is kept, and ends when
//! it has written the close frame. Nothing above knows which transport it is.
//!
//! [`Line`]: crate::hub::Line

mod fragments;
pub mod gate;
pub mod web_actors;

use std::{net::Shutdown, sync::Arc};

use actix_http::{Extensions, RequestHead, ws};
use actix_web::{
    HttpRequest,
    http::{Version, header},
    rt::net::TcpStream,
};
use socket2::{SockRef, Socket};

use crate::error::{Code, Error};

/// Proof that a request may be answered with 101: it has the form of an upgrade and of nothing else at the same time.
pub struct UpgradeSlot(());

impl UpgradeSlot {
    /// Judges a request's head.
    ///
    /// A body beside the upgrade is refused: what follows it would be read as a second request by whoever framed
    /// the first one differently (request smuggling).
    ///
    /// # Errors
    /// `upgrade_required` for an ordinary request, `bad_upgrade` for a malformed one.
    pub fn of(head: &RequestHead) -> Result<UpgradeSlot, Error> {
        let bad = |detail: &'static str| Err(Error::new(Code::BadUpgrade, detail));
        match ws::handshake(head) {
            Ok(_) => {}
            Err(ws::HandshakeError::NoWebsocketUpgrade | ws::HandshakeError::UnsupportedVersion) => {
                return Err(Error::new(Code::UpgradeRequired, "Open a WebSocket here: RFC 6455, version 13."));
            }
            Err(ws::HandshakeError::NoConnectionUpgrade) => return bad("The Connection header must say upgrade."),
            Err(ws::HandshakeError::NoVersionHeader) => return bad("The Sec-WebSocket-Version header must be 13."),
            Err(ws::HandshakeError::BadWebsocketKey) => {
                return bad("The Sec-WebSocket-Key header must be 16 bytes in base64.");
            }
            Err(_) => return bad("The upgrade request is malformed."),
        }
        if head.version != Version::HTTP_11 {
            return bad("An upgrade needs HTTP/1.1.");
        }
        if head.headers().contains_key(header::TRANSFER_ENCODING) || head.headers().contains_key(header::CONTENT_LENGTH) {
            return bad("An upgrade has no body: leave Transfer-Encoding and Content-Length out.");
        }
        Ok(UpgradeSlot(()))
    }
}

/// Ends a TCP connection from outside. The HTTP dispatcher is stuck in a write while the peer does not read, and
/// with it everything that runs inside the response; this needs neither.
pub struct Cutter(Arc<Socket>);

impl Cutter {
    /// For the HTTP service's connect callback: keeps a duplicate of the socket's descriptor with the connection.
    /// Without it, cutting a peer that does not read is best effort: it happens when the system notices.
    pub fn install(io: &TcpStream, data: &mut Extensions) {
        match SockRef::from(io).try_clone() {
            Ok(socket) => _ = data.insert(Cutter(Arc::new(socket))),
            Err(error) => log::warn!("a connection cannot be cut from outside: {error}"),
        }
    }

    /// What cuts this request's connection, if it can be cut.
    pub fn of(request: &HttpRequest) -> Option<impl FnOnce() + use<>> {
        let socket = Arc::clone(&request.conn_data::<Cutter>()?.0);
        // An error means that the peer has gone already.
        Some(move || drop(socket.shutdown(Shutdown::Both)))
    }
}
