//! Login, logout, who am I.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    answer::{Answer, ask},
    people::{Proof, client, cookie, text},
    server::{ORIGIN, PASSWORD, Server, random},
};

fn attributes(answer: &Answer) -> Vec<String> {
    let mut attributes: Vec<String> = answer.set_cookie("hailgate").split("; ").skip(1).map(str::to_owned).collect();
    attributes.sort();
    attributes
}

#[tokio::test]
async fn a_login_sets_a_cookie_that_only_this_host_over_https_gets_back_and_no_script_reads() {
    let server = Server::shared();
    let name = server.person().name;
    let answer = server.login(&name, PASSWORD).await;
    answer.json(200);
    assert!(cookie(&answer).starts_with("__Host-hailgate="));
    assert_eq!(attributes(&answer), ["HttpOnly", "Max-Age=604800", "Path=/", "SameSite=Lax", "Secure"]);
    let browser = answer.set_cookie("hailgate-browser");
    assert!(browser.starts_with("__Host-hailgate-browser=") && !browser.contains(&name), "{browser}");
    for attribute in ["HttpOnly", "SameSite=Lax", "Secure", "Path=/", "Max-Age=15552000"] {
        assert!(browser.split("; ").any(|found| found == attribute), "{attribute} in {browser}");
    }
    assert_eq!(answer.headers.get_all("set-cookie").iter().count(), 2);
}

#[tokio::test]
async fn in_development_on_plain_http_the_cookie_is_neither_secure_nor_prefixed() {
    let server = Server::new(&[("ENVIRONMENT", "development")]);
    server.site.add_user("alice");
    let answer = server.login("alice", PASSWORD).await;
    answer.json(200);
    assert!(cookie(&answer).starts_with("hailgate="));
    assert_eq!(attributes(&answer), ["HttpOnly", "Max-Age=604800", "Path=/", "SameSite=Lax"]);
    for (host, status) in [("127.0.0.1", 101), ("localhost", 101), ("[::1]", 101), ("evil.test", 403)] {
        let origin = format!("http://{host}:{}", server.port);
        let request = server.nobody().request(Method::GET, "/ws").header("Cookie", cookie(&answer)).header("Origin", origin);
        assert_eq!(ask(crate::people::upgrade(request)).await.status, status, "{host}");
    }
}

#[tokio::test]
async fn a_login_answers_with_the_auth_context_and_me_repeats_it() {
    let server = Server::shared();
    let name = server.person().name;
    let answer = server.login(&name, PASSWORD).await;
    let told = answer.json(200);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(told["user_id"], name.as_str());
    assert_eq!(told["auth_method"], "session");
    assert_eq!(told["customer_tier"], "free");
    assert_eq!(told["permissions"], json!([]));
    assert_eq!(told["email"], Value::Null);
    assert!(text(&told, "expires_at").ends_with('Z'));
    assert!(!cookie(&answer).contains(text(&told, "session_id")), "the public id opens nothing");
    let alice = server.nobody().with(Proof::Cookie(cookie(&answer)));
    let mut me = alice.get("/api/auth/me").await.json(200);
    me["request_id"] = told["request_id"].clone();
    assert_eq!(me, told);
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_name_are_refused_with_the_same_bytes() {
    let server = Server::shared();
    let name = server.person().name;
    let known = server.login(&name, "not the password").await;
    known.problem(401, "bad_login");
    assert_eq!(known.header("set-cookie"), "");
    for (name, password) in
        [("nobody-at-all", PASSWORD), ("", ""), ("../alice", "x"), (name.to_uppercase().as_str(), PASSWORD)]
    {
        let unknown = server.login(name, password).await;
        unknown.problem(401, "bad_login");
        assert_eq!(unknown.without_request_id(), known.without_request_id(), "{name}");
    }
    server.login(&name, &format!("{PASSWORD} ")).await.problem(401, "bad_login");
    server.login(&name, &PASSWORD.to_uppercase()).await.problem(401, "bad_login");
}

#[tokio::test]
async fn a_login_renews_the_session_and_the_old_cookie_opens_nothing() {
    let server = Server::shared();
    let (before, other) = (server.browser().await, server.browser().await);
    for name in [&before.name, &other.name] {
        let old = server.sign_in(&before.name).await;
        let body = json!({"username": name, "password": PASSWORD});
        let login = client().post(server.url("/api/auth/login")).header("Origin", ORIGIN).header("Cookie", old.cookie());
        let answer = ask(login.json(&body)).await;
        answer.json(200);
        let new = before.with(Proof::Cookie(cookie(&answer)));
        assert_ne!(new.cookie(), old.cookie());
        assert_eq!(new.get("/api/auth/me").await.json(200)["user_id"], name.as_str());
        old.get("/api/auth/me").await.problem(401, "unauthenticated");
    }
    before.get("/api/auth/me").await.json(200);
}

#[tokio::test]
async fn a_cookie_that_was_planted_before_a_login_is_not_the_one_after_it() {
    let server = Server::shared();
    let name = server.person().name;
    let body = json!({"username": name, "password": PASSWORD});
    let planted = format!("__Host-hailgate={}", random(64));
    let login = client().post(server.url("/api/auth/login")).header("Origin", ORIGIN).header("Cookie", &planted);
    let answer = ask(login.json(&body)).await;
    answer.json(200);
    assert_ne!(cookie(&answer), planted);
    server.nobody().with(Proof::Cookie(planted)).get("/api/auth/me").await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_logout_ends_this_login_and_its_sockets_and_no_other() {
    let server = Server::shared();
    let alice = server.browser().await;
    let elsewhere = server.sign_in(&alice.name).await;
    let (mut here, mut there) = (alice.socket().await, elsewhere.socket().await);
    let mut second = alice.socket().await;
    let answer = ask(alice.request(Method::POST, "/api/auth/logout")).await;
    answer.empty(204);
    assert!(answer.header("set-cookie").starts_with("__Host-hailgate=;"), "the browser forgets it: {:?}", answer.headers);
    for socket in [&mut here, &mut second] {
        let bye = socket.closed_with(4401).await;
        assert_eq!(bye["reason"], "signed_out");
    }
    alice.get("/api/auth/me").await.problem(401, "unauthenticated");
    alice.try_upgrade("/ws").await.problem(401, "unauthenticated");
    ask(alice.request(Method::POST, "/api/auth/logout")).await.problem(401, "unauthenticated");
    there.is_alive().await;
    elsewhere.get("/api/auth/me").await.json(200);
}

#[tokio::test]
async fn the_sign_in_of_a_demo_is_not_there_on_any_other_server() {
    let server = Server::shared();
    server.nobody().post("/api/auth/demo/alice", Value::Null).await.problem(404, "not_found");
    assert_eq!(server.nobody().get("/api/system/info").await.json(200)["sign_in"], json!({"password": true}));
}

#[tokio::test]
async fn a_sign_in_link_is_not_found_outside_development() {
    let server = Server::shared();
    server.nobody().post("/api/auth/link", json!({"code": "x"})).await.problem(404, "not_found");
}

#[tokio::test]
async fn a_login_survives_a_restart_and_a_kill() {
    let server = Server::new(&[]);
    let alice = server.browser().await;
    let server = server.crash_and_restart();
    alice.at(&server).get("/api/auth/me").await.json(200);
    alice.at(&server).socket().await.is_alive().await;
}
