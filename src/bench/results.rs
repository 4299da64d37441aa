//! What a load test found out: plain values, written as JSON, shown as a table and as a page, and compared.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Version of the JSON. Readers refuse another one.
pub const FORMAT: u32 = 1;

/// Why a text is not taken for the results of a run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Other JSON, or none.
    #[error("these are not the results of a load test: {0}")]
    Shape(String),
    /// Of a version that means other things by the same names.
    #[error("these results have format {0} and this program reads {FORMAT}: read them with the version that wrote them")]
    Format(u32),
}

/// A whole run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Results {
    /// [`FORMAT`].
    pub format: u32,
    /// Version of the program that drove the load.
    pub hailgate: String,
    /// RFC 3339.
    pub started_at: String,
    /// What was asked for.
    pub plan: Plan,
    /// The measured part of the run, second by second. The ramp before it is not in here.
    pub seconds: Vec<Second>,
    /// From the intended moment of a send to the arrival at each member.
    pub delivery: Latency,
    /// From the intended moment of a send to its acknowledgement.
    pub ack: Latency,
    /// From the start of a TCP connection to the first frame on it.
    pub connect: Latency,
    /// Totals of the whole run.
    pub counts: Counts,
    /// What the checker found.
    pub verdict: Verdict,
    /// Answers that were errors, by code, and how often.
    pub errors: BTreeMap<String, u64>,
    /// The machine that drove the load.
    pub generator: Generator,
}

impl Results {
    /// Reads what [`Results::text`] wrote.
    ///
    /// # Errors
    /// [`Unreadable`], with the field that is wrong.
    pub fn read(text: &str) -> Result<Results, Unreadable> {
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let Version { format } = serde_json::from_str(text).map_err(|error| Unreadable::Shape(error.to_string()))?;
        if format != FORMAT {
            return Err(Unreadable::Format(format));
        }
        let mut reader = serde_json::Deserializer::from_str(text);
        serde_path_to_error::deserialize(&mut reader).map_err(|error| Unreadable::Shape(error.to_string()))
    }

    /// The JSON, on one line.
    ///
    /// # Panics
    /// Never: the results hold text and numbers only.
    pub fn text(&self) -> String {
        serde_json::to_string(self).expect("text and numbers") + "\n"
    }
}

/// What was asked for, with defaults filled in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    /// Name of the scenario.
    pub scenario: String,
    /// Base URL of the server, without credentials.
    pub url: String,
    /// Users, each with one socket.
    pub users: u64,
    /// Members of each thread.
    pub room: u64,
    /// Messages a second over all users; `None` in a closed loop.
    pub rate: Option<f64>,
    /// Messages that wait for their acknowledgement at once over all users; `None` in an open loop.
    pub window: Option<u64>,
    /// Bytes of text in a message.
    pub message_bytes: u64,
    /// Seconds over which users connect.
    pub ramp_s: f64,
    /// Seconds measured.
    pub duration_s: f64,
    /// Makes the choices of a run the same again.
    pub seed: u64,
}

/// One second of the run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Second {
    /// Seconds since the measured part began; the end of this one.
    pub at_s: f64,
    /// Messages sent, and how many were acknowledged.
    pub sent: u64,
    /// See `sent`.
    pub acknowledged: u64,
    /// Messages handed to members.
    pub delivered: u64,
    /// Sockets open at its end.
    pub connections: u64,
    /// Connections that were lost and opened again.
    pub reconnects: u64,
    /// Errors answered.
    pub errors: u64,
    /// Delivery latency of what arrived in it, in microseconds; `None` if nothing did.
    pub delivery_us: Option<Percentiles>,
    /// The same for acknowledgements.
    pub ack_us: Option<Percentiles>,
    /// Cores that the server kept busy, and its resident memory in bytes; `None` if they cannot be seen.
    pub server_cores: Option<f64>,
    /// See `server_cores`.
    pub server_bytes: Option<u64>,
    /// Cores that the generator kept busy.
    pub generator_cores: f64,
}

/// Points of a distribution, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "each field is named for what it is")]
pub struct Percentiles {
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub p999: u64,
    pub max: u64,
}

/// A distribution.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Latency {
    /// Values.
    pub count: u64,
    /// Mean, in microseconds.
    pub mean_us: f64,
    /// Its points.
    pub us: Percentiles,
    /// The distribution: upper ends in microseconds, rising, and how many values lie at or below each and above the one
    /// before.
    pub buckets: Vec<(u64, u64)>,
}

/// Totals.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Messages sent; by REST; acknowledged; sent again under their retry key.
    pub sent: u64,
    /// See `sent`.
    pub sent_by_rest: u64,
    /// See `sent`.
    pub acknowledged: u64,
    /// See `sent`.
    pub retried: u64,
    /// Messages handed to members.
    pub delivered: u64,
    /// Connections that were lost and opened again.
    pub reconnects: u64,
    /// Messages whose intended moment passed without a send, because the generator or the server was too slow.
    pub unsent: u64,
}

/// What the checker found. A run with any of the first six fails.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Verdict {
    /// Acknowledged or visible, and never seen.
    pub lost: u64,
    /// Handed on or stored twice.
    pub doubled: u64,
    /// Handed on out of order.
    pub disordered: u64,
    /// Skipped without a word.
    pub holes: u64,
    /// Of a thread that the user is not in.
    pub foreign: u64,
    /// Different content than was sent.
    pub altered: u64,
    /// The first few, in words: user, thread, sequence and what is wrong.
    pub examples: Vec<String>,
}

impl Verdict {
    /// The findings that fail a run, each with its word.
    pub fn findings(&self) -> [(&'static str, u64); 6] {
        [
            ("lost", self.lost),
            ("doubled", self.doubled),
            ("out of order", self.disordered),
            ("skipped", self.holes),
            ("of a foreign thread", self.foreign),
            ("altered", self.altered),
        ]
    }

    /// Whether delivery kept its promise.
    pub fn passed(&self) -> bool {
        self.findings().iter().all(|(_, count)| *count == 0)
    }
}

/// Who drove the load, and whether it could.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Generator {
    /// Cores of the machine.
    pub cores: u64,
    /// Highest share of one core that its busiest thread needed in a second, 0 to 1.
    pub busiest: f64,
    /// Peak resident memory in bytes.
    pub peak_bytes: u64,
    /// Why the figures say more about the generator than about the server; `None` if they do not.
    pub bottleneck: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::example;

    #[test]
    fn what_was_written_is_read_again() {
        let results = example::results(40, 1.0);
        let text = results.text();
        assert!(Results::read(&text).is_ok_and(|read| read.text() == text));
        assert_eq!((text.ends_with("}\n"), text.lines().count()), (true, 1));
    }

    #[test]
    fn another_format_is_refused_whatever_else_it_holds() {
        let refused = Results::read(r#"{"format":2,"rounds":[]}"#).expect_err("another format");
        assert_eq!(refused, Unreadable::Format(2));
        assert!(refused.to_string().contains("format 2") && refused.to_string().contains("reads 1"), "{refused}");
    }

    #[test]
    fn what_is_not_a_run_is_refused_by_its_field() {
        let broken = example::results(3, 1.0).text().replacen("\"generator_cores\":", "\"generator_cores\":null,\"_\":", 1);
        let table = [
            ("", "EOF"),
            ("hello", "expected value"),
            ("{}", "`format`"),
            (r#"{"format":1}"#, "hailgate"),
            (broken.as_str(), "seconds[0].generator_cores"),
        ];
        for (text, word) in table {
            let refused = Results::read(text).expect_err(text).to_string();
            assert!(refused.starts_with("these are not the results") && refused.contains(word), "{refused}");
        }
    }

    #[test]
    fn each_of_the_six_findings_fails_a_run() {
        assert!(Verdict::default().passed());
        for (number, (word, _)) in Verdict::default().findings().iter().enumerate() {
            let mut verdict = Verdict::default();
            *[
                &mut verdict.lost,
                &mut verdict.doubled,
                &mut verdict.disordered,
                &mut verdict.holes,
                &mut verdict.foreign,
                &mut verdict.altered,
            ][number] = 3;
            assert!(!verdict.passed() && verdict.findings()[number] == (word, 3), "{word}");
        }
    }
}
