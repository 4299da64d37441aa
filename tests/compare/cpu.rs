//! What a server process uses: processor time of all its threads, instructions where this machine counts them, memory.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::OnceLock,
};

use tempfile::TempDir;

/// What is counted where the machine can.
const EVENT: &str = "instructions";

/// Nanoseconds on a processor, of every thread that a process has now, by the thread's name.
pub fn threads(pid: u32) -> Vec<(String, u64)> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("a running process");
    let of = |task: PathBuf| {
        let name = fs::read_to_string(task.join("comm")).ok()?;
        let times = fs::read_to_string(task.join("schedstat")).ok()?;
        Some((name.trim().to_owned(), times.split(' ').next()?.parse().ok()?))
    };
    tasks.filter_map(|task| of(task.ok()?.path())).collect()
}

/// Nanoseconds on a processor, of a whole process.
pub fn nanoseconds(pid: u32) -> u64 {
    threads(pid).iter().map(|(_, time)| time).sum()
}

/// KiB of memory that are resident.
pub fn resident_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("a running process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Keeps every thread of a process, and those it will have, on one core, if there is more than one.
pub fn pin(pid: u32, core: usize) {
    if cores() > 1 {
        let mut taskset = Command::new("taskset");
        taskset.args(["-a", "-c", "-p", &core.to_string(), &pid.to_string()]);
        // Without it the figures are only noisier.
        let _ = taskset.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// How many cores there are.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get).max(*CORES.get().unwrap_or(&1))
}

/// Read before this process keeps itself to one.
static CORES: OnceLock<usize> = OnceLock::new();

/// Remembers how many cores there are, before anything is pinned.
pub fn count_cores() {
    let _ = CORES.set(cores());
}

/// Whether instructions of a process can be counted here: many virtual machines have no counter.
pub fn counts_instructions() -> bool {
    static COUNTS: OnceLock<bool> = OnceLock::new();
    *COUNTS.get_or_init(|| {
        let counted = Command::new("perf").args(["stat", "-x,", "-e", EVENT, "true"]).output();
        counted.is_ok_and(|output| output.status.success() && first_number(&output.stderr).is_some())
    })
}

fn first_number(told: &[u8]) -> Option<u64> {
    String::from_utf8_lossy(told).lines().find_map(|line| line.split(',').next()?.parse().ok())
}

/// Counts what a process uses from [`Meter::begin`] to [`Meter::end`], and nothing before or after.
pub struct Meter {
    pid: u32,
    began: u64,
    counter: Option<Counter>,
}

/// What was used.
#[derive(Debug, Clone, Copy, Default)]
pub struct Used {
    pub nanoseconds: u64,
    pub instructions: Option<u64>,
}

impl Meter {
    pub fn begin(pid: u32) -> Meter {
        let counter = counts_instructions().then(|| Counter::begin(pid));
        Meter { pid, began: nanoseconds(pid), counter }
    }

    pub fn end(self) -> Used {
        let nanoseconds = nanoseconds(self.pid) - self.began;
        Used { nanoseconds, instructions: self.counter.and_then(Counter::end) }
    }
}

/// `perf stat` beside the process. It begins and ends when it is told to, not when it starts.
struct Counter {
    perf: Child,
    orders: File,
    answers: File,
    _directory: TempDir,
}

impl Counter {
    fn begin(pid: u32) -> Counter {
        let directory = TempDir::new().expect("a directory");
        let pipe = |name: &str| directory.path().join(name);
        let (orders, answers) = (pipe("orders"), pipe("answers"));
        assert!(Command::new("mkfifo").args([&orders, &answers]).status().is_ok_and(|status| status.success()));
        let control = format!("fifo:{},{}", orders.display(), answers.display());
        let mut perf = Command::new("perf");
        perf.args(["stat", "-x,", "-e", EVENT, "-D", "-1", "-p", &pid.to_string(), "--control", &control]);
        let perf = perf.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("perf starts");
        // Each of these waits until perf has opened its end.
        let orders = File::options().write(true).open(orders).expect("perf reads orders");
        let answers = File::open(answers).expect("perf answers");
        let mut counter = Counter { perf, orders, answers, _directory: directory };
        counter.order("enable\n");
        counter
    }

    fn order(&mut self, order: &str) {
        self.orders.write_all(order.as_bytes()).expect("perf takes orders");
        self.answers.read_exact(&mut [0; 4]).expect("perf says ack");
    }

    fn end(mut self) -> Option<u64> {
        self.order("disable\n");
        let interrupted = Command::new("kill").args(["-INT", &self.perf.id().to_string()]).status();
        assert!(interrupted.is_ok_and(|status| status.success()), "perf can be ended");
        let output = self.perf.wait_with_output().expect("perf ends");
        first_number(&output.stderr)
    }
}
