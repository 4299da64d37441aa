//! REST: the same hub and the same store as the sockets, for programs and for browsers whose socket cannot open.

mod accept;
pub mod admin;
pub mod auth;
mod body;
pub mod demo;
pub mod events;
pub mod logins;
pub mod messages;
pub mod oidc;
pub mod packed;
mod stream;
pub mod system;
pub mod threads;
pub mod tokens;
pub mod users;

use std::{sync::Arc, time::Duration};

use actix_web::{HttpResponse, http::header};
use serde::Serialize;

use crate::{
    auth::{KnownBrowsers, LoginFlowCookies, Passwords, Provider},
    domain::{Logins, UserId},
    error::{Code, Error},
    hub::messages::PollRevocations,
    node::Node,
};

pub use self::body::Body;

/// What the handlers need beside the node.
pub struct RestServices {
    /// `development`, `testing`, `staging` or `production`.
    pub environment: &'static str,
    /// Whether one-time sign-in links are taken: in development only.
    pub links: bool,
    /// Accounts of `hailgate demo`, into which a browser may sign in again without a password; empty everywhere else.
    pub demo: Vec<UserId>,
    /// Verifies passwords.
    pub passwords: Passwords,
    /// The provider of sign-ins; `None`: there is none.
    pub oidc: Option<Arc<Provider>>,
    /// Keeps browsers on their way to it and back.
    pub login_flows: LoginFlowCookies,
    /// Knows browsers that signed in before.
    pub browsers: KnownBrowsers,
    /// Accounts and sessions.
    pub logins: Arc<dyn Logins>,
    /// The last answer of the ready check.
    pub canary: system::Canary,
}

/// 200 with a private JSON body.
fn ok(body: &impl Serialize) -> HttpResponse {
    private(HttpResponse::Ok(), body)
}

/// 201 with a private JSON body.
fn created(body: &impl Serialize) -> HttpResponse {
    private(HttpResponse::Created(), body)
}

fn private(mut response: actix_web::HttpResponseBuilder, body: &impl Serialize) -> HttpResponse {
    response.insert_header((header::CACHE_CONTROL, "no-store")).json(body)
}

/// 204.
fn no_content() -> HttpResponse {
    HttpResponse::NoContent().insert_header((header::CACHE_CONTROL, "no-store")).finish()
}

/// Has every connection closed whose login has ended by now; how many.
async fn close_ended(node: &Node) -> Result<u64, Error> {
    match tokio::time::timeout(HUB_TIMEOUT, node.hub.send(PollRevocations)).await {
        Ok(Ok(closed)) => closed,
        // What was written is; the hub reads it with its next poll of the revocations, within half a second.
        _ => Err(Error::from(Code::Busy).after_ms(500)),
    }
}

/// How long the hub may take to answer.
const HUB_TIMEOUT: Duration = Duration::from_secs(5);

/// The size of a page: the limit where none is asked for.
fn page(asked: Option<u64>, default: u64, max: u64) -> Result<u64, Error> {
    match asked {
        None => Ok(default.min(max)),
        Some(limit) if (1..=max).contains(&limit) => Ok(limit),
        Some(_) => Err(Error::field("limit", format!("must be between 1 and {max}"))),
    }
}

/// The outcome of a post that answers with something else than was asked: a bug of ours.
fn unexpected_outcome() -> Error {
    Code::Internal.into()
}
