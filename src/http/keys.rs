//! The keys of tokens: from the configuration, at the start and again whenever it is told to read them.

use std::path::Path;

use crate::{
    auth::{
        Tokens,
        issuers::{ExternalIssuer, Issuers},
        keys::{self, Algorithm, OwnKeys, Rules},
    },
    config::{Complaint, Config, KeySource, OwnKey, Place, Signing, TrustedIssuer},
    domain::Reason,
    error::{Code, Error},
};

/// Largest file of keys that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1_048_576;

/// Tokens of every issuer that the configuration names.
pub(crate) fn tokens(config: &Config) -> Result<Tokens, Vec<Complaint>> {
    issuers(config, None).map(Tokens::of)
}

/// Tokens of the own issuer alone, to sign with. Refuses where there is no own key.
pub(crate) fn signer(signing: &Signing) -> Result<Tokens, Vec<Complaint>> {
    let (issuer, audience) = (&signing.jwt_issuer, &signing.jwt_audience);
    let own = own(&signing.own_key, issuer, audience, &signing.key_place).map_err(|complaint| vec![complaint])?;
    let Some(own) = own else {
        let place = "variable HAILGATE_JWT_SECRET or HAILGATE_JWT_PRIVATE_KEY (neither is set)";
        let remedy = "Set one of them, name the server's own file by --config, or get a token from a trusted issuer.";
        return Err(vec![Complaint::new("There is no own key to sign with.", &place, remedy)]);
    };
    Ok(Tokens::of(Issuers::new(&signing.store.limits).own(own, issuer, audience)))
}

/// Puts the keys of a configuration that was read again in force; if one is wrong, all stay as they are.
pub(crate) fn replace(tokens: &Tokens, config: &Config) -> Result<(), Vec<Complaint>> {
    tokens.replace(issuers(config, Some(&tokens.issuers()))?);
    Ok(())
}

/// What the files of keys hold that the configuration names; none where one cannot be read.
pub(crate) fn files(config: &Config) -> Vec<Option<Vec<u8>>> {
    let of = |trusted: &TrustedIssuer| match &trusted.keys {
        KeySource::File(path) => Some(text(path).ok().map(String::into_bytes)),
        KeySource::Url(_) => None,
    };
    config.trusted_issuers.iter().filter_map(of).collect()
}

/// What seals cookies, newest first.
pub(crate) fn of_session(config: &Config) -> Vec<&[u8]> {
    config.session_keys.iter().map(|key| key.bytes()).collect()
}

/// What a configuration that loads cannot lack.
pub(crate) fn no_session_key() -> Error {
    Error::new(Code::Internal, "there is no session key")
}

/// Every issuer, or every complaint. Key sets that `before` has fetched are taken over.
fn issuers(config: &Config, before: Option<&Issuers>) -> Result<Issuers, Vec<Complaint>> {
    let mut complaints = Vec::new();
    let mut issuers = Issuers::new(&config.limits);
    let setting = if matches!(config.own_key, OwnKey::Secrets(_)) { "jwt_secret" } else { "jwt_private_key" };
    let place = config.origins.iter().find(|origin| origin.setting == setting).map(|origin| &origin.place);
    match own(&config.own_key, &config.jwt_issuer, &config.jwt_audience, place.unwrap_or(&Place::Default)) {
        Ok(Some(own)) => issuers = issuers.own(own, &config.jwt_issuer, &config.jwt_audience),
        Ok(None) => {}
        Err(complaint) => complaints.push(complaint),
    }
    for trusted in &config.trusted_issuers {
        if let Err(complaint) = add(&mut issuers, trusted, before, &config.jwt_issuer) {
            complaints.push(complaint);
        }
    }
    if complaints.is_empty() { Ok(issuers) } else { Err(complaints) }
}

fn own(key: &OwnKey, issuer: &str, audience: &str, place: &Place) -> Result<Option<OwnKeys>, Complaint> {
    let keys = match key {
        OwnKey::None => return Ok(None),
        OwnKey::Secrets(secrets) => {
            let secrets: Vec<&[u8]> = secrets.iter().map(|secret| secret.bytes()).collect();
            OwnKeys::of_secrets(&secrets, issuer, audience)
        }
        OwnKey::PrivateKey(pem) => {
            let pem = std::str::from_utf8(pem.bytes()).map_err(|_| Reason::from("it is no text"));
            pem.and_then(|pem| OwnKeys::of_pem(pem, issuer, audience))
        }
    };
    keys.map(Some).map_err(|reason| {
        let remedy = "Make one with: openssl genpkey -algorithm ed25519, or openssl rand -base64 48 for a secret.";
        Complaint::new(format!("The own key cannot be used: {reason}."), place, remedy)
    })
}

fn add(issuers: &mut Issuers, trusted: &TrustedIssuer, before: Option<&Issuers>, own: &str) -> Result<(), Complaint> {
    let about = |reason: Reason| {
        let what = format!("The issuer {:?} cannot be trusted: {reason}.", trusted.issuer);
        Complaint::new(what, &trusted.keys_place, "Mend this entry, or remove it.")
    };
    if trusted.issuer == own {
        let complaint = about("it has the own issuer's name; set jwt_issuer to another".into());
        return Err(Complaint { place: trusted.issuer_place.to_string(), ..complaint });
    }
    let outside = ExternalIssuer {
        rules: Rules {
            issuer: trusted.issuer.clone(),
            audience: trusted.audience.clone(),
            algorithms: algorithms(trusted)?,
        },
        prefix: trusted.prefix.clone(),
        permissions: trusted.permissions.clone(),
        allow_missing_typ: trusted.allow_missing_typ,
    };
    match &trusted.keys {
        KeySource::Url(url) => issuers.add_remote(outside, url, before),
        KeySource::File(path) => text(path).and_then(|text| issuers.add_fixed(outside, &text)),
    }
    .map_err(about)
}

fn text(path: &Path) -> Result<String, Reason> {
    match std::fs::metadata(path).map(|file| file.len()) {
        Ok(size) if size > FILE_BYTES_MAX => Err(Reason::from("its file of keys has over 1 MiB")),
        _ => std::fs::read_to_string(path).map_err(|error| format!("{} cannot be read: {error}", path.display()).into()),
    }
}

fn algorithms(trusted: &TrustedIssuer) -> Result<Vec<Algorithm>, Complaint> {
    let mut algorithms = Vec::new();
    for name in &trusted.algorithms {
        let algorithm = keys::algorithm(name).ok_or_else(|| {
            let known: Vec<&str> = keys::algorithms().collect();
            let remedy = format!("Write some of: {}.", known.join(", "));
            Complaint::new(format!("There is no algorithm {name:?}."), &trusted.algorithms_place, remedy)
        })?;
        if !algorithms.contains(&algorithm) {
            algorithms.push(algorithm);
        }
    }
    Ok(algorithms)
}
