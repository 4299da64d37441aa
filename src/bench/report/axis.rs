//! Axes: which stretch of values a plot shows, where its lines of the grid lie, and what stands beside them.

use super::units::{BYTES, micros_f64, number, seconds, trimmed};

/// A latency that is longer is drawn as this, in microseconds: 30 years.
const LATENCY_MAX: f64 = 1e15;
/// An amount that is larger is drawn as this.
const AMOUNT_MAX: f64 = 1e18;
/// Shares finer than one in ten million are drawn as that.
const NINES_MAX: f64 = 7.0;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Scale {
    /// Seconds from the start.
    Time,
    /// Microseconds, each power of ten as long as any other.
    Latency,
    /// From zero, in a unit, in steps that are not smaller than `least`.
    Amount { unit: f64, name: &'static str, least: f64 },
    /// The share of values below, each nine as long as any other.
    Shares,
}

/// One axis.
#[derive(Debug, Clone, Copy)]
pub struct Axis {
    scale: Scale,
    /// Where it begins and ends, in places.
    pub from: f64,
    /// See `from`.
    pub to: f64,
}

/// A line of the grid, and what stands beside it.
pub type Tick = (f64, String);

impl Axis {
    /// Time since the measured part began, in seconds.
    pub fn time(last: f64) -> Axis {
        Axis { scale: Scale::Time, from: 0.0, to: sound(last, AMOUNT_MAX).max(1.0) }
    }

    /// Latency in microseconds, from the lowest to the highest and a little around.
    pub fn latency(lowest: f64, highest: f64) -> Axis {
        let (lowest, highest) = (sound(lowest, LATENCY_MAX).max(1.0), sound(highest, LATENCY_MAX).max(1.0));
        let (mut from, mut to) = (step_down(lowest).log10(), step_up(highest.max(lowest)).log10());
        if to - from < 0.9 {
            (from, to) = ((from - 0.5).floor().max(0.0), (to + 0.5).ceil());
        }
        Axis { scale: Scale::Latency, from, to }
    }

    /// A count of whole things, from zero to the highest.
    pub fn count(highest: f64) -> Axis {
        Axis::amount(highest, 1.0, "", 1.0)
    }

    /// Cores, from zero to the highest.
    pub fn cores(highest: f64) -> Axis {
        Axis::amount(highest, 1.0, "", 0.01)
    }

    /// Memory in bytes, from zero to the highest.
    pub fn bytes(highest: f64) -> Axis {
        let (unit, name) = BYTES.into_iter().find(|(unit, _)| highest >= *unit).unwrap_or((1.0, "B"));
        Axis::amount(highest, unit, name, 1.0)
    }

    fn amount(highest: f64, unit: f64, name: &'static str, least: f64) -> Axis {
        let highest = sound(highest, AMOUNT_MAX) / unit;
        let step = step(highest, least);
        Axis { scale: Scale::Amount { unit, name, least }, from: 0.0, to: (highest / step).ceil().max(1.0) * step }
    }

    /// Shares of values, as fine as so many values tell them apart.
    pub fn shares(values: f64) -> Axis {
        Axis { scale: Scale::Shares, from: 0.0, to: sound(values, 1e9).max(10.0).log10().min(NINES_MAX) }
    }

    /// Where a value lies, at the end of the axis if it is beyond.
    pub fn place(&self, value: f64) -> f64 {
        let place = match self.scale {
            Scale::Time => value,
            Scale::Latency => value.max(1.0).log10(),
            Scale::Amount { unit, .. } => value / unit,
            Scale::Shares => -(1.0 - value).max(1e-12).log10(),
        };
        if place.is_nan() { self.from } else { place.clamp(self.from, self.to) }
    }

    /// A value of this axis in text.
    pub fn say(&self, value: f64) -> String {
        match self.scale {
            Scale::Time => seconds(value),
            Scale::Latency => micros_f64(value),
            Scale::Amount { unit, name, .. } => format!("{} {name}", number(value / unit)).trim_end().to_owned(),
            Scale::Shares => format!("{} %", number(value * 100.0)),
        }
    }

    /// The lines of the grid: so many at most where they are of equal distance.
    pub fn ticks(&self, at_most: u32) -> Vec<Tick> {
        match self.scale {
            Scale::Time => {
                let step = self.time_step(at_most);
                multiples(step, self.to).map(|at| (at, time(at, step))).collect()
            }
            Scale::Latency => self.latencies(),
            Scale::Amount { name, least, .. } => {
                let step = step(self.to, least);
                multiples(step, self.to).map(|at| (at, amount(at, step, name))).collect()
            }
            Scale::Shares => self.shares_apart(self.to / f64::from(at_most) * 0.95),
        }
    }

    /// The smallest step that gives so many lines at most; where that is one line, the next smaller one.
    fn time_step(&self, at_most: u32) -> f64 {
        let step = match TIME_STEPS.iter().position(|step| self.to / step <= f64::from(at_most)) {
            Some(index) if TIME_STEPS[index] > self.to && index > 0 => TIME_STEPS[index - 1],
            Some(index) => TIME_STEPS[index],
            None => step_up(self.to / f64::from(at_most)),
        };
        if step > self.to { step_down(self.to) } else { step }
    }

    /// Those that are not nearer to the one before than their labels have room for.
    fn shares_apart(&self, distance: f64) -> Vec<Tick> {
        let mut ticks: Vec<Tick> = Vec::new();
        for (share, label) in SHARES {
            let at = -(1.0 - share).log10();
            if at <= self.to + 1e-9 && ticks.last().is_none_or(|(before, _)| at - before >= distance) {
                ticks.push((at, (*label).to_owned()));
            }
        }
        ticks
    }

    /// Each power of ten; with its double and its half where there are few of them.
    fn latencies(&self) -> Vec<Tick> {
        let between: &[f64] = if self.to - self.from > 3.1 { &[1.0] } else { &[1.0, 2.0, 5.0] };
        let powers = std::iter::successors(Some(1.0), |power| Some(power * 10.0)).take_while(|power| *power <= 1e16);
        let values = powers.flat_map(|power| between.iter().map(move |factor| power * factor));
        let places = values.map(|value| (value.log10(), latency(value)));
        places.filter(|(at, _)| *at >= self.from - 1e-9 && *at <= self.to + 1e-9).collect()
    }
}

/// Steps in seconds that people count in.
const TIME_STEPS: &[f64] = &[
    1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_200.0, 1_800.0, 3_600.0, 7_200.0, 14_400.0, 21_600.0,
    43_200.0, 86_400.0,
];

/// Shares on the axis of shares, and their labels in percent.
const SHARES: &[(f64, &str)] = &[
    (0.0, "0"),
    (0.5, "50"),
    (0.9, "90"),
    (0.99, "99"),
    (0.999, "99.9"),
    (0.999_9, "99.99"),
    (0.999_99, "99.999"),
    (0.999_999, "99.9999"),
];

/// A number that can be drawn: zero if it is none, and not above the highest.
fn sound(value: f64, highest: f64) -> f64 {
    if value.is_nan() { 0.0 } else { value.clamp(0.0, highest) }
}

/// The step of a grid of about five lines.
fn step(highest: f64, least: f64) -> f64 {
    step_up((highest / 5.0).max(least))
}

/// The next 1, 2 or 5 times a power of ten that is not below.
fn step_up(value: f64) -> f64 {
    let power = 10f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0].iter().map(|factor| factor * power).find(|step| *step >= value * (1.0 - 1e-9)).unwrap_or(power * 10.0)
}

/// The last one that is not above.
fn step_down(value: f64) -> f64 {
    let power = 10f64.powf((value.log10() + 1e-12).floor());
    [5.0, 2.0].iter().map(|factor| factor * power).find(|step| *step <= value * (1.0 + 1e-9)).unwrap_or(power)
}

fn multiples(step: f64, to: f64) -> impl Iterator<Item = f64> {
    (0..64u32).map(move |number| f64::from(number) * step).take_while(move |at| *at <= to * (1.0 + 1e-9))
}

fn latency(value: f64) -> String {
    match value {
        _ if value >= 1e6 => format!("{} s", trimmed(value / 1e6)),
        _ if value >= 1e3 => format!("{} ms", trimmed(value / 1e3)),
        _ => format!("{} µs", trimmed(value)),
    }
}

fn time(at: f64, step: f64) -> String {
    match step {
        _ if step >= 3_600.0 => format!("{} h", trimmed(at / 3_600.0)),
        _ if step >= 60.0 => format!("{} min", trimmed(at / 60.0)),
        _ => seconds(at),
    }
}

/// Thousands and millions as words where the steps allow it: the labels of all steps are alike.
fn amount(at: f64, step: f64, name: &str) -> String {
    let text = match (step, name) {
        (_, "") if step >= 1e6 => format!("{} M", trimmed(at / 1e6)),
        (_, "") if step >= 1e4 => format!("{} k", trimmed(at / 1e3)),
        _ => trimmed(at),
    };
    if at == 0.0 { "0".to_owned() } else { format!("{text} {name}").trim_end().to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn labels(axis: &Axis, at_most: u32) -> Vec<String> {
        axis.ticks(at_most).into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn labels_are_round_and_carry_their_unit() {
        let table = [
            (Axis::time(60.0), 6, "0 s|10 s|20 s|30 s|40 s|50 s|60 s"),
            (Axis::time(600.0), 6, "0 min|2 min|4 min|6 min|8 min|10 min"),
            (Axis::time(86_400.0), 6, "0 h|4 h|8 h|12 h|16 h|20 h|24 h"),
            (Axis::latency(900.0, 18_000.0), 6, "500 µs|1 ms|2 ms|5 ms|10 ms|20 ms"),
            (Axis::latency(90.0, 3e6), 6, "100 µs|1 ms|10 ms|100 ms|1 s"),
            (Axis::latency(700.0, 700.0), 6, "100 µs|200 µs|500 µs|1 ms|2 ms|5 ms|10 ms"),
            (Axis::count(0.0), 6, "0|1"),
            (Axis::time(4.1), 2, "0 s|2 s|4 s"),
            (Axis::count(3.0), 6, "0|1|2|3"),
            (Axis::count(1_000.0), 6, "0|200|400|600|800|1,000"),
            (Axis::count(52_000.0), 6, "0|20 k|40 k|60 k"),
            (Axis::cores(0.000_1), 6, "0|0.01"),
            (Axis::cores(1.7), 6, "0|0.5|1|1.5|2"),
            (Axis::bytes(55.0 * 1_048_576.0), 6, "0|20 MiB|40 MiB|60 MiB"),
            (Axis::shares(1_000.0), 6, "0|90|99|99.9"),
            (Axis::shares(50.0), 7, "0|50|90"),
            (Axis::shares(1e6), 7, "0|90|99|99.9|99.99|99.999|99.9999"),
            (Axis::shares(1e6), 4, "0|99|99.99|99.9999"),
        ];
        for (axis, at_most, expected) in table {
            assert_eq!(labels(&axis, at_most).join("|"), expected);
        }
    }

    proptest! {
        #[test]
        fn any_value_has_a_place_and_any_axis_a_few_ticks_in_rising_order(
            low in any::<f64>(), high in any::<f64>(), value in any::<f64>(), at_most in 2..12u32,
        ) {
            let axes =
                [Axis::time(high), Axis::latency(low, high), Axis::count(high), Axis::cores(high), Axis::bytes(high), Axis::shares(high)];
            for axis in axes {
                prop_assert!(axis.from < axis.to && axis.to.is_finite(), "{axis:?}");
                let place = axis.place(value);
                prop_assert!(place >= axis.from && place <= axis.to, "{axis:?} {place}");
                let ticks = axis.ticks(at_most);
                prop_assert!((2..=24).contains(&ticks.len()), "{axis:?} {ticks:?}");
                prop_assert!(ticks.windows(2).all(|pair| pair[0].0 < pair[1].0 && pair[0].1 != pair[1].1), "{ticks:?}");
                prop_assert!(ticks.iter().all(|(at, _)| *at >= axis.from - 1e-9 && *at <= axis.to * (1.0 + 1e-9) + 1e-9));
            }
        }
    }
}
