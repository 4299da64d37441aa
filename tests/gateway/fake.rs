//! A small server that answers as a test tells it, to be asked by `check --url`.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

/// What a fake server was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub query: String,
    /// All of it, in lower case.
    pub head: String,
}

impl Asked {
    fn of(head: &str) -> Asked {
        let mut words = head.split(' ').map(str::to_owned);
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        Asked { method, path: path.to_owned(), query: query.to_owned(), head: head.to_lowercase() }
    }

    pub fn is(&self, method: &str, path: &str) -> bool {
        self.method == method && self.path == path
    }

    /// Whether it shows nothing at all and comes from nowhere.
    pub fn bare(&self) -> bool {
        let special = ["origin", "cookie", "x-forwarded-for"].iter().any(|name| self.head.contains(&format!("\n{name}:")));
        !special && !self.credential()
    }

    /// Whether it shows a credential.
    pub fn credential(&self) -> bool {
        !self.query.is_empty() || self.head.contains("\nauthorization:")
    }
}

/// Status, header lines, body.
pub type Reply = (u16, &'static str, String);

const HEADERS: &str =
    "x-content-type-options: nosniff\r\ncontent-security-policy: default-src 'none'; frame-ancestors 'none'\r\n";

pub fn problem(status: u16, code: &str) -> Reply {
    (status, "content-type: application/problem+json\r\n", json!({"status": status, "code": code}).to_string())
}

/// A socket refused for want of credentials, with how the request arrived.
pub fn arrived(asked: &Asked, mut how: Value) -> Reply {
    how["cookie"] = asked.head.contains("\ncookie:").into();
    let body = json!({"status": 401, "code": "unauthenticated", "arrived": how});
    (401, "content-type: application/problem+json\r\n", body.to_string())
}

pub fn info(environment: &str) -> Reply {
    (200, "content-type: application/json\r\n", json!({"name": "hailgate", "environment": environment}).to_string())
}

/// What a server that is all right answers.
pub fn right(asked: &Asked) -> Reply {
    match (asked.method.as_str(), asked.path.as_str()) {
        ("POST", "/api/auth/login") => problem(400, "invalid"),
        ("OPTIONS", _) => problem(405, "method_not_allowed"),
        (_, "/health/ready" | "/health/live") => (200, "", String::new()),
        (_, "/api/system/info") => info("production"),
        (_, "/") => (200, HEADERS, "the page".to_owned()),
        (_, "/ws") if asked.head.contains("\norigin: https://foreign.invalid") => problem(403, "foreign_origin"),
        (_, "/ws") if asked.credential() => problem(401, "bad_credentials"),
        (_, "/ws") => arrived(asked, json!({"http": "1.1", "tls": false, "upgrade": true, "forwarded": "none"})),
        _ => problem(401, "unauthenticated"),
    }
}

/// A server that answers as it is told, and what it was asked. Status 0: it says nothing and cuts the connection.
pub fn fake(answer: impl Fn(&Asked) -> Reply + Send + 'static) -> (String, Arc<Mutex<Vec<Asked>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let asked = Arc::clone(&seen);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let request = Asked::of(&head(&stream));
            let (status, headers, body) = answer(&request);
            asked.lock().expect("no panic").push(request);
            if status != 0 {
                let length = if status == 101 { String::new() } else { format!("content-length: {}\r\n", body.len()) };
                // The library takes a 101 only with the upgrade that it asked for.
                let upgrade =
                    if status == 101 { "connection: upgrade\r\nupgrade: websocket\r\n" } else { "connection: close\r\n" };
                let reply = format!("HTTP/1.1 {status} X\r\n{upgrade}{length}{headers}\r\n{body}");
                // Whoever has gone needs no answer.
                let _ = (&stream).write_all(reply.as_bytes());
            }
        }
    });
    (url, seen)
}

/// The head of a request, after its body has come too: an answer before it might be lost with the connection.
fn head(mut stream: &TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut chunk = [0; 16 * 1024];
    // Who begins with TLS gets an answer in plain http.
    while !whole(&bytes) && bytes.first() != Some(&0x16) {
        match stream.read(&mut chunk) {
            Ok(read) if read > 0 => bytes.extend_from_slice(&chunk[..read]),
            _ => break,
        }
    }
    String::from_utf8_lossy(&bytes).trim_end().to_owned()
}

fn whole(bytes: &[u8]) -> bool {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    bytes.len() >= end + 4 + length
}
