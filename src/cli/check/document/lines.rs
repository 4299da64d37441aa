//! The document for people: columns as wide as their longest name, and lines that fit a terminal of 100 columns.

use super::{Advice, Document, IssuerLine, LayerLine, LimitLine, Probe, SettingLine, Source};
use crate::http::probe::{CREDENTIALS, Check, KINDS, Part, Report};

/// Columns of a line, where no single word is longer.
const COLUMNS: usize = 100;

impl Source {
    /// Where a value was written; nothing where it was not.
    fn words(&self) -> Option<String> {
        match self {
            Source::Default => None,
            Source::Variable { name } => Some(format!("variable {name}")),
            Source::File { path, line } => Some(format!("{path}:{line}")),
            Source::Flag { name } => Some(format!("flag {name}")),
        }
    }

    /// With a value before it.
    fn after(&self, value: &str) -> String {
        self.words().map_or_else(|| value.to_owned(), |words| format!("{value}  ({words})"))
    }
}

/// As wide as the longest of these names.
fn widest<'a>(names: impl Iterator<Item = &'a str>) -> usize {
    names.map(|name| name.chars().count()).max().unwrap_or(0)
}

/// A name, and a text beside it on as many lines as it needs.
fn row(width: usize, name: &str, text: &str) -> Vec<String> {
    let indent = width + 4;
    let mut lines = vec![format!("  {name:<width$} ")];
    let mut begun = false;
    for word in text.split(' ') {
        let line = lines.last().map_or(0, |line| line.chars().count());
        if begun && line + 1 + word.chars().count() > COLUMNS {
            lines.push(" ".repeat(indent - 1));
        }
        begun = true;
        if let Some(line) = lines.last_mut() {
            line.push(' ');
            line.push_str(word);
        }
    }
    lines.into_iter().map(|line| line.trim_end().to_owned()).collect()
}

impl Document {
    /// Everything that was found.
    pub fn lines(&self, report: &Report) -> Vec<String> {
        let mut lines = self.settings();
        lines.extend(self.trusted_issuers.iter().flat_map(IssuerLine::lines));
        lines.extend(self.limits());
        lines.extend(self.stack());
        lines.extend(table(report));
        if let Some(Probe { verdict, checks, milliseconds, .. }) = &self.probe {
            let passed = || format!("{} checks passed in {milliseconds} ms", checks.len());
            lines.push(format!("  {}", verdict.clone().unwrap_or_else(passed)));
        }
        if !self.warnings.is_empty() {
            lines.push("\nrecommended".to_owned());
        }
        let width = widest(self.warnings.iter().map(|advice| advice.setting.as_str()));
        for Advice { setting, what, r#do } in &self.warnings {
            lines.extend(row(width, setting, what));
            lines.extend(row(width, "", &format!("do: {do}")));
        }
        lines
    }

    fn settings(&self) -> Vec<String> {
        let mut lines = vec!["settings".to_owned()];
        let width = widest(self.settings.iter().map(|setting| setting.name));
        for SettingLine { name, variable, value, origin, effect } in &self.settings {
            let value = if value == "(not set)" { format!("(not set: {variable})") } else { origin.after(value) };
            lines.extend(row(width, name, &value));
            lines.extend(row(width, "", effect));
        }
        lines
    }

    fn limits(&self) -> Vec<String> {
        let mut lines = vec!["\nlimits, each HAILGATE_LIMIT_<NAME>".to_owned()];
        let width = widest(self.limits.iter().map(|limit| limit.name));
        for LimitLine { name, value, unit, origin, meaning, .. } in &self.limits {
            lines.extend(row(width, name, &origin.after(&format!("{value} {unit}"))));
            lines.extend(row(width, "", meaning));
        }
        lines
    }

    fn stack(&self) -> Vec<String> {
        let drawn: Vec<&str> = self.stack.iter().map(|line| line.layer).chain(["routes"]).collect();
        let mut lines = vec!["\nstack, as a request meets it".to_owned(), format!("  {}", drawn.join(" -> "))];
        let width = widest(drawn.into_iter());
        lines.extend(self.stack.iter().flat_map(|LayerLine { layer, does }| row(width, layer, does)));
        lines.extend(row(width, "routes", "handlers, by the table of routes"));
        lines
    }
}

impl IssuerLine {
    fn lines(&self) -> Vec<String> {
        let read = if self.keys_read { "read, and good" } else { "an address: not fetched by this check" };
        let permissions = match self.permissions.as_slice() {
            [] => "none beyond a member's rights".to_owned(),
            some => some.join(", "),
        };
        let rows = [
            ("audience", self.audience.join(", or ")),
            ("algorithms", self.algorithms.join(", ")),
            ("keys", format!("{} ({read})", self.keys)),
            ("users", format!("{}:...", self.prefix)),
            ("permissions", permissions),
            (
                "typ",
                if self.allow_missing_typ {
                    "may be missing"
                } else {
                    "must be at+jwt or JWT (with or without `application/`)"
                }
                .to_owned(),
            ),
        ];
        let width = widest(rows.iter().map(|(name, _)| *name));
        let heading = format!("\ntrusted issuer {}", self.origin.after(&self.issuer));
        [heading].into_iter().chain(rows.iter().flat_map(|(name, value)| row(width, name, value))).collect()
    }
}

/// A row a credential, a column a kind of route; then the rules and the routes.
fn table(report: &Report) -> Vec<String> {
    let verdict = |check: &Check| {
        if check.passed() { format!("ok {}", check.got) } else { format!("FAIL {}", check.got) }
    };
    let cell = |credential, kind| {
        let of = |check: &&Check| check.question.part == Part::Credential(credential, kind);
        report.0.iter().find(of).map_or_else(
            || "not asked".to_owned(),
            |check| {
                let status = verdict(check);
                // Cookies matter where the answer is wrong.
                if check.passed() { status.split(" and ").next().unwrap_or_default().to_owned() } else { status }
            },
        )
    };
    let heading = "credential, and kind of route";
    let width = widest(CREDENTIALS.iter().map(|credential| credential.name).chain([heading]));
    let cells = |name: &str, cells: Vec<String>| {
        let cells: Vec<String> = cells.iter().map(|cell| format!("{cell:<9}")).collect();
        format!("  {name:<width$}  {}", cells.join(" ").trim_end())
    };
    let mut lines = vec![
        "\nprobe: the configured limits, environment and query tokens, with keys, accounts, origins and a".to_owned(),
        "store of its own, through the very service that the port would get".to_owned(),
    ];
    lines.push(cells(heading, KINDS.iter().map(|kind| kind.name.to_owned()).collect()));
    let of = |credential| KINDS.iter().map(|kind| cell(credential, kind)).collect();
    lines.extend(CREDENTIALS.iter().map(|credential| cells(credential.name, of(credential))));
    lines.push("  (changing and stream are asked in a wrong way: 415 and 400 say that the credentials were".to_owned());
    lines.push("  taken)".to_owned());
    for (heading, part) in [("rule", Part::Rule), ("route, without credentials", Part::Route)] {
        lines.push(format!("  {heading}"));
        let found: Vec<(&str, &Check)> = report
            .0
            .iter()
            .filter(|check| check.question.part == part)
            .map(|check| (check.question.name.trim_start_matches("route "), check))
            .collect();
        let width = widest(found.iter().map(|(name, _)| *name)) + 2;
        lines.extend(found.iter().flat_map(|(name, check)| row(width, &format!("  {name}"), &verdict(check))));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_goes_on_below_itself_and_a_long_word_stands_alone() {
        assert_eq!(row(4, "name", "one two"), ["  name  one two"]);
        let words = ["word"; 40].join(" ");
        let lines = row(4, "name", &words);
        assert!(lines.len() > 1 && lines.iter().all(|line| line.chars().count() <= COLUMNS), "{lines:?}");
        assert!(lines[1..].iter().all(|line| line.starts_with("        word")), "{lines:?}");
        let long = "x".repeat(120);
        assert_eq!(row(1, "a", &format!("b {long} c")), ["  a  b".to_owned(), format!("     {long}"), "     c".to_owned()]);
    }
}
