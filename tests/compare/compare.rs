//! What this product costs, beside an actor a connection as actix-web-actors shows it, beside `ws` on Node.js, and beside bare
//! loops that do the same work and nothing else: in one run, by turns, on loopback. `tests/compare/run` starts it.

mod bare_log;
mod cpu;
mod crowd;
mod deliveries;
mod fanout;
mod frames;
mod http;
mod latency;
mod memory;
mod rivals;
#[allow(dead_code, reason = "accounts come by tokens here")]
#[path = "../benches/server.rs"]
mod server;
mod sides;
mod start;
mod stored;
mod table;
mod upgrades;

use std::process::{Command, ExitCode};

use table::Line;

/// How much of everything: enough for figures, or just enough to show that it works.
#[derive(Clone, Copy)]
pub struct Scale {
    quick: bool,
}

impl Scale {
    /// The one or the other.
    pub fn pick<T>(self, full: T, quick: T) -> T {
        if self.quick { quick } else { full }
    }
}

/// What measures a row, or several.
type Row = fn(Scale) -> Vec<Line>;

/// By the name under which each runs alone.
const ROWS: [(&str, Row); 8] = [
    ("deliveries", |scale| alone(deliveries::one_room(scale))),
    ("rooms", |scale| alone(deliveries::many_rooms(scale))),
    ("memory", |scale| alone(memory::run(scale))),
    ("upgrades", |scale| alone(upgrades::run(scale))),
    ("stored", |scale| alone(stored::run(scale))),
    ("fanout", |scale| alone(fanout::run(scale))),
    ("latency", |scale| alone(latency::run(scale))),
    ("start", start::run),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if arguments.iter().any(|argument| argument == rivals::ARGUMENT) {
        rivals::serve();
        return ExitCode::SUCCESS;
    }
    let scale = Scale { quick: arguments.iter().any(|argument| argument == "--quick") };
    let wanted: Vec<&str> = arguments.iter().map(String::as_str).filter(|argument| *argument != "--quick").collect();
    if let Some(unknown) = wanted.iter().find(|wanted| ROWS.iter().all(|(name, _)| name != *wanted)) {
        let names: Vec<&str> = ROWS.iter().map(|(name, _)| *name).collect();
        eprintln!("{unknown} is no row. usage: tests/compare/run [--quick] [{}]", names.join("|"));
        return ExitCode::from(2);
    }
    // Connections of several servers, each with a descriptor here.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
    cpu::count_cores();
    if !sides::ws_is_installed() {
        eprintln!("SKIPPED: `ws` is left out: tests/compare/run installs it where Node.js and npm are");
    }
    let mut lines = Vec::new();
    for (name, row) in ROWS.iter().filter(|(name, _)| wanted.is_empty() || wanted.contains(name)) {
        eprintln!("{name} ...");
        lines.extend(row(scale));
    }
    println!("{}", machine());
    if scale.quick {
        println!("Quick: small numbers, to show that everything works. The figures mean nothing.");
    }
    table::print(&lines);
    ExitCode::SUCCESS
}

/// Runs what measures by sockets: everything of the load in this one thread.
fn alone<T>(row: impl Future<Output = T>) -> T {
    sides::pin_load();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, row)
}

/// On what this was measured.
fn machine() -> String {
    let told = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().ok().filter(|output| output.status.success());
        output.map_or("unknown".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let counted =
        if cpu::counts_instructions() { "instructions" } else { "processor time (instructions are not counted here)" };
    format!(
        "{} cores, {} {}, {}, Node.js {}; cost is told in {counted}.\n",
        cpu::cores(),
        told("uname", &["-s"]),
        told("uname", &["-r"]),
        told("rustc", &["--version"]),
        told("node", &["--version"]),
    )
}
