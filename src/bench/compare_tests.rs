//! A comparison finds what differs, and only that.

use proptest::prelude::*;

use super::*;
use crate::bench::example;

fn words(comparison: &Comparison) -> Vec<&'static str> {
    comparison.differences.iter().map(|difference| difference.word).collect()
}

#[test]
fn students_t_is_that_of_the_tables() {
    for (freedom, expected) in [(9.0, 2.262), (10.0, 2.228), (12.0, 2.179), (18.0, 2.101), (30.0, 2.042), (1e9, 1.960)] {
        assert!((students_t(freedom) - expected).abs() < 0.001, "{freedom}: {}", students_t(freedom));
    }
}

/// By hand: means 2 and 3, each of ten batches; variances of the means 1/9 and 1/9.
#[test]
fn an_interval_is_what_the_formulas_give() {
    let (a, b) = ([1.0, 3.0].repeat(5), [2.0, 4.0].repeat(5));
    let some = |values: Vec<f64>| values.into_iter().map(Some).collect::<Vec<_>>();
    let told = ratio(&some(a), &some(b)).expect("it can be told");
    let (one, other) = (1.0 / 9.0 / 4.0, 1.0 / 9.0 / 9.0f64);
    let freedom = (one + other).powi(2) * 9.0 / (one.powi(2) + other.powi(2));
    assert!((freedom - 15.68).abs() < 0.01, "{freedom}");
    let half = 2.123 * (one + other).sqrt();
    assert!((told.middle - 1.5).abs() < 1e-12 && (told.low.ln() - (1.5f64.ln() - half)).abs() < 0.001, "{told:?}");
    assert!((told.high.ln() - (1.5f64.ln() + half)).abs() < 0.001, "{told:?}");
}

#[test]
fn a_run_does_not_differ_from_itself() {
    let run = example::results(60, 1.0);
    let comparison = compare(&run, &run);
    assert_eq!(words(&comparison), ["no difference shown"; 7]);
    assert!(comparison.warnings.is_empty(), "{comparison}");
}

#[test]
fn a_server_that_is_a_quarter_slower_and_dearer_is_found() {
    let comparison = compare(&example::results(120, 1.0), &example::seeded(120, 1.25, 4));
    let expected = ["slower", "slower", "slower", "slower", "no difference shown", "dearer", "no difference shown"];
    assert_eq!(words(&comparison), expected, "{comparison}");
    let back = compare(&example::seeded(120, 1.25, 4), &example::results(120, 1.0));
    assert_eq!(words(&back)[0], "faster");
    assert_eq!(words(&back)[5], "cheaper");
}

#[test]
fn a_few_seconds_tell_nothing() {
    let (short, long) = (example::results(29, 1.0), example::results(60, 2.0));
    assert_eq!(words(&compare(&short, &long)), ["too short to tell"; 7]);
    assert!(
        compare(&short, &long).differences.iter().all(|row| row.ratio.is_none() && row.means.iter().all(Option::is_some))
    );
    assert!(!words(&compare(&example::results(30, 1.0), &long)).contains(&"too short to tell"));
}

#[test]
fn what_one_run_does_not_know_is_said_and_what_both_do_not_know_is_left_out() {
    let blind = |mut run: Results| {
        run.seconds.iter_mut().for_each(|second| (second.server_cores, second.server_bytes) = (None, None));
        run
    };
    let (seen, one, other) = (example::results(60, 1.0), blind(example::results(60, 1.0)), blind(example::results(60, 1.0)));
    assert_eq!(words(&compare(&seen, &one))[5..], ["known in one run only"; 2]);
    assert_eq!(words(&compare(&one, &other)).len(), 5);
}

#[test]
fn a_run_in_which_nothing_arrives_for_long_can_still_be_compared() {
    let mut stalled = example::results(100, 1.0);
    for second in &mut stalled.seconds[20..60] {
        (second.delivered, second.delivery_us) = (0, None);
    }
    let comparison = compare(&example::results(100, 1.0), &stalled);
    let rate = comparison.differences[4];
    assert!(rate.ratio.is_some_and(|ratio| ratio.middle < 0.7), "{comparison}");
    assert_eq!(comparison.differences[5].word, "cannot be told");
}

#[test]
fn what_makes_runs_unlike_is_named() {
    let (a, mut b) = (example::results(60, 1.0), example::results(60, 1.0));
    b.plan.users = 2_000;
    (b.plan.rate, b.plan.window) = (None, Some(32));
    b.plan.url = "https://other.example.org".to_owned();
    b.verdict.lost = 1;
    b.generator.bottleneck = Some("why".to_owned());
    let comparison = compare(&a, &b);
    let expected = [
        "the plans differ in users (1000 and 2000), rate (1000 messages a second and none), window (none and 32)",
        "run B failed: what did not arrive cost nothing",
        "in run B the generator was the bottleneck",
    ];
    assert_eq!(comparison.warnings, expected);
    assert!(comparison.to_string().starts_with("careful: the plans differ in users"));
}

#[test]
fn the_table_stands_in_line() {
    let told = compare(&example::results(60, 1.0), &example::seeded(60, 2.0, 3)).to_string();
    let rows: Vec<&str> = told.lines().take(8).collect();
    assert!(rows[0].contains("A           B   B to A   95 % confidence"), "{told}");
    assert!(rows[1].starts_with("delivery p50") && rows[1].contains(" µs") && rows[1].ends_with("  slower"), "{told}");
    assert!(rows[7].starts_with("server's memory") && rows[7].contains(" MiB"), "{told}");
}

/// A series in which each second is like the one before, around a level.
fn series(level: f64) -> impl Strategy<Value = Vec<f64>> {
    prop::collection::vec(-1.0..1.0f64, 30..200).prop_map(move |steps| {
        let mut drift = 0.0;
        steps
            .into_iter()
            .map(|step| {
                drift = 0.6 * drift + step;
                level * (1.0 + 0.05 * drift)
            })
            .collect()
    })
}

fn run(series: &[f64]) -> Results {
    let mut run = example::results(u32::try_from(series.len()).expect("few"), 1.0);
    for (second, value) in run.seconds.iter_mut().zip(series) {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive and small")]
        let us = (value * 1_000.0) as u64;
        second.delivery_us = Some(Percentiles { p50: us, p99: us * 3, ..Percentiles::default() });
    }
    run
}

proptest! {
    #[test]
    fn exchanging_the_runs_turns_every_interval_over(a in series(1.0), b in series(1.1)) {
        let (there, back) = (compare(&run(&a), &run(&b)), compare(&run(&b), &run(&a)));
        for (one, other) in there.differences.iter().zip(&back.differences) {
            let (Some(one), Some(other)) = (one.ratio, other.ratio) else { panic!("{there}") };
            prop_assert!((one.middle * other.middle - 1.0).abs() < 1e-9);
            prop_assert!((one.low * other.high - 1.0).abs() < 1e-9 && (one.high * other.low - 1.0).abs() < 1e-9);
            prop_assert!(one.low <= one.middle && one.middle <= one.high);
        }
        prop_assert_eq!(words(&there)[0] == "slower", words(&back)[0] == "faster");
    }

    #[test]
    fn a_series_never_differs_from_itself_and_always_from_its_double(a in series(1.0)) {
        let double: Vec<f64> = a.iter().map(|value| value * 2.0).collect();
        prop_assert_eq!(words(&compare(&run(&a), &run(&a)))[0], "no difference shown");
        prop_assert_eq!(words(&compare(&run(&a), &run(&double)))[0], "slower");
    }
}

/// Runs of the same server with other chance, whose seconds are alike: one row in twenty should differ, and a method that
/// took seconds for independent would find far more.
#[test]
fn chance_alone_is_rarely_called_a_difference() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut draw = || {
        let tree = prop::collection::vec(-1.0..1.0f64, 120).new_tree(&mut runner).expect("a value");
        let (steps, mut drift) = (proptest::strategy::ValueTree::current(&tree), 0.0);
        let series = steps.into_iter().map(|step| {
            drift = 0.6 * drift + step;
            Some(1.0 + 0.05 * drift)
        });
        series.map(|value| value.map(|value| (value, 1.0))).collect::<Option<Vec<_>>>().expect("all")
    };
    let found = (0..400).filter(|_| {
        let ratio = ratio(&batches(&draw()), &batches(&draw())).expect("it can be told");
        ratio.low > 1.0 || ratio.high < 1.0
    });
    let found = found.count();
    assert!((4..=48).contains(&found), "{found} of 400, where 20 are due");
}
