//! Sign-in by OpenID Connect without a network: the flow in the cookie, and every claim of an ID token that is wrong.

use actix_web::test::TestRequest;
use serde_json::{Value, json};

use super::{
    super::{
        forge::{NOW, Pair, RSA, ec, ed, header, outside, secret},
        issuers::{Issuers, TokenHeader},
        token::{Object, key_header, unverified},
    },
    *,
};
use crate::domain::{Limits, Reading};

const NONCE: &str = "n-0S6_WzA2Mj";

fn terms() -> Terms {
    Terms { issuer: "https://id.test".into(), client_id: "chat".into(), prefix: "oidc".into() }
}

fn good() -> Value {
    let now = NOW.seconds();
    json!({"iss": "https://id.test", "aud": "chat", "sub": "anna", "iat": now, "exp": now + 3_600, "nonce": NONCE})
}

fn judged(with: &Value) -> Result<Subject, Error> {
    let mut body = good();
    for (name, value) in with.as_object().expect("an object") {
        body[name] = value.clone();
    }
    let body: BTreeMap<String, Value> =
        body.as_object().expect("an object").clone().into_iter().filter(|(_, value)| !value.is_null()).collect();
    terms().judge(&body, NONCE, NOW)
}

#[test]
fn each_claim_of_an_id_token_that_is_wrong_refuses_it() {
    let now = NOW.seconds();
    judged(&json!({})).expect("a good one");
    for (with, code) in [
        (json!({"nonce": "another"}), Code::BadCredentials),
        (json!({"nonce": null}), Code::BadCredentials),
        (json!({"nonce": 1}), Code::BadCredentials),
        (json!({"nonce": ""}), Code::BadCredentials),
        (json!({"exp": now - 5}), Code::TokenExpired),
        (json!({"exp": null}), Code::BadCredentials),
        (json!({"exp": "tomorrow"}), Code::BadCredentials),
        (json!({"iat": null}), Code::BadCredentials),
        (json!({"iat": now + 6}), Code::BadCredentials),
        (json!({"nbf": now + 6}), Code::BadCredentials),
        (json!({"aud": ["chat", "other"]}), Code::BadCredentials),
        (json!({"aud": ["chat", "other"], "azp": "other"}), Code::BadCredentials),
        (json!({"azp": "other"}), Code::BadCredentials),
        (json!({"azp": 1}), Code::BadCredentials),
        (json!({"sub": null}), Code::BadCredentials),
        (json!({"sub": ""}), Code::BadCredentials),
        (json!({"sub": 7}), Code::BadCredentials),
        (json!({"sub": "x".repeat(256)}), Code::BadCredentials),
    ] {
        assert_eq!(judged(&with).map_err(|error| error.code), Err(code), "{with}");
    }
    for with in [
        json!({"aud": ["chat"]}),
        json!({"aud": ["chat", "other"], "azp": "chat"}),
        json!({"exp": now - 4}),
        json!({"exp": now + 90 * 24 * 3_600}),
        json!({"sub": "x".repeat(255)}),
    ] {
        judged(&with).unwrap_or_else(|error| panic!("{with}: {error}"));
    }
}

#[test]
fn a_subject_is_named_as_by_its_bearer_tokens_or_by_a_hash_of_issuer_and_subject() {
    let names = |sub: &str| -> Vec<String> {
        let subject = judged(&json!({"sub": sub})).expect("a subject");
        subject.user_ids.iter().map(ToString::to_string).collect()
    };
    let plain = names("Anna|1");
    assert_eq!((plain.len(), plain[0].as_str()), (2, "oidc:Anna|1"));
    for odd in ["a b", "ä", "system", "a/b", &"x".repeat(200)] {
        let [hash] = &names(odd)[..] else { panic!("{odd} has no name of its own") };
        assert_eq!(hash.len(), "oidc:".len() + 22, "{hash}");
        assert_eq!(names(odd), names(odd));
        assert_ne!(names(odd), names(&format!("{odd} ")));
    }
    assert_ne!(user_ids("oidc", "https://id.test2", "a b"), user_ids("oidc", "https://id.test", "a b"));
}

#[test]
fn the_name_that_others_read_is_told_or_chosen_and_can_be_shown() {
    let told = |with: Value| judged(&with).map(|subject| (subject.name, subject.email)).expect("a subject");
    assert_eq!(told(json!({})), (None, None));
    assert_eq!(told(json!({"preferred_username": "anna"})).0.as_deref(), Some("anna"));
    assert_eq!(told(json!({"preferred_username": "anna", "name": " Anna\u{0}\n B "})).0.as_deref(), Some("Anna B"));
    assert_eq!(told(json!({"name": "\u{7}", "preferred_username": "anna"})).0.as_deref(), Some("anna"));
    assert_eq!(told(json!({"name": "ä".repeat(300)})).0.map(|name| name.chars().count()), Some(100));
    assert_eq!(told(json!({"email": "anna@id.test"})).1.as_deref(), Some("anna@id.test"));
    assert_eq!(told(json!({"email": "x".repeat(255)})).1, None);
}

#[tokio::test]
async fn a_signature_counts_only_by_a_key_of_the_provider_with_an_algorithm_that_it_names() {
    let (right, wrong) = (ed(), ed());
    let mut id = outside("id", &["EdDSA", "ES256"]);
    id.rules.issuer = "https://id.test".into();
    id.rules.audience = vec!["chat".into()];
    let mut issuers = Issuers::new(&Limits::default());
    let set = json!({"keys": [right.jwk("k1")]}).to_string();
    issuers.add_fixed(id, &set).expect("an issuer");
    let issuer = issuers.named("https://id.test").expect("it is there");
    let opens = async |token: String| {
        let (header, _) = unverified(&token).map_err(|error| error.code)?;
        let header: TokenHeader<'_> = key_header(&header).map_err(|error| error.code)?;
        issuer.open::<Object>(&token, &header, Reading::from(NOW).uptime).await.map(drop).map_err(|error| error.code)
    };
    let signed = |alg: &str, kid: Option<&str>, pair: &Pair, with: Value| {
        let mut body = good();
        for (name, value) in with.as_object().expect("an object") {
            body[name] = value.clone();
        }
        pair.forge(&header(alg, kid), &body.to_string())
    };
    assert_eq!(opens(signed("EdDSA", Some("k1"), &right, json!({}))).await, Ok(()));
    assert_eq!(opens(signed("EdDSA", None, &right, json!({}))).await, Ok(()));
    for token in [
        signed("EdDSA", Some("k1"), &wrong, json!({})),
        signed("EdDSA", Some("k2"), &right, json!({})),
        signed("EdDSA", Some("k1"), &right, json!({"iss": "https://id.test/"})),
        signed("EdDSA", Some("k1"), &right, json!({"aud": "other"})),
        signed("EdDSA", Some("k1"), &right, json!({"aud": ["other"]})),
        signed("HS256", Some("k1"), &secret(b"0123456789abcdef0123456789abcdef"), json!({})),
        signed("ES256", Some("k1"), &ec(), json!({})),
        signed("RS256", Some("k1"), &RSA, json!({})),
        signed("none", Some("k1"), &right, json!({})),
        String::new(),
        "a.b.c".to_owned(),
    ] {
        assert_eq!(opens(token.clone()).await, Err(Code::BadCredentials), "{token}");
    }
}

fn flow() -> LoginFlow {
    LoginFlow { state: "s".repeat(22), nonce: NONCE.into(), verifier: "v".repeat(43) }
}

#[test]
fn a_trip_ends_where_it_began_in_time_and_once() {
    let ring = Arc::new(KeyRing::new(&[[1; 64]]).expect("a ring"));
    let login_flows = LoginFlowCookies::new(Arc::clone(&ring), Cookies { secure: true });
    let cookie = login_flows.pack(&flow(), 7, NOW);
    assert_eq!(cookie.name(), "__Host-hailgate-oidc");
    for secret in [&flow().state, &flow().nonce, &flow().verifier] {
        assert!(!cookie.value().contains(secret.as_str()), "it is sealed");
    }
    let back = |cookie: Option<&Cookie<'static>>, state: &str, now: Time| {
        let request = cookie.into_iter().fold(TestRequest::default(), |request, cookie| request.cookie(cookie.clone()));
        login_flows.unpack(&request.to_http_request(), state, now).map_err(|error| error.code)
    };
    let state = flow().state;
    assert!(back(Some(&cookie), &state, NOW) == Ok((flow(), 7)));
    assert!(back(Some(&cookie), &state, Time(NOW.plus(LIFE).0 - 1)) == Ok((flow(), 7)));
    let other = login_flows.pack(&LoginFlow { state: "t".repeat(22), ..flow() }, 7, NOW);
    let foreign = LoginFlowCookies::new(Arc::new(KeyRing::new(&[[2; 64]]).expect("a ring")), Cookies { secure: true });
    let session = Cookie::new(cookie.name().to_owned(), ring.seal("session", &format!("{} 7 {state} n v", NOW.0)));
    for (what, cookie, state, now) in [
        ("no cookie", None, state.as_str(), NOW),
        ("another state", Some(&cookie), "t", NOW),
        ("no state", Some(&cookie), "", NOW),
        ("over its time", Some(&cookie), &state, NOW.plus(LIFE)),
        ("from a future", Some(&cookie), &state, Time(NOW.0 - 1)),
        ("another flow", Some(&other), &state, NOW),
        ("another server's", Some(&foreign.pack(&flow(), 7, NOW)), &state, NOW),
        ("sealed for something else", Some(&session), &state, NOW),
        ("taken away", Some(&login_flows.end()), &state, NOW),
    ] {
        assert!(back(cookie, state, now) == Err(Code::SignInLost), "{what}");
    }
}
