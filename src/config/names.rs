//! Names that nobody knows: what was meant, if that can be told.

use super::{SETTINGS, issuers, read::LIMIT_PREFIX};
use crate::domain::Limits;

/// Letters of a name for each edit (one more, less, other, or two exchanged) at which it is still taken for another.
/// Farther away, a suggestion would be a guess.
const LETTERS_AN_EDIT: usize = 3;

/// Where in the file a name stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Above the first table.
    Top,
    /// In `[limits]`.
    Limits,
    /// In `[[trusted_issuer]]`.
    Issuer,
}

fn settings() -> impl Iterator<Item = String> {
    SETTINGS.iter().map(|setting| setting.key.to_owned())
}

fn limits() -> impl Iterator<Item = String> {
    Limits::TABLE.iter().map(|(name, ..)| (*name).to_owned())
}

fn fields() -> impl Iterator<Item = String> {
    issuers::ISSUER_FIELDS.iter().map(|(name, ..)| (*name).to_owned())
}

/// What to do about a name of the file that is not known where it stands.
pub(super) fn in_file(name: &str, part: Part) -> String {
    let lower = name.to_lowercase();
    let limit = lower.strip_prefix(&LIMIT_PREFIX.to_lowercase()).unwrap_or(&lower);
    let setting = SETTINGS.iter().find(|setting| setting.key == name || setting.variable == name);
    if let Some(setting) = setting {
        let key = setting.key;
        let place = if part == Part::Top { "" } else { ", above the first line in brackets" };
        return format!("In the file it is `{key}`{place}.");
    }
    if Limits::TABLE.iter().any(|(known, ..)| *known == limit) {
        return format!("Put `{limit}` under [limits].");
    }
    if part != Part::Issuer && fields().any(|field| field == name) {
        return format!("Put it under [[{}]].", issuers::TABLE);
    }
    let tables = || ["limits", issuers::TABLE].into_iter().map(str::to_owned);
    let near = match part {
        Part::Top => nearest(name, settings().chain(tables())),
        Part::Limits => nearest(name, limits()),
        Part::Issuer => nearest(name, fields()),
    };
    near.map_or_else(nothing_like_it, |near| format!("Did you mean `{near}`? Else remove it."))
}

/// What to do about a variable that is not known.
pub(super) fn variable(name: &str) -> String {
    let own = name.strip_prefix("HAILGATE_").unwrap_or(name);
    let lower = own.to_lowercase();
    if let Some(setting) = SETTINGS.iter().find(|setting| setting.key == lower) {
        return format!("Did you mean {}? Else remove it.", setting.variable);
    }
    if limits().any(|limit| limit == lower) {
        return format!("Did you mean {LIMIT_PREFIX}{own}? Else remove it.");
    }
    // What all names begin with says nothing about likeness.
    let near = if let Some(limit) = name.strip_prefix(LIMIT_PREFIX) {
        nearest(limit, limits().map(|limit| limit.to_uppercase())).map(|near| format!("{LIMIT_PREFIX}{near}"))
    } else {
        let known = SETTINGS.iter().filter_map(|setting| setting.variable.strip_prefix("HAILGATE_"));
        nearest(own, known.map(str::to_owned)).map(|near| format!("HAILGATE_{near}"))
    };
    near.map_or_else(nothing_like_it, |near| format!("Did you mean {near}? Else remove it."))
}

fn nothing_like_it() -> String {
    "Remove it: there is nothing of a name like that.".to_owned()
}

/// The known name that is most like one, if one is near enough, or continues it.
pub(super) fn nearest(name: &str, known: impl Iterator<Item = String>) -> Option<String> {
    let edits = |known: &String| strsim::osa_distance(name, known);
    let most = (name.chars().count() / LETTERS_AN_EDIT).max(1);
    let continues = |known: &String| name.len() >= 4 && known.starts_with(name);
    known.filter(|known| continues(known) || edits(known) <= most).min_by_key(edits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_for_another_only_where_they_are_near() {
        for (name, remedy) in [
            ("HAILGATE_JWT_SECRT", "Did you mean HAILGATE_JWT_SECRET?"),
            ("HAILGATE_DATABASE", "Did you mean HAILGATE_DATABASE_URL?"),
            ("HAILGATE_PUBLIC_URI", "Did you mean HAILGATE_PUBLIC_URL?"),
            ("HAILGATE_LIMIT_CONTENT_CHAR", "Did you mean HAILGATE_LIMIT_CONTENT_CHARS?"),
            ("HAILGATE_CONTENT_CHARS", "Did you mean HAILGATE_LIMIT_CONTENT_CHARS?"),
            ("HAILGATE_ENVIRONMENT", "Did you mean ENVIRONMENT?"),
            ("HAILGATE_AUTH_DISABLED", "Remove it"),
            ("HAILGATE_REDIS_HOST", "Remove it"),
            ("HAILGATE_LIMIT_COFFEE", "Remove it"),
            ("HAILGATE_", "Remove it"),
        ] {
            assert!(variable(name).starts_with(remedy), "{name}: {}", variable(name));
        }
    }

    #[test]
    fn a_name_that_is_right_elsewhere_is_sent_there() {
        for (name, part, remedy) in [
            ("content_chars", Part::Top, "Put `content_chars` under [limits]."),
            ("HAILGATE_LIMIT_PAGE", Part::Top, "Put `page` under [limits]."),
            ("workers", Part::Limits, "In the file it is `workers`, above the first line in brackets."),
            ("bind", Part::Issuer, "In the file it is `bind`, above the first line in brackets."),
            ("page", Part::Issuer, "Put `page` under [limits]."),
            ("audience", Part::Top, "Put it under [[trusted_issuer]]."),
            ("HAILGATE_BIND", Part::Top, "In the file it is `bind`."),
            ("ENVIRONMENT", Part::Top, "In the file it is `environment`."),
            ("jwt_isuer", Part::Top, "Did you mean `jwt_issuer`?"),
            ("content_char", Part::Limits, "Did you mean `content_chars`?"),
            ("prefx", Part::Issuer, "Did you mean `prefix`?"),
            ("trusted_isuer", Part::Top, "Did you mean `trusted_issuer`?"),
            ("coffee", Part::Top, "Remove it"),
            ("redis_url", Part::Top, "Remove it"),
        ] {
            assert!(in_file(name, part).starts_with(remedy), "{name}: {}", in_file(name, part));
        }
    }
}
