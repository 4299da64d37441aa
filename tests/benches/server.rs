//! The program as a child process, for benchmarks: in a directory of its own, on a free port of loopback.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

/// What every account here has.
pub const PASSWORD: &str = "korrekt horse battery staple";
/// The origin that the server allows.
pub const ORIGIN: &str = "https://chat.test";

/// A running server; it ends with this value.
pub struct Server {
    /// The process itself.
    pub process: Child,
    _directory: TempDir,
    variables: Vec<(&'static str, String)>,
    /// Where it listens: `127.0.0.1:PORT`.
    pub address: String,
}

impl Server {
    /// With these variables beside the usual ones.
    pub fn start(more: &[(&'static str, &str)]) -> Server {
        let directory = TempDir::new().expect("a directory");
        let random = || uuid::Uuid::new_v4().simple().to_string();
        let mut variables = vec![
            ("ENVIRONMENT", "testing".to_owned()),
            ("HAILGATE_PUBLIC_URL", ORIGIN.to_owned()),
            ("HAILGATE_DATABASE_URL", format!("sqlite://{}/hailgate.db", directory.path().display())),
            ("HAILGATE_JWT_SECRET", random() + &random()),
            ("HAILGATE_SESSION_KEY", random() + &random() + &random() + &random()),
        ];
        variables.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let mut command = hailgate(&variables);
        command.args(["serve", "--bind", "127.0.0.1:0"]).stdout(Stdio::null()).stderr(Stdio::piped());
        let (process, address) = listening(command, |child| Box::new(child.stderr.take().expect("a pipe")));
        Server { process, _directory: directory, variables, address }
    }

    /// A command beside the server.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = hailgate(&self.variables);
        command.args(arguments).stderr(Stdio::null());
        command
    }

    /// Runs a command beside the server; what it prints.
    pub fn told(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().expect("it runs");
        assert!(output.status.success(), "{arguments:?}");
        String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
    }

    /// Makes an account.
    pub fn add(&self, user: &str) {
        let mut child =
            self.command(&["user", "add", user, "--password-stdin"]).stdin(Stdio::piped()).spawn().expect("it runs");
        writeln!(child.stdin.take().expect("a pipe"), "{PASSWORD}").expect("it reads");
        assert!(child.wait().expect("it ends").success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn hailgate(variables: &[(&'static str, String)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hailgate"));
    command.env_clear().envs(variables.iter().map(|(name, value)| (name, value))).stdin(Stdio::null());
    command
}

/// Starts a child that says where it listens; what it says later is read and dropped, or it would stop at a full pipe.
pub fn listening(mut command: Command, says: fn(&mut Child) -> Box<dyn std::io::Read + Send>) -> (Child, String) {
    let mut process = command.spawn().expect("it starts");
    let mut lines = BufReader::new(says(&mut process)).lines().map_while(Result::ok);
    let address = lines.find_map(|line| Some(line.split_once("listening on http://")?.1.trim().to_owned()));
    std::thread::spawn(move || lines.for_each(drop));
    (process, address.expect("it says where it listens"))
}
