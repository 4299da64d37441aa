//! What can be done with messages, by keyboard, mouse and finger.

use fantoccini::key::Key;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    HELLO, Stage,
    driver::Driver,
    looks::Scheme,
    server::Server,
    window::{Window, until},
};

/// The menu of a message.
const MENU: &str = ".menu";

/// Chooses an action from the menu of the message that matches, by keyboard.
pub async fn acts_on(window: &Window, message: &str, action: &str) {
    opens_menu(window, message).await;
    window.click(&format!("{MENU} {action}")).await;
}

/// Opens the menu of the message that matches.
pub async fn opens_menu(window: &Window, message: &str) {
    window.has(message, 1).await;
    window.run("document.querySelector(arguments[0]).focus()", json!([message])).await;
    window.presses(Key::Enter).await;
    window.has(MENU, 1).await;
}

/// Words of the menu's items.
async fn items(window: &Window) -> Value {
    window.run("return [...document.querySelectorAll('.menu button')].map((one) => one.textContent)", json!([])).await
}

/// The text of the message that has the focus, and whether it is the message itself or a part of it.
async fn focused(window: &Window) -> (String, bool) {
    let script = "const active = document.activeElement, message = active.closest('#messages > .message');
        return [message?.querySelector('.text, .bubble')?.textContent ?? '', active === message];";
    serde_json::from_value(window.run(script, json!([])).await).expect("a text and whether it is whole")
}

/// Sees the focus on the message of this text, in sight.
pub async fn sees_focus(window: &Window, text: &str) {
    let in_sight = "const box = document.activeElement.getBoundingClientRect(), view = document.querySelector('#history').getBoundingClientRect();
        return box.top >= view.top - 1 && box.bottom <= view.bottom + 1 || box.height > view.height;";
    until(&format!("the focus on {text:?}"), || async {
        focused(window).await == (text.to_owned(), true) && window.run(in_sight, json!([])).await == true
    })
    .await;
}

pub async fn rect(window: &Window, selector: &str) -> [f64; 4] {
    let script = "const { left, top, right, bottom } = document.querySelector(arguments[0]).getBoundingClientRect(); return [left, top, right, bottom]";
    serde_json::from_value(window.run(script, json!([selector])).await).expect("four numbers")
}

async fn taps(window: &Window, x: f64, y: f64) {
    let touch = |kind: &str, points: Value| json!({ "type": kind, "touchPoints": points });
    window.devtools("Input.dispatchTouchEvent", touch("touchStart", json!([{ "x": x, "y": y }]))).await;
    window.devtools("Input.dispatchTouchEvent", touch("touchEnd", json!([]))).await;
}

async fn taps_on(window: &Window, selector: &str) {
    let [left, top, right, bottom] = rect(window, selector).await;
    taps(window, f64::midpoint(left, right), f64::midpoint(top, bottom)).await;
}

/// Nothing of this state is hard to use for people with a disability, light or dark.
pub async fn is_accessible(window: &Window, state: &str) {
    for scheme in [Scheme::Dark, Scheme::Light] {
        window.prefers(scheme).await;
        window.is_accessible(&format!("{state}, {scheme:?}")).await;
    }
}

#[tokio::test]
async fn the_list_of_messages_is_one_tab_stop_with_arrow_keys_inside() {
    let Some(driver) = Driver::start() else { return };
    let server = Server::start();
    for number in 0..100 {
        server.post(&format!("message {number}")).await;
    }
    server.post("read https://example.org/ first").await;
    let alice = driver.window().await;
    alice.sign_in(&server.links[0]).await;
    alice.sees("the newest message", |view| view.texts().last() == Some(&"read https://example.org/ first")).await;

    alice.click("#composer").await;
    alice.tabs_back_to("#messages > .message").await;
    sees_focus(&alice, "read https://example.org/ first").await;
    // Its link, its button, and then the composer again: nothing of any other message.
    alice.presses(Key::Tab).await;
    assert_eq!(
        alice.run("return document.activeElement.className || document.activeElement.href", json!([])).await,
        "https://example.org/"
    );
    alice.tabs_to(".more").await;
    alice.tabs_to("#composer").await;
    alice.tabs_back_to("#messages > .message").await;

    alice.presses(Key::Up).await;
    sees_focus(&alice, "message 99").await;
    for number in (80..99).rev() {
        alice.presses(Key::Up).await;
        sees_focus(&alice, &format!("message {number}")).await;
    }
    alice.presses(Key::Down).await;
    sees_focus(&alice, "message 81").await;
    alice.presses(Key::Home).await;
    sees_focus(&alice, "message 1").await; // the first of the newest hundred
    alice.presses(Key::PageDown).await;
    until("a page further", || async { focused(&alice).await.1 }).await;
    alice.presses(Key::End).await;
    sees_focus(&alice, "read https://example.org/ first").await;
    alice.presses(Key::PageUp).await;
    let (text, whole) = focused(&alice).await;
    assert!(whole && text != "read https://example.org/ first", "a page up from the end: {text}");

    alice.presses(Key::Escape).await;
    alice.sees("the focus in the composer", |view| view.focus == "composer").await;
    let mut stops = 0;
    while alice.run("return document.activeElement.id", json!([])).await != "people-toggle" {
        alice.tabs_back_to("*").await;
        stops += 1;
        assert!(stops <= 4, "{stops} tab stops between the composer and the header");
    }
    alice.is_clean().await;
}

#[tokio::test]
async fn a_long_message_unfolded_by_keyboard_keeps_the_focus() {
    let Some(driver) = Driver::start() else { return };
    let server = Server::start();
    let long = (0..60).map(|line| format!("line {line}")).collect::<Vec<_>>().join("\n");
    server.post(&long).await;
    server.post("after it").await;
    let alice = driver.window().await;
    alice.sign_in(&server.links[0]).await;
    alice.sees_messages(&[HELLO, &long, "after it"]).await;
    alice.tabs_back_to("#messages > .message").await;
    alice.presses(Key::Up).await;
    alice.tabs_to(".unfold").await;
    alice.presses(Key::Enter).await;
    alice.has(".unfold", 0).await;
    until("the focus on it", || async { focused(&alice).await == (long.clone(), true) }).await;
    // Longer than the window, it is read before the next one comes.
    let top = alice.run("return document.querySelector('#history').scrollTop", json!([])).await.as_f64();
    alice.presses(Key::Down).await;
    until("more of it", || async {
        alice.run("return document.querySelector('#history').scrollTop", json!([])).await.as_f64() > top
    })
    .await;
    assert_eq!(focused(&alice).await.0, long);
    for _ in 0..4 {
        alice.presses(Key::Down).await;
    }
    sees_focus(&alice, "after it").await;
    alice.is_clean().await;
}

#[tokio::test]
async fn actions_of_a_message_open_by_key_and_give_the_focus_back() {
    let Some(Stage { alice, bob, .. }) = &Stage::set().await else { return };
    bob.writes("from `bob`").await;
    alice.sees_messages(&[HELLO, "from bob"]).await;
    alice.click("#composer").await;
    alice.tabs_back_to("#messages > .message").await;
    alice.presses(Key::Enter).await;
    alice.has(MENU, 1).await;
    // The owner of a thread may delete what others wrote, and edit only what is her own.
    assert_eq!(items(alice).await, json!(["Copy text", "Delete"]));
    let label = alice.run("return document.querySelector('.menu').getAttribute('aria-label')", json!([])).await;
    assert!(label.as_str().is_some_and(|label| label.starts_with("Actions for the message by Bob of ")), "{label}");
    let note = alice.run("return document.querySelector('.menu').dataset.note.length", json!([])).await;
    assert!(note.as_u64() > Some(20), "the exact time");
    alice.presses(Key::Escape).await;
    alice.has(MENU, 0).await;
    sees_focus(alice, "from bob").await;

    let shift_f10 = [Key::Shift, Key::F10];
    bob.click("#composer").await;
    bob.tabs_back_to("#messages > .message").await;
    bob.chord(&shift_f10).await;
    bob.has(MENU, 1).await;
    assert_eq!(items(bob).await, json!(["Edit", "Copy text", "Delete"]));
    is_accessible(bob, "the menu of a message").await;
    let item = async || bob.run("return document.activeElement.textContent", json!([])).await;
    assert_eq!(item().await, "Edit");
    bob.presses(Key::Up).await;
    assert_eq!(item().await, "Delete");
    bob.presses(Key::Down).await;
    bob.presses(Key::Down).await;
    assert_eq!(item().await, "Copy text");
    bob.presses(Key::Enter).await;
    bob.has(MENU, 0).await;
    sees_focus(bob, "from bob").await;
    until("that it was copied", || async {
        bob.run("return document.querySelector('#notice').textContent", json!([])).await == "Copied."
    })
    .await;

    is_accessible(bob, "a message that has the focus, and words that it was copied").await;

    alice.is_clean().await;
    bob.is_clean().await;
}

#[tokio::test]
async fn a_message_keeps_the_focus_when_its_menu_or_question_is_left() {
    let Some(Stage { bob, server, .. }) = &Stage::set().await else { return };
    bob.writes("from bob").await;
    bob.sees_messages(&[HELLO, "from bob"]).await;
    opens_menu(bob, ".message.own").await;
    // A press elsewhere closes it as well.
    bob.click("#thread-title").await;
    bob.has(MENU, 0).await;
    opens_menu(bob, ".message.own").await;
    bob.presses(Key::End).await;
    bob.presses(Key::Enter).await;
    bob.sees("the question", |view| view.dialog.contains("Delete your message of ")).await;
    bob.presses(Key::Escape).await;
    sees_focus(bob, "from bob").await;
    // What another window does to a message leaves the focus on it.
    let view = bob.look().await;
    let path = format!("/api/messages/{}", view.messages[1].id);
    server.program.ask(Method::DELETE, &path, Value::Null).await.expect("an answer");
    bob.sees_messages(&[HELLO, "You deleted this message"]).await;
    sees_focus(bob, "You deleted this message").await;
    bob.is_clean().await;
}

#[tokio::test]
async fn a_mouse_finds_one_button_at_the_message_it_points_at() {
    let Some(Stage { alice, bob, .. }) = &Stage::set().await else { return };
    let long = "word ".repeat(120).trim().to_owned();
    alice.writes(&long).await;
    bob.writes(&long).await;
    alice.sees_messages(&[HELLO, &long, &long]).await;
    alice.has(".message .more", 0).await;
    // Nothing of the buttons takes place from the text.
    let widths =
        "return [...document.querySelectorAll('.message .text')].slice(1).map((text) => text.getBoundingClientRect().width)";
    let widths: Vec<f64> = serde_json::from_value(alice.run(widths, json!([])).await).expect("widths");
    assert!(widths.len() == 2 && (widths[0] - widths[1]).abs() < 1.0 && widths[0] > 500.0, "{widths:?}");
    let before = rect(alice, ".message.other .bubble").await;
    let (x, y) = (f64::midpoint(before[0], before[2]), f64::midpoint(before[1], before[3]));
    alice.devtools("Input.dispatchMouseEvent", json!({ "type": "mouseMoved", "x": x, "y": y })).await;
    alice.has(".message .more", 1).await;
    let after = rect(alice, ".message.other .bubble").await;
    assert!(
        before.iter().zip(after).all(|(before, after)| (before - after).abs() < 0.5),
        "nothing moves: {before:?} {after:?}"
    );
    alice.click(".message.other .more").await;
    alice.has(MENU, 1).await;
    let [left, top, right, bottom] = rect(alice, ".menu").await;
    assert!(left >= 0.0 && top >= 0.0 && right <= 1280.0 && bottom <= 900.0, "the menu is in the window");
    // The button that opened it closes it.
    alice.click(".message.other .more").await;
    alice.has(MENU, 0).await;
    alice.is_clean().await;
    bob.is_clean().await;
}

#[tokio::test]
async fn on_a_phone_one_button_of_the_tapped_message_opens_its_actions() {
    let Some(Stage { alice, bob, .. }) = &Stage::set().await else { return };
    bob.writes("and bob").await;
    alice.sees_messages(&[HELLO, "and bob"]).await;
    alice.writes("twice").await;
    alice.writes("alice").await;
    alice.sees_messages(&[HELLO, "and bob", "twice", "alice"]).await;
    alice.phone().await;
    alice.has("#messages button", 0).await;
    let last = "#messages > .message:last-child";
    taps_on(alice, &format!("{last} .bubble")).await;
    alice.has("#messages button", 1).await;
    let [left, top, right, bottom] = rect(alice, &format!("{last} .more")).await;
    assert!(right - left >= 44.0 && bottom - top >= 44.0 && left >= 0.0, "{left} {top} {right} {bottom}");
    taps_on(alice, &format!("{last} .more")).await;
    alice.has(MENU, 1).await;
    assert_eq!(items(alice).await, json!(["Edit", "Copy text", "Delete"]));
    let script =
        "return [...document.querySelectorAll('.menu button')].every((one) => one.getBoundingClientRect().height >= 44)";
    assert_eq!(alice.run(script, json!([])).await, true, "fingers need 44 pixels");
    // A finger cannot hover: the menu tells the time of a message that stands below another one of its minute.
    let times = "return [document.querySelector('.menu').dataset.note, [...document.querySelectorAll('.message time')].at(-1).title]";
    let times: (String, String) = serde_json::from_value(alice.run(times, json!([])).await).expect("two times");
    assert!(times.0 == times.1 && times.0.len() > 20, "{times:?}");
    alice.prefers(Scheme::Light).await;
    let broken = alice.broken_rules().await;
    // Which heading a phone's conversation has is no matter of its messages.
    assert!(broken.iter().all(|rule| rule.starts_with("page-has-heading-one")), "the menu on a phone: {broken:#?}");
    taps(alice, 195.0, 200.0).await;
    alice.has(MENU, 0).await;
    taps_on(alice, ".message.other .bubble").await;
    alice.has("#messages button", 1).await;
    alice.has(".message.other .more", 1).await;
    let wide = alice
        .run("return document.documentElement.scrollWidth + document.querySelector('#history').scrollWidth", json!([]))
        .await;
    assert_eq!(wide, 780, "nothing is wider than the screen");
    alice.is_clean().await;
    bob.is_clean().await;
}
