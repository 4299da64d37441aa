//! What a running load test shows: a bar on a terminal, elsewhere a line every few seconds.

use std::{
    io::{IsTerminal, stderr},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

use crate::bench::{plan::Plan, results::Second, run::Progress};

/// Between two lines where there is no terminal.
const EVERY: Duration = Duration::from_secs(5);

/// See the module.
pub struct Screen {
    bar: Option<ProgressBar>,
    seconds: u64,
    told: Option<Instant>,
    settling: bool,
}

impl Screen {
    /// For a run of this plan.
    pub fn new(plan: &Plan) -> Screen {
        let seconds = plan.duration.as_secs().max(1);
        let style = ProgressStyle::with_template("{bar:24} {pos:>4}/{len} s  {msg}");
        let bar = style.ok().filter(|_| stderr().is_terminal()).map(|style| ProgressBar::new(seconds).with_style(style));
        Screen { bar, seconds, told: None, settling: false }
    }

    /// Shows where the run is.
    pub fn show(&mut self, progress: &Progress<'_>) {
        match progress {
            Progress::Connecting { connected, users } => self.say(0, &format!("{connected} of {users} connected"), false),
            Progress::Second(second) => self.say(whole(second.at_s), &line(second), false),
            Progress::Settling if !self.settling => {
                self.settling = true;
                self.say(self.seconds, "waiting for the last messages, reading histories", true);
                self.bar.iter().for_each(ProgressBar::finish_and_clear);
            }
            Progress::Settling => {}
        }
    }

    fn say(&mut self, at: u64, words: &str, at_once: bool) {
        if let Some(bar) = &self.bar {
            bar.set_position(at);
            bar.set_message(words.to_owned());
        } else if at_once || self.told.is_none_or(|told| told.elapsed() >= EVERY) {
            self.told = Some(Instant::now());
            eprintln!("{at:>4}/{} s  {words}", self.seconds);
        }
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "seconds of a run")]
fn whole(seconds: f64) -> u64 {
    seconds.round() as u64
}

/// A second in one line.
fn line(second: &Second) -> String {
    let Second { sent, delivered, connections, reconnects, errors, .. } = second;
    let mut parts = vec![format!("{sent} sent/s, {delivered} delivered/s, {connections} connected")];
    parts.extend(second.delivery_us.map(|us| format!("delivery p50 {} p99 {}", time(us.p50), time(us.p99))));
    parts.extend(second.ack_us.map(|us| format!("ack p99 {}", time(us.p99))));
    let beside = [(reconnects, "reconnects"), (errors, "errors")];
    parts.extend(beside.iter().filter(|(count, _)| **count > 0).map(|(count, what)| format!("{count} {what}")));
    parts.join(", ")
}

/// Microseconds in the unit that people read.
fn time(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} us"),
        1_000..10_000 => format!("{}.{} ms", us / 1_000, us % 1_000 / 100),
        10_000..10_000_000 => format!("{} ms", us / 1_000),
        _ => format!("{} s", us / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::results::Percentiles;

    #[test]
    fn a_second_is_one_line_with_rates_and_percentiles() {
        let us = Percentiles { p50: 950, p90: 0, p99: 12_400, p999: 0, max: 0 };
        let second =
            Second { sent: 5, delivered: 50, connections: 9, delivery_us: Some(us), errors: 2, ..Second::default() };
        assert_eq!(line(&second), "5 sent/s, 50 delivered/s, 9 connected, delivery p50 950 us p99 12 ms, 2 errors");
        assert_eq!([time(1_250), time(9_999_999), time(10_000_000)], ["1.2 ms", "9999 ms", "10 s"]);
    }
}
