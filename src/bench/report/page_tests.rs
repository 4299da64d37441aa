//! The page holds whatever a run found, escapes it, and needs nothing else.

use proptest::prelude::*;

use super::*;
use crate::bench::{
    example,
    results::{Percentiles, Second},
};

/// Names of the elements that a page opens, in order; fails at a bracket that is neither an element nor escaped.
fn elements(page: &str) -> Vec<&str> {
    let body = page.split_once("</style>").expect("a style").1;
    let mut names = Vec::new();
    for rest in body.split('<').skip(1) {
        let name = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '/').next().expect("a name");
        assert!(!name.is_empty() && rest.matches('>').count() == 1, "<{rest}");
        names.push(name);
    }
    names
}

#[test]
fn every_element_that_is_opened_is_closed_in_its_turn() {
    let mut failed = example::results(60, 1.0);
    failed.verdict.lost = 2;
    failed.verdict.examples = vec!["alice in thread 7: 12 never came".to_owned(); 2];
    failed.generator.bottleneck = Some("why".to_owned());
    failed.counts.unsent = 5;
    for results in [failed, example::results(0, 1.0), example::results(60, 1.0)] {
        let page = page(&results);
        // The style is in the head.
        let mut open = vec!["html", "head"];
        for name in elements(&page) {
            match name.strip_prefix('/') {
                Some(closed) => assert_eq!(open.pop(), Some(closed)),
                // Shapes of SVG are closed where they are opened.
                None if ["line", "polyline", "polygon", "rect", "circle"].contains(&name) => {}
                None => open.push(name),
            }
        }
        assert_eq!(open, Vec::<&str>::new());
    }
}

#[test]
fn the_page_needs_nothing_else_and_runs_nothing() {
    let page = page(&example::results(60, 1.0));
    assert!(page.contains("content=\"default-src 'none'; style-src 'unsafe-inline'\""));
    for word in [
        "<script",
        "<link",
        "<img",
        "<iframe",
        "src=",
        "href=",
        "url(",
        "@import",
        "javascript:",
        " on",
        "http-equiv=\"refresh",
    ] {
        let found: Vec<&str> = page.match_indices(word).map(|(at, _)| &page[at..page.len().min(at + 20)]).collect();
        assert!(found.iter().all(|text| word == " on" && !text.contains('=')), "{word}: {found:?}");
    }
    assert!(page.len() < 400_000, "{} bytes", page.len());
}

#[test]
fn hostile_text_stays_text_and_secrets_stay_out() {
    let hostile = "</title></style><script>alert('1')</script>\"&<img src=x onerror=alert(1)>\u{1b}[2J\u{202e}";
    let quiet = elements(&page(&example::results(30, 1.0))).join(" ");
    let mut results = example::results(30, 1.0);
    results.plan.scenario = hostile.to_owned();
    results.plan.url = format!("https://alice:s3cret@{hostile}");
    results.started_at = hostile.to_owned();
    results.hailgate = hostile.to_owned();
    results.errors = [(hostile.to_owned(), 12), ("busy".to_owned(), 3)].into();
    let loud = page(&results);
    assert_eq!(elements(&loud).join(" "), quiet);
    assert!(!loud.contains("s3cret") && !loud.contains(['\u{1b}', '\u{202e}']) && loud.contains("&lt;img src=x"));
    assert_eq!((loud.matches("<title>").count(), loud.matches("</title>").count()), (1, 1));
    results.verdict.examples = vec![hostile.to_owned()];
    results.generator.bottleneck = Some(hostile.to_owned());
    assert!(!page(&results).contains("<img"));
}

#[test]
fn the_verdict_and_a_weak_generator_are_told_before_any_figure() {
    let mut results = example::results(30, 1.0);
    assert!(page(&results).contains("<span class=\"badge\">passed</span>"));
    (results.verdict.lost, results.verdict.holes) = (3, 1);
    results.generator.bottleneck = Some("its busiest thread needed 98 % of a core".to_owned());
    let page = page(&results);
    let places = ["<span class=\"badge\">FAILED</span>", "3 lost, 1 skipped", "lower bound", "class=\"tiles\"", "<svg"];
    let places = places.map(|word| page.find(word).unwrap_or_else(|| panic!("{word}")));
    assert!(places.is_sorted(), "{places:?}");
}

prop_compose! {
    fn latency()(buckets in prop::collection::vec(any::<(u64, u64)>(), 0..20), count in any::<u64>(), mean_us in any::<f64>(),
        us in percentiles()) -> Latency {
        Latency { count, mean_us, us: us.unwrap_or_default(), buckets }
    }
}

fn percentiles() -> impl Strategy<Value = Option<Percentiles>> {
    let any = any::<[u64; 5]>();
    prop::option::of(any.prop_map(|[p50, p90, p99, p999, max]| Percentiles { p50, p90, p99, p999, max }))
}

fn second() -> impl Strategy<Value = Second> {
    let floats = (any::<f64>(), prop::option::of(any::<f64>()), any::<f64>());
    let counts = (any::<[u64; 6]>(), prop::option::of(any::<u64>()));
    (floats, counts, percentiles(), percentiles()).prop_map(|(floats, (counts, server_bytes), delivery_us, ack_us)| {
        let (at_s, server_cores, generator_cores) = floats;
        let [sent, acknowledged, delivered, connections, reconnects, errors] = counts;
        Second {
            at_s,
            sent,
            acknowledged,
            delivered,
            connections,
            reconnects,
            errors,
            delivery_us,
            ack_us,
            server_cores,
            server_bytes,
            generator_cores,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_numbers_break_the_page_or_the_table(seconds in prop::collection::vec(second(), 0..12), one in latency(), other in latency()) {
        let mut results = example::results(0, 1.0);
        (results.seconds, results.delivery, results.connect) = (seconds, one, other);
        let page = page(&results);
        prop_assert!(page.ends_with("</html>\n") && !page.contains("NaN") && !page.contains("\"inf"));
        prop_assert!(super::super::table(&results).contains("generator"));
    }
}
