//! The command line.

mod accounts;
mod bench;
mod check;
mod demo;
mod files;
mod keys;
mod logging;
mod reload;
mod serve;
mod token;

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Args, Parser, Subcommand};

use crate::{
    config::{self, Complaint, Config, Sources},
    error::Error,
    store::sqlite::{OpenError, Sqlite},
};

/// An actor-based WebSocket gateway: browser chat over WebSocket, with REST beside it.
#[derive(Debug, Parser)]
#[command(version, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done · 1 failed · 2 wrong arguments · 69 the store, the port or the server to check\n\
    cannot be used · 70 a vital part ended by a bug · 78 the configuration is refused, or a probe or check failed";

#[derive(Debug, Subcommand)]
enum Command {
    /// Try it: two accounts and a thread on this machine, nothing to set up.
    Demo(demo::DemoArgs),
    /// Run the server.
    Serve(serve::ServeArgs),
    /// Check the configuration and run the start-up probe, without serving; or ask a running server from outside.
    Check(check::CheckArgs),
    /// Print a token that signs a program in as a user.
    ///
    /// The token has the permissions named here and no others, whatever the account has. The account is not looked up: a
    /// token for one that does not exist is refused when it is used.
    Token(token::TokenArgs),
    /// Manage accounts.
    User(accounts::UserArgs),
    /// Load a server with many users, and judge whether every message arrived.
    Bench(bench::BenchArgs),
}

/// Where the configuration is.
#[derive(Debug, Clone, Default, Args)]
pub struct Where {
    /// A TOML file; variables win over it.
    #[arg(long, global = true, value_name = "FILE", conflicts_with = "data")]
    config: Option<PathBuf>,
    /// A data directory that `demo` has made, with keys and a database of its own.
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl Where {
    fn load(&self, bind: Option<String>) -> Result<Config, Failure> {
        let mut variables = config::environment();
        if self.data.is_some() {
            let (beside, passed_over) = config::beside_a_demo(variables);
            if !passed_over.is_empty() {
                eprintln!("hailgate: a demo's directory has its own settings; not looked at: {}", passed_over.join(", "));
            }
            variables = beside;
        }
        let config = self.config.clone().or_else(|| self.data.as_deref().map(config::file_in));
        Config::load(&Sources { variables, config, bind }).map_err(Failure::Config)
    }
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

impl Failure {
    /// Says it on stderr; the exit code.
    fn tell(&self) -> ExitCode {
        match self {
            Failure::Config(complaints) => {
                eprintln!("hailgate: the configuration is refused");
                for complaint in complaints {
                    eprintln!("  - {complaint}");
                }
                ExitCode::from(78)
            }
            Failure::Probe(what) => {
                eprintln!("hailgate: the start-up probe failed, nothing was opened\n  - {what}");
                ExitCode::from(78)
            }
            Failure::Unavailable(what) => {
                eprintln!("hailgate: {what}");
                ExitCode::from(69)
            }
            Failure::Told => ExitCode::from(78),
            Failure::Unread => ExitCode::FAILURE,
            Failure::Failed(what) => {
                eprintln!("hailgate: {what}");
                ExitCode::FAILURE
            }
        }
    }
}

/// Runs the command of the process's arguments.
pub fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Demo(args) => demo::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Token(args) => token::run(&args),
        Command::User(args) => accounts::run(args),
        Command::Bench(args) => bench::run(&args),
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

/// Opens the configured database.
fn open(config: &Config) -> Result<Sqlite, Failure> {
    Sqlite::open(&config.database, &config.limits).map_err(|error| not_opened(config, &error))
}

/// Opens it for the one who serves from it.
fn open_to_serve(config: &Config) -> Result<Sqlite, Failure> {
    open(config)?.serving(config.sqlite_synchronous).map_err(|error| not_opened(config, &error))
}

fn not_opened(config: &Config, error: &OpenError) -> Failure {
    let path = &config.database;
    let (what, remedy) = files::obstacle(path).unwrap_or_else(|| {
        let remedy = "Check HAILGATE_DATABASE_URL, who may write there, and how much space is left.";
        (error.to_string(), remedy.to_owned())
    });
    Failure::Unavailable(format!("the database {} cannot be opened: {what}. {remedy}", path.display()))
}
