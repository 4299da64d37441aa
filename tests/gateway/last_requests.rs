//! Requests behind the last one of their connection, in the same segment: never carried out (RFC 9112 section 9.6).

use crate::{
    people::Person,
    raw::{Raw, upgrade},
    server::Server,
};

/// A request that would be seen: it makes a thread.
fn seen(person: &Person, connection: &str) -> String {
    let body = r#"{"members":[],"title":"carried out"}"#;
    format!(
        "POST /api/threads HTTP/1.1\r\nHost: chat.test\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         {connection}Content-Length: {}\r\n\r\n{body}",
        person.token(),
        body.len()
    )
}

async fn threads(person: &Person) -> usize {
    person.get("/api/threads").await.json(200)["threads"].as_array().expect("threads").len()
}

/// Sends a request and followers in one segment: one answer with this status, then the end, and nothing else is done.
async fn last(server: &Server, first: &str, status: u16) {
    let alice = server.person();
    let made = usize::from(status == 201);
    let follower = seen(&alice, "");
    let first = first.replace("TOKEN", alice.token());
    let upgrade = upgrade("/api/auth/me", &format!("Authorization: Bearer {}\r\n", alice.token()));
    for behind in [follower.clone(), follower.repeat(3), upgrade.clone()] {
        let before = threads(&alice).await;
        let mut raw = Raw::connect(server.port).await;
        raw.send(format!("{first}{behind}")).await;
        let answer = String::from_utf8_lossy(&raw.rest().await).into_owned();
        let start = answer.get(..12).unwrap_or_default();
        assert!(start.ends_with(&format!(" {status}")), "{first}\n->\n{answer}");
        assert_eq!(answer.matches("x-request-id: ").count(), 1, "{first}\n->\n{answer}");
        assert_eq!(threads(&alice).await, before + made, "{first}\n->\n{answer}");
    }
    // For bytes behind an upgrade that it has not come to yet the library may end the connection without any answer.
    let before = threads(&alice).await;
    let mut raw = Raw::connect(server.port).await;
    raw.send(format!("{first}{upgrade}{follower}")).await;
    let answer = String::from_utf8_lossy(&raw.rest().await).into_owned();
    assert!(answer.matches("x-request-id: ").count() <= 1, "{first}\n->\n{answer}");
    assert!(threads(&alice).await <= before + made, "{first}\n->\n{answer}");
}

#[tokio::test]
async fn a_request_behind_connection_close_is_not_carried_out() {
    let server = Server::shared();
    last(server, "GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 200).await;
    last(server, "GET /health/ready HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, Close\r\n\r\n", 200).await;
    last(server, "GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404).await;
    last(server, &seen_as_first("Connection: close\r\n"), 201).await;
}

fn seen_as_first(connection: &str) -> String {
    let body = r#"{"members":[],"title":"the first"}"#;
    format!(
        "POST /api/threads HTTP/1.1\r\nHost: chat.test\r\nAuthorization: Bearer TOKEN\r\nContent-Type: application/json\r\n\
         {connection}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[tokio::test]
async fn a_request_behind_one_of_http_1_0_is_not_carried_out_unless_the_connection_is_kept() {
    let server = Server::shared();
    last(server, "GET /health/live HTTP/1.0\r\n\r\n", 200).await;
    last(server, "GET /health/ready HTTP/1.0\r\nHost: x\r\n\r\n", 200).await;
    let alice = server.person();
    let mut raw = Raw::connect(server.port).await;
    let kept = "GET /health/live HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n";
    raw.send(format!("{kept}{}", seen(&alice, "Connection: close\r\n"))).await;
    let answer = String::from_utf8_lossy(&raw.rest().await).into_owned();
    assert!(answer.contains(" 200 ") && answer.contains(" 201 "), "{answer}");
}

#[tokio::test]
async fn a_request_behind_one_in_chunks_is_not_carried_out() {
    let server = Server::shared();
    let chunked = "POST /api/threads HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer TOKEN\r\nContent-Type: application/json\r\n\
                   Transfer-Encoding: chunked\r\n\r\n";
    last(server, &format!("{chunked}e\r\n{{\"members\":[]}}\r\n0\r\n\r\n"), 201).await;
    last(server, &format!("{chunked}1\r\nx\r\n0\r\n\r\n"), 400).await;
}

#[tokio::test]
async fn a_malformed_host_is_400_and_ends_the_connection() {
    let server = Server::shared();
    for host in ["bad host", "a/b", "[::1", "http://x/", "x:y", "user@x", "a\\b"] {
        last(server, &format!("GET /health/live HTTP/1.1\r\nHost: {host}\r\n\r\n"), 400).await;
    }
    for host in ["", "x", "chat.test:8080", "[::1]:80", "127.0.0.1", "my_service"] {
        let mut raw = Raw::connect(server.port).await;
        raw.send(format!("GET /health/live HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        assert_eq!(raw.answer().await.0.status, 200, "{host:?}");
    }
    for hosts in ["", "Host: x\r\nHost: x\r\n", "Host: x\r\nHost: y\r\n"] {
        let alice = server.person();
        let mut raw = Raw::connect(server.port).await;
        raw.send(format!("GET /health/live HTTP/1.1\r\n{hosts}\r\n{}", seen(&alice, ""))).await;
        let answer = String::from_utf8_lossy(&raw.rest().await).into_owned();
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.matches("HTTP/1.").count() == 1, "{answer}");
        assert_eq!(threads(&alice).await, 0);
    }
}

#[tokio::test]
async fn requests_in_one_segment_are_all_carried_out_where_none_ends_the_connection() {
    let server = Server::shared();
    let alice = server.person();
    let mut raw = Raw::connect(server.port).await;
    raw.send(format!("{}{}", seen(&alice, "").repeat(3), seen(&alice, "Connection: close\r\n"))).await;
    let answer = String::from_utf8_lossy(&raw.rest().await).into_owned();
    assert_eq!(answer.matches(" 201 ").count(), 4, "{answer}");
    assert_eq!(threads(&alice).await, 4);
}
