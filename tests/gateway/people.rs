//! People of the tests: accounts made by the command line, with a token or a login, who ask things of a server.

use std::sync::LazyLock;

use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

use crate::{
    answer::{Answer, ask},
    server::{ORIGIN, PASSWORD, Server, Site, random},
    socket::Socket,
};

/// How somebody shows who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proof {
    /// Not at all.
    Nothing,
    /// By a bearer token.
    Bearer(String),
    /// By a session cookie (`name=value`), from a page of the allowed origin.
    Cookie(String),
}

/// Somebody with a client.
#[derive(Debug, Clone)]
pub struct Person {
    pub name: String,
    pub proof: Proof,
    port: u16,
    client: Client,
}

/// A client without cookies of its own: what is sent is what the test says. It follows no redirect, and keeps no
/// connection open that a server which ends would wait for.
pub fn client() -> Client {
    /// Made once: each would read the system's certificates, which nobody here needs.
    static CLIENT: LazyLock<Client> = LazyLock::new(|| {
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().pool_max_idle_per_host(0);
        client.build().expect("a client")
    });
    CLIENT.clone()
}

impl Site {
    /// Makes an account.
    pub fn add_user(&self, name: &str) {
        self.told(&["user", "add", name, "--password-stdin"], PASSWORD);
    }

    /// A token for an account.
    pub fn token(&self, name: &str) -> String {
        self.told(&["token", "--user", name], "")
    }
}

impl Server {
    /// Nobody in particular.
    pub fn nobody(&self) -> Person {
        Person { name: "nobody".to_owned(), proof: Proof::Nothing, port: self.port, client: client() }
    }

    /// A new account with a token.
    pub fn person(&self) -> Person {
        let name = format!("u{}", random(10));
        self.site.add_user(&name);
        let proof = Proof::Bearer(self.site.token(&name));
        Person { name, proof, ..self.nobody() }
    }

    /// A new account, signed in with its password from a page.
    pub async fn browser(&self) -> Person {
        let name = format!("u{}", random(10));
        self.site.add_user(&name);
        self.sign_in(&name).await
    }

    /// One more login of an account.
    pub async fn sign_in(&self, name: &str) -> Person {
        let answer = self.login(name, PASSWORD).await;
        answer.json(200);
        let proof = Proof::Cookie(cookie(&answer));
        Person { name: name.to_owned(), proof, ..self.nobody() }
    }

    /// `POST /api/auth/login` from a page of the allowed origin.
    pub async fn login(&self, name: &str, password: &str) -> Answer {
        let body = json!({"username": name, "password": password});
        ask(client().post(self.url("/api/auth/login")).header("Origin", ORIGIN).json(&body)).await
    }
}

/// The session cookie that an answer sets, as `name=value`.
pub fn cookie(answer: &Answer) -> String {
    let set = answer.set_cookie("hailgate");
    set.split_once(';').map(|(pair, _)| pair).expect("a cookie with attributes").to_owned()
}

impl Person {
    /// The same person, asking another server or process.
    pub fn at(&self, server: &Server) -> Person {
        Person { port: server.port, ..self.clone() }
    }

    /// The same person, showing another proof.
    pub fn with(&self, proof: Proof) -> Person {
        Person { proof, ..self.clone() }
    }

    /// The bearer token.
    pub fn token(&self) -> &str {
        match &self.proof {
            Proof::Bearer(token) => token,
            other => panic!("{} has no token but {other:?}", self.name),
        }
    }

    /// The cookie, as `name=value`.
    pub fn cookie(&self) -> &str {
        match &self.proof {
            Proof::Cookie(cookie) => cookie,
            other => panic!("{} has no cookie but {other:?}", self.name),
        }
    }

    /// The port it asks.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A request with this person's proof, to be filled and asked.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("http://127.0.0.1:{}{path}", self.port));
        match &self.proof {
            Proof::Nothing => request,
            Proof::Bearer(token) => request.bearer_auth(token),
            Proof::Cookie(cookie) => request.header("Cookie", cookie).header("Origin", ORIGIN),
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        ask(self.request(Method::GET, path)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        ask(self.request(Method::DELETE, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        ask(self.request(Method::POST, path).json(&body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        ask(self.request(Method::PUT, path).json(&body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        ask(self.request(Method::PATCH, path).json(&body)).await
    }

    /// What an upgrade gets: 101, or why not.
    pub async fn try_upgrade(&self, path: &str) -> Answer {
        ask(upgrade(self.request(Method::GET, path))).await
    }

    /// A new thread with these people, by its id.
    pub async fn thread(&self, members: &[&Person]) -> String {
        let members: Vec<&str> = members.iter().map(|member| member.name.as_str()).collect();
        let thread = self.post("/api/threads", json!({"members": members})).await.json(201);
        thread["thread_id"].as_str().expect("an id").to_owned()
    }

    /// Says something by REST; the message.
    pub async fn say(&self, thread: &str, content: &str) -> Value {
        let sent = self.post("/api/messages", json!({"thread_id": thread, "content": content})).await;
        sent.json(201)["message"].clone()
    }

    /// Every message of a thread, oldest first, by one page after the other.
    pub async fn history(&self, thread: &str) -> Vec<Value> {
        let (mut all, mut after) = (Vec::new(), 0);
        loop {
            let page = self.get(&format!("/api/messages?thread_id={thread}&after={after}&limit=100")).await.json(200);
            all.extend(page["messages"].as_array().expect("messages").iter().cloned());
            match all.last() {
                Some(last) if page["has_more"] == true => after = last["sequence"].as_u64().expect("a sequence"),
                _ => return all,
            }
        }
    }

    /// A long poll.
    pub async fn poll(&self, since: &str, timeout_ms: u64) -> Answer {
        self.get(&format!("/api/events?since={since}&timeout_ms={timeout_ms}")).await
    }

    /// Opens a socket, from now.
    pub async fn socket(&self) -> Socket {
        Socket::open(self, "/ws").await
    }

    /// Opens a socket where a cursor is.
    pub async fn resume(&self, cursor: &str) -> Socket {
        Socket::open(self, &format!("/ws?since={cursor}")).await
    }
}

/// A request with the headers of an upgrade.
pub fn upgrade(request: RequestBuilder) -> RequestBuilder {
    request
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
}

/// The field of a JSON object as text.
#[track_caller]
pub fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("no text {field} in {value}"))
}
