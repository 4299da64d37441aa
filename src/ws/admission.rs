//! Admission: `GET /ws` is refused before the upgrade, or accepted; never accepted and then refused.

use std::rc::Rc;

use actix_web::{HttpRequest, HttpResponse, web};

use super::connection::Connection;
use crate::{
    auth::{AuthContext, Verdict},
    domain::ConnectionId,
    error::Error,
    hub::{Line, Node, Sitter, messages::Permit},
    socket::{Cutter, UpgradeSlot, web_actors},
    wire::rest::{self, SocketQuery},
};

/// The proof that an upgrade may become a connection. Without one no connection can be built.
pub struct Admitted {
    context: AuthContext,
    connection_id: ConnectionId,
    since: Option<String>,
    _permit: Permit,
}

impl Admitted {
    /// Who was admitted.
    pub fn context(&self) -> &AuthContext {
        &self.context
    }

    /// The new connection's name.
    pub fn connection_id(&self) -> ConnectionId {
        self.connection_id
    }

    /// The cursor to resume from.
    pub fn since(&self) -> Option<&str> {
        self.since.as_deref()
    }

    /// The connection as the outlet knows it.
    pub fn sitter(&self) -> Sitter {
        Sitter {
            connection: self.connection_id,
            user: self.context.user_id().clone(),
            session: self.context.session_id(),
            expires_at: self.context.expires_at(),
            socket: true,
        }
    }
}

/// In the order of refusal: origin, credentials, the form of the upgrade, the user's limits, capacity.
async fn admit(request: &HttpRequest, node: &Node) -> Result<(Admitted, UpgradeSlot), Error> {
    let verdict = Verdict::of(request)?;
    verdict.origin()?;
    let context = verdict.who()?;
    let slot = UpgradeSlot::of(request.head())?;
    let SocketQuery { since, token: _ } = rest::from_query(request.query_string())?;
    let permit = node.admit(context.user_id()).await?;
    Ok((Admitted { context, connection_id: ConnectionId::new(), since, _permit: permit }, slot))
}

/// `GET /ws`.
///
/// # Errors
/// Every refusal, as a problem document, before the upgrade.
pub async fn connect(request: HttpRequest, payload: web::Payload, node: web::Data<Node>) -> Result<HttpResponse, Error> {
    let node = node.into_inner();
    let (admitted, slot) = admit(&request, &node).await?;
    let line = Rc::new(Line::new(&node.limits));
    if let Some(cut) = Cutter::of(&request) {
        line.set_cut(cut);
    }
    let response = web_actors::upgrade(&request, payload, slot, Rc::clone(&line), &node.limits)?;
    Connection::open(admitted, line, node);
    Ok(response)
}
