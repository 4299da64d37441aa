//! The languages that client programs are written in: whether the toolchain and the libraries are there, and how a program
//! is run.

use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::LazyLock,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    Java,
    Go,
    Python,
    Node,
}

impl Language {
    /// The command that runs a program of `tests/clients`. Without the toolchain, or locally without the libraries: `None`,
    /// after printing SKIPPED. Missing libraries are a failure with `CI=true`.
    pub fn command(self, program: &str) -> Option<Command> {
        let skip = |why: String| {
            // Not `println!`: the test harness captures that of a test that passes.
            let _ = writeln!(std::io::stdout(), "SKIPPED: {program} of tests/clients: {why}");
            None
        };
        if !self.has_toolchain() {
            return skip(format!("there is no {}", self.toolchain()));
        }
        if !self.is_installed() {
            let why = "its libraries are not installed in these versions: run tests/run".to_owned();
            assert_ne!(env::var("CI").as_deref(), Ok("true"), "{program}: {why}");
            return skip(why);
        }
        let (sources, installed) = (self.sources(), self.installed());
        let mut command = match self {
            Language::Java => {
                let mut java = Command::new("java");
                // Client programs do little: the interpreter and the simplest collector save most of a JVM's start.
                java.args(["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]).arg(sources.join(program));
                java
            }
            Language::Go => Command::new(BUILT.join(program)),
            Language::Python => {
                let mut python = Command::new(installed.join("bin/python"));
                python.args(["-B", "-X", "utf8"]).arg(sources.join(program));
                python
            }
            Language::Node => {
                let mut node = Command::new("node");
                node.arg(sources.join(program)).arg(installed);
                node
            }
        };
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        Some(command)
    }

    fn folder(self) -> &'static str {
        match self {
            Language::Java => "java",
            Language::Go => "go",
            Language::Python => "python3",
            Language::Node => "node",
        }
    }

    fn sources(self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(self.folder())
    }

    /// Where tests/run installs libraries.
    fn installed(self) -> PathBuf {
        Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("clients").join(self.folder())
    }

    fn toolchain(self) -> &'static str {
        match self {
            Language::Java => "JDK 17 or later (Debian: openjdk-17-jdk-headless or later)",
            Language::Go => "Go 1.23 or later (Debian: golang-go)",
            Language::Python => "Python 3.11 or later with venv (Debian: python3-venv)",
            Language::Node => "Node.js 20.18 or later (Debian: nodejs)",
        }
    }

    fn has_toolchain(self) -> bool {
        const NODE: &str = "const [a, b] = process.versions.node.split('.'); process.exit(a * 100 + +b < 2018 ? 1 : 0)";
        let (program, arguments): (_, &[&str]) = match self {
            // A runtime without a compiler does not run programs from their source.
            Language::Java => ("java", &["--describe-module", "jdk.compiler"]),
            Language::Go => ("go", &["env", "GOVERSION"]),
            Language::Python => ("python3", &["-c", "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))"]),
            Language::Node => ("node", &["-e", NODE]),
        };
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.sources()).envs(GO_AS_IT_IS).stdin(Stdio::null());
        let Ok(output) = command.output() else { return false };
        let told = String::from_utf8_lossy(&output.stdout);
        if self == Language::Go {
            let module = fs::read_to_string(self.sources().join("go.mod")).expect("a module");
            let asked = module.lines().find_map(|line| line.strip_prefix("go ")).and_then(version).expect("the module's Go");
            // A Go before 1.21 builds modules of newer ones too, as far as it can. One before 1.16 prints an empty line.
            return told.trim().strip_prefix("go").and_then(version).is_some_and(|installed| installed >= asked);
        }
        let module = told.strip_prefix("jdk.compiler@").map(|version| version.split(|c: char| !c.is_ascii_digit()).next());
        let new_enough = module.is_none_or(|major| major.and_then(|major| major.parse().ok()) >= Some(17));
        output.status.success() && new_enough
    }

    /// Whether tests/run has installed what the lock file names now.
    fn is_installed(self) -> bool {
        let lock = match self {
            // The library is the JDK's own.
            Language::Java => return true,
            Language::Go => "go.sum",
            Language::Python => "requirements.txt",
            Language::Node => "package-lock.json",
        };
        let lock = fs::read(self.sources().join(lock)).expect("a lock file");
        fs::read(self.installed().join("installed")).is_ok_and(|installed| installed == lock)
    }
}

/// Major and minor version of Go, of `1.23`, `1.23.4` and `1.23rc1`.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((parts.next()?.ok()?, parts.next()?.ok()?))
}

/// The Go that is installed, without a workspace around the module and without downloads.
const GO_AS_IT_IS: [(&str, &str); 4] = [("GOTOOLCHAIN", "local"), ("GOWORK", "off"), ("GOPROXY", "off"), ("GOFLAGS", "")];

/// The folder of the Go programs, built once by each run of the tests.
static BUILT: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = Language::Go.installed().join("built");
    let mut go = Command::new("go");
    go.args(["build", "-mod=readonly", "-buildvcs=false", "-o"])
        .arg(&folder)
        .arg("./...")
        .current_dir(Language::Go.sources());
    go.env("GOMODCACHE", Language::Go.installed().join("modules"));
    go.envs(GO_AS_IT_IS);
    fs::create_dir_all(&folder).expect("a folder");
    assert!(go.status().expect("Go starts").success(), "{go:?}");
    folder
});
