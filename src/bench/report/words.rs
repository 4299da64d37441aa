//! What the table and the page say in words. Results may come from a file that somebody else wrote, so no text in them is
//! shown as it is.

use super::{
    super::results::{Counts, Generator, Plan, Results, Second, Verdict},
    units::{counted, grouped, micros_f64, seconds, trimmed},
};

/// Characters of a text that are shown.
const TEXT_MAX: usize = 300;

/// Findings and codes that are shown by name; the rest is counted.
pub const ROWS_MAX: usize = 12;

/// At most 300 characters on one line, without any that a terminal acts on or that turn the direction of what follows.
pub fn plain(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2028}' | '\u{2029}' | '\u{2066}'..='\u{2069}');
    let mut shown: String =
        text.chars().take(TEXT_MAX).map(|c| if c.is_control() || turns(c) { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(TEXT_MAX).is_some() {
        shown.push('…');
    }
    shown
}

/// A URL without what signs somebody in: user, password, query and fragment. Those who write results leave them out; here
/// nobody relies on that.
pub fn place(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = url.split_once("://").map_or(("", url), |(scheme, rest)| (scheme, rest));
    let authority = rest.split('/').next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let path = &rest[authority.len()..];
    plain(&if scheme.is_empty() { format!("{host}{path}") } else { format!("{scheme}://{host}{path}") })
}

/// `passed`, or `FAILED` and why.
pub fn verdict(verdict: &Verdict) -> (&'static str, String) {
    if verdict.passed() {
        let why = "every message reached every member once, whole and in order, and nobody else";
        return ("passed", why.to_owned());
    }
    let found = verdict.findings().into_iter().filter(|(_, count)| *count > 0);
    ("FAILED", found.map(|(word, count)| format!("{} {word}", grouped(count))).collect::<Vec<_>>().join(", "))
}

/// What was run, in one sentence without its end.
pub fn plan(plan: &Plan) -> String {
    let users = counted(plan.users, "user", "users");
    let load = match (plan.rate, plan.window) {
        (Some(rate), _) => format!("{} messages a second", trimmed(rate)),
        (None, Some(window)) => {
            format!("{} under way at a time", counted(window, "message", "messages"))
        }
        (None, None) => "no messages of their own".to_owned(),
    };
    let bytes = counted(plan.message_bytes, "byte", "bytes");
    format!("{users} in threads of {}, {load} of {bytes} for {}", grouped(plan.room), seconds(plan.duration_s))
}

/// From when on latency counts.
pub fn since(plan: &Plan) -> &'static str {
    if plan.rate.is_some() {
        "Latency counts from the moment a message was due, whether or not it could be sent then: waiting behind a slow server is in it."
    } else {
        "Latency counts from the moment a message was sent. A slow server is sent less, so compare runs at a fixed rate before you trust the highest figures."
    }
}

/// What the figures mean when the generator was the bottleneck.
pub fn bottleneck(generator: &Generator) -> Option<String> {
    let why = generator.bottleneck.as_deref()?;
    Some(format!(
        "The generator was the bottleneck ({}). The figures are a lower bound of what the server can do, and latency includes the \
         generator's own. Run it on a machine with more cores, away from the server, or ask for less.",
        plain(why)
    ))
}

/// What it means that some messages were never sent.
pub fn unsent(counts: &Counts) -> Option<String> {
    let unsent = (counts.unsent > 0).then(|| counted(counts.unsent, "message was", "messages were"))?;
    Some(format!("{unsent} due and never sent, because what came before took too long: the rate asked for was not reached."))
}

/// Errors by code, the commonest first, and how many codes are left out.
pub fn errors(results: &Results) -> (Vec<(String, u64)>, usize) {
    let mut rows: Vec<(String, u64)> = results.errors.iter().map(|(code, count)| (plain(code), *count)).collect();
    rows.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    let left_out = rows.len().saturating_sub(ROWS_MAX);
    rows.truncate(ROWS_MAX);
    (rows, left_out)
}

/// So many a second over the measured part; `None` if nothing was measured.
#[allow(clippy::cast_precision_loss, reason = "shown with three digits")]
pub fn per_second(results: &Results, of: fn(&Second) -> u64) -> Option<f64> {
    let measured = results.seconds.last()?.at_s;
    let total: f64 = results.seconds.iter().map(|second| of(second) as f64).sum();
    (measured > 0.0).then(|| total / measured)
}

/// Mean cores of the server where they are known, and its processor time a delivery.
#[allow(clippy::cast_precision_loss, reason = "shown with three digits")]
pub fn server_cores(results: &Results) -> Option<(f64, Option<String>)> {
    let known: Vec<(f64, u64)> =
        results.seconds.iter().filter_map(|second| Some((second.server_cores?, second.delivered))).collect();
    let cores: f64 = known.iter().map(|(cores, _)| cores).sum();
    let delivered: f64 = known.iter().map(|(_, delivered)| *delivered as f64).sum();
    let each = (delivered > 0.0).then(|| micros_f64(cores * 1e6 / delivered));
    (!known.is_empty()).then(|| (cores / known.len() as f64, each))
}

/// The highest that the server's memory came to, in bytes.
pub fn server_bytes(results: &Results) -> Option<u64> {
    results.seconds.iter().filter_map(|second| second.server_bytes).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::example;

    #[test]
    fn no_text_of_results_moves_a_terminal_or_runs_on() {
        assert_eq!(plain("a\u{1b}[31mb\nc\u{202e}d"), "a\u{fffd}[31mb\u{fffd}c\u{fffd}d");
        assert_eq!(plain(&"ü".repeat(301)).chars().count(), 301);
        assert!(plain(&"ü".repeat(301)).ends_with('…') && !plain(&"ü".repeat(300)).contains('…'));
    }

    #[test]
    fn no_url_is_shown_with_what_signs_somebody_in() {
        let table = [
            ("https://chat.example.org", "https://chat.example.org"),
            ("https://alice:s3cret@chat.example.org/base", "https://chat.example.org/base"),
            ("https://a@b@host:8443/p@th?token=s3cret#s3cret", "https://host:8443/p@th"),
            ("alice:s3cret@host/p", "host/p"),
            ("?s3cret", ""),
            ("", ""),
        ];
        for (url, shown) in table {
            assert_eq!(place(url), shown);
        }
    }

    #[test]
    fn a_verdict_says_what_was_wrong_and_how_often() {
        let mut found = Verdict { lost: 1_200, altered: 1, ..Verdict::default() };
        assert_eq!(verdict(&found), ("FAILED", "1,200 lost, 1 altered".to_owned()));
        (found.lost, found.altered) = (0, 0);
        assert_eq!(verdict(&found).0, "passed");
    }

    #[test]
    fn a_plan_says_which_loop_it_was() {
        let mut asked = example::results(60, 1.0).plan;
        assert_eq!(plan(&asked), "1,000 users in threads of 10, 1,000 messages a second of 120 bytes for 60 s");
        assert!(since(&asked).contains("was due"));
        (asked.rate, asked.window) = (None, Some(32));
        assert_eq!(plan(&asked), "1,000 users in threads of 10, 32 messages under way at a time of 120 bytes for 60 s");
        assert!(since(&asked).contains("was sent"));
    }

    #[test]
    fn errors_come_by_how_often_and_no_flood_of_codes_is_shown() {
        let mut results = example::results(2, 1.0);
        assert_eq!(errors(&results), (vec![("rate_limited".to_owned(), 12), ("busy".to_owned(), 3)], 0));
        results.errors.extend((0..30).map(|number| (format!("code_{number:02}"), 1)));
        let (rows, left_out) = errors(&results);
        assert_eq!((rows.len(), left_out), (ROWS_MAX, 32 - ROWS_MAX));
    }

    #[test]
    fn rates_and_costs_are_over_what_was_measured() {
        let mut results = example::results(2, 1.0);
        for (second, (sent, delivered, cores)) in results.seconds.iter_mut().zip([(10, 100, Some(0.5)), (30, 300, None)]) {
            (second.sent, second.delivered, second.server_cores) = (sent, delivered, cores);
        }
        assert_eq!(per_second(&results, |second| second.sent), Some(20.0));
        let (cores, each) = server_cores(&results).expect("it is known in one second");
        assert_eq!((cores.to_bits(), each.as_deref()), (0.5f64.to_bits(), Some("5.00 ms")));
        results.seconds.clear();
        assert_eq!(
            (per_second(&results, |second| second.sent), server_cores(&results), server_bytes(&results)),
            (None, None, None)
        );
    }
}
