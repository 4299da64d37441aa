//! A configuration file to begin with: every setting and limit once, as a comment with its default and what it means.

use std::fmt::Write as _;

use super::{
    ISSUER_FIELDS, SETTINGS, Setting, Shape, issuers,
    read::{CONFIG_VARIABLE, LIMIT_PREFIX},
};
use crate::domain::Limits;

/// Columns of a comment.
const WIDTH: usize = 100;

/// The text of the file. Settings in `values` are set; all others stand there as comments, so that their defaults are in force.
pub fn template(values: &[(&str, String)]) -> String {
    let mut text = String::new();
    text += &comment(&format!(
        "Configuration of hailgate {}. A line that begins with `#` and a name shows a default or an example: to set it, \
         remove the `#` and change the value. Above each stand its variable and what it means. Variables win over this file, flags over variables. Use it by `--config FILE` or {CONFIG_VARIABLE}; \
         `hailgate check --config FILE` judges it and says what each value does.",
        env!("CARGO_PKG_VERSION")
    ));
    for setting in SETTINGS {
        let example = if setting.default.is_empty() { no_default(setting) } else { "" };
        text += "\n";
        text += &comment(&format!("{}: {}{example}", setting.variable, setting.meaning));
        let given = values.iter().find(|(key, _)| *key == setting.key).map(|(_, value)| value.as_str());
        let shown = given.unwrap_or(if setting.default.is_empty() { setting.example } else { setting.default });
        let sign = if given.is_some() { "" } else { "#" };
        _ = writeln!(text, "{sign}{} = {}", setting.key, value(setting, shown));
    }
    text += "\n";
    text += &comment(&format!("Limits. Each is also a variable: {LIMIT_PREFIX} and its name in capitals."));
    text += "[limits]\n";
    for ((name, default, unit, meaning), least) in Limits::TABLE.iter().zip(Limits::LEAST) {
        text += &comment(&format!("{meaning} ({unit}, {least} or more)"));
        _ = writeln!(text, "#{name} = {default}");
    }
    text += "\n";
    text += &comment("Issuers of tokens beside this server's own: one such table each, in this file alone.");
    _ = writeln!(text, "#[[{}]]", issuers::TABLE);
    for (name, required, meaning, example) in ISSUER_FIELDS {
        let needed = if *required { "" } else { " (may be left out)" };
        text += &comment(&format!("{meaning}{needed}"));
        _ = writeln!(text, "#{name} = {example}");
    }
    text
}

/// What to say about a setting without a default.
fn no_default(setting: &Setting) -> &'static str {
    match setting.key {
        "jwt_secret" => " (make one: openssl rand -base64 48)",
        "jwt_private_key" => " (make one: openssl genpkey -algorithm ed25519)",
        "session_key" => " (make one: openssl rand -hex 64)",
        _ if setting.secret => "",
        _ => " (an example: not set by default)",
    }
}

/// A value in TOML.
fn value(setting: &Setting, text: &str) -> String {
    let quoted = |text: &str| toml::Value::from(text).to_string();
    match setting.shape {
        Shape::Words => format!("[{}]", text.split(',').map(quoted).collect::<Vec<_>>().join(", ")),
        _ if text.parse::<u32>().is_ok() => text.to_owned(),
        _ => quoted(text),
    }
}

/// Lines of a comment.
fn comment(text: &str) -> String {
    let (mut lines, mut line) = (String::new(), "#".to_owned());
    for word in text.split(' ') {
        if line.len() + 1 + word.len() > WIDTH {
            lines += &line;
            lines += "\n";
            "#".clone_into(&mut line);
        }
        line += " ";
        line += word;
    }
    lines + &line + "\n"
}
