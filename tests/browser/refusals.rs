//! A refused or ended connection says why, in words, and comes back by itself where it may.

use reqwest::Method;
use serde_json::Value;

use crate::{driver::Driver, server::Server, window::Window};

async fn alice_at(driver: &Driver, server: &Server) -> Window {
    let window = driver.window().await;
    window.sign_in(&server.links[0]).await;
    window
}

#[tokio::test]
async fn one_window_too_many_says_so_and_connects_when_there_is_room() {
    let Some(driver) = Driver::start() else { return };
    let server = Server::start_with(&[("HAILGATE_LIMIT_CONNECTIONS_USER", "1"), ("HAILGATE_LIMIT_POLL_MS", "120000")]);
    // A program of hers waits for events, and that is the one connection she may have.
    let program = server.program.clone();
    let cursor = program.ask(Method::GET, "/api/threads", Value::Null).await.expect("an answer")["cursor"].clone();
    let path = format!("/api/events?timeout_ms=120000&since={}", cursor.as_str().expect("a cursor"));
    let waiting = tokio::spawn({
        let program = program.clone();
        async move { program.ask(Method::GET, &path, Value::Null).await }
    });
    let present = format!("/api/presence?thread_id={}", server.thread);
    crate::window::until("the program waits", || async {
        program.ask(Method::GET, &present, Value::Null).await.is_ok_and(|told| told["users"][0]["user_id"] == "alice")
    })
    .await;
    let alice = driver.window().await;
    alice.go(&server.links[0]).await;
    let refused = "Too many windows are open; trying again";
    alice.sees("why it cannot connect", |view| view.connection_words == refused).await;
    waiting.abort();
    alice.is_live().await;
}

#[tokio::test]
async fn who_is_signed_out_everywhere_reads_it_in_the_open_page_and_signs_in_again() {
    let Some(driver) = Driver::start() else { return };
    let server = Server::start();
    let alice = alice_at(&driver, &server).await;
    server.command(&["user", "passwd", "alice", "--password-stdin"], "korrekt horse battery staple\n");
    let ended = "Your sign-in ended. Sign in again";
    alice.sees("that it was signed out", |view| view.signin && !view.app && view.connection_words == ended).await;
    alice.fills("#signin-name", "alice").await;
    alice.fills("#signin-password", "korrekt horse battery staple").await;
    alice.click("#signin-submit").await;
    alice.is_live().await;
}

#[tokio::test]
async fn whose_account_is_disabled_reads_that_and_nothing_of_the_conversations_stays() {
    let Some(driver) = Driver::start() else { return };
    let server = Server::start();
    let alice = alice_at(&driver, &server).await;
    server.command(&["user", "disable", "alice"], "");
    let view = alice.sees("that the account is disabled", |view| view.signin && !view.app).await;
    assert_eq!(view.connection_words, "Your account is switched off. Ask whoever runs this server");
    alice.has("#connection-again", 0).await;
}
