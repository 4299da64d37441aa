//! Configuration: what was written becomes what is true, or a complaint that says where and what to do.
//! The only reader of the environment.
//!
//!
//! Decisions: `src/docs/decisions/config.md`.
#![doc = include_str!("config/SETTINGS.md")]

mod check;
mod issuers;
mod kubernetes;
mod limits;
mod names;
mod oidc;
mod origin;
mod parts;
mod read;
mod store;
mod template;
mod text;
mod tls;

use std::{
    ffi::OsString,
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use ipnet::IpNet;

pub use self::{
    issuers::{ISSUER_FIELDS, KeySource, OwnKey, TrustedIssuer},
    oidc::Oidc,
    origin::{keeps_secure_cookies, may_share_a_cookie},
    parts::{Signing, Stored, Survey},
    read::{CONFIG_VARIABLE, LIMIT_PREFIX, Sources},
    template::template,
    text::{Shape, clean, clean_path},
};
use crate::domain::{Limits, Synchronous, UserId};

/// Where the program runs. Nothing about who gets in depends on it, except that development is for this machine only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// The default: whoever says nothing gets the strict rules.
    Production,
    /// A rehearsal of production.
    Staging,
    /// Automated tests.
    Testing,
    /// On loopback only.
    Development,
}

impl Environment {
    /// Every environment.
    pub const ALL: [Environment; 4] =
        [Environment::Production, Environment::Staging, Environment::Testing, Environment::Development];

    /// Exactly as it must be written.
    pub fn name(self) -> &'static str {
        match self {
            Environment::Production => "production",
            Environment::Staging => "staging",
            Environment::Testing => "testing",
            Environment::Development => "development",
        }
    }

    /// The environment of exactly this name.
    pub fn named(name: &str) -> Option<Environment> {
        Self::ALL.into_iter().find(|environment| environment.name() == name)
    }
}

/// A secret: never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// The bytes, for the one who signs or seals with them.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({} bytes)", self.0.len())
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What is true.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the program runs.
    pub environment: Environment,
    /// The listen address.
    pub bind: SocketAddr,
    /// The certificate of the port; `None`: it speaks plain HTTP.
    pub tls: Option<TlsFiles>,
    /// The database file.
    pub database: PathBuf,
    /// How sure a commit must be before it counts.
    pub sqlite_synchronous: Synchronous,
    /// The own issuer's key.
    pub own_key: OwnKey,
    /// Where the own private key was read, if it stands in a file of its own.
    pub private_key_file: Option<PathBuf>,
    /// Outside issuers.
    pub trusted_issuers: Vec<TrustedIssuer>,
    /// `iss` of own tokens.
    pub jwt_issuer: String,
    /// `aud` of own tokens.
    pub jwt_audience: String,
    /// Seal the session cookie, newest first: 64 bytes each, at least one.
    pub session_keys: Vec<Secret>,
    /// The origin under which browsers see this server.
    pub public_url: Option<String>,
    /// The provider of sign-ins; `None`: there is none.
    pub oidc: Option<Oidc>,
    /// Other origins whose pages may use it.
    pub allowed_origins: Vec<String>,
    /// Whether a verified token creates its user.
    pub create_users: bool,
    /// Whether `/ws?token=` is taken.
    pub query_tokens: bool,
    /// Networks of proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Worker threads.
    pub workers: usize,
    /// Accounts into which a browser may sign in again without a password. No setting names them: only `hailgate demo` has some.
    pub demo: Vec<UserId>,
    /// Every limit.
    pub limits: Limits,
    /// Each setting, what it is and where that was written, secrets masked.
    pub origins: Vec<Origin>,
}

/// Where a setting's value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The setting.
    pub setting: String,
    /// Its value, masked if it is a secret.
    pub value: String,
    /// Variable, file and line, flag or default.
    pub place: Place,
}

/// A place where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// Nowhere.
    Default,
    /// An environment variable.
    Variable(String),
    /// A file and the line in it.
    File(PathBuf, usize),
    /// A flag of the command line.
    Flag(&'static str),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Default => f.write_str("default"),
            Place::Variable(name) => write!(f, "variable {name}"),
            Place::File(path, line) => write!(f, "{}:{line}", path.display()),
            Place::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

/// What is wrong with the configuration, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}\n    where: {place}\n    do:    {remedy}")]
pub struct Complaint {
    /// What is wrong.
    pub what: String,
    /// Where it was written.
    pub place: String,
    /// What to do.
    pub remedy: String,
}

impl Complaint {
    pub(crate) fn new(what: impl Into<String>, place: &impl ToString, remedy: impl Into<String>) -> Complaint {
        Complaint { what: what.into(), place: place.to_string(), remedy: remedy.into() }
    }
}

/// One setting: its name in the file and as a variable, its default, what it means.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// In the file.
    pub key: &'static str,
    /// In the environment.
    pub variable: &'static str,
    /// Where nothing is written; empty: there is none.
    pub default: &'static str,
    /// A value to begin with, where there is no default; empty for secrets.
    pub example: &'static str,
    /// Whether its value is never shown.
    pub secret: bool,
    /// What may stand in its value.
    pub shape: Shape,
    /// What it means.
    pub meaning: &'static str,
}

/// Every setting. Limits are beside them: `[limits]` in the file, `HAILGATE_LIMIT_<NAME>` as variables. So are outside
/// issuers, in the file alone: `[[trusted_issuer]]` with [`ISSUER_FIELDS`].
pub const SETTINGS: &[Setting] = &[
    setting("environment", "ENVIRONMENT", "production", "production, staging, testing or development").of(Shape::Exact),
    setting("bind", "HAILGATE_BIND", "127.0.0.1:8080", "listen address"),
    setting("tls_cert", "HAILGATE_TLS_CERT", "", "PEM file of the certificate chain: the port speaks https")
        .of(Shape::Line)
        .like("/etc/hailgate/certificate.pem"),
    setting("tls_key", "HAILGATE_TLS_KEY", "", "PEM file of the certificate's private key")
        .of(Shape::Line)
        .like("/etc/hailgate/key.pem"),
    setting(
        "database_url",
        "HAILGATE_DATABASE_URL",
        "",
        "sqlite:///absolute/path.db, backed up by `hailgate backup`: a copy of the file alone lacks what was stored last",
    )
    .of(Shape::Line)
    .like("sqlite:///var/lib/hailgate/hailgate.db"),
    setting(
        "sqlite_synchronous",
        "HAILGATE_SQLITE_SYNCHRONOUS",
        "full",
        "full: what is acknowledged survives power loss; normal: faster, and a power cut may cost the last messages",
    ),
    secret(
        "jwt_secret",
        "HAILGATE_JWT_SECRET",
        "signs and verifies own tokens (HS256), 32 bytes or more; several comma-separated, newest first",
    )
    .of(Shape::Lines),
    secret(
        "jwt_private_key",
        "HAILGATE_JWT_PRIVATE_KEY",
        "signs own tokens instead (RS256, ES256 or EdDSA): PEM, or the path of a PEM file",
    )
    .of(Shape::Block),
    setting("jwt_issuer", "HAILGATE_JWT_ISSUER", "hailgate", "`iss` of own tokens").of(Shape::Line),
    setting("jwt_audience", "HAILGATE_JWT_AUDIENCE", "hailgate", "`aud` of own tokens").of(Shape::Line),
    secret("session_key", "HAILGATE_SESSION_KEY", "seals cookies, 64 bytes as hex or base64; newest of several first")
        .of(Shape::Block),
    setting("public_url", "HAILGATE_PUBLIC_URL", "", "own address as browsers see it, like https://chat.example.org")
        .like("https://chat.example.org"),
    setting(
        "oidc_issuer",
        "HAILGATE_OIDC_ISSUER",
        "",
        "OpenID Connect provider that signs people in, like https://id.example.org",
    )
    .like("https://id.example.org"),
    setting("oidc_client_id", "HAILGATE_OIDC_CLIENT_ID", "", "what the provider calls this server")
        .of(Shape::Line)
        .like("hailgate"),
    secret(
        "oidc_client_secret",
        "HAILGATE_OIDC_CLIENT_SECRET",
        "what the provider knows this server by; a public client has none",
    ),
    setting("oidc_name", "HAILGATE_OIDC_NAME", "", "the provider's name on the page; the host of its address")
        .of(Shape::Line)
        .like("Example"),
    setting("oidc_prefix", "HAILGATE_OIDC_PREFIX", "oidc", "what stands before `:` in the names of its users"),
    setting(
        "allowed_origins",
        "HAILGATE_ALLOWED_ORIGINS",
        "",
        "origins of other pages and of web views that may use this server, comma-separated",
    )
    .of(Shape::Words)
    .like("https://other.example.org"),
    setting("create_users", "HAILGATE_CREATE_USERS", "off", "whether a valid own token creates its user"),
    setting("query_tokens", "HAILGATE_QUERY_TOKENS", "on", "whether /ws?token= is taken"),
    setting(
        "trusted_proxies",
        "HAILGATE_TRUSTED_PROXIES",
        "",
        "networks of proxies to believe, comma-separated, like 10.0.0.0/8",
    )
    .of(Shape::Words)
    .like("10.0.0.0/8"),
    setting("log_format", "HAILGATE_LOG_FORMAT", "text", "text or json"),
    setting("workers", "HAILGATE_WORKERS", "", "worker threads; one a core").like("4"),
];

const fn setting(key: &'static str, variable: &'static str, default: &'static str, meaning: &'static str) -> Setting {
    Setting { key, variable, default, example: "", secret: false, shape: Shape::Word, meaning }
}

const fn secret(key: &'static str, variable: &'static str, meaning: &'static str) -> Setting {
    Setting { key, variable, default: "", example: "", secret: true, shape: Shape::Line, meaning }
}

impl Setting {
    const fn of(self, shape: Shape) -> Setting {
        Setting { shape, ..self }
    }

    const fn like(self, example: &'static str) -> Setting {
        Setting { example, ..self }
    }
}

/// Where the certificate of the port and its key stand.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is named for what it is")]
pub struct TlsFiles {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Config {
    /// Reads every source and judges every value.
    ///
    /// # Errors
    /// Every complaint, not only the first.
    pub fn load(sources: &Sources) -> Result<Config, Vec<Complaint>> {
        let (values, complaints) = read::read(sources);
        if complaints.is_empty() { check::check(&values) } else { Err(complaints) }
    }
}

impl Config {
    /// Reads the process's variables, and the file that they name.
    ///
    /// # Errors
    /// Every complaint, not only the first.
    pub fn of_environment() -> Result<Config, Vec<Complaint>> {
        Config::load(&Sources { variables: environment(), ..Sources::default() })
    }
}

/// The process's environment.
pub fn environment() -> Vec<(OsString, OsString)> {
    std::env::vars_os().collect()
}

/// Variables of what a demo's directory has of its own.
pub const OF_A_DEMO: [&str; 11] = [
    "ENVIRONMENT",
    "HAILGATE_BIND",
    "HAILGATE_CONFIG",
    "HAILGATE_DATABASE_URL",
    "HAILGATE_JWT_AUDIENCE",
    "HAILGATE_JWT_ISSUER",
    "HAILGATE_JWT_PRIVATE_KEY",
    "HAILGATE_JWT_SECRET",
    "HAILGATE_SESSION_KEY",
    "HAILGATE_TLS_CERT",
    "HAILGATE_TLS_KEY",
];

/// A process's environment without what a demo's directory has of its own, and the names of what is left out: whoever has
/// exported the variables of another server still gets the directory's own keys and accounts.
pub fn beside_a_demo(variables: Vec<(OsString, OsString)>) -> (Vec<(OsString, OsString)>, Vec<String>) {
    let own = |name: &OsString| name.to_str().filter(|name| OF_A_DEMO.contains(name)).map(str::to_owned);
    let mut passed_over: Vec<String> = variables.iter().filter_map(|(name, _)| own(name)).collect();
    passed_over.sort_unstable();
    (variables.into_iter().filter(|(name, _)| own(name).is_none()).collect(), passed_over)
}

/// Where `demo` keeps its data unless told: the user's state directory.
pub fn demo_directory() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).and_then(|value| clean_path(PathBuf::from(value)).ok());
    let variable = |name: &str| variable(name).filter(|path| !path.as_os_str().is_empty());
    let state = variable("XDG_STATE_HOME").filter(|path| path.is_absolute());
    let state = state.or_else(|| Some(variable("HOME")?.join(".local").join("state")));
    Some(state?.join("hailgate"))
}

/// The configuration file of a data directory.
pub fn file_in(directory: &Path) -> PathBuf {
    directory.join("hailgate.toml")
}

/// The database of a directory, where no other is named.
pub fn database_in(directory: &Path) -> PathBuf {
    directory.join("hailgate.db")
}

#[cfg(test)]
mod environment_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod text_tests;
