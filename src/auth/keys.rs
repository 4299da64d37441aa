//! Keys of tokens: what a secret, a PEM file, a JWK or a JWK Set becomes, bound to one issuer and one algorithm.
//! Every key comes by way of a JWK (RFC 7517), so that each is judged by the same rules.

use aws_lc_rs::{
    hmac,
    signature::{ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
pub use jsonwebtoken::Algorithm;
use jsonwebtoken::{
    AlgorithmFamily, DecodingKey, EncodingKey, Header, Validation,
    errors::ErrorKind,
    jwk::{
        AlgorithmParameters, CommonParameters, EllipticCurve, Jwk, KeyOperations, OctetKeyParameters, PublicKeyUse,
        ThumbprintHash,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::domain::Reason;

/// Every algorithm that is taken, by its name in RFC 7518 and RFC 8037.
const ALGORITHMS: &[(&str, Algorithm)] = &[
    ("HS256", Algorithm::HS256),
    ("HS384", Algorithm::HS384),
    ("HS512", Algorithm::HS512),
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("ES256", Algorithm::ES256),
    ("EdDSA", Algorithm::EdDSA),
];
/// Bits of an RSA modulus that are taken (RFC 7518 section 3.3; the upper end bounds the work of a check).
const RSA_BITS: std::ops::RangeInclusive<usize> = 2_048..=8_192;

/// The algorithm of this name.
pub fn algorithm(name: &str) -> Option<Algorithm> {
    ALGORITHMS.iter().find(|(known, _)| *known == name).map(|(_, algorithm)| *algorithm)
}

/// The names of all algorithms.
pub fn algorithms() -> impl Iterator<Item = &'static str> {
    ALGORITHMS.iter().map(|(name, _)| *name)
}

/// Whether an algorithm works with a secret that both sides have.
pub fn is_symmetric(algorithm: Algorithm) -> bool {
    algorithm.family() == AlgorithmFamily::Hmac
}

/// Fewest bytes of a secret: those of the hash (RFC 7518 section 3.2).
fn secret_bytes_min(algorithm: Algorithm) -> usize {
    match algorithm {
        Algorithm::HS512 => 64,
        Algorithm::HS384 => 48,
        _ => 32,
    }
}

/// What an issuer's tokens must say, and which algorithms its keys may be used with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// `iss`.
    pub issuer: String,
    /// `aud` must name one of these.
    pub audience: Vec<String>,
    /// Algorithms that the issuer may use.
    pub algorithms: Vec<Algorithm>,
}

impl Rules {
    /// How a token of this issuer is checked with a key of one algorithm.
    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&self.audience);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // Times are judged after this, by the injected clock.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation
    }
}

/// A key that checks signatures: of one issuer, with one algorithm (RFC 8725 section 3.1).
#[derive(Debug)]
pub struct Key {
    kid: String,
    algorithm: Algorithm,
    decoding: DecodingKey,
    validation: Validation,
}

/// Why the key of a token could not be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoKey {
    /// No key has the `kid`.
    Unknown,
    /// None fits, or more than one.
    NotOne,
}

impl Key {
    /// The one key that a token's header means: by its `kid`, or, without one, the only key of its algorithm.
    ///
    /// # Errors
    /// If there is none, or more than one.
    pub fn choose<'a>(keys: &'a [Key], kid: Option<&str>, alg: &str) -> Result<&'a Key, NoKey> {
        if let Some(kid) = kid
            && !keys.iter().any(|key| key.kid == kid)
        {
            return Err(NoKey::Unknown);
        }
        let fits = |key: &&Key| kid.is_none_or(|kid| key.kid == kid) && algorithm(alg) == Some(key.algorithm);
        let mut fitting = keys.iter().filter(fits);
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Ok(key),
            _ => Err(NoKey::NotOne),
        }
    }

    /// The claims of a token whose signature, issuer and audience are right.
    ///
    /// # Errors
    /// What is wrong. The signature is looked at first: of a token that is not signed nothing else is told.
    pub fn open<T: DeserializeOwned>(&self, token: &str) -> Result<T, &'static str> {
        let opened = jsonwebtoken::decode::<T>(token, &self.decoding, &self.validation);
        opened.map(|token| token.claims).map_err(|error| match error.kind() {
            ErrorKind::InvalidAudience => "its `aud` does not name this server",
            ErrorKind::InvalidIssuer => "its `iss` is another",
            ErrorKind::InvalidSignature => "its signature is not by the key that it names",
            ErrorKind::MissingRequiredClaim(_) => "`iss`, `aud`, `sub` or `exp` is missing",
            _ => "it does not verify",
        })
    }

    /// Its name in a token's header.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Binds a key to an issuer; `None`, if it is for something else than the issuer's tokens.
    fn bind(jwk: &Jwk, rules: &Rules) -> Result<Option<Key>, Reason> {
        let Some((family, symmetric_bytes)) = judge(jwk)? else { return Ok(None) };
        let listed = rules.algorithms.iter().copied().filter(|algorithm| algorithm.family() == family);
        let fitting: Vec<Algorithm> = match jwk.common.key_algorithm {
            None => listed.collect(),
            Some(named) => listed.filter(|algorithm| jsonwebtoken::jwk::KeyAlgorithm::from(*algorithm) == named).collect(),
        };
        let algorithm = match fitting[..] {
            [] => return Ok(None),
            [one] => one,
            _ => return Err("a key does not say which of the listed algorithms is its; give it an `alg`".into()),
        };
        if symmetric_bytes.is_some_and(|bytes| bytes < secret_bytes_min(algorithm)) {
            return Err("a secret is shorter than the hash of its algorithm (32, 48 or 64 bytes)".into());
        }
        let kid = jwk.common.key_id.clone().map_or_else(|| name(jwk), Ok)?;
        let decoding = DecodingKey::from_jwk(jwk).map_err(|_| broken())?;
        Ok(Some(Key { kid, algorithm, decoding, validation: rules.validation(algorithm) }))
    }
}

fn broken() -> Reason {
    "a key cannot be read".into()
}

/// The family of a key that can check signatures, and the bytes of a secret; `None` for another kind or use of key.
fn judge(jwk: &Jwk) -> Result<Option<(AlgorithmFamily, Option<usize>)>, Reason> {
    let common = &jwk.common;
    let used = common.public_key_use.as_ref().is_none_or(|used| *used == PublicKeyUse::Signature);
    let verifies = common.key_operations.as_ref().is_none_or(|all| all.contains(&KeyOperations::Verify));
    if !used || !verifies {
        return Ok(None);
    }
    let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| broken());
    let family = match &jwk.algorithm {
        AlgorithmParameters::RSA(rsa) => {
            let (n, e) = (bytes(&rsa.n)?, bytes(&rsa.e)?);
            let significant = n.iter().skip_while(|byte| **byte == 0).count();
            let first = n.iter().find(|byte| **byte != 0).map_or(8, |byte| byte.leading_zeros() as usize);
            if !RSA_BITS.contains(&(significant * 8).saturating_sub(first)) {
                return Err("an RSA key must have 2048 to 8192 bits".into());
            }
            let parsed = RsaPublicKeyComponents { n, e }.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256);
            parsed.map_err(|_| broken())?;
            AlgorithmFamily::Rsa
        }
        AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P256 => {
            let point = [vec![4], bytes(&ec.x)?, bytes(&ec.y)?].concat();
            ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).map_err(|_| broken())?;
            AlgorithmFamily::Ec
        }
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => {
            let point = bytes(&pair.x)?;
            if point.len() != 32 {
                return Err(broken());
            }
            ParsedPublicKey::new(&ED25519, point).map_err(|_| broken())?;
            AlgorithmFamily::Ed
        }
        AlgorithmParameters::OctetKey(secret) => {
            return Ok(Some((AlgorithmFamily::Hmac, Some(bytes(&secret.value)?.len()))));
        }
        _ => return Ok(None),
    };
    Ok(Some((family, None)))
}

/// The name of a key that has none: its thumbprint (RFC 7638). Of a secret that would be a bare hash, so there it is
/// a signature, which tells no more than any token does.
fn name(jwk: &Jwk) -> Result<String, Reason> {
    if let AlgorithmParameters::OctetKey(secret) = &jwk.algorithm {
        let secret = URL_SAFE_NO_PAD.decode(&secret.value).map_err(|_| broken())?;
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), b"the name of this key");
        return Ok(URL_SAFE_NO_PAD.encode(&tag.as_ref()[..12]));
    }
    jwk.thumbprint(ThumbprintHash::SHA256).map_err(|_| broken())
}

/// The keys in a text, and why others in it are refused.
#[derive(Debug, Default)]
pub struct Read {
    /// Keys for the issuer's tokens.
    pub keys: Vec<Key>,
    /// Weak or broken ones. Keys for other purposes are no fault.
    pub refused: Vec<Reason>,
}

/// Reads public keys in PEM, or a JWK, or a JWK Set of at most so many keys.
///
/// # Errors
/// The reason, if the text is none of these, holds a private key or too many keys.
pub fn read(text: &str, rules: &Rules, keys_max: usize) -> Result<Read, Reason> {
    let jwks = if text.contains("-----BEGIN ") { of_pem(text)? } else { of_json(text)? };
    if jwks.len() > keys_max {
        return Err(format!("there are {} keys; at most {keys_max} are read", jwks.len()).into());
    }
    let mut read = Read::default();
    for jwk in jwks {
        match jwk.and_then(|jwk| Key::bind(&jwk, rules)) {
            Ok(Some(key)) => read.keys.push(key),
            Ok(None) => {}
            Err(reason) => read.refused.push(reason),
        }
    }
    Ok(read)
}

/// Each PEM block on its own.
fn blocks(text: &str) -> impl Iterator<Item = &str> {
    let starts: Vec<usize> = text.match_indices("-----BEGIN ").map(|(at, _)| at).collect();
    let ends: Vec<usize> = starts.iter().skip(1).copied().chain([text.len()]).collect();
    starts.into_iter().zip(ends).map(|(start, end)| &text[start..end])
}

fn of_pem(text: &str) -> Result<Vec<Result<Jwk, Reason>>, Reason> {
    if text.contains("PRIVATE KEY-----") {
        return Err("a private key is there; only the issuer may have it. Put the public key there".into());
    }
    if text.contains("CERTIFICATE-----") {
        return Err("a certificate is there; put its public key there (openssl x509 -pubkey -noout)".into());
    }
    let public = |pem: &str| {
        let readers = [DecodingKey::from_rsa_pem, DecodingKey::from_ec_pem, DecodingKey::from_ed_pem];
        let key = readers.iter().find_map(|read| read(pem.as_bytes()).ok()).ok_or_else(broken)?;
        Jwk::from_decoding_key(&key, None).map_err(|_| broken())
    };
    Ok(blocks(text).map(public).collect())
}

fn of_json(text: &str) -> Result<Vec<Result<Jwk, Reason>>, Reason> {
    let wrong = || Reason::from("it is neither PEM nor a JWK nor a JWK Set");
    let value: Value = serde_json::from_str(text).map_err(|_| wrong())?;
    let list = match value.get("keys") {
        Some(Value::Array(list)) => list.clone(),
        None if value.get("kty").is_some() => vec![value],
        _ => return Err(wrong()),
    };
    if list.iter().any(|key| key.get("d").is_some()) {
        return Err("a private key is there; only the issuer may have it. Put the public key there".into());
    }
    Ok(list.into_iter().map(jwk).collect())
}

/// The members of a JWK that are used. The others are left out before the library reads it: it would refuse a key for
/// a certificate chain in the wrong form.
const MEMBERS: [&str; 11] = ["kty", "use", "key_ops", "alg", "kid", "n", "e", "crv", "x", "y", "k"];

fn jwk(mut value: Value) -> Result<Jwk, Reason> {
    if let Some(members) = value.as_object_mut() {
        members.retain(|name, _| MEMBERS.contains(&name.as_str()));
    }
    serde_json::from_value(value).map_err(|_| broken())
}

/// The key that signs own tokens.
pub struct SigningKey {
    header: Header,
    encoding: EncodingKey,
}

impl SigningKey {
    /// Signs claims; `None` if the library could not.
    pub fn sign<T: Serialize>(&self, claims: &T) -> Option<String> {
        jsonwebtoken::encode(&self.header, claims, &self.encoding).ok()
    }
}

/// The own keys: the one that signs, and all that verify.
pub struct OwnKeys {
    /// Signs.
    pub signing: SigningKey,
    /// Verify.
    pub verifying: Vec<Key>,
}

impl OwnKeys {
    /// Secrets for HS256, newest first: the first signs.
    ///
    /// # Errors
    /// The reason, if one is too short, two are the same, or there is none.
    pub fn of_secrets(secrets: &[&[u8]], issuer: &str, audience: &str) -> Result<OwnKeys, Reason> {
        let rules = own_rules(issuer, audience, Algorithm::HS256);
        let mut verifying: Vec<Key> = Vec::with_capacity(secrets.len());
        for secret in secrets {
            let key = OctetKeyParameters { value: URL_SAFE_NO_PAD.encode(secret), ..OctetKeyParameters::default() };
            let jwk = Jwk { common: CommonParameters::default(), algorithm: AlgorithmParameters::OctetKey(key) };
            let key = Key::bind(&jwk, &rules)?.ok_or_else(broken)?;
            if verifying.iter().any(|other| other.kid == key.kid) {
                return Err("a secret stands there twice".into());
            }
            verifying.push(key);
        }
        let (first, secret) = verifying.first().zip(secrets.first()).ok_or("there is no secret")?;
        let signing = SigningKey { header: header(first), encoding: EncodingKey::from_secret(secret) };
        Ok(OwnKeys { signing, verifying })
    }

    /// A private key in PEM: RSA signs with RS256, P-256 with ES256, Ed25519 with EdDSA.
    ///
    /// # Errors
    /// The reason, if it is of another kind or form, or weak.
    pub fn of_pem(pem: &str, issuer: &str, audience: &str) -> Result<OwnKeys, Reason> {
        let bytes = pem.as_bytes();
        let (encoding, algorithm) = if let Ok(key) = EncodingKey::from_ec_pem(bytes) {
            (key, Algorithm::ES256)
        } else if let Ok(key) = EncodingKey::from_ed_pem(bytes) {
            (key, Algorithm::EdDSA)
        } else if let Ok(key) = EncodingKey::from_rsa_pem(bytes) {
            (key, Algorithm::RS256)
        } else {
            return Err("it is no private key in PEM that can be read without a password (PKCS #8)".into());
        };
        let wrong = "it is no private key of RSA (2048 to 8192 bits), P-256 or Ed25519";
        let jwk = Jwk::from_encoding_key(&encoding, algorithm).map_err(|_| Reason::from(wrong))?;
        let key = Key::bind(&jwk, &own_rules(issuer, audience, algorithm))?.ok_or(wrong)?;
        Ok(OwnKeys { signing: SigningKey { header: header(&key), encoding }, verifying: vec![key] })
    }
}

fn own_rules(issuer: &str, audience: &str, algorithm: Algorithm) -> Rules {
    Rules { issuer: issuer.to_owned(), audience: vec![audience.to_owned()], algorithms: vec![algorithm] }
}

fn header(key: &Key) -> Header {
    Header { typ: Some("at+jwt".to_owned()), kid: Some(key.kid.clone()), ..Header::new(key.algorithm) }
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
