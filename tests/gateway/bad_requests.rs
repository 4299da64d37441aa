//! Requests that are wrong before their body is: paths, methods, HTTP itself.

use reqwest::Method;

use crate::{
    answer::ask,
    raw::Raw,
    server::Server,
    table::{PROTECTED, PUBLIC},
};

/// The answer to a request line and headers written by hand.
async fn status_of(port: u16, request: &str) -> (u16, String) {
    let mut raw = Raw::connect(port).await;
    raw.send(request).await;
    let (head, body) = raw.answer().await;
    (head.status, body)
}

#[tokio::test]
async fn a_path_with_dots_leads_nowhere() {
    let server = Server::shared();
    let alice = server.person();
    for path in [
        "/static/../index.html",
        "/static/../../Cargo.toml",
        "/static/..%2f..%2fCargo.toml",
        "/static/%2e%2e/Cargo.toml",
        "/static/%2e%2e%2fhailgate.db",
        "/static/..\\hailgate.db",
        "/static/..",
        "/static/",
        "/static//etc/passwd",
        "/static/%00index.html",
        "/../../etc/passwd",
        "/..",
        "/api/../api/auth/me",
        "/api/messages/..",
        "/api/threads/../auth/me",
        "/api/threads/..%2fauth%2fme",
        "//api/auth/me",
        "/api//auth/me",
        "/api/auth/me/",
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n", alice.token());
        let (status, body) = status_of(server.port, &request).await;
        assert_eq!(status, 404, "{path}: {body}");
        assert!(body.contains("\"not_found\""), "{path}: {body}");
    }
}

#[tokio::test]
async fn an_unknown_path_is_404_with_and_without_credentials() {
    let server = Server::shared();
    let alice = server.person();
    for path in ["/api", "/api/", "/api/nothing", "/nothing", "/API/auth/me", "/wS"] {
        server.nobody().get(path).await.problem(404, "not_found");
        alice.get(path).await.problem(404, "not_found");
    }
}

#[tokio::test]
async fn a_wrong_method_is_405_and_told_which_are_right() {
    let server = Server::shared();
    let alice = server.person();
    let id = uuid::Uuid::now_v7().to_string();
    for (path, allowed) in PROTECTED.iter().chain(PUBLIC) {
        let path = path.replace("ID", &id);
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "PROPFIND"] {
            if allowed.contains(&method) {
                continue;
            }
            for person in [&alice, &server.nobody()] {
                let request = person.request(Method::from_bytes(method.as_bytes()).expect("a method"), &path);
                let answer = ask(request).await;
                answer.problem(405, "method_not_allowed");
                let told: Vec<&str> = answer.header("allow").split(", ").collect();
                assert!(allowed.iter().all(|method| told.contains(method)), "{method} {path}: Allow {told:?}");
                assert!(!told.contains(&method), "{method} {path}: Allow {told:?}");
            }
        }
    }
}

#[tokio::test]
async fn requests_that_are_not_http_are_refused_and_the_server_lives() {
    let server = Server::shared();
    let long = "x".repeat(200_000);
    for bytes in [
        "nonsense\r\n\r\n".to_owned(),
        "GET / HTTP/3.0\r\n\r\n".to_owned(),
        "GET  / HTTP/1.1\r\n\r\n".to_owned(),
        "\u{0}\u{1}\u{2}\r\n\r\n".to_owned(),
        format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: x\r\nX-Long: {long}\r\n\r\n"),
        "POST /api/messages HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n".to_owned(),
        "POST /api/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx".to_owned(),
        "POST /api/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            .to_owned(),
        "POST /api/messages HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n".to_owned(),
    ] {
        let mut raw = Raw::connect(server.port).await;
        raw.send(bytes.as_bytes()).await;
        raw.send("GET /health HTTP/1.1\r\nHost: x\r\n\r\n").await;
        let shown: String = bytes.chars().take(60).collect();
        let rest = String::from_utf8_lossy(&raw.rest().await).into_owned();
        let refused = rest.is_empty() || rest.starts_with("HTTP/1.1 4");
        assert!(refused && rest.matches("HTTP/1.1 ").count() <= 1, "{shown:?}: {rest}");
    }
    server.nobody().get("/health").await.json(200);
}

#[tokio::test]
async fn a_request_head_that_does_not_arrive_is_given_up() {
    let server = Server::new(&[("HAILGATE_LIMIT_HEAD_MS", "200")]);
    let mut raw = Raw::connect(server.port).await;
    raw.send("GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: ").await;
    let rest = String::from_utf8_lossy(&raw.rest().await).into_owned();
    assert!(rest.is_empty() || rest.starts_with("HTTP/1.1 408"), "{rest}");
}
