//! The servers that are measured: this product in its release binary with limits that do not stand in the way, and those
//! beside it. Each is a process of its own, on one core where there are several; the load is on another.

use std::{
    fmt::Write as _,
    path::Path,
    process::{Child, Command, Stdio},
};

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::json;

use crate::{
    cpu, rivals,
    server::{self, listening},
};

/// What signs tokens here.
pub const SECRET: &str = "signs nothing but what servers on loopback are asked here";
/// The core of the server that is measured, and that of the load.
const SERVER_CORE: usize = 0;
const LOAD_CORE: usize = 1;

/// Settings under which neither a user nor an address is ever too quick.
const LIMITS: &[(&str, &str)] = &[
    ("HAILGATE_JWT_SECRET", SECRET),
    ("HAILGATE_CREATE_USERS", "on"),
    ("HAILGATE_LIMIT_SENDS_PER_SECOND", "1000000"),
    ("HAILGATE_LIMIT_SENDS_BURST", "1000000"),
    ("HAILGATE_LIMIT_FRAMES_PER_SECOND", "1000000"),
    ("HAILGATE_LIMIT_FRAMES_BURST", "1000000"),
    ("HAILGATE_LIMIT_POSTS_WAITING", "1024"),
    ("HAILGATE_LIMIT_REST_PER_SECOND", "1000000"),
    ("HAILGATE_LIMIT_REST_BURST", "1000000"),
    ("HAILGATE_LIMIT_MEMBERS_PER_MINUTE", "1000000"),
    ("HAILGATE_LIMIT_CONNECTIONS_USER", "100000"),
    // A line a request would be most of what is measured.
    ("RUST_LOG", "warn,hailgate::cli=info"),
];

/// Which server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Hailgate,
    Actors,
    Ws,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Hailgate => "Hailgate",
            Kind::Actors => "actix-web-actors",
            Kind::Ws => "ws on Node.js",
        }
    }

    /// Those that can be run here.
    pub fn all() -> Vec<Kind> {
        let mut all = vec![Kind::Hailgate, Kind::Actors];
        if ws_is_installed() {
            all.push(Kind::Ws);
        }
        all
    }
}

/// Where `tests/compare/run` installs `ws`.
fn ws_directory() -> std::path::PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("compare")
}

/// Whether there is a `ws` to compare with.
pub fn ws_is_installed() -> bool {
    let node = Command::new("node").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    ws_directory().join("node_modules/ws").is_dir() && node.is_ok_and(|status| status.success())
}

/// A running server. It ends with this value.
pub struct Server {
    pub kind: Kind,
    pub address: String,
    pub pid: u32,
    process: Process,
}

enum Process {
    Ours(server::Server),
    Theirs(Child),
}

impl Server {
    /// The route of the one beside us that verifies a token and nothing else.
    pub const BARE_PATH: &str = "/me";

    /// On a core of its own, with one worker.
    pub fn start(kind: Kind) -> Server {
        let server = Self::on_all_cores(kind, &[("HAILGATE_WORKERS", "1")]);
        cpu::pin(server.pid, SERVER_CORE);
        server
    }

    /// On all cores; with these settings beside the usual ones.
    pub fn on_all_cores(kind: Kind, more: &[(&'static str, &str)]) -> Server {
        let theirs = |mut command: Command| {
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
            let (child, address) = listening(command, |child| Box::new(child.stdout.take().expect("a pipe")));
            (child.id(), address, Process::Theirs(child))
        };
        let (pid, address, process) = match kind {
            Kind::Hailgate => {
                let server = server::Server::start(&[LIMITS, more].concat());
                (server.process.id(), server.address.clone(), Process::Ours(server))
            }
            Kind::Actors => {
                let mut command = Command::new(std::env::current_exe().expect("its own name"));
                command.arg(rivals::ARGUMENT);
                theirs(command)
            }
            Kind::Ws => {
                let mut command = Command::new("node");
                let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compare/ws/server.mjs");
                command.arg(program).arg(ws_directory());
                theirs(command)
            }
        };
        Server { kind, address, pid, process }
    }

    /// Ends it as a deployment would, and waits until it has ended.
    pub fn stop(mut self) {
        let ended = Command::new("kill").arg(self.pid.to_string()).status();
        assert!(ended.is_ok_and(|status| status.success()), "it can be ended");
        self.child().wait().expect("it ends");
    }

    fn child(&mut self) -> &mut Child {
        match &mut self.process {
            Process::Ours(server) => &mut server.process,
            Process::Theirs(child) => child,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child().kill();
        let _ = self.child().wait();
    }
}

/// So many connections as one server can have here, but no more than are wanted: open files are limited, ours takes two a connection
/// and keeps some for itself.
pub fn connections_at_most(wanted: usize) -> usize {
    let files = rlimit::getrlimit(rlimit::Resource::NOFILE).map_or(1_024, |(files, _)| files);
    usize::try_from(files.saturating_sub(300) / 2).unwrap_or(usize::MAX).min(wanted)
}

/// Keeps the load off the servers' core.
pub fn pin_load() {
    cpu::pin(std::process::id(), LOAD_CORE);
}

/// The name of a user.
pub fn user(number: usize) -> String {
    format!("u{number:05}")
}

/// A token for a user, who need not exist yet.
pub fn token(user: &str) -> String {
    let now = std::time::UNIX_EPOCH.elapsed().expect("a clock").as_secs();
    let claims = json!({"iss": "hailgate", "aud": "hailgate", "sub": user, "iat": now, "exp": now + 20_000});
    let header = json!({"typ": "at+jwt", "alg": "HS256"});
    let part = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let mut text = format!("{}.{}", part(header), part(claims));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes()), text.as_bytes());
    let _ = write!(text, ".{}", URL_SAFE_NO_PAD.encode(tag));
    text
}
