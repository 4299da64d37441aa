//! Hostile tokens, one row each: a good one and everything that must not pass for it.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;

use super::*;

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
const NOW: Time = Time(1_700_000_000_000);

fn tokens() -> Tokens {
    Tokens::new(SECRET, "hailgate", "hailgate")
}

/// Signs any header and body with a key, as an attacker who has the key could; `raw` replaces the body's text.
fn forge(header: &Value, body: &str, secret: &[u8]) -> String {
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let message = format!("{}.{}", part(&header.to_string()), part(body));
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &EncodingKey::from_secret(secret), Algorithm::HS256);
    format!("{message}.{}", signature.expect("a signature"))
}

fn header() -> Value {
    json!({"alg": "HS256", "typ": "at+jwt"})
}

fn body() -> Value {
    json!({"iss": "hailgate", "aud": "hailgate", "sub": "alice", "iat": NOW.seconds(), "exp": NOW.seconds() + 3600})
}

fn with(mut value: Value, name: &str, to: Value) -> Value {
    match to {
        Value::Null => _ = value.as_object_mut().and_then(|object| object.remove(name)),
        to => value[name] = to,
    }
    value
}

#[actix_web::test]
async fn what_is_signed_verifies() {
    let grant = Grant {
        user: UserId::parse("alice").expect("a user id"),
        ttl: Duration::from_secs(60),
        session: Some(SessionId::new()),
        family: None,
        permissions: vec![Permission::Publish],
        tier: Some("gold".to_owned()),
    };
    let token = tokens().sign(&grant, NOW).expect("a token");
    let claims = tokens().verify(&token, NOW).await.expect("verified");
    assert_eq!(
        (claims.user.as_str(), claims.permissions, claims.tier.as_deref()),
        ("alice", vec![Permission::Publish], Some("gold"))
    );
    assert!(tokens().sign(&Grant { ttl: Duration::from_secs(86_401), ..grant }, NOW).is_err());
}

#[actix_web::test]
async fn hostile_tokens_are_refused() {
    let now = NOW.seconds();
    let good = forge(&header(), &body().to_string(), SECRET);
    assert!(tokens().verify(&good, NOW).await.is_ok());
    let none = format!(
        "{}.{}.",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"at+jwt"}"#),
        URL_SAFE_NO_PAD.encode(body().to_string())
    );
    let double = body().to_string().replacen('{', r#"{"sub":"bob","#, 1);
    let headers = [
        ("typ of another kind", with(header(), "typ", json!("rt+jwt"))),
        ("typ missing", with(header(), "typ", Value::Null)),
        ("crit", with(header(), "crit", json!(["exp"]))),
        ("b64", with(header(), "b64", json!(false))),
        ("kid unknown", with(header(), "kid", json!("../../etc/passwd"))),
        ("HS512", with(header(), "alg", json!("HS512"))),
    ];
    let bodies = [
        ("iss wrong", with(body(), "iss", json!("evil"))),
        ("iss missing", with(body(), "iss", Value::Null)),
        ("aud wrong", with(body(), "aud", json!("other"))),
        ("aud missing", with(body(), "aud", Value::Null)),
        ("sub missing", with(body(), "sub", Value::Null)),
        ("sub empty", with(body(), "sub", json!(""))),
        ("sub with NUL", with(body(), "sub", json!("alice\0"))),
        ("sub of a megabyte", with(body(), "sub", json!("a".repeat(1 << 20)))),
        ("sub reserved", with(body(), "sub", json!("system"))),
        ("sub of another issuer", with(body(), "sub", json!("corp:alice"))),
        ("iat missing", with(body(), "iat", Value::Null)),
        ("iat in the future", with(body(), "iat", json!(now + 3600))),
        ("exp missing", with(body(), "exp", Value::Null)),
        ("exp in a hundred years", with(body(), "exp", json!(now + 3_155_760_000_i64))),
        ("exp as text", with(body(), "exp", json!("9999999999"))),
        ("nbf in the future", with(body(), "nbf", json!(now + 3600))),
        ("ID token", with(body(), "nonce", json!("x"))),
    ];
    let mut table: Vec<(&str, String)> = vec![
        ("alg none", none),
        ("another key", forge(&header(), &body().to_string(), b"fedcba9876543210fedcba9876543210")),
        ("truncated", good[..good.len() - 3].to_owned()),
        ("a name twice", forge(&header(), &double, SECRET)),
        ("not a token", "hello".to_owned()),
        ("empty", String::new()),
    ];
    table.extend(headers.iter().map(|(name, header)| (*name, forge(header, &body().to_string(), SECRET))));
    table.extend(bodies.iter().map(|(name, body)| (*name, forge(&header(), &body.to_string(), SECRET))));
    for (name, token) in table {
        assert_eq!(tokens().verify(&token, NOW).await.map_err(|e| e.code), Err(Code::BadCredentials), "{name}");
    }
}

#[actix_web::test]
async fn a_token_ends_five_seconds_after_its_time() {
    let token = forge(&header(), &body().to_string(), SECRET);
    let at = async |seconds: i64| {
        tokens().verify(&token, Time::from_seconds(NOW.seconds() + seconds)).await.map_err(|e| e.code).map(drop)
    };
    assert_eq!(at(3604).await, Ok(()));
    assert_eq!(at(3605).await, Err(Code::TokenExpired));
}
