//! Which pages may use the server: a cookie alone needs an allowed `Origin`, and a foreign one is refused always.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    answer::{Answer, ask},
    people::{Person, Proof, client, upgrade},
    server::{ORIGIN, PASSWORD, Server, Site},
};

const FOREIGN: &[&str] = &[
    "https://evil.test",
    "http://chat.test",
    "https://chat.test:8443",
    "https://chat.test.evil.test",
    "https://CHAT.test",
    "https://chat.test/",
    "null",
    "",
];

/// A request with this person's cookie and this `Origin`, if any.
async fn from(origin: Option<&str>, person: &Person, method: Method, path: &str, body: Value) -> Answer {
    let request = client().request(method, format!("http://127.0.0.1:{}{path}", person.port()));
    let request = request.header("Cookie", person.cookie());
    let request = if let Some(origin) = origin { request.header("Origin", origin) } else { request };
    let request = if body.is_null() { request } else { request.json(&body) };
    ask(if path == "/ws" { upgrade(request) } else { request }).await
}

#[tokio::test]
async fn a_cookie_with_a_foreign_or_missing_origin_is_403_on_upgrades_and_unsafe_methods() {
    let server = Server::shared();
    let alice = server.browser().await;
    let thread = alice.thread(&[]).await;
    let one = format!("/api/threads/{thread}");
    let origins: Vec<Option<&str>> = FOREIGN.iter().map(|origin| Some(*origin)).chain([None]).collect();
    for origin in origins {
        for (method, path, body) in [
            (Method::GET, "/ws", Value::Null),
            (Method::POST, "/api/messages", json!({"thread_id": thread, "content": "x"})),
            (Method::POST, "/api/threads", json!({"members": []})),
            (Method::PATCH, one.as_str(), json!({"title": "x"})),
            (Method::DELETE, one.as_str(), Value::Null),
            (Method::POST, "/api/auth/logout", Value::Null),
        ] {
            from(origin, &alice, method, path, body).await.problem(403, "foreign_origin");
        }
        from(origin, &alice, Method::GET, "/api/auth/me", Value::Null).await.json(200);
    }
    assert!(alice.history(&thread).await.is_empty());
    assert_eq!(from(Some(ORIGIN), &alice, Method::GET, "/ws", Value::Null).await.status, 101);
}

#[tokio::test]
async fn a_token_needs_no_origin_but_a_foreign_one_is_still_403() {
    let server = Server::shared();
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    let body = json!({"thread_id": thread, "content": "x"});
    for origin in FOREIGN {
        let post = alice.request(Method::POST, "/api/messages").header("Origin", *origin).json(&body);
        ask(post).await.problem(403, "foreign_origin");
        ask(upgrade(alice.request(Method::GET, "/ws").header("Origin", *origin))).await.problem(403, "foreign_origin");
    }
    let post = alice.request(Method::POST, "/api/messages").header("Origin", ORIGIN).json(&body);
    ask(post).await.json(201);
    assert_eq!(alice.history(&thread).await.len(), 1);
}

#[tokio::test]
async fn a_login_from_a_foreign_page_is_403_and_sets_no_cookie() {
    let server = Server::shared();
    let name = server.person().name;
    let body = json!({"username": name, "password": PASSWORD});
    for origin in FOREIGN {
        let answer = ask(client().post(server.url("/api/auth/login")).header("Origin", *origin).json(&body)).await;
        answer.problem(403, "foreign_origin");
        assert_eq!(answer.header("set-cookie"), "");
    }
    // A program sends none.
    ask(client().post(server.url("/api/auth/login")).json(&body)).await.json(200);
}

#[tokio::test]
async fn other_origins_can_be_allowed_and_the_host_header_decides_nothing() {
    let server = Server::new(&[("HAILGATE_ALLOWED_ORIGINS", "https://one.test, https://two.test:8443")]);
    let alice = server.person();
    for (origin, status) in [
        ("https://one.test", 101),
        ("https://two.test:8443", 101),
        (ORIGIN, 101),
        ("https://two.test", 403),
        ("https://three.test", 403),
    ] {
        let request = alice.request(Method::GET, "/ws").header("Origin", origin).header("Host", "three.test");
        assert_eq!(ask(upgrade(request)).await.status, status, "{origin}");
    }
    assert_eq!(alice.with(Proof::Nothing).try_upgrade("/ws").await.status, 401);
}

#[tokio::test]
async fn a_page_of_another_origin_takes_none_of_the_places_in_which_its_visitor_waits() {
    let server = Server::shared();
    let alice = server.browser().await;
    let events = || client().get(server.url("/api/events?timeout_ms=0")).header("Cookie", alice.cookie());
    // Reads of the own page carry no origin; a page of the same site gets the cookie sent along.
    ask(events()).await.json(200);
    ask(events().header("Sec-Fetch-Site", "same-origin")).await.json(200);
    ask(events().header("Origin", ORIGIN)).await.json(200);
    for site in ["same-site", "cross-site"] {
        ask(events().header("Sec-Fetch-Site", site)).await.problem(403, "foreign_origin");
    }
    ask(events().header("Origin", "https://evil.chat.test")).await.problem(403, "foreign_origin");
}

#[tokio::test]
async fn the_page_of_a_web_view_is_allowed_by_name_and_uses_a_token() {
    let named = "capacitor://localhost,tauri://localhost,app://.,http://tauri.localhost";
    let server = Server::new(&[("HAILGATE_ALLOWED_ORIGINS", named)]);
    let alice = server.person();
    for (origin, allowed) in [
        ("capacitor://localhost", true),
        ("tauri://localhost", true),
        ("app://.", true),
        ("http://tauri.localhost", true),
        ("ionic://localhost", false),
        ("capacitor://localhost.evil.test", false),
        ("null", false),
    ] {
        let socket = ask(upgrade(alice.request(Method::GET, "/ws").header("Origin", origin))).await;
        assert_eq!(socket.status, if allowed { 101 } else { 403 }, "{origin}: {}", socket.body);
        let preflight = client().request(Method::OPTIONS, server.url("/api/messages")).header("Origin", origin);
        let preflight = preflight.header("Access-Control-Request-Method", "POST");
        let answer = ask(preflight.header("Access-Control-Request-Headers", "authorization,content-type")).await;
        let opened = answer.headers.get("access-control-allow-origin").map(|value| value.to_str().expect("text").to_owned());
        assert_eq!(opened.as_deref(), allowed.then_some(origin), "{origin}");
    }
}

#[test]
fn check_refuses_an_origin_that_no_browser_sends_and_says_how_to_write_it() {
    for (written, right) in [
        ("https://[2001:0db8:0:0:0:0:0:1]", "Write it as https://[2001:db8::1]."),
        ("https://chat.example.org:08443", "Write it as https://chat.example.org:8443."),
        ("https://chat.example.org:99999", "invalid port number"),
        ("http://127.1:8080", "Write it as http://127.0.0.1:8080."),
        ("https://chat.example.org:443", "Write it as https://chat.example.org."),
    ] {
        for setting in ["HAILGATE_PUBLIC_URL", "HAILGATE_ALLOWED_ORIGINS"] {
            let output = Site::with_secrets(&[(setting, written)]).run(&["check"]);
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.code() == Some(78) && said.contains(right) && said.contains(setting), "{written}: {said}");
        }
    }
    let site = Site::with_secrets(&[("ENVIRONMENT", "testing"), ("HAILGATE_PUBLIC_URL", "http://chat.example.org")]);
    let told = site.told(&["check"], "");
    assert!(told.contains("Browsers drop the session cookie"), "{told}");
}
