//! Several windows of one person in one browser, and what a window leaves unsent when it goes.

use serde_json::json;

use crate::{
    HELLO, Stage,
    driver::Driver,
    server::Server,
    window::{View, until},
};

/// The unsent messages of alice that the browser keeps.
const KEPT: &str = "const { Kept } = await import('/static/kept.js');
    return (await new Kept().all('alice')).map(({ content }) => content);";

#[tokio::test]
async fn two_windows_of_one_person_share_a_connection_and_closing_the_one_that_holds_it_loses_nothing() {
    let Some(driver) = Driver::start() else { return };
    // With one connection a person, a second one would be refused.
    let server = Server::start_with(&[("HAILGATE_LIMIT_CONNECTIONS_USER", "1")]);
    let alice = driver.window().await;
    let view = alice.sign_in(&server.links[0]).await;
    let first = alice.handle().await;
    let second = alice.another(&view.address).await;
    alice.is_live().await;
    server.program_of("bob").post(&server.thread, "for both").await;
    alice.writes("from the second window").await;
    let all = [HELLO, "for both", "from the second window"];
    alice.sees_messages(&all).await;
    alice.turns_to(&first).await;
    alice.sees_messages(&all).await;
    alice.is_clean().await;

    // The first window holds the connection, and goes while messages are coming.
    let program = server.program_of("bob");
    let thread = server.thread.clone();
    let burst = tokio::spawn(async move {
        for number in 1..=60 {
            program.post(&thread, &format!("burst {number}")).await;
        }
    });
    alice.sees("the burst", |view| view.texts().contains(&"burst 10")).await;
    alice.closes().await;
    alice.turns_to(&second).await;
    burst.await.expect("everything is posted");
    let view = alice
        .sees("that the second window is live and has everything", |view| {
            view.connection == "live" && view.texts().last() == Some(&"burst 60")
        })
        .await;
    assert_eq!(view.texts(), server.stored().await, "each once, in order");
    alice.writes("and on").await;
    alice.sees("that it sends", |view| view.sent().last() == Some(&"and on")).await;
    assert_eq!(alice.look().await.texts(), server.stored().await);
    alice.is_clean().await;
}

#[tokio::test]
async fn signing_out_in_one_window_ends_the_other_too() {
    let Some(driver) = Driver::start() else { return };
    let server = Server::start();
    let alice = driver.window().await;
    let view = alice.sign_in(&server.links[0]).await;
    let first = alice.handle().await;
    alice.another(&view.address).await;
    alice.is_live().await;
    alice.click("#signout").await;
    alice.sees("the sign-in form", |view| view.signin && !view.app).await;
    alice.turns_to(&first).await;
    let view = alice.sees("the sign-in form here too", |view| view.signin && !view.app).await;
    assert!(view.messages.is_empty() && view.threads.is_empty(), "nothing stays behind: {view:#?}");
}

#[tokio::test]
async fn what_was_written_offline_outlives_the_page_and_is_sent_once() {
    let Some(mut stage) = Stage::set().await else { return };
    let Stage { alice, bob, server, .. } = &mut stage;
    let address = alice.look().await.address;
    server.kill();
    alice.sees("that it is offline", |view| view.connection == "offline").await;
    for text in ["first of two", "second of two"] {
        alice.writes(text).await;
    }
    let waits = |view: &View| view.messages.iter().filter(|message| message.state == "waiting").count() == 2;
    alice.sees("that both wait", waits).await;
    until("both are kept", || async { alice.run_module(KEPT).await == json!(["first of two", "second of two"]) }).await;
    // No question whether to leave: nothing would be lost.
    alice.go("about:blank").await;
    server.start_again();
    alice.go(&address).await;
    let all = [HELLO, "first of two", "second of two"];
    for window in [&*alice, &*bob] {
        window.sees_messages(&all).await;
    }
    assert_eq!(server.stored().await, all);
    until("nothing is kept any more", || async { alice.run_module(KEPT).await == json!([]) }).await;
    alice.is_clean().await;
}

#[tokio::test]
async fn what_one_person_left_unsent_is_never_sent_by_another_who_signs_in_in_the_same_browser() {
    let Some(driver) = Driver::start() else { return };
    let mut server = Server::start();
    let alice = driver.window().await;
    alice.sign_in(&server.links[0]).await;
    server.kill();
    alice.sees("that it is offline", |view| view.connection == "offline").await;
    alice.writes("by alice alone").await;
    until("it is kept", || async { alice.run_module(KEPT).await == json!(["by alice alone"]) }).await;
    alice.go("about:blank").await;
    server.start_again();
    // Bob's link leads to another name of the same server; at alice's he shares her browser's storage.
    let bob = &alice;
    let view = bob.sign_in(&server.links[1].replace("localhost", "127.0.0.1")).await;
    assert_eq!(view.texts(), [HELLO]);
    bob.writes("by bob").await;
    bob.sees_messages(&[HELLO, "by bob"]).await;
    // From the same page only the fragment would change, which loads nothing.
    alice.go("about:blank").await;
    alice.sign_in(&server.links[0]).await;
    alice.sees_messages(&[HELLO, "by bob", "by alice alone"]).await;
    let own: Vec<_> = alice.look().await.messages.iter().map(|message| message.own).collect();
    assert_eq!(own, [true, false, true]);
}
