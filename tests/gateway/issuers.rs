//! Tokens of outside issuers, private keys, and keys that change while the server runs. Every key is made anew.

use std::{fs, sync::Arc};

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    signature::{Ed25519KeyPair, KeyPair},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};

use crate::{
    jwt::{changed, claims, now},
    people::{Person, Proof},
    server::{Server, Site, random},
};

/// An outside issuer of the tests: it signs with Ed25519, under a name.
pub struct Issuer {
    pair: Ed25519KeyPair,
    kid: String,
}

impl Issuer {
    pub fn new(kid: &str) -> Issuer {
        Issuer { pair: Ed25519KeyPair::generate().expect("a key"), kid: kid.to_owned() }
    }

    fn jwk(&self) -> Value {
        json!({"kty": "OKP", "crv": "Ed25519", "kid": self.kid, "x": URL_SAFE_NO_PAD.encode(self.pair.public_key())})
    }

    /// A token with these claims beside the usual ones.
    pub fn token(&self, with: &Value) -> String {
        let good = json!({"iss": "https://idp.test", "aud": "chat", "sub": "Anna", "iat": now(), "exp": now() + 600});
        let header = json!({"alg": "EdDSA", "typ": "at+jwt", "kid": self.kid});
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", encode(&header), encode(&changed(&good, with)));
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(self.pair.sign(message.as_bytes())))
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

pub fn keys(issuers: &[&Issuer]) -> String {
    json!({"keys": issuers.iter().map(|issuer| issuer.jwk()).collect::<Vec<_>>()}).to_string()
}

pub const ENTRY: &str = "[[trusted_issuer]]\nissuer = \"https://idp.test\"\naudience = \"chat\"\nalgorithms = [\"EdDSA\"]\n\
    keys = \"idp.json\"\nprefix = \"corp\"\npermissions = [\"publish\"]\n";

/// A site whose configuration file holds this text, and beside it these keys of the outside issuer.
pub fn site(more: &[(&str, &str)], without: &str, config: &str, keys: &str) -> Site {
    let mut site = Site::new(more);
    let path = site.directory.path().join("site.toml");
    site.variables.retain(|(name, _)| name != without);
    site.variables.push(("HAILGATE_CONFIG".to_owned(), path.to_str().expect("UTF-8").to_owned()));
    write(&site, config, keys);
    site
}

fn write(site: &Site, config: &str, keys: &str) {
    fs::write(site.directory.path().join("idp.json"), keys).expect("a file");
    fs::write(site.directory.path().join("site.toml"), config).expect("a file");
}

fn bearer(server: &Server, token: String) -> Person {
    server.nobody().with(Proof::Bearer(token))
}

const AGAIN: &str = "the keys of tokens and cookies were read again";
const STAY: &str = "the keys stay as they are";

#[tokio::test]
async fn a_user_of_an_outside_issuer_is_admitted_under_its_prefix_with_listed_permissions() {
    let idp = Issuer::new("k1");
    let server = Arc::new(site(&[], "", ENTRY, &keys(&[&idp]))).serve();
    let anna = bearer(&server, idp.token(&json!({"permissions": ["admin", "publish"], "name": "Anna A."})));
    let me = anna.get("/api/auth/me").await.json(200);
    assert_eq!((&me["user_id"], &me["name"]), (&json!("corp:Anna"), &json!("Anna A.")));
    assert_eq!((&me["permissions"], &me["session_id"]), (&json!(["publish"]), &Value::Null));
    let mut socket = anna.socket().await;
    assert_eq!(socket.hello["user"]["user_id"], "corp:Anna");
    socket.is_alive().await;
    server.person().get("/api/auth/me").await.json(200);
    for (what, token) in [
        ("another key of the same name", Issuer::new("k1").token(&json!({}))),
        ("another name of the key", Issuer { pair: idp.pair, kid: "k2".to_owned() }.token(&json!({}))),
    ] {
        let refused = bearer(&server, token);
        let problem = refused.get("/api/auth/me").await.problem(401, "bad_credentials");
        assert_eq!(problem["status"], 401, "{what}");
        refused.try_upgrade("/ws").await.problem(401, "bad_credentials");
    }
}

#[tokio::test]
async fn a_claim_of_an_outside_issuer_about_other_users_is_refused() {
    let idp = Issuer::new("k1");
    let server = Arc::new(site(&[], "", ENTRY, &keys(&[&idp]))).serve();
    let alice = server.person();
    let same_name = bearer(&server, idp.token(&json!({"sub": alice.name})));
    assert_eq!(same_name.get("/api/auth/me").await.json(200)["user_id"], format!("corp:{}", alice.name));
    for with in [
        json!({"iss": "hailgate", "aud": "hailgate", "sub": alice.name}),
        json!({"iss": "https://other.test"}),
        json!({"aud": "hailgate"}),
        json!({"sub": ""}),
        json!({"sub": 7}),
    ] {
        bearer(&server, idp.token(&with)).get("/api/auth/me").await.problem(401, "bad_credentials");
    }
}

#[tokio::test]
async fn a_hangup_reads_the_keys_again_while_connections_stay_open() {
    let (old, new) = (Issuer::new("old"), Issuer::new("new"));
    let secrets = [random(64), random(64)];
    let config = |secrets: &str| format!("jwt_secret = \"{secrets}\"\n{ENTRY}");
    let server = Arc::new(site(&[], "HAILGATE_JWT_SECRET", &config(&secrets[0]), &keys(&[&old]))).serve();
    let alice = server.person();
    let (mut own, mut outside) = (alice.socket().await, bearer(&server, old.token(&json!({}))).socket().await);
    bearer(&server, new.token(&json!({}))).get("/api/auth/me").await.problem(401, "bad_credentials");

    write(&server.site, &config(&format!("{},{}", secrets[1], secrets[0])), &keys(&[&old, &new]));
    server.hang_up();
    server.log.wait_for_count(AGAIN, 1);
    for token in [old.token(&json!({})), new.token(&json!({})), alice.token().to_owned(), server.site.token(&alice.name)] {
        bearer(&server, token).get("/api/auth/me").await.json(200);
    }

    write(&server.site, &config(&secrets[1]), &keys(&[&new]));
    server.hang_up();
    server.log.wait_for_count(AGAIN, 2);
    for token in [new.token(&json!({})), server.site.token(&alice.name)] {
        bearer(&server, token).get("/api/auth/me").await.json(200);
    }
    for token in [old.token(&json!({})), alice.token().to_owned()] {
        bearer(&server, token).get("/api/auth/me").await.problem(401, "bad_credentials");
    }

    let weak = config(&format!("{},short", secrets[1]));
    for (count, (config, keys)) in [(weak, keys(&[&new])), (config(&secrets[1]), "{}".to_owned())].into_iter().enumerate() {
        write(&server.site, &config, &keys);
        server.hang_up();
        server.log.wait_for_count(STAY, count + 1);
        bearer(&server, new.token(&json!({}))).get("/api/auth/me").await.json(200);
    }
    // Read again as it was, and then with more than keys changed.
    let limits = format!("workers = 1000\n{}[limits]\npage = 7\ntoken_bytes = 1024\n", config(&secrets[1]));
    for (count, text) in [(1, &config(&secrets[1])), (2, &limits)] {
        write(&server.site, text, &keys(&[&new]));
        server.hang_up();
        server.log.wait_for_count("none has changed", count);
    }
    server.log.wait_for_count("they wait for a restart: workers, limits.page, limits.token_bytes", 1);
    let long = new.token(&json!({"more": "x".repeat(1_024)}));
    bearer(&server, long).get("/api/auth/me").await.json(200);
    own.is_alive().await;
    outside.is_alive().await;
    for secret in &secrets {
        assert!(!server.log.text().contains(secret.as_str()));
    }
}

#[tokio::test]
async fn a_private_key_signs_and_without_any_own_key_nothing_is_signed() {
    let idp = Issuer::new("k1");
    let private = pem("PRIVATE KEY", idp.pair.to_pkcs8v1().expect("DER").as_ref());
    let by_key = site(&[("HAILGATE_JWT_PRIVATE_KEY", "own.pem")], "HAILGATE_JWT_SECRET", "", "");
    fs::write(by_key.directory.path().join("own.pem"), &private).expect("a file");
    let server = Arc::new(by_key).serve();
    server.person().get("/api/auth/me").await.json(200);
    let told = server.site.told(&["check"], "");
    assert!(!told.contains("BEGIN"), "{told}");

    let der: PublicKeyX509Der<'_> = idp.pair.public_key().as_der().expect("DER");
    let nobody = site(&[], "HAILGATE_JWT_SECRET", ENTRY, &pem("PUBLIC KEY", der.as_ref()));
    let output = nobody.run(&["token", "--user", "alice"]);
    assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(78), true));
    let server = Arc::new(nobody).serve();
    // A key in PEM goes by its thumbprint, which `k1` is not.
    bearer(&server, idp.token(&json!({}))).get("/api/auth/me").await.problem(401, "bad_credentials");
    let own = crate::jwt::sign(&json!({"alg": "HS256", "typ": "JWT"}).to_string(), &claims("alice").to_string(), "");
    bearer(&server, own).get("/api/auth/me").await.problem(401, "bad_credentials");
}

#[tokio::test]
async fn a_source_of_keys_that_is_down_is_503_and_the_server_starts_without_it() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let config = ENTRY.replace("idp.json", &format!("http://{free}/keys"));
    let server = Arc::new(site(&[], "", &config, "")).serve();
    let anna = bearer(&server, Issuer::new("k1").token(&json!({})));
    for answer in [anna.get("/api/auth/me").await, anna.try_upgrade("/ws").await] {
        assert!(answer.problem(503, "issuer_unavailable")["retry_after_ms"].as_u64().is_some());
    }
    server.person().get("/api/auth/me").await.json(200);
}

#[test]
fn check_shows_whom_is_trusted_with_what_and_which_keys_it_has_not_fetched() {
    let place = site(&[], "", ENTRY, &keys(&[&Issuer::new("k1")]));
    let file = place.directory.path().join("idp.json").display().to_string();
    let config = place.variable("HAILGATE_CONFIG").to_owned();
    let shown = |place: &Site| -> Value { serde_json::from_str(&place.told(&["check", "--json"], "")).expect("JSON") };
    let right = json!({"issuer": "https://idp.test", "audience": ["chat"], "algorithms": ["EdDSA"], "keys": file,
        "keys_read": true, "prefix": "corp", "permissions": ["publish"], "allow_missing_typ": false,
        "origin": {"kind": "file", "path": config, "line": 1}});
    assert_eq!(shown(&place)["trusted_issuers"], json!([right]));
    let told = place.told(&["check"], "");
    let lines = ["https://idp.test", "chat", "EdDSA", &file, "corp:", "publish", &format!("{config}:1")];
    assert!(lines.iter().all(|part| told.contains(part)) && told.contains("read, and good"), "{told}");

    // A port that nobody listens on: the address is not asked.
    write(&place, &ENTRY.replace("idp.json", "http://127.0.0.1:1/keys"), "");
    let issuer = shown(&place)["trusted_issuers"][0].clone();
    assert_eq!((&issuer["keys"], &issuer["keys_read"]), (&json!("http://127.0.0.1:1/keys"), &json!(false)));
    let told = place.told(&["check"], "");
    assert!(told.contains("http://127.0.0.1:1/keys (an address: not fetched by this check)"), "{told}");
    assert_eq!(shown(&Site::new(&[]))["trusted_issuers"], json!([]));
}

#[test]
fn keys_that_are_weak_private_or_of_no_use_refuse_the_start_with_file_and_line() {
    let idp = Issuer::new("k1");
    let good = keys(&[&idp]);
    let private = pem("PRIVATE KEY", idp.pair.to_pkcs8v1().expect("DER").as_ref());
    let short = json!({"kty": "RSA", "n": URL_SAFE_NO_PAD.encode([0xff; 128]), "e": "AQAB"}).to_string();
    for (config, keys, line, words) in [
        (ENTRY.to_owned(), private.as_str(), 5, "private key"),
        (ENTRY.replace("EdDSA", "RS256"), &short, 5, "2048"),
        (ENTRY.replace("EdDSA", "RS256"), &good, 5, "no key there fits"),
        (ENTRY.replace("EdDSA", "none"), &good, 4, "HS256, HS384"),
        (ENTRY.replace("idp.json", "nothing.json"), &good, 5, "nothing.json"),
        (ENTRY.replace("idp.json", "http://idp.test/jwks"), &good, 5, "https"),
        (ENTRY.replace("https://idp.test", "hailgate"), &good, 2, "own issuer"),
        (ENTRY.replace("corp", "a:b"), &good, 5, "prefix"),
        (ENTRY.replace("prefix", "prefx"), &good, 6, "Did you mean `prefix`?"),
    ] {
        let site = site(&[], "", &config, keys);
        for command in ["check", "serve"] {
            let output = site.run(&[command]);
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(78), "{config}: {said}");
            assert!(said.contains(&format!("site.toml:{line}\n")) && said.contains(words), "{config}: {said}");
        }
    }
}
