//! Hostile tokens: RFC 8725 point by point, one row each, with what must pass beside what must not.

use futures_util::FutureExt;
use proptest::prelude::*;
use serde_json::json;

use super::{
    super::forge::{NOW, OTHER_RSA, Pair, RSA, SECRET, base64, body, ec, ed, header, outside, secret, set, with},
    *,
};

/// Section, what is tried, the token, and what comes of it.
type Row = (&'static str, &'static str, String, Result<(), Code>);

const REFUSED: Result<(), Code> = Err(Code::BadCredentials);

/// Own tokens by a secret; `corp` signs with RSA, `shared` with a secret, `loose` with Ed25519 and without `typ`.
fn tokens(loose: &Pair) -> Tokens {
    let own = OwnKeys::of_secrets(&[SECRET], "hailgate", "hailgate").expect("a key");
    let mut issuers = Issuers::new(&Limits::default()).own(own, "hailgate", "hailgate");
    issuers.add_fixed(outside("corp", &["RS256"]), &set(&[RSA.jwk("k1")])).expect("an issuer");
    issuers.add_fixed(outside("shared", &["HS512"]), &secret(&[7; 64]).jwk("k1").to_string()).expect("an issuer");
    let entry = ExternalIssuer { allow_missing_typ: true, ..outside("loose", &["EdDSA"]) };
    issuers.add_fixed(entry, &set(&[loose.jwk("k1")])).expect("an issuer");
    Tokens::of(issuers)
}

fn verdict(tokens: &Tokens, token: &str) -> Result<Claims, Code> {
    let done = tokens.verify(token, NOW.into()).now_or_never().expect("nothing is fetched");
    done.map_err(|error| {
        // A few letters stand in any sentence.
        assert!(token.len() < 40 || !error.detail.contains(token), "the words repeat the token");
        error.code
    })
}

/// An own token with these claims.
fn own(body: &Value) -> String {
    secret(SECRET).forge(&header("HS256", None), &body.to_string())
}

/// An own token with this header.
fn headed(header: &Value) -> String {
    secret(SECRET).forge(header, &body("hailgate").to_string())
}

/// A token of `corp`.
fn corp(pair: &Pair, header: &Value) -> String {
    pair.forge(header, &body("corp").to_string())
}

fn algorithms() -> Vec<Row> {
    let confused = secret(RSA.public_pem().as_bytes());
    let modulus = secret(RSA.jwk("k1")["n"].as_str().expect("text").as_bytes());
    let none = |alg: &str| {
        format!("{}.{}.", base64(json!({"alg": alg, "typ": "at+jwt"}).to_string()), base64(body("hailgate").to_string()))
    };
    let mut rows = vec![
        ("3.1", "the right key and algorithm", own(&body("hailgate")), Ok(())),
        ("3.1", "the right key of an outside issuer", corp(&RSA, &header("RS256", Some("k1"))), Ok(())),
        ("3.1", "the public key as HMAC secret", corp(&confused, &header("HS256", Some("k1"))), REFUSED),
        ("3.1", "the modulus as HMAC secret", corp(&modulus, &header("HS256", Some("k1"))), REFUSED),
        ("3.1", "a listed name over another algorithm", corp(&confused, &header("RS256", Some("k1"))), REFUSED),
        ("3.1", "an algorithm of the key that is not listed", corp(&RSA, &header("PS256", Some("k1"))), REFUSED),
        ("3.1", "another hash than the key's", headed(&header("HS512", None)), REFUSED),
        ("3.1", "an algorithm in other letters", headed(&header("hs256", None)), REFUSED),
        ("3.1", "an algorithm that is no text", headed(&json!({"alg": 5, "typ": "JWT"})), REFUSED),
        ("3.1", "no algorithm", headed(&json!({"typ": "JWT"})), REFUSED),
        ("3.2", "an algorithm nobody knows", headed(&header("RSA1_5", None)), REFUSED),
    ];
    let names = ["none", "None", "NONE", "nOnE"];
    rows.extend(names.map(|name| ("3.2", "no signature", none(name), REFUSED)));
    rows
}

fn signatures(loose: &Pair) -> Vec<Row> {
    let good = own(&body("hailgate"));
    let (unsigned, _) = good.rsplit_once('.').expect("three parts");
    let cut = good[..good.len() - 3].to_owned();
    let by = |pair: &Pair, issuer: &str, header: &Value| pair.forge(header, &body(issuer).to_string());
    let latin = {
        let bytes = body("hailgate").to_string().replace("alice", "alic\u{e9}").chars().map(|c| c as u8).collect::<Vec<_>>();
        let message = format!("{}.{}", base64(header("HS256", None).to_string()), base64(bytes));
        let tag =
            aws_lc_rs::hmac::sign(&aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, SECRET), message.as_bytes());
        format!("{message}.{}", base64(tag))
    };
    vec![
        ("3.3", "another secret", by(&secret(&[9; 32]), "hailgate", &header("HS256", None)), REFUSED),
        ("3.3", "an empty secret", by(&secret(b""), "hailgate", &header("HS256", None)), REFUSED),
        ("3.3", "another key of the right kind", corp(&OTHER_RSA, &header("RS256", Some("k1"))), REFUSED),
        (
            "3.3",
            "the signature of another body",
            format!(
                "{}.{}",
                &corp(&RSA, &header("RS256", Some("k1"))).rsplit_once('.').expect("parts").0,
                good.rsplit('.').next().expect("a part")
            ),
            REFUSED,
        ),
        ("3.3", "a signature cut short", cut, REFUSED),
        ("3.3", "an empty signature", format!("{unsigned}."), REFUSED),
        ("3.3", "no signature part", unsigned.to_owned(), REFUSED),
        ("3.3", "a fourth part", format!("{good}.x"), REFUSED),
        (
            "3.4",
            "a signature of zeros",
            format!(
                "{}.{}",
                by(loose, "loose", &header("EdDSA", Some("k1"))).rsplit_once('.').expect("parts").0,
                base64([0; 64])
            ),
            REFUSED,
        ),
        ("3.6", "a token that is encrypted", "a.b.c.d.e".to_owned(), REFUSED),
        ("3.7", "a body in another encoding than UTF-8", latin, REFUSED),
        ("3.7", "no token", "hello".to_owned(), REFUSED),
        ("3.7", "nothing", String::new(), REFUSED),
        ("3.7", "dots", "..".to_owned(), REFUSED),
        ("3.7", "padding", format!("{good}="), REFUSED),
        ("3.7", "a token over 16 KiB", own(&with(body("hailgate"), "name", json!("a".repeat(16_384)))), REFUSED),
        ("3.7", "a token just under it", own(&with(body("hailgate"), "name", json!("a".repeat(11_000)))), Ok(())),
        ("3.7", "JSON nested without end", secret(SECRET).forge(&header("HS256", None), &"[".repeat(5_000)), REFUSED),
    ]
}

fn names(loose: &Pair) -> Vec<Row> {
    let claim = |name: &str, to: Value| own(&with(body("hailgate"), name, to));
    let of = |pair: &Pair, claims: &Value, header: &Value| pair.forge(header, &claims.to_string());
    let foreign = with(body("corp"), "sub", json!("auth0|5"));
    vec![
        ("3.8", "an issuer nobody knows", claim("iss", json!("evil")), REFUSED),
        ("3.8", "no issuer", claim("iss", Value::Null), REFUSED),
        ("3.8", "a list of issuers", claim("iss", json!(["hailgate"])), REFUSED),
        ("3.8", "the own key in the name of an outside issuer", claim("iss", json!("corp")), REFUSED),
        ("3.8", "an outside key in the own name", of(&RSA, &body("hailgate"), &header("RS256", Some("k1"))), REFUSED),
        (
            "3.8",
            "a key with the same name of another issuer",
            of(loose, &body("corp"), &header("EdDSA", Some("k1"))),
            REFUSED,
        ),
        ("3.8", "no subject", claim("sub", Value::Null), REFUSED),
        ("3.8", "an empty subject", claim("sub", json!("")), REFUSED),
        ("3.8", "a subject with NUL", claim("sub", json!("alice\0")), REFUSED),
        ("3.8", "a subject of 8 KiB", claim("sub", json!("a".repeat(8_192))), REFUSED),
        ("3.8", "a subject of a megabyte", claim("sub", json!("a".repeat(1 << 20))), REFUSED),
        ("3.8", "a subject that is a number", claim("sub", json!(5)), REFUSED),
        ("3.8", "a reserved subject", claim("sub", json!("system")), REFUSED),
        ("3.8", "a user of an outside issuer, by the own one", claim("sub", json!("corp:alice")), Ok(())),
        ("3.8", "an outside user", of(&RSA, &foreign, &header("RS256", Some("k1"))), Ok(())),
        (
            "3.8",
            "a reserved name of an outside user, which is hashed",
            of(&RSA, &with(foreign.clone(), "sub", json!("anonymous")), &header("RS256", Some("k1"))),
            Ok(()),
        ),
        (
            "3.8",
            "an outside name that is too long, which is hashed",
            of(&RSA, &with(foreign, "sub", json!("a".repeat(124))), &header("RS256", Some("k1"))),
            Ok(()),
        ),
        ("3.9", "another audience", claim("aud", json!("other")), REFUSED),
        ("3.9", "no audience", claim("aud", Value::Null), REFUSED),
        ("3.9", "an audience that is a number", claim("aud", json!([5])), REFUSED),
        ("3.9", "one of several audiences", claim("aud", json!(["other", "hailgate"])), Ok(())),
    ]
}

fn trust(attacker: &Pair) -> Vec<Row> {
    let kid = |kid: Value| headed(&with(header("HS256", None), "kid", kid));
    let address =
        |name: &str, to: Value| attacker.forge(&with(header("RS256", Some("k1")), name, to), &body("corp").to_string());
    let good = |name: &str, to: Value| RSA.forge(&with(header("RS256", Some("k1")), name, to), &body("corp").to_string());
    let unknown = |name: &str| {
        attacker.forge(&with(header("EdDSA", Some("new")), name, attacker.jwk("new")), &body("loose").to_string())
    };
    vec![
        ("3.10", "a `kid` that is a path", kid(json!("../../etc/passwd")), REFUSED),
        ("3.10", "a `kid` that is SQL", kid(json!("x' UNION SELECT 'key'--")), REFUSED),
        ("3.10", "an empty `kid`", kid(json!("")), REFUSED),
        ("3.10", "a `kid` that is no text", kid(json!({"$gt": ""})), REFUSED),
        ("3.10", "the attacker's address of keys", address("jku", json!("https://evil.test/jwks")), REFUSED),
        ("3.10", "the attacker's key in the header", unknown("jwk"), REFUSED),
        ("3.10", "the attacker's certificate address", address("x5u", json!("https://evil.test/cert")), REFUSED),
        ("3.10", "the attacker's certificate", address("x5c", json!(["MIIB"])), REFUSED),
        ("3.10", "an address beside a right signature, never used", good("jku", json!("https://evil.test/jwks")), Ok(())),
    ]
}

fn kinds(loose: &Pair) -> Vec<Row> {
    let head = |name: &str, to: Value| headed(&with(header("HS256", None), name, to));
    let claim = |name: &str, to: Value| own(&with(body("hailgate"), name, to));
    let twice = |text: &str, with: &str| text.replacen('{', with, 1);
    let raw = |header: &str| {
        let message = format!("{}.{}", base64(header), base64(body("hailgate").to_string()));
        let tag =
            aws_lc_rs::hmac::sign(&aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, SECRET), message.as_bytes());
        format!("{message}.{}", base64(tag))
    };
    let no_typ = with(header("EdDSA", Some("k1")), "typ", Value::Null);
    let bad_typ = with(header("EdDSA", Some("k1")), "typ", json!("id+jwt"));
    vec![
        ("3.11", "typ JWT", head("typ", json!("JWT")), Ok(())),
        ("3.11", "typ in full", head("typ", json!("application/at+jwt")), Ok(())),
        ("3.11", "typ in full and in another case", head("typ", json!("Application/AT+JWT")), Ok(())),
        ("3.11", "typ JWT in full", head("typ", json!("application/jwt")), Ok(())),
        ("3.11", "typ of another top level", head("typ", json!("text/at+jwt")), REFUSED),
        ("3.11", "typ in full twice", head("typ", json!("application/application/at+jwt")), REFUSED),
        ("3.11", "typ with a parameter", head("typ", json!("application/at+jwt; v=1")), REFUSED),
        ("3.11", "typ of another kind", head("typ", json!("rt+jwt")), REFUSED),
        ("3.11", "typ missing", head("typ", Value::Null), REFUSED),
        ("3.11", "typ that is no text", head("typ", json!(["JWT"])), REFUSED),
        ("3.11", "typ missing where the entry allows it", loose.forge(&no_typ, &body("loose").to_string()), Ok(())),
        ("3.11", "typ of another kind even there", loose.forge(&bad_typ, &body("loose").to_string()), REFUSED),
        ("3.12", "an ID token", claim("nonce", json!("x")), REFUSED),
        ("3.12", "an ID token with a hash", claim("at_hash", json!("x")), REFUSED),
        ("3.12", "an ID token with a code hash", claim("c_hash", json!("x")), REFUSED),
        ("RFC 7515 4.1.11", "crit", head("crit", json!(["exp"])), REFUSED),
        ("RFC 7515 4.1.11", "crit that is empty", head("crit", json!([])), REFUSED),
        ("RFC 7797", "b64", head("b64", json!(false)), REFUSED),
        (
            "RFC 7515 4",
            "a name twice in the header",
            raw(&twice(&header("HS256", None).to_string(), r#"{"typ":"x","#)),
            REFUSED,
        ),
        (
            "RFC 7519 4",
            "a name twice in the body",
            secret(SECRET).forge(&header("HS256", None), &twice(&body("hailgate").to_string(), r#"{"sub":"bob","#)),
            REFUSED,
        ),
        (
            "RFC 7519 4",
            "the issuer twice",
            secret(SECRET).forge(&header("HS256", None), &twice(&body("hailgate").to_string(), r#"{"iss":"corp","#)),
            REFUSED,
        ),
    ]
}

fn times() -> Vec<Row> {
    let now = NOW.seconds();
    let claim = |name: &str, to: Value| own(&with(body("hailgate"), name, to));
    vec![
        ("RFC 7519 4.1", "iat missing", claim("iat", Value::Null), REFUSED),
        ("RFC 7519 4.1", "iat in the future", claim("iat", json!(now + 6)), REFUSED),
        ("RFC 7519 4.1", "iat within the leeway", claim("iat", json!(now + 5)), Ok(())),
        ("RFC 7519 4.1", "exp missing", claim("exp", Value::Null), REFUSED),
        ("RFC 7519 4.1", "exp in a hundred years", claim("exp", json!(now + 3_155_760_000_i64)), REFUSED),
        ("RFC 7519 4.1", "exp a second over a day", claim("exp", json!(now + 86_401)), REFUSED),
        ("RFC 7519 4.1", "exp as text", claim("exp", json!("9999999999")), REFUSED),
        ("RFC 7519 4.1", "exp out of all numbers", claim("exp", json!(1e300)), REFUSED),
        ("RFC 7519 4.1", "exp before all time", claim("exp", json!(i64::MIN)), REFUSED),
        ("RFC 7519 4.1", "nbf in the future", claim("nbf", json!(now + 6)), REFUSED),
        ("RFC 7519 4.1", "nbf that is text", claim("nbf", json!("0")), REFUSED),
        (
            "RFC 7519 4.1",
            "expired",
            own(&with(with(body("hailgate"), "iat", json!(now - 60)), "exp", json!(now - 5))),
            Err(Code::TokenExpired),
        ),
    ]
}

#[test]
fn every_row_of_rfc_8725_gets_its_verdict() {
    let (loose, attacker) = (ed(), ed());
    let tokens = tokens(&loose);
    let rows =
        [algorithms(), signatures(&loose), names(&loose), trust(&attacker), trust(&OTHER_RSA), kinds(&loose), times()];
    let mut taken = 0;
    for (section, what, token, expected) in rows.into_iter().flatten() {
        let got = verdict(&tokens, &token).map(drop);
        assert_eq!(got, expected, "{section}: {what}");
        taken += usize::from(got.is_ok());
    }
    assert!(taken > 8, "rows that pass show that the others are refused for what they say");
}

fn grant() -> Grant {
    Grant {
        user: UserId::parse("alice").expect("a user id"),
        ttl: Duration::from_secs(60),
        session: Some(SessionId::new()),
        family: Some(FamilyId::new()),
        permissions: vec![Permission::Publish],
        tier: Some("gold".to_owned()),
    }
}

#[test]
fn what_is_signed_verifies() {
    let (tokens, grant) = (tokens(&ed()), grant());
    let claims = verdict(&tokens, &tokens.sign(&grant, NOW).expect("a token")).expect("verified");
    let expected = Claims {
        user: grant.user.clone(),
        subject: None,
        outside: false,
        issued_at: NOW,
        expires_at: NOW.plus(grant.ttl),
        session: grant.session,
        family: grant.family,
        email: None,
        name: None,
        tier: grant.tier.clone(),
        permissions: grant.permissions.clone(),
    };
    assert_eq!(claims, expected);
    for wrong in [86_401, 0] {
        assert!(tokens.sign(&Grant { ttl: Duration::from_secs(wrong), ..grant.clone() }, NOW).is_err());
    }
}

#[test]
fn without_an_own_key_nothing_is_signed_and_outside_tokens_verify() {
    let mut issuers = Issuers::new(&Limits::default());
    issuers.add_fixed(outside("corp", &["RS256"]), &RSA.public_pem()).expect("an issuer");
    let tokens = Tokens::of(issuers);
    assert_eq!(tokens.sign(&grant(), NOW).map_err(|error| error.code), Err(Code::NoSigningKey));
    assert!(verdict(&tokens, &corp(&RSA, &header("RS256", None))).is_ok());
    assert_eq!(verdict(&tokens, &own(&body("hailgate"))).map(drop), REFUSED);
}

#[test]
fn an_outside_issuer_names_its_own_users_only_and_gives_listed_permissions_only() {
    let mut issuers = Issuers::new(&Limits::default());
    let entry = ExternalIssuer { permissions: vec![Permission::Publish], ..outside("corp", &["ES256"]) };
    let pair = ec();
    issuers.add_fixed(entry, &pair.public_pem()).expect("an issuer");
    let body = with(body("corp"), "permissions", json!(["admin", "publish", "everything", 5]));
    let body = with(with(body, "sid", json!("not even an id")), "fid", json!(SessionId::new().to_string()));
    let claims = verdict(&Tokens::of(issuers), &pair.forge(&header("ES256", None), &body.to_string())).expect("verified");
    assert_eq!((claims.user.as_str(), claims.outside), ("corp:alice", true));
    assert_eq!(claims.permissions, [Permission::Publish]);
    assert_eq!((claims.session, claims.family), (None, None), "logins are the own issuer's");
}

#[test]
fn a_subject_that_is_no_user_id_or_looks_like_a_hash_is_for_the_store_to_tell() {
    let mut issuers = Issuers::new(&Limits::default());
    let pair = ec();
    issuers.add_fixed(outside("corp", &["ES256"]), &pair.public_pem()).expect("an issuer");
    let tokens = Tokens::of(issuers);
    let claims = |sub: &str| {
        let body = with(body("corp"), "sub", json!(sub));
        verdict(&tokens, &pair.forge(&header("ES256", None), &body.to_string()))
    };
    assert_eq!(claims("repo:1").expect("verified").subject, None);
    for (sub, plain) in [
        ("repo:org/x:ref:refs/heads/main", false),
        ("system:serviceaccount:a:b", false),
        ("anonymous", false),
        (&"x".repeat(300), false),
        (&"x".repeat(22), true),
    ] {
        let claims = claims(sub).expect("verified");
        let subject = claims.subject.expect("a subject");
        assert_eq!((subject.subject.as_str(), &subject.user_ids[0]), (sub, &claims.user));
        assert_eq!(claims.user.as_str() == format!("corp:{sub}"), plain, "{sub}");
        assert_eq!(claims.user.as_str().len(), "corp:".len() + 22);
    }
    assert_eq!(claims("").map(drop), REFUSED);
}

#[test]
fn the_longest_life_is_a_limit() {
    let own = OwnKeys::of_secrets(&[SECRET], "hailgate", "hailgate").expect("a key");
    let limits = Limits { token_lifetime_ms: 60_000, ..Limits::default() };
    let tokens = Tokens::of(Issuers::new(&limits).own(own, "hailgate", "hailgate"));
    let lives = |seconds: i64| self::own(&with(body("hailgate"), "exp", json!(NOW.seconds() + seconds)));
    assert!(verdict(&tokens, &lives(60)).is_ok());
    assert_eq!(verdict(&tokens, &lives(61)).map(drop), REFUSED);
    assert!(tokens.sign(&Grant { ttl: Duration::from_secs(61), ..grant() }, NOW).is_err());
}

#[test]
fn a_token_ends_five_seconds_after_its_time() {
    let (tokens, token) = (tokens(&ed()), own(&body("hailgate")));
    let at = |seconds: i64| {
        let then = Time::from_seconds(NOW.seconds() + seconds);
        tokens.verify(&token, then.into()).now_or_never().expect("nothing is fetched").map_err(|error| error.code).map(drop)
    };
    assert_eq!(at(3604), Ok(()));
    assert_eq!(at(3605), Err(Code::TokenExpired));
}

proptest! {
    #[test]
    fn no_text_verifies(text in "\\PC{0,400}", parts in proptest::collection::vec("[A-Za-z0-9_-]{0,80}", 0..6)) {
        let tokens = Tokens::new(SECRET, "hailgate", "hailgate").expect("a key");
        prop_assert!(verdict(&tokens, &text).is_err());
        prop_assert!(verdict(&tokens, &parts.join(".")).is_err());
    }

    #[test]
    fn no_change_of_a_token_verifies(at in any::<prop::sample::Index>(), to in any::<char>(), insert in any::<bool>()) {
        let tokens = Tokens::new(SECRET, "hailgate", "hailgate").expect("a key");
        let token = own(&body("hailgate"));
        let (start, mut rest) = token.split_at(at.index(token.len()));
        if !insert {
            rest = &rest[1..];
        }
        let changed = format!("{start}{to}{rest}");
        prop_assert_eq!(verdict(&tokens, &changed).is_ok(), changed == token);
        let without = format!("{start}{rest}");
        prop_assert_eq!(verdict(&tokens, &without).is_ok(), insert);
    }
}
