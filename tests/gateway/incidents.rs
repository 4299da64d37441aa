//! The two incidents this server exists to make impossible, and the client that both of them broke.

use std::sync::Arc;

use serde_json::json;

use crate::{
    people::Proof,
    server::{Server, Site},
    table::PROTECTED,
};

/// The first incident: the auth layer ran before the session layer, and every socket died with 1011.
#[tokio::test]
async fn incident_auth_before_session_a_socket_opened_by_cookie_is_established_and_answers() {
    let server = Server::shared();
    let alice = server.browser().await;
    let mut socket = alice.socket().await;
    assert_eq!(socket.hello["auth"]["method"], "session");
    assert_eq!(socket.hello["user"]["user_id"], alice.name);
    socket.is_alive().await;
    assert_eq!(socket.close(1000).await, Some(1000));
}

#[tokio::test]
async fn incident_auth_before_session_a_socket_opened_by_bearer_is_established_and_answers() {
    let server = Server::shared();
    let alice = server.person();
    let mut socket = alice.socket().await;
    assert_eq!(socket.hello["auth"]["method"], "bearer");
    assert_eq!(socket.hello["user"]["user_id"], alice.name);
    socket.is_alive().await;
    assert_eq!(socket.close(1000).await, Some(1000));
}

#[tokio::test]
async fn incident_auth_before_session_no_credential_lets_a_socket_open_and_then_die() {
    let server = Server::shared();
    let alice = server.browser().await;
    let stale = Proof::Cookie("__Host-hailgate=x".to_owned());
    alice.with(stale).try_upgrade("/ws").await.problem(401, "unauthenticated");
    alice.with(Proof::Bearer("x".to_owned())).try_upgrade("/ws").await.problem(401, "bad_credentials");
}

/// The second incident: a variable was missing, sockets were open to anybody and `/api/messages` was not there.
#[tokio::test]
async fn incident_missing_environment_a_server_with_secrets_only_refuses_sockets_before_the_upgrade() {
    let server = Arc::new(Site::with_secrets(&[])).serve();
    server.nobody().try_upgrade("/ws").await.problem(401, "unauthenticated");
    server.nobody().try_upgrade("/ws?since=x").await.problem(401, "unauthenticated");
    server.nobody().get("/ws").await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn incident_missing_environment_messages_are_401_and_never_404() {
    let server = Arc::new(Site::with_secrets(&[])).serve();
    let nobody = server.nobody();
    nobody.get("/api/messages").await.problem(401, "unauthenticated");
    nobody.post("/api/messages", json!({"thread_id": "x", "content": "x"})).await.problem(401, "unauthenticated");
    let info = nobody.get("/api/system/info").await.json(200);
    assert_eq!(info, json!({"name": "hailgate", "environment": "production", "sign_in": {"password": true}}));
}

#[tokio::test]
async fn incident_missing_environment_every_protected_route_is_401_without_credentials() {
    let server = Server::shared();
    let nobody = server.nobody();
    let id = uuid::Uuid::now_v7();
    for (path, methods) in PROTECTED {
        for method in *methods {
            let path = path.replace("ID", &id.to_string());
            let request = nobody.request(method.parse().expect("a method"), &path);
            crate::answer::ask(request).await.problem(401, "unauthenticated");
        }
    }
}

#[test]
fn incident_missing_environment_serve_without_variables_refuses_and_names_both_secrets() {
    for command in ["serve", "check"] {
        let output = Site::empty().run(&[command]);
        assert_eq!(output.status.code(), Some(78), "{command}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("HAILGATE_JWT_SECRET") && said.contains("HAILGATE_SESSION_KEY"), "{said}");
    }
}

#[test]
fn incident_missing_environment_an_unknown_environment_is_refused_in_every_spelling() {
    for wrong in
        ["", " ", "local", "dev", "prod", "Production", "PRODUCTION", "production ", "development\n", "test", "null"]
    {
        let site = Site::with_secrets(&[("ENVIRONMENT", wrong)]);
        for command in [&["serve", "--bind", "127.0.0.1:0"][..], &["check"]] {
            let output = site.run(command);
            assert_eq!(output.status.code(), Some(78), "{wrong:?} {command:?}");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(said.contains("ENVIRONMENT") && said.contains("production"), "{said}");
        }
    }
}

/// The port is taken: who tried to open it would end with 69.
#[test]
fn incident_missing_environment_an_environment_that_is_refused_opens_no_port() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let code = |site: &Site| site.run(&["serve", "--bind", &address]).status.code();
    for wrong in
        ["", "prod", "Development", "production\u{200b}", "\"production\"", "pr\u{43e}duction", "\u{1b}staging", "1"]
    {
        let site = Site::with_secrets(&[("ENVIRONMENT", wrong)]);
        assert_eq!(code(&site), Some(78), "{wrong:?}");
        assert!(!site.directory.path().join("hailgate.db").exists(), "{wrong:?} opened a store");
    }
    let development = Site::with_secrets(&[("ENVIRONMENT", "development")]);
    let open = development.run(&["serve", "--bind", &format!("0.0.0.0:{}", taken.local_addr().expect("an address").port())]);
    assert_eq!(open.status.code(), Some(78));
    assert_eq!(code(&Site::with_secrets(&[])), Some(69), "unset is production, which opens the port");
}

#[test]
fn incident_missing_environment_one_that_is_no_text_is_refused() {
    use std::os::unix::ffi::OsStrExt;
    let site = Site::with_secrets(&[]);
    let mut command = site.command(&["check"]);
    command.env("ENVIRONMENT", std::ffi::OsStr::from_bytes(b"production\xff"));
    let output = crate::server::finish(&mut command, "");
    assert_eq!(output.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&output.stderr).contains("ENVIRONMENT"));
}

#[test]
fn check_passes_in_every_known_environment_and_shows_no_secret() {
    for environment in ["production", "staging", "testing", "development"] {
        let site = Site::with_secrets(&[("ENVIRONMENT", environment)]);
        let output = site.run(&["check"]);
        let told = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(
            told.contains("telemetry -> crossing -> session -> witness -> identity -> auth context -> routes"),
            "{told}"
        );
        for secret in ["HAILGATE_JWT_SECRET", "HAILGATE_SESSION_KEY"] {
            assert!(!told.contains(site.variable(secret)), "{secret}");
        }
        assert!(!site.directory.path().join("hailgate.db").exists(), "check writes nothing");
    }
}

/// The seeds' client passes its token in the query and expects an answer without a key `error`.
#[tokio::test]
async fn the_seeds_client_gets_an_answer_without_error() {
    let server = Server::shared();
    let alice = server.person();
    let path = format!("/ws?token={}", alice.token());
    let mut socket = crate::socket::Socket::open(&alice.with(Proof::Nothing), &path).await;
    assert_eq!(socket.hello["auth"]["method"], "query_token");
    socket.send_text(r#"{"type":"ping","data":{"message":"test"}}"#).await;
    let answer = socket.next("pong").await;
    assert!(answer.get("error").is_none(), "{answer}");
    assert!(answer["data"]["server_time"].as_str().is_some_and(|time| time.ends_with('Z')), "{answer}");
    assert!(!server.log.text().contains(alice.token()), "a query token is never logged");
}
