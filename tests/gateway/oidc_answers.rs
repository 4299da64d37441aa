//! Sign-in at providers that answer more or less than the standard asks, and what the log says of one that failed.

use serde_json::{Value, json};

use crate::{
    jwt::{changed, now},
    liar::{Liar, back, header},
    oidc::{come_back, failed, leave, settings},
    server::{Server, random},
};

#[tokio::test]
async fn parts_of_an_answer_that_nobody_needs_decide_nothing() {
    let liar = Liar::start();
    let server = Server::new(&settings(&liar.issuer, &random(40)));
    for (status, kind, with) in [
        (200, "application/json", json!({"expires_in": "3600"})),
        (200, "application/json", json!({"expires_in": 3_599.5, "scope": ["openid"]})),
        (200, "application/json", json!({"access_token": null, "token_type": null})),
        (200, "application/json; charset=utf-8", json!({"token_type": 7, "refresh_token": {}})),
        (201, "application/json", json!({})),
        (200, "text/plain", json!({})),
        (200, "text/html", json!({"error": null})),
    ] {
        let leaving = leave(&server).await;
        let token = liar.sign(&header(), &liar.claims(&leaving));
        let usual = json!({"access_token": "at", "token_type": "Bearer", "expires_in": 60, "id_token": token});
        liar.writes("/token", status, kind, &changed(&usual, &with).to_string());
        let answer = come_back(&server, &back(&leaving), &leaving.cookie).await;
        assert_eq!(answer.header("location"), "/", "{status} {kind} {with}");
    }
}

#[tokio::test]
async fn a_description_and_keys_are_read_as_far_as_they_are_used() {
    let liar = Liar::start();
    let description = changed(
        &liar.description(),
        &json!({"scopes_supported": "openid", "token_endpoint_auth_methods_supported": {}, "claims_supported": 7}),
    );
    liar.writes("/.well-known/openid-configuration", 200, "text/plain", &format!("\u{feff}{description}"));
    let set = liar.key_set();
    let key = changed(&set["keys"][0], &json!({"x5c": "not a list", "x5t": 7, "exp": "never", "oth": null}));
    let broken = json!({"kty": "RSA", "n": 7, "e": "AQAB", "kid": "k0"});
    liar.says("/keys", &json!({"keys": [broken, "no key", key], "more": 1}));
    let server = Server::new(&settings(&liar.issuer, &random(40)));
    let leaving = leave(&server).await;
    liar.hands_out(&liar.sign(&header(), &liar.claims(&leaving)));
    assert_eq!(come_back(&server, &back(&leaving), &leaving.cookie).await.header("location"), "/");
}

/// What the token endpoint answers: a status and a body, or an ID token with these claims beside the good ones.
enum Says {
    Answer(u16, &'static str),
    Token(Value, Value),
}

#[tokio::test]
async fn why_a_sign_in_failed_is_in_the_log_and_its_code_in_the_address() {
    let (liar, secret) = (Liar::start(), random(40));
    let server = Server::new(&settings(&liar.issuer, &secret));
    let token = |with: Value| Says::Token(header(), with);
    for (says, code, reason) in [
        (token(json!({"aud": "s3cret"})), "bad_credentials", "its `aud` does not name this server"),
        (token(json!({"iss": "https://s3cret.test"})), "bad_credentials", "its `iss` is another"),
        (token(json!({"nonce": "s3cret"})), "bad_credentials", "its `nonce` is of another sign-in"),
        (token(json!({"exp": now() - 100, "iat": now() - 700})), "token_expired", "has expired"),
        (token(json!({"iat": now() + 100})), "bad_credentials", "its `iat` is in the future"),
        (Says::Token(json!({"alg": "EdDSA", "kid": "s3cret"}), json!({})), "bad_credentials", "its `kid` is unknown"),
        (
            Says::Answer(400, r#"{"error":"invalid_grant","error_description":["s3cret"]}"#),
            "signin_refused",
            "invalid_grant",
        ),
        (Says::Answer(401, r#"{"error":"invalid_client"}"#), "signin_refused", "HAILGATE_OIDC_CLIENT_ID"),
        (Says::Answer(400, r#"{"error":{"text":"s3cret"}}"#), "signin_refused", "`error` is missing or cannot be read"),
        (Says::Answer(200, r#"{"id_token":["s3cret"]}"#), "issuer_unavailable", "`id_token` is no text"),
        (Says::Answer(200, r#"{"access_token":"s3cret"}"#), "issuer_unavailable", "`id_token` is missing"),
        (Says::Answer(200, "<html>s3cret"), "issuer_unavailable", "it is no JSON"),
        (Says::Answer(503, "s3cret"), "issuer_unavailable", "answered 503"),
    ] {
        let leaving = leave(&server).await;
        match says {
            Says::Answer(status, body) => liar.writes("/token", status, "application/json", body),
            Says::Token(header, with) => liar.hands_out(&liar.sign(&header, &changed(&liar.claims(&leaving), &with))),
        }
        let answer = come_back(&server, &back(&leaving), &leaving.cookie).await;
        failed(&answer, code);
        let request_id = answer.header("x-request-id").to_owned();
        let line = server
            .log
            .wait_for(reason, |line| (line.contains("a sign-in at") && line.contains(&request_id)).then(|| line.to_owned()));
        assert!(line.contains(reason) && line.contains(code) && line.contains(&liar.issuer), "{reason}: {line}");
    }
    let leaving = leave(&server).await;
    failed(&come_back(&server, &back(&leaving), "").await, "signin_lost");
    server.log.wait_for("why", |line| line.contains("the browser has no cookie").then_some(()));
    assert!(!server.log.text().contains("s3cret"), "the log repeats what a provider wrote:\n{}", server.log.text());
}
