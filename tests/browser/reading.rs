//! Reading: the page keeps its place, and what was in view is what is read.

use fantoccini::key::Key;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    Stage,
    server::Program,
    window::{View, Window, until},
};

/// The two sizes that are looked at: a desk and a phone.
const SIZES: [(u32, u32); 2] = [(1440, 900), (390, 844)];

/// Turns the wheel over the middle of an element, as far as this.
async fn turns_wheel(window: &Window, selector: &str, down: i64) {
    let middle = "const box = document.querySelector(arguments[0]).getBoundingClientRect();
        return [box.left + box.width / 2, box.top + box.height / 2];";
    let middle = window.run(middle, json!([selector])).await;
    let turn = json!({ "type": "mouseWheel", "x": middle[0], "y": middle[1], "deltaX": 0, "deltaY": down });
    window.devtools("Input.dispatchMouseEvent", turn).await;
}

/// As large as this from now on.
async fn sized(window: &Window, (width, height): (u32, u32)) {
    let screen = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
    window.devtools("Emulation.setDeviceMetricsOverride", screen).await;
}

/// Waits until the browser has drawn twice: what a turn of the wheel or a new size sets off has happened.
async fn drawn(window: &Window) {
    window.run_module("for (let i = 0; i < 2; i += 1) await new Promise(requestAnimationFrame);").await;
}

/// The messages in view from the first to the last whole one, and whether the "New messages" line is in view.
const IN_VIEW: &str = "const box = document.querySelector('#history').getBoundingClientRect();
    const within = (item) => { const { top, bottom } = item.getBoundingClientRect(); return top >= box.top - 1 && bottom <= box.bottom + 1; };
    const texts = [...document.querySelectorAll('#messages [data-message-id]')].filter(within).map((item) => item.querySelector('.text').textContent);
    const line = document.querySelector('.new-line');
    return { texts, line: Boolean(line) && within(line), after: line?.nextElementSibling.querySelector('.text').textContent ?? '' };";

struct InView {
    texts: Vec<String>,
    line: bool,
    after: String,
}

async fn in_view(window: &Window) -> InView {
    let seen = window.run(IN_VIEW, json!([])).await;
    let texts = serde_json::from_value(seen["texts"].clone()).expect("texts");
    InView { texts, line: seen["line"] == true, after: seen["after"].as_str().expect("a text").to_owned() }
}

/// What the server says of this thread: what is unread, and up to where it is read.
async fn told(program: &Program, thread: &str) -> (u64, u64) {
    let answer = program.ask(Method::GET, &format!("/api/threads/{thread}"), Value::Null).await.expect("the server answers");
    (answer["unread"].as_u64().expect("a number"), answer["read_sequence"].as_u64().expect("a number"))
}

async fn posts(program: &Program, thread: &str, numbers: std::ops::RangeInclusive<u32>) {
    for number in numbers {
        program.post(thread, &format!("number {number}")).await;
    }
}

fn unread(view: &View, title: &str) -> u64 {
    view.thread(title).map_or(0, |thread| thread.unread)
}

/// Waits until the page and the server agree on what is unread; how much that is.
async fn agreed(window: &Window, program: &Program, thread: &str, title: &str) -> u64 {
    until("the server knows what was read", || async {
        unread(&window.look().await, title) == told(program, thread).await.0
    })
    .await;
    told(program, thread).await.0
}

#[tokio::test]
async fn forty_short_messages_and_a_turn_of_the_wheel_leave_the_page_where_it_is() {
    let Some(Stage { alice, server, .. }) = &Stage::set().await else { return };
    for number in 1..=40 {
        server.post(&format!("short {number}")).await;
    }
    for size in SIZES {
        sized(alice, size).await;
        alice.sees("all of them", |view| view.texts().last() == Some(&"short 40") && view.to_end.is_empty()).await;
        for selector in ["#history", "#conversation .bar"] {
            turns_wheel(alice, selector, 600).await;
            drawn(alice).await;
            let view = alice.look().await;
            assert_eq!((view.overflow, alice.run("return scrollY", json!([])).await), (0, Value::from(0)), "{selector}");
        }
    }
    alice.is_clean().await;
}

#[tokio::test]
async fn forty_unread_messages_are_read_as_far_as_they_were_in_view() {
    let Some(Stage { bob, server, .. }) = &Stage::set().await else { return };
    let program = server.program_of("bob");
    let thread = server.program.thread("Long", &["bob"]).await;
    posts(&server.program, &thread, 1..=40).await;
    bob.sees("forty unread messages", |view| unread(view, "Long") == 40).await;
    bob.opens("Long").await;
    bob.sees("the first of them", |view| view.texts().len() == 40 && unread(view, "Long") < 40).await;
    let left = agreed(bob, &program, &thread, "Long").await;
    let view = in_view(bob).await;
    assert!(view.line && view.after == "number 1", "the line stands above the first unread message, in view");
    assert_eq!(view.texts.last(), Some(&format!("number {}", 40 - left)), "what is below the view stays unread");
    assert!(left > 0, "forty messages are higher than the window");
    assert_eq!(bob.look().await.to_end, format!("To the end: {left} new messages"));

    // Whoever comes back begins where they stopped.
    bob.reload().await;
    bob.sees("the place again", |view| view.heading == "Long" && unread(view, "Long") < left).await;
    let view = in_view(bob).await;
    assert!(view.line && view.after == format!("number {}", 41 - left), "{:?} after {:?}", view.texts, view.after);
    // The rest comes into view by the wheel.
    until("all was in view", || async {
        turns_wheel(bob, "#history", 300).await;
        unread(&bob.look().await, "Long") == 0
    })
    .await;
    assert_eq!(agreed(bob, &program, &thread, "Long").await, 0);
    let view = bob.sees("the end", |view| view.to_end.is_empty()).await;
    assert_eq!(view.to_first, "", "nothing was jumped over");
    bob.is_clean().await;
}

/// A thread that bob has read up to number 30, and that so many messages came into since.
async fn left_behind(Stage { bob, server, .. }: &Stage, last: u32) -> String {
    let thread = server.program.thread("Long", &["bob"]).await;
    posts(&server.program, &thread, 1..=30).await;
    bob.opens("Long").await;
    bob.sees("the thread", |view| view.texts().len() == 30).await;
    bob.click("#to-end").await;
    bob.sees("that all is read", |view| unread(view, "Long") == 0).await;
    agreed(bob, &server.program_of("bob"), &thread, "Long").await;
    bob.opens("Demo").await;
    posts(&server.program, &thread, 31..=last).await;
    thread
}

#[tokio::test]
async fn a_thread_opens_at_its_first_unread_message_however_many_there_are() {
    let Some(stage) = &Stage::set().await else { return };
    let (bob, program) = (&stage.bob, stage.server.program_of("bob"));
    let thread = left_behind(stage, 250).await;
    let mut from = 31;
    for (last, size) in [(250, SIZES[0]), (1_300, SIZES[1])] {
        posts(&stage.server.program, &thread, 251..=last).await;
        sized(bob, size).await;
        bob.sees("all unread messages", |view| unread(view, "Long") >= u64::from(last + 1 - from).min(1_000)).await;
        if size == SIZES[1] {
            bob.click("#back").await;
        }
        bob.opens("Long").await;
        bob.sees("the place", |view| view.marks.iter().any(|mark| mark == "New messages")).await;
        let view = in_view(bob).await;
        assert!(view.line && view.after == format!("number {from}"), "{:?} after {:?}", view.texts, view.after);
        assert!(view.texts.first().map(String::as_str) < Some(view.after.as_str()), "what was read stands above it");
        let (left, read) = told(&program, &thread).await;
        assert!(left > 0 && read < u64::from(last), "not all is read: {left} after {read}");

        // Who jumps to the end has chosen to; what was jumped over stays one step away.
        bob.click("#to-end").await;
        let view = bob.sees("the end", |view| view.to_end.is_empty() && unread(view, "Long") == 0).await;
        assert!(view.to_first.ends_with("above: go to the first"), "{:?}", view.to_first);
        assert_eq!(in_view(bob).await.texts.last(), Some(&format!("number {last}")));
        assert_eq!(agreed(bob, &program, &thread, "Long").await, 0);
        bob.click("#to-first").await;
        bob.sees("the way to the end", |view| !view.to_end.is_empty() && view.to_first.is_empty()).await;
        let view = in_view(bob).await;
        assert!(view.line && !view.after.is_empty() && view.after != format!("number {from}"), "{:?}", view.after);
        if size == SIZES[1] {
            bob.click("#back").await;
        } else {
            bob.opens("Demo").await;
        }
        from = last + 1;
    }
    bob.is_clean().await;
}

#[tokio::test]
async fn a_window_that_is_hidden_reads_nothing_and_keeps_the_first_unread_message_in_view() {
    let Some(Stage { bob, server, .. }) = &Stage::set().await else { return };
    let program = server.program_of("bob");
    let thread = server.program.thread("Long", &["bob"]).await;
    posts(&server.program, &thread, 1..=30).await;
    bob.opens("Long").await;
    bob.click("#to-end").await;
    bob.sees("that all is read", |view| unread(view, "Long") == 0 && view.texts().len() == 30).await;
    agreed(bob, &program, &thread, "Long").await;
    let hide = "window.shown = 'hidden';
        Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => window.shown });
        document.dispatchEvent(new Event('visibilitychange'));";
    bob.run(hide, json!([])).await;
    posts(&server.program, &thread, 31..=90).await;
    bob.sees("what came", |view| view.texts().last() == Some(&"number 90")).await;
    assert_eq!(agreed(bob, &program, &thread, "Long").await, 60, "nothing was seen");
    bob.run("window.shown = 'visible'; document.dispatchEvent(new Event('visibilitychange'));", json!([])).await;
    bob.sees("that something is read", |view| unread(view, "Long") < 60).await;
    let left = agreed(bob, &program, &thread, "Long").await;
    let view = in_view(bob).await;
    assert!(left > 0 && view.line && view.after == "number 31", "{left} left, {:?} after {:?}", view.texts, view.after);
    bob.is_clean().await;
}

/// Shift+Enter.
async fn breaks_line(window: &Window) {
    let keys = [("keyDown", json!("\r")), ("keyUp", Value::Null)];
    for (kind, text) in keys {
        let mut key = json!({ "type": kind, "modifiers": 8, "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13 });
        if !text.is_null() {
            key["text"] = text;
        }
        window.devtools("Input.dispatchKeyEvent", key).await;
    }
}

#[tokio::test]
async fn six_lines_in_the_composer_keep_the_end_in_view_and_what_arrives_is_read() {
    let Some(Stage { alice, bob, server, .. }) = &Stage::set().await else { return };
    let program = server.program_of("bob");
    posts(&server.program, &server.thread, 1..=60).await;
    for (sizing, size) in [("content", SIZES[0]), ("fixed", SIZES[0]), ("content", SIZES[1])] {
        sized(bob, size).await;
        bob.run(
            "Object.assign(document.querySelector('#composer').style, { fieldSizing: arguments[0], height: '' })",
            json!([sizing]),
        )
        .await;
        // What comes at once and is higher than the window is shown from its first message on.
        bob.sees("all messages", |view| view.texts().len() > 60).await;
        bob.run("document.querySelector('#to-end').click()", json!([])).await;
        let view = bob.sees("the end", |view| view.to_end.is_empty()).await;
        let before = view.texts().len();
        bob.click("#composer").await;
        for line in 1..=6 {
            bob.types(&format!("line {line}")).await;
            drawn(bob).await;
            let view = bob.look().await;
            assert_eq!(view.to_end, "", "line {line}, {sizing}");
            let seen = in_view(bob).await.texts;
            assert_eq!(seen.last().map(String::as_str), view.texts().last().copied(), "line {line}, {sizing}");
            if line < 6 {
                breaks_line(bob).await;
            }
        }
        let height = "return document.querySelector('#composer').clientHeight";
        let grown = bob.run(height, json!([])).await;
        assert!(grown.as_u64() >= Some(6 * 24), "the field has grown to {grown} only, {sizing} at {size:?}");
        server.post("meanwhile").await;
        bob.sees("what arrived", |view| view.texts().len() == before + 1 && view.to_end.is_empty()).await;
        assert_eq!(in_view(bob).await.texts.last().map(String::as_str), Some("meanwhile"));
        assert_eq!(agreed(bob, &program, &server.thread, "Demo").await, 0);
        bob.presses(Key::Enter).await;
        bob.sees("it sent", |view| {
            view.texts().len() == before + 2 && view.messages.last().is_some_and(|last| last.state == "sent")
        })
        .await;
        assert!(bob.run(height, json!([])).await.as_u64() < Some(2 * 24), "the field is small again");
    }
    alice.is_clean().await;
    bob.is_clean().await;
}

#[tokio::test]
async fn a_short_conversation_stands_at_the_composer_and_the_way_to_the_end_covers_no_text() {
    let Some(Stage { alice, server, .. }) = &Stage::set().await else { return };
    let gap = "const bottom = (selector) => document.querySelector(selector).getBoundingClientRect().bottom;
        return bottom('#history') - bottom('#messages li:last-child');";
    for size in SIZES {
        sized(alice, size).await;
        drawn(alice).await;
        let gap = alice.run(gap, json!([])).await.as_f64().expect("a distance");
        assert!((0.0..=24.0).contains(&gap), "{gap} pixels are left below the last message");
    }
    for number in 1..=60 {
        let text = format!("{number} {}", "words that go on and on ".repeat(20));
        if number % 2 == 0 {
            server.post(&text).await;
        } else {
            server.program_of("bob").post(&server.thread, &text).await;
        }
    }
    let covers = "const box = document.querySelector('#to-end').getBoundingClientRect();
        return [...document.querySelectorAll('.bubble')].some((one) => { const it = one.getBoundingClientRect();
          const shown = Math.min(it.bottom, document.querySelector('#history').getBoundingClientRect().bottom);
          return it.left < box.right && box.left < it.right && it.top < box.bottom && box.top < shown; });";
    for size in SIZES {
        sized(alice, size).await;
        alice.sees("them", |view| view.texts().len() == 61).await;
        if !alice.look().await.to_end.is_empty() {
            alice.click("#to-end").await;
        }
        alice.sees("the end", |view| view.to_end.is_empty()).await;
        for _ in 0..5 {
            turns_wheel(alice, "#history", -150).await;
            alice.sees("the way to the end", |view| view.to_end == "To the end").await;
            assert_eq!(alice.run(covers, json!([])).await, false);
        }
        alice.click("#to-end").await;
        alice.sees("the end", |view| view.to_end.is_empty()).await;
    }
    alice.is_clean().await;
}

#[tokio::test]
async fn a_wide_window_begins_with_the_thread_that_was_open_last_or_with_none() {
    let Some(Stage { driver, bob, server, .. }) = &Stage::set().await else { return };
    let address = format!("http://{}:{}/", host(bob).await, server.port);
    for title in ["Lunch", "Plans"] {
        let thread = server.program.thread(title, &["bob"]).await;
        server.program.post(&thread, "news").await;
    }
    bob.opens("Lunch").await;
    bob.sees("that it is read", |view| unread(view, "Lunch") == 0).await;
    bob.go(&address).await;
    let view =
        bob.sees("the thread of before", |view| view.open && view.heading == "Lunch" && view.threads.len() == 3).await;
    assert_eq!(unread(&view, "Plans"), 1, "what was not opened stays unread");

    server.command(&["user", "passwd", "bob", "--password-stdin"], "correct horse battery staple\n");
    let other = driver.window().await;
    other.go(&format!("http://127.0.0.1:{}/", server.port)).await;
    other.sees("the sign-in form", |view| view.signin).await;
    other.fills("#signin-name", "bob").await;
    other.fills("#signin-password", "correct horse battery staple").await;
    other.click("#signin-submit").await;
    let view = other.sees("the threads", |view| view.threads.len() == 3 && view.connection == "live").await;
    assert!(!view.open && view.nothing_words == "Choose a thread", "{view:#?}");
    assert_eq!(unread(&view, "Plans"), 1, "nothing is read by itself");
}

/// The name by which a window reaches the server.
async fn host(window: &Window) -> String {
    window.run("return location.hostname", json!([])).await.as_str().expect("a name").to_owned()
}
