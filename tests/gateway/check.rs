//! `check`: what it says of a configuration.

use std::process::Output;

use serde_json::{Value, json};

use crate::{
    server::{ORIGIN, Site, random},
    table::PROTECTED,
};

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

pub fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&output.stdout)))
}

pub fn row<'a>(rows: &'a Value, field: &str, value: &str) -> &'a Value {
    let found = rows.as_array().expect("rows").iter().find(|row| row[field] == value);
    found.unwrap_or_else(|| panic!("no {value} in {rows}"))
}

/// A site whose settings come from everywhere, with its file.
fn mixed() -> (Site, String) {
    let mut site = Site::new(&[("HAILGATE_LIMIT_PAGE", "30"), ("HAILGATE_BIND", "127.0.0.1:1"), ("ENVIRONMENT", "staging")]);
    let path = site.directory.path().join("other.toml").to_str().expect("UTF-8").to_owned();
    std::fs::write(&path, "log_format = \"json\"\nworkers = 3\n\n[limits]\npage = 20\npoll_ms = 1_234\n").expect("a file");
    site.variables.push(("HAILGATE_CONFIG".to_owned(), path.clone()));
    (site, path)
}

#[test]
fn every_setting_is_told_with_its_value_its_origin_and_its_effect() {
    let (site, path) = mixed();
    let output = site.run(&["check", "--json", "--bind", "127.0.0.1:2"]);
    let told = document(&output);
    assert_eq!((output.status.code(), &told["ok"], &told["exit_code"]), (Some(0), &json!(true), &json!(0)));
    let variable = |name: &str| json!({"kind": "variable", "name": name});
    let file = |line: u32| json!({"kind": "file", "path": path, "line": line});
    let default = json!({"kind": "default"});
    for (name, value, origin) in [
        ("environment", "staging", variable("ENVIRONMENT")),
        ("bind", "127.0.0.1:2", json!({"kind": "flag", "name": "--bind"})),
        ("database_url", site.variable("HAILGATE_DATABASE_URL"), variable("HAILGATE_DATABASE_URL")),
        ("jwt_secret", "(set, 64 characters)", variable("HAILGATE_JWT_SECRET")),
        ("session_key", "(set, 128 characters)", variable("HAILGATE_SESSION_KEY")),
        ("jwt_issuer", "hailgate", default.clone()),
        ("public_url", ORIGIN, variable("HAILGATE_PUBLIC_URL")),
        ("allowed_origins", "(not set)", default.clone()),
        ("create_users", "off", default.clone()),
        ("query_tokens", "on", default.clone()),
        ("log_format", "json", file(1)),
        ("workers", "3", file(2)),
    ] {
        let setting = row(&told["settings"], "name", name);
        assert_eq!((&setting["value"], &setting["origin"]), (&json!(value), &origin), "{name}");
        assert!(setting["effect"].as_str().is_some_and(|effect| effect.len() > 10), "{setting}");
    }
    let limit = |name| row(&told["limits"], "name", name).clone();
    let page = json!({"name": "page", "variable": "HAILGATE_LIMIT_PAGE", "value": 30, "unit": "rows",
        "origin": variable("HAILGATE_LIMIT_PAGE"), "meaning": "largest page of a list"});
    assert_eq!(limit("page"), page);
    assert_eq!((&limit("poll_ms")["value"], &limit("poll_ms")["origin"]), (&json!(1234), &file(6)));
    assert_eq!((&limit("hashes")["value"], &limit("hashes")["origin"]), (&json!(4), &default));
    let effect = |name| row(&told["settings"], "name", name)["effect"].as_str().expect("text").to_owned();
    assert!(effect("environment").contains("Secure cookies") && effect("environment").contains("no sign-in links"));
    assert!(effect("query_tokens").contains("recommended off in production"));
}

#[test]
fn stack_probe_and_recommendations_are_told_apart_from_refusals() {
    let site = Site::with_secrets(&[]);
    let told = document(&site.run(&["check", "--json"]));
    let layers: Vec<&str> =
        told["stack"].as_array().expect("layers").iter().filter_map(|layer| layer["layer"].as_str()).collect();
    let place = |name| layers.iter().position(|layer| *layer == name).unwrap_or_else(|| panic!("{name} in {layers:?}"));
    assert!(["telemetry", "session", "witness", "identity", "auth context"].map(place).is_sorted(), "{layers:?}");
    assert_eq!((&told["probe"]["ok"], &told["probe"]["verdict"]), (&json!(true), &Value::Null));
    let checks = told["probe"]["checks"].as_array().expect("checks");
    assert!(checks.iter().all(|check| check["ok"] == true), "{checks:?}");
    for (credential, kind, got) in [
        ("right session", "upgrade", "101"),
        ("right bearer", "reading", "200"),
        ("no credentials", "upgrade", "401"),
        ("tampered session", "changing", "401"),
        ("bearer without signature", "reading", "401"),
        ("bearer of another key", "public", "200"),
    ] {
        let of = |check: &&Value| check["credential"] == credential && check["kind"] == kind;
        assert_eq!(checks.iter().find(of).expect(credential)["got"], got, "{credential} at {kind}");
    }
    for (path, methods) in PROTECTED {
        let path = path.split('?').next().unwrap_or_default();
        let asked = |method: &str| {
            let of = |check: &&Value| {
                check["part"] == "route" && check["method"] == method && like(check["path"].as_str().unwrap_or(""), path)
            };
            checks.iter().find(of).unwrap_or_else(|| panic!("{method} {path}"))["got"].clone()
        };
        assert!(methods.iter().all(|method| asked(method) == "401"), "{path}");
    }
    let warned: Vec<&str> =
        told["warnings"].as_array().expect("warnings").iter().filter_map(|warning| warning["setting"].as_str()).collect();
    assert_eq!(warned, ["query_tokens", "public_url"]);
    assert_eq!(told["refusals"], json!([]));
}

/// Whether a path is one of a pattern whose ids are ID or a name.
pub fn like(path: &str, pattern: &str) -> bool {
    let parts = |path: &str| path.split('/').map(str::to_owned).collect::<Vec<_>>();
    let (path, pattern) = (parts(path), parts(pattern));
    let same = |(part, wanted): (&String, &String)| part == wanted || wanted == "ID" || wanted == "bob";
    path.len() == pattern.len() && path.iter().zip(&pattern).all(same)
}

#[test]
fn what_check_tells_fits_a_hundred_columns() {
    let told = Site::with_secrets(&[("HAILGATE_BIND", "0.0.0.0:80")]).told(&["check"], "");
    for line in told.lines().filter(|line| !line.contains("sqlite://")) {
        assert!(line.chars().count() <= 100, "{line}");
    }
    assert!(!told.contains("default"), "where nothing is written, no place is told");
}

#[test]
fn the_probe_is_of_the_configured_query_tokens() {
    for (setting, status) in [("on", "101"), ("off", "401")] {
        let told = document(&Site::with_secrets(&[("HAILGATE_QUERY_TOKENS", setting)]).run(&["check", "--json"]));
        let checks = told["probe"]["checks"].as_array().expect("checks");
        let of = |check: &&Value| check["credential"] == "right query token" && check["kind"] == "upgrade";
        let check = checks.iter().find(of).expect("a check");
        assert_eq!((&check["expected"], &check["got"]), (&json!(status), &json!(status)), "{setting}");
    }
}

#[test]
fn a_refused_configuration_is_one_document_too_and_exits_with_78() {
    let short = random(20);
    let site = Site::new(&[("HAILGATE_JWT_SECRET", &short), ("HAILGATE_WORKERS", "many"), ("ENVIRONMENT", "prod")]);
    let output = site.run(&["check", "--json"]);
    let told = document(&output);
    assert_eq!((output.status.code(), &told["ok"], &told["exit_code"]), (Some(78), &json!(false), &json!(78)));
    assert_eq!(told["refusals"].as_array().map(Vec::len), Some(3), "{}", told["refusals"]);
    for part in ["HAILGATE_JWT_SECRET", "HAILGATE_WORKERS", "ENVIRONMENT"] {
        let refusal = row(&told["refusals"], "where", &format!("variable {part}"));
        assert!(["what", "do"].iter().all(|field| refusal[field].as_str().is_some_and(|text| text.len() > 10)), "{refusal}");
    }
    assert_eq!((&told["probe"], &told["settings"]), (&Value::Null, &json!([])), "nothing is there to be asked");
    assert!(!text(&output.stdout).contains(&short) && output.stderr.is_empty(), "{}", text(&output.stderr));
}

#[test]
fn check_tells_no_secret_and_writes_nothing() {
    let (site, _) = mixed();
    let files = || {
        let entries = std::fs::read_dir(site.directory.path()).expect("a directory");
        let mut names: Vec<_> = entries.map(|entry| entry.expect("an entry").file_name()).collect();
        names.sort();
        names
    };
    let before = files();
    for arguments in [&["check"][..], &["check", "--json"]] {
        let output = site.run(arguments);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let said = text(&output.stdout) + &text(&output.stderr);
        for secret in ["HAILGATE_JWT_SECRET", "HAILGATE_SESSION_KEY"].map(|name| site.variable(name)) {
            assert!(!said.contains(secret) && !said.contains(&secret[..12]), "{arguments:?}");
        }
    }
    assert_eq!(files(), before);
}
