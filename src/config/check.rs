//! What is true: every value parsed and judged, secrets weighed, combinations that would open something refused.

use std::{
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    str::FromStr,
};

use base64::{Engine, engine::general_purpose};
use ipnet::IpNet;

use super::{
    Complaint, Config, Environment, LogFormat, Origin, Place, SETTINGS, Secret, Setting,
    issuers::is_pem,
    read::{Values, Written},
};
use crate::domain::Limits;

/// Fewest bytes of a signing secret (RFC 7518 section 3.2 for HS256).
pub(super) const SECRET_BYTES_MIN: usize = 32;
/// Bytes of a session key.
const SESSION_KEY_BYTES: usize = 64;
/// Most session keys: each is tried on every cookie that no newer one opens.
const SESSION_KEYS_MAX: usize = 8;
/// Most networks of trusted proxies: each is compared with the peer of every login and upgrade.
const PROXIES_MAX: usize = 64;
/// Texts that stand in examples everywhere: a secret that holds one is nobody's secret.
const SAMPLES: &[&str] =
    &["changeme", "change-me", "change_me", "secret", "password", "example", "12345678", "your-", "hailgate"];

/// What to do where a key is missing, beside setting it.
pub(super) const WRITE_KEYS: &str = "Or let `hailgate config --write FILE` make a file with fresh keys.";

pub(super) struct Checker<'a> {
    pub values: &'a Values,
    pub complaints: Vec<Complaint>,
}

pub(super) fn check(values: &Values) -> Result<Config, Vec<Complaint>> {
    let mut checker = Checker { values, complaints: Vec::new() };
    let environment = checker.environment();
    let bind = checker.bind();
    let (tls, database, synchronous) = (checker.tls(), checker.database(), checker.synchronous());
    let (own_key, trusted_issuers) = checker.issuers();
    let session_keys = checker.session_keys();
    let public_url = checker.public_url(environment);
    let oidc = checker.oidc(public_url.as_deref(), &trusted_issuers);
    let allowed_origins = checker.allowed_origins(environment);
    let (create_users, query_tokens) = (checker.flag("create_users"), checker.flag("query_tokens"));
    let trusted_proxies = checker.trusted_proxies();
    let (log_format, workers, limits) = (checker.log_format(), checker.workers(), checker.limits());
    checker.development_stays_here(environment, bind);
    checker.secrets_differ(own_key.as_ref(), session_keys.as_deref());
    let (jwt_issuer, jwt_audience) = (checker.claim("jwt_issuer"), checker.claim("jwt_audience"));
    let private_key_file = checker.private_key_file();
    let Checker { complaints, .. } = checker;
    let parts = (environment, bind, database, synchronous, own_key, session_keys, log_format, workers, limits);
    let (
        Some(environment),
        Some(bind),
        Some(database),
        Some(sqlite_synchronous),
        Some(own_key),
        Some(session_keys),
        Some(log_format),
        Some(workers),
        Some(limits),
    ) = parts
    else {
        return Err(complaints);
    };
    let config = Config {
        demo: Vec::new(),
        origins: origins(values, Some((&database, workers))),
        environment,
        bind,
        tls,
        database,
        sqlite_synchronous,
        own_key,
        private_key_file,
        trusted_issuers,
        jwt_issuer,
        jwt_audience,
        session_keys,
        public_url,
        oidc,
        allowed_origins,
        create_users: create_users.unwrap_or(false),
        query_tokens: query_tokens.unwrap_or(true),
        trusted_proxies,
        log_format,
        workers,
        limits,
    };
    if complaints.is_empty() { Ok(config) } else { Err(complaints) }
}

impl Checker<'_> {
    pub(super) fn written(&self, key: &str) -> Option<&Written> {
        self.values.settings.get(key)
    }

    pub(super) fn place(&self, key: &str) -> Place {
        self.written(key).map_or(Place::Default, |written| written.place.clone())
    }

    pub(super) fn text(&self, key: &str) -> String {
        let default = SETTINGS.iter().find(|setting| setting.key == key).map_or("", |setting| setting.default);
        self.written(key).map_or(default, |written| &written.text).to_owned()
    }

    pub(super) fn complain(&mut self, key: &str, what: impl Into<String>, remedy: impl Into<String>) {
        let place = match self.place(key) {
            Place::Default => {
                let variable = SETTINGS.iter().find(|setting| setting.key == key).map_or("", |setting| setting.variable);
                format!("variable {variable}, or `{key}` in the configuration file (neither is set)")
            }
            place => place.to_string(),
        };
        self.complaints.push(Complaint::new(what, &place, remedy));
    }

    fn parsed<T: FromStr>(&mut self, key: &'static str, remedy: &str) -> Option<T> {
        let text = self.text(key);
        let parsed = text.parse().ok();
        if parsed.is_none() {
            self.complain(key, format!("`{key}` cannot be {text:?}."), remedy);
        }
        parsed
    }

    /// The listen address. Platforms that run images say `PORT`; it is obeyed where the address is open to all anyway.
    fn bind(&mut self) -> Option<SocketAddr> {
        let mut bind = self.parsed::<SocketAddr>("bind", "Write an address and port like 127.0.0.1:8080.")?;
        if let Some(port) = self.values.port.as_ref().filter(|_| bind.ip().is_unspecified()) {
            let Ok(number) = port.text.parse() else {
                let what = format!("PORT cannot be {:?}.", port.text);
                self.complaints.push(Complaint::new(what, &port.place, "Write a port number."));
                return None;
            };
            bind.set_port(number);
        }
        Some(bind)
    }

    /// Nothing else than the exact name: a variable that was meant and misspelt must not pass for another environment.
    fn environment(&mut self) -> Option<Environment> {
        let text = self.text("environment");
        let environment = Environment::named(&text);
        if environment.is_none() {
            let remedy = "Write exactly production, staging, testing or development, or leave it out for production.";
            self.complain("environment", format!("There is no environment {text:?}."), remedy);
        }
        environment
    }

    fn development_stays_here(&mut self, environment: Option<Environment>, bind: Option<SocketAddr>) {
        if environment == Some(Environment::Development)
            && let Some(bind) = bind
            && !bind.ip().is_loopback()
        {
            let what = format!("Development listens on this machine only, and {bind} is open to others.");
            self.complain("bind", what, "Bind to 127.0.0.1, or set ENVIRONMENT to where this really runs.");
        }
    }

    pub(super) fn database(&mut self) -> Option<PathBuf> {
        if self.written("database_url").is_none() {
            return Some(default_database(self.values));
        }
        let text = self.text("database_url");
        if text.starts_with("sqlite:///") && text.contains(['?', '#']) {
            let what = "The database's address has `?` or `#` in it: options there are not known.";
            self.complain("database_url", what, "Write sqlite:///absolute/path.db, and nothing after it.");
            return None;
        }
        let path = text
            .strip_prefix("sqlite://")
            .map(PathBuf::from)
            .filter(|path| path.is_absolute() && path.file_name().is_some());
        if path.is_none() {
            // The text is not repeated: an address of another engine may hold a password.
            self.complain("database_url", "The database cannot be at that address.", "Write sqlite:///absolute/path.db.");
        }
        path
    }

    /// Newest first. Every key is judged; one that is wrong is named by its place in the list, never repeated.
    fn session_keys(&mut self) -> Option<Vec<Secret>> {
        let remedy = "Set it to 64 random bytes as hex or base64, for example the output of: openssl rand -hex 64";
        if self.written("session_key").is_none() {
            self.complain(
                "session_key",
                "HAILGATE_SESSION_KEY is missing: session cookies cannot be sealed without it.",
                format!("{remedy}. {WRITE_KEYS}"),
            );
            return None;
        }
        let text = self.text("session_key");
        let count = text.split(',').count();
        if count > SESSION_KEYS_MAX {
            let what = format!("HAILGATE_SESSION_KEY has {count} keys; it may have {SESSION_KEYS_MAX}.");
            self.complain("session_key", what, "Leave out the oldest: what it sealed has ended after 7 days.");
            return None;
        }
        let mut keys: Vec<Option<Secret>> = Vec::with_capacity(count);
        for (place, text) in text.split(',').enumerate() {
            let name = match count {
                1 => "HAILGATE_SESSION_KEY".to_owned(),
                _ => format!("HAILGATE_SESSION_KEY, key {} of {count},", place + 1),
            };
            let key = self.one_session_key(&name, text.trim(), remedy);
            if key.is_some() && keys.contains(&key) {
                let remedy = "Put a new key in front of the old ones, each once.";
                self.complain("session_key", format!("{name} stands there twice."), remedy);
            }
            keys.push(key);
        }
        keys.into_iter().collect()
    }

    fn one_session_key(&mut self, name: &str, text: &str, remedy: &str) -> Option<Secret> {
        // Tools that print keys break lines.
        let text: String = text.split_whitespace().collect();
        let decoded = match text.len() {
            128 => hex::decode(&text).ok(),
            _ => general_purpose::STANDARD.decode(&text).or_else(|_| general_purpose::URL_SAFE_NO_PAD.decode(&text)).ok(),
        };
        let Some(key) = decoded.filter(|key| key.len() == SESSION_KEY_BYTES) else {
            self.complain("session_key", format!("{name} is not 64 bytes as hex or base64."), remedy);
            return None;
        };
        self.weigh("session_key", name, &key, remedy)?;
        Some(Secret(key))
    }

    /// Refuses secrets that can be guessed.
    pub(super) fn weigh(&mut self, key: &'static str, name: &str, secret: &[u8], remedy: &str) -> Option<()> {
        let distinct = secret.iter().collect::<std::collections::BTreeSet<_>>().len();
        let lower = String::from_utf8_lossy(secret).to_lowercase();
        let what = if secret.len() < SECRET_BYTES_MIN {
            format!("{name} has {} bytes; it needs {SECRET_BYTES_MIN}.", secret.len())
        } else if distinct < 8 || SAMPLES.iter().any(|sample| lower.contains(sample)) {
            format!("{name} looks like an example, which everybody knows.")
        } else {
            return Some(());
        };
        self.complain(key, what, remedy);
        None
    }

    /// Networks whose members may say for whom they ask. One that holds everybody would let everybody say so.
    fn trusted_proxies(&mut self) -> Vec<IpNet> {
        let text = self.text("trusted_proxies");
        let parts: Vec<&str> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
        if parts.len() > PROXIES_MAX {
            let what = format!("`trusted_proxies` names {} networks; it may name {PROXIES_MAX}.", parts.len());
            self.complain("trusted_proxies", what, "Join them into larger networks.");
        }
        let mut networks = Vec::with_capacity(parts.len());
        for part in parts {
            let network = part.parse::<IpNet>().or_else(|_| part.parse::<IpAddr>().map(IpNet::from));
            match network {
                Ok(network) if network.prefix_len() > 0 => networks.push(network),
                Ok(_) => {
                    let what = format!("{part:?} trusts everybody, so that anybody could claim any address.");
                    self.complain("trusted_proxies", what, "Write the networks of your own proxies only.");
                }
                Err(_) => {
                    let what = format!("{part:?} is no network.");
                    self.complain("trusted_proxies", what, "Write it like 10.0.0.0/8, fd00::/8 or 192.0.2.1.");
                }
            }
        }
        networks
    }

    pub(super) fn flag(&mut self, key: &'static str) -> Option<bool> {
        match self.text(key).as_str() {
            "true" | "on" => Some(true),
            "false" | "off" => Some(false),
            other => {
                self.complain(
                    key,
                    format!("`{key}` cannot be {other:?}."),
                    "Write on or off; true and false mean the same.",
                );
                None
            }
        }
    }

    /// What own tokens must say: something.
    pub(super) fn claim(&mut self, key: &str) -> String {
        let text = self.text(key);
        if text.trim().is_empty() {
            self.complain(key, format!("`{key}` is empty."), "Write a text, or leave the setting out for hailgate.");
        }
        text
    }

    fn log_format(&mut self) -> Option<LogFormat> {
        match self.text("log_format").as_str() {
            "text" => Some(LogFormat::Text),
            "json" => Some(LogFormat::Json),
            other => {
                self.complain("log_format", format!("`log_format` cannot be {other:?}."), "Write text or json.");
                None
            }
        }
    }

    fn workers(&mut self) -> Option<usize> {
        if self.written("workers").is_none() {
            return Some(default_workers());
        }
        let workers = self.parsed::<usize>("workers", "Write a number between 1 and 1024.")?;
        if !(1..=1024).contains(&workers) {
            self.complain("workers", format!("`workers` cannot be {workers}."), "Write a number between 1 and 1024.");
            return None;
        }
        Some(workers)
    }
}

/// The database where none is named: in the directory that systemd gives, or in the working directory.
fn default_database(values: &Values) -> PathBuf {
    super::database_in(values.state_directory.as_deref().unwrap_or(Path::new("")))
}

/// Worker threads where no number is set: one a core.
fn default_workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Every setting and limit, with its value and where that was written. Before the configuration is valid, without `judged`,
/// a value that may hold a secret in a wrong place is masked.
pub(super) fn origins(values: &Values, judged: Option<(&Path, usize)>) -> Vec<Origin> {
    let masked = |written: &Written| format!("(set, {} characters)", written.text.chars().count());
    let setting = |setting: &Setting| {
        let written = values.settings.get(setting.key);
        let value = match (setting.key, written, judged) {
            // The path of a key is no secret; nothing else would have been read.
            ("jwt_private_key", Some(written), Some(_)) if !is_pem(&written.text) => written.text.clone(),
            (_, Some(written), _) if setting.secret => masked(written),
            ("database_url", _, Some((database, _))) => format!("sqlite://{}", database.display()),
            ("workers", _, Some((_, workers))) => workers.to_string(),
            // Addresses with a user and a password or a query, and of engines that are not known.
            (_, Some(written), None) if written.text.contains(['@', '?', '#']) => masked(written),
            ("database_url", Some(written), None) if !written.text.starts_with("sqlite:///") => masked(written),
            (_, Some(written), _) => written.text.clone(),
            ("database_url", None, None) => format!("sqlite://{}", default_database(values).display()),
            ("workers", None, None) => default_workers().to_string(),
            (_, None, _) if setting.default.is_empty() => "(not set)".to_owned(),
            (_, None, _) => setting.default.to_owned(),
        };
        let place = written.map_or(Place::Default, |written| written.place.clone());
        Origin { setting: setting.key.to_owned(), value, place }
    };
    let limit = |(name, default): (&'static str, u64)| {
        let written = values.limits.get(name);
        let value = written.map_or_else(|| default.to_string(), |written| written.text.clone());
        let place = written.map_or(Place::Default, |written| written.place.clone());
        Origin { setting: format!("limits.{name}"), value, place }
    };
    SETTINGS.iter().map(setting).chain(Limits::default().entries().into_iter().map(limit)).collect()
}
