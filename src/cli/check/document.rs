//! What `check` finds, as one document: printed as JSON, or as lines for people.

mod lines;

use std::{borrow::Cow, time::Duration};

use serde::Serialize;

use super::effects;
use crate::{
    config::{Complaint, Config, KeySource, Origin, Place, SETTINGS, TrustedIssuer},
    domain::Limits,
    http::{
        files,
        probe::{Check, Part, Report},
        stack::LAYERS,
    },
};

/// Everything, in the order in which people read it.
#[derive(Debug, Serialize)]
pub struct Document {
    pub ok: bool,
    pub exit_code: u8,
    settings: Vec<SettingLine>,
    trusted_issuers: Vec<IssuerLine>,
    limits: Vec<LimitLine>,
    stack: Vec<LayerLine>,
    probe: Option<Probe>,
    warnings: Vec<Advice>,
    refusals: Vec<Refusal>,
}

#[derive(Debug, Serialize)]
struct SettingLine {
    name: &'static str,
    variable: &'static str,
    value: String,
    origin: Source,
    effect: String,
}

/// An outside issuer as it is trusted.
#[derive(Debug, Serialize)]
struct IssuerLine {
    issuer: String,
    audience: Vec<String>,
    algorithms: Vec<String>,
    keys: String,
    keys_read: bool,
    prefix: String,
    permissions: Vec<&'static str>,
    allow_missing_typ: bool,
    origin: Source,
}

#[derive(Debug, Serialize)]
struct LimitLine {
    name: &'static str,
    variable: String,
    value: u64,
    unit: &'static str,
    origin: Source,
    meaning: &'static str,
}

#[derive(Debug, Serialize)]
struct LayerLine {
    layer: &'static str,
    does: &'static str,
}

#[derive(Debug, Serialize)]
struct Probe {
    ok: bool,
    verdict: Option<String>,
    milliseconds: u64,
    checks: Vec<CheckLine>,
}

#[derive(Debug, Serialize)]
struct CheckLine {
    part: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    credential: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    question: String,
    method: String,
    path: &'static str,
    expected: String,
    got: String,
    ok: bool,
}

/// What would be better otherwise, in words of this deployment.
#[derive(Debug, Serialize)]
struct Advice {
    setting: String,
    what: String,
    r#do: String,
}

/// What would be better otherwise; nothing fails for it.
#[derive(Debug, PartialEq, Eq)]
pub struct Warning {
    pub setting: &'static str,
    pub what: Cow<'static, str>,
    pub r#do: &'static str,
}

#[derive(Debug, Serialize)]
struct Refusal {
    what: String,
    r#where: String,
    r#do: String,
}

/// Where a value comes from.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Source {
    Default,
    Variable { name: String },
    File { path: String, line: usize },
    Flag { name: &'static str },
}

impl Source {
    fn of(place: &Place) -> Source {
        match place {
            Place::Default => Source::Default,
            Place::Variable(name) => Source::Variable { name: name.clone() },
            Place::File(path, line) => Source::File { path: path.display().to_string(), line: *line },
            Place::Flag(name) => Source::Flag { name },
        }
    }
}

impl Document {
    /// Of a configuration that is refused: it is not asked what it would do.
    pub fn refused(complaints: &[Complaint]) -> Document {
        Document {
            ok: false,
            exit_code: 78,
            settings: Vec::new(),
            trusted_issuers: Vec::new(),
            limits: Vec::new(),
            stack: stack(),
            probe: None,
            warnings: Vec::new(),
            refusals: complaints.iter().map(Refusal::of).collect(),
        }
    }

    pub fn new(config: &Config, report: &Report, took: Duration) -> Document {
        let verdict = report.verdict();
        let ok = verdict.is_none();
        Document {
            ok,
            exit_code: if ok { 0 } else { 78 },
            settings: settings(config),
            trusted_issuers: config.trusted_issuers.iter().map(IssuerLine::of).collect(),
            limits: limits(config),
            stack: stack(),
            probe: Some(Probe {
                ok,
                verdict,
                milliseconds: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
                checks: report.0.iter().map(CheckLine::of).collect(),
            }),
            warnings: Advice::all(config),
            refusals: Vec::new(),
        }
    }
}

fn stack() -> Vec<LayerLine> {
    LAYERS.iter().map(|(layer, does)| LayerLine { layer, does }).collect()
}

fn settings(config: &Config) -> Vec<SettingLine> {
    let line = |setting: &'static crate::config::Setting| {
        let Origin { value, place, .. } = config.origins.iter().find(|origin| origin.setting == setting.key)?;
        let effect = effects::effect(setting.key, config).unwrap_or_else(|| setting.meaning.to_owned());
        let (name, variable) = (setting.key, setting.variable);
        Some(SettingLine { name, variable, value: value.clone(), origin: Source::of(place), effect })
    };
    SETTINGS.iter().filter_map(line).collect()
}

fn limits(config: &Config) -> Vec<LimitLine> {
    let values = config.limits.entries();
    let line = |((name, value), (_, _, unit, meaning)): ((&'static str, u64), &(_, _, &'static str, &'static str))| {
        let key = format!("limits.{name}");
        let origin = config.origins.iter().find(|origin| origin.setting == key);
        LimitLine {
            name,
            variable: format!("HAILGATE_LIMIT_{}", name.to_uppercase()),
            value,
            unit,
            origin: origin.map_or(Source::Default, |origin| Source::of(&origin.place)),
            meaning,
        }
    };
    let table: &[(&'static str, u64, &'static str, &'static str)] = Limits::TABLE;
    values.into_iter().zip(table).map(line).collect()
}

impl Refusal {
    fn of(complaint: &Complaint) -> Refusal {
        let Complaint { what, place, remedy } = complaint.clone();
        Refusal { what, r#where: place, r#do: remedy }
    }
}

impl Advice {
    fn all(config: &Config) -> Vec<Advice> {
        let advice = |Warning { setting, what, r#do }: Warning| Advice {
            setting: setting.to_owned(),
            what: what.into_owned(),
            r#do: r#do.to_owned(),
        };
        let readable = files::readable(config).into_iter().map(|(setting, path, mode)| Advice {
            setting: setting.to_owned(),
            what: format!("Others on this machine can read {}, which holds a secret (mode {mode:o}).", path.display()),
            r#do: format!("Run: chmod 600 {}", path.display()),
        });
        effects::warnings(config).into_iter().map(advice).chain(readable).collect()
    }
}

impl IssuerLine {
    fn of(trusted: &TrustedIssuer) -> IssuerLine {
        let (keys, keys_read) = match &trusted.keys {
            KeySource::File(path) => (path.display().to_string(), true),
            KeySource::Url(url) => (url.clone(), false),
        };
        IssuerLine {
            issuer: trusted.issuer.clone(),
            audience: trusted.audience.clone(),
            algorithms: trusted.algorithms.clone(),
            keys,
            keys_read,
            prefix: trusted.prefix.clone(),
            permissions: trusted.permissions.iter().map(|permission| permission.name()).collect(),
            allow_missing_typ: trusted.allow_missing_typ,
            origin: Source::of(&trusted.place),
        }
    }
}

impl CheckLine {
    fn of(check: &Check) -> CheckLine {
        let question = &check.question;
        let (part, credential, kind) = match question.part {
            Part::Credential(credential, kind) => ("credential", Some(credential.name), Some(kind.name)),
            Part::Rule => ("rule", None, None),
            Part::Route => ("route", None, None),
        };
        CheckLine {
            part,
            credential,
            kind,
            question: question.name.clone(),
            method: question.route.method.to_uppercase(),
            path: question.route.path,
            expected: question.expected.to_string(),
            got: check.got.to_string(),
            ok: check.passed(),
        }
    }
}
