//! The people of a thread at every width, what its owner can do to each, and that each view has one main part and one first heading.

use fantoccini::key::Key;
use serde_json::{Value, json};

use crate::{
    Stage,
    window::{Window, until},
};

/// Main parts, first headings and empty headings in sight.
const LANDMARKS: &str =
    "const seen = (selector) => [...document.querySelectorAll(selector)].filter((one) => one.checkVisibility());
    return {
      main: seen('main:not([role]), [role=main]').length,
      first: seen('h1:not([aria-level]), [aria-level=\"1\"]').map((one) => one.textContent.trim()),
      empty: seen('h1, h2, h3').filter((one) => !one.textContent.trim()).length,
    };";

async fn landmarks(window: &Window, first: &str) {
    let wanted = json!({ "main": 1, "first": [first], "empty": 0 });
    until(&format!("one main part, and {first:?} the one first heading"), || async {
        window.run(LANDMARKS, json!([])).await == wanted
    })
    .await;
}

#[tokio::test]
async fn every_view_has_one_main_part_and_one_first_heading() {
    let Some(Stage { alice, server, .. }) = &Stage::set().await else { return };
    let bare = format!("http://127.0.0.1:{}/#", server.port);
    for (width, height) in [(1_440, 900), (900, 800)] {
        alice.measures(width, height, false).await;
        alice.opens("Demo").await;
        landmarks(alice, "Hailgate").await;
        alice.click("#people-toggle").await;
        landmarks(alice, "Hailgate").await;
        alice.click("#people-close").await;
        alice.go(&bare).await;
        alice.run("location.hash = '#none'", json!([])).await;
        alice.sees("that no thread is open", |view| !view.open && view.nothing_words == "Choose a thread").await;
        landmarks(alice, "Hailgate").await;
        // No header bar with nothing in it stands above what to do now.
        alice.has("#conversation > .bar", 0).await;
        alice.has("#nothing-else", 1).await;
    }
    alice.measures(390, 844, false).await;
    alice.go(&bare).await;
    alice.sees("the threads alone", |view| !view.open && !view.threads.is_empty()).await;
    landmarks(alice, "Hailgate").await;
    alice.click("[data-thread-id]").await;
    alice.sees("the conversation", |view| view.open).await;
    landmarks(alice, "Demo").await;
    alice.click("#people-toggle").await;
    landmarks(alice, "2 people").await;
    alice.click("#people-close").await;
    landmarks(alice, "Demo").await;
    // Grown wide again, as by turning a tablet.
    alice.measures(1_440, 900, false).await;
    landmarks(alice, "Hailgate").await;
    alice.is_clean().await;
}

/// Whether the people and the messages are both in sight, and how much of the conversation's width is.
const SHEET: &str = "const people = document.querySelector('#people'), conversation = document.querySelector('#conversation');
    const share = (people.getBoundingClientRect().left - conversation.getBoundingClientRect().left) / conversation.getBoundingClientRect().width;
    return people.checkVisibility() && conversation.checkVisibility() && document.querySelector('#messages').checkVisibility() ? share : 0;";

#[tokio::test]
async fn people_are_a_sheet_over_the_conversation_where_there_is_less_width() {
    let Some(Stage { alice, bob, .. }) = &Stage::set().await else { return };
    alice.measures(900, 800, false).await;
    let width = "return document.querySelector('#conversation').getBoundingClientRect().width";
    let before = alice.run(width, json!([])).await;
    alice.click("#people-toggle").await;
    alice.sees("the focus in it", |view| view.focus == "people-close").await;
    let share = alice.run(SHEET, json!([])).await.as_f64().expect("a share");
    assert!(share > 0.4, "the conversation stays in sight: {share}");
    assert_eq!(alice.run(width, json!([])).await, before, "and nothing in it moves");
    bob.writes("seen beside the people").await;
    alice.sees("what bob wrote", |view| view.texts().last() == Some(&"seen beside the people")).await;
    alice.presses(Key::Escape).await;
    alice.sees("the focus back", |view| view.focus == "people-toggle" && view.people.is_empty()).await;

    // Turning to what is under it closes it, and takes nothing away from where one turned to.
    alice.click("#people-toggle").await;
    alice.has("#people", 1).await;
    alice.click("#composer").await;
    alice.has("#people", 0).await;
    alice.sees("the focus where it was put", |view| view.focus == "composer").await;

    // A question that is asked from it leaves it open.
    alice.click("#people-toggle").await;
    alice.click("#rename").await;
    alice.sees("the question", |view| view.dialog.contains("Title of the thread")).await;
    alice.presses(Key::Escape).await;
    alice.sees("the people", |view| view.dialog.is_empty() && view.people.len() == 2).await;

    // Beside a wide conversation Escape closes it from inside only.
    alice.measures(1_440, 900, false).await;
    alice.click("#composer").await;
    alice.presses(Key::Escape).await;
    alice.has("#people", 1).await;
    alice.click("#people-close").await;
    alice.has("#people", 0).await;

    alice.measures(390, 844, false).await;
    alice.click("#people-toggle").await;
    alice.has("#people", 1).await;
    alice.has("#messages", 0).await;
    alice.presses(Key::Escape).await;
    alice.has("#messages", 1).await;
    alice.sees("the focus back", |view| view.focus == "people-toggle").await;
    alice.is_clean().await;
    bob.is_clean().await;
}

/// Labels of the actions in the menu that is open.
const MENU: &str = "return [...document.querySelectorAll('.menu [role=menuitem]')].map((item) => item.textContent)";

#[tokio::test]
async fn each_person_has_one_button_and_a_menu_that_keys_alone_can_use() {
    let Some(Stage { alice, bob, .. }) = &Stage::set().await else { return };
    for (width, height) in [(1_440, 900), (900, 800), (390, 844)] {
        alice.measures(width, height, false).await;
        alice.click("#people-toggle").await;
        alice.has("#people-list button", 1).await;
        alice.tabs_to("#people-list .more").await;
        alice.presses(Key::Enter).await;
        until("the menu", || async { alice.run(MENU, json!([])).await == json!(["Make owner", "Remove from the thread"]) })
            .await;
        let inside = "const { left, right, top, bottom } = document.querySelector('.menu').getBoundingClientRect();
            return left >= 0 && top >= 0 && right <= innerWidth && bottom <= innerHeight && document.activeElement.textContent === 'Make owner'";
        assert_eq!(alice.run(inside, json!([])).await, true, "in sight, with the focus on the first action");
        for (key, on) in
            [(Key::Down, "Remove from the thread"), (Key::Down, "Make owner"), (Key::Up, "Remove from the thread")]
        {
            alice.presses(key).await;
            assert_eq!(alice.run("return document.activeElement.textContent", json!([])).await, on);
        }
        // Escape closes the menu and not the panel around it.
        alice.presses(Key::Escape).await;
        alice.has(".menu", 0).await;
        alice.sees("the focus back", |view| view.focus.contains("more") && view.people.len() == 2).await;
        alice.click("#people-list .more").await;
        alice.click(".menu .remove").await;
        alice.sees("the question", |view| view.dialog.contains("Remove Bob from this thread?")).await;
        alice.presses(Key::Escape).await;
        alice.sees("the focus back", |view| view.dialog.is_empty() && view.focus.contains("more")).await;
        alice.click("#people-close").await;
    }
    // A menu that is open does not outlive its person's row.
    alice.measures(1_440, 900, false).await;
    alice.click("#people-toggle").await;
    alice.click("#people-list .more").await;
    alice.has(".menu", 1).await;
    bob.click("#people-toggle").await;
    bob.click("#leave").await;
    bob.click("#question-yes").await;
    alice.sees("that she is alone", |view| view.people.len() == 1).await;
    alice.has(".menu", 0).await;
    alice.sees("the focus still in the panel", |view| view.focus == "people-close").await;
    alice.is_clean().await;
}

/// Where a name, its dot and its button stand in a person's row.
const ROW: &str = "const row = document.querySelector('#people-list [data-user-id=bob]');
    const box = (selector) => { const { top, bottom, height } = row.querySelector(selector).getBoundingClientRect(); return { middle: (top + bottom) / 2, height }; };
    return [box('.name').middle, box('.presence').middle, box('.name').height];";

#[tokio::test]
async fn a_persons_name_stands_on_one_line_with_their_presence() {
    let Some(Stage { alice, .. }) = &Stage::set().await else { return };
    for (width, height) in [(1_440, 900), (390, 844)] {
        alice.measures(width, height, false).await;
        alice.click("#people-toggle").await;
        alice.has("#people-list li", 2).await;
        let Value::Array(row) = alice.run(ROW, json!([])).await else { panic!("no row") };
        let [name, dot, high] = [0, 1, 2].map(|at: usize| row[at].as_f64().expect("a number"));
        assert!((name - dot).abs() < 2.0, "the dot stands beside the name: {name} {dot}");
        assert!(high < 28.0, "the name takes one line: {high}");
        alice.click("#people-close").await;
    }
    alice.is_clean().await;
}
