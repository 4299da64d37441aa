//! The command line.
//!
//! Decisions: `src/docs/decisions/operation.md`.

mod accounts;
mod backup;
mod bench;
mod check;
mod demo;
mod help;
mod logging;
mod reload;
mod serve;
mod settings;
mod token;
mod version;

use std::{
    io::{self, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{
    Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueHint,
    builder::{PathBufValueParser, TypedValueParser},
};
use clap_complete::Shell;

use crate::{
    config::{self, Complaint, Config, Shape, Sources},
    error::Error,
    http::open::StartError,
};

/// An actor-based WebSocket gateway: browser chat over WebSocket, with REST beside it.
#[derive(Debug, Parser)]
#[command(version, long_version = version::LONG)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Try it: two accounts and a thread on this machine, nothing to set up.
    Demo(demo::DemoArgs),
    /// Run the server.
    ///
    /// While it runs, what was stored last is in a second file beside the database, whose name ends in -wal. A copy of the
    /// database file alone lacks it: make copies with `hailgate backup`.
    Serve(serve::ServeArgs),
    /// Check the configuration and run the start-up probe, without serving; or ask a running server from outside.
    Check(check::CheckArgs),
    /// Write a configuration file to begin with, or list the settings in force.
    ///
    /// Without options it prints a file in which every setting stands as a comment, with its default, its variable and what it
    /// means. It needs no keys, no database and no valid configuration.
    Config(settings::ConfigArgs),
    /// Print a token that signs a program in as a user.
    ///
    /// The token has the permissions named here and no others, whatever the account has. Where the database is at hand, no token
    /// is printed that would open nothing; elsewhere the account is not looked up, and stderr says so.
    Token(token::TokenArgs),
    /// Copy the database into a new file, whole, beside a running server.
    ///
    /// The copy holds what is stored at one moment, except logins: after a restore everybody signs in again, and clients
    /// load anew. To restore: stop the server, move the database and the files beside it whose names end in -wal and -shm
    /// away, put the copy in the place of the database, start the server. What was revoked or disabled since the copy must
    /// be revoked or disabled again.
    Backup(backup::BackupArgs),
    /// Manage accounts.
    User(accounts::UserArgs),
    /// Load a server with many users, and judge whether every message arrived.
    Bench(bench::BenchArgs),
    /// Print the completions of a shell.
    ///
    /// For bash: hailgate completions bash > ~/.local/share/bash-completion/completions/hailgate
    /// For zsh: hailgate completions zsh > DIR/_hailgate, where DIR is in $fpath.
    /// For fish: hailgate completions fish > ~/.config/fish/completions/hailgate.fish
    #[command(verbatim_doc_comment)]
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Print version, commit, compiler and features of this program.
    Version,
}

/// Where the configuration is.
#[derive(Debug, Clone, Default, Args)]
pub struct Where {
    /// A TOML file; variables win over it.
    #[arg(long, global = true, value_name = "FILE", value_parser = path(), value_hint = ValueHint::FilePath, display_order = 100,
          conflicts_with = "data")]
    config: Option<PathBuf>,
    /// A data directory that `demo` has made, with keys and a database of its own.
    #[arg(long, global = true, value_name = "DIR", value_parser = path(), value_hint = ValueHint::DirPath, display_order = 101)]
    data: Option<PathBuf>,
}

impl Where {
    /// The whole configuration, valid.
    fn load(&self, bind: Option<String>) -> Result<Config, Failure> {
        Config::load(&self.sources(bind)?).map_err(Failure::Config)
    }

    /// Where to look for settings.
    fn sources(&self, bind: Option<String>) -> Result<Sources, Failure> {
        let mut variables = config::environment();
        if let Some(directory) = &self.data {
            let (beside, passed_over) = config::beside_a_demo(variables);
            if !passed_over.is_empty() {
                eprintln!("hailgate: a demo's directory has its own settings; not looked at: {}", passed_over.join(", "));
            }
            variables = beside;
            has_data(directory)?;
        }
        let config = self.config.clone().or_else(|| self.data.as_deref().map(config::file_in));
        Ok(Sources { variables, config, bind })
    }
}

/// Whether a demo has made this directory.
fn has_data(directory: &Path) -> Result<(), Failure> {
    let (shown, file) = (directory.display(), config::file_in(directory));
    let what = if !directory.exists() {
        format!("There is no directory {shown}.")
    } else if !directory.is_dir() {
        format!("{shown} is no directory.")
    } else if !file.exists() {
        format!("No demo keeps its data in {shown}: there is no {} in it.", file.display())
    } else {
        return Ok(());
    };
    let demo = config::demo_directory().filter(|own| config::file_in(own).exists());
    let demo = demo.map(|own| format!("Name {}, where the demo of this user is, or make one: ", own.display()));
    let make = demo.unwrap_or_else(|| "Make one: ".to_owned());
    let remedy = format!("{make}hailgate demo --data {shown}. For another server use --config FILE or its variables.");
    Err(Failure::Config(vec![Complaint::new(what, &"flag --data", remedy)]))
}

/// Why the port cannot be opened, and what to do.
fn not_listening(address: SocketAddr, error: &io::Error) -> Failure {
    let remedy = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "Another program listens there: end it, or choose another port by --bind or HAILGATE_BIND.".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "Ports below 1024 are for root, or for programs with CAP_NET_BIND_SERVICE: choose another by --bind.".to_owned()
        }
        io::ErrorKind::AddrNotAvailable => {
            format!("This machine has no such address: use one that it has, or 0.0.0.0:{} for all of them.", address.port())
        }
        _ => "Choose another --bind.".to_owned(),
    };
    Failure::Unavailable(format!("{address} cannot be listened on: {error}. {remedy}"))
}

/// A path on the command line, without white space around it.
fn path() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| config::clean_path(path).map_err(|what| format!("it {what}")))
}

/// Text of one line on the command line, without white space around it.
fn line(text: &str) -> Result<String, String> {
    config::clean(text, Shape::Line).map_err(|what| format!("it {what}"))
}

/// A URL on the command line. The parser of URLs drops tabs and line ends inside, so these are refused first.
fn url(text: &str, like: &str) -> Result<reqwest::Url, String> {
    let text = config::clean(text, Shape::Word).map_err(|what| format!("it {what}"))?;
    text.parse().map_err(|_| format!("write an address like {like}"))
}

/// Why a command ended.
#[derive(Debug)]
enum Failure {
    /// The configuration is refused.
    Config(Vec<Complaint>),
    /// The start-up probe says so.
    Probe(String),
    /// The store or the port cannot be used.
    Unavailable(String),
    /// Something is wrong, and stdout has said what.
    Told,
    /// Whoever read stdout has gone.
    Unread,
    /// Anything else.
    Failed(String),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Failed(error.detail.into_owned())
    }
}

impl From<Vec<Complaint>> for Failure {
    fn from(complaints: Vec<Complaint>) -> Self {
        Failure::Config(complaints)
    }
}

impl From<StartError> for Failure {
    fn from(unopened: StartError) -> Self {
        match unopened {
            StartError::Config(complaints) => Failure::Config(complaints),
            StartError::Probe(what) => Failure::Probe(what),
            StartError::Unavailable(what) => Failure::Unavailable(what),
            StartError::Failed(what) => Failure::Failed(what),
        }
    }
}

impl Failure {
    /// Says it on stderr; the exit code.
    fn tell(self) -> ExitCode {
        let (what, code) = match self {
            Failure::Config(complaints) => (StartError::Config(complaints), 78),
            Failure::Probe(what) => (StartError::Probe(what), 78),
            Failure::Unavailable(what) => (StartError::Unavailable(what), 69),
            Failure::Told => return ExitCode::from(78),
            Failure::Unread => return ExitCode::FAILURE,
            Failure::Failed(what) => (StartError::Failed(what), 1),
        };
        eprintln!("hailgate: {what}");
        ExitCode::from(code)
    }
}

/// Runs the command of the process's arguments.
pub fn main() -> ExitCode {
    let mut matches = help::completed(Cli::command()).get_matches();
    let cli = Cli::from_arg_matches_mut(&mut matches).unwrap_or_else(|error| error.exit());
    let done = match cli.command {
        Command::Demo(args) => demo::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Token(args) => token::run(&args),
        Command::Backup(args) => backup::run(&args),
        Command::User(args) => accounts::run(args),
        Command::Bench(args) => bench::run(&args),
        Command::Config(args) => settings::run(&args),
        Command::Completions { shell } => completions(shell),
        Command::Version => print(version::LINES),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.tell(),
    }
}

/// Writes lines to stdout, or says why that failed: what was asked for has not arrived. A reader who left, like
/// `| head`, is told nothing more.
fn print(lines: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    // In one piece: a reader who has seen the end of it may leave before an empty line that follows.
    out.write_all(format!("{lines}\n").as_bytes()).and_then(|()| out.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::Unread,
        _ => Failure::Failed(format!("standard output cannot be written: {error}")),
    })
}

/// `hailgate completions`.
fn completions(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    let mut command = help::completed(Cli::command());
    clap_complete::generate(shell, &mut command, "hailgate", &mut script);
    print(String::from_utf8_lossy(&script).trim_end())
}
