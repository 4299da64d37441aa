//! Who is here: a dot with words, and nothing where it is not known.

use reqwest::Method;
use serde_json::Value;

use crate::{HELLO, Stage, window::View};

/// Otherwise a reconnect is no change for ten seconds.
const SOON: &[(&str, &str)] = &[("HAILGATE_LIMIT_PRESENCE_LINGER_MS", "500")];

fn people(view: &View) -> Vec<(&str, &str)> {
    view.people.iter().map(|(name, here)| (name.as_str(), here.as_str())).collect()
}

#[tokio::test]
async fn who_comes_and_goes_is_shown_in_the_head_of_two_and_in_the_panel_of_all() {
    let Some(mut stage) = Stage::set_with(SOON).await else { return };
    stage
        .server
        .command(&["user", "add", "carol", "--display", "Carol", "--password-stdin"], "correct horse battery staple\n");
    let Stage { alice, bob, server, .. } = &mut stage;
    alice.sees("that bob is here", |view| view.other == "online").await;
    bob.sees("that alice is here", |view| view.other == "online").await;
    alice.click("#people-toggle").await;
    alice.sees("both here", |view| people(view) == [("Alice", "online"), ("Bob", "online")]).await;

    bob.click("#signout").await;
    alice.sees("that bob has gone", |view| view.other == "offline" && people(view)[1] == ("Bob", "offline")).await;
    let membership = format!("/api/threads/{}/members/carol", server.thread);
    server.program.ask(Method::PUT, &membership, Value::Null).await.expect("an answer");
    let three = [("Alice", "online"), ("Bob", "offline"), ("Carol", "offline")];
    alice.sees("three, of whom one is here", |view| people(view) == three && view.other.is_empty()).await;
    server.program.ask(Method::DELETE, &membership, Value::Null).await.expect("an answer");
    alice.sees("two again", |view| view.other == "offline" && view.people.len() == 2).await;

    server.kill();
    let unknown = [("Alice", ""), ("Bob", "")];
    alice.sees("that nothing is known", |view| people(view) == unknown && view.other.is_empty()).await;
    server.start_again();
    alice.sees("that bob is away", |view| view.connection == "live" && view.other == "offline").await;
    bob.sign_in(&server.links[1]).await;
    alice.sees("that bob is here", |view| view.other == "online" && people(view)[1] == ("Bob", "online")).await;
    alice.sees_messages(&[HELLO]).await;
    alice.is_clean().await;
    bob.is_clean().await;
}
