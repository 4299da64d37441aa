//! Admission of `GET /ws`: refused before the upgrade, or accepted. An accepted connection is never refused afterwards.
//!
//! Decisions: `src/docs/decisions/upgrades.md`.

use std::{borrow::Cow, rc::Rc, sync::Arc};

use actix_web::{
    HttpRequest, HttpResponse, ResponseError, dev,
    http::{
        Version,
        header::{self, HeaderValue},
    },
    web,
};

use super::connection::Connection;
use crate::{
    auth::{
        AuthContext, AuthOutcome, Judge, Rates,
        address::Forwarding,
        credentials::{SUBPROTOCOL, offers_subprotocol},
    },
    connection_io::ConnectionIo,
    domain::ConnectionId,
    error::Error,
    feed,
    hub::Permit,
    node::Node,
    outlet::{ConnectionIdentity, Transport},
    socket::{self, Cutter, UpgradeSlot, gate::Gate},
    wire::{
        problem::Arrival,
        rest::{self, PreflightAnswer, SocketQuery},
    },
};

/// Proof that an upgrade was admitted. A connection cannot be built without one.
pub struct Admitted {
    context: AuthContext,
    connection_id: ConnectionId,
    since: Option<String>,
    permit: Permit,
}

impl Admitted {
    /// Auth context of the upgrade.
    pub fn context(&self) -> &AuthContext {
        &self.context
    }

    /// The cursor to resume from.
    pub fn since(&self) -> Option<&str> {
        self.since.as_deref()
    }

    /// The auth context and the connection permit.
    pub(super) fn into_parts(self) -> (AuthContext, Permit) {
        (self.context, self.permit)
    }

    /// Identity of the connection.
    pub fn identity(&self) -> ConnectionIdentity<'_> {
        ConnectionIdentity { connection: self.connection_id, context: &self.context }
    }
}

/// Checks, in the order of refusal: rate limit of the address, origin, credentials, form of the upgrade, limits of the user, capacity of
/// the node.
async fn admit(
    request: &HttpRequest,
    slot: Result<UpgradeSlot, Error>,
    node: &Node,
) -> Result<(Admitted, UpgradeSlot), Error> {
    let outcome = AuthOutcome::of(request)?;
    outcome.entry()?;
    let context = outcome.who()?;
    let slot = slot?;
    let SocketQuery { since } = rest::from_query(request.query_string())?;
    let permit = node.admit(context.credential()).await?;
    Ok((Admitted { context, connection_id: ConnectionId::new(), since, permit }, slot))
}

/// `POST /api/ws/preflight`: 200 with the outcome that an upgrade with these credentials would get now. Browsers hide why an upgrade was
/// refused, so clients ask here. It counts as one request of the user and consumes nothing else.
pub async fn preflight(request: HttpRequest, node: web::Data<Node>) -> HttpResponse {
    let outcome = would_admit(&request, &node).await;
    let refused = outcome.as_ref().err();
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(PreflightAnswer {
        accepted: refused.is_none(),
        code: refused.map_or("accepted", |error| error.code.name()),
        reason: refused.map_or("An upgrade would be accepted.", |error| &error.detail),
        retry_after_ms: refused.and_then(|error| error.retry_after_ms),
    })
}

async fn would_admit(request: &HttpRequest, node: &Node) -> Result<(), Error> {
    let outcome = AuthOutcome::of(request)?;
    outcome.entry()?;
    let context = outcome.who()?;
    Rates::of(request)?.request(context.user_id())?;
    node.would_admit(context.credential()).await
}

/// `GET /ws`: 101, or a problem document before the upgrade.
pub async fn connect(
    request: HttpRequest,
    payload: web::Payload,
    node: web::Data<Node>,
    judge: web::Data<Judge>,
) -> HttpResponse {
    let payload = payload.into_inner();
    let slot = UpgradeSlot::of(&request, &payload);
    let fault = slot.as_ref().err().map(|error| error.detail.clone());
    open(&request, payload, slot, node.into_inner(), judge.into_inner()).await.unwrap_or_else(|refused| {
        let mut response = refused.error_response();
        response.extensions_mut().insert(arrival(&request, fault));
        Cutter::refuse_rest(&request, &mut response);
        response
    })
}

fn arrival(request: &HttpRequest, fault: Option<Cow<'static, str>>) -> Arrival {
    let forwarding = Rates::of(request).map_or(Forwarding::None, |rates| rates.forwarding(request));
    Arrival {
        http: if request.version() < Version::HTTP_11 { "1.0" } else { "1.1" },
        tls: socket::encrypted(request),
        upgrade: fault.is_none(),
        upgrade_fault: fault,
        forwarded: match forwarding {
            Forwarding::None => "none",
            Forwarding::Ignored => "ignored",
            Forwarding::Trusted => "trusted",
            Forwarding::Forged => "forged",
        },
        cookie: request.headers().contains_key(header::COOKIE),
    }
}

async fn open(
    request: &HttpRequest,
    payload: dev::Payload,
    slot: Result<UpgradeSlot, Error>,
    node: Arc<Node>,
    judge: Arc<Judge>,
) -> Result<HttpResponse, Error> {
    let (admitted, slot) = admit(request, slot, &node).await?;
    let io = Rc::new(ConnectionIo::new(&node.limits));
    // Everything that can fail comes before the response: an accepted connection is not refused.
    let opening = feed::open(&node, admitted.identity().subscriber(Transport::Socket), &io, admitted.since()).await?;
    if let Some(closing) = io.close_request() {
        return Err(closing.refusal());
    }
    let subprotocol = offers_subprotocol(request.headers());
    let (gate, task_io) = (Gate::of(&node.limits), Rc::clone(&io));
    let start = move |frames| Connection::open(admitted, opening, task_io, node, judge, frames);
    let mut response = socket::accept(request, payload, slot, &io, gate, start)?;
    if subprotocol {
        // Only this one: the other offered subprotocol is the token. A browser fails the connection if it offered subprotocols and the
        // response selects none.
        response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    }
    Ok(response)
}
