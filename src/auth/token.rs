//! Bearer tokens: JWT of the own issuer and of trusted ones. The library verifies; what it lets through is refused
//! here. Follows RFC 8725 (best current practices) and RFC 9068 (`at+jwt`).

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, Visitor},
};
use serde_json::Value;

use super::{
    issuers::{ExternalIssuer, Issuers, TokenHeader, looks_hashed, refused, user_ids},
    keys::OwnKeys,
};
use crate::{
    domain::{
        Clock, FamilyId, LEEWAY, Limits, Permission, Reading, Reason, SessionId, Time, UserId, logins::Subject, shown_name,
    },
    error::{Code, Error},
};

/// How often it is asked whether a key set must be fetched again.
const TICK: Duration = Duration::from_secs(1);

/// Signs own tokens, and verifies those of every issuer.
pub struct Tokens {
    issuers: RwLock<Arc<Issuers>>,
}

/// What a verified token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// `sub`; with its issuer's prefix, where that is an outside one.
    pub user: UserId,
    /// Whom the store must be asked about, because `user` does not say whose it is: it is made of a hash, or looks like that.
    pub subject: Option<Subject>,
    /// Whether an outside issuer says so: its users are created on first use.
    pub outside: bool,
    /// `iat`.
    pub issued_at: Time,
    /// `exp`.
    pub expires_at: Time,
    /// `sid`: the login it comes from, and with which it ends.
    pub session: Option<SessionId>,
    /// `fid`: the family of refresh tokens it comes from, and with which it ends.
    pub family: Option<FamilyId>,
    /// `email`.
    pub email: Option<String>,
    /// `name`.
    pub name: Option<String>,
    /// `tier`.
    pub tier: Option<String>,
    /// `permissions`; names that this server does not know grant nothing.
    pub permissions: Vec<Permission>,
}

/// What to put into a new token.
#[derive(Debug, Clone)]
pub struct Grant {
    /// Whom it is for.
    pub user: UserId,
    /// How long it lives.
    pub ttl: Duration,
    /// The login it ends with.
    pub session: Option<SessionId>,
    /// The family of refresh tokens it ends with.
    pub family: Option<FamilyId>,
    /// Rights beyond a member's.
    pub permissions: Vec<Permission>,
    /// Customer tier, if not the account's.
    pub tier: Option<String>,
}

impl Tokens {
    /// Of these issuers.
    pub fn of(issuers: Issuers) -> Tokens {
        Tokens { issuers: RwLock::new(Arc::new(issuers)) }
    }

    /// Of the own issuer alone, with one secret and the usual limits.
    ///
    /// # Errors
    /// The reason, if the secret has less than 32 bytes.
    pub fn new(secret: &[u8], issuer: &str, audience: &str) -> Result<Tokens, Reason> {
        let keys = OwnKeys::of_secrets(&[secret], issuer, audience)?;
        Ok(Tokens::of(Issuers::new(&Limits::default()).own(keys, issuer, audience)))
    }

    /// The issuers in force.
    pub fn issuers(&self) -> Arc<Issuers> {
        Arc::clone(&self.issuers.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Puts others in force, all at once.
    pub fn replace(&self, issuers: Issuers) {
        *self.issuers.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(issuers);
    }

    /// Fetches key sets at once and again when it is time, for ever.
    pub async fn keep_fresh(&self, clock: Arc<dyn Clock>) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            for remote in self.issuers().remotes() {
                // It goes on by itself; a slow source must not keep the others waiting.
                drop(remote.refresh_if_due(clock.uptime()));
            }
        }
    }

    /// Signs a token.
    ///
    /// # Errors
    /// `no_signing_key` without an own key; `invalid`, if it would live longer than the limit.
    pub fn sign(&self, grant: &Grant, now: Time) -> Result<String, Error> {
        #[derive(Serialize)]
        struct Body<'a> {
            iss: &'a str,
            aud: &'a str,
            sub: &'a str,
            iat: f64,
            exp: i64,
            #[serde(skip_serializing_if = "Vec::is_empty")]
            permissions: Vec<&'static str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            tier: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            sid: Option<String>,
            #[serde(skip_serializing_if = "Option::is_none")]
            fid: Option<String>,
        }
        let issuers = self.issuers();
        let signer = issuers.signer.as_ref().ok_or_else(|| {
            Error::new(Code::NoSigningKey, "This server signs no tokens: it has no key of its own. Ask your issuer for one.")
        })?;
        if !may_live(grant.ttl, &issuers.limits) {
            let most = Duration::from_millis(issuers.limits.token_lifetime_ms).as_secs();
            return Err(Error::field("ttl", format!("a token lives between 1 s and {most} s")));
        }
        let body = Body {
            iss: &signer.issuer,
            aud: &signer.audience,
            sub: grant.user.as_str(),
            // To the millisecond: a revocation ends a token by it, and must not reach further than it has to.
            iat: numeric_date(now),
            exp: now.plus(grant.ttl).seconds(),
            permissions: grant.permissions.iter().map(|p| p.name()).collect(),
            tier: grant.tier.as_deref(),
            sid: grant.session.map(|id| id.to_string()),
            fid: grant.family.map(|id| id.to_string()),
        };
        signer.key.sign(&body).ok_or_else(|| Error::new(Code::Internal, "The token could not be signed."))
    }

    /// Verifies a token: signature first, then everything it says.
    ///
    /// # Errors
    /// `bad_credentials` or `token_expired`; `issuer_unavailable` while its issuer's keys cannot be fetched. The words
    /// never repeat what the token says.
    pub async fn verify(&self, token: &str, now: Reading) -> Result<Claims, Error> {
        let issuers = self.issuers();
        if u64::try_from(token.len()).unwrap_or(u64::MAX) > issuers.limits.token_bytes {
            return Err(refused("it is over the limit"));
        }
        let (header, name) = unverified(token)?;
        let key = key_header(&header)?;
        let issuer = issuers.named(&name).ok_or_else(|| refused("its issuer is not trusted here"))?;
        let body = issuer.open::<Object>(token, &key, now.uptime).await?.0;
        check_header(&header, issuer.outside().is_some_and(|outside| outside.allow_missing_typ))?;
        claims(&body, issuer.outside(), now.wall, Duration::from_millis(issuers.limits.token_lifetime_ms))
    }
}

/// The header, and who the token says has issued it. Nothing of this is true before the signature holds.
pub(super) fn unverified(token: &str) -> Result<(BTreeMap<String, Value>, String), Error> {
    /// Only `iss`: the rest is read once it is signed.
    #[derive(Deserialize)]
    struct Named {
        iss: String,
    }
    let no_token = || refused("it is not a signed token");
    let mut parts = token.split('.');
    let (Some(header), Some(body), Some(_), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        return Err(no_token());
    };
    let bytes = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| no_token());
    let header: Object = serde_json::from_slice(&bytes(header)?).map_err(|_| refused("its header cannot be read"))?;
    let named: Named = serde_json::from_slice(&bytes(body)?).map_err(|_| refused("`iss` is missing"))?;
    Ok((header.0, named.iss))
}

/// What a header says about its key. An address or a key in it (`jku`, `jwk`, `x5u`, `x5c`) is never looked at.
pub(super) fn key_header(header: &BTreeMap<String, Value>) -> Result<TokenHeader<'_>, Error> {
    let text = |name: &str| header.get(name).map(|value| value.as_str().ok_or_else(|| refused("its header cannot be read")));
    let alg = text("alg").transpose()?.ok_or_else(|| refused("its header cannot be read"))?;
    Ok(TokenHeader { alg, kid: text("kid").transpose()? })
}

/// What a body says, once its signature holds.
fn claims(
    body: &BTreeMap<String, Value>,
    outside: Option<&ExternalIssuer>,
    now: Time,
    lifetime_max: Duration,
) -> Result<Claims, Error> {
    let time = |name: &str| body.get(name).and_then(time_of);
    let (Some(iat), Some(exp)) = (time("iat"), time("exp")) else {
        return Err(refused("`iat` or `exp` is missing"));
    };
    check_times(iat, exp, body.get("nbf"), now, lifetime_max)?;
    if ["nonce", "at_hash", "c_hash"].iter().any(|name| body.contains_key(*name)) {
        return Err(refused("it is an ID token, not an access token"));
    }
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let subject = text("sub").ok_or_else(|| refused("`sub` is missing"))?;
    let given = body.get("permissions").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut permissions: Vec<Permission> =
        given.iter().filter_map(|name| name.as_str().and_then(Permission::named)).collect();
    if let Some(outside) = outside {
        permissions.retain(|permission| outside.permissions.contains(permission));
    }
    // Logins and families are the own issuer's: of another they would name somebody else's.
    let (session, family) = match outside {
        None => (id_in(body, "sid", SessionId::parse)?, id_in(body, "fid", FamilyId::parse)?),
        Some(_) => (None, None),
    };
    let (user, hashed) = user(&subject, outside)?;
    let email = text("email").filter(|email| shown_name(email).as_ref() == Some(email));
    let name = text("name").as_deref().and_then(shown_name);
    let subject = outside.filter(|_| hashed).map(|outside| {
        let (issuer, user_ids) = (outside.rules.issuer.clone(), user_ids(&outside.prefix, &outside.rules.issuer, &subject));
        Subject { issuer, subject, user_ids, name: name.clone(), email: email.clone() }
    });
    Ok(Claims {
        user,
        subject,
        outside: outside.is_some(),
        issued_at: iat,
        session,
        family,
        expires_at: exp,
        email,
        name,
        tier: text("tier"),
        permissions,
    })
}

/// Whom `sub` names, and whether that user id is made of a hash or looks like it. With the own issuer it is any account there is
/// here: `Judge::newcomer` makes accounts of local names only. A user of an outside issuer is named under its prefix.
fn user(subject: &str, outside: Option<&ExternalIssuer>) -> Result<(UserId, bool), Error> {
    let wrong = || refused("`sub` is no user id");
    let Some(outside) = outside else {
        return UserId::parse(subject).map(|user| (user, false)).map_err(|_| wrong());
    };
    if subject.is_empty() {
        return Err(refused("`sub` is empty"));
    }
    let user = user_ids(&outside.prefix, &outside.rules.issuer, subject).into_iter().next();
    let user = user.ok_or_else(wrong)?;
    let plain = user.as_str().strip_prefix(outside.prefix.as_str()).and_then(|rest| rest.strip_prefix(':')) == Some(subject);
    Ok((user, !plain || looks_hashed(subject)))
}

/// An id in a claim; one that is none is refused, because it was meant to bind the token.
fn id_in<T>(
    body: &BTreeMap<String, Value>,
    name: &'static str,
    parse: fn(&str) -> Result<T, Reason>,
) -> Result<Option<T>, Error> {
    let Some(value) = body.get(name) else { return Ok(None) };
    let parsed = value.as_str().and_then(|text| parse(text).ok());
    parsed.map(Some).ok_or_else(|| refused("`sid` or `fid` is no id"))
}

/// RFC 7515 section 4.1.11 (`crit`), RFC 7797 (`b64`), RFC 8725 section 3.11 (`typ`).
fn check_header(header: &BTreeMap<String, Value>, allow_missing_typ: bool) -> Result<(), Error> {
    let right = match header.get("typ") {
        Some(typ) => typ.as_str().is_some_and(|typ| is_media_type(typ, "at+jwt") || is_media_type(typ, "jwt")),
        None => allow_missing_typ,
    };
    if !right {
        return Err(refused("`typ` must be at+jwt or JWT"));
    }
    if header.contains_key("crit") || header.contains_key("b64") {
        return Err(refused("its header asks for an extension"));
    }
    Ok(())
}

/// Whether `typ` names a media type `application/<short>`: in any case, and with or without what stands before the `/`
/// (RFC 7515 section 4.1.9, RFC 9068 section 4).
fn is_media_type(typ: &str, short: &str) -> bool {
    let subtype = match typ.split_once('/') {
        Some((kind, subtype)) if kind.eq_ignore_ascii_case("application") => subtype,
        Some(_) => return false,
        None => typ,
    };
    subtype.eq_ignore_ascii_case(short)
}

/// The largest time of a token, in seconds since the Unix epoch: the year 5138.
const SECONDS_MAX: f64 = 1e11;

/// RFC 7519 section 2: seconds since the Unix epoch, of which there may be a fraction.
#[allow(clippy::cast_possible_truncation, reason = "within bounds")]
pub(super) fn time_of(value: &Value) -> Option<Time> {
    let seconds = value.as_f64().filter(|seconds| seconds.abs() <= SECONDS_MAX)?;
    Some(Time((seconds * 1_000.0).round() as i64))
}

/// Whether a token may live that long, by the limits in force.
pub fn may_live(ttl: Duration, limits: &Limits) -> bool {
    (Duration::from_secs(1)..=Duration::from_millis(limits.token_lifetime_ms)).contains(&ttl)
}

#[allow(clippy::cast_precision_loss, reason = "milliseconds of today have 41 bits, and 53 are exact")]
fn numeric_date(time: Time) -> f64 {
    time.0 as f64 / 1_000.0
}

pub(super) fn check_times(
    iat: Time,
    exp: Time,
    nbf: Option<&Value>,
    now: Time,
    lifetime_max: Duration,
) -> Result<(), Error> {
    if exp.since(iat) > lifetime_max {
        return Err(refused("it would live too long"));
    }
    if iat > now.plus(LEEWAY) {
        return Err(refused("its `iat` is in the future"));
    }
    if nbf.is_some_and(|nbf| time_of(nbf).is_none_or(|nbf| nbf > now.plus(LEEWAY))) {
        return Err(refused("it is not valid yet"));
    }
    if now >= exp.plus(LEEWAY) {
        return Err(Error::new(Code::TokenExpired, "The token has expired. Get a new one."));
    }
    Ok(())
}

/// A JSON object that has every name once: parsers differ in which of two they take.
pub(super) struct Object(pub BTreeMap<String, Value>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct Unique;
        impl<'de> Visitor<'de> for Unique {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object without duplicate names")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Object, M::Error> {
                let mut object = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if object.insert(name, value).is_some() {
                        return Err(serde::de::Error::custom("a name stands twice"));
                    }
                }
                Ok(Object(object))
            }
        }
        reader.deserialize_map(Unique)
    }
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
