//! What was written: file, then variables, then flags; each value with its place. Unknown names are refused with
//! the nearest known one.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

use toml::de::{DeTable, DeValue};

use super::{
    Complaint, Place, SETTINGS, Setting,
    issuers::{self, WrittenIssuer},
    kubernetes,
    names::{self, Part},
    text::{self, Shape},
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

/// The variable that names the configuration file.
pub const CONFIG_VARIABLE: &str = "HAILGATE_CONFIG";
/// What the variable of every limit begins with.
pub const LIMIT_PREFIX: &str = "HAILGATE_LIMIT_";

/// What was written, as far as it can be read, and what is wrong with the rest.
pub(super) fn read(sources: &Sources) -> (Values, Vec<Complaint>) {
    let (mut values, mut complaints) = (Values::default(), Vec::new());
    let named = |name: &str| sources.variables.iter().find(|(variable, _)| variable == name).map(|(_, value)| value);
    let flag = sources.config.clone().map(|path| (path, Place::Flag("--config")));
    let variable = || named(CONFIG_VARIABLE).map(|path| (PathBuf::from(path), Place::Variable(CONFIG_VARIABLE.to_owned())));
    if let Some((path, place)) = flag.or_else(variable) {
        match text::clean_path(path) {
            Ok(path) => read_file(&path, &mut values, &mut complaints),
            Err(what) => complaints.push(Complaint::new(format!("{place} {what}."), &place, text::REMEDY)),
        }
    }
    let mut of_platform = |name: &str, shape| {
        let written = value_of(name, named(name)?, shape);
        written.map_err(|complaint| complaints.push(complaint)).ok()
    };
    // systemd may give several, colon-separated; the first is ours.
    let state = of_platform("STATE_DIRECTORY", Shape::Line);
    let state = state.and_then(|dirs| dirs.text.split(':').next().map(PathBuf::from));
    values.state_directory = state.filter(|path| path.is_absolute());
    values.port = of_platform("PORT", Shape::Word);
    for (name, value) in &sources.variables {
        if let Some(name) = name.to_str() {
            read_variable(name, value, &mut values, &mut complaints);
        }
    }
    if let Some(bind) = &sources.bind {
        match written("--bind", bind, Shape::Word, Place::Flag("--bind")) {
            Ok(bind) => _ = values.settings.insert("bind", bind),
            Err(complaint) => complaints.push(complaint),
        }
    }
    (values, complaints)
}

/// A value without the white space around it, or a complaint about what stands in it.
fn written(name: &str, text: &str, shape: Shape, place: Place) -> Result<Written, Complaint> {
    match text::clean(text, shape) {
        Ok(text) => Ok(Written { text, place }),
        Err(what) => Err(Complaint::new(format!("{name} {what}."), &place, text::REMEDY)),
    }
}

/// The value of a variable.
fn value_of(name: &str, value: &OsStr, shape: Shape) -> Result<Written, Complaint> {
    let place = Place::Variable(name.to_owned());
    let Some(text) = value.to_str() else {
        return Err(Complaint::new(format!("The value of {name} is not UTF-8."), &place, "Write it as text."));
    };
    written(name, text, shape, place)
}

/// The value of a setting.
fn setting_of(setting: &Setting, name: &str, text: &str, place: Place) -> Result<Written, Complaint> {
    let found = written(name, text, setting.shape, place)?;
    if setting.key == "database_url" && text::names_another_database(text, &found.text) {
        let what = format!("{name} has white space at an end, and there is a file whose name has it too.");
        let remedy = "Rename that file if it is the database, then write the address without the white space.";
        return Err(Complaint::new(what, &found.place, remedy));
    }
    Ok(found)
}

fn read_variable(name: &str, value: &OsString, values: &mut Values, complaints: &mut Vec<Complaint>) {
    let place = Place::Variable(name.to_owned());
    let limit = name.strip_prefix(LIMIT_PREFIX).map(str::to_lowercase);
    let limit = limit.and_then(|limit| Limits::TABLE.iter().find(|(known, ..)| *known == limit));
    let setting = SETTINGS.iter().find(|setting| setting.variable == name);
    if setting.is_none() && limit.is_none() {
        let ignored = name == CONFIG_VARIABLE || kubernetes::is_of_a_service(name, value);
        if name.starts_with("HAILGATE_") && !ignored {
            complaints.push(Complaint::new(format!("There is no setting {name}."), &place, names::variable(name)));
        }
        return;
    }
    let found = match setting {
        Some(setting) => value
            .to_str()
            .map_or_else(|| value_of(name, value, setting.shape), |text| setting_of(setting, name, text, place)),
        None => value_of(name, value, Shape::Word),
    };
    match (found, setting, limit) {
        (Ok(written), Some(setting), _) => _ = values.settings.insert(setting.key, written),
        (Ok(written), None, Some((limit, ..))) => _ = values.limits.insert(limit, written),
        (Ok(_), None, None) => {}
        (Err(complaint), ..) => complaints.push(complaint),
    }
}

/// What to do about a file that cannot be read.
fn unread(path: &Path, error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => {
            format!("Check its name, or make one: hailgate config --write {}", path.display())
        }
        std::io::ErrorKind::IsADirectory => "Name the file in it.".to_owned(),
        std::io::ErrorKind::PermissionDenied => "Let this user read it, with chown or chmod.".to_owned(),
        _ => "Check its name and who may read it.".to_owned(),
    }
}

fn read_file(path: &Path, values: &mut Values, complaints: &mut Vec<Complaint>) {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            let what = format!("The configuration file cannot be read: {error}.");
            complaints.push(Complaint::new(what, &path.display(), unread(path, &error)));
            return;
        }
    };
    let line = |at: usize| text[..at.min(text.len())].bytes().filter(|byte| *byte == b'\n').count() + 1;
    let table = match DeTable::parse(&text) {
        Ok(table) => table,
        Err(error) => {
            let place = Place::File(path.to_owned(), line(error.span().map_or(0, |span| span.start)));
            let what = format!("The configuration file is not TOML: {}.", error.message());
            complaints.push(Complaint::new(
                what,
                &place,
                "Mend that line: text stands in quotes, numbers do not. `hailgate config` prints a file to compare with.",
            ));
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
        let setting = SETTINGS.iter().find(|setting| part == Part::Top && setting.key == key);
        let name = format!("`{key}`");
        let found = match setting {
            Some(setting) => setting_of(setting, &name, &text, place),
            None => written(&name, &text, Shape::Word, place),
        };
        match found {
            Ok(written) => _ = into.insert(key, written),
            Err(complaint) => complaints.push(complaint),
        }
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
