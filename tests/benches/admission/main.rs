//! What admission costs: the whole stack (session, identity, auth context, and the store behind them) for a request and
//! for an upgrade, against a bare actix-web handler that asks nobody anything, in the same run. The release binary and the
//! bare server are processes of their own with one worker each; the client goes over loopback, a request at a time.
//!
//!     cargo bench --bench admission
//!
//! Criterion's figures come first; then a table of medians by turns, and what they are to each other.

mod bare;
mod client;
#[path = "../server.rs"]
mod server;

use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use criterion::Criterion;

use client::Client;
use server::{ORIGIN, PASSWORD, Server, listening};

/// Requests of each kind in the table.
const TURNS: u32 = 2_000;

fn main() {
    if std::env::args().any(|argument| argument == bare::ARGUMENT) {
        return bare::serve();
    }
    let small = std::env::args().any(|argument| argument == "--test");
    let stage = Stage::set();
    let mut criterion = Criterion::default()
        .sample_size(if small { 10 } else { 50 })
        .measurement_time(Duration::from_secs(5))
        .configure_from_args();
    for kind in stage.kinds() {
        let mut client = Client::connect(&kind.address);
        criterion.bench_function(kind.name, |bencher| bencher.iter(|| client.once(&kind)));
    }
    criterion.final_summary();
    table(&stage, if small { 20 } else { TURNS });
}

/// One thing to ask for, again and again.
pub struct Kind {
    name: &'static str,
    address: String,
    request: String,
    /// Whether each is an upgrade on a connection of its own.
    upgrade: bool,
    status: &'static str,
}

/// Both servers and somebody who may come in.
struct Stage {
    server: Server,
    bare: Child,
    bare_address: String,
    token: String,
    cookie: String,
    thread: String,
}

impl Stage {
    fn set() -> Stage {
        let server = Server::start(&[
            ("HAILGATE_WORKERS", "1"),
            ("HAILGATE_LIMIT_REST_PER_SECOND", "1000000"),
            ("HAILGATE_LIMIT_REST_BURST", "1000000"),
            ("HAILGATE_LIMIT_SENDS_PER_SECOND", "1000000"),
            ("HAILGATE_LIMIT_SENDS_BURST", "1000000"),
            ("HAILGATE_LIMIT_CONNECTIONS_USER", "100000"),
            ("RUST_LOG", "warn,hailgate::cli=info,hailgate=info,hailgate::request=warn"),
        ]);
        server.add("alice");
        let token = server.told(&["token", "--user", "alice"]);
        let mut command = Command::new(std::env::current_exe().expect("its own name"));
        command.arg(bare::ARGUMENT).stdin(Stdio::piped()).stdout(Stdio::piped());
        let (bare, bare_address) = listening(command, |child| Box::new(child.stdout.take().expect("a pipe")));
        let mut client = Client::connect(&server.address);
        let login = format!("{{\"username\":\"alice\",\"password\":\"{PASSWORD}\"}}");
        let answer = client.ask(&post("/api/auth/login", &format!("Origin: {ORIGIN}\r\n"), &login));
        let cookies = answer.lines().filter_map(|line| line.strip_prefix("set-cookie: ")?.split(';').next());
        let cookie = cookies.collect::<Vec<_>>().join("; ");
        let bearer = format!("Authorization: Bearer {token}\r\n");
        let answer = client.ask(&post("/api/threads", &bearer, "{\"members\":[]}"));
        let thread = answer.split("\"thread_id\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a thread");
        let thread = thread.to_owned();
        Stage { server, bare, bare_address, token, cookie, thread }
    }

    fn kinds(&self) -> Vec<Kind> {
        let bearer = format!("Authorization: Bearer {}\r\n", self.token);
        let cookie = format!("Cookie: {}\r\nOrigin: {ORIGIN}\r\n", self.cookie);
        let message = format!("{{\"thread_id\":\"{}\",\"content\":\"Hello\"}}", self.thread);
        let kind = |name, bare: bool, request: String, upgrade, status| Kind {
            name,
            address: if bare { &self.bare_address } else { &self.server.address }.clone(),
            request,
            upgrade,
            status,
        };
        vec![
            kind("request, bare", true, get("/bare", ""), false, "200"),
            kind("request, bearer", false, get("/api/auth/me", &bearer), false, "200"),
            kind("request, cookie", false, get("/api/auth/me", &cookie), false, "200"),
            kind("upgrade, bare", true, upgrade(""), true, "101"),
            kind("upgrade, bearer", false, upgrade(&bearer), true, "101"),
            kind("upgrade, cookie", false, upgrade(&cookie), true, "101"),
            kind("message, stored", false, post("/api/messages", &bearer, &message), false, "201"),
        ]
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = self.bare.kill();
        let _ = self.bare.wait();
    }
}

fn get(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: chat.test\r\n{headers}\r\n")
}

fn post(path: &str, headers: &str, body: &str) -> String {
    let head = format!("Host: chat.test\r\nContent-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    format!("POST {path} HTTP/1.1\r\n{head}{headers}\r\n{body}")
}

fn upgrade(headers: &str) -> String {
    let head = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\n";
    get("/ws", &format!("{head}{headers}"))
}

/// All kinds by turns, so that whatever else the machine does falls on each alike; then what admission is of a message.
fn table(stage: &Stage, turns: u32) {
    let kinds = stage.kinds();
    let mut clients: Vec<Client> = kinds.iter().map(|kind| Client::connect(&kind.address)).collect();
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); kinds.len()];
    for _ in 0..turns {
        for (number, kind) in kinds.iter().enumerate() {
            let began = Instant::now();
            clients[number].once(kind);
            times[number].push(began.elapsed().as_secs_f64() * 1e6);
        }
    }
    let median = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    };
    let medians: Vec<f64> = times.iter_mut().map(median).collect();
    println!("\n{turns} of each by turns        median us   of bare");
    for (number, kind) in kinds.iter().enumerate() {
        let bare = if kind.upgrade { 3 } else { 0 };
        println!("{:<24} {:>12.1}   {:>7.2}", kind.name, medians[number], medians[number] / medians[bare]);
    }
    let share = 100.0 * (medians[1] - medians[0]) / medians[6];
    println!("admission of a bearer request is {share:.1} % of the round trip of a stored message");
}
