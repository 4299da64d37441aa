//! Bearer tokens: JWT signed with the own key, HS256. The library verifies; what it lets through is refused here.
//! Follows RFC 8725 (best current practices) and RFC 9068 (`at+jwt`).

use std::{collections::BTreeMap, fmt, time::Duration};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, Visitor},
};
use serde_json::Value;

use crate::{
    domain::{FamilyId, Permission, Reason, SessionId, Time, UserId},
    error::{Code, Error},
};

/// Clocks of different machines may differ by so much.
pub const LEEWAY: Duration = Duration::from_secs(5);
/// The longest life of a token.
pub const LIFETIME_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Signs and verifies tokens of the own issuer.
pub struct Tokens {
    issuer: String,
    audience: String,
    signing: EncodingKey,
    verifying: DecodingKey,
    validation: Validation,
}

/// What a verified token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// `sub`.
    pub user: UserId,
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
    /// With the own secret, which has at least 32 bytes.
    pub fn new(secret: &[u8], issuer: &str, audience: &str) -> Tokens {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // Times are judged below, by the injected clock.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Tokens {
            issuer: issuer.to_owned(),
            audience: audience.to_owned(),
            signing: EncodingKey::from_secret(secret),
            verifying: DecodingKey::from_secret(secret),
            validation,
        }
    }

    /// Signs a token.
    ///
    /// # Errors
    /// `invalid`, if it would live longer than [`LIFETIME_MAX`].
    pub fn sign(&self, grant: &Grant, now: Time) -> Result<String, Error> {
        #[derive(Serialize)]
        struct Body<'a> {
            iss: &'a str,
            aud: &'a str,
            sub: &'a str,
            iat: i64,
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
        if grant.ttl > LIFETIME_MAX || grant.ttl.is_zero() {
            return Err(Error::field("ttl", "a token lives between 1 s and 24 h"));
        }
        let body = Body {
            iss: &self.issuer,
            aud: &self.audience,
            sub: grant.user.as_str(),
            iat: now.seconds(),
            exp: now.plus(grant.ttl).seconds(),
            permissions: grant.permissions.iter().map(|p| p.name()).collect(),
            tier: grant.tier.as_deref(),
            sid: grant.session.map(|id| id.to_string()),
            fid: grant.family.map(|id| id.to_string()),
        };
        let header = Header { typ: Some("at+jwt".to_owned()), ..Header::new(Algorithm::HS256) };
        jsonwebtoken::encode(&header, &body, &self.signing)
            .map_err(|_| Error::new(Code::Internal, "The token could not be signed."))
    }

    /// Verifies a token: signature first, then everything it says.
    ///
    /// # Errors
    /// `bad_credentials` or `token_expired`. The words never repeat what the token says.
    #[allow(clippy::unused_async, reason = "keys of outside issuers are fetched")]
    pub async fn verify(&self, token: &str, now: Time) -> Result<Claims, Error> {
        let decoded = jsonwebtoken::decode::<Object>(token, &self.verifying, &self.validation)
            .map_err(|_| refused("it does not verify"))?;
        check_header(&decoded.header)?;
        let body = decoded.claims.0;
        let number = |name: &str| body.get(name).and_then(Value::as_i64);
        let (Some(iat), Some(exp)) = (number("iat"), number("exp")) else {
            return Err(refused("`iat` or `exp` is missing"));
        };
        check_times(iat, exp, body.get("nbf"), now)?;
        if ["nonce", "at_hash", "c_hash"].iter().any(|name| body.contains_key(*name)) {
            return Err(refused("it is an ID token, not an access token"));
        }
        let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
        let subject = text("sub").ok_or_else(|| refused("`sub` is missing"))?;
        let user = UserId::parse(&subject).map_err(|_| refused("`sub` is no user id"))?;
        if user.as_str().contains(':') {
            return Err(refused("`sub` names a user of another issuer"));
        }
        let named = |value: &Value| value.as_str().and_then(Permission::named);
        let permissions = body.get("permissions").and_then(Value::as_array);
        Ok(Claims {
            user,
            issued_at: Time::from_seconds(iat),
            session: id_in(&body, "sid", SessionId::parse)?,
            family: id_in(&body, "fid", FamilyId::parse)?,
            expires_at: Time::from_seconds(exp),
            email: text("email"),
            name: text("name"),
            tier: text("tier"),
            permissions: permissions.map(|list| list.iter().filter_map(named).collect()).unwrap_or_default(),
        })
    }
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

fn refused(why: &'static str) -> Error {
    Error::new(Code::BadCredentials, format!("The token is refused: {why}. Get a new one."))
}

/// RFC 7515 section 4.1.11 (`crit`), RFC 7797 (`b64`), RFC 8725 section 3.11 (`typ`). There is one key and it has no
/// name, so a `kid` is always an unknown one.
fn check_header(header: &Header) -> Result<(), Error> {
    let typ = header.typ.as_deref().unwrap_or_default();
    if !typ.eq_ignore_ascii_case("at+jwt") && !typ.eq_ignore_ascii_case("jwt") {
        return Err(refused("`typ` must be at+jwt or JWT"));
    }
    if header.crit.is_some() || header.extras.inner().contains_key("b64") {
        return Err(refused("its header asks for an extension"));
    }
    if header.kid.is_some() {
        return Err(refused("its `kid` is unknown"));
    }
    Ok(())
}

fn check_times(iat: i64, exp: i64, nbf: Option<&Value>, now: Time) -> Result<(), Error> {
    let (now, leeway) = (now.seconds(), i64::try_from(LEEWAY.as_secs()).unwrap_or(0));
    if exp.saturating_sub(iat) > i64::try_from(LIFETIME_MAX.as_secs()).unwrap_or(0) {
        return Err(refused("it would live longer than 24 h"));
    }
    if iat > now.saturating_add(leeway) {
        return Err(refused("its `iat` is in the future"));
    }
    if nbf.is_some_and(|nbf| nbf.as_i64().is_none_or(|nbf| nbf > now.saturating_add(leeway))) {
        return Err(refused("it is not valid yet"));
    }
    if now >= exp.saturating_add(leeway) {
        return Err(Error::new(Code::TokenExpired, "The token has expired. Get a new one."));
    }
    Ok(())
}

/// A JSON object that has every name once: parsers differ in which of two they take.
struct Object(BTreeMap<String, Value>);

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
