//! `check`: what it says of a configuration, and of a running server, right or wrong.

use std::{net::TcpListener, process::Output};

use serde_json::{Value, json};

use crate::{
    fake::{Asked, Reply, fake, info, problem, right},
    server::{ORIGIN, Server, Site, random},
    table::PROTECTED,
};

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&output.stdout)))
}

fn row<'a>(rows: &'a Value, field: &str, value: &str) -> &'a Value {
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
fn like(path: &str, pattern: &str) -> bool {
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

/// `check --url` with nothing in its environment.
fn outside(url: &str, more: &[&str]) -> Output {
    Site::empty().run(&[&["check", "--url", url], more].concat())
}

/// The lines of what failed.
fn failed(output: &Output) -> Vec<String> {
    text(&output.stdout).lines().filter_map(|line| line.strip_prefix("FAIL  ")).map(str::to_owned).collect()
}

#[test]
fn a_running_server_passes_every_question_from_outside() {
    let server = Server::shared();
    let url = server.url("");
    let output = outside(&url, &["--expect-environment", "testing"]);
    assert_eq!((output.status.code(), failed(&output)), (Some(0), vec![]), "{}", text(&output.stderr));
    let told = document(&outside(&url, &["--json"]));
    assert_eq!((&told["ok"], &told["reachable"], &told["exit_code"]), (&json!(true), &json!(true), &json!(0)));
    let findings = told["findings"].as_array().expect("findings");
    assert!(findings.iter().all(|finding| finding["ok"] == true && finding["do"].is_null()));
    for (question, asked, got) in [
        ("an upgrade without credentials", "GET /ws", "401 unauthenticated"),
        ("an upgrade from a foreign origin", "GET /ws", "403 foreign_origin"),
        ("an upgrade with a garbage bearer", "GET /ws", "401 bad_credentials"),
        ("an upgrade with a garbage query token", "GET /ws?token=not-a-token", "401 bad_credentials"),
        ("environment", "GET /api/system/info", "testing"),
        ("readiness", "GET /health/ready", "200"),
    ] {
        let finding = row(&told["findings"], "question", question);
        assert_eq!((&finding["asked"], &finding["got"]), (&json!(asked), &json!(got)), "{question}");
    }
    let output = outside(&url, &["--expect-environment", "staging"]);
    assert_eq!(output.status.code(), Some(78));
    assert_eq!(failed(&output), ["environment: GET /api/system/info: expected staging, got testing"]);
}

#[test]
fn every_protected_route_is_asked_and_nothing_that_could_do_harm() {
    let (url, seen) = fake(right);
    let output = outside(&url, &["--expect-environment", "production"]);
    assert_eq!((output.status.code(), failed(&output)), (Some(0), vec![]), "the fake that is all right");
    let seen = seen.lock().expect("no panic").clone();
    for (path, methods) in PROTECTED {
        let path = path.split('?').next().unwrap_or_default();
        for method in *methods {
            let asked =
                seen.iter().filter(|asked| asked.bare() && asked.method == *method && like(&asked.path, path)).count();
            assert_eq!(asked, 1, "{method} {path}");
        }
    }
    for asked in &seen {
        assert!(!asked.head.contains("\ncookie:"), "{asked:?}");
        assert!(!asked.head.contains("\ncontent-length:") || asked.head.contains("\ncontent-length: 0"), "{asked:?}");
    }
    assert!(seen.len() < 50, "{} requests", seen.len());
}

type Wrong = fn(&Asked) -> Option<Reply>;

/// What is wrong with a server, and the lines that say so.
const WRONG: &[(Wrong, &[&str])] = &[
    (
        |asked| (asked.path == "/ws" && asked.bare()).then(|| (101, "", String::new())),
        &["an upgrade without credentials: GET /ws: expected 401 unauthenticated, got 101"],
    ),
    (
        |asked| (asked.path == "/ws" && asked.head.contains("\nauthorization:")).then(|| (101, "", String::new())),
        &["an upgrade with a garbage bearer: GET /ws: expected 401 bad_credentials, got 101"],
    ),
    (
        |asked| (asked.path == "/ws" && asked.head.contains("\norigin:")).then(|| problem(401, "unauthenticated")),
        &["an upgrade from a foreign origin: GET /ws: expected 403 foreign_origin, got 401 unauthenticated"],
    ),
    (
        |asked| (asked.path == "/ws" && !asked.query.is_empty()).then(|| (400, "", String::new())),
        &["an upgrade with a garbage query token: GET /ws?token=not-a-token: expected 401 bad_credentials, got 400"],
    ),
    (
        |asked| (asked.path == "/api/messages" && asked.method != "OPTIONS").then(|| problem(404, "not_found")),
        &["GET /api/messages: expected 401 unauthenticated, got 404 not_found", "POST /api/messages: expected 401"],
    ),
    (
        // Another program's 401, without a problem document.
        |asked| asked.is("GET", "/api/threads").then(|| (401, "", "<h1>no</h1>".to_owned())),
        &["GET /api/threads: expected 401 unauthenticated, got 401"],
    ),
    (
        |asked| asked.is("GET", "/api/auth/me").then(|| (0, "", String::new())),
        &["GET /api/auth/me: expected 401 unauthenticated, got the connection ended without an answer"],
    ),
    (
        |asked| asked.is("GET", "/api/system/info").then(|| info("development")),
        &["environment: GET /api/system/info: expected production, got development"],
    ),
    (
        |asked| asked.is("GET", "/").then(|| (200, "", String::new())),
        &["content-security-policy of the page", "x-content-type-options of the page"],
    ),
    (
        |asked| {
            let headers = "server: nginx/1.22.1\r\nx-content-type-options: nosniff\r\ncontent-security-policy: frame-ancestors 'none'\r\n";
            asked.is("GET", "/").then(|| (200, headers, String::new()))
        },
        &["no version told by the page: GET /: expected none, got server: nginx/1.22.1"],
    ),
    (
        |asked| (asked.method == "OPTIONS").then(|| (204, "access-control-allow-origin: *\r\n", String::new())),
        &[
            "a preflight from a foreign origin: OPTIONS /api/messages: expected no access-control-allow-origin, got 204 with *",
        ],
    ),
    (
        |asked| asked.is("GET", "/health/ready").then(|| (503, "", String::new())),
        &["readiness: GET /health/ready: expected 200, got 503"],
    ),
];

#[test]
fn each_thing_that_is_wrong_with_a_server_fails_with_its_line_and_78() {
    for (wrong, lines) in WRONG {
        let (url, _) = fake(move |asked| wrong(asked).unwrap_or_else(|| right(asked)));
        let output = outside(&url, &["--expect-environment", "production"]);
        let failed = failed(&output);
        assert_eq!((output.status.code(), failed.len()), (Some(78), lines.len()), "{lines:?}: {failed:?}");
        assert!(failed.iter().zip(*lines).all(|(line, wanted)| line.contains(wanted)), "{lines:?}: {failed:?}");
        let told = text(&output.stdout);
        assert_eq!(told.lines().filter(|line| line.trim_start().starts_with("do: ")).count(), lines.len(), "{told}");
    }
}

#[test]
fn of_a_server_that_is_no_hailgate_there_is_one_finding_and_nothing_more_is_asked() {
    let replies: [fn() -> Reply; 4] = [
        || (200, "", "<h1>welcome</h1>".to_owned()),
        || (404, "", String::new()),
        || (302, "location: https://elsewhere.test/\r\n", String::new()),
        || (200, "content-type: application/json\r\n", json!({"name": "another"}).to_string()),
    ];
    for reply in replies {
        let (url, seen) = fake(move |_| reply());
        let output = outside(&url, &[]);
        let failed = failed(&output);
        assert_eq!((output.status.code(), failed.len()), (Some(78), 1), "{failed:?}");
        assert!(failed[0].starts_with("a Hailgate at that address: GET /api/system/info"), "{failed:?}");
        assert!(text(&output.stdout).contains("1 of 1 questions failed"), "{}", text(&output.stdout));
        assert_eq!(seen.lock().expect("no panic").len(), 1);
    }
}

#[test]
fn a_wrong_server_is_one_document_too() {
    let (url, _) = fake(|asked| if asked.path == "/ws" { (101, "", String::new()) } else { right(asked) });
    let output = outside(&url, &["--json"]);
    let told = document(&output);
    assert_eq!((output.status.code(), &told["ok"], &told["exit_code"]), (Some(78), &json!(false), &json!(78)));
    let wrong: Vec<&Value> =
        told["findings"].as_array().expect("findings").iter().filter(|finding| finding["ok"] == false).collect();
    assert_eq!(wrong.len(), 4, "{wrong:?}");
    for finding in wrong {
        assert_eq!(
            (&finding["asked"].as_str().map(|asked| &asked[..7]), &finding["got"]),
            (&Some("GET /ws"), &json!("101"))
        );
        assert!(finding["do"].as_str().is_some_and(|remedy| remedy.contains("out of service")), "{finding}");
    }
}

#[test]
fn a_server_that_cannot_be_reached_ends_with_69_and_says_why() {
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let (plain, _) = fake(right);
    // Never accepted: the system takes the connection and nobody answers.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let silent_url = format!("http://{}", silent.local_addr().expect("an address"));
    for (url, why) in [
        (format!("http://127.0.0.1:{closed}"), "nobody listens there"),
        (plain.replace("http://", "https://"), "there is no https at that port"),
        (silent_url, "no answer within 5 s"),
    ] {
        let output = outside(&url, &["--json"]);
        let told = document(&output);
        assert_eq!((output.status.code(), &told["exit_code"]), (Some(69), &json!(69)), "{url}");
        assert_eq!((&told["reachable"], &told["findings"]), (&json!(false), &json!([])), "{url}");
        assert!(told["trouble"].as_str().is_some_and(|trouble| trouble.contains(why)), "{told}");
        assert!(text(&output.stderr).contains(why), "{}", text(&output.stderr));
    }
}

#[test]
fn only_an_address_of_https_or_of_this_machine_is_asked() {
    for wrong in [
        &["--url", "http://chat.example.org"][..],
        &["--url", "chat.example.org"],
        &["--url", "ftp://localhost"],
        &["--url", "https://chat.example.org/path"],
        &["--url", "https://u:p@chat.example.org"],
        &["--url", "http://localhost.example.org"],
        &["--url", "http://127.0.0.1:1", "--expect-environment", "prod"],
        &["--url", "http://127.0.0.1:1", "--config", "x.toml"],
        &["--expect-environment", "production"],
    ] {
        let output = Site::empty().run(&[&["check"], wrong].concat());
        assert_eq!(output.status.code(), Some(2), "{wrong:?}: {}", text(&output.stderr));
    }
}
