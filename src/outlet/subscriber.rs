//! Identity of a connection: as the outlet needs it, and as the first frame tells it to the client.

use uuid::Uuid;

use crate::{
    auth::AuthContext,
    domain::{ConnectionId, Credential, LEEWAY, Time},
    wire::{
        frame::{Auth, Myself},
        shape,
    },
};

/// Transport of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// A WebSocket.
    Socket,
    /// A stream of server-sent events.
    Stream,
    /// A long poll, which ends with its first response.
    Poll,
}

impl Transport {
    /// Whether the connection stays open after the first events, and so needs heartbeats and cursor frames.
    pub(super) fn is_continuous(self) -> bool {
        self != Transport::Poll
    }
}

/// A connection that subscribes.
#[derive(Debug, Clone)]
pub struct Subscriber {
    /// Id of the connection.
    pub connection: ConnectionId,
    /// Its user, and what must stay valid for it to stay open.
    pub credential: Credential,
    /// Expiry of its credentials.
    pub expires_at: Time,
    /// Its transport.
    pub transport: Transport,
}

impl Subscriber {
    /// Whether its credentials have expired, with the same leeway as at admission.
    pub(super) fn has_expired(&self, now: Time) -> bool {
        now >= self.expires_at.plus(LEEWAY)
    }

    /// Whether the revocation of this session or token family concerns it.
    pub(super) fn descends_from(&self, id: Uuid) -> bool {
        let Credential { session, family, .. } = &self.credential;
        session.is_some_and(|session| session.0 == id) || family.is_some_and(|family| family.0 == id)
    }

    /// A number that differs between connections, to spread their retries and reconnects: the random part of the id.
    pub(super) fn seed(&self) -> u64 {
        self.connection.0.as_u64_pair().1
    }
}

/// Id and auth context of a connection that opens.
#[derive(Clone, Copy)]
pub struct ConnectionIdentity<'a> {
    /// Id of the connection.
    pub connection: ConnectionId,
    /// Auth context of its request.
    pub context: &'a AuthContext,
}

impl<'a> ConnectionIdentity<'a> {
    /// The identity of a new connection.
    pub fn new(context: &'a AuthContext) -> ConnectionIdentity<'a> {
        ConnectionIdentity { connection: ConnectionId::new(), context }
    }

    /// The connection, as the outlet knows it.
    pub fn subscriber(&self, transport: Transport) -> Subscriber {
        Subscriber {
            connection: self.connection,
            credential: self.context.credential().clone(),
            expires_at: self.context.expires_at(),
            transport,
        }
    }

    /// The user, as the client is told.
    pub fn user(&self) -> Myself<'a> {
        Myself { user_id: self.context.user_id().as_str(), name: self.context.name() }
    }

    /// The authentication, as the client is told.
    pub fn auth(&self) -> Auth<'a> {
        Auth { method: self.context.method().name(), expires_at: shape::time(self.context.expires_at()) }
    }
}
