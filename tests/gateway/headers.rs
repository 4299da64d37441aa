//! What answers carry: headers that protect a browser, on every route and every answer, and what pages of other
//! origins may read.

use reqwest::Method;
use serde_json::json;

use crate::{
    answer::{Answer, ask},
    people::{Proof, client, upgrade},
    server::{ORIGIN, PASSWORD, Server},
    table::{PROTECTED, PUBLIC},
};

/// On every answer.
const ALL: &[(&str, &str)] = &[
    ("x-content-type-options", "nosniff"),
    ("cross-origin-resource-policy", "same-origin"),
    ("strict-transport-security", "max-age=31536000"),
];

/// On every answer but scripts and styles, which obey the page that loads them.
const SHOWN: &[(&str, &str)] = &[
    ("content-security-policy", "default-src 'none'"),
    ("content-security-policy", "frame-ancestors 'none'"),
    ("referrer-policy", "no-referrer"),
];

/// On what a browser shows as a page or runs as a worker.
const DOCUMENT: &[(&str, &str)] = &[
    ("content-security-policy", "script-src 'self'"),
    ("content-security-policy", "require-trusted-types-for 'script'"),
    ("cross-origin-opener-policy", "same-origin"),
    ("permissions-policy", "camera=()"),
    ("permissions-policy", "microphone=()"),
    ("permissions-policy", "geolocation=()"),
];

#[track_caller]
fn protects(answer: &Answer, what: &str) {
    let kind = answer.header("content-type");
    let file = kind.starts_with("text/javascript") || kind.starts_with("text/css");
    let document = kind.starts_with("text/html") || kind == "image/svg+xml";
    let shown: &[_] = if file { &[] } else { SHOWN };
    let own: &[_] = if document { DOCUMENT } else { &[] };
    for (name, part) in ALL.iter().chain(shown).chain(own) {
        assert!(answer.header(name).contains(part), "{what}: {name} is {:?}", answer.header(name));
    }
    assert_eq!(answer.header("x-request-id").len(), 36, "{what}");
    assert!(!answer.header("permissions-policy").contains('*'), "{what}");
    if !document {
        assert_eq!([answer.header("permissions-policy"), answer.header("cross-origin-opener-policy")], [""; 2], "{what}");
    }
    if file {
        assert_eq!(answer.header("content-security-policy"), "", "{what}");
    }
}

#[tokio::test]
async fn an_answer_that_says_unchanged_carries_the_rules_of_what_it_stands_for() {
    let server = Server::shared();
    for path in ["/", "/favicon.ico", "/static/icon.svg", "/static/worker.js", "/static/page.js"] {
        let whole = server.nobody().get(path).await;
        let request = server.nobody().request(Method::GET, path).header("If-None-Match", "*");
        let unchanged = ask(request).await;
        unchanged.empty(304);
        // A browser puts them in place of those that it has kept.
        for name in ["content-security-policy", "permissions-policy", "cross-origin-opener-policy", "referrer-policy"] {
            assert_eq!(unchanged.header(name), whole.header(name), "{path}: {name}");
        }
    }
    let worker = server.nobody().get("/static/worker.js").await;
    assert!(worker.header("content-security-policy").contains("connect-src 'self'"), "a worker obeys its own rules");
}

/// Every header by which a browser lets pages of other origins read an answer.
fn crossing(answer: &Answer) -> Vec<(&str, &str)> {
    let all = answer.headers.iter().filter(|(name, _)| name.as_str().starts_with("access-control-"));
    let mut found: Vec<_> = all.map(|(name, value)| (name.as_str(), value.to_str().expect("text"))).collect();
    found.sort_unstable();
    found
}

/// An answer that a page of this origin may read, and no other.
#[track_caller]
fn open_to(answer: &Answer, origin: &str, what: &str) {
    let found = crossing(answer);
    assert!(found.contains(&("access-control-allow-origin", origin)), "{what}: {found:?}");
    assert!(found.contains(&("access-control-allow-credentials", "true")), "{what}: {found:?}");
    assert!(found.iter().all(|(_, value)| !value.contains('*')), "{what}: {found:?}");
    let shown = answer.header("access-control-expose-headers").to_lowercase();
    assert!(shown.contains("retry-after") && shown.contains("x-request-id"), "{what}: {found:?}");
    assert!(answer.varies_by("origin"), "{what}");
}

#[tokio::test]
async fn every_route_answers_with_the_headers_that_protect_and_opens_to_allowed_origins_alone() {
    let server = Server::new(&[("HAILGATE_ALLOWED_ORIGINS", "https://other.test"), ("HAILGATE_LIMIT_POLL_MS", "10")]);
    let (alice, nobody) = (server.person(), server.nobody());
    let id = uuid::Uuid::now_v7().to_string();
    let mut seen = 0;
    for (path, methods) in PROTECTED.iter().chain(PUBLIC).chain(&[("/nothing", &["GET", "POST"][..])]) {
        let path = path.replace("ID", &id);
        for method in methods.iter().chain(&["PURGE", "OPTIONS"]) {
            for person in [&alice, &nobody] {
                for (origin, allowed) in
                    [("", false), ("https://evil.test", false), ("https://other.test", true), (ORIGIN, true)]
                {
                    // Each request of alice's would be one too many soon.
                    if person.proof != Proof::Nothing && origin == ORIGIN {
                        continue;
                    }
                    let request = person.request(method.parse().expect("a method"), &path);
                    let request = if origin.is_empty() { request } else { request.header("Origin", origin) };
                    let request = if path == "/ws" { upgrade(request) } else { request };
                    let answer = ask(request).await;
                    let what = format!("{method} {path} from {origin:?}: {}", answer.status);
                    protects(&answer, &what);
                    let packs = ["/", "/hailgate.js"].contains(&path.as_str());
                    assert!(!packs || answer.status != 200 || answer.varies_by("accept-encoding"), "{what}");
                    if allowed {
                        open_to(&answer, origin, &what);
                    } else {
                        assert_eq!(crossing(&answer), [], "{what}");
                        assert!(answer.varies_by("origin"), "{what}");
                    }
                    if path.starts_with("/api/") || path.starts_with("/health") || answer.status >= 400 {
                        assert_eq!(answer.header("cache-control"), "no-store", "{what}");
                    }
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 200, "{seen}");
}

#[tokio::test]
async fn a_preflight_is_answered_for_allowed_origins_and_is_a_405_with_allow_for_others() {
    let server = Server::new(&[("HAILGATE_ALLOWED_ORIGINS", "https://other.test")]);
    let preflight = async |origin: Option<&str>, method: &str, headers: &str| {
        let request = client().request(Method::OPTIONS, server.url("/api/messages"));
        let request =
            request.header("Access-Control-Request-Method", method).header("Access-Control-Request-Headers", headers);
        ask(if let Some(origin) = origin { request.header("Origin", origin) } else { request }).await
    };
    for origin in ["https://other.test", ORIGIN] {
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let answer =
                preflight(Some(origin), method, "authorization, content-type, idempotency-key, last-event-id").await;
            assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{origin} {method}");
            protects(&answer, method);
            let found = crossing(&answer);
            assert!(found.contains(&("access-control-allow-origin", origin)), "{found:?}");
            assert!(found.contains(&("access-control-allow-credentials", "true")), "{found:?}");
            assert!(answer.header("access-control-allow-methods").contains(method), "{found:?}");
            assert!(found.iter().all(|(_, value)| !value.contains('*')), "{found:?}");
        }
    }
    for headers in [
        "cache-control",
        "authorization, cache-control, pragma, last-event-id",
        "content-type,x-requested-with,x-xsrf-token,x-csrf-token",
        "Traceparent, Tracestate, Baggage, Sentry-Trace, X-Request-Id",
    ] {
        let answer = preflight(Some(ORIGIN), "GET", headers).await;
        assert_eq!(answer.status, 200, "{headers}");
        let allowed = answer.header("access-control-allow-headers").to_lowercase();
        let asked = headers.split(',').map(|name| name.trim().to_lowercase());
        assert!(asked.clone().all(|name| allowed.split(',').any(|allowed| allowed.trim() == name)), "{headers}: {allowed}");
    }
    for (method, headers) in [("PURGE", "authorization"), ("POST", "x-forwarded-for"), ("CONNECT", "")] {
        let answer = preflight(Some(ORIGIN), method, headers).await;
        answer.problem(403, "forbidden");
        assert_eq!(answer.header("access-control-allow-methods"), "", "{method} {headers}");
    }
    for origin in [None, Some("https://evil.test"), Some("null"), Some("https://other.test.evil.test")] {
        let answer = preflight(origin, "POST", "authorization").await;
        answer.problem(405, "method_not_allowed");
        assert!(answer.header("allow").contains("POST"), "{:?}", answer.headers);
        assert_eq!(crossing(&answer), [], "{origin:?}");
    }
}

#[tokio::test]
async fn a_page_of_an_allowed_origin_reads_refusals_too_and_what_it_may_do_is_decided_elsewhere() {
    let server = Server::new(&[("HAILGATE_ALLOWED_ORIGINS", "https://other.test"), ("HAILGATE_LIMIT_REST_BURST", "2")]);
    let alice = server.browser().await;
    let from = async |origin: &str| {
        let request = client().request(Method::POST, server.url("/api/threads")).header("Cookie", alice.cookie());
        ask(request.header("Origin", origin).json(&json!({"members": []}))).await
    };
    let created = from("https://other.test").await;
    created.json(201);
    open_to(&created, "https://other.test", "created");
    let foreign = from("https://evil.test").await;
    foreign.problem(403, "foreign_origin");
    assert_eq!(crossing(&foreign), []);
    let limited = loop {
        let answer = from("https://other.test").await;
        if answer.status != 201 {
            break answer;
        }
    };
    limited.problem(429, "rate_limited");
    open_to(&limited, "https://other.test", "limited");
    let wrong = json!({"username": "nobody", "password": "x"});
    let refused =
        ask(client().post(server.url("/api/auth/login")).header("Origin", "https://other.test").json(&wrong)).await;
    refused.problem(401, "bad_login");
    open_to(&refused, "https://other.test", "refused");
}

#[tokio::test]
async fn on_plain_http_browsers_are_not_told_to_insist_on_https() {
    let here = "http://127.0.0.1:8080";
    for settings in [
        [("ENVIRONMENT", "development"), ("HAILGATE_PUBLIC_URL", ORIGIN)],
        [("ENVIRONMENT", "development"), ("HAILGATE_PUBLIC_URL", here)],
        [("ENVIRONMENT", "testing"), ("HAILGATE_PUBLIC_URL", here)],
        [("ENVIRONMENT", "production"), ("HAILGATE_PUBLIC_URL", here)],
    ] {
        let server = Server::new(&settings);
        // A development server whose public address is https stands behind a proxy that speaks it.
        let told = if settings[1].1 == ORIGIN { "max-age=31536000" } else { "" };
        for path in ["/", "/health", "/api/auth/me", "/nothing"] {
            let answer = server.nobody().get(path).await;
            assert_eq!(answer.header("strict-transport-security"), told, "{path} {settings:?}");
        }
    }
}

#[tokio::test]
async fn answers_that_hold_something_private_are_stored_nowhere() {
    let server = Server::shared();
    let alice = server.browser().await;
    let login = server.login(&alice.name, PASSWORD).await;
    login.json(200);
    let ticket = ask(alice.request(Method::POST, "/api/ws/ticket")).await;
    ticket.json(200);
    let token = ask(alice.request(Method::POST, "/api/auth/token")).await;
    let preflight = ask(alice.request(Method::POST, "/api/ws/preflight")).await;
    let logout = ask(alice.request(Method::POST, "/api/auth/logout")).await;
    for answer in [&login, &ticket, &token, &preflight, &logout] {
        assert!(answer.status < 300, "{}", answer.body);
        assert_eq!(answer.header("cache-control"), "no-store", "{}", answer.body);
    }
}
