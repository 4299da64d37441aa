//! The line that says how the connection is: what it says, when, and that nothing moves for it; and the words of refusals.

use std::time::Instant;

use serde_json::{Value, json};

use crate::{
    HELLO, Stage,
    driver::Driver,
    outage::{Behind, FALLBACK, OFFLINE, converse, falls_back},
    proxy::Streams,
    server::Server,
    window::{View, Window},
};

/// From now on every change of the line is noted.
async fn watches_the_line(window: &Window) {
    let script = "const words = document.querySelector('#connection-words'); window.lines = [words.textContent];
        new MutationObserver(() => { if (lines.at(-1) !== words.textContent) lines.push(words.textContent); })
            .observe(words, { childList: true, characterData: true, subtree: true });";
    window.run(script, json!([])).await;
}

async fn lines(window: &Window) -> Value {
    window.run("return window.lines", json!([])).await
}

/// Without a socket and with streams that fail like this, the page polls and the line stays as it is.
async fn polls_where_streams_fail(streams: Streams) {
    let Some(behind) = Behind::set().await else { return };
    let Behind { alice, proxy, .. } = &behind;
    proxy.lets_sockets_through(false);
    proxy.treats_streams(streams);
    let began = Instant::now();
    behind.sign_in().await;
    falls_back(alice).await;
    watches_the_line(alice).await;
    converse(&behind).await;
    assert_eq!(lines(alice).await, json!([FALLBACK]));
    let minutes = began.elapsed().as_secs() / 60;
    assert!((1..=1 + minutes).contains(&proxy.streams()), "{} streams in {minutes} minutes", proxy.streams());
    alice.is_clean().await;
}

#[tokio::test]
async fn where_event_streams_are_reset_the_page_polls_and_says_so() {
    polls_where_streams_fail(Streams::Reset).await;
}

#[tokio::test]
async fn where_event_streams_are_refused_the_line_does_not_flicker() {
    polls_where_streams_fail(Streams::Refused).await;
}

/// Tells the page that there is a network, or none, as the system does.
async fn network(window: &Window, there: bool) {
    let conditions = json!({ "offline": !there, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1 });
    window.devtools("Network.emulateNetworkConditions", conditions).await;
}

#[tokio::test]
async fn when_the_network_goes_the_line_says_so_without_waiting_for_silence() {
    let Some(behind) = Behind::set().await else { return };
    let Behind { alice, bob, proxy, .. } = &behind;
    behind.sign_in().await;
    alice.is_live().await;
    // By silence the page would find out in an hour.
    alice.run_module("(await import('/hailgate.js')).LIMITS.pong_ms = 3_600_000; return true").await;
    proxy.mutes_sockets(true);
    network(alice, false).await;
    alice.sees("that it is offline", |view| view.connection == "offline" && view.connection_words == OFFLINE).await;
    alice.writes("from the tunnel").await;
    let waits = |view: &View| view.messages.last().is_some_and(|last| last.fate == "Will be sent when you are back");
    alice.sees("that it waits", waits).await;
    proxy.mutes_sockets(false);
    network(alice, true).await;
    alice.sees("that it is live", |view| view.connection == "live" && view.connection_words.is_empty()).await;
    for window in [alice, bob] {
        window.sees_messages(&[HELLO, "from the tunnel"]).await;
    }
}

/// Where the parts of the page are, and whether the line covers something that is written in.
const PLACES: &str = "const box = (selector) => { const { x, y, width, height } = document.querySelector(selector).getBoundingClientRect(); return [x, y, width, height]; };
    return [innerWidth, ...['#threads', '#thread-list', '#conversation', '#history', '#composer-form'].map(box)];";

#[tokio::test]
async fn nothing_moves_when_the_line_comes_and_goes() {
    let Some(mut stage) = Stage::set().await else { return };
    let Stage { alice, bob, server, .. } = &mut stage;
    bob.narrow().await;
    bob.has("#composer", 1).await;
    let before = [alice.run(PLACES, json!([])).await, bob.run(PLACES, json!([])).await];
    server.kill();
    for window in [&*alice, &*bob] {
        window.sees("the line", |view| view.connection_words == OFFLINE).await;
    }
    assert_eq!([alice.run(PLACES, json!([])).await, bob.run(PLACES, json!([])).await], before);
    let apart = "const line = document.querySelector('#connection').getBoundingClientRect();
        return ['.bar', '#composer-form', '#threads footer'].every((selector) => [...document.querySelectorAll(selector)].every((part) => {
            const box = part.getBoundingClientRect();
            return !box.width || line.right <= box.left || line.left >= box.right || line.bottom <= box.top || line.top >= box.bottom;
        }))";
    assert_eq!(
        [alice.run(apart, json!([])).await, bob.run(apart, json!([])).await],
        [true, true],
        "nothing to use is covered"
    );
    bob.click("#back").await;
    bob.has("#signout", 1).await;
    assert_eq!(bob.run(apart, json!([])).await, true, "nor in the list");
    bob.click("#thread-list a").await;
    bob.has("#composer", 1).await;
    server.start_again();
    for window in [&*alice, &*bob] {
        window.sees("no line", |view| view.connection == "live" && view.connection_words.is_empty()).await;
    }
    assert_eq!([alice.run(PLACES, json!([])).await, bob.run(PLACES, json!([])).await], before);
}

#[tokio::test]
async fn who_sends_faster_than_allowed_reads_that_and_all_arrives_in_order() {
    let slow = [("HAILGATE_LIMIT_SENDS_BURST", "2"), ("HAILGATE_LIMIT_SENDS_PER_SECOND", "1")];
    let Some(stage) = Stage::set_with(&slow).await else { return };
    let Stage { alice, bob, .. } = &stage;
    let words = "new MutationObserver(() => { for (const { textContent } of document.querySelectorAll('.fate')) fates.add(textContent); })
        .observe(document.querySelector('#messages'), { childList: true, subtree: true, characterData: true }); window.fates = new Set();";
    alice.run(words, json!([])).await;
    let texts = ["1", "2", "3", "4", "5", "6"];
    for text in texts {
        alice.writes(text).await;
    }
    let all = [&[HELLO][..], &texts[..]].concat();
    for window in [alice, bob] {
        window.sees_messages(&all).await;
    }
    let fates = alice.run("return [...fates]", json!([])).await;
    assert_eq!(fates, json!(["Many messages at once. Will be sent by itself"]));
}

async fn at_the_form(driver: &Driver, server: &Server) -> Window {
    let window = driver.window().await;
    window.go(&format!("http://127.0.0.1:{}/", server.port)).await;
    // The form is in sight before the modules that it needs.
    window.has("#signin-submit:enabled", 1).await;
    window
}

/// Tries to sign in; what is said to it.
async fn is_told(window: &Window, name: &str, password: &str) -> String {
    for (selector, text) in [("#signin-name", name), ("#signin-password", password)] {
        window.run("document.querySelector(arguments[0]).value = ''", json!([selector])).await;
        window.fills(selector, text).await;
    }
    window.click("#signin-submit").await;
    let done = |view: &View| !view.signin_words.is_empty() && view.signin_words != "Signing in";
    window.sees("an answer", done).await.signin_words
}

#[tokio::test]
async fn after_too_many_wrong_passwords_one_sentence_says_how_long_to_wait() {
    let Some(driver) = Driver::start() else { return };
    let server = Server::start();
    let window = at_the_form(&driver, &server).await;
    let told = loop {
        let told = is_told(&window, "alice", "wrong").await;
        if told != "Name or password is wrong" {
            break told;
        }
    };
    let wait = told.strip_prefix("Too many failed sign-ins: wait ").and_then(|rest| rest.strip_suffix(" and try again"));
    let (count, unit) = wait.and_then(|wait| wait.split_once(' ')).unwrap_or_else(|| panic!("{told}"));
    assert!(count.parse::<u64>().is_ok() && unit.starts_with("second"), "{told}");
}

#[tokio::test]
async fn a_link_that_was_used_is_refused_in_one_sentence() {
    let Some(driver) = Driver::start() else { return };
    let server = Server::start();
    let (first, second) = (driver.window().await, driver.window().await);
    first.sign_in(&server.links[0]).await;
    second.go(&server.links[0]).await;
    let view = second.sees("why", |view| view.signin && !view.signin_words.is_empty()).await;
    assert_eq!(view.signin_words, "This sign-in link has been used or has expired");
}

/// How the words of the form look: role, colour, whether there is an icon; and what the fields say of themselves.
const LOOKS: &str = "const words = document.querySelector('#signin-words'), style = getComputedStyle(words);
    const icon = getComputedStyle(words, '::before');
    return [words.getAttribute('role'), style.color === getComputedStyle(document.body).color, icon.content,
        ...['name', 'password'].flatMap((name) => ['aria-invalid', 'aria-describedby'].map((what) => document.querySelector(`#signin-${name}`).getAttribute(what)))];";

#[tokio::test]
async fn an_error_of_the_sign_in_form_looks_like_one_and_names_its_field() {
    let Some(driver) = Driver::start() else { return };
    let server = Server::start();
    let window = at_the_form(&driver, &server).await;
    let below = "const form = document.querySelector('#signin-form'), shown = [...form.children].filter((child) => child.getClientRects().length && child.textContent + (child.value ?? '')).at(-1);
        return Math.round(form.getBoundingClientRect().bottom - shown.getBoundingClientRect().bottom)";
    assert_eq!(window.run(below, json!([])).await, 25, "padding and border, and no empty line");
    window.click("#signin-submit").await;
    window.sees("what is missing", |view| view.signin_words == "Enter your name").await;
    let name = json!(["alert", false, "\"!\"", "true", "signin-words", "false", null]);
    assert_eq!(window.run(LOOKS, json!([])).await, name);
    assert_eq!(is_told(&window, "alice", "wrong").await, "Name or password is wrong");
    let both = json!(["alert", false, "\"!\"", "true", "signin-words", "true", "signin-words"]);
    assert_eq!(window.run(LOOKS, json!([])).await, both);
    assert_eq!(window.look().await.focus, "signin-password");
}
