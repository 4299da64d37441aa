//! Tokens and keys for tests: any header and body, signed with any key as an attacker who has it could. It signs by
//! itself, not by the library that verifies. Every key is made anew in each run.

use std::sync::LazyLock;

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der},
    hmac, rand,
    rsa::KeySize,
    signature::{self, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaEncoding, RsaKeyPair},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};

use super::{
    issuers::ExternalIssuer,
    keys::{self, Rules},
};
use crate::domain::Time;

pub const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
pub const NOW: Time = Time(1_700_000_000_000);

/// What a test signs with.
pub enum Pair {
    Secret(Vec<u8>),
    Rsa(Box<RsaKeyPair>),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

/// One RSA key for all tests, and another: making one takes a while.
pub static RSA: LazyLock<Pair> = LazyLock::new(rsa);
pub static OTHER_RSA: LazyLock<Pair> = LazyLock::new(rsa);

fn rsa() -> Pair {
    Pair::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).expect("a key")))
}

pub fn ec() -> Pair {
    Pair::Ec(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key"))
}

pub fn ed() -> Pair {
    Pair::Ed(Ed25519KeyPair::generate().expect("a key"))
}

pub fn secret(bytes: &[u8]) -> Pair {
    Pair::Secret(bytes.to_vec())
}

pub fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("ASCII")).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

impl Pair {
    /// The signature of a message, by the algorithm of this name.
    fn sign(&self, message: &[u8], algorithm: &str) -> Vec<u8> {
        let random = rand::SystemRandom::new();
        match self {
            Pair::Secret(secret) => {
                let hash = match algorithm {
                    "HS384" => hmac::HMAC_SHA384,
                    "HS512" => hmac::HMAC_SHA512,
                    _ => hmac::HMAC_SHA256,
                };
                hmac::sign(&hmac::Key::new(hash, secret), message).as_ref().to_vec()
            }
            Pair::Rsa(key) => {
                let encoding: &dyn RsaEncoding = match algorithm {
                    "RS384" => &signature::RSA_PKCS1_SHA384,
                    "RS512" => &signature::RSA_PKCS1_SHA512,
                    "PS256" => &signature::RSA_PSS_SHA256,
                    _ => &signature::RSA_PKCS1_SHA256,
                };
                let mut signed = vec![0; key.public_modulus_len()];
                key.sign(encoding, &random, message, &mut signed).expect("a signature");
                signed
            }
            Pair::Ec(key) => key.sign(&random, message).expect("a signature").as_ref().to_vec(),
            Pair::Ed(key) => key.sign(message).as_ref().to_vec(),
        }
    }

    /// A token with this header and this text as its body.
    pub fn forge(&self, header: &Value, body: &str) -> String {
        let message = format!("{}.{}", base64(header.to_string()), base64(body));
        let algorithm = header["alg"].as_str().unwrap_or_default();
        format!("{message}.{}", base64(self.sign(message.as_bytes(), algorithm)))
    }

    /// The public key as a JWK, or the secret as one.
    pub fn jwk(&self, kid: &str) -> Value {
        let mut jwk = match self {
            Pair::Secret(secret) => json!({"kty": "oct", "k": base64(secret)}),
            Pair::Rsa(key) => {
                let parts = signature::RsaPublicKeyComponents::<Vec<u8>>::from(key.public_key());
                json!({"kty": "RSA", "n": base64(parts.n), "e": base64(parts.e)})
            }
            Pair::Ec(key) => {
                let (x, y) = key.public_key().as_ref()[1..].split_at(32);
                json!({"kty": "EC", "crv": "P-256", "x": base64(x), "y": base64(y)})
            }
            Pair::Ed(key) => json!({"kty": "OKP", "crv": "Ed25519", "x": base64(key.public_key())}),
        };
        jwk["kid"] = json!(kid);
        jwk
    }

    /// The public key in PEM.
    pub fn public_pem(&self) -> String {
        let der: PublicKeyX509Der<'_> = match self {
            Pair::Rsa(key) => key.public_key().as_der().expect("DER"),
            Pair::Ec(key) => key.public_key().as_der().expect("DER"),
            Pair::Ed(key) => key.public_key().as_der().expect("DER"),
            Pair::Secret(_) => panic!("a secret has no public key"),
        };
        pem("PUBLIC KEY", der.as_ref())
    }

    /// The private key in PEM, PKCS #8.
    pub fn private_pem(&self) -> String {
        let der: Pkcs8V1Der<'_> = match self {
            Pair::Rsa(key) => key.as_der().expect("DER"),
            Pair::Ec(key) => return pem("PRIVATE KEY", key.to_pkcs8v1().expect("DER").as_ref()),
            Pair::Ed(key) => key.as_der().expect("DER"),
            Pair::Secret(_) => panic!("a secret has no PEM"),
        };
        pem("PRIVATE KEY", der.as_ref())
    }
}

/// A JWK Set.
pub fn set(keys: &[Value]) -> String {
    json!({"keys": keys}).to_string()
}

/// An outside issuer of this name, with the prefix of the same name.
pub fn outside(name: &str, algorithms: &[&str]) -> ExternalIssuer {
    let algorithms = algorithms.iter().map(|name| keys::algorithm(name).expect("an algorithm")).collect();
    ExternalIssuer {
        rules: Rules { issuer: name.to_owned(), audience: vec!["hailgate".to_owned()], algorithms },
        prefix: name.to_owned(),
        permissions: Vec::new(),
        allow_missing_typ: false,
    }
}

/// A header.
pub fn header(algorithm: &str, kid: Option<&str>) -> Value {
    with(json!({"alg": algorithm, "typ": "at+jwt"}), "kid", kid.map_or(Value::Null, |kid| json!(kid)))
}

/// Claims that are all right, of this issuer, for `alice`.
pub fn body(issuer: &str) -> Value {
    json!({"iss": issuer, "aud": "hailgate", "sub": "alice", "iat": NOW.seconds(), "exp": NOW.seconds() + 3600})
}

/// The value with another one in a field; `null` takes the field away.
pub fn with(mut value: Value, name: &str, to: Value) -> Value {
    match to {
        Value::Null => _ = value.as_object_mut().and_then(|object| object.remove(name)),
        to => value[name] = to,
    }
    value
}
