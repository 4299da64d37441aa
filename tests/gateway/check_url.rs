//! `check --url`: what it says of a running server, right or wrong.

use std::{net::TcpListener, process::Output};

use serde_json::{Value, json};

use crate::{
    check::{document, like, row, text},
    fake::{Asked, Reply, arrived, fake, info, problem, right},
    server::{ORIGIN, Server, Site},
    table::PROTECTED,
};

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
    let own = ["--origin", ORIGIN];
    let output = outside(&url, &[&own[..], &["--expect-environment", "testing"]].concat());
    assert_eq!((output.status.code(), failed(&output)), (Some(0), vec![]), "{}", text(&output.stderr));
    let told = document(&outside(&url, &[&own[..], &["--json"]].concat()));
    assert_eq!((&told["ok"], &told["reachable"], &told["exit_code"]), (&json!(true), &json!(true), &json!(0)));
    let findings = told["findings"].as_array().expect("findings");
    assert!(findings.iter().all(|finding| finding["ok"] == true && finding["do"].is_null()));
    for (question, asked, got) in [
        ("an upgrade without credentials", "GET /ws", "401 unauthenticated"),
        ("an upgrade from a foreign origin", "GET /ws", "403 foreign_origin"),
        ("an upgrade with a garbage bearer", "GET /ws", "401 bad_credentials"),
        ("an upgrade without credentials, as it reaches the server", "GET /ws", "an upgrade"),
        ("the client's address of an upgrade without credentials", "GET /ws", "no X-Forwarded-For"),
        (
            "the client's address of an upgrade with a forged address",
            "GET /ws",
            "X-Forwarded-For of a proxy that is not trusted",
        ),
        ("the cookie of an upgrade with a cookie", "GET /ws", "a cookie"),
        ("an upgrade with a garbage query token", "GET /ws?token=not-a-token", "401 bad_credentials"),
        ("environment", "GET /api/system/info", "testing"),
        ("readiness", "GET /health/ready", "200"),
    ] {
        let finding = row(&told["findings"], "question", question);
        assert_eq!((&finding["asked"], &finding["got"]), (&json!(asked), &json!(got)), "{question}");
    }
    let output = outside(&url, &["--expect-environment", "staging", "--origin", "none"]);
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
        assert!(!asked.head.replace("\ncookie: hailgate-check=1", "").contains("\ncookie:"), "{asked:?}");
        let body = asked.head.contains("\ncontent-length:") && !asked.head.contains("\ncontent-length: 0");
        assert_eq!(body, asked.is("POST", "/api/auth/login"), "{asked:?}");
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
        // What a proxy that drops `Upgrade` makes of an upgrade: 401 comes before 426.
        |asked| {
            let how = json!({"http": "1.1", "tls": false, "upgrade": false, "upgrade_fault": "No.", "forwarded": "trusted"});
            (asked.path == "/ws" && asked.bare()).then(|| arrived(asked, how))
        },
        &["an upgrade without credentials, as it reaches the server: GET /ws: expected an upgrade, got an ordinary request"],
    ),
    (
        |asked| {
            let how = json!({"http": "1.1", "tls": false, "upgrade": true, "forwarded": "ignored"});
            (asked.path == "/ws" && asked.bare()).then(|| arrived(asked, how))
        },
        &["the client's address of an upgrade without credentials: GET /ws: expected passed on by a proxy that is trusted"],
    ),
    (
        |asked| {
            let how = json!({"http": "1.1", "tls": false, "upgrade": true, "forwarded": "forged"});
            asked.head.contains("\nx-forwarded-for:").then(|| arrived(asked, how))
        },
        &["the client's address of an upgrade with a forged address: GET /ws: expected not the one that the client wrote"],
    ),
    (
        // One of an earlier version.
        |asked| (asked.path == "/ws" && asked.bare()).then(|| problem(401, "unauthenticated")),
        &[
            "an upgrade without credentials, as it reaches the server: GET /ws: expected an upgrade, got 401 unauthenticated, which \
             does not say how it arrived",
            "the client's address of an upgrade without credentials: GET /ws: expected passed on",
        ],
    ),
    (
        |asked| asked.head.contains("\norigin: http://127.0.0.1").then(|| problem(403, "foreign_origin")),
        &["an upgrade from the own origin: GET /ws: expected 401 unauthenticated, got 403 foreign_origin"],
    ),
    (
        |asked| asked.is("POST", "/api/auth/login").then(|| (413, "", String::new())),
        &["a login of as many blanks as a body may have: POST /api/auth/login: expected 400 invalid, got 413"],
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
    assert_eq!(wrong.len(), 7, "{wrong:?}");
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
