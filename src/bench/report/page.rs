//! The page of a run: one file that needs nothing else, to keep and to send. Its policy allows it no script and no address.

use std::fmt::Write as _;

use super::{
    super::results::{Latency, Results},
    figures::{self, Colour, Figure},
    plots::{self, Size},
    units::{bytes, counted, grouped, micros, micros_f64, number, seconds, trimmed},
    words,
};

const STYLE: &str = include_str!("page.css");

/// The sizes in which a plot is drawn; the page shows the one that fits. The first is for the first plot alone.
const SIZES: [Size; 3] = [
    Size { width: 1_126, height: 300, labels: 12, class: "broad" },
    Size { width: 534, height: 250, labels: 7, class: "wide" },
    Size { width: 332, height: 220, labels: 4, class: "narrow" },
];

/// The page.
pub fn page(results: &Results) -> String {
    let (word, _) = words::verdict(&results.verdict);
    let mut page = String::with_capacity(256 * 1024);
    let class = if results.verdict.passed() { "passed" } else { "failed" };
    put(
        &mut page,
        format_args!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>Load test: {}, {word}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main class=\"{class}\">\n",
            text(&results.plan.scenario)
        ),
    );
    header(&mut page, results);
    found(&mut page, results);
    tiles(&mut page, results);
    page.push_str("<section class=\"plots\" aria-label=\"Plots\">\n");
    for (number, figure) in figures::all(results).iter().enumerate() {
        draw(&mut page, figure, if number == 0 { &SIZES } else { &SIZES[1..] });
    }
    page.push_str("</section>\n");
    tables(&mut page, results);
    footer(&mut page, results);
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

fn put(page: &mut String, what: std::fmt::Arguments<'_>) {
    page.write_fmt(what).expect("memory");
}

/// Text of the results as text of HTML, also inside an attribute.
fn text(text: &str) -> String {
    escape(&words::plain(text))
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

fn header(page: &mut String, results: &Results) {
    let plan = &results.plan;
    let (word, _) = words::verdict(&results.verdict);
    put(
        page,
        format_args!(
            "<header>\n<p class=\"brand\">Hailgate load test</p>\n<h1>{} <span class=\"badge\">{word}</span></h1>\n\
         <p class=\"asked\">{}</p>\n<dl class=\"plan\">\n",
            text(&plan.scenario),
            text(&words::plan(plan))
        ),
    );
    let rows = [
        ("Server", words::place(&plan.url)),
        ("Started", results.started_at.clone()),
        ("Users connected over", seconds(plan.ramp_s)),
        ("Seed", plan.seed.to_string()),
        ("Hailgate", results.hailgate.clone()),
    ];
    for (name, value) in rows {
        put(page, format_args!("<div><dt>{name}</dt><dd>{}</dd></div>\n", text(&value)));
    }
    page.push_str("</dl>\n</header>\n");
}

fn found(page: &mut String, results: &Results) {
    let (word, why) = words::verdict(&results.verdict);
    put(page, format_args!("<div class=\"why\"><p><strong>{}:</strong> {}.</p>", capital(word), text(&why)));
    if !results.verdict.examples.is_empty() {
        page.push_str("<ul>");
        for example in results.verdict.examples.iter().take(words::ROWS_MAX) {
            put(page, format_args!("<li>{}</li>", text(example)));
        }
        page.push_str("</ul>");
    }
    page.push_str("</div>\n");
    for warning in [words::bottleneck(&results.generator), words::unsent(&results.counts)].into_iter().flatten() {
        put(page, format_args!("<p class=\"warn\">{}</p>\n", escape(&warning)));
    }
}

fn capital(word: &str) -> String {
    word.chars().enumerate().map(|(index, c)| if index == 0 { c.to_ascii_uppercase() } else { c }).collect()
}

fn tiles(page: &mut String, results: &Results) {
    page.push_str("<dl class=\"tiles\">\n");
    for (name, value, note) in key_figures(results) {
        put(
            page,
            format_args!("<div><dt>{name}</dt><dd>{}</dd><dd class=\"note\">{}</dd></div>\n", text(&value), text(&note)),
        );
    }
    page.push_str("</dl>\n");
}

/// Name, value and what stands below it; always eight.
fn key_figures(results: &Results) -> Vec<(&'static str, String, String)> {
    let generator = &results.generator;
    let dash = || "—".to_owned();
    let latency = |latency: &Latency| {
        let us = latency.us;
        let note = format!("p50 {}, highest {}", micros(us.p50), micros(us.max));
        if latency.count == 0 { (dash(), "nothing to measure".to_owned()) } else { (micros(us.p99), note) }
    };
    let rate = |of| words::per_second(results, of).map_or_else(dash, number);
    let (delivery, ack) = (latency(&results.delivery), latency(&results.ack));
    let errors = results.errors.values().fold(0u64, |sum, count| sum.saturating_add(*count));
    let commonest = words::errors(results).0.into_iter().next();
    let commonest = commonest.map_or_else(|| "none".to_owned(), |(code, count)| format!("{} {code}", grouped(count)));
    let connections = results.seconds.iter().map(|second| second.connections).max();
    let reconnects = counted(results.counts.reconnects, "reconnection", "reconnections");
    let mut tiles = vec![
        ("Delivery p99", delivery.0, delivery.1),
        ("Acknowledgement p99", ack.0, ack.1),
        ("Delivered a second", rate(|second| second.delivered), format!("{} in all", grouped(results.counts.delivered))),
        ("Sent a second", rate(|second| second.sent), format!("{} in all", grouped(results.counts.sent))),
        ("Connections", connections.map_or_else(dash, grouped), reconnects),
        ("Errors", grouped(errors), commonest),
    ];
    tiles.push(match words::server_cores(results) {
        Some((cores, each)) => {
            let each = each.map_or_else(|| "busy on average".to_owned(), |each| format!("busy; {each} a delivery"));
            ("Server's processor", format!("{} cores", number(cores)), each)
        }
        None => (
            "Generator's processor",
            format!("{} %", trimmed(generator.busiest * 100.0)),
            format!("of a core, its busiest thread; {}", counted(generator.cores, "core", "cores")),
        ),
    });
    tiles.push(match words::server_bytes(results) {
        Some(peak) => ("Server's memory", bytes(peak), "resident, at its highest".to_owned()),
        None => ("Generator's memory", bytes(generator.peak_bytes), "resident, at its highest".to_owned()),
    });
    tiles
}

fn draw(page: &mut String, figure: &Figure, sizes: &[Size]) {
    put(
        page,
        format_args!("<figure>\n<figcaption><h2>{} <span>{}</span></h2><ul class=\"legend\">", figure.title, figure.unit),
    );
    for line in figure.lines.iter().rev().filter(|_| figure.missing.is_none()) {
        let class = match line.colour {
            Colour::One => "one",
            Colour::Two => "two",
            Colour::Three => "three",
        };
        put(page, format_args!("<li class=\"{class}\">{}</li>", line.name));
    }
    page.push_str("</ul></figcaption>\n");
    match figure.missing {
        Some(why) => put(page, format_args!("<p class=\"missing\">{why}</p>\n")),
        None => sizes.iter().for_each(|size| page.push_str(&plots::svg(figure, *size))),
    }
    page.push_str("</figure>\n");
}

fn tables(page: &mut String, results: &Results) {
    page.push_str(
        "<div class=\"tables\">\n<section class=\"whole\"><h2>Latency</h2><div class=\"scroll\"><table>\n\
         <thead><tr><th></th><th>p50</th><th>p90</th><th>p99</th><th>p99.9</th><th>highest</th><th>mean</th><th>values</th></tr></thead>\n<tbody>\n",
    );
    let latencies = [
        ("Delivery", &results.delivery),
        ("Acknowledgement", &results.ack),
        ("Connect, to the first frame", &results.connect),
    ];
    for (name, latency) in latencies {
        let us = latency.us;
        let cells = [us.p50, us.p90, us.p99, us.p999, us.max].map(micros);
        let cells = cells.iter().map(String::as_str).chain([&*micros_f64(latency.mean_us), &*grouped(latency.count)]).fold(
            String::new(),
            |mut cells, cell| {
                put(&mut cells, format_args!("<td>{cell}</td>"));
                cells
            },
        );
        put(page, format_args!("<tr><th>{name}</th>{cells}</tr>\n"));
    }
    page.push_str("</tbody></table></div></section>\n");
    let counts = &results.counts;
    let messages = [
        ("Sent", counts.sent),
        ("of these by REST", counts.sent_by_rest),
        ("Acknowledged", counts.acknowledged),
        ("Sent again under the same retry key", counts.retried),
        ("Due and never sent", counts.unsent),
        ("Delivered", counts.delivered),
        ("Reconnections", counts.reconnects),
    ];
    table(page, "Counts", messages.into_iter().map(|(name, count)| (name.to_owned(), count)));
    let (errors, left_out) = words::errors(results);
    if errors.is_empty() {
        page.push_str("<section><h2>Errors</h2><p>None.</p></section>\n");
    } else {
        let more = (left_out > 0).then(|| ("further codes".to_owned(), left_out as u64));
        table(page, "Errors by code", errors.into_iter().chain(more));
    }
    page.push_str("</div>\n");
}

fn table(page: &mut String, title: &str, rows: impl Iterator<Item = (String, u64)>) {
    put(page, format_args!("<section><h2>{title}</h2><table><tbody>\n"));
    for (name, count) in rows {
        put(page, format_args!("<tr><th>{}</th><td>{}</td></tr>\n", text(&name), grouped(count)));
    }
    page.push_str("</tbody></table></section>\n");
}

fn footer(page: &mut String, results: &Results) {
    let generator = &results.generator;
    let each = figures::seconds_a_point(results) as u64;
    let points = if each == 1 {
        "A point of a plot over time is one second.".to_owned()
    } else {
        format!(
            "A point of a plot over time is {each} seconds: the highest value of p99, of the highest and of memory, the mean of \
             all others."
        )
    };
    put(
        page,
        format_args!(
            "<footer><p>{} {points}</p>\n<p>The load came from a machine of {}; the busiest thread took {} % of a core at most, and \
         memory was {} at its highest.</p></footer>\n",
            words::since(&results.plan),
            counted(generator.cores, "core", "cores"),
            trimmed(generator.busiest * 100.0),
            bytes(generator.peak_bytes)
        ),
    );
}

#[cfg(test)]
#[path = "page_tests.rs"]
mod tests;
