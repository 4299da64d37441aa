//! `ENVIRONMENT`, value by value: four texts and nothing at all are an environment, everything else is a complaint.

use std::{collections::BTreeSet, ffi::OsString};

use super::{Complaint, Config, Environment, Sources};

const NAMES: [&str; 4] = ["production", "staging", "testing", "development"];

fn load(variables: &[(&str, &str)]) -> Result<Config, Vec<Complaint>> {
    let key = hex::encode((0..64u8).map(|byte| byte.wrapping_mul(37).wrapping_add(11)).collect::<Vec<_>>());
    let own = [("HAILGATE_JWT_SECRET", "kq3vX0yZr8mT5wB2nC7dF4gH6jL9pQ1s"), ("HAILGATE_SESSION_KEY", key.as_str())];
    let variables = own.iter().chain(variables).map(|(name, value)| (OsString::from(name), OsString::from(value))).collect();
    Config::load(&Sources { variables, ..Sources::default() })
}

/// Every way to write a name with some letters in upper case.
fn other_cases(name: &str) -> Vec<String> {
    let upper = |mask: usize, at: usize, c: char| if mask >> at & 1 == 1 { c.to_ascii_uppercase() } else { c };
    let spelt = |mask: usize| name.chars().enumerate().map(|(at, c)| upper(mask, at, c)).collect();
    (1..1 << name.len()).map(spelt).collect()
}

/// A letter left out, doubled, exchanged with the next, or another in its place.
fn typos(name: &str) -> Vec<String> {
    let letters: Vec<char> = name.chars().collect();
    let mut typos = vec![format!("{name}s"), format!("{name}{name}"), letters.iter().rev().collect()];
    for at in 0..letters.len() {
        let (before, after) = (&name[..at], &name[at + 1..]);
        typos.push(format!("{before}{after}"));
        typos.push(format!("{before}{}{}{after}", letters[at], letters[at]));
        typos.push(format!("{before}x{after}"));
        typos.push(before.to_owned());
        if let Some(next) = letters.get(at + 1).filter(|next| **next != letters[at]) {
            typos.push(format!("{before}{next}{}{}", letters[at], &after[1..]));
        }
    }
    typos
}

/// Blanks, controls, quotes and marks: in front, behind, around and inside.
fn dressed(name: &str) -> Vec<String> {
    let blanks = " \t\n\r\u{b}\u{c}\u{a0}\u{2003}\u{200b}\u{feff}\u{3000}\u{ad}\u{301}\u{202e}".chars();
    let controls = ('\u{1}'..='\u{1f}').chain('\u{7f}'..='\u{9f}');
    let marks = "\"'`;,.:=#/\\-_+*()[]{}<>$%&|!?@~^01".chars();
    let around = blanks.chain(controls).chain(marks).collect::<BTreeSet<char>>();
    let (start, end) = name.split_at(name.len() / 2);
    around
        .iter()
        .flat_map(|c| [format!("{c}{name}"), format!("{name}{c}"), format!("{c}{name}{c}"), format!("{start}{c}{end}")])
        .collect()
}

/// Letters of other alphabets that look the same.
fn look_alikes(name: &str) -> Vec<String> {
    let pairs = [
        ('o', "\u{43e}"),
        ('o', "\u{3bf}"),
        ('o', "0"),
        ('p', "\u{440}"),
        ('e', "\u{435}"),
        ('c', "\u{441}"),
        ('a', "\u{430}"),
        ('i', "\u{456}"),
        ('i', "\u{131}"),
        ('i', "1"),
        ('d', "\u{501}"),
        ('s', "\u{455}"),
        ('g', "\u{261}"),
        ('l', "1"),
        ('l', "\u{4cf}"),
        ('t', "\u{3c4}"),
        ('n', "\u{578}"),
        ('v', "\u{3bd}"),
        ('m', "rn"),
        ('u', "\u{3c5}"),
        ('e', "e\u{301}"),
    ];
    let mut alike: Vec<String> =
        pairs.iter().filter(|(c, _)| name.contains(*c)).map(|(c, other)| name.replacen(*c, other, 1)).collect();
    let wide = |c: char| char::from_u32(u32::from(c) - u32::from('a') + 0xff41).expect("a letter");
    alike.push(name.chars().map(wide).collect());
    alike
}

/// What people, scripts and tools write when they mean something else.
const OTHERS: &[&str] = &[
    "",
    "prod",
    "PROD",
    "prd",
    "live",
    "release",
    "main",
    "master",
    "default",
    "dev",
    "DEV",
    "devel",
    "develop",
    "develoment",
    "local",
    "localhost",
    "stage",
    "stg",
    "preprod",
    "pre-production",
    "uat",
    "qa",
    "test",
    "tests",
    "TEST",
    "ci",
    "sandbox",
    "demo",
    "debug",
    "none",
    "None",
    "null",
    "NULL",
    "nil",
    "undefined",
    "unset",
    "true",
    "false",
    "yes",
    "no",
    "on",
    "off",
    "0",
    "1",
    "-1",
    "2",
    "3.14",
    "1e9",
    "NaN",
    "0x01",
    "production,development",
    "production development",
    "production;development",
    "production/development",
    "production|staging",
    "ENVIRONMENT=production",
    "=production",
    "${ENVIRONMENT}",
    "$ENVIRONMENT",
    "%ENVIRONMENT%",
    "{{environment}}",
    "<environment>",
    "\"\"",
    "''",
    "\\n",
    "*",
    "?",
    ".",
    "..",
    "/",
    "../production",
    "产品",
    "製品",
    "продакшн",
    "παραγωγή",
    "إنتاج",
    "🚀",
    "production\u{1f680}",
    "ｐroduction",
];

#[test]
fn four_texts_and_unset_are_an_environment_and_every_other_value_is_a_complaint_that_names_the_variable() {
    assert_eq!(load(&[]).expect("unset is production").environment, Environment::Production);
    for (name, environment) in NAMES.into_iter().zip(Environment::ALL) {
        assert_eq!(load(&[("ENVIRONMENT", name)]).expect("exact").environment, environment);
    }
    let mut values: BTreeSet<String> = OTHERS.iter().map(|text| (*text).to_owned()).collect();
    for name in NAMES {
        values.extend([other_cases(name), typos(name), dressed(name), look_alikes(name)].into_iter().flatten());
    }
    assert!(values.len() > 4_000, "{} values", values.len());
    for value in &values {
        let refused = load(&[("ENVIRONMENT", value)]).map(|config| config.environment);
        let complaints = refused.expect_err(&format!("{value:?} is no environment"));
        let said: Vec<String> = complaints.iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), 1, "{value:?}: {said:?}");
        assert!(said[0].contains("variable ENVIRONMENT") && said[0].contains("exactly production"), "{value:?}: {said:?}");
        assert!(!said[0].chars().any(|c| c.is_control() && c != '\n'), "{value:?} is shown escaped: {said:?}");
    }
}

#[test]
fn development_on_any_address_that_is_not_loopback_is_a_complaint() {
    let open = [
        "0.0.0.0",
        "[::]",
        "10.0.0.1",
        "192.168.1.1",
        "172.17.0.1",
        "169.254.1.1",
        "100.64.0.1",
        "8.8.8.8",
        "126.255.255.255",
        "128.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "[::2]",
        "[fe80::1]",
        "[fc00::1]",
        "[2001:db8::1]",
        "[ff02::1]",
        "[::ffff:10.0.0.1]",
        "[::ffff:127.0.0.1]",
    ];
    for address in open {
        for port in ["0", "8080"] {
            let bind = format!("{address}:{port}");
            let complaints = load(&[("ENVIRONMENT", "development"), ("HAILGATE_BIND", &bind)]).expect_err(&bind);
            let said: Vec<String> = complaints.iter().map(ToString::to_string).collect();
            assert!(said.len() == 1 && said[0].contains("open to others") && said[0].contains("ENVIRONMENT"), "{said:?}");
            for environment in &NAMES[..3] {
                assert!(load(&[("ENVIRONMENT", environment), ("HAILGATE_BIND", &bind)]).is_ok(), "{environment} {bind}");
            }
        }
    }
    for bind in ["127.0.0.1:0", "127.0.0.1:8080", "127.255.255.254:1", "[::1]:8080"] {
        assert!(load(&[("ENVIRONMENT", "development"), ("HAILGATE_BIND", bind)]).is_ok(), "{bind}");
    }
}
