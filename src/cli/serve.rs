//! `serve`: configuration, probe, and only then the port.

use std::{net::TcpListener, sync::Arc};

use clap::Args;

use super::{Failure, Where, logging, not_listening, reload::Reload};
use crate::{
    auth::Tokens,
    config::{Complaint, Config, Environment},
    http::{descriptors::Descriptors, gateway::Gateway, keys, open, server, signals::Signals, tls::Tls},
    store::sqlite::ServingLock,
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
    let (tokens, tls) = (keys::tokens(&config)?, tls(&config)?);
    logging::start(config.log_format);
    log::info!("environment {}, database {}", config.environment.name(), config.database.display());
    if config.public_url.is_none() && config.environment != Environment::Development {
        log::warn!("HAILGATE_PUBLIC_URL is not set: programs can sign in by token, browsers cannot");
    }
    actix::System::new().block_on(async move {
        open::prove(&config).await?;
        let lock = open::lock_to_serve(&config)?;
        let address = config.bind;
        let port = TcpListener::bind(address).map_err(|error| not_listening(address, &error))?;
        serve(&config, lock, tokens, tls, port, load, |_| Ok(())).await
    })
}

/// The certificate of the port, if it is to have one.
pub(super) fn tls(config: &Config) -> Result<Option<Tls>, Vec<Complaint>> {
    config.tls.as_ref().map(Tls::read).transpose().map_err(|complaint| vec![complaint])
}

/// Serves on a bound port until a signal ends it. `ready` is called before the gateway is there, so that a failure of
/// it leaves nothing to end: who comes then waits in the port's queue. `load` reads the configuration again when a
/// hangup asks for it.
pub(super) async fn serve(
    config: &Config,
    lock: ServingLock,
    tokens: Tokens,
    tls: Option<Tls>,
    port: TcpListener,
    load: impl Fn() -> Result<Config, Failure>,
    ready: impl FnOnce(u16) -> Result<(), Failure>,
) -> Result<(), Failure> {
    if cfg!(feature = "lossy") {
        log::warn!("this build leaves deliveries out on purpose: it is for tests alone");
    }
    let store = open::store_to_serve(config, lock)?;
    let address = port.local_addr().map_err(|error| Failure::Unavailable(error.to_string()))?;
    ready(address.port())?;
    let (tokens, ring) = (Arc::new(tokens), Arc::new(open::key_ring(config)?));
    let again = Reload::new(config, &tokens, &ring, tls.as_ref());
    let descriptors = Descriptors::of_process(config.workers);
    let limits = descriptors.within(&config.limits);
    let gateway = Gateway::over(store, config, limits, tokens, ring, address.port()).await?;
    let signals = Signals::listen().map_err(|error| Failure::Failed(format!("signals cannot be heard: {error}")))?;
    log::info!("listening on {}://{address}", if tls.is_some() { "https" } else { "http" });
    let served = server::run(gateway, port, config.workers, descriptors, tls, signals, || again.run(&load)).await;
    served.map_err(|error| Failure::Unavailable(error.to_string()))
}
