//! The preflight: always 200, and what it says is what an upgrade with the same credentials then gets.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::{
    answer::{Answer, ask},
    descent::by_ticket,
    jwt::now,
    people::{Person, upgrade},
    server::{ORIGIN, Server},
};

/// The verdict of a preflight with these headers and this query, and the upgrade that follows it, compared.
async fn same(person: &Person, query: &str, more: impl Fn(RequestBuilder) -> RequestBuilder) -> (Value, Answer) {
    let asked = ask(more(person.request(Method::POST, &format!("/api/ws/preflight{query}")))).await;
    assert_eq!(asked.header("cache-control"), "no-store");
    let verdict = asked.json(200);
    assert!(verdict["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{verdict}");
    let upgraded = ask(upgrade(more(person.request(Method::GET, &format!("/ws{query}"))))).await;
    assert_eq!(verdict["accepted"], upgraded.status == 101, "{verdict} but {}", upgraded.body);
    if upgraded.status == 101 {
        assert_eq!((&verdict["code"], &verdict["retry_after_ms"]), (&json!("accepted"), &Value::Null));
    } else {
        let problem: Value = serde_json::from_str(&upgraded.body).expect("JSON");
        assert_eq!((&verdict["code"], &verdict["reason"]), (&problem["code"], &problem["detail"]));
        assert_eq!(verdict["retry_after_ms"], problem["retry_after_ms"]);
    }
    (verdict, upgraded)
}

#[tokio::test]
async fn the_verdict_is_what_the_upgrade_gets() {
    let server = Server::shared();
    let (alice, bob) = (server.browser().await, server.person());
    let (nobody, plain) = (server.nobody(), |request: RequestBuilder| request);
    let origin = |origin: &'static str| move |request: RequestBuilder| request.header("Origin", origin);
    let cookie = |request: RequestBuilder| request.header("Cookie", alice.cookie());
    let foreign_page = |request: RequestBuilder| cookie(request).header("Origin", "https://evil.test");
    let expired = server.site.token_of(&bob, &json!({"iat": now() - 600, "exp": now() - 60}));
    let disabled = server.browser().await;
    let disabled_program = disabled.program().await;
    server.site.told(&["user", "disable", &disabled.name], "");
    let stranger = bob.with(crate::people::Proof::Nothing);
    let code = |(verdict, _): (Value, Answer)| verdict["code"].clone();
    assert_eq!(code(same(&nobody, "", plain).await), "unauthenticated");
    assert_eq!(code(same(&nobody, "", origin("https://evil.test")).await), "foreign_origin");
    assert_eq!(code(same(&nobody, "", origin(ORIGIN)).await), "unauthenticated");
    assert_eq!(code(same(&alice, "", plain).await), "accepted");
    assert_eq!(code(same(&nobody, "", cookie).await), "foreign_origin", "a cookie without an origin");
    assert_eq!(code(same(&nobody, "", foreign_page).await), "foreign_origin");
    assert_eq!(code(same(&bob, "", plain).await), "accepted");
    assert_eq!(code(same(&bob, "", origin("https://evil.test")).await), "foreign_origin");
    assert_eq!(code(same(&stranger, &format!("?token={}", bob.token()), plain).await), "accepted");
    assert_eq!(code(same(&bob, "?token=x", plain).await), "several_credentials");
    assert_eq!(code(same(&expired, "", plain).await), "token_expired");
    assert_eq!(code(same(&bob.bearer("x"), "", plain).await), "bad_credentials");
    assert_eq!(code(same(&bob, "", |request| request.header("Cookie", alice.cookie())).await), "bad_credentials");
    assert_eq!(code(same(&disabled, "", plain).await), "unauthenticated");
    assert_eq!(code(same(&disabled_program, "", plain).await), "disabled");
    let protocol = |request: RequestBuilder| request.header("Sec-WebSocket-Protocol", "jwt-auth, jwt.x");
    assert_eq!(code(same(&nobody, "", protocol).await), "bad_credentials");
    assert_eq!(code(same(&nobody, &format!("?ticket={}", alice.ticket().await), plain).await), "accepted");
    alice.logout().await;
    assert_eq!(code(same(&alice, "", plain).await), "unauthenticated");
}

#[tokio::test]
async fn it_says_when_a_user_has_too_many_connections_and_takes_up_none() {
    let server = Server::new(&[("HAILGATE_LIMIT_CONNECTIONS_USER", "1")]);
    let alice = server.browser().await;
    let plain = |request: RequestBuilder| request;
    for _ in 0..5 {
        assert_eq!(alice.post_nothing("/api/ws/preflight").await.json(200)["accepted"], true);
    }
    let mut socket = alice.socket().await;
    let (verdict, _) = same(&alice, "", plain).await;
    assert_eq!(verdict["code"], "too_many_connections");
    assert!(verdict["retry_after_ms"].as_u64().is_some_and(|wait| wait > 0), "{verdict}");
    let ticket = alice.ticket().await;
    let asked = server.nobody().post_nothing(&format!("/api/ws/preflight?ticket={ticket}")).await.json(200);
    assert_eq!(asked["code"], "too_many_connections");
    socket.close(1000).await;
    let free = async { while alice.post_nothing("/api/ws/preflight").await.json(200)["accepted"] == false {} };
    crate::soon("a free place", free).await;
    assert_eq!(server.nobody().try_upgrade(&by_ticket(&ticket)).await.status, 101);
}

#[tokio::test]
async fn it_is_a_post_and_needs_no_body() {
    let server = Server::shared();
    let alice = server.person();
    alice.get("/api/ws/preflight").await.problem(405, "method_not_allowed");
    assert_eq!(alice.post("/api/ws/preflight", json!({"anything": 1})).await.json(200)["accepted"], true);
}
