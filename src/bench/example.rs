//! Results of a run that never was, for tests: a minute or so of a server that works, with the noise and the waves that real
//! ones have.

use std::collections::BTreeMap;

use super::results::{Counts, FORMAT, Generator, Latency, Percentiles, Plan, Results, Second, Verdict};

/// So many seconds of a run, with every latency so many times what it is at 1.
pub fn results(seconds: u32, slowness: f64) -> Results {
    seeded(seconds, slowness, 1)
}

/// The same with another course of chance.
pub fn seeded(seconds: u32, slowness: f64, seed: u64) -> Results {
    let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let seconds: Vec<Second> = (1..=seconds).map(|number| second(number, slowness, &mut chance)).collect();
    let total = |of: fn(&Second) -> u64| seconds.iter().map(of).sum::<u64>();
    let (sent, delivered) = (total(|second| second.sent), total(|second| second.delivered));
    Results {
        format: FORMAT,
        hailgate: "0.1.0".to_owned(),
        started_at: "2026-11-22T06:00:00Z".to_owned(),
        plan: plan(seconds.len()),
        delivery: latency(delivered, 900.0 * slowness),
        ack: latency(sent, 2_100.0 * slowness),
        connect: latency(1_000, 5_400.0),
        counts: Counts {
            sent,
            acknowledged: total(|second| second.acknowledged),
            retried: 2,
            delivered,
            reconnects: total(|second| second.reconnects),
            ..Counts::default()
        },
        verdict: Verdict::default(),
        errors: BTreeMap::from([("rate_limited".to_owned(), 12), ("busy".to_owned(), 3)]),
        generator: Generator { cores: 2, busiest: 0.61, peak_bytes: 310 << 20, bottleneck: None },
        seconds,
    }
}

fn plan(seconds: usize) -> Plan {
    Plan {
        scenario: "rooms".to_owned(),
        url: "https://chat.example.org".to_owned(),
        users: 1_000,
        room: 10,
        rate: Some(1_000.0),
        window: None,
        message_bytes: 120,
        ramp_s: 10.0,
        duration_s: f64::from(u32::try_from(seconds).expect("few seconds")),
        seed: 7,
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small positive numbers")]
fn second(number: u32, slowness: f64, chance: &mut Chance) -> Second {
    let wave = (f64::from(number) / 9.0).sin() * 0.12;
    let spike: f64 = if number % 23 == 11 { 6.0 } else { 1.0 };
    let base = 900.0 * slowness * (1.0 + wave + 0.1 * chance.next());
    let us = |times: f64| (base * times) as u64;
    let percentiles = |times: f64| Percentiles {
        p50: us(times),
        p90: us(times * 1.7),
        p99: us(times * 2.9 * spike.sqrt()),
        p999: us(times * 5.0 * spike),
        max: us(times * 8.0 * spike * (1.2 + 0.3 * chance_of(number))),
    };
    let sent = (1_000.0 + 25.0 * chance.next()) as u64;
    Second {
        at_s: f64::from(number),
        sent,
        acknowledged: sent - u64::from(number % 5),
        delivered: sent * 10,
        connections: if number % 31 == 17 { 990 } else { 1_000 },
        reconnects: if number % 31 == 18 { 10 } else { 0 },
        errors: u64::from(number % 23 == 12) * 5,
        delivery_us: Some(percentiles(1.0)),
        ack_us: Some(percentiles(2.3)),
        server_cores: Some(rounded(0.55 * slowness * (1.0 + wave + 0.03 * chance.next()))),
        server_bytes: Some((46.0e6 + 9.0e6 * (1.0 - (-f64::from(number) / 20.0).exp())) as u64),
        generator_cores: rounded(0.48 * (1.0 + 0.05 * chance.next())),
    }
}

/// Few enough digits to be read again as the same number.
fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

/// The same jitter for a second whatever was drawn before it.
fn chance_of(number: u32) -> f64 {
    Chance(u64::from(number).wrapping_mul(0x2545_f491_4f6c_dd1d) | 1).next()
}

/// A long-tailed distribution with this median, in buckets that grow by a tenth.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "far below the numbers that f64 cannot tell apart"
)]
fn latency(count: u64, median: f64) -> Latency {
    // Share of values at or below a value: a log-logistic distribution.
    let share = |value: f64| 1.0 / (1.0 + (value / median).powf(-3.2));
    let (mut buckets, mut upper, mut seen) = (Vec::new(), median / 8.0, 0);
    while seen < count && upper < median * 60.0 {
        let below = (share(upper) * count as f64).round() as u64;
        if below > seen {
            buckets.push((upper as u64, below - seen));
            seen = below;
        }
        upper *= 1.1;
    }
    let at = |quantile: f64| {
        let mut cumulated = 0;
        let reached = buckets.iter().find(|(_, inside)| {
            cumulated += inside;
            cumulated as f64 >= quantile * seen as f64
        });
        reached.map_or(0, |(upper, _)| *upper)
    };
    let sum: f64 = buckets.iter().map(|(upper, inside)| *upper as f64 * *inside as f64).sum();
    let us = Percentiles { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: at(1.0) };
    Latency { count: seen, mean_us: if seen == 0 { 0.0 } else { rounded(sum / seen as f64) }, us, buckets }
}

/// Marsaglia's xorshift: -1 to 1.
struct Chance(u64);

impl Chance {
    #[allow(clippy::cast_precision_loss, reason = "24 bits")]
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 40) as f64 / f64::from(1 << 23) - 1.0
    }
}
