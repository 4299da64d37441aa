//! Refresh tokens: each good once, for the next pair; one that is shown twice ends its whole family.

use futures_util::future::join;
use reqwest::Method;
use serde_json::json;

use crate::{
    answer::ask,
    descent::Pair,
    server::{ORIGIN, Server, random},
};

#[tokio::test]
async fn a_refresh_token_gives_the_next_pair_and_the_access_token_before_it_lives_out_its_time() {
    let server = Server::shared();
    let alice = server.browser().await;
    let first = alice.pair().await;
    let answer = server.refresh(&first.refresh).await;
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("set-cookie"), "", "a program gets no cookie");
    let second = Pair::of(&answer);
    assert_ne!(second.refresh, first.refresh);
    alice.bearer(&second.access).is_taken().await;
    alice.bearer(&first.access).is_taken().await;
    let third = Pair::of(&server.refresh(&second.refresh).await);
    alice.bearer(&third.access).is_taken().await;
    let me = |pair: &Pair| alice.bearer(&pair.access);
    let login = alice.get("/api/auth/me").await.json(200)["session_id"].clone();
    assert_eq!(me(&third).get("/api/auth/me").await.json(200)["session_id"], login);
}

#[tokio::test]
async fn a_refresh_token_that_is_shown_again_ends_its_family_and_no_other() {
    let server = Server::shared();
    let alice = server.browser().await;
    let (first, other) = (alice.pair().await, alice.pair().await);
    let second = Pair::of(&server.refresh(&first.refresh).await);
    let (old, new) = (alice.bearer(&first.access), alice.bearer(&second.access));
    let (mut sockets, mut page) = ([old.socket().await, new.socket().await], alice.socket().await);
    let mut kept = alice.bearer(&other.access).socket().await;
    server.refresh(&first.refresh).await.problem(401, "bad_credentials");
    for socket in &mut sockets {
        assert_eq!(socket.closed_with(4401).await["reason"], "signed_out");
    }
    old.is_refused("signed_out").await;
    new.is_refused("signed_out").await;
    for ended in [&first.refresh, &second.refresh] {
        server.refresh(ended).await.problem(401, "bad_credentials");
    }
    kept.is_alive().await;
    page.is_alive().await;
    alice.is_taken().await;
    alice.bearer(&Pair::of(&server.refresh(&other.refresh).await).access).is_taken().await;
}

#[tokio::test]
async fn an_old_refresh_token_of_the_family_ends_it_as_the_last_one_does() {
    let server = Server::shared();
    let alice = server.browser().await;
    let first = alice.pair().await;
    let second = Pair::of(&server.refresh(&first.refresh).await);
    let third = Pair::of(&server.refresh(&second.refresh).await);
    server.refresh(&first.refresh).await.problem(401, "bad_credentials");
    alice.bearer(&third.access).is_refused("signed_out").await;
    server.refresh(&third.refresh).await.problem(401, "bad_credentials");
}

#[tokio::test]
async fn of_two_uses_at_once_one_wins_at_most_and_no_family_lives_on_with_two_holders() {
    let server = &Server::new(&[("HAILGATE_LIMIT_TICKETS_PER_SECOND", "1000")]);
    let alice = server.browser().await;
    for round in 0..100 {
        let pair = alice.pair().await;
        let (one, two) = join(server.refresh(&pair.refresh), server.refresh(&pair.refresh)).await;
        let (given, refused): (Vec<_>, Vec<_>) = [one, two].into_iter().partition(|answer| answer.status == 200);
        assert!(given.len() <= 1, "round {round}: two pairs for one token");
        assert!(refused.iter().all(|answer| answer.status == 401), "round {round}: {refused:?}");
        // The second use was a reuse, whichever it was: nobody can tell the thief from the owner.
        alice.bearer(&pair.access).get("/api/auth/me").await.problem(401, "signed_out");
        for winner in given.iter().map(Pair::of) {
            alice.bearer(&winner.access).get("/api/auth/me").await.problem(401, "signed_out");
            server.refresh(&winner.refresh).await.problem(401, "bad_credentials");
        }
    }
    alice.is_taken().await;
}

#[tokio::test]
async fn what_is_no_refresh_token_is_refused() {
    let server = Server::shared();
    let alice = server.browser().await;
    let pair = alice.pair().await;
    let ticket = alice.ticket().await;
    let (_, cookie) = alice.cookie().split_once('=').expect("a value");
    let bent = format!("{}x", &pair.refresh[..pair.refresh.len() - 1]);
    for wrong in ["", " ", "x", &random(43), &pair.access, &ticket, cookie, &bent, &pair.refresh[1..], "' OR 1=1 --"] {
        server.refresh(wrong).await.problem(401, "bad_credentials");
    }
    let nobody = server.nobody();
    nobody.post("/api/auth/refresh", json!({})).await.problem(400, "invalid");
    nobody.post("/api/auth/refresh", json!({"refresh_token": 5})).await.problem(400, "invalid");
    let more = json!({"refresh_token": pair.refresh, "scope": "all"});
    nobody.post("/api/auth/refresh", more).await.problem(400, "invalid");
    nobody.post_nothing("/api/auth/refresh").await.problem(415, "unsupported_media_type");
    alice.bearer(&Pair::of(&server.refresh(&pair.refresh).await).access).is_taken().await;
}

#[tokio::test]
async fn a_refresh_token_is_no_bearer() {
    let server = Server::shared();
    let alice = server.browser().await;
    let pair = alice.pair().await;
    alice.bearer(&pair.refresh).is_refused("bad_credentials").await;
    server.nobody().try_upgrade(&format!("/ws?token={}", pair.refresh)).await.problem(401, "bad_credentials");
    server.nobody().try_upgrade(&format!("/ws?ticket={}", pair.refresh)).await.problem(401, "bad_credentials");
    server.refresh(&pair.refresh).await.json(200);
}

#[tokio::test]
async fn a_page_of_a_foreign_origin_refreshes_nothing_and_uses_nothing_up() {
    let server = Server::shared();
    let alice = server.browser().await;
    let pair = alice.pair().await;
    let from = |origin: &str| {
        let request = server.nobody().request(Method::POST, "/api/auth/refresh").header("Origin", origin.to_owned());
        request.json(&json!({"refresh_token": pair.refresh}))
    };
    ask(from("https://evil.test")).await.problem(403, "foreign_origin");
    ask(from("null")).await.problem(403, "foreign_origin");
    ask(from(ORIGIN)).await.json(200);
}

#[tokio::test]
async fn the_eleventh_family_of_a_login_ends_the_oldest_with_its_sockets() {
    let server = &Server::new(&[("HAILGATE_LIMIT_TICKETS_PER_SECOND", "1000")]);
    let alice = server.browser().await;
    let oldest = alice.pair().await;
    let program = alice.bearer(&oldest.access);
    let mut socket = program.socket().await;
    let mut second = None;
    for _ in 0..9 {
        let pair = alice.pair().await;
        second.get_or_insert(pair);
    }
    socket.is_alive().await;
    alice.pair().await;
    socket.closed_with(4401).await;
    program.is_refused("signed_out").await;
    server.refresh(&oldest.refresh).await.problem(401, "bad_credentials");
    alice.bearer(&second.expect("nine").access).is_taken().await;
}
