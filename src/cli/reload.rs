//! What a hangup does: the configuration is read again, its keys are put in force, and the rest is named.

use std::{cell::RefCell, sync::Arc};

use super::Failure;
use crate::{
    auth::{KeyRing, Tokens},
    config::{Config, OwnKey, Place, Secret, TrustedIssuer},
    http::keys,
};

/// Settings that a hangup puts in force; trusted issuers are beside them.
const KEYS: &[&str] = &["jwt_secret", "jwt_private_key", "jwt_issuer", "jwt_audience", "session_key"];

/// The keys in force, and what the process was started with.
pub(super) struct Reload {
    started: Config,
    held: RefCell<Held>,
    tokens: Arc<Tokens>,
    ring: Arc<KeyRing>,
}

/// Everything that keys come from.
#[derive(PartialEq, Eq)]
struct Held {
    own: OwnKey,
    names: [String; 2],
    session: Vec<Secret>,
    trusted: Vec<TrustedIssuer>,
    files: Vec<Option<Vec<u8>>>,
}

impl Held {
    fn of(config: &Config) -> Held {
        // An entry that has only moved is the same.
        let nowhere = |trusted: &TrustedIssuer| TrustedIssuer {
            place: Place::Default,
            issuer_place: Place::Default,
            keys_place: Place::Default,
            algorithms_place: Place::Default,
            ..trusted.clone()
        };
        Held {
            own: config.own_key.clone(),
            names: [config.jwt_issuer.clone(), config.jwt_audience.clone()],
            session: config.session_keys.clone(),
            trusted: config.trusted_issuers.iter().map(nowhere).collect(),
            files: keys::files(config),
        }
    }
}

impl Reload {
    /// Of a process that was started with this configuration.
    pub(super) fn new(config: &Config, tokens: &Arc<Tokens>, ring: &Arc<KeyRing>) -> Reload {
        let held = RefCell::new(Held::of(config));
        Reload { started: config.clone(), held, tokens: Arc::clone(tokens), ring: Arc::clone(ring) }
    }

    /// Puts the keys of what is read now in force, and says what became of the rest.
    pub(super) fn run(&self, load: impl Fn() -> Result<Config, Failure>) {
        match load().and_then(|config| self.replace(config)) {
            Ok((config, true)) => {
                log::info!("the keys of tokens and cookies were read again and are in force");
                self.tell_waiting(&config);
            }
            Ok((config, false)) => {
                log::info!("the keys of tokens and cookies were read again: none has changed");
                self.tell_waiting(&config);
            }
            Err(Failure::Config(complaints)) => {
                for complaint in complaints {
                    log::error!("the keys stay as they are: {complaint}");
                }
            }
            Err(_) => log::error!("the keys stay as they are: the configuration cannot be read"),
        }
    }

    /// What was read, and whether a key of it is another.
    fn replace(&self, config: Config) -> Result<(Config, bool), Failure> {
        let held = Held::of(&config);
        // Limits wait for the next start, those of tokens too.
        let keyed = Config { limits: self.started.limits.clone(), ..config.clone() };
        // Tokens first, which may still be refused; a configuration that loads has session keys that are right.
        keys::replace(&self.tokens, &keyed)?;
        self.ring.replace(&keys::of_session(&config)).map_err(|_| keys::no_session_key())?;
        let changed = *self.held.borrow() != held;
        *self.held.borrow_mut() = held;
        Ok((config, changed))
    }

    fn tell_waiting(&self, config: &Config) {
        let waiting = waiting(&self.started, config);
        if !waiting.is_empty() {
            log::warn!("other settings have changed too; they wait for a restart: {}", waiting.join(", "));
        }
    }
}

/// Settings that are not what the process was started with, and are no keys.
fn waiting<'a>(started: &'a Config, now: &Config) -> Vec<&'a str> {
    let same =
        |setting: &str, value: &str| now.origins.iter().any(|origin| origin.setting == setting && origin.value == value);
    let changed = started.origins.iter().filter(|origin| !same(&origin.setting, &origin.value));
    let mut waiting: Vec<&str> =
        changed.map(|origin| origin.setting.as_str()).filter(|setting| !KEYS.contains(setting)).collect();
    // Its value is masked: another one may look the same.
    if started.oidc != now.oidc && !waiting.iter().any(|setting| setting.starts_with("oidc_")) {
        waiting.push("oidc_client_secret");
    }
    waiting
}
