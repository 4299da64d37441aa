//! Two runs beside each other, and whether what differs is more than chance.
//!
//! The samples are the seconds of each run. Neighbours are alike, so a run is cut into ten batches that follow each other, and
//! the means of the batches are what is compared: method of batch means, with ten to thirty batches as B. Schmeiser, "Batch
//! Size Effects in the Analysis of Simulation Output", Operations Research 30 (1982), 556-568, advises. The interval is that of
//! the ratio of two means, on the scale of its logarithm, so that exchanging the runs turns it over and nothing else: the
//! variance of a ratio's logarithm by the delta method, and Student's t with the degrees of freedom of B. L. Welch,
//! Biometrika 34 (1947), 28-35.

use std::fmt;

use super::{
    report::{Unit, plain, seconds},
    results::{Percentiles, Plan, Results, Second},
};

/// Batches that a run is cut into.
const BATCHES: usize = 10;

/// Seconds in a batch at least: fewer say more about the seconds around them than about the run.
const BATCH_SECONDS_MIN: usize = 3;

/// What is compared, in which unit, and the words for less and for more of it.
type Row = (&'static str, Unit, [&'static str; 2], fn(&Second) -> Option<(f64, f64)>);

const ROWS: [Row; 7] = [
    ("delivery p50", Unit::Micros, ["faster", "slower"], |second| latency(second.delivery_us, |us| us.p50)),
    ("delivery p99", Unit::Micros, ["faster", "slower"], |second| latency(second.delivery_us, |us| us.p99)),
    ("ack p50", Unit::Micros, ["faster", "slower"], |second| latency(second.ack_us, |us| us.p50)),
    ("ack p99", Unit::Micros, ["faster", "slower"], |second| latency(second.ack_us, |us| us.p99)),
    ("delivered a second", Unit::Number, ["slower", "faster"], |second| Some((float(second.delivered), 1.0))),
    ("CPU a delivery", Unit::Micros, ["cheaper", "dearer"], |second| {
        Some((second.server_cores? * 1e6, float(second.delivered)))
    }),
    ("server's memory", Unit::Bytes, ["less", "more"], |second| Some((float(second.server_bytes?), 1.0))),
];

#[allow(clippy::cast_precision_loss, reason = "shown with three digits")]
fn float(value: u64) -> f64 {
    value as f64
}

fn latency(us: Option<Percentiles>, at: fn(Percentiles) -> u64) -> Option<(f64, f64)> {
    us.map(|us| (float(at(us)), 1.0))
}

/// One row of a comparison.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// What is compared.
    pub name: &'static str,
    /// In which unit.
    pub unit: Unit,
    /// The means of both runs, each if it is known.
    pub means: [Option<f64>; 2],
    /// Second to first: the ratio, and between which it lies with 95 % confidence; `None` if that cannot be told.
    pub ratio: Option<Ratio>,
    /// What that means.
    pub word: &'static str,
}

/// Second to first.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs, reason = "each field is named for what it is")]
pub struct Ratio {
    pub low: f64,
    pub middle: f64,
    pub high: f64,
}

/// Two runs beside each other; [`fmt::Display`] shows it as a table.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// Why the figures may not be comparable.
    pub warnings: Vec<String>,
    /// Row by row.
    pub differences: Vec<Difference>,
}

/// Compares two runs.
pub fn compare(a: &Results, b: &Results) -> Comparison {
    let rows = ROWS.iter().filter_map(|row| difference(row, a, b));
    Comparison { warnings: warnings(a, b), differences: rows.collect() }
}

/// A row, if at least one of the runs knows anything of it.
fn difference((name, unit, words, of): &Row, a: &Results, b: &Results) -> Option<Difference> {
    let samples = [a, b].map(|run| run.seconds.iter().filter_map(of).collect::<Vec<_>>());
    let means = [mean(&samples[0]), mean(&samples[1])];
    let told = |ratio: Option<Ratio>, word| Some(Difference { name, unit: *unit, means, ratio, word });
    match means {
        [None, None] => return None,
        [Some(_), Some(_)] => {}
        _ => return told(None, "known in one run only"),
    }
    if samples.iter().any(|samples| samples.len() < BATCHES * BATCH_SECONDS_MIN) {
        return told(None, "too short to tell");
    }
    let Some(ratio) = ratio(&batches(&samples[0]), &batches(&samples[1])) else { return told(None, "cannot be told") };
    let word = match ratio {
        Ratio { high, .. } if high < 1.0 => words[0],
        Ratio { low, .. } if low > 1.0 => words[1],
        _ => "no difference shown",
    };
    told(Some(ratio), word)
}

/// A sum over a sum, so that a second counts by how much there was in it.
fn mean(samples: &[(f64, f64)]) -> Option<f64> {
    let (above, below) = samples.iter().fold((0.0, 0.0), |(above, below), sample| (above + sample.0, below + sample.1));
    Some(above / below).filter(|mean| mean.is_finite())
}

/// The means of the batches. Their lengths differ by a second at most.
fn batches(samples: &[(f64, f64)]) -> Vec<Option<f64>> {
    let bound = |batch: usize| batch * samples.len() / BATCHES;
    (0..BATCHES).map(|batch| mean(&samples[bound(batch)..bound(batch + 1)])).collect()
}

/// The ratio of two means with its interval; `None` where a batch has no value or a mean is zero.
fn ratio(a: &[Option<f64>], b: &[Option<f64>]) -> Option<Ratio> {
    let [a, b] = [relative(a)?, relative(b)?];
    let middle = (b.mean / a.mean).ln();
    let variance = a.variance + b.variance;
    let half = if variance > 0.0 {
        let freedom = variance.powi(2) / (a.variance.powi(2) + b.variance.powi(2)) * (float(BATCHES as u64) - 1.0);
        students_t(freedom) * variance.sqrt()
    } else {
        0.0
    };
    Some(Ratio { low: (middle - half).exp(), middle: middle.exp(), high: (middle + half).exp() })
}

/// A mean, and the variance of its logarithm.
struct Relative {
    mean: f64,
    variance: f64,
}

fn relative(batches: &[Option<f64>]) -> Option<Relative> {
    let values = batches.iter().copied().collect::<Option<Vec<f64>>>()?;
    let count = float(values.len() as u64);
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean > 0.0).then(|| Relative { mean, variance: squares / (count - 1.0) / count / mean.powi(2) })
}

/// The 97.5 % point of Student's t: Cornish and Fisher's expansion, M. Abramowitz and I. A. Stegun, "Handbook of Mathematical
/// Functions" (1964), 26.7.5. Right to three digits from five degrees of freedom on; here there are nine at least.
fn students_t(freedom: f64) -> f64 {
    const Z: f64 = 1.959_963_985;
    let terms = [
        (Z.powi(3) + Z) / 4.0,
        (5.0 * Z.powi(5) + 16.0 * Z.powi(3) + 3.0 * Z) / 96.0,
        (3.0 * Z.powi(7) + 19.0 * Z.powi(5) + 17.0 * Z.powi(3) - 15.0 * Z) / 384.0,
        (79.0 * Z.powi(9) + 776.0 * Z.powi(7) + 1_482.0 * Z.powi(5) - 1_920.0 * Z.powi(3) - 945.0 * Z) / 92_160.0,
    ];
    terms.iter().rev().fold(0.0, |sum, term| (sum + term) / freedom) + Z
}

fn warnings(a: &Results, b: &Results) -> Vec<String> {
    let mut warnings = Vec::new();
    let differ = plans(&a.plan, &b.plan);
    if !differ.is_empty() {
        warnings.push(format!("the plans differ in {}", differ.join(", ")));
    }
    for (name, run) in [("A", a), ("B", b)] {
        if !run.verdict.passed() {
            warnings.push(format!("run {name} failed: what did not arrive cost nothing"));
        }
        if run.generator.bottleneck.is_some() {
            warnings.push(format!("in run {name} the generator was the bottleneck"));
        }
    }
    warnings
}

/// The fields in which two plans differ, with both values. The address is none of them: another server is what one compares.
fn plans(a: &Plan, b: &Plan) -> Vec<String> {
    let fields = |plan: &Plan| {
        let Plan { scenario, url: _, users, room, rate, window, message_bytes, ramp_s, duration_s, seed } = plan;
        let or_none = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
        [
            ("scenario", plain(scenario)),
            ("users", users.to_string()),
            ("members of a thread", room.to_string()),
            ("rate", or_none(rate.map(|rate| format!("{rate} messages a second")))),
            ("window", or_none(window.map(|window| window.to_string()))),
            ("message size", format!("{message_bytes} bytes")),
            ("ramp", seconds(*ramp_s)),
            ("duration", seconds(*duration_s)),
            ("seed", seed.to_string()),
        ]
    };
    let pairs = fields(a).into_iter().zip(fields(b)).filter(|(one, other)| one != other);
    pairs.map(|((name, one), (_, other))| format!("{name} ({one} and {other})")).collect()
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for warning in &self.warnings {
            writeln!(f, "careful: {warning}")?;
        }
        if !self.warnings.is_empty() {
            writeln!(f)?;
        }
        writeln!(f, "{:>32}{:>12}{:>9}   95 % confidence", "A", "B", "B to A")?;
        for Difference { name, unit, means, ratio, word } in &self.differences {
            let [a, b] = means.map(|mean| mean.map_or_else(|| "—".to_owned(), |mean| unit.say(mean)));
            let (middle, interval) = ratio.map_or_else(
                || ("—".to_owned(), "—".to_owned()),
                |Ratio { low, middle, high }| (format!("{middle:.3}"), format!("{low:.3} to {high:.3}")),
            );
            writeln!(f, "{name:<20}{a:>12}{b:>12}{middle:>9}   {interval:<18}{word}")?;
        }
        writeln!(
            f,
            "\nMeans over the seconds of each run. An interval knows what varied within the runs, and not what varies from run"
        )?;
        write!(
            f,
            "to run: before you trust a small difference, see it twice. Of twenty rows that do not differ, one seems to."
        )
    }
}

#[cfg(test)]
#[path = "compare_tests.rs"]
mod tests;
