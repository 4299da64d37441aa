//! What is written and not sent outlives the page, by user and thread, and is shown to its user alone.

use fantoccini::key::Key;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    HELLO, Stage,
    driver::Driver,
    server::Server,
    window::{View, Window, until},
};

/// The drafts of a user that the browser keeps.
const KEPT: &str = "const { Kept } = await import('/static/kept.js');
    return (await new Kept().drafts('alice')).map(({ text }) => text);";
/// What is written in the composer.
const WRITTEN: &str = "return document.querySelector('#composer').value";
/// What stands under the title of a thread in the list.
const PREVIEW: &str =
    "return document.querySelector(`#thread-list [data-thread-id='${arguments[0]}'] .preview`)?.textContent";

async fn has_written(window: &Window, text: &str) {
    until(&format!("{text:?} in the composer"), || async { window.run(WRITTEN, json!([])).await == text }).await;
}

async fn previews(window: &Window, thread: &str, words: &str) {
    until(&format!("{words:?} in the list"), || async { window.run(PREVIEW, json!([thread])).await == words }).await;
}

#[tokio::test]
async fn drafts_outlive_a_reload_by_thread_and_the_list_tells_them() {
    let Some(Stage { alice, server, .. }) = &Stage::set().await else { return };
    let lunch = server.program.thread("Lunch", &["bob"]).await;
    alice.fills("#composer", "half a sen").await;
    alice.opens("Lunch").await;
    has_written(alice, "").await;
    previews(alice, &server.thread, "Draft: half a sen").await;
    alice.fills("#composer", "at noon, or").await;
    // Not even the last key may be lost, and nothing asks whether to leave.
    alice.reload().await;
    alice.is_live().await;
    assert_eq!(alice.look().await.heading, "Lunch");
    has_written(alice, "at noon, or").await;
    previews(alice, &server.thread, "Draft: half a sen").await;
    alice.opens("Demo").await;
    has_written(alice, "half a sen").await;
    previews(alice, &lunch, "Draft: at noon, or").await;

    // Sent, it is no draft any more, here and after a reload.
    alice.fills("#composer", "tence").await;
    alice.presses(Key::Enter).await;
    alice.sees_messages(&[HELLO, "half a sentence"]).await;
    until("only the other is kept", || async { alice.run_module(KEPT).await == json!(["at noon, or"]) }).await;
    alice.reload().await;
    alice.is_live().await;
    has_written(alice, "").await;
    previews(alice, &lunch, "Draft: at noon, or").await;
    alice.is_clean().await;
}

#[tokio::test]
async fn on_a_phone_the_draft_of_the_thread_one_comes_from_is_told() {
    let Some(Stage { alice, server, .. }) = &Stage::set().await else { return };
    alice.narrow().await;
    alice.reload().await;
    alice.is_live().await;
    alice.fills("#composer", "on the way").await;
    alice.click("#back").await;
    alice.sees("the threads alone", |view| !view.open).await;
    previews(alice, &server.thread, "Draft: on the way").await;
    alice.reload().await;
    previews(alice, &server.thread, "Draft: on the way").await;
    alice.click("[data-thread-id]").await;
    has_written(alice, "on the way").await;
    alice.is_clean().await;
}

#[tokio::test]
async fn a_draft_waits_for_its_user_alone_and_signing_out_says_that_it_stays() {
    let Some(driver) = Driver::start() else { return };
    let mut server = Server::start();
    let alice = driver.window().await;
    alice.sign_in(&server.links[0]).await;
    alice.fills("#composer", "by alice alone").await;
    alice.click("#signout").await;
    let words = "Your drafts stay in this browser and are shown when you sign in here again, to nobody else. Sign out?";
    alice.sees("that it stays", |view| view.dialog.contains(words)).await;
    alice.click("#question-yes").await;
    alice.sees("the sign-in form", |view| view.signin && !view.app).await;
    has_written(&alice, "").await;

    // Bob's link leads to another name of the same server; at alice's he shares her browser's storage.
    let bob = &alice;
    bob.go("about:blank").await;
    bob.sign_in(&server.links[1].replace("localhost", "127.0.0.1")).await;
    has_written(bob, "").await;
    let list = "return document.querySelector('#thread-list').textContent";
    let list = bob.run(list, json!([])).await;
    assert!(list.as_str().is_some_and(|text| text.contains("Demo") && !text.contains("Draft")), "{list}");
    bob.click("#signout").await;
    bob.sees("the sign-in form, with no question", |view| view.signin && view.dialog.is_empty()).await;

    // A demo that is started again prints new links.
    server.kill();
    server.start_again();
    alice.go("about:blank").await;
    alice.sign_in(&server.links[0]).await;
    has_written(&alice, "by alice alone").await;
    alice.is_clean().await;
}

#[tokio::test]
async fn of_two_windows_the_last_one_to_write_a_draft_is_kept() {
    let Some(driver) = Driver::start() else { return };
    let server = Server::start();
    let alice = driver.window().await;
    let view = alice.sign_in(&server.links[0]).await;
    let first = alice.handle().await;
    alice.fills("#composer", "first").await;
    until("it is kept", || async { alice.run_module(KEPT).await == json!(["first"]) }).await;
    let second = alice.another(&view.address).await;
    alice.is_live().await;
    has_written(&alice, "first").await;
    alice.fills("#composer", " and second").await;
    until("it is kept", || async { alice.run_module(KEPT).await == json!(["first and second"]) }).await;
    alice.turns_to(&first).await;
    has_written(&alice, "first").await;
    // What the other window has written since is not deleted from here.
    alice
        .run(
            "const field = document.querySelector('#composer'); field.value = ''; field.dispatchEvent(new Event('input'))",
            json!([]),
        )
        .await;
    alice.reload().await;
    alice.is_live().await;
    has_written(&alice, "first and second").await;
    alice.is_clean().await;
    alice.turns_to(&second).await;
    alice.is_clean().await;
}

#[tokio::test]
async fn a_draft_outlives_its_removal_and_ends_with_its_thread() {
    let Some(Stage { bob, server, .. }) = &Stage::set().await else { return };
    let lunch = server.program.thread("Lunch", &["bob"]).await;
    bob.opens("Lunch").await;
    bob.fills("#composer", "unsent").await;
    let kept = KEPT.replace("alice", "bob");
    until("it is kept", || async { bob.run_module(&kept).await == json!(["unsent"]) }).await;
    let membership = format!("/api/threads/{lunch}/members/bob");
    server.program.ask(Method::DELETE, &membership, Value::Null).await.expect("an answer");
    bob.sees("that it is gone", |view| !view.open).await;
    server.program.ask(Method::PUT, &membership, Value::Null).await.expect("an answer");
    bob.sees("it again", |view: &View| view.open && view.heading == "Lunch").await;
    has_written(bob, "unsent").await;
    server.program.ask(Method::DELETE, &format!("/api/threads/{lunch}"), Value::Null).await.expect("an answer");
    until("nothing is kept", || async { bob.run_module(&kept).await == json!([]) }).await;
    bob.is_clean().await;
}

/// Makes the browser's storage of an earlier page, with a message that was not sent.
const EARLIER: &str = "
    await new Promise((done) => { const gone = indexedDB.deleteDatabase('hailgate'); gone.onsuccess = done; });
    const request = indexedDB.open('hailgate', 1);
    request.onupgradeneeded = () => request.result.createObjectStore('unsent', { keyPath: ['user', 'client_message_id'] }).createIndex('user', 'user');
    const database = await new Promise((done) => { request.onsuccess = () => done(request.result); });
    const writing = database.transaction('unsent', 'readwrite');
    const at = new Date().toISOString(), client_message_id = '0190a0a0-0000-7000-8000-000000000001';
    writing.objectStore('unsent').put({ user: 'alice', tab: 'gone', client_message_id, thread_id: THREAD, content: 'from before', created_at: at, written: 1 });
    await new Promise((done) => { writing.oncomplete = done; });
    database.close();";

#[tokio::test]
async fn an_earlier_pages_unsent_messages_are_sent_by_the_one_that_keeps_drafts() {
    let Some(driver) = Driver::start() else { return };
    let server = Server::start();
    let alice = driver.window().await;
    // A file of the same origin, where no page holds the storage open.
    let address = server.links[0].split("/#").next().expect("an address");
    alice.go(&format!("{address}/static/icon.svg")).await;
    alice.run_module(&EARLIER.replace("THREAD", &json!(server.thread).to_string())).await;
    alice.sign_in(&server.links[0]).await;
    alice.sees_messages(&[HELLO, "from before"]).await;
    alice.fills("#composer", "and a draft").await;
    until("it is kept", || async { alice.run_module(KEPT).await == json!(["and a draft"]) }).await;
    alice.is_clean().await;
}

/// Whether leaving the page would ask.
const ASKS: &str = "const event = new Event('beforeunload', { cancelable: true });
    window.dispatchEvent(event);
    return event.defaultPrevented;";

#[tokio::test]
async fn leaving_the_page_asks_only_where_the_browser_refuses_to_keep_a_draft() {
    let Some(Stage { alice, bob, .. }) = &Stage::set().await else { return };
    alice.fills("#composer", "kept").await;
    until("it is kept", || async { alice.run_module(KEPT).await == json!(["kept"]) }).await;
    assert_eq!(alice.run(ASKS, json!([])).await, false);
    let refuse = "IDBFactory.prototype.open = () => { throw new DOMException('refused', 'SecurityError') };";
    bob.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": refuse })).await;
    bob.reload().await;
    bob.is_live().await;
    bob.fills("#composer", "not kept").await;
    until("leaving asks", || async { bob.run(ASKS, json!([])).await == true }).await;
    bob.run(
        "const field = document.querySelector('#composer'); field.value = ''; field.dispatchEvent(new Event('input'))",
        json!([]),
    )
    .await;
    until("leaving asks no more", || async { bob.run(ASKS, json!([])).await == false }).await;
}
