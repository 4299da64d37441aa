//! Sign-in at a provider that lies: whatever it says about itself or in an ID token, only what is all right signs in.

use std::sync::Arc;

use aws_lc_rs::{
    digest::{SHA256, digest},
    hmac,
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use reqwest::Url;
use serde_json::json;

use crate::{
    jwt::{changed, now},
    liar::{BACK, Liar, back, header, sent},
    oidc::{come_back, failed, leave, settings},
    people::{Proof, cookie, text},
    server::{Server, Site, random},
};

#[tokio::test]
async fn the_code_is_redeemed_with_the_verifier_of_this_sign_in_and_the_clients_secret() {
    let (liar, secret) = (Liar::start(), random(40));
    let server = Server::new(&settings(&liar.issuer, &secret));
    let leaving = leave(&server).await;
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "chat"),
        ("redirect_uri", BACK),
        ("scope", "openid profile email"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(sent(&leaving, name), value);
    }
    assert!(sent(&leaving, "state").len() >= 22 && sent(&leaving, "nonce").len() >= 22, "128 bits or more");
    liar.hands_out(&liar.sign(&header(), &liar.claims(&leaving)));
    let answer = come_back(&server, &back(&leaving), &leaving.cookie).await;
    assert_eq!(answer.header("location"), "/");
    let me = server.nobody().with(Proof::Cookie(cookie(&answer))).get("/api/auth/me").await.json(200);
    assert_eq!((text(&me, "user_id"), text(&me, "name")), ("oidc:anna", "Anna"));
    let redeemed = liar.redeemed();
    let (head, body) = redeemed.split_once("\r\n\r\n").expect("a body");
    let basic = format!("authorization: basic {}", STANDARD.encode(format!("chat:{secret}"))).to_lowercase();
    assert!(head.to_lowercase().contains(&basic), "{head}");
    let form: Url = format!("http://x/?{body}").parse().expect("a form");
    let field = |name: &str| form.query_pairs().find(|(key, _)| key == name).expect("a field").1.into_owned();
    assert_eq!(
        (field("grant_type"), field("code"), field("redirect_uri")),
        ("authorization_code".into(), "c0de".into(), BACK.into())
    );
    let challenge = URL_SAFE_NO_PAD.encode(digest(&SHA256, field("code_verifier").as_bytes()));
    assert_eq!(challenge, sent(&leaving, "code_challenge"));
    leave(&server).await;
    assert_eq!(liar.asked("/.well-known/openid-configuration"), 1, "its description is kept");
}

/// A site that signs people in at the provider, and takes bearer tokens of an issuer with the same keys.
pub fn trusting(liar: &Liar, prefix: &str, issuer: &str) -> Arc<Site> {
    let mut site = Site::new(&settings(&liar.issuer, "none of the provider's"));
    let path = site.directory.path().join("site.toml");
    let keys = format!("{}/keys", liar.issuer);
    let entry = format!(
        "[[trusted_issuer]]\nissuer = \"{issuer}\"\naudience = \"api\"\nalgorithms = [\"EdDSA\"]\n\
         keys = \"{keys}\"\nprefix = \"{prefix}\"\n"
    );
    std::fs::write(&path, entry).expect("a configuration");
    site.variables.push(("HAILGATE_CONFIG".into(), path.display().to_string()));
    Arc::new(site)
}

#[tokio::test]
async fn a_bearer_token_of_the_same_issuer_and_prefix_acts_as_the_same_account_and_another_prefix_is_refused() {
    let liar = Liar::start();
    let server = trusting(&liar, "oidc", &liar.issuer).serve();
    let leaving = leave(&server).await;
    liar.hands_out(&liar.sign(&header(), &liar.claims(&leaving)));
    let answer = come_back(&server, &back(&leaving), &leaving.cookie).await;
    let page = server.nobody().with(Proof::Cookie(cookie(&answer)));
    let thread = page.thread(&[]).await;
    let claims = changed(&liar.claims(&leaving), &json!({"aud": "api", "nonce": null}));
    let program = page.with(Proof::Bearer(liar.sign(&json!({"alg": "EdDSA", "kid": "k1", "typ": "at+jwt"}), &claims)));
    program.get(&format!("/api/threads/{thread}")).await.json(200);
    assert_eq!(program.get("/api/auth/me").await.json(200)["user_id"], "oidc:anna");
    let by_token = async |sub: &str| {
        let claims = changed(&claims, &json!({"sub": sub}));
        let token = liar.sign(&json!({"alg": "EdDSA", "kid": "k1", "typ": "at+jwt"}), &claims);
        server.nobody().with(Proof::Bearer(token)).get("/api/auth/me").await
    };
    let by_sign_in = async |sub: &str| {
        let leaving = leave(&server).await;
        liar.hands_out(&liar.sign(&header(), &changed(&liar.claims(&leaving), &json!({"sub": sub}))));
        let answer = come_back(&server, &back(&leaving), &leaving.cookie).await;
        assert_eq!(answer.header("location"), "/", "{sub}");
        let page = server.nobody().with(Proof::Cookie(cookie(&answer)));
        text(&page.get("/api/auth/me").await.json(200), "user_id").to_owned()
    };
    for (sub, token_first) in [
        ("repo:org/x:ref:refs/heads/main", true),
        ("system:serviceaccount:a:b", false),
        ("spiffe://example.org/ns/prod/sa/web", true),
        ("system", false),
        ("a b", true),
        (&"x".repeat(125), false),
    ] {
        let before = if token_first { Some(by_token(sub).await.json(200)) } else { None };
        let user = by_sign_in(sub).await;
        assert!(user.starts_with("oidc:") && user.len() == 27, "{sub}: {user}");
        let me = by_token(sub).await.json(200);
        assert_eq!(text(&me, "user_id"), user, "{sub}");
        assert!(before.is_none_or(|before| text(&before, "user_id") == user), "{sub}");
        let impostor = by_token(user.strip_prefix("oidc:").expect("a prefix")).await.json(200);
        assert_ne!(text(&impostor, "user_id"), user, "a subject that is the hash of another is somebody else");
    }
    let refused = trusting(&liar, "oidc", "https://id.test").run(&["serve", "--bind", "127.0.0.1:0"]);
    assert_eq!(refused.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("oidc_prefix"));
}

#[tokio::test]
async fn an_id_token_that_is_wrong_in_one_thing_signs_nobody_in() {
    let (liar, secret) = (Liar::start(), random(40));
    let server = Server::new(&settings(&liar.issuer, &secret));
    let stranger = Liar::start();
    for (what, header, with, code) in [
        ("another nonce", header(), json!({"nonce": "another"}), "bad_credentials"),
        ("no nonce", header(), json!({"nonce": null}), "bad_credentials"),
        ("another audience", header(), json!({"aud": "other"}), "bad_credentials"),
        ("several audiences, no azp", header(), json!({"aud": ["chat", "other"]}), "bad_credentials"),
        ("another azp", header(), json!({"azp": "other"}), "bad_credentials"),
        ("another issuer", header(), json!({"iss": "https://id.test"}), "bad_credentials"),
        ("no subject", header(), json!({"sub": null}), "bad_credentials"),
        ("expired", header(), json!({"iat": now() - 700, "exp": now() - 100}), "token_expired"),
        ("from the future", header(), json!({"iat": now() + 100}), "bad_credentials"),
        ("an unknown key", json!({"alg": "EdDSA", "kid": "k2"}), json!({}), "bad_credentials"),
        ("another algorithm", json!({"alg": "ES256", "kid": "k1"}), json!({}), "bad_credentials"),
        ("an extension", json!({"alg": "EdDSA", "kid": "k1", "crit": ["x"]}), json!({}), "bad_credentials"),
    ] {
        let leaving = leave(&server).await;
        liar.hands_out(&liar.sign(&header, &changed(&liar.claims(&leaving), &with)));
        let answer = come_back(&server, &back(&leaving), &leaving.cookie).await;
        assert_eq!(answer.header("location"), format!("/#signin-error={code}"), "{what}");
        failed(&answer, code);
    }
    for kind in ["no signature", "alg none", "HS256 by the client's secret", "a stranger's key", "bent", "none at all"] {
        let leaving = leave(&server).await;
        let claims = liar.claims(&leaving);
        let good = liar.sign(&header(), &claims);
        let text = |alg: &str| {
            let header = json!({"alg": alg}).to_string();
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims.to_string()))
        };
        let token = match kind {
            "no signature" => format!("{}.", good.rsplit_once('.').expect("a signature").0),
            "alg none" => format!("{}.", text("none")),
            "HS256 by the client's secret" => {
                let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), text("HS256").as_bytes());
                format!("{}.{}", text("HS256"), URL_SAFE_NO_PAD.encode(tag))
            }
            "a stranger's key" => stranger.sign(&header(), &claims),
            "bent" => good.replacen('.', ".e", 1),
            _ => String::new(),
        };
        liar.hands_out(&token);
        let answer = come_back(&server, &back(&leaving), &leaving.cookie).await;
        assert_eq!(answer.header("location"), "/#signin-error=bad_credentials", "{kind}");
        failed(&answer, "bad_credentials");
    }
    let people = server.site.told(&["user", "list"], "");
    assert!(!people.contains("oidc:"), "nobody was made: {people}");
}

#[tokio::test]
async fn a_description_that_is_wrong_sends_nobody_away() {
    for (what, status, with) in [
        ("another issuer", 200, json!({"issuer": "https://id.test"})),
        ("its own with a slash", 200, json!({"issuer": null})),
        ("plain http elsewhere", 200, json!({"token_endpoint": "http://id.test/token"})),
        ("no algorithm that is taken", 200, json!({"id_token_signing_alg_values_supported": ["HS256", "none"]})),
        ("no keys", 200, json!({"jwks_uri": null})),
        ("a redirect", 302, json!({})),
        ("an outage", 503, json!({})),
    ] {
        let liar = Liar::start();
        let mut told = changed(&liar.description(), &with);
        if what == "its own with a slash" {
            told["issuer"] = json!(format!("{}/", liar.issuer));
        }
        liar.answers("/.well-known/openid-configuration", status, &told);
        let server = Server::new(&settings(&liar.issuer, &random(40)));
        let answer = server.nobody().get("/api/auth/oidc/login").await;
        assert_eq!(answer.header("location"), "/#signin-error=issuer_unavailable", "{what}");
        assert_eq!(answer.set_cookie("hailgate-oidc"), "", "{what}");
        assert_eq!(liar.asked("/elsewhere"), 0, "{what}");
    }
}

#[tokio::test]
async fn refused_sign_ins_are_counted_by_address_and_those_that_succeed_or_were_not_judged_are_not() {
    let liar = Liar::start();
    let settings = settings(&liar.issuer, "none of the provider's");
    let limits = [("HAILGATE_LIMIT_LOGIN_FAILURES_ADDRESS_PER_MINUTE", "2"), ("HAILGATE_TRUSTED_PROXIES", "127.0.0.1")];
    let server = Server::new(&[&settings[..], &limits].concat());
    let attempt = async |outcome: &str| {
        let leaving = leave(&server).await;
        match outcome {
            "/" => liar.hands_out(&liar.sign(&header(), &liar.claims(&leaving))),
            "/#signin-error=issuer_unavailable" => liar.answers("/token", 503, &json!({})),
            _ => liar.answers("/token", 400, &json!({"error": "invalid_grant"})),
        }
        let answer = come_back(&server, &back(&leaving), &leaving.cookie).await;
        assert_eq!(answer.header("location"), outcome);
    };
    for _ in 0..4 {
        attempt("/").await;
        attempt("/#signin-error=issuer_unavailable").await;
    }
    attempt("/#signin-error=signin_refused").await;
    attempt("/#signin-error=signin_refused").await;
    attempt("/#signin-error=rate_limited").await;
}
