//! Numbers as people read them: three digits that count, and the unit.

/// With a comma between thousands: `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Three digits that count, and all of those before the point: `0.55`, `12.3`, `98,765`.
pub fn number(value: f64) -> String {
    if !value.is_finite() {
        return "?".to_owned();
    }
    let size = value.abs();
    let places = match size {
        0.0 => 0,
        _ if size < 0.001 => return if value < 0.0 { "-0.001".to_owned() } else { "0.001".to_owned() },
        _ if size < 0.099_95 => 3,
        _ if size < 9.995 => 2,
        _ if size < 99.95 => 1,
        _ => return whole(value),
    };
    format!("{value:.places$}")
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rounded; what is larger is shown as the largest"
)]
fn whole(value: f64) -> String {
    let text = grouped(value.abs().round() as u64);
    if value < 0.0 { format!("-{text}") } else { text }
}

/// The same without zeros at its end.
pub fn trimmed(value: f64) -> String {
    let text = number(value);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A latency: `850 µs`, `1.23 ms`, `2.50 s`.
#[allow(clippy::cast_precision_loss, reason = "shown with three digits")]
pub fn micros(value: u64) -> String {
    micros_f64(value as f64)
}

/// The same for a mean.
pub fn micros_f64(value: f64) -> String {
    match value {
        _ if value >= 999_500.0 => format!("{} s", number(value / 1e6)),
        _ if value >= 999.5 => format!("{} ms", number(value / 1e3)),
        _ => format!("{} µs", number(value)),
    }
}

/// Units of memory, from the largest.
pub const BYTES: [(f64, &str); 4] = [(1_073_741_824.0, "GiB"), (1_048_576.0, "MiB"), (1_024.0, "KiB"), (1.0, "B")];

/// An amount of memory: `46.2 MiB`.
#[allow(clippy::cast_precision_loss, reason = "shown with three digits")]
pub fn bytes(value: u64) -> String {
    let value = value as f64;
    let (unit, name) = BYTES.into_iter().find(|(unit, _)| value >= *unit).unwrap_or((1.0, "B"));
    format!("{} {name}", number(value / unit))
}

/// In which unit a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Microseconds.
    Micros,
    /// None.
    Number,
    /// Bytes of memory.
    Bytes,
}

impl Unit {
    /// A value with its unit.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative; larger is shown as the largest"
    )]
    pub fn say(self, value: f64) -> String {
        match self {
            Unit::Micros => micros_f64(value),
            Unit::Number => number(value),
            Unit::Bytes => bytes(value as u64),
        }
    }
}

/// A stretch of time in seconds: `90 s`, `10 min`, `2 h`.
pub fn seconds(value: f64) -> String {
    let whole = |unit: f64| value >= unit && value % unit == 0.0;
    match value {
        _ if whole(3_600.0) => format!("{} h", trimmed(value / 3_600.0)),
        _ if value > 120.0 && whole(60.0) => format!("{} min", trimmed(value / 60.0)),
        _ => format!("{} s", trimmed(value)),
    }
}

/// `1 user`, `2 users`.
pub fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_show_three_digits_and_their_unit() {
        let table = [
            (grouped(0), "0"),
            (grouped(999), "999"),
            (grouped(1_000), "1,000"),
            (grouped(u64::MAX), "18,446,744,073,709,551,615"),
            (number(0.0), "0"),
            (number(0.000_01), "0.001"),
            (number(0.054_4), "0.054"),
            (number(0.099_96), "0.10"),
            (number(0.5), "0.50"),
            (number(9.994), "9.99"),
            (number(9.996), "10.0"),
            (number(99.96), "100"),
            (number(98_765.4), "98,765"),
            (number(-12.34), "-12.3"),
            (number(-1_234.5), "-1,235"),
            (number(f64::NAN), "?"),
            (micros(0), "0 µs"),
            (micros(850), "850 µs"),
            (micros(999), "999 µs"),
            (micros(1_234), "1.23 ms"),
            (micros(999_400), "999 ms"),
            (micros(999_600), "1.00 s"),
            (micros(2_500_000), "2.50 s"),
            (bytes(0), "0 B"),
            (bytes(1_023), "1,023 B"),
            (bytes(48_444_211), "46.2 MiB"),
            (seconds(0.5), "0.5 s"),
            (seconds(60.0), "60 s"),
            (seconds(120.0), "120 s"),
            (seconds(600.0), "10 min"),
            (seconds(7_200.0), "2 h"),
            (counted(1, "user", "users"), "1 user"),
            (counted(2, "user", "users"), "2 users"),
        ];
        for (told, expected) in table {
            assert_eq!(told, expected);
        }
    }
}
