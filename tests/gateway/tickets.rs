//! Tickets: one upgrade or one stream each, in the name of who asked, while what they come from holds.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

use crate::{
    answer::ask,
    descent::by_ticket,
    people::{text, upgrade},
    server::{ORIGIN, PASSWORD, Server, random},
    socket::Socket,
};

#[tokio::test]
async fn a_ticket_opens_one_socket_and_no_second_one() {
    let server = Server::shared();
    let alice = server.browser().await;
    let answer = alice.post_nothing("/api/ws/ticket").await;
    assert_eq!(answer.header("cache-control"), "no-store");
    let told = answer.json(200);
    assert_eq!(told.as_object().expect("an object").len(), 2, "{told}");
    assert!(text(&told, "expires_at").ends_with('Z'));
    let path = by_ticket(text(&told, "ticket"));
    let nobody = server.nobody();
    let mut socket = Socket::open(&nobody, &path).await;
    assert_eq!(socket.hello["user"]["user_id"], alice.name.as_str());
    assert_eq!(socket.hello["auth"]["method"], "ticket");
    nobody.try_upgrade(&path).await.problem(401, "bad_credentials");
    nobody.get(&format!("/api/events?ticket={}", text(&told, "ticket"))).await.problem(401, "bad_credentials");
    socket.is_alive().await;
}

#[tokio::test]
async fn of_two_hundred_uses_at_once_one_is_accepted() {
    let server = Server::shared();
    let alice = server.browser().await;
    for path in [by_ticket(&alice.ticket().await), format!("/api/events?timeout_ms=0&ticket={}", alice.ticket().await)] {
        let nobody = server.nobody();
        let uses = (0..200).map(|number| {
            let request = nobody.request(Method::GET, &path);
            ask(if path.starts_with("/ws") { upgrade(request) } else { request.header("X-Number", number) })
        });
        let answers = join_all(uses).await;
        let accepted = answers.iter().filter(|answer| matches!(answer.status, 101 | 200)).count();
        let refused = answers.iter().filter(|answer| answer.status == 401).count();
        assert_eq!((accepted, refused), (1, 199), "{path}");
    }
}

#[tokio::test]
async fn a_ticket_opens_a_poll_too_and_no_other_path() {
    let server = Server::shared();
    let alice = server.browser().await;
    let nobody = server.nobody();
    let ticket = alice.ticket().await;
    for path in ["/api/auth/me", "/api/threads", "/api/messages", "/api/auth/sessions"] {
        nobody.get(&format!("{path}?ticket={ticket}")).await.problem(401, "bad_credentials");
    }
    for path in ["/api/ws/ticket", "/api/auth/token", "/api/auth/logout", "/api/threads"] {
        nobody.post(&format!("{path}?ticket={ticket}"), json!({})).await.problem(401, "bad_credentials");
    }
    let thread = alice.thread(&[]).await;
    let cursor = text(&alice.get("/api/events?timeout_ms=0").await.json(200), "cursor").to_owned();
    alice.say(&thread, "missed").await;
    let path = format!("/api/events?timeout_ms=0&since={cursor}&ticket={ticket}");
    let events = nobody.get(&path).await.json(200);
    assert_eq!(events["events"][0]["data"]["content"], "missed");
    nobody.get(&path).await.problem(401, "bad_credentials");
}

#[tokio::test]
async fn a_ticket_beside_another_credential_is_400_and_with_a_strangers_cookie_401() {
    let server = Server::shared();
    let (alice, bob) = (server.browser().await, server.browser().await);
    let path = by_ticket(&alice.ticket().await);
    alice.program().await.try_upgrade(&path).await.problem(400, "several_credentials");
    server.nobody().try_upgrade(&format!("{path}&token=x")).await.problem(400, "several_credentials");
    server.nobody().try_upgrade(&format!("{path}&ticket=x")).await.problem(400, "several_credentials");
    bob.try_upgrade(&path).await.problem(401, "bad_credentials");
    assert_eq!(Socket::open(&alice, &path).await.hello["auth"]["method"], "ticket", "none of these used it up");
}

#[tokio::test]
async fn what_is_no_ticket_is_refused_and_never_a_fallback_to_the_cookie() {
    let server = Server::shared();
    let alice = server.browser().await;
    let pair = alice.pair().await;
    for wrong in ["", "x", &random(43), &pair.access, &pair.refresh] {
        alice.try_upgrade(&by_ticket(wrong)).await.problem(401, "bad_credentials");
        alice.get(&format!("/api/events?timeout_ms=0&ticket={wrong}")).await.problem(401, "bad_credentials");
    }
    alice.try_upgrade("/ws?ticket").await.problem(401, "bad_credentials");
    alice.bearer(&alice.ticket().await).is_refused("bad_credentials").await;
}

#[tokio::test]
async fn a_ticket_carries_user_login_and_end_of_the_asker() {
    let server = Server::shared();
    let alice = server.browser().await;
    let program = alice.program().await;
    let expires_at = program.get("/api/auth/me").await.json(200)["expires_at"].clone();
    let ticket = program.ticket().await;
    let mut socket = Socket::open(&server.nobody(), &by_ticket(&ticket)).await;
    assert_eq!(socket.hello["user"]["user_id"], alice.name.as_str());
    assert_eq!(socket.hello["auth"], json!({"method": "ticket", "expires_at": expires_at}));
    alice.logout().await;
    socket.closed_with(4401).await;
}

#[tokio::test]
async fn a_ticket_that_was_not_used_dies_with_its_login() {
    let server = Server::shared();
    let alice = server.browser().await;
    let elsewhere = server.sign_in(&alice.name).await;
    let (by_cookie, by_program) = (alice.ticket().await, alice.program().await.ticket().await);
    let other = elsewhere.ticket().await;
    alice.logout().await;
    let nobody = server.nobody();
    for dead in [by_cookie, by_program] {
        nobody.try_upgrade(&by_ticket(&dead)).await.problem(401, "bad_credentials");
        nobody.get(&format!("/api/events?ticket={dead}")).await.problem(401, "bad_credentials");
    }
    Socket::open(&nobody, &by_ticket(&other)).await.is_alive().await;
}

#[tokio::test]
async fn a_ticket_of_a_family_dies_with_the_family_and_that_of_the_page_does_not() {
    let server = Server::shared();
    let alice = server.browser().await;
    let pair = alice.pair().await;
    let (of_page, of_family) = (alice.ticket().await, alice.bearer(&pair.access).ticket().await);
    let mut open = Socket::open(&server.nobody(), &by_ticket(&alice.bearer(&pair.access).ticket().await)).await;
    server.refresh(&pair.refresh).await.json(200);
    server.refresh(&pair.refresh).await.problem(401, "bad_credentials");
    open.closed_with(4401).await;
    server.nobody().try_upgrade(&by_ticket(&of_family)).await.problem(401, "bad_credentials");
    Socket::open(&server.nobody(), &by_ticket(&of_page)).await.is_alive().await;
}

#[tokio::test]
async fn a_ticket_dies_when_its_user_is_revoked_or_disabled() {
    let server = Server::shared();
    for command in ["revoke", "disable"] {
        let alice = server.browser().await;
        let token = server.site.token(&alice.name);
        let tickets = [alice.ticket().await, alice.bearer(&token).ticket().await, alice.program().await.ticket().await];
        server.site.told(&["user", command, &alice.name], "");
        for ticket in tickets {
            server.nobody().try_upgrade(&by_ticket(&ticket)).await.problem(401, "bad_credentials");
        }
    }
}

#[tokio::test]
async fn a_foreign_origin_gets_no_socket_for_a_ticket_and_does_not_use_it_up() {
    let server = Server::shared();
    let alice = server.browser().await;
    let from = |path: &str, origin: &str| server.nobody().request(Method::GET, path).header("Origin", origin.to_owned());
    let path = by_ticket(&alice.ticket().await);
    ask(upgrade(from(&path, "https://evil.test"))).await.problem(403, "foreign_origin");
    assert_eq!(ask(upgrade(from(&path, ORIGIN))).await.status, 101);
}

#[tokio::test]
async fn a_preflight_uses_no_ticket_up_and_says_when_it_is() {
    let server = Server::shared();
    let alice = server.browser().await;
    let ticket = alice.ticket().await;
    let preflight = format!("/api/ws/preflight?ticket={ticket}");
    for _ in 0..3 {
        assert_eq!(server.nobody().post_nothing(&preflight).await.json(200)["accepted"], true);
    }
    Socket::open(&server.nobody(), &by_ticket(&ticket)).await.is_alive().await;
    let used = server.nobody().post_nothing(&preflight).await.json(200);
    assert_eq!((&used["accepted"], &used["code"]), (&json!(false), &json!("bad_credentials")));
}

#[tokio::test]
async fn a_ticket_survives_a_crash_of_the_server_and_a_used_one_stays_used() {
    let server = Server::new(&[]);
    server.site.told(&["user", "add", "alice", "--password-stdin"], PASSWORD);
    let alice = server.sign_in("alice").await;
    let (used, kept) = (by_ticket(&alice.ticket().await), by_ticket(&alice.ticket().await));
    Socket::open(&server.nobody(), &used).await.is_alive().await;
    let server = server.crash_and_restart();
    server.nobody().try_upgrade(&used).await.problem(401, "bad_credentials");
    Socket::open(&server.nobody(), &kept).await.is_alive().await;
}
