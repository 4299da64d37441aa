//! The results as they grow: second by second out of what the workers count, and what the system says meanwhile.

use std::time::{Duration, Instant};

use super::{
    checker::{Breach, Verdict},
    crew::Desk,
    machine::{Process, Threads},
    meter::Meter,
    results::{self, FORMAT, Generator, Results, Second},
};

/// A thread that needs so much of a core has no time left for what comes next.
const BUSY: f64 = 0.9;
/// So many busy seconds in a hundred say that it was the generator.
const BUSY_SECONDS: usize = 10;
/// Sends that leave so late, in microseconds, at the 99th percentile say so too.
const LATE_US: u64 = 5_000;
/// Faults that are told in words.
const EXAMPLES: usize = 20;

/// See the module.
pub struct Tally {
    /// The measured part so far.
    pub seconds: Vec<Second>,
    total: Meter,
    server: Option<Process>,
    own: Process,
    threads: Threads,
    busiest: f64,
    busy: usize,
    began: Instant,
    ended: Instant,
}

impl Tally {
    /// Nothing yet; `server` is its process.
    pub fn new(server: Option<u32>) -> Tally {
        Tally {
            seconds: Vec::new(),
            total: Meter::default(),
            server: server.map(|pid| Process::new(Some(pid))),
            own: Process::new(None),
            threads: Threads::new(),
            busiest: 0.0,
            busy: 0,
            began: Instant::now(),
            ended: Instant::now(),
        }
    }

    /// The measured part begins then.
    pub fn begin(&mut self, at: Instant) {
        (self.began, self.ended) = (at, at);
    }

    /// How long it was.
    pub fn measured(&self) -> Duration {
        self.ended.saturating_duration_since(self.began)
    }

    /// Errors so far, in words.
    pub fn errors(&self) -> Vec<String> {
        self.total.errors.iter().map(|(code, count)| format!("{count} {code}")).collect()
    }

    /// A second is over.
    pub fn second(&mut self, desks: &[Desk], connections: u64, measured: bool) {
        let mut meter = Meter::default();
        for desk in desks {
            meter.add(&std::mem::take(&mut *desk.meter()));
        }
        self.total.add(&meter);
        let (busiest, generator) = (self.threads.busiest(), self.own.cores());
        let server = self.server.as_mut().map(|server| (server.cores(), server.resident()));
        if !measured {
            return;
        }
        self.busiest = self.busiest.max(busiest);
        self.busy += usize::from(busiest >= BUSY);
        self.ended = Instant::now();
        self.seconds.push(Second {
            at_s: self.measured().as_secs_f64(),
            sent: meter.counts.sent,
            acknowledged: meter.counts.acknowledged,
            delivered: meter.counts.delivered,
            connections,
            reconnects: meter.counts.reconnects,
            errors: meter.errors(),
            delivery_us: meter.delivery.percentiles(),
            ack_us: meter.ack.percentiles(),
            server_cores: server.and_then(|(cores, _)| cores),
            server_bytes: server.and_then(|(_, bytes)| bytes),
            generator_cores: generator.unwrap_or_default(),
        });
    }

    fn bottleneck(&self) -> Option<String> {
        let late = self.total.lateness.percentiles().map_or(0, |points| points.p99);
        if self.busy * 100 >= self.seconds.len().max(1) * BUSY_SECONDS && self.busy > 0 {
            let (busy, all) = (self.busy, self.seconds.len());
            return Some(format!("its busiest thread needed a whole core in {busy} of {all} s"));
        }
        let ms = late / 1_000;
        (late > LATE_US).then(|| format!("one send in a hundred left {ms} ms late or later"))
    }

    /// The results.
    pub fn results(
        self,
        plan: results::Plan,
        verdict: &Verdict,
        unsent: u64,
        hailgate: String,
        started_at: String,
    ) -> Results {
        let generator = Generator {
            cores: std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64),
            busiest: self.busiest.min(1.0),
            peak_bytes: self.own.peak().unwrap_or_default(),
            bottleneck: self.bottleneck(),
        };
        let Meter { delivery, ack, connect, mut counts, errors, .. } = self.total;
        counts.unsent += unsent;
        Results {
            format: FORMAT,
            hailgate,
            started_at,
            plan,
            seconds: self.seconds,
            delivery: delivery.latency(),
            ack: ack.latency(),
            connect: connect.latency(),
            counts,
            verdict: told(verdict),
            errors,
            generator,
        }
    }
}

fn told(verdict: &Verdict) -> results::Verdict {
    results::Verdict {
        lost: verdict.count(Breach::Lost),
        doubled: verdict.count(Breach::Doubled),
        disordered: verdict.count(Breach::Disordered),
        holes: verdict.count(Breach::Hole),
        foreign: verdict.count(Breach::Foreign),
        altered: verdict.count(Breach::Altered),
        examples: verdict.faults.iter().take(EXAMPLES).map(ToString::to_string).collect(),
    }
}
