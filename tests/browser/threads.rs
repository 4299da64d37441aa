//! Threads and their history: starting one by keyboard, unread counts, reading upwards, deleting, being removed.

use fantoccini::key::Key;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    HELLO, Stage,
    messages::{acts_on, opens_menu},
    server::Program,
    window::{View, until},
};

#[tokio::test]
async fn a_thread_is_started_with_people_by_keyboard_alone_and_its_unread_count_goes_when_it_is_read() {
    let Some(Stage { alice, bob, server, .. }) = &Stage::set().await else { return };
    alice.tabs_to(".new-thread").await;
    alice.presses(Key::Enter).await;
    alice.sees("the dialog", |view| view.dialog.contains("New thread") && view.focus == "new-thread-search").await;
    alice.presses(Key::Escape).await;
    alice.sees("the focus back on the button", |view| view.dialog.is_empty() && view.focus == "new-thread").await;
    alice.presses(Key::Enter).await;
    alice.types("bo").await;
    alice.has("#new-thread-results button", 1).await;
    alice.is_accessible("the dialog with somebody found").await;
    alice.presses(Key::Enter).await;
    alice.has("#new-thread-people li", 1).await;
    alice.tabs_to("#new-thread-title").await;
    alice.types("Lunch").await;
    alice.presses(Key::Enter).await;
    alice.sees("the new thread", |view| view.heading == "Lunch" && view.dialog.is_empty() && view.focus == "composer").await;
    alice.types("Shall we eat at noon?").await;
    alice.presses(Key::Enter).await;
    alice.sees_messages(&["Shall we eat at noon?"]).await;

    let unread = |count| move |view: &View| view.thread("Lunch").is_some_and(|thread| thread.unread == count);
    let view = bob.sees("one unread message", unread(1)).await;
    assert_eq!((view.title.as_str(), view.heading.as_str()), ("(1) Hailgate", "Demo"));
    alice.types("Or later").await;
    alice.presses(Key::Enter).await;
    let view = bob.sees("two unread messages", unread(2)).await;
    bob.click(&format!("[data-thread-id='{}']", view.thread("Lunch").expect("it is there").id)).await;
    let view = bob.sees("that all is read", unread(0)).await;
    assert_eq!(view.title, "Hailgate");
    let view = bob.sees_messages(&["Shall we eat at noon?", "Or later"]).await;
    assert!(view.marks.iter().any(|mark| mark == "New messages"), "{:?}", view.marks);
    let program = server.program_of("bob");
    until("the server knows that bob has read it", || async { unread_of(&program, "Lunch").await == 0 }).await;
    bob.reload().await;
    bob.is_live().await;
    bob.sees("that it stays read", unread(0)).await;
    alice.is_clean().await;
    bob.is_clean().await;
}

#[tokio::test]
async fn threads_read_in_the_same_second_are_all_told_as_read() {
    let Some(Stage { bob, server, .. }) = &Stage::set().await else { return };
    let titles = ["Plans", "Lunch", "Dinner"];
    for title in titles {
        let thread = server.program.thread(title, &["bob"]).await;
        server.program.post(&thread, &format!("about {title}")).await;
    }
    let view = bob
        .sees("all threads", |view| titles.iter().all(|title| view.thread(title).is_some_and(|thread| thread.unread == 1)));
    let view = view.await;
    for title in titles {
        bob.click(&format!("[data-thread-id='{}']", view.thread(title).expect("it is there").id)).await;
        bob.sees("that it is read", |view| {
            view.heading == title && view.thread(title).is_some_and(|thread| thread.unread == 0)
        })
        .await;
    }
    let program = server.program_of("bob");
    for title in titles {
        until("the server knows that bob has read it", || async { unread_of(&program, title).await == 0 }).await;
    }
}

async fn unread_of(program: &Program, title: &str) -> u64 {
    let answer = program.ask(Method::GET, "/api/threads", Value::Null).await.expect("the server answers");
    let thread = answer["threads"].as_array().and_then(|all| all.iter().find(|thread| thread["title"] == title));
    thread.expect("the thread is listed")["unread"].as_u64().expect("a number")
}

/// Scrolls, and tells which message is the first in sight and how far below the top.
const SCROLL: &str = "const box = document.querySelector('#history'), top = box.getBoundingClientRect().top;
    box.scrollTop = arguments[0];
    const first = [...document.querySelectorAll('#messages [data-message-id]')].find((item) => item.getBoundingClientRect().bottom > top);
    return [first.dataset.messageId, first.getBoundingClientRect().top - top];";
/// How far below the top a message is.
const WHERE: &str = "return document.querySelector(`[data-message-id='${arguments[0]}']`).getBoundingClientRect().top
    - document.querySelector('#history').getBoundingClientRect().top;";

#[tokio::test]
async fn history_loads_upwards_and_what_is_being_read_stays_where_it_is() {
    const MANY: usize = 320;
    let Some(Stage { alice, bob, server, .. }) = &Stage::set().await else { return };
    let thread = server.program.thread("Long", &["bob"]).await;
    for number in 1..=MANY {
        server.program.post(&thread, &format!("number {number}")).await;
    }
    alice.go(&format!("http://127.0.0.1:{}/#thread={thread}", server.port)).await;
    alice.reload().await;
    let last = format!("number {MANY}");
    let mut view = alice.sees("the end of the thread", |view| view.texts().last() == Some(&&*last)).await;
    assert!(view.texts().len() <= 200, "not everything at once: {}", view.texts().len());
    assert_eq!(view.to_end, "", "it is at the end");
    while view.texts().first() != Some(&"number 1") {
        let held = view.messages.len();
        let place: (String, f64) =
            serde_json::from_value(alice.run(SCROLL, json!([60])).await).expect("an id and a distance");
        view = alice.sees("an earlier page", |view| view.messages.len() > held).await;
        let now = alice.run(WHERE, json!([place.0])).await.as_f64().expect("a distance");
        assert!((now - place.1).abs() < 2.0, "the reading place moved from {} to {now}", place.1);
    }
    let all: Vec<String> = (1..=MANY).map(|number| format!("number {number}")).collect();
    assert_eq!(view.texts(), all);
    assert_eq!(view.marks.first().map(String::as_str), Some("The beginning of this thread"));

    // What comes meanwhile does not move the reader either.
    let place: (String, f64) = serde_json::from_value(alice.run(SCROLL, json!([400])).await).expect("an id and a distance");
    server.program_of("bob").post(&thread, "news").await;
    alice.sees("how many are new", |view| view.to_end == "To the end: 1 new message").await;
    let now = alice.run(WHERE, json!([place.0])).await.as_f64().expect("a distance");
    assert!((now - place.1).abs() < 2.0, "the reading place moved from {} to {now}", place.1);
    alice.click("#to-end").await;
    let view = alice.sees("the end", |view| view.to_end.is_empty() && view.texts().last() == Some(&"news")).await;
    assert_eq!(view.texts().iter().filter(|text| **text == "news").count(), 1);
    alice.is_clean().await;
    bob.is_clean().await;
}

#[tokio::test]
async fn an_own_message_that_is_deleted_is_gone_for_both_and_said_in_words() {
    let Some(Stage { alice, bob, server, .. }) = &Stage::set().await else { return };
    bob.writes("a slip of the keyboard").await;
    let view = alice.sees_messages(&[HELLO, "a slip of the keyboard"]).await;
    bob.sees_messages(&[HELLO, "a slip of the keyboard"]).await;
    let message = format!("[data-message-id='{}']", view.messages[1].id);
    opens_menu(bob, &format!("[data-message-id='{}']", view.messages[0].id)).await;
    bob.has(".menu .remove", 0).await;
    bob.presses(Key::Escape).await;
    acts_on(bob, &message, ".remove").await;
    bob.sees("the question", |view| view.dialog.contains("Delete your message of ")).await;
    bob.click("#question .cancel").await;
    bob.sees("that nothing has changed", |view| view.dialog.is_empty() && view.texts()[1] == "a slip of the keyboard").await;
    acts_on(bob, &message, ".remove").await;
    bob.click("#question-yes").await;
    bob.sees_messages(&[HELLO, "You deleted this message"]).await;
    alice.sees_messages(&[HELLO, "Message deleted"]).await;
    assert_eq!(server.stored().await, [HELLO, "(deleted)"]);
    for (window, words) in [(alice, "Message deleted"), (bob, "You deleted this message")] {
        window.reload().await;
        window.sees_messages(&[HELLO, words]).await;
        window.is_clean().await;
    }
}

#[tokio::test]
async fn a_thread_goes_in_words_when_its_reader_is_removed_from_it() {
    let Some(Stage { alice, bob, server, .. }) = &Stage::set().await else { return };
    bob.fills("#composer", "half a sentence").await;
    alice.click("#people-toggle").await;
    alice.click("[aria-label='More for Bob']").await;
    alice.click(".menu .remove").await;
    alice.sees("the question", |view| view.dialog.contains("Remove Bob from this thread?")).await;
    alice.click("#question-yes").await;
    let view = bob.sees("that it is gone", |view| !view.open && view.threads.is_empty()).await;
    assert!(view.nothing_words.starts_with("Alice removed you from this thread."), "{}", view.nothing_words);
    assert!(view.messages.is_empty(), "nothing of it stays: {:?}", view.messages);
    let nobody = "return document.querySelector('#head-presence').checkVisibility()";
    bob.narrow().await;
    assert_eq!(bob.run(nobody, json!([])).await, false, "nobody is present where nobody is written to");
    bob.wide().await;
    server.post("not for bob").await;
    alice.sees_messages(&[HELLO, "not for bob"]).await;
    bob.reload().await;
    let view = bob.sees("no thread", |view| view.connection == "live" && view.threads.is_empty()).await;
    assert!(view.messages.is_empty(), "{:?}", view.messages);

    alice.fills("#people-search", "bo").await;
    alice.has("#people-results button", 1).await;
    alice.presses(Key::Enter).await;
    let view = bob.sees("the thread again", |view| view.thread("Demo").is_some()).await;
    bob.click(&format!("[data-thread-id='{}']", view.threads[0].id)).await;
    bob.sees_messages(&[HELLO, "not for bob"]).await;
    alice.is_clean().await;
    bob.is_clean().await;
}

#[tokio::test]
async fn on_a_narrow_screen_there_is_one_pane_at_a_time_and_a_way_back() {
    let Some(Stage { alice, server, .. }) = &Stage::set().await else { return };
    alice.narrow().await;
    alice.go(&format!("http://127.0.0.1:{}/", server.port)).await;
    alice.sees("the threads alone", |view| !view.threads.is_empty() && !view.open).await;
    alice.click("[data-thread-id]").await;
    alice.sees("the conversation", |view| view.open && view.heading == "Demo").await;
    let wide =
        "return document.documentElement.scrollWidth > innerWidth || document.querySelector('#threads').checkVisibility()";
    assert_eq!(alice.run(wide, json!([])).await, false, "the threads are away and nothing is wider than the screen");
    alice.writes("from a small screen").await;
    alice.sees_messages(&[HELLO, "from a small screen"]).await;
    alice.click("#people-toggle").await;
    alice.has("#people-list li", 2).await;
    alice.click("#people-close").await;
    alice.click("#back").await;
    alice.sees("the threads alone", |view| !view.open).await;
    alice.is_clean().await;
}
