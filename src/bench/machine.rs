//! What the system says about the server's process and the generator's own threads, read from `/proc`.

use std::{
    collections::HashMap,
    fs,
    time::{Duration, Instant},
};

/// Processor time of one process, and how much of it was used since the last reading.
#[derive(Debug)]
pub struct Process {
    pid: Option<u32>,
    ticks: Option<u64>,
    at: Instant,
}

impl Process {
    /// Watches a process; `None` is this one.
    pub fn new(pid: Option<u32>) -> Process {
        let mut process = Process { pid, ticks: None, at: Instant::now() };
        process.cores();
        process
    }

    fn folder(&self) -> String {
        self.pid.map_or_else(|| "/proc/self".to_owned(), |pid| format!("/proc/{pid}"))
    }

    /// Cores that it kept busy since the last call; `None` if it cannot be seen.
    pub fn cores(&mut self) -> Option<f64> {
        let ticks = ticks(&fs::read_to_string(format!("{}/stat", self.folder())).ok()?)?;
        let (before, passed) = (self.ticks.replace(ticks), self.at.elapsed());
        self.at = Instant::now();
        Some(share(ticks.checked_sub(before?)?, passed))
    }

    /// Its resident memory in bytes.
    pub fn resident(&self) -> Option<u64> {
        status(&self.folder(), "VmRSS:")
    }

    /// The most it ever was.
    pub fn peak(&self) -> Option<u64> {
        status(&self.folder(), "VmHWM:")
    }
}

/// The threads of this process.
#[derive(Debug)]
pub struct Threads {
    ticks: HashMap<String, u64>,
    at: Instant,
}

impl Threads {
    /// From now on.
    pub fn new() -> Threads {
        let mut threads = Threads { ticks: HashMap::new(), at: Instant::now() };
        threads.busiest();
        threads
    }

    /// The share of a core that the busiest of them needed since the last call.
    pub fn busiest(&mut self) -> f64 {
        let passed = self.at.elapsed();
        self.at = Instant::now();
        let mut now = HashMap::new();
        for entry in fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
            let ticks = fs::read_to_string(entry.path().join("stat")).ok().and_then(|stat| ticks(&stat));
            now.extend(ticks.map(|ticks| (entry.file_name().to_string_lossy().into_owned(), ticks)));
        }
        let used = now.iter().map(|(thread, ticks)| ticks - self.ticks.get(thread).copied().unwrap_or(0).min(*ticks));
        let most = used.max().unwrap_or(0);
        self.ticks = now;
        share(most, passed)
    }
}

impl Default for Threads {
    fn default() -> Threads {
        Threads::new()
    }
}

/// User and system time out of a `stat` line, in ticks. The name before it may hold anything, so it is read from its end.
fn ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

#[allow(clippy::cast_precision_loss, reason = "ticks of one run")]
fn share(ticks: u64, passed: Duration) -> f64 {
    ticks as f64 / rustix::param::clock_ticks_per_second() as f64 / passed.as_secs_f64().max(1e-3)
}

fn status(folder: &str, field: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("{folder}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kib| kib * 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_whatever_the_program_is_called() {
        let rest = "S 1 1 1 0 -1 4194304 100 0 0 0 37 5 0 0 20 0 1 0 100 1000 10";
        assert_eq!(ticks(&format!("12 (a) b (c) {rest}")), Some(42));
        assert_eq!(ticks("12 (a"), None);
    }

    #[test]
    fn this_process_is_seen_at_work() {
        let (mut process, mut threads) = (Process::new(None), Threads::new());
        // Work until the system has counted some of it for this thread, however long that takes.
        let counted = || ticks(&fs::read_to_string("/proc/thread-self/stat").expect("a stat line"));
        let before = counted();
        while counted() <= before.map(|ticks| ticks + 1) {}
        assert!(process.cores().is_some_and(|cores| cores > 0.0));
        assert!(threads.busiest() > 0.0);
        assert!(process.resident() > Some(0) && process.peak() >= process.resident());
        assert_eq!(Process::new(Some(u32::MAX)).cores(), None, "no such process");
    }
}
