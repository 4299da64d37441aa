//! White space and control characters around the value of every setting, wherever it is written.

use std::{ffi::OsString, fmt::Write as _, fs};

use super::{Complaint, Config, SETTINGS, Setting, Shape, Sources};
use crate::domain::Limits;

const JWT: &str = "kq3vX0yZr8mT5wB2nC7dF4gH6jL9pQ1s";
const PEM: &str = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----";

fn session_key() -> String {
    hex::encode((0..64u8).map(|byte| byte.wrapping_mul(37).wrapping_add(11)).collect::<Vec<_>>())
}

/// A value that each setting can have. A new setting needs a line here.
fn sample(key: &str) -> String {
    let text = match key {
        "environment" => "testing",
        "bind" => "127.0.0.1:9",
        "tls_cert" => "/etc/my certificates/a.pem",
        "tls_key" => "/etc/a.key",
        "database_url" => "sqlite:///var/lib/a.db",
        "sqlite_synchronous" => "normal",
        "jwt_secret" => JWT,
        "jwt_private_key" => PEM,
        "jwt_issuer" | "jwt_audience" => "our chat",
        "session_key" => return session_key(),
        "public_url" => "https://chat.example.org",
        "oidc_issuer" => "https://id.example.org",
        "oidc_client_id" => "client-1",
        "oidc_client_secret" => "hunter2hunter2",
        "oidc_name" => "Our Provider",
        "oidc_prefix" => "corp",
        "allowed_origins" => "https://a.example.org,https://b.example.org",
        "create_users" => "on",
        "query_tokens" => "off",
        "trusted_proxies" => "10.0.0.0/8,192.0.2.1",
        "log_format" => "json",
        "workers" => "12",
        _ => panic!("{key} has no sample"),
    };
    text.to_owned()
}

/// What a setting cannot be without.
fn companions(key: &str) -> Vec<&'static str> {
    let own = if key == "jwt_private_key" { None } else { Some("jwt_secret") };
    let more: &[&str] = match key {
        "tls_cert" => &["tls_key"],
        "tls_key" => &["tls_cert"],
        _ if key.starts_with("oidc_") => &["public_url", "oidc_issuer", "oidc_client_id"],
        _ => &[],
    };
    own.into_iter().chain(["session_key"]).chain(more.iter().copied()).filter(|other| *other != key).collect()
}

fn variable(key: &str) -> &'static str {
    SETTINGS.iter().find(|setting| setting.key == key).expect("a setting").variable
}

/// The configuration with this value of one setting, as a variable.
fn by_variable(setting: &Setting, value: &str) -> Result<Config, Vec<Complaint>> {
    let companions = companions(setting.key).into_iter().map(|key| (variable(key), sample(key)));
    let variables = companions.chain([(setting.variable, value.to_owned())]);
    let variables = variables.map(|(name, value)| (OsString::from(name), OsString::from(value))).collect();
    Config::load(&Sources { variables, ..Sources::default() })
}

/// The same, in a file.
fn by_file(setting: &Setting, value: &str) -> Result<Config, Vec<Complaint>> {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("hailgate.toml");
    let quoted = |value: &str| toml::Value::from(value).to_string();
    let mut text = format!("{} = {}\n", setting.key, quoted(value));
    for key in companions(setting.key) {
        writeln!(text, "{key} = {}", quoted(&sample(key))).expect("memory");
    }
    fs::write(&path, text).expect("a file");
    // The path is part of what is told: it must be the same each time.
    Config::load(&Sources { config: Some(path.clone()), ..Sources::default() }).map(|config| Config {
        private_key_file: None,
        tls: None,
        origins: Vec::new(),
        ..config
    })
}

fn said(complaints: &[Complaint]) -> String {
    complaints.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn white_space_around_every_setting_changes_nothing() {
    for setting in SETTINGS {
        let value = sample(setting.key);
        for load in [by_variable, by_file] {
            let plain = load(setting, &value).unwrap_or_else(|complaints| panic!("{}", said(&complaints)));
            for dressed in [format!("{value}\n"), format!("{value}\r\n"), format!(" \t{value} "), format!("\n{value}")] {
                let loaded = load(setting, &dressed);
                if setting.shape == Shape::Exact {
                    assert!(loaded.is_err(), "{}: only the exact name counts", setting.key);
                    continue;
                }
                let loaded = loaded.unwrap_or_else(|complaints| panic!("{}: {}", setting.key, said(&complaints)));
                // A secret shows its length.
                assert_eq!(format!("{loaded:?}"), format!("{plain:?}"), "{} {dressed:?}", setting.key);
            }
        }
    }
}

#[test]
fn a_character_that_cannot_be_meant_is_refused_with_the_name_of_the_setting_and_without_its_value() {
    for setting in SETTINGS.iter().filter(|setting| setting.shape != Shape::Exact) {
        let value = sample(setting.key);
        let inside = |c: char| format!("{}{c}{}", &value[..1], &value[1..]);
        let mut wrong =
            vec![inside('\0'), inside('\u{1b}'), inside('\u{9f}'), format!("{value}\u{feff}"), format!("\u{a0}{value}")];
        if setting.shape != Shape::Block {
            wrong.extend([inside('\n'), inside('\t'), inside('\r')]);
        }
        if matches!(setting.shape, Shape::Word | Shape::Words) {
            wrong.extend([inside(' '), inside('\u{200b}')]);
        }
        for wrong in wrong {
            for (load, name) in [(by_variable as fn(&_, &_) -> _, setting.variable), (by_file, setting.key)] {
                let complaints = load(setting, &wrong).expect_err(&format!("{name} {wrong:?}"));
                let text = said(&complaints);
                assert!(complaints[0].what.contains(name) && complaints[0].what.contains("U+"), "{wrong:?}: {text}");
                assert!(!setting.secret || !text.contains(&value[1..]), "{name}: {text}");
            }
        }
    }
}

#[test]
fn white_space_around_limits_flags_and_what_the_platform_sets_changes_nothing() {
    let load = |name: &str, value: &str, bind: Option<&str>| {
        let own = [("HAILGATE_JWT_SECRET", JWT.to_owned()), ("HAILGATE_SESSION_KEY", session_key())];
        let own = own.into_iter().chain([("HAILGATE_BIND", "0.0.0.0:80".to_owned()), (name, value.to_owned())]);
        let variables = own.map(|(name, value)| (OsString::from(name), OsString::from(value))).collect();
        Config::load(&Sources { variables, bind: bind.map(str::to_owned), ..Sources::default() })
    };
    for (name, default, ..) in Limits::TABLE {
        let variable = format!("HAILGATE_LIMIT_{}", name.to_uppercase());
        let limits = load(&variable, &format!(" {default}\n"), None).expect("a limit").limits;
        assert_eq!(limits, Limits::default(), "{name}");
        let complaints = load(&variable, &format!("1\n{default}"), None).expect_err("a line feed");
        assert!(said(&complaints).contains(&format!("{variable} has a line feed (U+000A)")), "{}", said(&complaints));
    }
    assert_eq!(load("PORT", "9000\n", None).expect("a port").bind.port(), 9_000);
    assert!(said(&load("PORT", "90 00", None).expect_err("a space")).contains("PORT has a space"));
    let state = |text: &str| load("STATE_DIRECTORY", text, None).map(|config| config.database);
    assert_eq!(state("/var/lib/h\n"), state("/var/lib/h"));
    assert!(said(&state("/var/lib/\u{1}h").expect_err("a control")).contains("STATE_DIRECTORY has a control character"));
    assert_eq!(load("PORT", "80", Some(" 127.0.0.1:7\n")).expect("a flag").bind.port(), 7);
    assert!(said(&load("PORT", "80", Some("127.0.0.1:\n7")).expect_err("a flag")).contains("--bind has a line feed"));
}

#[test]
fn white_space_around_the_fields_of_an_issuer_changes_nothing() {
    let load = |issuer: &str, keys: &str, prefix: &str| {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("hailgate.toml");
        let quoted = |value: &str| toml::Value::from(value).to_string();
        let text = format!(
            "session_key = {}\n[[trusted_issuer]]\nissuer = {}\naudience = [{}]\nalgorithms = [\"RS256\\n\"]\nkeys = {}\nprefix = {}\n",
            quoted(&session_key()),
            quoted(issuer),
            quoted(" chat\n"),
            quoted(keys),
            quoted(prefix)
        );
        fs::write(&path, text).expect("a file");
        Config::load(&Sources { config: Some(path), ..Sources::default() }).map(|config| config.trusted_issuers)
    };
    let entry = &load(" https://idp.test\n", "https://idp.test/jwks\r\n", "corp ").expect("an issuer")[0];
    assert_eq!((entry.issuer.as_str(), entry.prefix.as_str()), ("https://idp.test", "corp"));
    assert_eq!((&entry.audience[..], &entry.algorithms[..]), (&["chat".to_owned()][..], &["RS256".to_owned()][..]));
    assert!(format!("{:?}", entry.keys).contains("\"https://idp.test/jwks\""), "{:?}", entry.keys);
    for (issuer, keys, prefix, field) in [
        ("https://idp\n.test", "k.pem", "corp", "issuer"),
        ("https://idp.test", "k\u{0}.pem", "corp", "keys"),
        ("https://idp.test", "k.pem", "co rp", "prefix"),
    ] {
        let text = said(&load(issuer, keys, prefix).expect_err("a complaint"));
        assert!(text.contains(&format!("`{field}` of a `trusted_issuer` has")) && text.contains("hailgate.toml:"), "{text}");
    }
}

#[test]
fn a_database_whose_name_has_the_white_space_is_not_passed_over() {
    let directory = tempfile::tempdir().expect("a directory");
    let url = format!("sqlite://{}/h.db", directory.path().display());
    let setting = SETTINGS.iter().find(|setting| setting.key == "database_url").expect("the setting");
    let written = format!("{url}\n");
    assert_eq!(by_variable(setting, &written).expect("trimmed").database, directory.path().join("h.db"));
    fs::write(directory.path().join("h.db\n"), "").expect("a file");
    for load in [by_variable, by_file] {
        let text = said(&load(setting, &written).expect_err("two databases"));
        assert!(text.contains("there is a file whose name has it too") && text.contains("Rename that file"), "{text}");
    }
}
