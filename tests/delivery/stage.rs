//! The stage of a campaign: a server whose limits do not stand in the way, users with tokens, their threads, and the two
//! proxies in front of it: one that breaks connections, and a calm one for what only prepares and looks.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    time::Duration,
};

use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::{
    checker::{History, Name, Names},
    dice::Dice,
    jwt,
    plan::Plan,
    proxy::{self, Proxy},
    server::Server,
};

/// Nothing of one user is too much.
const LIMITS: &[(&str, &str)] = &[
    ("HAILGATE_CREATE_USERS", "on"),
    ("HAILGATE_LIMIT_SENDS_PER_SECOND", "100000"),
    ("HAILGATE_LIMIT_SENDS_BURST", "100000"),
    ("HAILGATE_LIMIT_FRAMES_PER_SECOND", "100000"),
    ("HAILGATE_LIMIT_FRAMES_BURST", "100000"),
    ("HAILGATE_LIMIT_REST_PER_SECOND", "100000"),
    ("HAILGATE_LIMIT_REST_BURST", "100000"),
    ("HAILGATE_LIMIT_MEMBERS_PER_MINUTE", "100000"),
    ("HAILGATE_LIMIT_CONNECTIONS_USER", "1000"),
    // A line a request would be most of what this process reads.
    ("RUST_LOG", "warn,hailgate::cli=info"),
];

/// A user with a token.
pub struct User {
    pub name: Name,
    pub token: String,
}

/// See the module.
pub struct Stage {
    pub storm: Proxy,
    pub calm: Proxy,
    pub users: Vec<User>,
    pub threads: Vec<Name>,
    /// Names that all devices share.
    pub names: RefCell<Names>,
    pub client: Client,
    server: Cell<Option<Server>>,
}

/// A server whose limits do not stand in the way, with more variables.
pub fn server(more: &[(&str, &str)]) -> Server {
    Server::new(&[LIMITS, more].concat())
}

/// A token for a user who need not exist yet.
pub fn token(server: &Server, name: &str) -> String {
    let mut claims = jwt::claims(name);
    claims["exp"] = json!(jwt::now() + 20_000);
    jwt::sign(&jwt::header().to_string(), &claims.to_string(), server.site.variable("HAILGATE_JWT_SECRET"))
}

impl Stage {
    /// Sets it: the users, and the threads with those who stay in them.
    pub async fn set(plan: &Plan, dice: &mut Dice) -> Stage {
        let resume_events = plan.resume_events.unwrap_or(1_000_000).to_string();
        let server = server(&[
            ("HAILGATE_LIMIT_RESUME_EVENTS", &resume_events),
            // A connection that is silent is noticed soon, on both sides.
            ("HAILGATE_LIMIT_HEARTBEAT_MS", "1000"),
            ("HAILGATE_LIMIT_HEARTBEAT_GRACE_MS", "1000"),
        ]);
        let weather = dice.fork();
        let storm = if plan.storm { Proxy::start(server.port, proxy::storm(weather)) } else { Proxy::calm(server.port) };
        let calm = Proxy::calm(server.port);
        let mut names = Names::default();
        let users: Vec<User> = (0..plan.users)
            .map(|number| format!("user-{number}"))
            .map(|name| User { token: token(&server, &name), name: names.of(&name) })
            .collect();
        // A request whose answer does not come is given up: its connection may be silent for ever.
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(5)).build().expect("a client");
        let names = RefCell::new(names);
        let mut stage = Stage { storm, calm, users, threads: Vec::new(), names, client, server: Cell::new(Some(server)) };
        for user in &stage.users {
            stage.ask(user, Method::GET, "/api/auth/me", None).await;
        }
        for number in 0..plan.threads {
            let stay = |user: &usize| *user != number && plan.threads_of(*user).contains(&number);
            let members: Vec<&str> = (0..plan.users).filter(stay).map(|user| &*stage.users[user].name).collect();
            let made =
                stage.ask(&stage.users[number], Method::POST, "/api/threads", Some(json!({"members": members}))).await;
            let thread = stage.names.borrow_mut().of(made["thread_id"].as_str().expect("an id"));
            stage.threads.push(thread);
        }
        stage
    }

    /// Asks by the calm way until there is an answer: a server that is being started again has none.
    pub async fn ask(&self, user: &User, method: Method, path: &str, body: Option<Value>) -> Value {
        self.try_ask(user, method, path, body).await.unwrap_or_else(|status| panic!("{path}: {status}"))
    }

    /// The same; a refusal is told by its status.
    pub async fn try_ask(&self, user: &User, method: Method, path: &str, body: Option<Value>) -> Result<Value, u16> {
        loop {
            let url = format!("http://127.0.0.1:{}{path}", self.calm.port);
            let mut request = self.client.request(method.clone(), url).bearer_auth(&user.token);
            if let Some(body) = &body {
                request = request.json(body);
            }
            let Ok(answer) = request.send().await else { continue };
            let status = answer.status().as_u16();
            let Ok(text) = answer.text().await else { continue };
            match status {
                204 => return Ok(Value::Null),
                200..300 => return Ok(serde_json::from_str(&text).expect("JSON")),
                408 | 500.. => {}
                _ => return Err(status),
            }
        }
    }

    /// Every message of a thread as its owner is shown it at the end, and where it ends.
    pub async fn history(&self, thread: usize) -> History {
        let (owner, name) = (&self.users[thread], Name::clone(&self.threads[thread]));
        let head = self.ask(owner, Method::GET, &format!("/api/threads/{name}"), None).await["sequence"].as_u64();
        let (mut rows, mut after) = (Vec::new(), 0);
        loop {
            let path = format!("/api/messages?thread_id={name}&after={after}&limit=100");
            let page = self.ask(owner, Method::GET, &path, None).await;
            let mut names = self.names.borrow_mut();
            rows.extend(page["messages"].as_array().expect("messages").iter().map(|row| names.row(row).expect("a message")));
            match rows.last() {
                Some(last) if page["has_more"] == true => after = last.sequence,
                _ => break,
            }
        }
        History { thread: name, head: head.expect("a sequence"), after: 0, rows }
    }

    /// The users by their names.
    pub fn by_name(&self) -> HashMap<Name, usize> {
        self.users.iter().enumerate().map(|(number, user)| (Name::clone(&user.name), number)).collect()
    }

    /// Kills the server (SIGKILL) and starts it again; connections wait meanwhile.
    pub async fn kill(&self) {
        for proxy in [&self.storm, &self.calm] {
            proxy.lead_to(None);
        }
        let server = self.server.take().expect("a server");
        let server = tokio::task::spawn_blocking(|| server.crash_and_restart()).await.expect("a restart");
        for proxy in [&self.storm, &self.calm] {
            proxy.lead_to(Some(server.port));
        }
        self.server.set(Some(server));
    }
}
