//! The program as a child process, with a directory of its own: started on a free port, listened to, ended.

use std::{
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Condvar, LazyLock, Mutex},
    time::{Duration, Instant},
};

use tempfile::TempDir;
use uuid::Uuid;

use crate::DEADLINE;

#[path = "example.rs"]
pub mod example;

static MOUNT: LazyLock<PathBuf> = LazyLock::new(|| example::example("mount"));

/// The origin that every server here allows: `HAILGATE_PUBLIC_URL`.
pub const ORIGIN: &str = "https://chat.test";
/// What every account here has.
pub const PASSWORD: &str = "korrekt horse battery staple";

/// Random text of lower-case hex digits.
pub fn random(length: usize) -> String {
    let text = Uuid::new_v4().simple().to_string() + &Uuid::new_v4().simple().to_string();
    text.repeat(3)[..length].to_owned()
}

/// A place to run the program in: a directory and its variables. It outlives the processes that run there.
pub struct Site {
    pub directory: TempDir,
    pub variables: Vec<(String, String)>,
    /// A command that the program is run by, where it is not run straight.
    pub through: Vec<String>,
}

impl Site {
    /// With nothing but a directory: no variables at all.
    pub fn empty() -> Site {
        Site { directory: TempDir::new().expect("a temporary directory"), variables: Vec::new(), through: Vec::new() }
    }

    /// With secrets only, as the second incident's server had; and these variables.
    pub fn with_secrets(more: &[(&str, &str)]) -> Site {
        let mut site = Site::empty();
        let database = format!("sqlite://{}/hailgate.db", site.directory.path().display());
        let own = [
            ("HAILGATE_DATABASE_URL", database.as_str()),
            ("HAILGATE_JWT_SECRET", &random(64)),
            ("HAILGATE_SESSION_KEY", &random(128)),
        ];
        site.variables = own.iter().chain(more).map(|(name, value)| ((*name).into(), (*value).into())).collect();
        site
    }

    /// A site for tests: an environment, an own address, time for a process that waits for its turn, and these variables.
    pub fn new(more: &[(&str, &str)]) -> Site {
        let patience = [("HAILGATE_LIMIT_HEAD_MS", "60000"), ("HAILGATE_LIMIT_BODY_MS", "60000")];
        let own = [[("ENVIRONMENT", "testing"), ("HAILGATE_PUBLIC_URL", ORIGIN)], patience].concat();
        Site::with_secrets(&[&own, more].concat())
    }

    /// A variable's value.
    pub fn variable(&self, name: &str) -> &str {
        let found = self.variables.iter().find(|(variable, _)| variable == name);
        found.map(|(_, value)| value.as_str()).expect("a variable of the site")
    }

    /// The program with these arguments, and no variable that is not the site's.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.program(Path::new(env!("CARGO_BIN_EXE_hailgate")), arguments)
    }

    fn program(&self, program: &Path, arguments: &[&str]) -> Command {
        let through = self.through.iter().map(Path::new);
        let mut words = through.chain([program]);
        let mut command = Command::new(words.next().expect("a program"));
        command.args(words).args(arguments).env_clear().current_dir(self.directory.path());
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a command to its end. One that does not end by itself fails the test.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.run_with(arguments, "")
    }

    /// The same, with something to read.
    pub fn run_with(&self, arguments: &[&str], input: &str) -> Output {
        finish(&mut self.command(arguments), input)
    }

    /// The last line of what a command that succeeds prints.
    pub fn told(&self, arguments: &[&str], input: &str) -> String {
        let output = self.run_with(arguments, input);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8").trim_end().to_owned()
    }

    /// Starts `serve` on a free port and waits until it listens. The tests named `mounted` are those of the gateway too: there
    /// it is the example that mounts it in an App.
    pub fn serve(self: &Arc<Self>) -> Server {
        let command = if env!("CARGO_CRATE_NAME") == "mounted" {
            let mut command = self.program(&MOUNT, &[]);
            command.env("HAILGATE_BIND", "127.0.0.1:0");
            command
        } else {
            self.command(&["serve", "--bind", "127.0.0.1:0"])
        };
        Server::start(self, command)
    }
}

/// Runs a child to its end within the deadline.
pub fn finish(command: &mut Command, input: &str) -> Output {
    let mut child = command.stdin(Stdio::piped()).spawn().expect("the program starts");
    // A command that reads nothing may be gone before this is written.
    let _ = child.stdin.take().expect("a pipe").write_all(input.as_bytes());
    let read = |mut from: Box<dyn Read + Send>| {
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            from.read_to_end(&mut bytes).map(|_| bytes)
        })
    };
    let stdout = read(Box::new(child.stdout.take().expect("a pipe")));
    let stderr = read(Box::new(child.stderr.take().expect("a pipe")));
    let status = wait(&mut child).unwrap_or_else(|| {
        let _ = child.kill();
        panic!("{command:?} did not end");
    });
    let whole = |thread: std::thread::JoinHandle<std::io::Result<Vec<u8>>>| thread.join().expect("a thread").expect("bytes");
    Output { status, stdout: whole(stdout), stderr: whole(stderr) }
}

/// Waits for a child's end, but not for ever.
pub fn wait(child: &mut Child) -> Option<ExitStatus> {
    let until = Instant::now() + DEADLINE;
    loop {
        match child.try_wait().expect("a child can be waited for") {
            Some(status) => return Some(status),
            None if Instant::now() > until => return None,
            // The standard library has no wait with a deadline: this is the pace of asking, nothing relies on it.
            None => std::thread::park_timeout(Duration::from_millis(5)),
        }
    }
}

/// Sends a child a signal by its short name.
pub fn signal(child: &Child, name: &str) {
    let told = Command::new("sh").args(["-c", "kill -$1 \"$0\"", &child.id().to_string(), name]).status();
    assert!(told.expect("a shell").success());
}

/// Everything that a child has written to stdout and stderr so far, by line.
#[derive(Default)]
pub struct Log {
    lines: Mutex<Vec<String>>,
    grown: Condvar,
}

impl Log {
    /// Reads a child's output, line by line.
    pub fn follow(self: &Arc<Self>, from: impl Read + Send + 'static) {
        let log = Arc::clone(self);
        std::thread::spawn(move || {
            for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
                log.lines.lock().expect("no panic").push(String::from_utf8_lossy(&line).into_owned());
                log.grown.notify_all();
            }
        });
    }

    /// Waits for a line in which `find` finds something.
    pub fn wait_for<T>(&self, what: &str, find: impl Fn(&str) -> Option<T>) -> T {
        let mut lines = self.lines.lock().expect("no panic");
        let until = Instant::now() + DEADLINE;
        loop {
            if let Some(found) = lines.iter().find_map(|line| find(line)) {
                return found;
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{what} was not written:\n{}", lines.join("\n"));
            lines = self.grown.wait_timeout(lines, left).expect("no panic").0;
        }
    }

    /// Waits until so many lines hold a text.
    pub fn wait_for_count(&self, text: &str, count: usize) {
        let mut lines = self.lines.lock().expect("no panic");
        let until = Instant::now() + DEADLINE;
        while lines.iter().filter(|line| line.contains(text)).count() < count {
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{text:?} was not written {count} times:\n{}", lines.join("\n"));
            lines = self.grown.wait_timeout(lines, left).expect("no panic").0;
        }
    }

    /// Everything so far.
    pub fn text(&self) -> String {
        self.lines.lock().expect("no panic").join("\n")
    }
}

/// A running server; it ends with this value.
pub struct Server {
    pub site: Arc<Site>,
    pub port: u16,
    pub log: Arc<Log>,
    child: Child,
    guard: Child,
}

static SHARED: LazyLock<Server> = LazyLock::new(|| Server::new(&[]));

impl Server {
    /// The server of all tests that do not disturb each other. It ends with the tests' process.
    pub fn shared() -> &'static Server {
        &SHARED
    }

    /// A server of one's own, with these variables beside the usual ones.
    pub fn new(more: &[(&str, &str)]) -> Server {
        Arc::new(Site::new(more)).serve()
    }

    /// Starts a command that serves, and waits for its port.
    pub fn start(site: &Arc<Site>, mut command: Command) -> Server {
        let mut child = command.spawn().expect("the program starts");
        let guard = guard(child.id(), site.directory.path());
        let log = Arc::new(Log::default());
        log.follow(child.stderr.take().expect("a pipe"));
        log.follow(child.stdout.take().expect("a pipe"));
        let mut server = Server { site: Arc::clone(site), port: 0, log, child, guard };
        server.port = server.log.wait_for("the port", |line| {
            let (_, address) = line.split_once("listening on http")?.1.split_once("://127.0.0.1:")?;
            let port: String = address.chars().take_while(char::is_ascii_digit).collect();
            port.parse().ok()
        });
        server
    }

    /// An address on this server.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The process.
    #[allow(dead_code, reason = "the tests of faults use it")]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Descriptors that the process has open now.
    #[allow(dead_code, reason = "the tests of the gateway alone use it")]
    pub fn files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).expect("a process's descriptors").count()
    }

    /// Memory that the process has resident now, in KiB.
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("a process's status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its resident memory");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    /// Kills the process without a word (SIGKILL), and starts another in the same place.
    pub fn crash_and_restart(mut self) -> Server {
        self.child.kill().expect("a child can be killed");
        assert!(!self.ended().success());
        self.site.serve()
    }

    /// Starts another in the same place after this one has ended.
    pub fn restart(mut self) -> Server {
        self.ended();
        self.site.serve()
    }

    /// Asks the process to end (SIGTERM).
    pub fn terminate(&self) {
        self.signal("TERM");
    }

    /// Asks the process to read its keys again (SIGHUP).
    pub fn hang_up(&self) {
        self.signal("HUP");
    }

    /// Sends a signal by its short name.
    pub fn signal(&self, name: &str) {
        signal(&self.child, name);
    }

    /// Waits for the end of the process.
    pub fn ended(&mut self) -> ExitStatus {
        wait(&mut self.child).expect("the server ends")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The guard first: a process id must not be killed after it is free again.
        for child in [&mut self.guard, &mut self.child] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// When the tests' own process is gone, however that ends: kills a server that is left, and removes its directory.
pub fn guard(process: u32, directory: &Path) -> Child {
    let mut guard = Command::new("sh");
    guard.args(["-c", "read line; kill -9 \"$0\"; rm -rf -- \"$1\"", &process.to_string()]).arg(directory);
    guard.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("a shell")
}
