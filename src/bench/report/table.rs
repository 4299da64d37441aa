//! The table at the end of a run on a terminal.

use std::fmt::Write as _;

use super::{
    super::results::{Latency, Results},
    units::{bytes, counted, grouped, micros, micros_f64, number},
    words,
};

/// The table: verdict first, then what was run, then figures.
pub fn table(results: &Results) -> String {
    let mut table = String::new();
    let (word, why) = words::verdict(&results.verdict);
    line(&mut table, format_args!("{word}: {why}"));
    for example in results.verdict.examples.iter().take(words::ROWS_MAX) {
        line(&mut table, format_args!("  {}", words::plain(example)));
    }
    for warning in [words::bottleneck(&results.generator), words::unsent(&results.counts)].into_iter().flatten() {
        line(&mut table, format_args!("\n{warning}"));
    }
    let plan = &results.plan;
    line(
        &mut table,
        format_args!(
            "\n{} at {}\n{}, seed {}\n",
            words::plain(&plan.scenario),
            words::place(&plan.url),
            words::plan(plan),
            plan.seed
        ),
    );
    latencies(&mut table, results);
    let counts = &results.counts;
    let a_second = |of| words::per_second(results, of).map_or_else(String::new, |rate| format!("{} a second", number(rate)));
    table.push('\n');
    row(&mut table, "sent", counts.sent, &a_second(|second| second.sent));
    row(&mut table, "acknowledged", counts.acknowledged, &a_second(|second| second.acknowledged));
    row(&mut table, "delivered", counts.delivered, &a_second(|second| second.delivered));
    let seldom =
        [("sent by REST", counts.sent_by_rest), ("sent again", counts.retried), ("reconnections", counts.reconnects)];
    for (name, count) in seldom.into_iter().filter(|(_, count)| *count > 0) {
        row(&mut table, name, count, "");
    }
    let (errors, left_out) = words::errors(results);
    for (index, (code, count)) in errors.iter().enumerate() {
        row(&mut table, if index == 0 { "errors" } else { "" }, *count, code);
    }
    if left_out > 0 {
        row(&mut table, "", left_out as u64, "further codes");
    }
    machines(&mut table, results);
    table
}

fn line(table: &mut String, what: std::fmt::Arguments<'_>) {
    writeln!(table, "{what}").expect("memory");
}

fn row(table: &mut String, name: &str, count: u64, note: &str) {
    line(table, format_args!("{}", format!("{name:<14}{:>14}  {note}", grouped(count)).trim_end()));
}

fn latencies(table: &mut String, results: &Results) {
    let heads = ["p50", "p90", "p99", "p99.9", "highest", "mean"];
    let cells = heads.iter().fold(String::new(), |cells, head| cells + &format!("{head:>10}"));
    line(table, format_args!("{:<14}{cells}", "latency"));
    for (name, latency) in [("delivery", &results.delivery), ("ack", &results.ack), ("connect", &results.connect)] {
        let Latency { us, mean_us, count, .. } = latency;
        if *count == 0 {
            line(table, format_args!("{name:<14}{:>10}", "none"));
            continue;
        }
        let cells = [us.p50, us.p90, us.p99, us.p999, us.max].map(micros);
        let cells = cells.iter().fold(String::new(), |cells, cell| cells + &format!("{cell:>10}"));
        line(table, format_args!("{name:<14}{cells}{:>10}", micros_f64(*mean_us)));
    }
}

fn machines(table: &mut String, results: &Results) {
    table.push('\n');
    let mut server = Vec::new();
    if let Some((cores, each)) = words::server_cores(results) {
        let each = each.map_or_else(String::new, |each| format!(", {each} a delivery"));
        server.push(format!("{} cores busy{each}", number(cores)));
    }
    server.extend(words::server_bytes(results).map(|peak| format!("{} resident at its highest", bytes(peak))));
    if !server.is_empty() {
        line(table, format_args!("{:<14}{}", "server", server.join(", ")));
    }
    let generator = &results.generator;
    line(
        table,
        format_args!(
            "{:<14}busiest thread {} % of a core, {} resident at its highest, on {}",
            "generator",
            number(generator.busiest * 100.0),
            bytes(generator.peak_bytes),
            counted(generator.cores, "core", "cores")
        ),
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{example, results::Percentiles};

    #[test]
    fn the_verdict_comes_first_and_the_columns_stand_in_line() {
        let mut results = example::results(60, 1.0);
        results.delivery.us = Percentiles { p50: 850, p90: 1_400, p99: 3_210, p999: 12_000, max: 1_500_000 };
        results.counts.sent = 1_234_567;
        let table = table(&results);
        assert!(table.starts_with("passed: every message"), "{table}");
        let expected = [
            "rooms at https://chat.example.org",
            "latency              p50       p90       p99     p99.9   highest      mean",
            "delivery          850 µs   1.40 ms   3.21 ms   12.0 ms    1.50 s",
            "sent               1,234,567  ",
            "errors                    12  rate_limited",
            "                           3  busy",
            "server        ",
            "generator     busiest thread 61.0 % of a core, 310 MiB resident at its highest, on 2 cores",
        ];
        let mut rest = table.as_str();
        for line in expected {
            rest = rest.split_once(line).unwrap_or_else(|| panic!("{line}\n{table}")).1;
        }
        assert!(table.lines().all(|line| line.chars().count() <= 100 && line.trim_end() == line), "{table}");
    }

    #[test]
    fn a_failed_run_says_so_with_its_examples_and_a_weak_generator_what_that_means() {
        let mut results = example::results(60, 1.0);
        results.verdict.lost = 3;
        results.verdict.examples = vec!["alice in thread 7: 12 never came".to_owned()];
        results.generator.bottleneck = Some("its busiest thread needed 98 % of a core".to_owned());
        results.counts.unsent = 40;
        let table = table(&results);
        assert!(table.starts_with("FAILED: 3 lost\n  alice in thread 7: 12 never came\n"), "{table}");
        assert!(table.contains("bottleneck (its busiest thread needed 98 % of a core)"), "{table}");
        assert!(
            table.contains("lower bound of what the server can do") && table.contains("40 messages were due"),
            "{table}"
        );
    }

    #[test]
    fn a_run_without_a_second_still_has_a_table() {
        let table = table(&example::results(0, 1.0));
        assert!(table.contains("delivery            none") && !table.contains("NaN"), "{table}");
    }

    #[test]
    fn no_text_of_the_results_reaches_the_terminal_as_it_is() {
        let mut results = example::results(5, 1.0);
        let hostile = "\u{1b}]0;owned\u{7}\n\u{202e}";
        results.plan.scenario = hostile.to_owned();
        results.plan.url = format!("https://alice:s3cret@host/{hostile}");
        results.verdict.examples = vec![hostile.to_owned()];
        results.errors.insert(hostile.to_owned(), 1);
        results.generator.bottleneck = Some(hostile.to_owned());
        let table = table(&results);
        assert!(!table.contains(['\u{1b}', '\u{7}', '\u{202e}']) && !table.contains("s3cret"), "{table:?}");
    }
}
