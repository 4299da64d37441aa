//! Own messages are changed where they stand, for everybody at once; what fails says why and keeps the text.

use fantoccini::key::Key;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    HELLO, Stage,
    driver::Driver,
    messages::{acts_on, opens_menu},
    server::Server,
    window::View,
};

/// Words of the editor, and what is in its field.
const EDITOR: &str = "const form = document.querySelector('.editor');
    return form && [form.querySelector('textarea').value, form.querySelector('.edit-words').innerText]";

#[tokio::test]
async fn an_own_message_is_changed_by_keyboard_and_everybody_sees_it_at_once_and_reads_that_it_was() {
    let Some(Stage { alice, bob, server, .. }) = &Stage::set().await else { return };
    bob.writes("See you at noom").await;
    let view = alice.sees_messages(&[HELLO, "See you at noom"]).await;
    bob.sees_messages(&[HELLO, "See you at noom"]).await;
    opens_menu(alice, &format!("[data-message-id='{}']", view.messages[1].id)).await;
    alice.has(".menu .edit", 0).await;
    alice.presses(Key::Escape).await;
    alice.has(".edited", 0).await;

    // From an empty field the arrow key takes up the last own message; Escape leaves it as it was.
    bob.presses(Key::Up).await;
    bob.has(".editor", 1).await;
    bob.types("bar").await;
    bob.presses(Key::Escape).await;
    bob.sees("that nothing has changed", |view| view.texts() == [HELLO, "See you at noom"] && view.focus == "composer")
        .await;
    bob.tabs_back_to(".message").await;
    bob.presses(Key::Enter).await;
    bob.has(".menu .edit", 1).await;
    bob.presses(Key::Enter).await;
    bob.has(".editor", 1).await;
    bob.presses(Key::Backspace).await;
    bob.types("n").await;
    bob.presses(Key::Enter).await;
    bob.sees("the focus back", |view| view.focus.starts_with("message own")).await;
    for window in [alice, bob] {
        window.sees_messages(&[HELLO, "See you at noon"]).await;
        window.has(".edited", 1).await;
        let hover = window.run("return document.querySelector('.edited').title", json!([])).await;
        assert!(hover.as_str().is_some_and(|words| words.starts_with("Edited ") && words.len() > 20), "{hover}");
        let preview = "return document.querySelector('#thread-list .preview').textContent.includes('noon')";
        assert_eq!(window.run(preview, json!([])).await, true);
    }
    assert_eq!(server.stored().await, [HELLO, "See you at noon"]);
    alice.reload().await;
    alice.sees_messages(&[HELLO, "See you at noon"]).await;
    alice.has(".edited", 1).await;
    alice.is_clean().await;
    bob.is_clean().await;
}

#[tokio::test]
async fn a_change_that_cannot_be_saved_says_why_keeps_the_text_and_is_saved_when_it_can_be() {
    let Some(mut stage) = Stage::set().await else { return };
    let Stage { alice, bob, server, .. } = &mut stage;
    server.program.thread("Lunch", &["bob"]).await;
    alice.sees("both threads", |view| view.threads.len() == 2).await;
    alice.presses(Key::Up).await;
    alice.has(".editor", 1).await;
    let field = "const field = document.querySelector('.editor textarea');
        field.value = arguments[0]; field.dispatchEvent(new Event('input'));";
    let words = async |wanted: &str, text: &str| {
        crate::window::until(wanted, || async { alice.run(EDITOR, json!([])).await == json!([text, wanted]) }).await;
    };
    alice.run(field, json!([" "])).await;
    alice.presses(Key::Enter).await;
    words("A message cannot be empty. Cancel, and delete it instead", " ").await;
    alice.run(field, json!(["x".repeat(8_001)])).await;
    let left =
        "return [document.querySelector('.editor .counter').innerText, document.querySelector('.editor .main').disabled]";
    assert_eq!(alice.run(left, json!([])).await, json!(["1 character too many. Shorten it or send it in parts", true]));
    alice.run(field, json!(["Changed"])).await;

    server.kill();
    alice.sees("that it is offline", |view| view.connection == "offline").await;
    alice.presses(Key::Enter).await;
    words("Not saved: The server cannot be reached", "Changed").await;
    // Looking at another thread loses nothing of it.
    alice.opens("Lunch").await;
    alice.opens("Demo").await;
    server.start_again();
    alice.sees("that it is live", |view| view.connection == "live").await;
    bob.sees("that it is live", |view| view.connection == "live").await;
    assert_eq!(alice.run(EDITOR, json!([])).await, json!(["Changed", "Not saved: The server cannot be reached"]));
    alice.click(".editor .main").await;
    alice.has(".editor", 0).await;
    for window in [&*alice, &*bob] {
        window.sees_messages(&["Changed"]).await;
    }
    alice.is_clean().await;
}

#[tokio::test]
async fn what_happens_to_a_message_under_edit_is_said_in_the_editor() {
    let Some(driver) = Driver::start() else { return };
    let server = Server::start();
    let alice = driver.window().await;
    let view = alice.sign_in(&server.links[0]).await;
    let path = format!("/api/messages/{}", view.messages[0].id);
    acts_on(&alice, ".message.own", ".edit").await;
    alice.has(".editor", 1).await;
    alice.types(" Please").await;
    let text = format!("{HELLO} Please");
    let words = async |wanted: &str| {
        crate::window::until(wanted, || async { alice.run(EDITOR, json!([])).await == json!([text, wanted]) }).await;
    };
    server.program.ask(Method::PATCH, &path, json!({ "content": "from another window" })).await.expect("an answer");
    words("This message was changed in another window. Saving puts yours in its place").await;
    server.program.ask(Method::DELETE, &path, Value::Null).await.expect("an answer");
    words("This message was deleted meanwhile. Copy what you need, then cancel").await;
    alice.presses(Key::Enter).await;
    words("This message was deleted meanwhile. Copy what you need, then cancel").await;
    alice.presses(Key::Escape).await;
    let deleted = |view: &View| view.texts() == ["You deleted this message"] && view.focus == "composer";
    alice.sees("that it is deleted", deleted).await;
    alice.has(".more", 0).await;
    // Nor does the arrow key take it up.
    alice.presses(Key::Up).await;
    alice.types("after it").await;
    alice.presses(Key::Enter).await;
    alice.sees_messages(&["You deleted this message", "after it"]).await;
    alice.is_clean().await;
}
