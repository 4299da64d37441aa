//! Which plots a page has, and which values each of them draws.

use super::{
    super::results::{Latency, Percentiles, Results, Second},
    axis::Axis,
};

/// Points of a line at most: more seconds than these are drawn several to a point.
const POINTS_MAX: usize = 300;

/// A colour of the page; see page.css.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// What the plot is about.
    One,
    /// The second line.
    Two,
    /// The third, and what is bad.
    Three,
}

/// A line of a plot: stretches of points, with gaps where there is no value.
#[derive(Debug, Clone)]
pub struct Line {
    /// As the legend says it.
    pub name: &'static str,
    /// Its colour.
    pub colour: Colour,
    /// Whether the ground below it is tinted.
    pub filled: bool,
    /// Values, not yet places.
    pub stretches: Vec<Vec<(f64, f64)>>,
}

/// One plot.
#[derive(Debug, Clone)]
pub struct Figure {
    /// What it shows.
    pub title: &'static str,
    /// In which unit, or counted from where.
    pub unit: &'static str,
    /// What lies along the horizontal axis.
    pub along: &'static str,
    /// See `along`.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// Its lines; later ones lie above earlier ones.
    pub lines: Vec<Line>,
    /// Why it is not drawn.
    pub missing: Option<&'static str>,
}

/// How several seconds become one point.
#[derive(Clone, Copy)]
enum Merge {
    Mean,
    Highest,
}

/// Seconds that one point of a plot stands for.
pub fn seconds_a_point(results: &Results) -> usize {
    results.seconds.len().div_ceil(POINTS_MAX).max(1)
}

fn line(results: &Results, name: &'static str, colour: Colour, merge: Merge, of: impl Fn(&Second) -> Option<f64>) -> Line {
    let mut stretches = vec![Vec::new()];
    for chunk in results.seconds.chunks(seconds_a_point(results)) {
        let values: Vec<f64> = chunk.iter().filter_map(&of).collect();
        let merged = match merge {
            _ if values.is_empty() => None,
            Merge::Highest => Some(highest(values.iter().copied())),
            #[allow(clippy::cast_precision_loss, reason = "seconds of a run")]
            Merge::Mean => Some(values.iter().sum::<f64>() / values.len() as f64),
        };
        match (merged, chunk.last()) {
            (Some(value), Some(last)) => stretches.last_mut().expect("one at least").push((last.at_s, value)),
            _ => stretches.push(Vec::new()),
        }
    }
    stretches.retain(|stretch: &Vec<_>| !stretch.is_empty());
    Line { name, colour, filled: false, stretches }
}

impl Line {
    fn filled(self) -> Line {
        Line { filled: true, ..self }
    }
}

#[allow(clippy::cast_precision_loss, reason = "drawn on pixels")]
fn float(value: u64) -> f64 {
    value as f64
}

fn highest(values: impl Iterator<Item = f64>) -> f64 {
    values.filter(|value| value.is_finite()).fold(0.0, f64::max)
}

fn values(lines: &[Line]) -> impl Iterator<Item = f64> {
    lines.iter().flat_map(|line| line.stretches.iter().flatten().map(|(_, value)| *value))
}

fn over_time(results: &Results, title: &'static str, unit: &'static str, lines: Vec<Line>, y: fn(f64) -> Axis) -> Figure {
    let missing = match results.seconds.len() {
        0 | 1 => Some("The run was too short to draw."),
        _ if values(&lines).next().is_none() => Some("There was nothing to measure."),
        _ => None,
    };
    let (x, y) = (Axis::time(highest(results.seconds.iter().map(|second| second.at_s))), y(highest(values(&lines))));
    Figure { title, unit, along: "time", x, y, lines, missing }
}

/// Latency over time by percentile.
fn latencies(results: &Results, title: &'static str, unit: &'static str, of: fn(&Second) -> Option<Percentiles>) -> Figure {
    let drawn = |name, colour, merge, at: fn(Percentiles) -> u64| {
        line(results, name, colour, merge, move |second| of(second).map(|us| float(at(us))))
    };
    let lines = vec![
        drawn("highest", Colour::Three, Merge::Highest, |us| us.max),
        drawn("p99", Colour::Two, Merge::Highest, |us| us.p99),
        drawn("p50", Colour::One, Merge::Mean, |us| us.p50),
    ];
    let lowest = values(&lines).fold(f64::INFINITY, f64::min);
    let mut figure = over_time(results, title, unit, lines, Axis::count);
    if figure.missing.is_none() {
        figure.y = Axis::latency(lowest, highest(values(&figure.lines)));
    }
    figure
}

/// The points of a distribution: the share of values below, and the value there. Hazen's plotting position keeps the
/// last one on the paper.
fn distribution(name: &'static str, colour: Colour, latency: &Latency) -> Line {
    let total: f64 = latency.buckets.iter().map(|(_, inside)| float(*inside)).sum();
    let mut below = 0.0;
    let mut points: Vec<(f64, f64)> = Vec::new();
    for (upper, inside) in latency.buckets.iter().filter(|(_, inside)| *inside > 0) {
        below += float(*inside);
        points.push(((below - 0.5) / total, float(*upper)));
    }
    let keep_each = points.len().div_ceil(POINTS_MAX).max(1);
    let last = points.len().saturating_sub(1);
    let kept = points.into_iter().enumerate().filter(|(index, _)| index % keep_each == 0 || *index == last);
    let stretches = Some(kept.map(|(_, point)| point).collect::<Vec<_>>()).filter(|stretch| !stretch.is_empty());
    Line { name, colour, filled: false, stretches: stretches.into_iter().collect() }
}

fn distributions(results: &Results) -> Figure {
    let lines = vec![
        distribution("connect", Colour::Three, &results.connect),
        distribution("acknowledgement", Colour::Two, &results.ack),
        distribution("delivery", Colour::One, &results.delivery),
    ];
    let missing = values(&lines).next().is_none().then_some("There was nothing to measure.");
    let lowest = values(&lines).fold(f64::INFINITY, f64::min);
    let most = [&results.delivery, &results.ack, &results.connect]
        .map(|latency| latency.buckets.iter().map(|(_, inside)| float(*inside)).sum::<f64>());
    Figure {
        title: "Latency",
        unit: "by percentile",
        along: "percentile",
        x: Axis::shares(highest(most.into_iter()) * 2.0),
        y: Axis::latency(if lowest.is_finite() { lowest } else { 1.0 }, highest(values(&lines))),
        lines,
        missing,
    }
}

/// Every plot of a page; the first takes the whole width.
pub fn all(results: &Results) -> Vec<Figure> {
    let count = |name, colour, of: fn(&Second) -> u64| {
        line(results, name, colour, Merge::Mean, move |second| Some(float(of(second))))
    };
    let over = |title, unit, lines| over_time(results, title, unit, lines, Axis::count);
    let memory = line(results, "resident", Colour::One, Merge::Highest, |second| second.server_bytes.map(float)).filled();
    let mut memory = over_time(results, "Memory of the server", "resident", vec![memory], Axis::bytes);
    let server = line(results, "server", Colour::One, Merge::Mean, |second| second.server_cores).filled();
    let mut cores = vec![line(results, "generator", Colour::Two, Merge::Mean, |second| Some(second.generator_cores))];
    if !server.stretches.is_empty() {
        cores.push(server);
    }
    if results.seconds.iter().all(|second| second.server_bytes.is_none()) {
        memory.missing = Some("It could not be seen from where the load came.");
    }
    vec![
        latencies(results, "Delivery latency", "to each member", |second| second.delivery_us),
        distributions(results),
        latencies(results, "Acknowledgement latency", "to the sender", |second| second.ack_us),
        over(
            "Sent",
            "messages a second",
            vec![
                count("acknowledged", Colour::One, |second| second.acknowledged),
                count("sent", Colour::Two, |second| second.sent),
            ],
        ),
        over("Delivered", "messages a second", vec![count("delivered", Colour::One, |second| second.delivered).filled()]),
        over("Connections", "open", vec![count("open", Colour::One, |second| second.connections).filled()]),
        over(
            "Trouble",
            "a second",
            vec![
                count("errors", Colour::Three, |second| second.errors),
                count("reconnections", Colour::Two, |second| second.reconnects),
            ],
        ),
        over_time(results, "Processor time", "cores busy", cores, Axis::cores),
        memory,
    ]
}

/// In words, for who cannot see the plot.
pub fn summary(figure: &Figure) -> String {
    let lines = figure.lines.iter().rev().filter_map(|line| {
        let values = line.stretches.iter().flatten().map(|(_, value)| *value);
        let (low, high) = values.fold((f64::INFINITY, 0.0f64), |(low, high), value| (low.min(value), high.max(value)));
        low.is_finite().then(|| format!("{} from {} to {}", line.name, figure.y.say(low), figure.y.say(high)))
    });
    format!("{}, {}, by {}: {}.", figure.title, figure.unit, figure.along, lines.collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::example;

    fn named<'a>(figures: &'a [Figure], title: &str) -> &'a Figure {
        figures.iter().find(|figure| figure.title == title).expect("a figure")
    }

    #[test]
    fn every_second_of_a_short_run_is_a_point_and_a_long_run_is_merged() {
        for (seconds, each) in [(60, 1), (300, 1), (301, 2), (5_000, 17)] {
            let results = example::results(seconds, 1.0);
            assert_eq!(seconds_a_point(&results), each);
            let figures = all(&results);
            let points = &named(&figures, "Delivered").lines[0].stretches[0];
            assert_eq!(points.len(), results.seconds.len().div_ceil(each));
            assert_eq!(points.last().map(|(at, _)| *at), results.seconds.last().map(|second| second.at_s));
        }
    }

    #[test]
    fn merging_keeps_the_worst_second() {
        let mut results = example::results(2_000, 1.0);
        results.seconds[777].delivery_us.as_mut().expect("a value").max = 77_000_000;
        let figures = all(&results);
        let worst = &named(&figures, "Delivery latency").lines[0];
        assert_eq!((worst.name, highest(values(std::slice::from_ref(worst)))), ("highest", 77e6));
    }

    #[test]
    fn a_second_without_deliveries_is_a_gap_and_no_zero() {
        let mut results = example::results(30, 1.0);
        results.seconds[10].delivery_us = None;
        results.seconds[11].delivery_us = None;
        let figures = all(&results);
        let stretches = &named(&figures, "Delivery latency").lines[2].stretches;
        assert_eq!(stretches.iter().map(Vec::len).collect::<Vec<_>>(), [10, 18]);
    }

    #[test]
    fn a_distribution_rises_to_its_last_value() {
        let figures = all(&example::results(60, 1.0));
        for line in &named(&figures, "Latency").lines {
            let points = &line.stretches[0];
            assert!(points.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 < pair[1].1), "{}", line.name);
            assert!(points.last().is_some_and(|(share, _)| *share > 0.999 && *share < 1.0));
        }
    }

    #[test]
    fn what_cannot_be_seen_is_said_and_not_drawn_as_nothing() {
        let mut results = example::results(30, 1.0);
        for second in &mut results.seconds {
            (second.server_bytes, second.server_cores) = (None, None);
        }
        let figures = all(&results);
        assert!(named(&figures, "Memory of the server").missing.is_some_and(|why| why.contains("could not be seen")));
        assert_eq!(named(&figures, "Processor time").lines.len(), 1);
        assert!(all(&example::results(1, 1.0))[0].missing.is_some_and(|why| why.contains("too short")));
        assert!(all(&example::results(30, 1.0)).iter().all(|figure| figure.missing.is_none()));
    }

    #[test]
    fn a_plot_is_told_in_words_too() {
        let mut results = example::results(2, 1.0);
        for (second, delivered) in results.seconds.iter_mut().zip([1_000, 3_000]) {
            second.delivered = delivered;
        }
        let figures = all(&results);
        let told = summary(named(&figures, "Delivered"));
        assert_eq!(told, "Delivered, messages a second, by time: delivered from 1,000 to 3,000.");
    }
}
