//! A thread among many is found by its title or its people, and the list is gone through, by keyboard alone.

use fantoccini::key::Key;
use serde_json::{Value, json};

use crate::{
    HELLO, Stage,
    server::Server,
    window::{Window, until},
};

/// As many as anybody has.
const MANY: usize = 500;
/// So many threads at once.
const PLENTY: &[(&str, &str)] = &[("HAILGATE_LIMIT_THREADS_BURST", "500")];
/// The widths that the page is made for, with their heights.
const SIZES: [(u32, u32); 3] = [(1_440, 900), (900, 800), (390, 844)];

/// Ctrl+K.
const FIND: &[char] = &['\u{E009}', 'k'];

/// The titles in sight, from above.
const TITLES: &str = "return [...document.querySelectorAll('#thread-list .title')].map((title) => title.textContent)";
/// The title of the thread that has the focus in the list.
const FOCUSED: &str = "return document.activeElement.querySelector('.title')?.textContent ?? document.activeElement.id";

async fn titles(window: &Window, wanted: &[&str]) {
    until(&format!("the threads {wanted:?}"), || async { window.run(TITLES, json!([])).await == json!(wanted) }).await;
}

async fn focused(window: &Window, wanted: &str) {
    until(&format!("the focus on {wanted}"), || async { window.run(FOCUSED, json!([])).await == wanted }).await;
}

async fn many(server: &Server) {
    for number in 0..MANY - 4 {
        server.program.thread(&format!("Thread {number}"), &["bob"]).await;
    }
    server.program.thread("Straße nach Łódź", &["bob"]).await;
    server.program.thread("Budget für Köln 2027", &["bob"]).await;
    server.program.thread("Books", &["bob", "odette"]).await;
}

#[tokio::test]
async fn one_of_500_threads_is_found_by_title_or_person_without_a_mouse() {
    let Some(Stage { alice: window, server, .. }) = &Stage::set_with(PLENTY).await else { return };
    let password = "correct horse battery staple\n";
    server.command(&["user", "add", "odette", "--display", "Odette Durand", "--password-stdin"], password);
    many(server).await;
    window.reload().await;
    window.sees("all threads", |view| view.threads.len() == MANY && view.connection == "live").await;
    window.opens("Books").await;
    for (width, height) in SIZES {
        window.measures(width, height, false).await;
        focused(window, "composer").await;
        window.presses_all(FIND).await;
        focused(window, "find").await;
        for (typed, found) in
            [("koln budget", "Budget für Köln 2027"), ("STRASSE lodz", "Straße nach Łódź"), ("odette dur", "Books")]
        {
            window.types(typed).await;
            titles(window, &[found]).await;
            // Again from the field selects what stands in it.
            window.presses_all(FIND).await;
        }
        window.types("nothing like it").await;
        titles(window, &[]).await;
        window.has("#no-threads", 1).await;
        // Escape shows all threads again, and the focus is where it was.
        window.presses(Key::Escape).await;
        focused(window, "composer").await;
        assert_eq!(window.look().await.threads.len(), MANY);
        assert!(window.look().await.open, "the conversation is in sight again");

        window.presses_all(FIND).await;
        window.types("thread 49").await;
        let found = [495, 494, 493, 492, 491, 490, 449, 349, 249, 149, 49].map(|number| format!("Thread {number}"));
        let found = found.each_ref().map(String::as_str);
        titles(window, &found).await;
        window.presses(Key::Down).await;
        focused(window, "Thread 495").await;
        window.presses(Key::Down).await;
        focused(window, "Thread 494").await;
        window.presses(Key::Up).await;
        window.presses(Key::Up).await;
        focused(window, "find").await;
        window.presses(Key::Enter).await;
        let view = window.sees("the first one open", |view| view.open && view.heading == "Thread 495").await;
        assert_eq!(
            (view.threads.len(), window.run("return document.querySelector('#find').value", json!([])).await),
            (MANY, json!(""))
        );
        window.presses_all(FIND).await;
        window.types("books").await;
        window.presses(Key::Down).await;
        window.presses(Key::Enter).await;
        window.sees("the chosen one open", |view| view.open && view.heading == "Books").await;
        window.click("#composer").await;
    }
    window.is_clean().await;
}

#[tokio::test]
async fn the_list_of_500_threads_is_one_tab_stop_in_which_arrows_move() {
    let Some(Stage { alice: window, server, .. }) = &Stage::set_with(PLENTY).await else { return };
    server.command(&["user", "add", "odette", "--display", "Odette", "--password-stdin"], "correct horse battery staple\n");
    many(server).await;
    window.reload().await;
    window.sees("all threads", |view| view.threads.len() == MANY && view.connection == "live").await;
    window.opens("Demo").await;
    let stops = "return [...document.querySelectorAll('#thread-list a')].filter((link) => link.tabIndex === 0).map((link) => link.textContent.includes('Demo'))";
    assert_eq!(window.run(stops, json!([])).await, json!([true]), "the open thread is the one tab stop");
    window.click("#find").await;
    window.presses(Key::Tab).await;
    focused(window, "Demo").await;
    window.presses(Key::Home).await;
    focused(window, "Books").await;
    window.presses(Key::Down).await;
    focused(window, "Budget für Köln 2027").await;
    window.presses(Key::Tab).await;
    focused(window, "keys-open").await;
    // One comes back to where one was, and it is in sight.
    window.tabs_back_to("#thread-list a").await;
    focused(window, "Budget für Köln 2027").await;
    window.presses(Key::End).await;
    let last = "const box = document.activeElement.getBoundingClientRect(), list = document.querySelector('#thread-list').getBoundingClientRect();
        return document.activeElement.closest('li') === document.querySelector('#thread-list').lastElementChild && box.bottom <= list.bottom + 1";
    until("the last one in sight", || async { window.run(last, json!([])).await == true }).await;
    window.presses(Key::Enter).await;
    window.sees("it open", |view| view.focus == "composer").await;
    window.is_clean().await;
}

#[tokio::test]
async fn the_page_tells_its_keys_and_escape_leads_back_to_writing() {
    let Some(Stage { alice, .. }) = &Stage::set().await else { return };
    let told = alice.run("const find = document.querySelector('#find'); return [find.placeholder, find.getAttribute('aria-keyshortcuts')]", json!([])).await;
    assert_eq!(told, json!(["Find a thread (Ctrl+K)", "Control+K"]));
    // In a field a question mark is one.
    alice.fills("#composer", "?").await;
    let view = alice.look().await;
    assert_eq!((view.dialog.as_str(), view.focus.as_str()), ("", "composer"));
    alice.presses(Key::Backspace).await;
    alice.run("document.querySelector('#history').focus()", json!([])).await;
    alice.types("?").await;
    alice.sees("the keys", |view| view.dialog.contains("Ctrl+K") && view.dialog.contains("Find a thread")).await;
    alice.presses(Key::Escape).await;
    alice.sees("the focus back", |view| view.dialog.is_empty() && view.focus == "history").await;
    alice.presses(Key::Escape).await;
    alice.sees("the composer", |view| view.focus == "composer").await;
    alice.click("#keys-open").await;
    alice.sees("the keys", |view| view.dialog.contains("Ctrl+K")).await;
    // What the page does behind a dialog it does not do under the reader's hands.
    alice.presses_all(FIND).await;
    alice.sees("still the keys", |view| view.dialog.contains("Ctrl+K")).await;
    alice.click("#keys-close").await;
    alice.sees("the focus on the button", |view| view.dialog.is_empty() && view.focus == "keys-open").await;
    alice.sees_messages(&[HELLO]).await;
    alice.is_clean().await;
}

/// Weight, colour, lines and hover text of a thread's title, and whether all of it is in sight.
const TITLE: &str = "const title = [...document.querySelectorAll('#thread-list .title')].find(({ textContent }) => textContent === arguments[0]);
    const { fontWeight, color } = getComputedStyle(title);
    return { weight: Number(fontWeight), color, hover: title.title, whole: title.scrollHeight <= title.clientHeight && title.scrollWidth <= title.clientWidth };";

#[tokio::test]
async fn unread_titles_stand_out_and_long_ones_are_read_without_a_click() {
    let Some(Stage { bob, server, .. }) = &Stage::set().await else { return };
    let long = "Redesign of the customer portal and billing";
    for title in ["Read", "Unread", long] {
        server.program.thread(title, &["bob"]).await;
    }
    bob.opens("Read").await;
    bob.opens("Demo").await;
    let view = bob.sees("all threads", |view| view.threads.len() == 4).await;
    let thread = &view.thread("Unread").expect("it is there").id;
    for _ in 0..120 {
        server.program.post(thread, "news").await;
    }
    bob.sees("what is unread", |view| view.thread("Unread").is_some_and(|thread| thread.unread == 120)).await;
    for (width, height) in SIZES {
        bob.measures(width, height, false).await;
        let view = bob.look().await;
        if view.open && width < 720 {
            bob.click("#back").await;
            bob.sees("the threads alone", |view| !view.open).await;
        }
        let of = async |title: &str| bob.run(TITLE, json!([title])).await;
        let (read, unread, long) = (of("Read").await, of("Unread").await, of(long).await);
        assert_eq!(read["weight"], 400);
        assert!(unread["weight"].as_u64() >= Some(650) && unread["color"] != read["color"], "{read} {unread}");
        assert_eq!(
            (&long["whole"], &long["hover"]),
            (&Value::Bool(true), &json!("Redesign of the customer portal and billing"))
        );
    }
    assert_eq!(bob.look().await.title, "(99+) Hailgate");
    let badge = "return document.querySelector('#thread-list .unread').firstChild.textContent";
    assert_eq!(bob.run(badge, json!([])).await, "99+");
    bob.is_clean().await;
}
