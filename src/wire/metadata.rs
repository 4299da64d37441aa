//! Metadata of a message: read so that what comes back is the same JSON value, or refused.
//!
//! A general JSON value cannot hold every JSON text: of two equal names it keeps the last, an integer beyond 64 bits becomes a
//! floating-point number, and a number with more digits than a double holds loses some. Altering what a client stores would be
//! noticed much later, so such metadata is refused.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{Map, Number, Value, value::RawValue};

use crate::{
    domain::{Limits, Metadata},
    error::Error,
};

/// Levels at which reading stops whatever the limit is, as the JSON library itself does: each takes some of the stack.
const LEVELS_MAX: u64 = 127;
/// Characters of a name or number that a refusal repeats.
const SHOWN_CHARS: usize = 40;

/// Reads metadata as a client wrote it.
///
/// # Errors
/// `invalid` for the field `metadata`.
pub(super) fn read(written: &RawValue, limits: &Limits) -> Result<Metadata, Error> {
    let refused = |reason: String| Error::field("metadata", reason);
    let levels = limits.metadata_depth.min(LEVELS_MAX);
    if !written.get().starts_with('{') {
        return Err(refused("must be a JSON object".to_owned()));
    }
    let object = value(written.get(), levels).map_err(|wrong| {
        refused(match wrong {
            Wrong::TooDeep => format!("must be at most {levels} levels deep"),
            Wrong::At(path, reason) if path.is_empty() => reason,
            Wrong::At(path, reason) => format!("`{path}` {reason}"),
        })
    })?;
    // Maps of this library are sorted, so equal objects have equal text.
    Metadata::new(object.to_string(), limits).map_err(|(field, reason)| Error::field(field, reason))
}

/// Why a value cannot be kept.
enum Wrong {
    TooDeep,
    /// The path inside the metadata, and the reason.
    At(String, String),
}

impl Wrong {
    fn here(reason: impl Into<String>) -> Wrong {
        Wrong::At(String::new(), reason.into())
    }

    /// The same, seen from the container that has it under this name.
    fn under(self, name: &str) -> Wrong {
        match self {
            Wrong::At(path, reason) if path.is_empty() => Wrong::At(shown(name), reason),
            Wrong::At(path, reason) => Wrong::At(format!("{}.{path}", shown(name)), reason),
            Wrong::TooDeep => Wrong::TooDeep,
        }
    }
}

/// The value of JSON text, with so many levels of containers left.
fn value(text: &str, levels: u64) -> Result<Value, Wrong> {
    let not_json = |error: serde_json::Error| Wrong::here(format!("is not JSON: {error}"));
    match text.as_bytes().first() {
        Some(b'{' | b'[') if levels == 0 => Err(Wrong::TooDeep),
        Some(b'{') => {
            let mut map = Map::new();
            for (name, inner) in serde_json::from_str::<Entries<'_>>(text).map_err(not_json)?.0 {
                let found = value(inner.get(), levels - 1).map_err(|wrong| wrong.under(&name))?;
                if map.contains_key(&name) {
                    return Err(Wrong::here("stands there twice").under(&name));
                }
                map.insert(name, found);
            }
            Ok(Value::Object(map))
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text).map_err(not_json)?;
            let items = items.iter().enumerate();
            let items = items.map(|(at, item)| value(item.get(), levels - 1).map_err(|wrong| wrong.under(&at.to_string())));
            Ok(Value::Array(items.collect::<Result<_, _>>()?))
        }
        Some(b'-' | b'0'..=b'9') => number(text).map(Value::Number),
        _ => serde_json::from_str(text).map_err(not_json),
    }
}

/// The entries of an object in the order in which they are written, equal names too.
struct Entries<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Entries<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(Reader)
    }
}

/// A number that is written again with the same value: an integer of 64 bits, or one whose decimal digits a double gives back.
fn number(text: &str) -> Result<Number, Wrong> {
    let integer = text.bytes().skip(usize::from(text.starts_with('-'))).all(|b| b.is_ascii_digit());
    if integer && text != "-0" {
        let held = text.parse::<u64>().map(Number::from).or_else(|_| text.parse::<i64>().map(Number::from));
        return held.map_err(|_| Wrong::here(format!("is an integer beyond 64 bits: {}; send it as text", shown(text))));
    }
    // The library's own reading of floating-point numbers may be off by the last digit.
    let held = text.parse::<f64>().ok().and_then(Number::from_f64);
    held.filter(|held| is_shortest(held, text))
        .ok_or_else(|| Wrong::here(format!("has more digits than a double keeps: {}; send it as text", shown(text))))
}

/// Whether `text` is a shortest decimal form of the double that it is read as.
///
/// A double halfway between two shortest forms has both: 219032013568371.125 is 219032013568371.12 by the rule of JavaScript
/// (ECMA-262, section 6.1.6.1.20) and of the JSON library, and 219032013568371.13 by that of Rust.
fn is_shortest(held: &Number, text: &str) -> bool {
    let Some(written) = Decimal::of(text) else { return false };
    let double = held.as_f64().map(|double| format!("{double:e}"));
    [Some(held.to_string()), double].into_iter().flatten().any(|form| Decimal::of(&form).is_some_and(|form| form == written))
}

/// The exact value of a number's text: sign, digits without zeros at either end, and the power of ten of the last digit.
#[derive(PartialEq, Eq)]
struct Decimal {
    negative: bool,
    digits: String,
    exponent: i64,
}

impl Decimal {
    /// `None` if the exponent is too large to be one.
    fn of(text: &str) -> Option<Decimal> {
        let negative = text.starts_with('-');
        let text = text.strip_prefix('-').unwrap_or(text);
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = format!("{whole}{fraction}");
        let digits = all.trim_end_matches('0');
        let dropped = i64::try_from(all.len() - digits.len()).ok()?;
        let digits = digits.trim_start_matches('0').to_owned();
        if digits.is_empty() {
            return Some(Decimal { negative, digits, exponent: 0 });
        }
        let exponent = exponent.parse::<i64>().ok()?;
        let exponent = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?.checked_add(dropped)?;
        Some(Decimal { negative, digits, exponent })
    }
}

/// The beginning of what a client wrote, without control characters, to say back to it.
fn shown(text: &str) -> String {
    text.chars().take(SHOWN_CHARS).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kept(text: &str) -> Result<String, String> {
        let raw: Box<RawValue> = serde_json::from_str(text).expect("JSON");
        read(&raw, &Limits::default()).map(|kept| kept.as_str().to_owned()).map_err(|error| error.detail.into_owned())
    }

    #[test]
    fn what_can_be_kept_is_kept_in_its_canonical_form() {
        for (text, canonical) in [
            ("{}", "{}"),
            (" {\"b\": 1,\n\"a\" : [1, {\"x\":null}]} ", r#"{"a":[1,{"x":null}],"b":1}"#),
            (
                r#"{"n":18446744073709551615,"m":-9223372036854775808}"#,
                r#"{"m":-9223372036854775808,"n":18446744073709551615}"#,
            ),
            (r#"{"n":9007199254740993}"#, r#"{"n":9007199254740993}"#),
            (r#"{"n":0.1,"m":0.30000000000000004}"#, r#"{"m":0.30000000000000004,"n":0.1}"#),
            (r#"{"n":1.10}"#, r#"{"n":1.1}"#),
            (r#"{"n":-0.0}"#, r#"{"n":-0.0}"#),
            (r#"{"n":0e99999999999999999999}"#, r#"{"n":0.0}"#),
            (r#"{"n":219032013568371.12}"#, r#"{"n":219032013568371.12}"#),
            (r#"{"n":219032013568371.13}"#, r#"{"n":219032013568371.12}"#),
            (r#"{"\u0061":"\u00e9"}"#, "{\"a\":\"\u{e9}\"}"),
            (r#"{"a":{"x":1},"b":{"x":1}}"#, r#"{"a":{"x":1},"b":{"x":1}}"#),
        ] {
            assert_eq!(kept(text).as_deref(), Ok(canonical), "{text}");
        }
    }

    #[test]
    fn what_would_be_altered_is_refused_with_its_place() {
        for (text, words) in [
            (r#"{"n":18446744073709551616}"#, "`n` is an integer beyond 64 bits: 18446744073709551616"),
            (r#"{"n":-9223372036854775809}"#, "beyond 64 bits"),
            (r#"{"n":10000000000000000000000}"#, "beyond 64 bits"),
            (
                r#"{"a":{"b":[0,3.14159265358979323846]}}"#,
                "`a.b.1` has more digits than a double keeps: 3.14159265358979323846",
            ),
            (r#"{"n":0.1000000000000000055511151231257827}"#, "more digits"),
            (r#"{"n":219032013568371.14}"#, "more digits"),
            (r#"{"n":1e400}"#, "more digits"),
            (r#"{"n":1e-400}"#, "more digits"),
            (r#"{"n":1e99999999999999999999}"#, "more digits"),
            (r#"{"a":1,"a":2}"#, "`a` stands there twice"),
            (r#"{"a":1,"\u0061":1}"#, "`a` stands there twice"),
            (r#"{"x":[{"y":{"a":1,"b":2,"a":1}}]}"#, "`x.0.y.a` stands there twice"),
            (r#"{"s":"\ud800"}"#, "`s` is not JSON"),
            ("[1]", "must be a JSON object"),
            ("7", "must be a JSON object"),
            (r#"{"a":[[[[[[[[1]]]]]]]]}"#, "must be at most 8 levels deep"),
        ] {
            let said = kept(text).expect_err(text);
            assert!(said.starts_with("metadata: ") && said.contains(words), "{text}: {said}");
        }
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
        let raw: Box<RawValue> = RawValue::from_string(deep).expect("JSON");
        let limits = Limits { metadata_depth: 1_000_000, metadata_bytes: 1_000_000, ..Limits::default() };
        assert!(read(&raw, &limits).is_err_and(|error| error.detail.contains("127 levels")));
    }

    proptest! {
        #[test]
        fn every_double_and_integer_that_is_written_shortest_comes_back(double: f64, integer: i64) {
            prop_assume!(double.is_finite());
            for text in [format!("{double:?}"), format!("{double:e}"), integer.to_string()] {
                let text = format!("{{\"n\":{text}}}");
                let kept = kept(&text);
                let kept = kept.as_deref().map(|kept| kept.trim_start_matches("{\"n\":").trim_end_matches('}'));
                let written = text.trim_start_matches("{\"n\":").trim_end_matches('}');
                prop_assert_eq!(kept.map(|kept| kept.parse::<f64>().map(f64::to_bits)), Ok(written.parse::<f64>().map(f64::to_bits)));
            }
        }
    }
}
