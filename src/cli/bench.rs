//! `bench`: load from many users, and whether delivery kept its promise meanwhile.

mod files;
mod progress;
mod users;

use std::{path::PathBuf, time::Duration};

use clap::{Args, Subcommand};
use reqwest::Url;
use uuid::Uuid;

use self::progress::Screen;
use super::{Failure, Where, print, token};
use crate::{
    bench::{
        self, dial,
        plan::{Asked, Plan, Scenario},
        report,
        results::{Results, Verdict},
        run::{self, Order, Progress, Trouble},
        target::{self, Paths, Target},
    },
    domain::Clock,
    http::{gateway::SystemClock, routes::Route},
    wire::shape,
};

#[derive(Debug, Args)]
#[command(after_help = USERS, args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct BenchArgs {
    #[command(subcommand)]
    command: Option<BenchCommand>,
    #[command(flatten)]
    place: Where,
    /// The server, like http://127.0.0.1:8080.
    #[arg(long, value_parser = base, required = true)]
    url: Option<Url>,
    /// Who talks to whom: broadcast, rooms, direct, rest, mixed, storm, slow, soak.
    #[arg(long, value_parser = scenario, required = true)]
    scenario: Option<Scenario>,
    /// Users, each with one socket.
    #[arg(long, default_value_t = 100)]
    users: u32,
    /// Members of each thread; 10 if not given, 50 for slow, everybody for broadcast, 2 for direct.
    #[arg(long)]
    room: Option<u32>,
    /// Messages a second over all users, each at its own moment whether the server keeps up or not.
    #[arg(long, conflicts_with = "window")]
    rate: Option<f64>,
    /// Instead of a rate: so many messages unanswered at any time, the next when one is acknowledged.
    #[arg(long)]
    window: Option<u32>,
    /// Over how long users connect, like 10s.
    #[arg(long, value_parser = token::lifetime, value_name = "TIME")]
    ramp: Option<Duration>,
    /// How long is measured, like 30s; that is the default, and 1h for soak.
    #[arg(long, value_parser = token::lifetime, value_name = "TIME")]
    duration: Option<Duration>,
    /// Text of a message; 128 if not given, 6000 for slow.
    #[arg(long, value_name = "BYTES")]
    message_bytes: Option<u32>,
    /// Makes the choices of a run the same again.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Share of the readers that stop reading, for slow.
    #[arg(long, default_value_t = 0.1)]
    share: f64,
    /// Threads of the load test; half of the cores if not given.
    #[arg(long)]
    threads: Option<u32>,
    /// The server's process, to tell its processor time and memory.
    #[arg(long, value_name = "PID")]
    server_pid: Option<u32>,
    /// A file with a user and a token in each line; without it accounts are made and tokens signed here.
    #[arg(long, value_name = "FILE", value_parser = super::path(), conflicts_with_all = ["config", "data"])]
    tokens: Option<PathBuf>,
    /// Write the results to a file, for `bench compare` and for programs.
    #[arg(long, value_name = "FILE", value_parser = super::path())]
    json: Option<PathBuf>,
    /// Write a page with plots, which needs nothing beside it.
    #[arg(long, value_name = "FILE", value_parser = super::path())]
    report: Option<PathBuf>,
    /// Load a server that is not on this machine. Ask whoever runs it first.
    #[arg(long)]
    i_may_load_this_host: bool,
}

#[derive(Debug, Subcommand)]
enum BenchCommand {
    /// Two runs beside each other, and whether what differs is more than chance.
    Compare {
        /// What --json wrote of the first.
        #[arg(value_parser = super::path())]
        a: PathBuf,
        /// What it wrote of the second.
        #[arg(value_parser = super::path())]
        b: PathBuf,
    },
}

const USERS: &str = "Without --tokens the server's own configuration is needed (--data DIR of a demo, --config, or its variables), \
    and an\nenvironment other than production: the accounts bench-1, bench-2, ... are made in its database, which no password \
    opens,\nand their tokens signed with its key. Exit code 0 means that every message that was acknowledged reached every \
    member\nonce and in order, 1 that one did not or that the run failed, 69 that the server cannot be used.";

fn base(text: &str) -> Result<Url, String> {
    let url = super::url(text, "http://127.0.0.1:8080")?;
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let nobody = url.username().is_empty() && url.password().is_none();
    if matches!(url.scheme(), "http" | "https") && bare && nobody && url.host_str().is_some() {
        return Ok(url);
    }
    Err("write scheme, host and port only, like http://127.0.0.1:8080".to_owned())
}

fn scenario(text: &str) -> Result<Scenario, String> {
    let names: Vec<&str> = Scenario::ALL.iter().map(|(name, _)| *name).collect();
    Scenario::named(text).ok_or_else(|| format!("write one of: {}", names.join(", ")))
}

/// `hailgate bench`.
pub fn run(args: &BenchArgs) -> Result<(), Failure> {
    if let Some(BenchCommand::Compare { a, b }) = &args.command {
        return print(&bench::compare(&files::read(a)?, &files::read(b)?).to_string());
    }
    let (Some(url), Some(scenario)) = (&args.url, args.scenario) else {
        return Err(Failure::Failed("--url and --scenario are needed".to_owned()));
    };
    // Before the run: nobody wants to hear after it that its results cannot be written.
    let json = args.json.as_deref().map(files::Sheet::new).transpose()?;
    let page = args.report.as_deref().map(files::Sheet::new).transpose()?;
    let results = measure(args, url, scenario)?;
    print(report::table(&results).trim_end())?;
    json.map(|json| json.write(&results.text())).transpose()?;
    page.map(|page| page.write(&report::page(&results))).transpose()?;
    if scenario == Scenario::Slow && results.counts.reconnects == 0 {
        eprintln!(
            "hailgate: no reader was sent away for reading too slowly: what they missed fitted into the system's buffers and \
             the outbox. Use more --rate, --message-bytes or --duration."
        );
    }
    judge(&results.verdict)
}

fn measure(args: &BenchArgs, url: &Url, scenario: Scenario) -> Result<Results, Failure> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let asked = Asked {
        scenario,
        users: args.users,
        room: args.room,
        rate: args.rate,
        window: args.window,
        ramp: args.ramp,
        duration: args.duration,
        message_bytes: args.message_bytes,
        seed: args.seed,
        share: args.share,
        workers: args.threads.unwrap_or(u32::try_from(cores / 2).unwrap_or(1).max(1)),
    };
    let plan = Plan::of(&asked, url.as_str().trim_end_matches('/')).map_err(Failure::Failed)?;
    let target = Target::find(url, paths(), args.i_may_load_this_host).map_err(|trouble| match trouble {
        target::Trouble::Foreign(what) => Failure::Failed(what),
        target::Trouble::Unknown(what) => Failure::Unavailable(what),
    })?;
    let connector = dial::connector(url).map_err(Failure::Failed)?;
    let users = match &args.tokens {
        Some(file) => users::of_file(file, plan.users)?,
        None => users::made(&args.place, &plan)?,
    };
    let order = Order {
        plan,
        target,
        connector,
        users,
        server: args.server_pid,
        mark: Uuid::new_v4().as_fields().0,
        started_at: shape::time(SystemClock.now()),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Failed(format!("the system gives no runtime: {error}")))?;
    let mut screen = Screen::new(&order.plan);
    let mut tell = |progress: Progress<'_>| screen.show(&progress);
    let ran = runtime.block_on(async {
        let stop = || async {
            // Where no signal can be waited for, nothing ends the run early.
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        run::run(order, stop, &mut tell).await
    });
    ran.map_err(|trouble| match trouble {
        Trouble::Unreachable(what) => Failure::Unavailable(what),
        Trouble::Misfit(what) => Failure::Failed(format!("this load does not fit\n  - {}", what.join("\n  - "))),
        Trouble::Failed(what) => Failure::Failed(what),
    })
}

fn paths() -> Paths {
    let path = |handler| Route::of(handler).path;
    Paths {
        socket: path("admission::connect"),
        threads: path("threads::create"),
        thread: path("threads::get"),
        member: path("threads::add"),
        messages: path("messages::send"),
    }
}

/// A run fails if the promise was broken.
fn judge(verdict: &Verdict) -> Result<(), Failure> {
    if verdict.passed() {
        return Ok(());
    }
    let found = verdict.findings().into_iter().filter(|(_, count)| *count > 0);
    let found: Vec<String> = found.map(|(what, count)| format!("{count} {what}")).collect();
    Err(Failure::Failed(format!("the server broke its promise: {}", found.join(", "))))
}
