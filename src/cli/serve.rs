//! `serve`: configuration, probe, and only then the port.

use std::{net::TcpListener, sync::Arc};

use actix_web::cookie::Key;
use clap::Args;

use super::{Failure, Where, keys, logging, open};
use crate::{
    auth::{Origins, Tokens},
    config::{Config, Environment},
    domain::Limits,
    http::{
        gateway::{Admission, Gateway, SystemClock},
        probe, server,
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
    let load = || args.place.load(args.bind.clone());
    let config = load()?;
    let tokens = keys::tokens(&config)?;
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
        serve(&config, tokens, port, load, |_| {}).await
    })
}

/// Runs the probe; nothing is opened unless every answer is right.
pub(super) async fn prove() -> Result<(), Failure> {
    probe::run().await?.verdict().map_or(Ok(()), |verdict| Err(Failure::Probe(verdict)))
}

/// Serves on a bound port until a signal ends it. `ready` is called when the gateway is there; `load` reads the
/// configuration again when a hangup asks for it.
pub(super) async fn serve(
    config: &Config,
    tokens: Tokens,
    port: TcpListener,
    load: impl Fn() -> Result<Config, Failure>,
    ready: impl FnOnce(u16),
) -> Result<(), Failure> {
    let store = open(config)?;
    let limits = within_files(&config.limits);
    let address = port.local_addr().map_err(|error| Failure::Unavailable(error.to_string()))?;
    let tokens = Arc::new(tokens);
    let admission = admission(config, Arc::clone(&tokens), address.port())?;
    let gateway = Gateway::start(store, limits, Arc::new(SystemClock), admission).await?;
    let fresh = Arc::clone(&tokens);
    let fresh = actix_rt::spawn(async move { fresh.keep_fresh(Arc::new(SystemClock)).await });
    log::info!("listening on http://{address}");
    ready(address.port());
    let served = server::run(gateway, port, config.workers, || reload(&load, &tokens)).await;
    fresh.abort();
    served.map_err(|error| Failure::Unavailable(error.to_string()))
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

/// Reads the configuration again and puts its keys in force. What else it says waits for the next start.
fn reload(load: impl Fn() -> Result<Config, Failure>, tokens: &Tokens) {
    match load().and_then(|config| keys::replace(tokens, &config)) {
        Ok(()) => log::info!("the keys of tokens were read again and are in force"),
        Err(Failure::Config(complaints)) => {
            for complaint in complaints {
                log::error!("the keys of tokens stay as they are: {complaint}");
            }
        }
        Err(_) => log::error!("the keys of tokens stay as they are: the configuration cannot be read"),
    }
}

fn admission(config: &Config, tokens: Arc<Tokens>, port: u16) -> Result<Admission, Failure> {
    let development = config.environment == Environment::Development;
    let mut origins: Vec<String> = config.public_url.iter().chain(&config.allowed_origins).cloned().collect();
    if development {
        origins.extend(["127.0.0.1", "localhost", "[::1]"].map(|host| format!("http://{host}:{port}")));
    }
    let session_key = Key::try_from(config.session_key.bytes()).map_err(|error| Failure::Failed(error.to_string()))?;
    Ok(Admission {
        session_key,
        // Everywhere but in development, which has no https.
        secure_cookie: !development,
        tokens,
        origins: Origins::new(origins),
        create_users: config.create_users,
        query_tokens: config.query_tokens,
        environment: config.environment.name(),
        links: development,
        quiet: false,
    })
}
