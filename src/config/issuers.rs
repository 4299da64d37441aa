//! Whose tokens are taken: the own key, and `[[trusted_issuer]]` of the configuration file.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use toml::de::{DeTable, DeValue};

use super::{
    Complaint, Origin, Place, Secret,
    check::{Checker, SECRET_BYTES_MIN, WRITE_KEYS},
    names,
    text::{self, Shape},
};
use crate::domain::Permission;

/// The name of such an entry in the file.
pub(super) const TABLE: &str = "trusted_issuer";

/// The own issuer's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OwnKey {
    /// There is none: tokens of outside issuers are verified, and none is signed.
    None,
    /// Secrets, newest first: the first signs, all verify.
    Secrets(Vec<Secret>),
    /// A private key in PEM.
    PrivateKey(Secret),
}

/// Where an outside issuer's keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A file: PEM, JWK or JWK Set.
    File(PathBuf),
    /// The address of a JWK Set.
    Url(String),
}

/// An outside issuer as it was written. Its keys and algorithms are judged by those who know keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedIssuer {
    /// `iss`.
    pub issuer: String,
    /// `aud`: one of these.
    pub audience: Vec<String>,
    /// Names of algorithms.
    pub algorithms: Vec<String>,
    /// Its keys.
    pub keys: KeySource,
    /// What stands before `:` in the names of its users.
    pub prefix: String,
    /// Which permissions its tokens may give.
    pub permissions: Vec<Permission>,
    /// Whether its tokens may come without `typ`.
    pub allow_missing_typ: bool,
    /// Where it is written.
    pub place: Place,
    /// Where its name is written.
    pub issuer_place: Place,
    /// Where its keys are named: what is wrong with them is told with this.
    pub keys_place: Place,
    /// Where its algorithms are named.
    pub algorithms_place: Place,
}

/// Fields of `[[trusted_issuer]]`, whether each must be there, what it means, and a value to begin with, in TOML.
pub const ISSUER_FIELDS: &[(&str, bool, &str, &str)] = &[
    ("issuer", true, "`iss` of its tokens, exactly", "\"https://id.example.org\""),
    ("audience", true, "`aud` of its tokens: a text, or a list of which one must be named", "\"chat\""),
    ("algorithms", true, "a list like [\"RS256\"]", "[\"RS256\"]"),
    (
        "keys",
        true,
        "the path of a PEM, JWK or JWK Set file, or the https address of a JWK Set",
        "\"https://id.example.org/jwks\"",
    ),
    ("prefix", true, "what stands before `:` in the names of its users, like \"corp\"", "\"corp\""),
    ("permissions", false, "a list of the permissions that its tokens may give", "[]"),
    ("allow_missing_typ", false, "true, if its tokens may come without `typ`", "false"),
];

/// An entry of the file, value by value.
#[derive(Debug)]
pub(super) struct WrittenIssuer {
    place: Place,
    fields: BTreeMap<&'static str, (Vec<String>, Place)>,
}

impl WrittenIssuer {
    /// Its name and where it begins, for a list of what is written.
    pub(super) fn origin(&self) -> Origin {
        let value = self.list("issuer").first().cloned().unwrap_or_else(|| "(no issuer)".to_owned());
        Origin { setting: TABLE.to_owned(), value, place: self.place.clone() }
    }
}

/// Reads `[[trusted_issuer]]`.
pub(super) fn read(
    value: &DeValue<'_>,
    whole: &Place,
    place: impl Fn(usize) -> Place,
    complaints: &mut Vec<Complaint>,
) -> Vec<WrittenIssuer> {
    let mut entries = Vec::new();
    let items = if let DeValue::Array(items) = value { &items[..] } else { &[] };
    for item in items {
        if let DeValue::Table(table) = item.get_ref() {
            entries.push(read_entry(table, place(item.span().start), &place, complaints));
        }
    }
    if entries.len() != items.len() || entries.is_empty() {
        let what = format!("`{TABLE}` is no list of tables.");
        complaints.push(Complaint::new(what, whole, format!("Begin each issuer with a line [[{TABLE}]].")));
    }
    entries
}

fn read_entry(
    table: &DeTable<'_>,
    at: Place,
    place: impl Fn(usize) -> Place,
    complaints: &mut Vec<Complaint>,
) -> WrittenIssuer {
    let mut fields = BTreeMap::new();
    for (key, value) in table {
        let (name, place) = (key.get_ref().as_ref(), place(key.span().start));
        let Some((known, _, meaning, _)) = ISSUER_FIELDS.iter().find(|(known, ..)| *known == name) else {
            let remedy = names::in_file(name, names::Part::Issuer);
            complaints.push(Complaint::new(format!("`{TABLE}` has no `{name}`."), &place, remedy));
            continue;
        };
        let list = matches!(*known, "audience" | "algorithms" | "permissions");
        let texts = match value.get_ref() {
            DeValue::String(text) if *known != "allow_missing_typ" => Some(vec![text.to_string()]),
            DeValue::Boolean(flag) if *known == "allow_missing_typ" => Some(vec![flag.to_string()]),
            DeValue::Array(items) if list => items.iter().map(|item| item.get_ref().as_str().map(str::to_owned)).collect(),
            _ => None,
        };
        let shape = if matches!(*known, "issuer" | "audience" | "keys") { Shape::Line } else { Shape::Word };
        let texts: Option<Result<Vec<String>, String>> =
            texts.map(|texts| texts.iter().map(|text| text::clean(text, shape)).collect());
        match texts.filter(|texts| texts.as_ref().map_or(true, |texts| texts.iter().all(|text| !text.is_empty()))) {
            Some(Ok(texts)) => _ = fields.insert(*known, (texts, place)),
            Some(Err(what)) => {
                complaints.push(Complaint::new(format!("`{known}` of a `{TABLE}` {what}."), &place, text::REMEDY));
            }
            None => complaints.push(Complaint::new(
                format!("`{known}` of a `{TABLE}` has a value of the wrong kind."),
                &place,
                format!("Write {meaning}."),
            )),
        }
    }
    WrittenIssuer { place: at, fields }
}

impl WrittenIssuer {
    fn judge(&self, complaints: &mut Vec<Complaint>) -> Option<TrustedIssuer> {
        let before = complaints.len();
        for (name, required, meaning, _) in ISSUER_FIELDS {
            if *required && self.list(name).is_empty() {
                let what = format!("A `{TABLE}` has no `{name}`.");
                complaints.push(Complaint::new(what, self.place(name), format!("Write {name} = {meaning}.")));
            }
        }
        let mut permissions = Vec::new();
        for name in self.list("permissions") {
            if let Some(permission) = Permission::named(name) {
                permissions.push(permission);
            } else {
                let known: Vec<&str> = Permission::ALL.iter().map(|permission| permission.name()).collect();
                let what = format!("There is no permission {name:?}.");
                complaints.push(Complaint::new(
                    what,
                    self.place("permissions"),
                    format!("Write some of: {}.", known.join(", ")),
                ));
            }
        }
        if complaints.len() > before {
            return None;
        }
        let text = |name| self.list(name).first().cloned().unwrap_or_default();
        let keys = text("keys");
        let keys = if keys.contains("://") {
            KeySource::Url(keys)
        } else {
            let file = if let Place::File(file, _) = &self.place { file.as_path() } else { Path::new("") };
            KeySource::File(beside(file, &keys))
        };
        Some(TrustedIssuer {
            issuer: text("issuer"),
            audience: self.list("audience").to_vec(),
            algorithms: self.list("algorithms").to_vec(),
            keys,
            prefix: text("prefix"),
            permissions,
            allow_missing_typ: text("allow_missing_typ") == "true",
            place: self.place.clone(),
            issuer_place: self.place("issuer").clone(),
            keys_place: self.place("keys").clone(),
            algorithms_place: self.place("algorithms").clone(),
        })
    }

    fn list(&self, name: &str) -> &[String] {
        self.fields.get(name).map(|(texts, _)| texts.as_slice()).unwrap_or_default()
    }

    fn place(&self, name: &str) -> &Place {
        self.fields.get(name).map_or(&self.place, |(_, place)| place)
    }
}

/// A path as it is written in a file: one that is not absolute begins in the file's directory.
pub(super) fn beside(file: &Path, path: &str) -> PathBuf {
    file.parent().unwrap_or(Path::new("")).join(path)
}

/// Whether a text is a key itself, and not the path of one.
pub(super) fn is_pem(text: &str) -> bool {
    text.contains("-----BEGIN ")
}

impl Checker<'_> {
    /// The own key and the outside issuers. One of the two there must be.
    pub(super) fn issuers(&mut self) -> (Option<OwnKey>, Vec<TrustedIssuer>) {
        let mut complaints = Vec::new();
        let written = &self.values.trusted_issuers;
        let trusted = written.iter().filter_map(|entry| entry.judge(&mut complaints)).collect();
        let nobody = written.is_empty();
        self.complaints.append(&mut complaints);
        (self.own_key(nobody), trusted)
    }

    pub(super) fn own_key(&mut self, nobody_else: bool) -> Option<OwnKey> {
        let remedy = "Set it to 32 random bytes or more, for example the output of: openssl rand -base64 48";
        match (self.written("jwt_secret").is_some(), self.written("jwt_private_key").is_some()) {
            (true, true) => {
                let what = "HAILGATE_JWT_SECRET and HAILGATE_JWT_PRIVATE_KEY are both set.";
                self.complain("jwt_private_key", what, "Keep the one that signs your tokens and remove the other.");
                None
            }
            (true, false) => self.jwt_secrets(remedy),
            (false, true) => self.jwt_private_key(),
            (false, false) if nobody_else => {
                let what = "HAILGATE_JWT_SECRET is missing: tokens cannot be verified without it.";
                self.complain("jwt_secret", what, format!("{remedy}. {WRITE_KEYS}"));
                None
            }
            (false, false) => Some(OwnKey::None),
        }
    }

    fn jwt_secrets(&mut self, remedy: &str) -> Option<OwnKey> {
        let text = self.text("jwt_secret");
        let mut secrets: Vec<Secret> = Vec::new();
        let count = text.split(',').count();
        for (place, secret) in text.split(',').enumerate() {
            let secret = secret.trim();
            let name = match count {
                1 => "HAILGATE_JWT_SECRET".to_owned(),
                _ => format!("HAILGATE_JWT_SECRET, secret {} of {count} (commas separate secrets),", place + 1),
            };
            self.weigh("jwt_secret", &name, secret.as_bytes(), remedy)?;
            let secret = Secret(secret.as_bytes().to_vec());
            if secrets.contains(&secret) {
                self.complain("jwt_secret", "HAILGATE_JWT_SECRET holds a secret twice.", "Remove one of them.");
                return None;
            }
            secrets.push(secret);
        }
        Some(OwnKey::Secrets(secrets))
    }

    fn jwt_private_key(&mut self) -> Option<OwnKey> {
        let text = self.text("jwt_private_key");
        let Some(path) = self.private_key_file() else {
            // Some tools can write a value in one line only.
            let lines = if text.contains('\n') { text } else { text.replace("\\n", "\n") };
            return Some(OwnKey::PrivateKey(Secret(lines.trim_end().as_bytes().to_vec())));
        };
        match std::fs::read(&path) {
            Ok(pem) => Some(OwnKey::PrivateKey(Secret(pem))),
            Err(error) => {
                // The text is not repeated: it may be a key that lacks its first line.
                let what = format!("The file that HAILGATE_JWT_PRIVATE_KEY names cannot be read: {error}.");
                self.complain("jwt_private_key", what, "Write a key in PEM, or the path of a PEM file.");
                None
            }
        }
    }

    /// The file that holds the private key, where it is written as a path.
    pub(super) fn private_key_file(&self) -> Option<PathBuf> {
        let written = self.written("jwt_private_key").filter(|written| !is_pem(&written.text))?;
        Some(match &written.place {
            Place::File(file, _) => beside(file, &written.text),
            _ => PathBuf::from(&written.text),
        })
    }

    /// A secret that also seals cookies would be known to whoever verifies tokens with it.
    pub(super) fn secrets_differ(&mut self, own: Option<&OwnKey>, session: Option<&[Secret]>) {
        let Some(OwnKey::Secrets(secrets)) = own else { return };
        let Some(session) = session else { return };
        let written = self.written("session_key").map_or("", |written| &written.text);
        let same = |secret: &Secret| {
            session.contains(secret) || written.split(',').any(|key| key.trim().as_bytes() == secret.bytes())
        };
        if secrets.iter().any(same) {
            self.complain("session_key", "HAILGATE_SESSION_KEY and HAILGATE_JWT_SECRET are the same.", "Make two of them.");
        }
    }
}

const _: () = assert!(SECRET_BYTES_MIN == 32, "the words above say 32 bytes");
