//! The real server: `hailgate demo` in a directory of its own, killed and started again as a test asks, and what
//! programs say to it by REST.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A server with its data directory.
pub struct Server {
    process: Child,
    data: TempDir,
    variables: Vec<(&'static str, String)>,
    /// Where it listens.
    pub port: u16,
    /// Alice's one-time link, then bob's.
    pub links: [String; 2],
    /// The thread they share.
    pub thread: String,
    /// A program of alice's.
    pub program: Program,
}

impl Server {
    /// Starts a demo on a free port.
    pub fn start() -> Server {
        Server::start_with(&[])
    }

    /// The same, with variables beside those of every test.
    pub fn start_with(variables: &[(&'static str, &str)]) -> Server {
        Server::start_at(0, variables)
    }

    /// The same, on this port.
    pub fn start_at(port: u16, variables: &[(&'static str, &str)]) -> Server {
        let data = TempDir::new().expect("a directory for the server's data");
        // Tests write faster than people do.
        let mut all = vec![
            ("HAILGATE_LIMIT_SENDS_BURST", "5000".to_owned()),
            ("HAILGATE_LIMIT_REST_BURST", "5000".to_owned()),
            ("HAILGATE_LIMIT_SENDS_PER_SECOND", "1000".to_owned()),
            ("HAILGATE_LIMIT_THREADS_BURST", "1000".to_owned()),
        ];
        all.extend(variables.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let (process, told) = demo(data.path(), port, &all);
        let port = told.links[0].split(['/', ':']).find_map(|part| part.parse().ok()).expect("a link names the port");
        let Told { links, thread, token } = told;
        let program = Program { http: reqwest::Client::new(), server: format!("http://127.0.0.1:{port}"), token };
        Server { process, data, variables: all, port, links, thread, program }
    }

    /// Ends it as a power cut would: SIGKILL.
    pub fn kill(&mut self) {
        self.process.kill().expect("the server is killed");
        self.process.wait().expect("the server has ended");
    }

    /// Starts it again on the same port and data.
    pub fn start_again(&mut self) {
        (self.process, Told { links: self.links, thread: self.thread, .. }) =
            demo(self.data.path(), self.port, &self.variables);
    }

    /// Runs a command of the same binary on the server's data; its stdout.
    pub fn command(&self, arguments: &[&str], stdin: &str) -> String {
        let (first, rest) = arguments.split_first().expect("a command has a name");
        let mut child = hailgate()
            .arg(first)
            .arg("--data")
            .arg(self.data.path())
            .args(rest)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("hailgate starts");
        child.stdin.take().expect("its stdin is piped").write_all(stdin.as_bytes()).expect("it reads its stdin");
        let output = child.wait_with_output().expect("hailgate ends");
        assert!(output.status.success(), "hailgate {arguments:?} ended with {}", output.status);
        String::from_utf8(output.stdout).expect("it speaks UTF-8").trim().to_owned()
    }

    /// A program of somebody else's.
    pub fn program_of(&self, name: &str) -> Program {
        let token = self.command(&["token", "--user", name], "");
        Program { token, ..self.program.clone() }
    }

    /// Posts into the demo's thread as alice's program, as the demo's curl line does.
    pub async fn post(&self, content: &str) {
        self.program.post(&self.thread, content).await;
    }

    /// The newest hundred messages of the demo's thread, as the store has them.
    pub async fn stored(&self) -> Vec<String> {
        let path = format!("/api/messages?limit=100&thread_id={}", self.thread);
        let answer = self.program.ask(Method::GET, &path, Value::Null).await.expect("the server answers");
        let messages = answer["messages"].as_array().unwrap_or_else(|| panic!("no page of messages: {answer}"));
        messages.iter().map(|message| message["content"].as_str().unwrap_or("(deleted)").to_owned()).collect()
    }
}

/// A program that speaks REST with a user's token.
#[derive(Debug, Clone)]
pub struct Program {
    http: reqwest::Client,
    server: String,
    token: String,
}

impl Program {
    /// One request; the answer, whatever its status, or that there was none.
    pub async fn ask(&self, method: Method, path: &str, body: Value) -> reqwest::Result<Value> {
        let request = self.http.request(method, format!("{}{path}", self.server)).bearer_auth(&self.token);
        let request = if body.is_null() { request } else { request.json(&body) };
        let answer = request.send().await?;
        if answer.status() == StatusCode::NO_CONTENT { Ok(Value::Null) } else { answer.json().await }
    }

    /// Posts; whether it was acknowledged.
    pub async fn tries_to_post(&self, thread: &str, content: &str) -> bool {
        let body = json!({ "thread_id": thread, "content": content });
        self.ask(Method::POST, "/api/messages", body).await.is_ok_and(|answer| answer["message"]["content"] == content)
    }

    /// Posts.
    pub async fn post(&self, thread: &str, content: &str) {
        assert!(self.tries_to_post(thread, content).await, "{content:?} is posted");
    }

    /// Makes a thread with these people; its id.
    pub async fn thread(&self, title: &str, members: &[&str]) -> String {
        let body = json!({ "title": title, "members": members });
        let answer = self.ask(Method::POST, "/api/threads", body).await.expect("the server answers");
        answer["thread_id"].as_str().unwrap_or_else(|| panic!("no thread: {answer}")).to_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let log = fs::read_to_string(self.data.path().join("log")).unwrap_or_default();
        if std::thread::panicking() {
            let lines = log.lines().filter(|line| !line.contains("/static/"));
            println!("the server's log:\n{}", lines.collect::<Vec<_>>().join("\n"));
        } else {
            assert!(!log.contains("panicked"), "the server's log:\n{log}");
        }
    }
}

/// What a demo prints.
struct Told {
    links: [String; 2],
    thread: String,
    token: String,
}

/// The binary, in an environment with nothing in it.
fn hailgate() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hailgate"));
    command.env_clear().stdin(Stdio::null());
    command
}

fn demo(data: &Path, port: u16, variables: &[(&'static str, String)]) -> (Child, Told) {
    let log = fs::OpenOptions::new().create(true).append(true).open(data.join("log")).expect("a log file");
    let mut process = hailgate()
        .args(["demo", "--bind", &format!("127.0.0.1:{port}"), "--data"])
        .arg(data)
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .expect("hailgate starts");
    let said = BufReader::new(process.stdout.take().expect("its stdout is piped"));
    let (mut links, mut thread, mut token) = (Vec::new(), None, None);
    for line in said.lines() {
        let line = line.expect("hailgate speaks UTF-8");
        links.extend(line.split_whitespace().filter(|word| word.contains("#signin=")).map(ToOwned::to_owned));
        let quoted = |before: &str, after: char| Some(line.split_once(before)?.1.split_once(after)?.0.to_owned());
        thread = thread.or_else(|| quoted("\"thread_id\":\"", '"'));
        token = token.or_else(|| quoted("Authorization: Bearer ", '\''));
        if line.starts_with("Stop with") {
            break;
        }
    }
    let links = links.try_into().expect("the demo prints a link for each");
    let (thread, token) = (thread.expect("the curl line names the thread"), token.expect("the curl line has a token"));
    (process, Told { links, thread, token })
}
