//! Removed, added again, made the owner and no owner any more, while the thread is open: the page says so in words.

use fantoccini::key::Key;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    HELLO, Stage,
    messages::opens_menu,
    window::{View, Window},
};

const OWNED: &str = "You own this thread now. You can rename and delete it, add and remove people, and delete any message.";

#[tokio::test]
async fn who_is_removed_while_writing_reads_by_whom_and_goes_on_when_added_again() {
    let Some(Stage { alice, bob, server, .. }) = &Stage::set().await else { return };
    let membership = format!("/api/threads/{}/members/bob", server.thread);
    bob.fills("#composer", "half a sen").await;
    server.program.ask(Method::DELETE, &membership, Value::Null).await.expect("an answer");
    let view = bob.sees("that it is gone", |view| !view.open && view.threads.is_empty()).await;
    assert_eq!(view.nothing_words, "Alice removed you from this thread. Its owner can add you again.");
    assert_eq!((view.messages.len(), view.focus.as_str()), (0, "conversation"), "{view:#?}");
    server.post("said while bob was away").await;
    alice.sees_messages(&[HELLO, "said while bob was away"]).await;

    server.program.ask(Method::PUT, &membership, Value::Null).await.expect("an answer");
    let view = bob.sees_messages(&[HELLO, "said while bob was away"]).await;
    assert_eq!((view.told.as_str(), view.focus.as_str()), ("You are in this thread now.", "composer"));
    bob.types("tence").await;
    bob.presses(Key::Enter).await;
    let all = [HELLO, "said while bob was away", "half a sentence"];
    alice.sees_messages(&all).await;
    bob.sees_messages(&all).await;
    bob.click("#told-ok").await;
    bob.sees("the words gone", |view| view.told.is_empty() && view.focus == "composer").await;
    alice.is_clean().await;
    bob.is_clean().await;
}

/// Whether the menu of somebody else's message offers to delete it.
async fn may_delete(window: &Window, may: bool) {
    opens_menu(window, ".message.other").await;
    window.has(".menu .remove", usize::from(may)).await;
    window.presses(Key::Escape).await;
}

#[tokio::test]
async fn the_owners_actions_are_there_exactly_while_one_is_the_owner() {
    let Some(Stage { alice, bob, server, .. }) = &Stage::set().await else { return };
    for window in [alice, bob] {
        window.click("#people-toggle").await;
        window.has("#people-list li", 2).await;
    }
    let actions = "#people-owner-part, #rename, #delete-thread, #people-list .more";
    alice.has(actions, 4).await;
    bob.has(actions, 0).await;
    may_delete(bob, false).await;

    alice.click("[aria-label='More for Bob']").await;
    alice.click(".menu :first-child").await;
    alice.sees("the question", |view| view.dialog.contains("Make Bob the owner of this thread?")).await;
    alice.click("#question-yes").await;
    bob.sees("that he owns it", |view| view.told == OWNED).await;
    alice.sees("who owns it", |view| view.told == "Bob owns this thread now.").await;
    bob.has(actions, 4).await;
    may_delete(bob, true).await;
    alice.has(actions, 0).await;

    // A question that only the owner is asked goes away with the ownership.
    bob.click("#rename").await;
    bob.sees("the question", |view| view.dialog.contains("Title of the thread")).await;
    let path = format!("/api/threads/{}", server.thread);
    server.program_of("bob").ask(Method::PATCH, &path, json!({ "owner": "alice" })).await.expect("an answer");
    bob.sees("who owns it", |view| view.dialog.is_empty() && view.told == "Alice owns this thread now.").await;
    bob.has(actions, 0).await;
    may_delete(bob, false).await;
    alice.sees("that she owns it", |view| view.told == OWNED).await;
    alice.has(actions, 4).await;
    alice.is_clean().await;
    bob.is_clean().await;
}

#[tokio::test]
async fn a_thread_that_is_deleted_or_left_says_so_and_its_question_goes_with_it() {
    let Some(Stage { alice, bob, server, .. }) = &Stage::set().await else { return };
    let thread = server.program.thread("Plans", &["bob"]).await;
    bob.opens("Plans").await;
    bob.click("#people-toggle").await;
    bob.click("#leave").await;
    bob.sees("the question", |view| view.dialog.starts_with("Leave “Plans”?")).await;
    server.program.ask(Method::DELETE, &format!("/api/threads/{thread}"), Value::Null).await.expect("an answer");
    let gone = |words: &'static str| move |view: &View| !view.open && view.dialog.is_empty() && view.nothing_words == words;
    bob.sees("who deleted it", gone("Alice deleted this thread.")).await;

    bob.opens("Demo").await;
    bob.click("#people-toggle").await;
    bob.click("#leave").await;
    bob.click("#question-yes").await;
    bob.sees("that he left", gone("You left this thread. Its owner can add you again.")).await;
    alice.sees("that she is alone", |view| view.threads.len() == 1).await;
    alice.is_clean().await;
    bob.is_clean().await;
}
