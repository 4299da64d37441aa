//! Two people sign in and chat; a program joins in.

use fantoccini::key::Key;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::{
    HELLO, Stage,
    driver::Driver,
    server::Server,
    window::{View, Window},
};

#[tokio::test]
async fn a_sign_in_link_leaves_the_address_and_works_once() {
    let Some(driver) = Driver::start() else { return };
    let server = Server::start();
    let (alice, other) = tokio::join!(driver.window(), driver.window());
    let view = alice.sign_in(&server.links[0]).await;
    assert!(!view.address.contains("signin"), "{}", view.address);
    assert_eq!(view.heading, "Demo");
    let length = alice.run("return history.length", json!([])).await;
    let link = server.links[0].as_str();
    let code = link.split_once('=').expect("a link has a code").1;
    let kept = alice.run("return JSON.stringify([localStorage, sessionStorage, document.referrer])", json!([])).await;
    assert!(!kept.as_str().expect("text").contains(code), "{kept}");
    assert!(length.as_u64() <= Some(2), "the link stays in the history: {length}");

    other.go(link).await;
    let view = other.sees("that the link has been used", |view| view.signin && !view.signin_words.is_empty()).await;
    assert!(view.signin_words.starts_with("This sign-in link has been used"), "{}", view.signin_words);
    assert!(!view.address.contains("signin"), "{}", view.address);
    assert_eq!(view.connection_words, "", "nothing has ended on a first visit");
    other.is_clean().await;
    alice.is_clean().await;
}

#[tokio::test]
async fn two_people_chat_and_what_a_program_posts_appears_to_both_once_and_in_order() {
    let Some(Stage { alice, bob, server, .. }) = &Stage::set().await else { return };
    alice.writes("Hello bob").await;
    bob.sees_messages(&[HELLO, "Hello bob"]).await;
    bob.writes("Hello alice, I can read you").await;
    alice.sees_messages(&[HELLO, "Hello bob", "Hello alice, I can read you"]).await;
    server.post("Hello from curl").await;
    bob.writes("And a program can").await;
    let all = [HELLO, "Hello bob", "Hello alice, I can read you", "Hello from curl", "And a program can"];
    for window in [alice, bob] {
        let view = window.sees_messages(&all).await;
        assert_eq!(view.connection_words, "", "what works is worth no words");
        window.is_clean().await;
    }
    let own = |view: View| view.messages.iter().map(|message| message.own).collect::<Vec<_>>();
    assert_eq!(own(alice.look().await), [true, true, false, true, false]);
    assert_eq!(own(bob.look().await), [false, false, true, false, true]);
    assert_eq!(server.stored().await, all);
}

#[tokio::test]
async fn many_messages_written_at_once_by_both_keep_one_order_for_all() {
    let Some(Stage { alice, bob, server, .. }) = &Stage::set().await else { return };
    let write = async |window: &Window, who: &str| {
        for number in 1..=12 {
            window.writes(&format!("{who} {number}")).await;
        }
    };
    tokio::join!(write(alice, "from alice"), write(bob, "from bob"));
    let done = |view: &View| view.sent().len() == 25;
    let (left, right) = tokio::join!(alice.sees("every message", done), bob.sees("every message", done));
    let stored = server.stored().await;
    assert_eq!(left.texts(), stored);
    assert_eq!(right.texts(), stored);
    for who in ["from alice", "from bob"] {
        let own: Vec<_> = stored.iter().filter(|text| text.starts_with(who)).cloned().collect();
        assert_eq!(own, (1..=12).map(|number| format!("{who} {number}")).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn signing_out_shows_the_sign_in_form_ends_the_session_and_a_password_opens_a_new_one() {
    let Some(driver) = Driver::start() else { return };
    let server = Server::start();
    server.command(&["user", "passwd", "alice", "--password-stdin"], "correct horse battery staple\n");
    let program = server.program_of("alice");
    let alice = driver.window().await;
    alice.sign_in(&server.links[0]).await;
    let old =
        alice.cookies().await.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
    let me = async || {
        let request = reqwest::Client::new().get(format!("http://127.0.0.1:{}/api/auth/me", server.port));
        request.header("Cookie", &old).send().await.expect("the server answers").status()
    };
    assert_eq!(me().await, StatusCode::OK, "the cookie is a session's");
    alice.click("#signout").await;
    let view = alice.sees("the sign-in form", |view| view.signin && !view.app).await;
    assert!(view.messages.is_empty() && view.threads.is_empty(), "nothing stays behind: {view:#?}");
    assert_eq!(me().await, StatusCode::UNAUTHORIZED, "the session is gone");
    alice.reload().await;
    alice.sees("the sign-in form again", |view| view.signin && !view.app).await;

    alice.click("#signin-submit").await;
    alice.sees("what is missing", |view| view.signin_words == "Enter your name").await;
    alice.fills("#signin-name", "alice").await;
    alice.fills("#signin-password", "wrong horse battery staple").await;
    alice.click("#signin-submit").await;
    alice.sees("that the password is wrong", |view| view.signin_words == "Name or password is wrong").await;
    // The wrong one is selected: typing replaces it.
    alice.types("correct horse battery staple").await;
    alice.presses(Key::Enter).await;
    alice.is_live().await;
    alice.sees_messages(&[HELLO]).await;
    alice.is_clean().await;
    let me = program.ask(Method::GET, "/api/auth/me", Value::Null).await.expect("the server answers");
    assert_eq!(me["user_id"], "alice", "a program's token has nothing to do with the session");
}
