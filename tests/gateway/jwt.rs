//! Tokens that the server did not make: any header, any claims, any key.

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

/// Seconds since the epoch.
pub fn now() -> u64 {
    std::time::UNIX_EPOCH.elapsed().expect("a clock").as_secs()
}

/// So many seconds from now, since the epoch.
pub fn in_seconds(more: f64) -> f64 {
    std::time::UNIX_EPOCH.elapsed().expect("a clock").as_secs_f64() + more
}

/// The header that the server's own tokens have.
pub fn header() -> Value {
    json!({"typ": "at+jwt", "alg": "HS256"})
}

/// Claims that are all right.
pub fn claims(user: &str) -> Value {
    json!({"iss": "hailgate", "aud": "hailgate", "sub": user, "iat": now(), "exp": now() + 600})
}

/// The claims with other ones in their place; `null` takes one away.
pub fn changed(claims: &Value, with: &Value) -> Value {
    let mut claims = claims.clone();
    for (name, value) in with.as_object().expect("an object") {
        if value.is_null() {
            claims.as_object_mut().expect("an object").remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

/// Signed with HMAC-SHA-256, whatever the header says.
pub fn sign(header: &str, claims: &str, secret: &str) -> String {
    let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), text.as_bytes());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(tag))
}
