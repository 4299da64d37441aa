//! A provider of sign-ins that says what a test wants it to say.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::Url;
use serde_json::{Value, json};

use crate::{jwt::now, oidc::Leaving};

pub const BACK: &str = "https://chat.test/api/auth/oidc/callback";

/// What the provider answers by path: status and body. What it was asked: heads and bodies.
#[derive(Default)]
struct Script {
    answers: BTreeMap<&'static str, (u16, String)>,
    /// The content type of answers, if not JSON.
    kind: Option<&'static str>,
    asked: Vec<String>,
}

/// The provider.
pub struct Liar {
    pub issuer: String,
    pair: Ed25519KeyPair,
    script: Arc<Mutex<Script>>,
}

impl Liar {
    pub fn start() -> Liar {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let issuer = format!("http://{}", listener.local_addr().expect("an address"));
        let script = Arc::new(Mutex::new(Script::default()));
        let served = Arc::clone(&script);
        std::thread::spawn(move || listener.incoming().map_while(Result::ok).for_each(|stream| serve(&stream, &served)));
        let liar = Liar { issuer, pair: Ed25519KeyPair::generate().expect("a key"), script };
        liar.says("/.well-known/openid-configuration", &liar.description());
        liar.says("/keys", &liar.key_set());
        liar
    }

    pub fn key_set(&self) -> Value {
        let key = URL_SAFE_NO_PAD.encode(self.pair.public_key());
        json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "k1", "x": key}]})
    }

    pub fn description(&self) -> Value {
        let at = |path: &str| format!("{}{path}", self.issuer);
        json!({"issuer": self.issuer, "authorization_endpoint": at("/auth"), "token_endpoint": at("/token"),
            "jwks_uri": at("/keys"), "id_token_signing_alg_values_supported": ["EdDSA", "HS256", "none"]})
    }

    pub fn says(&self, path: &'static str, body: &Value) {
        self.answers(path, 200, body);
    }

    pub fn answers(&self, path: &'static str, status: u16, body: &Value) {
        self.script.lock().expect("no panic").answers.insert(path, (status, body.to_string()));
    }

    /// Answers are these bytes of this content type from now on.
    pub fn writes(&self, path: &'static str, status: u16, kind: &'static str, body: &str) {
        let mut script = self.script.lock().expect("no panic");
        script.kind = Some(kind);
        script.answers.insert(path, (status, body.to_owned()));
    }

    /// The token endpoint hands out this ID token.
    pub fn hands_out(&self, id_token: &str) {
        self.says("/token", &json!({"access_token": "at", "token_type": "Bearer", "expires_in": 60, "id_token": id_token}));
    }

    pub fn claims(&self, leaving: &Leaving) -> Value {
        json!({"iss": self.issuer, "aud": "chat", "sub": "anna", "iat": now(), "exp": now() + 600, "name": "Anna",
            "nonce": sent(leaving, "nonce")})
    }

    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", encode(header), encode(claims));
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(self.pair.sign(message.as_bytes())))
    }

    /// What was sent to the token endpoint last, in full.
    pub fn redeemed(&self) -> String {
        let script = self.script.lock().expect("no panic");
        script.asked.iter().rfind(|asked| asked.starts_with("POST /token ")).expect("a code was redeemed").clone()
    }

    pub fn asked(&self, path: &str) -> usize {
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
    let kind = script.kind.unwrap_or("application/json");
    let kind = format!("content-type: {kind}\r\nlocation: /elsewhere\r\nconnection: close");
    // Whoever has gone needs no answer.
    let _ = write!(stream, "HTTP/1.1 {status} X\r\n{kind}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
}

/// What the browser was sent to the provider with.
pub fn sent(leaving: &Leaving, name: &str) -> String {
    let found = leaving.url.query_pairs().find(|(key, _)| key == name);
    found.unwrap_or_else(|| panic!("no {name} in {}", leaving.url)).1.into_owned()
}

pub fn back(leaving: &Leaving) -> Url {
    format!("{BACK}?code=c0de&state={}", sent(leaving, "state")).parse().expect("an address")
}

pub fn header() -> Value {
    json!({"alg": "EdDSA", "kid": "k1"})
}
