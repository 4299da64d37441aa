//! `config`: the file that it writes, against the tables of the program; and the list of what is in force.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt};

use hailgate::{
    config::{ISSUER_FIELDS, SETTINGS},
    domain::Limits,
};

use crate::server::{PASSWORD, Site};

/// The names that stand in a file at each part, commented out or not, with their values; a name that stands twice fails.
fn entries(file: &str) -> BTreeMap<(String, String), String> {
    let (mut part, mut found) = (String::new(), BTreeMap::new());
    for line in file.lines() {
        // Prose begins with a blank behind its sign, settings do not.
        let line = line.strip_prefix('#').unwrap_or(line);
        if line.starts_with(' ') || line.is_empty() {
            continue;
        }
        if line.starts_with('[') {
            line.trim_matches(['[', ']']).clone_into(&mut part);
            continue;
        }
        let (name, value) = line.split_once(" = ").unwrap_or_else(|| panic!("no setting: {line}"));
        let before = found.insert((part.clone(), name.to_owned()), value.to_owned());
        assert_eq!(before, None, "{name} stands twice");
    }
    found
}

fn key(part: &str, name: &str) -> (String, String) {
    (part.to_owned(), name.to_owned())
}

#[test]
fn the_file_has_every_setting_once_with_the_default_of_the_table() {
    let file = Site::empty().told(&["config"], "");
    let mut entries = entries(&file);
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/config/SETTINGS.md")).expect("a page");
    for setting in SETTINGS {
        let value = entries.remove(&key("", setting.key)).unwrap_or_else(|| panic!("{} is missing", setting.key));
        let bare = value.trim_matches(['"', '[', ']']);
        let expected = if setting.default.is_empty() { setting.example } else { setting.default };
        assert_eq!(bare, expected, "{}", setting.key);
        let default = if setting.default.is_empty() { "-".to_owned() } else { format!("`{}`", setting.default) };
        assert!(page.contains(&format!("| `{}` | `{}` | {default} |", setting.variable, setting.key)), "{}", setting.key);
        assert!(file.contains(&format!("# {}: ", setting.variable)), "{}", setting.variable);
    }
    for ((name, default, unit, _), least) in Limits::TABLE.iter().zip(Limits::LEAST) {
        assert_eq!(entries.remove(&key("limits", name)), Some(default.to_string()), "{name}");
        assert!(page.contains(&format!("| `{name}` | {default} | {least} | {unit} |")), "{name}");
    }
    for (name, ..) in ISSUER_FIELDS {
        assert!(entries.remove(&key("trusted_issuer", name)).is_some(), "{name}");
    }
    assert_eq!(entries, BTreeMap::new(), "nothing else stands there");
}

#[test]
fn the_file_is_accepted_as_it_is_and_with_every_default_written_out() {
    let site = Site::with_secrets(&[]);
    let file = site.told(&["config"], "");
    let path = site.directory.path().join("hailgate.toml");
    // The prefix of a provider's users is refused where there is no provider.
    let alone = SETTINGS.iter().filter(|setting| !setting.default.is_empty() && setting.key != "oidc_prefix");
    let settings = alone.map(|setting| setting.key);
    let defaults: Vec<&str> = settings.chain(Limits::TABLE.iter().map(|(name, ..)| *name)).collect();
    let written = |line: &str| {
        let name = line.strip_prefix('#').and_then(|line| line.split(" = ").next()).unwrap_or_default();
        if defaults.contains(&name) { line[1..].to_owned() } else { line.to_owned() }
    };
    let out: Vec<String> = file.lines().map(written).collect();
    for text in [file.clone(), out.join("\n")] {
        fs::write(&path, &text).expect("a file");
        let output = site.run(&["check", "--config", "hailgate.toml"]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    }
    // The list of what is in force is the same but for where it was written.
    let values = |arguments: &[&str]| -> Vec<String> {
        let told = site.told(arguments, "");
        told.lines().map(|line| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")).collect()
    };
    assert_eq!(values(&["config", "--show"]), values(&["config", "--show", "--config", "hailgate.toml"]));
}

#[test]
fn every_example_of_the_file_is_one_that_the_program_reads() {
    let site = Site::with_secrets(&[]);
    let file = site.told(&["config"], "");
    // Secrets have no example; two keys of one kind exclude each other; files are not here.
    let skip =
        |line: &str| SETTINGS.iter().any(|setting| setting.secret && line.starts_with(&format!("#{} =", setting.key)));
    let text: Vec<&str> = file
        .lines()
        .filter(|line| !skip(line))
        .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line))
        .collect();
    let path = site.directory.path().join("hailgate.toml");
    fs::write(&path, text.join("\n")).expect("a file");
    let output = site.run(&["config", "--config", "hailgate.toml"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let told = String::from_utf8(output.stdout).expect("UTF-8");
    let issuer = told.lines().find(|line| line.starts_with("trusted_issuer")).expect("the issuer");
    assert!(issuer.contains("https://id.example.org") && issuer.contains("hailgate.toml:"), "{issuer}");
}

#[test]
fn a_written_file_has_keys_of_its_own_and_serves() {
    let site = Site::empty();
    let output = site.run(&["config", "--write", "hailgate.toml"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("hailgate check --config hailgate.toml"), "{said}");
    let path = site.directory.path().join("hailgate.toml");
    assert_eq!(path.metadata().expect("a file").permissions().mode() & 0o777, 0o600);
    let keys = |path: &std::path::Path| -> Vec<String> {
        let text = fs::read_to_string(path).expect("a file");
        let set = text.lines().filter(|line| line.contains(" = ") && !line.starts_with('#'));
        set.map(str::to_owned).collect()
    };
    let own = keys(&path);
    assert_eq!(
        own.iter().map(|line| line.split(' ').next().unwrap_or("")).collect::<Vec<_>>(),
        ["jwt_secret", "session_key"]
    );
    assert_eq!(site.run(&["check", "--config", "hailgate.toml"]).status.code(), Some(0));
    let added = site.run_with(&["user", "add", "alice", "--password-stdin", "--config", "hailgate.toml"], PASSWORD);
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    assert!(!site.told(&["token", "--user", "alice", "--config", "hailgate.toml"], "").is_empty());
    // It is never written over.
    let again = site.run(&["config", "--write", "hailgate.toml"]);
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("exists and stays"), "nothing is overwritten");
    assert_eq!(keys(&path), own);
    site.told(&["config", "--write", "other.toml"], "");
    assert_ne!(keys(&site.directory.path().join("other.toml")), own, "keys are fresh each time");
    assert_eq!(site.run(&["config", "--write", "no/such/place.toml"]).status.code(), Some(1));
}

#[test]
fn the_list_is_there_without_keys_and_database_and_names_each_wrong_line() {
    let mut site = Site::empty();
    let output = site.run(&["config", "--show"]);
    assert_eq!(output.status.code(), Some(78), "keys are missing");
    assert!(String::from_utf8_lossy(&output.stderr).contains("HAILGATE_SESSION_KEY is missing"));
    let path = site.directory.path().join("wrong.toml");
    let text = "bind = \"nonsense\"\njwt_secret = \"hunter2\"\ncoffee = 1\nworkers = 3\n[limits]\npage = \"10s\"\n";
    fs::write(&path, text).expect("a file");
    let secret = "postgres://user:hunter2@db/x";
    site.variables = vec![
        ("HAILGATE_LIMIT_POLL_MS".to_owned(), "1234".to_owned()),
        ("HAILGATE_DATABASE_URL".to_owned(), secret.to_owned()),
        ("HAILGATE_ALLOWED_ORIGINS".to_owned(), "https://user:hunter2@a.example".to_owned()),
    ];
    let output = site.run(&["config", "--show", "--config", "wrong.toml"]);
    assert_eq!(output.status.code(), Some(78));
    let (told, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let rows: Vec<Vec<&str>> = told.lines().map(|line| line.split_whitespace().collect()).collect();
    for row in [
        &["bind", "nonsense", "wrong.toml:1"][..],
        &["workers", "3", "wrong.toml:4"],
        &["limits.page", "10s", "wrong.toml:6"],
        &["limits.poll_ms", "1234", "variable", "HAILGATE_LIMIT_POLL_MS"],
        &["log_format", "text", "default"],
    ] {
        assert!(rows.iter().any(|found| found == row), "{row:?} in {told}");
    }
    for line in ["wrong.toml:1", "wrong.toml:2", "wrong.toml:3", "wrong.toml:6"] {
        assert!(said.contains(line), "{line} in {said}");
    }
    assert!(!told.contains("hunter2") && !said.contains("hunter2"), "secrets are masked: {told} {said}");
    assert_eq!(rows.len(), SETTINGS.len() + Limits::TABLE.len());
    assert_eq!(fs::read_dir(site.directory.path()).expect("a directory").count(), 1, "nothing was made");
}
