//! What people without a credential can make the server do, and what people with one can ask for as fast as they like.

use std::time::Instant;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

use crate::{
    answer::{Answer, ask},
    descent::Pair,
    people::client,
    rates::{TWO, limited, server, until_limited},
    server::{Server, random},
    soon,
};

async fn refresh(server: &Server, address: &str, token: &str) -> Answer {
    let request = client().post(server.url("/api/auth/refresh")).header("X-Forwarded-For", address);
    ask(request.json(&json!({"refresh_token": token}))).await
}

#[tokio::test]
async fn failed_refreshes_count_at_their_address_and_good_ones_never_do() {
    let server = server(&[TWO]);
    let mut pair = server.browser().await.pair().await;
    for _ in 0..12 {
        pair = Pair::of(&refresh(&server, "192.0.2.1", &pair.refresh).await);
    }
    for _ in 0..2 {
        refresh(&server, "192.0.2.1", &random(43)).await.problem(401, "bad_credentials");
    }
    limited(&refresh(&server, "192.0.2.1", &random(43)).await, 1..=30_000);
    limited(&refresh(&server, "192.0.2.1", &pair.refresh).await, 1..=30_000);
    let next = Pair::of(&refresh(&server, "192.0.2.2", &pair.refresh).await);
    // One that was used before is a failure too.
    for _ in 0..2 {
        refresh(&server, "192.0.2.3", &pair.refresh).await.problem(401, "bad_credentials");
    }
    limited(&refresh(&server, "192.0.2.3", &next.refresh).await, 1..=30_000);
}

#[tokio::test]
async fn refresh_tokens_that_never_were_take_no_place_among_the_writes() {
    let server = Server::new(&[("HAILGATE_LIMIT_WRITER_LOGINS", "16")]);
    let junk: Vec<String> = (0..100).map(|_| random(43)).collect();
    for answer in join_all(junk.iter().map(|token| server.refresh(token))).await {
        answer.problem(401, "bad_credentials");
    }
}

#[tokio::test]
async fn tickets_that_nobody_gave_out_count_at_their_address_where_no_upgrade_does() {
    let server = server(&[TWO, ("HAILGATE_LIMIT_TICKETS_PER_SECOND", "100")]);
    let alice = server.person();
    let with = async |method: Method, path: &str, address: &str, ticket: &str| {
        let request = server.nobody().request(method, &format!("{path}?timeout_ms=0&ticket={ticket}"));
        ask(request.header("X-Forwarded-For", address)).await
    };
    let poll = async |address: &str, ticket: &str| with(Method::GET, "/api/events", address, ticket).await;
    for _ in 0..6 {
        poll("192.0.2.1", &alice.ticket().await).await.json(200);
    }
    for _ in 0..2 {
        poll("192.0.2.1", "junk").await.problem(401, "bad_credentials");
    }
    limited(&poll("192.0.2.1", "junk").await, 1..=30_000);
    poll("192.0.2.2", &alice.ticket().await).await.json(200);
    let preflight = async || with(Method::POST, "/api/ws/preflight", "192.0.2.3", "junk").await.json(200);
    for _ in 0..2 {
        assert_eq!(preflight().await["code"], "bad_credentials");
    }
    let told = preflight().await;
    assert_eq!((&told["accepted"], &told["code"]), (&json!(false), &json!("rate_limited")));
    assert!(told["retry_after_ms"].as_u64().is_some_and(|wait| wait <= 30_000), "{told}");
}

#[tokio::test]
async fn a_preflight_is_one_of_the_requests_of_a_user_and_says_when_there_are_too_many() {
    let server = Server::new(&[("HAILGATE_LIMIT_REST_PER_SECOND", "1"), ("HAILGATE_LIMIT_REST_BURST", "10")]);
    let (alice, nobody) = (server.person(), server.nobody());
    let began = Instant::now();
    let answers = join_all((0..40).map(|_| alice.post_nothing("/api/ws/preflight"))).await;
    let verdicts: Vec<_> = answers.iter().map(|answer| answer.json(200)).collect();
    let passed = verdicts.iter().filter(|verdict| verdict["code"] == "accepted").count() as u64;
    assert!((10..=11 + began.elapsed().as_secs()).contains(&passed), "{passed} in {:?}", began.elapsed());
    let refused = soon("a refusal", async {
        loop {
            let verdict = alice.post_nothing("/api/ws/preflight").await.json(200);
            if verdict["code"] == "rate_limited" {
                return verdict;
            }
        }
    });
    let refused = refused.await;
    assert!(refused["retry_after_ms"].as_u64().is_some_and(|wait| (1..=1_000).contains(&wait)), "{refused}");
    limited(&until_limited(10, async || alice.get("/api/auth/me").await).await, 1..=1_000);
    assert_eq!(nobody.post_nothing("/api/ws/preflight").await.json(200)["code"], "unauthenticated");
}

#[tokio::test]
async fn tokens_have_the_rate_of_tickets() {
    let server = Server::shared();
    let alice = server.browser().await;
    let answers = join_all((0..30).map(|_| alice.post_nothing("/api/auth/token"))).await;
    let refused = answers.iter().filter(|answer| answer.status != 200).count();
    assert!(refused <= 25, "{refused} of 30 were refused");
    limited(&until_limited(30, async || alice.post_nothing("/api/auth/token").await).await, 1..=200);
}
