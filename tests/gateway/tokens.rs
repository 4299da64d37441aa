//! Tokens that a signed-in browser gets for its programs: who gets them, what they open, and with what they end.

use futures_util::future::join;
use serde_json::json;

use crate::{
    answer::ask,
    jwt::now,
    people::text,
    polling::{LONG_POLL_MS, LONG_POLLS},
    server::{PASSWORD, Server, random},
};

/// `2026-01-02T03:04:05.678Z` in seconds since the epoch.
fn parsed(time: &str) -> Option<u64> {
    let number = |range: std::ops::Range<usize>| time.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    // Days from civil: the year begins in March, so that the leap day is its last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719_468;
    let clock = number(11..13)? * 3_600 + number(14..16)? * 60 + number(17..19)?;
    (time.len() == 24 && time.ends_with('Z')).then_some(u64::try_from(days * 86_400 + clock).ok()?)
}

pub fn seconds(time: &str) -> u64 {
    parsed(time).unwrap_or_else(|| panic!("{time} is no time with milliseconds, in UTC"))
}

#[tokio::test]
async fn only_the_cookie_gets_tokens() {
    let server = Server::shared();
    let alice = server.browser().await;
    server.nobody().post_nothing("/api/auth/token").await.problem(401, "unauthenticated");
    let program = alice.program().await;
    program.post_nothing("/api/auth/token").await.problem(403, "forbidden");
    server.person().post_nothing("/api/auth/token").await.problem(403, "forbidden");
    alice.bearer("x").post_nothing("/api/auth/token").await.problem(401, "bad_credentials");
    let cookie_alone = server.nobody().request(reqwest::Method::POST, "/api/auth/token").header("Cookie", alice.cookie());
    ask(cookie_alone).await.problem(403, "foreign_origin");
}

#[tokio::test]
async fn a_pair_tells_its_times_and_the_access_token_is_the_shorter_one() {
    let server = Server::shared();
    let alice = server.browser().await;
    let me = alice.get("/api/auth/me").await.json(200);
    let before = now();
    let answer = alice.post_nothing("/api/auth/token").await;
    let after = now();
    let pair = answer.json(200);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(pair.as_object().expect("an object").len(), 4, "{pair}");
    let access = seconds(text(&pair, "expires_at"));
    assert!(access >= before + 900 && access <= after + 901, "{pair}");
    assert_eq!(pair["refresh_expires_at"], me["expires_at"], "no longer than the login");
    let refresh = text(&pair, "refresh_token");
    assert!(refresh.len() >= 43 && !refresh.contains('.'), "256 random bits that say nothing: {refresh}");
    let program = alice.bearer(text(&pair, "access_token")).get("/api/auth/me").await.json(200);
    assert_eq!(program["expires_at"], pair["expires_at"]);
}

#[tokio::test]
async fn the_life_of_an_access_token_is_a_limit() {
    let server = Server::new(&[("HAILGATE_LIMIT_ACCESS_TOKEN_MS", "60000")]);
    let alice = server.browser().await;
    let before = now();
    let pair = alice.post_nothing("/api/auth/token").await.json(200);
    assert!((before + 60..=now() + 61).contains(&seconds(text(&pair, "expires_at"))), "{pair}");
}

#[tokio::test]
async fn an_access_token_is_the_same_user_with_the_same_permissions_on_rest_and_on_the_socket() {
    let server = Server::shared();
    let name = format!("u{}", random(10));
    server.site.told(&["user", "add", &name, "--password-stdin", "--permission", "publish"], PASSWORD);
    let alice = server.sign_in(&name).await;
    let mut me = alice.get("/api/auth/me").await.json(200);
    assert_eq!(me["permissions"], json!(["publish"]));
    let program = alice.program().await;
    let theirs = program.get("/api/auth/me").await.json(200);
    me["auth_method"] = json!("bearer");
    for field in ["request_id", "expires_at"] {
        me[field] = theirs[field].clone();
    }
    assert_eq!(theirs, me);
    let socket = program.socket().await;
    assert_eq!(socket.hello["user"]["user_id"], name.as_str());
    assert_eq!(socket.hello["auth"], json!({"method": "bearer", "expires_at": theirs["expires_at"]}));
    let thread = program.thread(&[]).await;
    alice.say(&thread, "from the browser").await;
    assert_eq!(program.history(&thread).await.len(), 1);
}

#[tokio::test]
async fn a_logout_ends_the_tokens_of_its_login_and_no_other_ones() {
    let server = Server::shared();
    let alice = server.browser().await;
    let elsewhere = server.sign_in(&alice.name).await;
    let (pair, other) = (alice.pair().await, elsewhere.program().await);
    let program = alice.bearer(&pair.access);
    let (mut socket, mut kept) = (program.socket().await, other.socket().await);
    alice.logout().await;
    assert_eq!(socket.closed_with(4401).await["reason"], "signed_out");
    program.is_refused("signed_out").await;
    server.refresh(&pair.refresh).await.problem(401, "bad_credentials");
    kept.is_alive().await;
    other.is_taken().await;
}

#[tokio::test]
async fn a_logout_by_an_access_token_ends_the_login_it_comes_from() {
    let server = Server::shared();
    let alice = server.browser().await;
    let (program, other) = (alice.program().await, alice.program().await);
    let (mut page, mut socket) = (alice.socket().await, other.socket().await);
    program.logout().await;
    page.closed_with(4401).await;
    socket.closed_with(4401).await;
    program.is_refused("signed_out").await;
    other.is_refused("signed_out").await;
    alice.is_refused("unauthenticated").await;
}

#[tokio::test]
async fn a_waiting_poll_by_an_access_token_ends_with_its_login() {
    let server = Server::new(&[LONG_POLLS]);
    let alice = server.browser().await;
    let program = alice.program().await;
    let cursor = text(&program.get("/api/events?timeout_ms=0").await.json(200), "cursor").to_owned();
    let ends = async {
        // Other requests first, so that the poll waits when the login ends.
        for _ in 0..5 {
            alice.get("/api/auth/me").await.json(200);
        }
        alice.logout().await;
    };
    let (polled, ()) = join(program.poll(&cursor, LONG_POLL_MS), ends).await;
    polled.problem(401, "signed_out");
}

#[tokio::test]
async fn a_token_that_names_a_login_of_somebody_else_or_none_opens_nothing() {
    let server = Server::shared();
    let (alice, bob) = (server.browser().await, server.browser().await);
    let session = |me: &serde_json::Value| me["session_id"].clone();
    let (of_alice, of_bob) =
        (session(&alice.get("/api/auth/me").await.json(200)), session(&bob.get("/api/auth/me").await.json(200)));
    server.site.token_of(&alice, &json!({"sid": of_alice})).is_taken().await;
    server.site.token_of(&alice, &json!({"sid": of_bob})).is_refused("signed_out").await;
    let unknown = uuid::Uuid::now_v7().to_string();
    server.site.token_of(&alice, &json!({"sid": unknown})).is_refused("signed_out").await;
    for none in [json!(""), json!("x"), json!(5), json!([])] {
        server.site.token_of(&alice, &json!({"sid": none})).is_refused("bad_credentials").await;
    }
    server.site.token_of(&alice, &json!({"sid": of_alice, "fid": unknown})).is_refused("signed_out").await;
}

#[tokio::test]
async fn an_access_token_outlives_a_restart_and_ends_with_its_login_after_it() {
    let server = Server::new(&[]);
    let alice = server.browser().await;
    let pair = alice.pair().await;
    let server = server.crash_and_restart();
    let (alice, program) = (alice.at(&server), alice.bearer(&pair.access).at(&server));
    let mut socket = program.socket().await;
    alice.logout().await;
    socket.closed_with(4401).await;
    let server = server.crash_and_restart();
    program.at(&server).is_refused("signed_out").await;
    server.refresh(&pair.refresh).await.problem(401, "bad_credentials");
}

#[tokio::test]
async fn beside_a_cookie_of_somebody_else_an_access_token_opens_nothing() {
    let server = Server::shared();
    let (alice, bob) = (server.browser().await, server.browser().await);
    let program = alice.program().await;
    let both = program.request(reqwest::Method::GET, "/api/auth/me").header("Cookie", bob.cookie());
    ask(both).await.problem(401, "bad_credentials");
    let own = program.request(reqwest::Method::GET, "/api/auth/me").header("Cookie", alice.cookie());
    assert_eq!(ask(own).await.json(200)["auth_method"], "bearer");
}
