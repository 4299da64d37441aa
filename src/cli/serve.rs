//! `serve`: configuration, probe, and only then the port.

use std::{net::TcpListener, sync::Arc};

use clap::Args;

use super::{Failure, Where, keys, logging, open_to_serve, reload::Reload};
use crate::{
    auth::{Addresses, Cookies, KeyRing, Origins, Provider, Tokens, oidc::Terms, provider::Registration},
    config::{Config, Environment, Oidc},
    domain::Limits,
    http::{
        gateway::{Admission, Gateway, SystemClock},
        probe::{self, Manner},
        routes::Route,
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
    let load = || args.place.load(args.bind.clone());
    let config = load()?;
    let tokens = keys::tokens(&config)?;
    logging::start(config.log_format);
    log::info!("environment {}, database {}", config.environment.name(), config.database.display());
    if config.public_url.is_none() && config.environment != Environment::Development {
        log::warn!("HAILGATE_PUBLIC_URL is not set: programs can sign in by token, browsers cannot");
    }
    actix::System::new().block_on(async move {
        prove(&config).await?;
        let address = config.bind;
        let port = TcpListener::bind(address).map_err(|error| {
            Failure::Unavailable(format!("{address} cannot be listened on: {error}. Choose another --bind."))
        })?;
        serve(&config, tokens, port, load, |_| Ok(())).await
    })
}

/// Runs the probe; nothing is opened unless every answer is right.
pub(super) async fn prove(config: &Config) -> Result<(), Failure> {
    probe::run(&Manner::of(config)).await?.verdict().map_or(Ok(()), |verdict| Err(Failure::Probe(verdict)))
}

/// Serves on a bound port until a signal ends it. `ready` is called before the gateway is there, so that a failure of
/// it leaves nothing to end: who comes then waits in the port's queue. `load` reads the configuration again when a
/// hangup asks for it.
pub(super) async fn serve(
    config: &Config,
    tokens: Tokens,
    port: TcpListener,
    load: impl Fn() -> Result<Config, Failure>,
    ready: impl FnOnce(u16) -> Result<(), Failure>,
) -> Result<(), Failure> {
    if cfg!(feature = "lossy") {
        log::warn!("this build leaves deliveries out on purpose: it is for tests alone");
    }
    let store = open_to_serve(config)?;
    let limits = within_files(&config.limits);
    let address = port.local_addr().map_err(|error| Failure::Unavailable(error.to_string()))?;
    ready(address.port())?;
    let (tokens, ring) = (Arc::new(tokens), Arc::new(key_ring(config)?));
    let again = Reload::new(config, &tokens, &ring);
    let provider = provider(config)?.map(Arc::new);
    let admission =
        Admission { oidc: provider, ..admission(config, Arc::clone(&tokens), Arc::clone(&ring), address.port()) };
    let gateway = Gateway::start(store, limits, Arc::new(SystemClock), admission).await?;
    let fresh = Arc::clone(&tokens);
    let fresh = actix_rt::spawn(async move { fresh.keep_fresh(Arc::new(SystemClock)).await });
    log::info!("listening on http://{address}");
    let served = server::run(gateway, port, config.workers, || again.run(&load)).await;
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

/// What seals cookies.
fn key_ring(config: &Config) -> Result<KeyRing, Failure> {
    KeyRing::new(&keys::of_session(config)).map_err(keys::no_session_key)
}

/// The provider of sign-ins, not asked anything yet.
fn provider(config: &Config) -> Result<Option<Provider>, Failure> {
    let Some(Oidc { issuer, client_id, client_secret, name, prefix }) = config.oidc.clone() else { return Ok(None) };
    let own = config.public_url.as_deref().unwrap_or_default();
    let registration = Registration {
        terms: Terms { issuer, client_id, prefix },
        name,
        client_secret: client_secret.map(|secret| String::from_utf8_lossy(secret.bytes()).into_owned()),
        redirect: format!("{own}{}", Route::of("oidc::callback").path),
    };
    let failed = |reason| Failure::Failed(format!("the sign-in provider cannot be asked: {reason}"));
    Provider::new(registration, &config.limits).map(Some).map_err(failed)
}

fn admission(config: &Config, tokens: Arc<Tokens>, keys: Arc<KeyRing>, port: u16) -> Admission {
    let development = config.environment == Environment::Development;
    let here = matches!(config.environment, Environment::Development | Environment::Testing);
    let mut origins: Vec<String> = config.public_url.iter().chain(&config.allowed_origins).cloned().collect();
    if development {
        origins.extend(["127.0.0.1", "localhost", "[::1]"].map(|host| format!("http://{host}:{port}")));
    }
    Admission {
        keys,
        // Everywhere but in development, which has no https.
        cookies: Cookies { secure: !development },
        tokens,
        addresses: Addresses::new(config.trusted_proxies.clone(), here),
        origins: Origins::new(origins),
        create_users: config.create_users,
        query_tokens: config.query_tokens,
        environment: config.environment.name(),
        links: development,
        oidc: None,
        quiet: false,
    }
}
