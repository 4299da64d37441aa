//! Admission: `GET /ws` is refused before the upgrade, or accepted; never accepted and then refused.

use std::{rc::Rc, sync::Arc};

use actix_web::{HttpRequest, HttpResponse, ResponseError, dev, web};

use super::connection::Connection;
use crate::{
    auth::{AuthContext, Verdict},
    domain::ConnectionId,
    error::Error,
    feed,
    hub::{Line, Node, Sitter, messages::Permit},
    socket::{Cut, Cutter, UpgradeSlot, web_actors},
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
async fn admit(request: &HttpRequest, payload: &dev::Payload, node: &Node) -> Result<(Admitted, UpgradeSlot), Error> {
    let verdict = Verdict::of(request)?;
    verdict.origin()?;
    let context = verdict.who()?;
    let slot = UpgradeSlot::of(request.head(), payload)?;
    let SocketQuery { since, token: _ } = rest::from_query(request.query_string())?;
    let permit = node.admit(context.user_id()).await?;
    Ok((Admitted { context, connection_id: ConnectionId::new(), since, _permit: permit }, slot))
}

/// `GET /ws`: 101, or a problem document before the upgrade.
pub async fn connect(request: HttpRequest, payload: web::Payload, node: web::Data<Node>) -> HttpResponse {
    open(&request, payload, node.into_inner()).await.unwrap_or_else(|refused| {
        let mut response = refused.error_response();
        Cutter::refuse_rest(&request, &mut response);
        response
    })
}

async fn open(request: &HttpRequest, payload: web::Payload, node: Arc<Node>) -> Result<HttpResponse, Error> {
    let payload = payload.into_inner();
    let (admitted, slot) = admit(request, &payload, &node).await?;
    let line = Rc::new(Line::new(&node.limits));
    let cut = Cut::of(request);
    line.set_cut(move || cut.now());
    // Everything that can fail comes before the answer: once accepted, a connection is not refused.
    let opening = feed::open(&node, admitted.sitter(), &line, admitted.since()).await?;
    if let Some(closing) = line.closing() {
        return Err(closing.refusal());
    }
    let response = web_actors::upgrade(request, payload, slot, Rc::clone(&line), &node.limits)?;
    Connection::open(admitted, opening, line, node);
    Ok(response)
}
