//! Trusted issuers of tokens: the server's own and external ones, each with its keys and the claims that it may make.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::{
    jwks::RemoteKeySet,
    keys::{self, Key, NoKey, OwnKeys, Rules, SigningKey},
};
use crate::{
    domain::{Limits, Permission, Reason, Uptime, UserId},
    error::{Code, Error},
};

/// Configuration of an external issuer, without its keys.
#[derive(Debug, Clone)]
pub struct ExternalIssuer {
    /// Its name, its audience and its algorithms.
    pub rules: Rules,
    /// Prefix of its users' ids, before `:`.
    pub prefix: String,
    /// Which permissions its tokens may give.
    pub permissions: Vec<Permission>,
    /// Whether its tokens may come without `typ`.
    pub allow_missing_typ: bool,
}

/// Where the keys of an issuer are.
enum KeyLocation {
    Fixed(Vec<Key>),
    RemoteKeySet(Arc<RemoteKeySet>),
}

/// One issuer.
pub struct Issuer {
    name: String,
    /// None: the own one.
    outside: Option<ExternalIssuer>,
    source: KeyLocation,
}

/// Header fields of a token that is not verified. They may be used to choose a key, and for nothing else.
#[derive(Debug, Clone)]
pub struct TokenHeader<'a> {
    /// `alg`.
    pub alg: &'a str,
    /// `kid`.
    pub kid: Option<&'a str>,
}

impl Issuer {
    /// An issuer that stands for itself, whose key set is fetched. Keys in hand are taken over from `before`.
    ///
    /// # Errors
    /// The reason, if nothing may be fetched from there.
    pub fn alone(url: &str, rules: Rules, limits: &Limits, before: Option<&Issuer>) -> Result<Issuer, Reason> {
        let (name, new) = (rules.issuer.clone(), Arc::new(RemoteKeySet::new(url, rules, limits)?));
        let old = before.and_then(|before| match &before.source {
            KeyLocation::RemoteKeySet(old) if old.same_as(&new) => Some(Arc::clone(old)),
            _ => None,
        });
        Ok(Issuer { name, outside: None, source: KeyLocation::RemoteKeySet(old.unwrap_or(new)) })
    }

    /// Fetches its key set if it is time for that.
    pub async fn refresh(&self, now: Uptime) {
        if let KeyLocation::RemoteKeySet(remote) = &self.source
            && let Some(fetch) = remote.refresh_if_due(now)
        {
            // A fetch that panicked is over as well.
            let _ = fetch.await;
        }
    }

    /// What its word is worth, if it is an outside one.
    pub fn outside(&self) -> Option<&ExternalIssuer> {
        self.outside.as_ref()
    }

    /// The claims of a token of this issuer whose signature holds.
    ///
    /// # Errors
    /// `bad_credentials`; `issuer_unavailable` while keys cannot be fetched.
    pub async fn open<T: DeserializeOwned>(&self, token: &str, header: &TokenHeader<'_>, now: Uptime) -> Result<T, Error> {
        let remote = match &self.source {
            KeyLocation::Fixed(keys) => return open(keys, token, header),
            KeyLocation::RemoteKeySet(remote) => remote,
        };
        let mut keys = remote.keys(now);
        if keys.as_ref().is_none_or(|keys| Key::choose(keys, header.kid, header.alg).err() == Some(NoKey::Unknown)) {
            remote.ask(now).await;
            keys = remote.keys(now);
        }
        let keys = keys.ok_or_else(|| {
            let what = "The keys of the token's issuer cannot be fetched now. Try again.";
            Error::new(Code::IssuerUnavailable, what).after_ms(5_000)
        })?;
        open(&keys, token, header)
    }
}

fn open<T: DeserializeOwned>(keys: &[Key], token: &str, header: &TokenHeader<'_>) -> Result<T, Error> {
    let key = Key::choose(keys, header.kid, header.alg).map_err(|none| match none {
        NoKey::Unknown => refused("its `kid` is unknown"),
        NoKey::NotOne => refused("no single key fits it"),
    })?;
    key.open(token).map_err(refused)
}

/// The refusal of a token. The words never repeat what the token says.
pub(super) fn refused(why: &'static str) -> Error {
    Error::new(Code::BadCredentials, format!("The token is refused: {why}. Get a new one."))
}

/// Characters of the hash in a user id.
const HASH_CHARS: usize = 22;

/// Returns what an account of an outside issuer's subject may be called, best first: `<prefix>:<sub>` where that is a user id,
/// and then, for subjects that are none or if that is taken, one made of a hash. Tokens and sign-ins go by the same list.
pub(super) fn user_ids(prefix: &str, issuer: &str, subject: &str) -> Vec<UserId> {
    // The length first: no two pairs make the same text.
    let hash = Sha256::digest(format!("{} {issuer} {subject}", issuer.len()));
    let short = &URL_SAFE_NO_PAD.encode(hash)[..HASH_CHARS];
    let plain = UserId::parse(subject).is_ok().then_some(subject);
    plain.into_iter().chain([short]).filter_map(|name| UserId::parse(&format!("{prefix}:{name}")).ok()).collect()
}

/// Whether a subject may be taken for the hash of another.
pub(super) fn looks_hashed(subject: &str) -> bool {
    subject.len() == HASH_CHARS && subject.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// How own tokens are made.
pub struct Signer {
    /// `iss`.
    pub issuer: String,
    /// `aud`.
    pub audience: String,
    /// Signs.
    pub key: SigningKey,
}

/// Every issuer, and the limits of tokens. Read as a whole, and exchanged as a whole.
pub struct Issuers {
    /// None: there is no own key.
    pub(super) signer: Option<Signer>,
    table: Vec<Issuer>,
    pub(super) limits: Limits,
}

impl Issuers {
    /// Nobody yet.
    pub fn new(limits: &Limits) -> Issuers {
        Issuers { signer: None, table: Vec::new(), limits: limits.clone() }
    }

    /// With the own issuer.
    #[must_use]
    pub fn own(mut self, keys: OwnKeys, issuer: &str, audience: &str) -> Issuers {
        let (issuer, audience) = (issuer.to_owned(), audience.to_owned());
        self.table.push(Issuer { name: issuer.clone(), outside: None, source: KeyLocation::Fixed(keys.verifying) });
        self.signer = Some(Signer { issuer, audience, key: keys.signing });
        self
    }

    /// Adds an outside issuer with the keys in a text: PEM, JWK or JWK Set.
    ///
    /// # Errors
    /// The reason, if a key is weak or broken, none fits, or the issuer cannot be told from another.
    pub fn add_fixed(&mut self, outside: ExternalIssuer, text: &str) -> Result<(), Reason> {
        let keys_max = usize::try_from(self.limits.jwks_keys).unwrap_or(usize::MAX);
        let read = keys::read(text, &outside.rules, keys_max)?;
        if let Some(reason) = read.refused.into_iter().next() {
            return Err(reason);
        }
        if read.keys.is_empty() {
            return Err("no key there fits the listed algorithms".into());
        }
        self.add(outside, KeyLocation::Fixed(read.keys))
    }

    /// Adds an outside issuer whose key set is fetched from an address. Keys in hand are taken over from `before`.
    ///
    /// # Errors
    /// The reason, if nothing may be fetched from there, or the issuer cannot be told from another.
    pub fn add_remote(&mut self, outside: ExternalIssuer, url: &str, before: Option<&Issuers>) -> Result<(), Reason> {
        let new = Arc::new(RemoteKeySet::new(url, outside.rules.clone(), &self.limits)?);
        let old = before.and_then(|before| before.remotes().find(|old| old.same_as(&new)).cloned());
        self.add(outside, KeyLocation::RemoteKeySet(old.unwrap_or(new)))
    }

    fn add(&mut self, outside: ExternalIssuer, source: KeyLocation) -> Result<(), Reason> {
        if outside.rules.issuer.is_empty() || outside.rules.audience.iter().any(String::is_empty) {
            return Err("an issuer and its audience have names".into());
        }
        // The same alphabet as a local name, so that the first `:` ends it.
        if outside.prefix.is_empty()
            || outside.prefix.contains(':')
            || UserId::parse(&format!("{}:x", outside.prefix)).is_err()
        {
            return Err("a prefix is made of A-Z a-z 0-9 . _ @ | + -, and does not begin with `system`".into());
        }
        if self.named(&outside.rules.issuer).is_some() {
            return Err("two issuers have the same name".into());
        }
        // Else one issuer could name the users of another.
        if self.table.iter().any(|other| other.outside().is_some_and(|other| other.prefix == outside.prefix)) {
            return Err("two issuers have the same prefix".into());
        }
        self.table.push(Issuer { name: outside.rules.issuer.clone(), outside: Some(outside), source });
        Ok(())
    }

    /// The issuer of exactly this name.
    pub fn named(&self, name: &str) -> Option<&Issuer> {
        self.table.iter().find(|issuer| issuer.name == name)
    }

    /// Key sets that are fetched.
    pub(super) fn remotes(&self) -> impl Iterator<Item = &Arc<RemoteKeySet>> {
        self.table.iter().filter_map(|issuer| match &issuer.source {
            KeyLocation::RemoteKeySet(remote) => Some(remote),
            KeyLocation::Fixed(_) => None,
        })
    }
}
