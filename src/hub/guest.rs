//! Who a connection is for: what the outlet and the first frame need of its auth context.

use super::registry::{Sitter, Transport};
use crate::{
    auth::AuthContext,
    domain::ConnectionId,
    wire::{
        frame::{Auth, Myself},
        shape,
    },
};

/// A connection's name and whose it is.
#[derive(Clone, Copy)]
pub struct Guest<'a> {
    /// Names the connection.
    pub connection: ConnectionId,
    /// Whose it is.
    pub context: &'a AuthContext,
}

impl<'a> Guest<'a> {
    /// A new connection of this user.
    pub fn new(context: &'a AuthContext) -> Guest<'a> {
        Guest { connection: ConnectionId::new(), context }
    }

    /// The connection as the outlet knows it.
    pub fn sitter(&self, transport: Transport) -> Sitter {
        Sitter {
            connection: self.connection,
            credential: self.context.credential().clone(),
            expires_at: self.context.expires_at(),
            transport,
        }
    }

    /// The connected user.
    pub fn user(&self) -> Myself<'a> {
        Myself { user_id: self.context.user_id().as_str(), name: self.context.name() }
    }

    /// How the connection was admitted.
    pub fn auth(&self) -> Auth<'a> {
        Auth { method: self.context.method().name(), expires_at: shape::time(self.context.expires_at()) }
    }
}
