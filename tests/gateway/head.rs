//! `HEAD` works wherever `GET` does (RFC 9110 section 9.1): the same status and headers, no body, and nothing is used up.

use reqwest::Method;

use crate::{
    answer::ask,
    people::Person,
    raw::{Raw, upgrade},
    server::Server,
    table::{PROTECTED, PUBLIC},
};

/// Headers that differ from one answer to the next.
const CHANGING: [&str; 3] = ["date", "x-request-id", "content-length"];

/// `HEAD` and `GET` of a path answer alike.
async fn alike(person: &Person, path: &str) {
    let (get, head) = (ask(person.request(Method::GET, path)).await, ask(person.request(Method::HEAD, path)).await);
    assert_eq!((head.status, head.body.as_str()), (get.status, ""), "{path}");
    let told = |answer: &crate::answer::Answer| {
        let kept = answer.headers.iter().filter(|(name, _)| !CHANGING.contains(&name.as_str()));
        let mut told: Vec<_> = kept.map(|(name, value)| (name.clone(), value.clone())).collect();
        told.sort_by_key(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
        told
    };
    assert_eq!(told(&head), told(&get), "{path}");
    if !path.starts_with("/api/events") || head.status != 200 {
        assert_eq!(head.header("content-length"), get.body.len().to_string(), "{path}: {}", get.body);
    }
}

#[tokio::test]
async fn head_answers_as_get_does_without_the_body() {
    let server = Server::shared();
    let (alice, nobody) = (server.person(), server.nobody());
    let id = uuid::Uuid::now_v7().to_string();
    let more = ["/static/page.js", "/favicon.ico", "/static/nothing", "/nothing", "/api/events?timeout_ms=x"];
    let gets = PROTECTED.iter().chain(PUBLIC).filter(|(_, methods)| methods.contains(&"GET")).map(|(path, _)| *path);
    for path in gets.chain(more) {
        let path = path.replace("ID", &id).replace("/api/events", "/api/events?timeout_ms=0");
        alike(&nobody, &path).await;
        alike(&alice, &path).await;
    }
}

#[tokio::test]
async fn head_of_the_events_names_the_form_at_once_and_waits_for_nothing() {
    let server = Server::shared();
    let alice = server.person();
    for (accept, form) in [("application/json", "application/json"), ("text/event-stream", "text/event-stream")] {
        let request = alice.request(Method::HEAD, "/api/events").header("Accept", accept);
        let head = ask(request).await;
        assert_eq!((head.status, head.header("content-type"), head.body.as_str()), (200, form, ""));
        assert_eq!((head.header("cache-control"), head.header("content-length")), ("no-store", ""));
    }
    let request = alice.request(Method::HEAD, "/api/events").header("Accept", "text/html");
    assert_eq!(ask(request).await.status, 406);
}

#[tokio::test]
async fn head_uses_no_ticket_up_and_changes_nothing() {
    let server = Server::shared();
    let alice = server.browser().await;
    let ticket = alice.ticket().await;
    let path = format!("/ws?ticket={ticket}");
    for _ in 0..2 {
        assert_eq!(ask(server.nobody().request(Method::HEAD, &path)).await.status, 426);
    }
    let events = format!("/api/events?ticket={ticket}");
    assert_eq!(ask(server.nobody().request(Method::HEAD, &events)).await.status, 200);
    // An upgrade is GET: what looks like one with another method opens nothing.
    let mut raw = Raw::connect(server.port).await;
    raw.send(upgrade(&path, "").replacen("GET", "HEAD", 1)).await;
    let answer = String::from_utf8_lossy(&raw.rest().await).into_owned();
    assert!(answer.starts_with("HTTP/1.1 426 ") && answer.ends_with("\r\n\r\n"), "{answer}");
    assert_eq!(server.nobody().try_upgrade(&path).await.status, 101);
}

#[tokio::test]
async fn a_wrong_method_is_told_that_head_works() {
    let server = Server::shared();
    for (path, allow) in [("/health", "GET, HEAD"), ("/api/events", "GET, HEAD"), ("/ws", "GET, HEAD")] {
        let answer = server.nobody().delete(path).await;
        assert_eq!(answer.header("allow"), allow, "{path}");
    }
    let answer = ask(server.nobody().request(Method::HEAD, "/api/auth/login")).await;
    assert_eq!((answer.status, answer.header("allow"), answer.body.as_str()), (405, "POST", ""));
}

#[tokio::test]
async fn a_request_behind_head_in_one_segment_gets_its_own_answer() {
    let server = Server::shared();
    for path in ["/health/ready", "/nothing", "/api/auth/me"] {
        let mut raw = Raw::connect(server.port).await;
        raw.send(format!(
            "HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\nGET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        ))
        .await;
        let answer = String::from_utf8_lossy(&raw.rest().await).into_owned();
        let (head, rest) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(head.contains("content-length: "), "{answer}");
        assert!(rest.starts_with("HTTP/1.1 200 OK\r\n") && rest.ends_with(r#"{"status":"healthy"}"#), "{path}: {answer}");
    }
}
