//! Signing out with and without the server, and coming back in, in a demo too.

use serde_json::json;

use crate::{
    HELLO,
    driver::Driver,
    server::Server,
    window::{View, Window, until},
};

const SIGNED_OUT: &str = "You are signed out here. The server cannot be reached: your session there ends as soon as it can";
/// Whether the browser has kept the page's files, so that it opens without the server.
const OPENS: &str = "return Boolean(navigator.serviceWorker.controller && await caches.match('/'))";
const BROWSERS_SESSION: &str = "return (await fetch('/api/auth/me')).status";

/// Alice, signed in, with a page that opens without the server.
async fn alice_at(driver: &Driver, server: &Server) -> Window {
    let alice = driver.window().await;
    alice.sign_in(&server.links[0]).await;
    until("the page is kept", || async { alice.run_module(OPENS).await == true }).await;
    alice
}

fn is_out(view: &View) -> bool {
    view.signin && !view.app && view.messages.is_empty() && view.threads.is_empty() && view.signin_words == SIGNED_OUT
}

#[tokio::test]
async fn signing_out_without_the_server_hides_all_at_once_and_is_told_later() {
    let Some(driver) = Driver::start() else { return };
    let mut server = Server::start();
    let alice = alice_at(&driver, &server).await;
    let first = alice.handle().await;
    let second = alice.another(&alice.look().await.address).await;
    alice.is_live().await;
    server.kill();
    alice.sees("that it is offline", |view| view.connection == "offline").await;
    alice.click("#signout").await;
    alice.sees("the form, and what is true", is_out).await;
    alice.turns_to(&first).await;
    alice.sees("the same in the other window", is_out).await;
    alice.reload().await;
    alice.sees("the same after a reload", is_out).await;
    alice.is_clean().await;

    server.start_again();
    for window in [&first, &second] {
        alice.turns_to(window).await;
        alice.sees("the form, with nothing to add", |view| view.signin && view.signin_words.is_empty()).await;
        alice.sees("no line", |view| view.connection_words.is_empty() && view.messages.is_empty()).await;
    }
    assert_eq!(alice.run_module(BROWSERS_SESSION).await, 401, "the session has ended");
    let view = alice.sign_in(&server.links[0]).await;
    assert_eq!(view.texts(), [HELLO]);
    alice.reload().await;
    alice.is_live().await;
}

#[tokio::test]
async fn a_sign_out_that_is_told_late_ends_no_later_sign_in() {
    let Some(driver) = Driver::start() else { return };
    let mut server = Server::start();
    let alice = alice_at(&driver, &server).await;
    server.kill();
    alice.sees("that it is offline", |view| view.connection == "offline").await;
    alice.click("#signout").await;
    alice.sees("the form", is_out).await;
    let due = alice.run("return localStorage.getItem('hailgate sign-out')", json!([])).await;
    assert!(due.is_string(), "{due}");
    server.start_again();
    alice.go("about:blank").await;
    alice.sign_in(&server.links[0]).await;
    // As if a window that slept until now had remembered it alone.
    alice.run("localStorage.setItem('hailgate sign-out', arguments[0])", json!([due])).await;
    alice.reload().await;
    alice.is_live().await;
    let owed = alice.run("return localStorage.getItem('hailgate sign-out')", json!([])).await;
    assert!(owed.is_null(), "{owed}");
    assert_eq!(alice.run_module(BROWSERS_SESSION).await, 200, "the later sign-in holds");
}

#[tokio::test]
async fn after_signing_out_of_the_demo_one_click_leads_back_in() {
    let Some(driver) = Driver::start() else { return };
    let server = Server::start();
    let alice = driver.window().await;
    alice.sign_in(&server.links[0]).await;
    alice.click("#signout").await;
    alice.has("#signin-demo button", 2).await;
    assert_eq!(
        alice.run("return document.querySelector('#signin-demo').innerText.split(/\\n+/)", json!([])).await,
        json!(["This is a demo. Go on as", "Alice", "Bob"])
    );
    alice.click("#signin-demo button:last-of-type").await;
    let view = alice.is_live().await;
    assert_eq!(view.texts(), [HELLO]);
    assert_eq!(alice.run("return document.querySelector('#me').innerText", json!([])).await, "Bob");
    alice.is_clean().await;

    // A browser that never opened a link is told what to do, and offered nothing.
    let stranger = driver.window().await;
    stranger.go(&format!("http://127.0.0.1:{}/", server.port)).await;
    stranger.has("#signin-demo p", 1).await;
    stranger.has("#signin-demo button", 0).await;
    let refused = stranger.run_module("return (await fetch('/api/auth/demo/alice', { method: 'POST' })).status").await;
    assert_eq!(refused, 401);
}
