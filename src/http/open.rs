//! From a configuration to a gateway: what `serve` does, and whoever mounts the gateway in an App of their own.

use std::{fmt, path::Path, sync::Arc};

use super::{
    descriptors::Descriptors,
    files,
    gateway::{Gateway, GatewaySettings, SystemClock},
    keys,
    probe::{self, ProbeSettings, Report},
    routes::Route,
};
use crate::{
    auth::{Addresses, Cookies, KeyRing, Origins, Provider, Tokens, oidc::Terms, provider::Registration},
    config::{Complaint, Config, Environment, Oidc},
    domain::Limits,
    error::Error,
    rest::demo,
    store::sqlite::{OpenError, ServingLock, Sqlite, Unserved},
};

/// Why a configured gateway did not open.
pub enum StartError {
    /// The configuration is refused, for each of these reasons.
    Config(Vec<Complaint>),
    /// The start-up probe says so.
    Probe(String),
    /// The store cannot be used.
    Unavailable(String),
    /// Anything else.
    Failed(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Config(complaints) => {
                write!(f, "the configuration is refused")?;
                complaints.iter().try_for_each(|complaint| write!(f, "\n  - {complaint}"))
            }
            StartError::Probe(what) => write!(f, "the start-up probe failed, nothing was opened\n  - {what}"),
            StartError::Unavailable(what) | StartError::Failed(what) => write!(f, "{what}"),
        }
    }
}

/// In the words for people: what `main` returns is shown so.
impl fmt::Debug for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for StartError {}

impl From<Vec<Complaint>> for StartError {
    fn from(complaints: Vec<Complaint>) -> Self {
        StartError::Config(complaints)
    }
}

impl From<Error> for StartError {
    fn from(error: Error) -> Self {
        StartError::Failed(error.detail.into_owned())
    }
}

impl Gateway {
    /// Opens the gateway that a configuration describes, to be [mounted](Gateway::configure): judges the keys, proves by
    /// the start-up probe that right and wrong are told apart, opens the database. In development the pages of the
    /// configured port are let in, so that it must be the one that is served on.
    ///
    /// # Errors
    /// [`StartError`], in words that say what to do; then nothing is open.
    pub async fn open(config: &Config) -> Result<Arc<Gateway>, StartError> {
        let tokens = Arc::new(keys::tokens(config)?);
        proven(&probe::run_mounted(&ProbeSettings::of(config)).await?)?;
        let store = store_to_serve(config, lock_to_serve(config)?)?;
        let ring = Arc::new(key_ring(config)?);
        // The server around it is not ours: its connections are cut by a second descriptor.
        let limits = Descriptors::of_process(config.workers).doubled().within(&config.limits);
        Gateway::over(store, config, limits, tokens, ring, config.bind.port()).await.map(Arc::new)
    }

    /// The same over a store that is open, within these limits, with keys that somebody else may replace.
    pub(crate) async fn over(
        store: Sqlite,
        config: &Config,
        limits: Limits,
        tokens: Arc<Tokens>,
        ring: Arc<KeyRing>,
        port: u16,
    ) -> Result<Gateway, StartError> {
        let admission = GatewaySettings { oidc: provider(config)?.map(Arc::new), ..admission(config, tokens, ring, port) };
        Ok(Gateway::start(store, limits, Arc::new(SystemClock), admission).await?)
    }
}

/// Runs the probe of what `serve` serves; nothing is opened unless every answer is right.
pub(crate) async fn prove(config: &Config) -> Result<(), StartError> {
    proven(&probe::run(&ProbeSettings::of(config)).await?)
}

fn proven(report: &Report) -> Result<(), StartError> {
    report.verdict().map_or(Ok(()), |verdict| Err(StartError::Probe(verdict)))
}

/// Opens a database.
pub(crate) fn store(database: &Path, limits: &Limits) -> Result<Sqlite, StartError> {
    Sqlite::open(database, limits).map_err(|error| match error {
        OpenError::Outdated(_) => StartError::Unavailable(format!(
            "the database {} cannot be opened: {error}. Start the server of this version first.",
            database.display()
        )),
        error => not_opened(database, &error),
    })
}

/// Takes the lock by which one process at a time serves from the configured database. Taken before the database is opened, so that
/// tables are not changed under a running server of an older version.
pub(crate) fn lock_to_serve(config: &Config) -> Result<ServingLock, StartError> {
    ServingLock::take(&config.database).map_err(|unserved| match unserved {
        Unserved::Held(_) => {
            let remedy = "End that server and wait until it has drained, or give this one another HAILGATE_DATABASE_URL. \
                          Commands like `hailgate user add` work beside it.";
            let path = config.database.display();
            StartError::Unavailable(format!("the database {path} cannot be served from: {unserved}. {remedy}"))
        }
        Unserved::Linked(_) | Unserved::System(_) => not_opened(&config.database, &unserved),
        Unserved::Lock(..) => StartError::Unavailable(format!(
            "the database {} cannot be served from: {unserved}. Give that file to the user who runs the server.",
            config.database.display()
        )),
    })
}

/// Opens it for the one who serves from it.
pub(crate) fn store_to_serve(config: &Config, lock: ServingLock) -> Result<Sqlite, StartError> {
    let served = Sqlite::open_to_serve(&config.database, &config.limits, lock, config.sqlite_synchronous);
    served.map_err(|error| not_opened(&config.database, &error))
}

fn not_opened(path: &Path, error: &impl fmt::Display) -> StartError {
    let (what, remedy) = files::obstacle(path).unwrap_or_else(|| {
        let remedy = "Check HAILGATE_DATABASE_URL, who may write there, and how much space is left.";
        (error.to_string(), remedy.to_owned())
    });
    StartError::Unavailable(format!("the database {} cannot be opened: {what}. {remedy}", path.display()))
}

/// What seals cookies.
pub(crate) fn key_ring(config: &Config) -> Result<KeyRing, StartError> {
    KeyRing::new(&keys::of_session(config)).map_err(|_| keys::no_session_key().into())
}

/// The provider of sign-ins, not asked anything yet.
fn provider(config: &Config) -> Result<Option<Provider>, StartError> {
    let Some(Oidc { issuer, client_id, client_secret, name, prefix }) = config.oidc.clone() else { return Ok(None) };
    let own = config.public_url.as_deref().unwrap_or_default();
    let registration = Registration {
        terms: Terms { issuer, client_id, prefix },
        name,
        client_secret: client_secret.map(|secret| String::from_utf8_lossy(secret.bytes()).into_owned()),
        redirect: format!("{own}{}", Route::of("oidc::callback").path),
    };
    let failed = |reason| StartError::Failed(format!("the sign-in provider cannot be asked: {reason}"));
    Provider::new(registration, &config.limits).map(Some).map_err(failed)
}

fn admission(config: &Config, tokens: Arc<Tokens>, keys: Arc<KeyRing>, port: u16) -> GatewaySettings {
    let development = config.environment == Environment::Development;
    let here = matches!(config.environment, Environment::Development | Environment::Testing);
    let mut origins: Vec<String> = config.public_url.iter().chain(&config.allowed_origins).cloned().collect();
    if development {
        origins.extend(["127.0.0.1", "localhost", "[::1]"].map(|host| format!("http://{host}:{port}")));
    }
    GatewaySettings {
        keys,
        // Everywhere but in development, which has no https.
        cookies: Cookies { secure: !development },
        https: config.tls.is_some() || config.public_url.as_deref().is_some_and(|url| url.starts_with("https://")),
        tokens,
        addresses: Addresses::new(config.trusted_proxies.clone(), here),
        origins: Origins::new(origins),
        create_users: config.create_users,
        query_tokens: config.query_tokens,
        environment: config.environment.name(),
        links: development,
        demo: demo::of_this_machine(&config.demo, development, config.bind),
        oidc: None,
        quiet: false,
    }
}
