//! `serve` and `check`: configuration, probe, and only then the port.

use std::{net::TcpListener, sync::Arc};

use clap::Args;

use super::{Failure, Where, logging, open, print};
use crate::{
    auth::{Addresses, Cookies, KeyRing, Origins, Tokens},
    config::{Config, Environment},
    domain::Limits,
    http::{
        gateway::{Admission, Gateway, SystemClock},
        probe::{self, Check},
        server,
    },
};

#[derive(Debug, Args)]
pub struct ServeArgs {
    #[command(flatten)]
    place: Where,
    /// Listen address, like 127.0.0.1:8080.
    #[arg(long, value_name = "ADDRESS")]
    bind: Option<String>,
}

/// `hailgate serve`.
pub fn run(args: &ServeArgs) -> Result<(), Failure> {
    let config = args.place.load(args.bind.clone())?;
    logging::start(config.log_format);
    log::info!("environment {}, database {}", config.environment.name(), config.database.display());
    if config.public_url.is_none() && config.environment != Environment::Development {
        log::warn!("HAILGATE_PUBLIC_URL is not set: programs can sign in by token, browsers cannot");
    }
    actix::System::new().block_on(async move {
        prove().await?;
        let address = config.bind;
        let port = TcpListener::bind(address).map_err(|error| {
            Failure::Unavailable(format!("{address} cannot be listened on: {error}. Choose another --bind."))
        })?;
        serve(&config, port, |_| {}).await
    })
}

/// Runs the probe; nothing is opened unless every answer is right.
pub(super) async fn prove() -> Result<Vec<Check>, Failure> {
    let report = probe::run().await?;
    match report.verdict() {
        Some(verdict) => Err(Failure::Probe(verdict)),
        None => Ok(report.0),
    }
}

/// Serves on a bound port until a signal ends it. `ready` is called when the gateway is there.
pub(super) async fn serve(config: &Config, port: TcpListener, ready: impl FnOnce(u16)) -> Result<(), Failure> {
    let store = open(config)?;
    let limits = within_files(&config.limits);
    let address = port.local_addr().map_err(|error| Failure::Unavailable(error.to_string()))?;
    let admission = admission(config, address.port())?;
    let gateway = Gateway::start(store, limits, Arc::new(SystemClock), admission).await?;
    log::info!("listening on http://{address}");
    ready(address.port());
    let workers = config.workers;
    server::run(gateway, port, workers).await.map_err(|error| Failure::Unavailable(error.to_string()))
}

/// Descriptors that a connection takes: its socket, and the one by which it is cut.
const FILES_A_CONNECTION: u64 = 2;
/// Descriptors of the store, of plain requests and of the program itself.
const FILES_BESIDE: u64 = 256;

/// Takes as many descriptors as the system gives. Connections that do not fit into them are refused with an answer at
/// admission, instead of failing in the middle.
fn within_files(limits: &Limits) -> Limits {
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1_024);
    let fit = (files.saturating_sub(FILES_BESIDE) / FILES_A_CONNECTION).max(1);
    if fit < limits.connections_node {
        log::warn!("the system allows {files} open files: room for {fit} connections, not {}", limits.connections_node);
    }
    Limits { connections_node: limits.connections_node.min(fit), ..limits.clone() }
}

fn admission(config: &Config, port: u16) -> Result<Admission, Failure> {
    let development = config.environment == Environment::Development;
    let here = matches!(config.environment, Environment::Development | Environment::Testing);
    let mut origins: Vec<String> = config.public_url.iter().chain(&config.allowed_origins).cloned().collect();
    if development {
        origins.extend(["127.0.0.1", "localhost", "[::1]"].map(|host| format!("http://{host}:{port}")));
    }
    let secrets: Vec<&[u8]> = config.session_keys.iter().map(|key| key.bytes()).collect();
    let keys = KeyRing::new(&secrets).map_err(|_| Failure::Failed("there is no session key".to_owned()))?;
    Ok(Admission {
        keys: Arc::new(keys),
        // Everywhere but in development, which has no https.
        cookies: Cookies { secure: !development },
        tokens: Arc::new(tokens(config)),
        addresses: Addresses::new(config.trusted_proxies.clone(), here),
        origins: Origins::new(origins),
        create_users: config.create_users,
        query_tokens: config.query_tokens,
        environment: config.environment.name(),
        links: development,
        quiet: false,
    })
}

/// The own issuer's tokens.
pub(super) fn tokens(config: &Config) -> Tokens {
    Tokens::new(config.jwt_secret.bytes(), &config.jwt_issuer, &config.jwt_audience)
}

/// `hailgate check`.
pub fn check(place: &Where) -> Result<(), Failure> {
    let config = place.load(None)?;
    print("configuration");
    for origin in &config.origins {
        print(&format!("  {:<28} {:<44} {}", origin.setting, origin.value, origin.place));
    }
    let checks = actix::System::new().block_on(prove())?;
    print("stack\n  session -> identity -> auth context -> routes\nprobe");
    for check in &checks {
        print(&format!("  ok  {}", check.name));
    }
    print(&format!("{} checks passed", checks.len()));
    Ok(())
}
