//! Sign-in at a provider that lies: whatever it says about itself or in an ID token, only what is all right signs in.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use aws_lc_rs::{
    digest::{SHA256, digest},
    hmac,
    signature::{Ed25519KeyPair, KeyPair},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use reqwest::Url;
use serde_json::{Value, json};

use crate::{
    jwt::{changed, now},
    oidc::{Leaving, come_back, failed, leave, settings},
    people::{Proof, cookie, text},
    server::{Server, Site, random},
};

const BACK: &str = "https://chat.test/api/auth/oidc/callback";

/// What the provider answers by path: status and body. What it was asked: heads and bodies.
#[derive(Default)]
struct Script {
    answers: BTreeMap<&'static str, (u16, String)>,
    asked: Vec<String>,
}

/// The provider.
struct Liar {
    issuer: String,
    pair: Ed25519KeyPair,
    script: Arc<Mutex<Script>>,
}

impl Liar {
    fn start() -> Liar {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let issuer = format!("http://{}", listener.local_addr().expect("an address"));
        let script = Arc::new(Mutex::new(Script::default()));
        let served = Arc::clone(&script);
        std::thread::spawn(move || listener.incoming().map_while(Result::ok).for_each(|stream| serve(&stream, &served)));
        let liar = Liar { issuer, pair: Ed25519KeyPair::generate().expect("a key"), script };
        liar.says("/.well-known/openid-configuration", &liar.description());
        let key = URL_SAFE_NO_PAD.encode(liar.pair.public_key());
        liar.says("/keys", &json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k1", "x": key}]}));
        liar
    }

    fn description(&self) -> Value {
        let at = |path: &str| format!("{}{path}", self.issuer);
        json!({"issuer": self.issuer, "authorization_endpoint": at("/auth"), "token_endpoint": at("/token"),
            "jwks_uri": at("/keys"), "id_token_signing_alg_values_supported": ["EdDSA", "HS256", "none"]})
    }

    fn says(&self, path: &'static str, body: &Value) {
        self.answers(path, 200, body);
    }

    fn answers(&self, path: &'static str, status: u16, body: &Value) {
        self.script.lock().expect("no panic").answers.insert(path, (status, body.to_string()));
    }

    /// The token endpoint hands out this ID token.
    fn hands_out(&self, id_token: &str) {
        self.says("/token", &json!({"access_token": "at", "token_type": "Bearer", "expires_in": 60, "id_token": id_token}));
    }

    fn claims(&self, leaving: &Leaving) -> Value {
        json!({"iss": self.issuer, "aud": "chat", "sub": "anna", "iat": now(), "exp": now() + 600, "name": "Anna",
            "nonce": sent(leaving, "nonce")})
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", encode(header), encode(claims));
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(self.pair.sign(message.as_bytes())))
    }

    /// What was sent to the token endpoint last, in full.
    fn redeemed(&self) -> String {
        let script = self.script.lock().expect("no panic");
        script.asked.iter().rfind(|asked| asked.starts_with("POST /token ")).expect("a code was redeemed").clone()
    }

    fn asked(&self, path: &str) -> usize {
        let script = self.script.lock().expect("no panic");
        script.asked.iter().filter(|asked| asked.split(' ').nth(1) == Some(path)).count()
    }
}

fn serve(mut stream: &TcpStream, script: &Mutex<Script>) {
    let (mut asked, mut chunk) = (Vec::new(), [0; 4_096]);
    loop {
        let text = String::from_utf8_lossy(&asked);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.to_lowercase().split("\r\n").find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                break;
            }
        }
        match stream.read(&mut chunk) {
            Ok(read) if read > 0 => asked.extend_from_slice(&chunk[..read]),
            _ => return,
        }
    }
    let asked = String::from_utf8_lossy(&asked).into_owned();
    let path = asked.split([' ', '?']).nth(1).unwrap_or_default().to_owned();
    let mut script = script.lock().expect("no panic");
    script.asked.push(asked);
    let (status, body) = script.answers.get(path.as_str()).cloned().unwrap_or((404, "{}".to_owned()));
    let kind = "content-type: application/json\r\nlocation: /elsewhere\r\nconnection: close";
    // Whoever has gone needs no answer.
    let _ = write!(stream, "HTTP/1.1 {status} X\r\n{kind}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
}

/// What the browser was sent to the provider with.
fn sent(leaving: &Leaving, name: &str) -> String {
    let found = leaving.url.query_pairs().find(|(key, _)| key == name);
    found.unwrap_or_else(|| panic!("no {name} in {}", leaving.url)).1.into_owned()
}

fn back(leaving: &Leaving) -> Url {
    format!("{BACK}?code=c0de&state={}", sent(leaving, "state")).parse().expect("an address")
}

fn header() -> Value {
    json!({"alg": "EdDSA", "kid": "k1"})
}

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

#[tokio::test]
async fn a_bearer_token_of_the_same_issuer_and_prefix_acts_as_the_same_account_and_another_prefix_is_refused() {
    let liar = Liar::start();
    let settings = settings(&liar.issuer, "none of the provider's");
    let site = |prefix: &str, issuer: &str| {
        let mut site = Site::new(&settings);
        let path = site.directory.path().join("site.toml");
        let keys = format!("{}/keys", liar.issuer);
        let entry = format!(
            "[[trusted_issuer]]\nissuer = \"{issuer}\"\naudience = \"api\"\nalgorithms = [\"EdDSA\"]\n\
             keys = \"{keys}\"\nprefix = \"{prefix}\"\n"
        );
        std::fs::write(&path, entry).expect("a configuration");
        site.variables.push(("HAILGATE_CONFIG".into(), path.display().to_string()));
        Arc::new(site)
    };
    let server = site("oidc", &liar.issuer).serve();
    let leaving = leave(&server).await;
    liar.hands_out(&liar.sign(&header(), &liar.claims(&leaving)));
    let answer = come_back(&server, &back(&leaving), &leaving.cookie).await;
    let page = server.nobody().with(Proof::Cookie(cookie(&answer)));
    let thread = page.thread(&[]).await;
    let claims = changed(&liar.claims(&leaving), &json!({"aud": "api", "nonce": null}));
    let program = page.with(Proof::Bearer(liar.sign(&json!({"alg": "EdDSA", "kid": "k1", "typ": "at+jwt"}), &claims)));
    program.get(&format!("/api/threads/{thread}")).await.json(200);
    assert_eq!(program.get("/api/auth/me").await.json(200)["user_id"], "oidc:anna");
    let refused = site("oidc", "https://id.test").run(&["serve", "--bind", "127.0.0.1:0"]);
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
