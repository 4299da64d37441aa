//! Limits as they were written: each between its least and its largest, and no two that contradict each other.

use jiff::SignedDuration;

use super::{Complaint, Place, check::Checker};
use crate::domain::{Limits, RETRY_KEYS_KEPT};

/// Largest value of any limit: what a configuration file can hold.
const LARGEST: u64 = i64::MAX.unsigned_abs();
/// Most bytes of a character in UTF-8.
const CHAR_BYTES_MAX: u64 = 4;
/// Bytes of a frame or body beside content and metadata: names of fields, ids, the retry key.
const FRAME_BYTES_BESIDE: u64 = 1_024;

impl Checker<'_> {
    /// Every limit.
    pub(super) fn limits(&mut self) -> Option<Limits> {
        let mut limits = Limits::default();
        let before = self.complaints.len();
        for ((name, _, unit, _), least) in Limits::TABLE.iter().zip(Limits::LEAST) {
            let Some(written) = self.values.limits.get(name) else { continue };
            let remedy = match written.text.parse::<u64>() {
                Ok(value) if (*least..=LARGEST).contains(&value) => {
                    limits.set(name, value);
                    continue;
                }
                Ok(value) if value < *least => format!("The least is {least} {unit}."),
                Ok(_) => format!("The largest is {LARGEST}."),
                Err(_) if is_number(&written.text) => format!("The largest is {LARGEST}."),
                Err(_) => match in_unit(&written.text, unit) {
                    Some(number) => format!("Write it in {unit}: {number}."),
                    None => format!("Write a whole number of {unit}, {least} or more."),
                },
            };
            let what = format!("The limit `{name}` cannot be {:?}.", written.text);
            self.complaints.push(Complaint::new(what, &written.place, remedy));
        }
        if self.complaints.len() == before {
            self.limits_agree(&limits);
        }
        (self.complaints.len() == before).then_some(limits)
    }

    /// Two limits of which one could never be reached would refuse what the other allows.
    fn limits_agree(&mut self, limits: &Limits) {
        let text_bytes = limits.content_chars.saturating_mul(CHAR_BYTES_MAX);
        let frame_bytes = text_bytes.saturating_add(limits.metadata_bytes).saturating_add(FRAME_BYTES_BESIDE);
        if limits.frame_bytes < frame_bytes {
            let what = format!(
                "`frame_bytes` is {}: the longest message, by `content_chars` and `metadata_bytes`, would not fit.",
                limits.frame_bytes
            );
            let remedy = format!("Set frame_bytes to {frame_bytes} or more, or the others lower.");
            self.contradiction(&["frame_bytes", "content_chars", "metadata_bytes"], what, remedy);
        }
        let kept = u64::try_from(RETRY_KEYS_KEPT.as_millis()).unwrap_or(u64::MAX);
        if (1..kept).contains(&limits.retention_ms) {
            let what = format!(
                "`retention_ms` is {}: retry keys go with their messages, and are promised for 7 days.",
                limits.retention_ms
            );
            let remedy = format!("Set retention_ms to {kept} (7 days) or more, or to 0 to keep everything.");
            self.contradiction(&["retention_ms"], what, remedy);
        }
        if limits.access_token_ms > limits.token_lifetime_ms {
            let what = format!(
                "`access_token_ms` is {} and `token_lifetime_ms` {}: no login could get a token.",
                limits.access_token_ms, limits.token_lifetime_ms
            );
            let remedy = "Set access_token_ms to token_lifetime_ms or less.".to_owned();
            self.contradiction(&["access_token_ms", "token_lifetime_ms"], what, remedy);
        }
    }

    /// Told where the first of the limits is written that is written at all.
    fn contradiction(&mut self, names: &[&str], what: String, remedy: String) {
        let written = names.iter().find_map(|name| self.values.limits.get(name));
        let place = written.map_or(Place::Default, |written| written.place.clone());
        self.complaints.push(Complaint::new(what, &place, remedy));
    }
}

/// A duration like `10s` or a size like `64KiB` as the number that a limit of this unit takes.
fn in_unit(text: &str, unit: &str) -> Option<u64> {
    match unit {
        "milliseconds" => u64::try_from(text.parse::<SignedDuration>().ok()?.as_millis()).ok(),
        "bytes" => {
            let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
            let factor: u64 = match text.get(digits.len()..)?.to_ascii_lowercase().as_str() {
                "kb" => 1_000,
                "mb" => 1_000_000,
                "k" | "kib" => 1_024,
                "m" | "mib" => 1_048_576,
                "g" | "gib" => 1_073_741_824,
                _ => return None,
            };
            digits.parse::<u64>().ok()?.checked_mul(factor)
        }
        _ => None,
    }
}

/// Whether a text is a whole number, however large.
pub(super) fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::super::{Config, Sources};
    use super::*;

    fn load(limits: &[(&str, &str)]) -> Result<Limits, String> {
        let key = hex::encode((0..64u8).map(|byte| byte.wrapping_mul(37).wrapping_add(11)).collect::<Vec<_>>());
        let own = [("HAILGATE_JWT_SECRET", "kq3vX0yZr8mT5wB2nC7dF4gH6jL9pQ1s"), ("HAILGATE_SESSION_KEY", &key)];
        let mut variables: Vec<(OsString, OsString)> =
            own.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))).collect();
        let named = |name: &str| OsString::from(format!("HAILGATE_LIMIT_{}", name.to_uppercase()));
        variables.extend(limits.iter().map(|(name, value)| (named(name), OsString::from(value))));
        Config::load(&Sources { variables, ..Sources::default() })
            .map(|config| config.limits)
            .map_err(|complaints| complaints.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn every_limit_takes_its_least_and_nothing_below() {
        // The least of these two must leave room for the most of what others allow.
        let room = [("content_chars", "1"), ("metadata_bytes", "2"), ("access_token_ms", "10000")];
        for ((name, default, ..), least) in Limits::TABLE.iter().zip(Limits::LEAST) {
            assert!(least <= default, "{name}");
            let with = |value: String| {
                let mut limits: Vec<(&str, String)> =
                    room.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
                limits.retain(|(other, _)| other != name);
                limits.push((*name, value));
                load(&limits.iter().map(|(name, value)| (*name, value.as_str())).collect::<Vec<_>>())
            };
            with(least.to_string()).unwrap_or_else(|said| panic!("{name}: {said}"));
            let Some(below) = least.checked_sub(1) else { continue };
            let said = with(below.to_string()).expect_err("below the least");
            assert!(said.contains(&format!("HAILGATE_LIMIT_{}\n", name.to_uppercase())), "{said}");
            assert!(said.contains(&format!("The least is {least} ")), "{said}");
        }
    }

    #[test]
    fn limits_that_contradict_each_other_are_refused_where_one_is_written() {
        for (limits, place, words) in [
            (&[("content_chars", "40000")][..], "CONTENT_CHARS", "frame_bytes to 165120 or more"),
            (&[("frame_bytes", "5159"), ("content_chars", "10")], "FRAME_BYTES", "frame_bytes to 5160 or more"),
            (&[("metadata_bytes", "9223372036854775807")], "METADATA_BYTES", "would not fit"),
            (&[("access_token_ms", "86400001")], "ACCESS_TOKEN_MS", "access_token_ms to token_lifetime_ms or less"),
            (&[("retention_ms", "1")], "RETENTION_MS", "retention_ms to 604800000 (7 days) or more, or to 0"),
            (&[("retention_ms", "604799999")], "RETENTION_MS", "retry keys go with their messages"),
            (&[("token_lifetime_ms", "60000")], "TOKEN_LIFETIME_MS", "`access_token_ms` is 900000"),
        ] {
            let said = load(limits).expect_err("a contradiction");
            assert!(said.contains(&format!("variable HAILGATE_LIMIT_{place}\n")) && said.contains(words), "{said}");
        }
        let fits = load(&[("frame_bytes", "5160"), ("content_chars", "10")]).expect("no contradiction");
        assert_eq!(fits.frame_bytes, 5_160);
        assert_eq!(load(&[("retention_ms", "604800000")]).expect("7 days").retention_ms, 604_800_000);
    }

    #[test]
    fn a_number_over_the_largest_says_which_is_the_largest() {
        for text in ["9223372036854775808", "18446744073709551616", &"9".repeat(40)] {
            let said = load(&[("page", text)]).expect_err("too large");
            assert!(said.contains("The largest is 9223372036854775807."), "{said}");
        }
        for text in ["", "-1", "1.5", "many", "1_000", "0x5"] {
            let said = load(&[("page", text)]).expect_err("no number");
            assert!(said.contains("Write a whole number of rows, 1 or more."), "{said}");
        }
        assert!(load(&[("page", "9223372036854775807")]).is_ok());
    }

    #[test]
    fn a_duration_or_a_size_is_told_as_the_number_that_is_meant() {
        for (name, text, number) in [
            ("drain_ms", "10s", Some("in milliseconds: 10000.")),
            ("drain_ms", "1m30s", Some("in milliseconds: 90000.")),
            ("frame_bytes", "256KiB", Some("in bytes: 262144.")),
            ("outbox_bytes", "2MB", Some("in bytes: 2000000.")),
            ("drain_ms", "-1s", None),
            ("frame_bytes", "KiB", None),
            ("frame_bytes", "99999999999G", None),
            ("page", "10s", None),
        ] {
            let said = load(&[(name, text)]).expect_err("no number");
            assert!(said.contains(number.unwrap_or("Write a whole number of")), "{name} {text}: {said}");
        }
    }
}
