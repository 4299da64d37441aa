//! Health and information: is it alive, is it ready, what is it.

use std::{sync::Arc, time::Duration};

use actix_web::{HttpRequest, HttpResponse, http::header, web};
use tokio::sync::Mutex;

use super::{RestServices, demo, ok};
use crate::{
    auth::AuthOutcome,
    domain::Uptime,
    error::Error,
    hub::messages::CheckReadiness,
    node::Node,
    store::Write,
    wire::{
        rest::{BuildInfo, HealthAnswer, InfoAnswer, SignInWays},
        shape::{self, UserShape},
    },
};

/// How long the last answer of the ready check is shared by all who ask.
const SHARED: Duration = Duration::from_secs(1);
/// How long a part may take to answer before it counts as failing.
const CHECK_TIMEOUT: Duration = Duration::from_secs(3);

/// The last answer of the ready check, and when it was given.
#[derive(Default)]
pub struct Canary(Mutex<Option<(Uptime, Option<&'static str>)>>);

/// `GET /health` and `GET /health/live`: the process answers.
pub async fn live() -> HttpResponse {
    health(None)
}

fn health(failing: Option<&'static str>) -> HttpResponse {
    let mut response = match failing {
        None => HttpResponse::Ok(),
        Some(_) => HttpResponse::ServiceUnavailable(),
    };
    let status = if failing.is_none() { "healthy" } else { "unhealthy" };
    response.insert_header((header::CACHE_CONTROL, "no-store")).json(HealthAnswer { status, failing })
}

/// `GET /health/ready`: the hub admits and the store takes a write; else the failing part is named.
pub async fn ready(node: web::Data<Node>, site: web::Data<RestServices>) -> HttpResponse {
    // Who comes while somebody asks waits for that answer.
    let mut last = site.canary.0.lock().await;
    let now = node.clock.uptime();
    let failing = match *last {
        Some((at, failing)) if now.since(at) < SHARED => failing,
        _ => {
            let failing = failing(&node.into_inner()).await;
            *last = Some((now, failing));
            failing
        }
    };
    health(failing)
}

async fn failing(node: &Arc<Node>) -> Option<&'static str> {
    match tokio::time::timeout(CHECK_TIMEOUT, node.hub.send(CheckReadiness)).await {
        Ok(Ok(None)) => {}
        Ok(Ok(failing)) => return failing,
        _ => return Some("hub"),
    }
    let write = node.writer.write(Write::Canary { at: node.clock.now() });
    match tokio::time::timeout(CHECK_TIMEOUT, write).await {
        Ok(Ok(_)) => None,
        _ => Some("store"),
    }
}

/// `GET /api/system/info`: more for those who are signed in, and in a demo for a browser that was.
///
/// # Errors
/// `stack_broken`; in a demo an outage.
pub async fn info(
    request: HttpRequest,
    node: web::Data<Node>,
    site: web::Data<RestServices>,
) -> Result<HttpResponse, Error> {
    let node_id = node.node_id.to_string();
    let signed_in = AuthOutcome::of(&request)?.who().is_ok();
    let build = signed_in.then(|| BuildInfo {
        version: env!("CARGO_PKG_VERSION"),
        git_commit: env!("HAILGATE_GIT_COMMIT"),
        build_time: env!("HAILGATE_BUILD_TIME"),
        started_at: shape::time(node.started_at),
        node_id: &node_id,
    });
    let accounts = demo::accounts(&request, &site, node.clock.now()).await?;
    let demo = (!site.demo.is_empty()).then(|| accounts.iter().map(UserShape::from).collect());
    let sign_in = SignInWays { password: true, oidc: site.oidc.as_ref().map(|provider| provider.name()), demo };
    Ok(ok(&InfoAnswer { name: "hailgate", environment: site.environment, sign_in, build }))
}
