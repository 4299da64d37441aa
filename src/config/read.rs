//! What was written: file, then variables, then flags; each value with its place. Unknown names are refused with
//! the nearest known one.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
};

use toml::de::{DeTable, DeValue};

use super::{
    Complaint, Place, SETTINGS,
    issuers::{self, WrittenIssuer},
    names::{self, Part},
};
use crate::domain::Limits;

/// Where to look.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// The environment.
    pub variables: Vec<(OsString, OsString)>,
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--bind`.
    pub bind: Option<String>,
}

/// A value as it was written.
#[derive(Debug, Clone)]
pub(super) struct Written {
    pub text: String,
    pub place: Place,
}

/// Every value that was written somewhere.
#[derive(Debug, Default)]
pub(super) struct Values {
    pub settings: BTreeMap<&'static str, Written>,
    pub limits: BTreeMap<&'static str, Written>,
    pub trusted_issuers: Vec<WrittenIssuer>,
    pub state_directory: Option<PathBuf>,
    pub port: Option<Written>,
}

/// What the variable of every limit begins with.
pub(super) const LIMIT_PREFIX: &str = "HAILGATE_LIMIT_";

pub(super) fn read(sources: &Sources) -> Result<Values, Vec<Complaint>> {
    let (mut values, mut complaints) = (Values::default(), Vec::new());
    let named = |name: &str| sources.variables.iter().find(|(variable, _)| variable == name).map(|(_, value)| value);
    let file = sources.config.clone().or_else(|| named("HAILGATE_CONFIG").map(PathBuf::from));
    if let Some(path) = &file {
        read_file(path, &mut values, &mut complaints);
    }
    // systemd may give several, colon-separated; the first is ours.
    let state = named("STATE_DIRECTORY").and_then(|dirs| dirs.to_str()?.split(':').next().map(PathBuf::from));
    values.state_directory = state.filter(|path| path.is_absolute());
    let port = named("PORT").and_then(|port| port.to_str());
    values.port = port.map(|text| Written { text: text.to_owned(), place: Place::Variable("PORT".to_owned()) });
    for (name, value) in &sources.variables {
        if let Some(name) = name.to_str() {
            read_variable(name, value, &mut values, &mut complaints);
        }
    }
    if let Some(bind) = &sources.bind {
        values.settings.insert("bind", Written { text: bind.clone(), place: Place::Flag("--bind") });
    }
    if complaints.is_empty() { Ok(values) } else { Err(complaints) }
}

fn read_variable(name: &str, value: &OsString, values: &mut Values, complaints: &mut Vec<Complaint>) {
    let place = Place::Variable(name.to_owned());
    let limit = name.strip_prefix(LIMIT_PREFIX).map(str::to_lowercase);
    let limit = limit.and_then(|limit| Limits::TABLE.iter().find(|(known, ..)| *known == limit));
    let setting = SETTINGS.iter().find(|setting| setting.variable == name);
    if setting.is_none() && limit.is_none() {
        // Kubernetes puts the last three into pods.
        let ignored = name == "HAILGATE_CONFIG"
            || name == "HAILGATE_PORT"
            || name.starts_with("HAILGATE_PORT_")
            || name.starts_with("HAILGATE_SERVICE_");
        if name.starts_with("HAILGATE_") && !ignored {
            complaints.push(Complaint::new(format!("There is no setting {name}."), &place, names::variable(name)));
        }
        return;
    }
    let Some(text) = value.to_str() else {
        complaints.push(Complaint::new(format!("The value of {name} is not UTF-8."), &place, "Write it as text."));
        return;
    };
    let written = Written { text: text.to_owned(), place };
    if let Some(setting) = setting {
        values.settings.insert(setting.key, written);
    } else if let Some((limit, ..)) = limit {
        values.limits.insert(limit, written);
    }
}

fn read_file(path: &Path, values: &mut Values, complaints: &mut Vec<Complaint>) {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            let what = format!("The configuration file cannot be read: {error}.");
            complaints.push(Complaint::new(what, &path.display(), "Check its name and who may read it."));
            return;
        }
    };
    let line = |at: usize| text[..at.min(text.len())].bytes().filter(|byte| *byte == b'\n').count() + 1;
    let table = match DeTable::parse(&text) {
        Ok(table) => table,
        Err(error) => {
            let place = Place::File(path.to_owned(), line(error.span().map_or(0, |span| span.start)));
            let what = format!("The configuration file is not TOML: {}.", error.message());
            complaints.push(Complaint::new(what, &place, "Mend that line."));
            return;
        }
    };
    let place = |at: usize| Place::File(path.to_owned(), line(at));
    for (key, value) in table.get_ref() {
        let name = key.get_ref().as_ref();
        if name == "limits"
            && let DeValue::Table(limits) = value.get_ref()
        {
            for (key, value) in limits {
                let known = Limits::TABLE.iter().map(|(limit, ..)| *limit);
                note(
                    key.get_ref(),
                    value.get_ref(),
                    place(key.span().start),
                    known,
                    Part::Limits,
                    &mut values.limits,
                    complaints,
                );
            }
            continue;
        }
        if name == issuers::TABLE {
            let whole = place(key.span().start);
            values.trusted_issuers = issuers::read(value.get_ref(), &whole, place, complaints);
            continue;
        }
        let known = SETTINGS.iter().map(|setting| setting.key);
        note(name, value.get_ref(), place(key.span().start), known, Part::Top, &mut values.settings, complaints);
    }
}

/// Keeps one value of the file, or complains.
fn note(
    name: &str,
    value: &DeValue<'_>,
    place: Place,
    mut known: impl Iterator<Item = &'static str>,
    part: Part,
    into: &mut BTreeMap<&'static str, Written>,
    complaints: &mut Vec<Complaint>,
) {
    let Some(key) = known.find(|key| *key == name) else {
        let what = format!("There is no setting `{name}` there.");
        complaints.push(Complaint::new(what, &place, names::in_file(name, part)));
        return;
    };
    if let Some(text) = text(value) {
        into.insert(key, Written { text, place });
    } else {
        let what = format!("`{name}` has a value of the wrong kind.");
        complaints.push(Complaint::new(what, &place, "Write text, a number, true or false, or a list of texts."));
    }
}

fn text(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.clone().into_owned()),
        DeValue::Integer(number) => Some(number.as_str().replace('_', "")),
        DeValue::Boolean(flag) => Some(flag.to_string()),
        DeValue::Array(items) => {
            let items: Option<Vec<String>> = items.iter().map(|item| text(item.get_ref())).collect();
            Some(items?.join(","))
        }
        _ => None,
    }
}
