//! Admission: `GET /ws` is refused before the upgrade, or accepted; never accepted and then refused.

use std::{rc::Rc, sync::Arc};

use actix_web::{
    HttpRequest, HttpResponse, ResponseError, dev,
    http::header::{self, HeaderValue},
    web,
};

use super::connection::Connection;
use crate::{
    auth::{AuthContext, Judge, Method, Rates, Verdict, carried::SUBPROTOCOL},
    domain::ConnectionId,
    error::Error,
    feed,
    hub::{Guest, Line, Node, Transport, messages::Permit},
    socket::{self, Cutter, UpgradeSlot, gate::Gate},
    wire::rest::{self, PreflightAnswer, SocketQuery},
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

    /// The cursor to resume from.
    pub fn since(&self) -> Option<&str> {
        self.since.as_deref()
    }

    /// The connection's name and whose it is.
    pub fn guest(&self) -> Guest<'_> {
        Guest { connection: self.connection_id, context: &self.context }
    }
}

/// In the order of refusal: the address's limit, origin, credentials, the form of the upgrade, the user's limits, capacity.
async fn admit(request: &HttpRequest, payload: &dev::Payload, node: &Node) -> Result<(Admitted, UpgradeSlot), Error> {
    let verdict = Verdict::of(request)?;
    verdict.entry()?;
    let context = verdict.who()?;
    let slot = UpgradeSlot::of(request, payload)?;
    let SocketQuery { since, .. } = rest::from_query(request.query_string())?;
    let permit = node.admit(context.user_id()).await?;
    Ok((Admitted { context, connection_id: ConnectionId::new(), since, _permit: permit }, slot))
}

/// `POST /api/ws/preflight`: always 200, with the verdict that an upgrade with these credentials would get now. A browser
/// does not see why its upgrade was refused: it asks here. Uses nothing up but one of the user's requests.
pub async fn preflight(request: HttpRequest, node: web::Data<Node>) -> HttpResponse {
    let verdict = would_admit(&request, &node).await;
    let refused = verdict.as_ref().err();
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(PreflightAnswer {
        accepted: refused.is_none(),
        code: refused.map_or("accepted", |error| error.code.name()),
        reason: refused.map_or("An upgrade would be accepted.", |error| &error.detail),
        retry_after_ms: refused.and_then(|error| error.retry_after_ms),
    })
}

async fn would_admit(request: &HttpRequest, node: &Node) -> Result<(), Error> {
    let verdict = Verdict::of(request)?;
    verdict.entry()?;
    let context = verdict.who()?;
    Rates::of(request)?.request(context.user_id())?;
    node.would_admit(context.user_id()).await
}

/// `GET /ws`: 101, or a problem document before the upgrade.
pub async fn connect(
    request: HttpRequest,
    payload: web::Payload,
    node: web::Data<Node>,
    judge: web::Data<Judge>,
) -> HttpResponse {
    open(&request, payload, node.into_inner(), judge.into_inner()).await.unwrap_or_else(|refused| {
        let mut response = refused.error_response();
        Cutter::refuse_rest(&request, &mut response);
        response
    })
}

async fn open(
    request: &HttpRequest,
    payload: web::Payload,
    node: Arc<Node>,
    judge: Arc<Judge>,
) -> Result<HttpResponse, Error> {
    let payload = payload.into_inner();
    let (admitted, slot) = admit(request, &payload, &node).await?;
    let line = Rc::new(Line::new(&node.limits));
    // Everything that can fail comes before the answer: once accepted, a connection is not refused.
    let opening = feed::open(&node, admitted.guest().sitter(Transport::Socket), &line, admitted.since()).await?;
    if let Some(closing) = line.closing() {
        return Err(closing.refusal());
    }
    let subprotocol = admitted.context.method() == Method::Subprotocol;
    let (gate, lines) = (Gate::of(&node.limits), Rc::clone(&line));
    let start = move |frames| Connection::open(admitted, opening, lines, node, judge, frames);
    let mut response = socket::accept(request, payload, slot, &line, gate, start)?;
    if subprotocol {
        // This one alone: the other that the client offered is its token.
        response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    }
    Ok(response)
}
