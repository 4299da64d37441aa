//! The table: what, the target, this product's figure, what stands beside it, and the command that gives the row.

/// A row.
pub struct Line {
    pub what: String,
    pub target: &'static str,
    pub ours: String,
    pub beside: String,
    /// What `tests/compare/run` is called with.
    pub command: &'static str,
}

/// As Markdown.
pub fn print(lines: &[Line]) {
    println!("| What | Target | Hailgate | Beside it, same run | `tests/compare/run` |\n|---|---|---|---|---|");
    for Line { what, target, ours, beside, command } in lines {
        println!("| {what} | {target} | {ours} | {beside} | `{command}` |");
    }
}

/// The one in the middle.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A count as a number to reckon with.
pub fn number(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Nanoseconds in milliseconds.
pub fn milliseconds(nanoseconds: u64) -> String {
    format!("{:.1}", number(nanoseconds / 1_000) / 1e3)
}
