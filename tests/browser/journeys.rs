//! Each state of the page, entered as a person enters it, on a large screen and on a phone, light and dark: nothing
//! overflows, axe-core finds nothing, and nothing is reported. With `PICTURES=/tmp/pictures` in the environment each leaves a
//! picture there: `PICTURES=/tmp/pictures cargo test --locked --test browser -- journeys`.

use std::cell::RefCell;

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    driver::Driver,
    looks::Size,
    server::{Program, Server},
    window::{View, Window},
};

const PASSWORD: &str = "correct horse battery staple";
/// Faults that are known and not mended yet.
const KNOWN: &[&str] = &["'bluetooth'", "landmark-one-main", "page-has-heading-one"];
/// Who goes through the page: one at a large screen, the other with a phone, each with unread counts of their own.
const PEOPLE: [(&str, &str, Size); 2] = [("erin", "Erin", Size::Wide), ("omar", "Omar", Size::Narrow)];

/// One of the two, and what is around them.
struct Person<'a> {
    name: &'static str,
    size: Size,
    window: Window,
    server: &'a Server,
    /// What was wrong with the states so far. A test fails at its end: one run tells of all.
    faults: RefCell<Vec<String>>,
}

/// A server with accounts for both.
fn server_with_people(variables: &[(&'static str, &str)]) -> Server {
    let server = Server::start_with(variables);
    for (name, display, _) in PEOPLE {
        let add = ["user", "add", name, "--display", display, "--password-stdin"];
        server.command(&add, &format!("{PASSWORD}\n"));
    }
    server
}

impl Person<'_> {
    /// Both at this port, before they have signed in.
    async fn both<'a>(driver: &Driver, server: &'a Server, port: u16) -> [Person<'a>; 2] {
        let [one, other] = PEOPLE.map(async |(name, _, size)| {
            let window = driver.window().await;
            window.has_size(size).await;
            window.go(&format!("http://127.0.0.1:{port}/")).await;
            window.sees("the sign-in form", |view| view.signin).await;
            Person { name, size, window, server, faults: RefCell::default() }
        });
        let (one, other) = tokio::join!(one, other);
        [one, other]
    }

    /// Checks the state that is shown.
    async fn is_at(&self, state: &str) {
        let faults = self.window.faults(state, self.size).await;
        self.faults.borrow_mut().extend(faults);
    }

    async fn signs_in(&self) -> View {
        let Person { window, name, .. } = self;
        window.fills("#signin-name", name).await;
        window.fills("#signin-password", PASSWORD).await;
        window.click("#signin-submit").await;
        window.sees("the page is connected", |view| view.app && view.connection == "live").await
    }

    /// From the list, where a phone shows nothing else.
    async fn opens(&self, title: &str) {
        let Person { window, .. } = self;
        if self.size == Size::Narrow {
            window.run("location.hash = ''", json!([])).await;
        }
        window.opens(title).await;
        window.sees("its messages", |view| view.heading == title && !view.messages.is_empty()).await;
    }

    /// Writes into a field at once, line breaks and all.
    async fn inserts(&self, selector: &str, text: &str) {
        self.window.click(selector).await;
        self.window.devtools("Input.insertText", json!({ "text": text })).await;
    }
}

fn found_nothing(people: &[Person<'_>]) {
    let mut faults: Vec<String> = people.iter().flat_map(|person| person.faults.borrow().clone()).collect();
    faults.retain(|fault| !KNOWN.iter().any(|known| fault.contains(known)));
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[tokio::test]
async fn signing_in_and_the_first_thread_are_well_made() {
    let Some(driver) = Driver::start() else { return };
    let server = server_with_people(&[]);
    let [one, other] = Person::both(&driver, &server, server.port).await;
    tokio::join!(begins(&one), begins(&other));
    found_nothing(&[one, other]);
}

async fn begins(person: &Person<'_>) {
    let Person { window, name, server, .. } = person;
    person.is_at("sign-in").await;
    window.fills("#signin-name", name).await;
    window.fills("#signin-password", "wrong").await;
    window.click("#signin-submit").await;
    window.sees("why not", |view| !view.signin_words.is_empty() && view.signin_words != "Signing in").await;
    person.is_at("sign-in-refused").await;
    window.run("document.querySelector('#signin-form').reset()", json!([])).await;
    person.signs_in().await;
    window.has("#no-threads", 1).await;
    person.is_at("no-threads").await;

    window.click("#threads .new-thread").await;
    window.sees("the dialog", |view| view.dialog.contains("New thread")).await;
    window.types("bo").await;
    window.has("#new-thread-results button", 1).await;
    person.is_at("new-thread").await;
    window.click("#new-thread-results button").await;
    window.fills("#new-thread-title", "Lunch").await;
    window.click("#new-thread-create").await;
    let view = window.sees("the new thread", |view| view.heading == "Lunch" && view.dialog.is_empty()).await;
    person.is_at("empty-thread").await;

    let thread = view.threads[0].id.clone();
    let bob = server.program_of("bob");
    for text in ["Shall we eat at noon?", "The new place at the corner has `soup` and https://example.org/menu", "Or later"]
    {
        bob.post(&thread, text).await;
    }
    server.program_of(name).post(&thread, "Noon is good.").await;
    window.sees("the messages", |view| view.sent().len() == 4).await;
    person.is_at("conversation").await;
    person.inserts("#composer", "One\nTwo\nThree\nFour\nFive\nSix").await;
    person.is_at("six-lines").await;

    window.click("#people-toggle").await;
    window.has("#people-list li", 2).await;
    person.is_at("people").await;
    window.click("#delete-thread").await;
    window.sees("the question", |view| view.dialog.contains("Lunch")).await;
    person.is_at("delete-question").await;
    window.click("#question .cancel").await;
    window.click("#people-close").await;

    let trip = bob.thread("Trip", &[name]).await;
    bob.post(&trip, "Who comes along?").await;
    person.opens("Trip").await;
    let gone = bob.ask(Method::DELETE, &format!("/api/threads/{trip}/members/{name}"), Value::Null).await;
    assert!(gone.is_ok(), "{gone:?}");
    window.sees("that it is gone", |view| view.nothing_words.contains("removed you")).await;
    person.is_at("removed").await;
}

/// Threads of alice's with both people, filled by her programs.
async fn much(program: &Program) {
    let members: &[&str] = &["erin", "omar"];
    program.makes_threads(497, members).await;
    for (title, messages) in [("Long", 2_000), ("Busy", 220), ("Morning", 40)] {
        let thread = program.thread(title, members).await;
        program.fills(&thread, messages).await;
    }
}

#[tokio::test]
async fn many_threads_and_many_messages_are_well_made() {
    let Some(driver) = Driver::start() else { return };
    let server = server_with_people(&[]);
    much(&server.program).await;
    let [one, other] = Person::both(&driver, &server, server.port).await;
    tokio::join!(has_much(&one), has_much(&other));
    found_nothing(&[one, other]);
}

async fn has_much(person: &Person<'_>) {
    let Person { window, .. } = person;
    person.signs_in().await;
    window.sees("all threads", |view| view.threads.len() == 500).await;
    person.is_at("threads-500").await;
    person.opens("Morning").await;
    person.is_at("unread-40").await;
    person.opens("Busy").await;
    person.is_at("unread-220").await;
    person.opens("Long").await;
    person.is_at("messages-2000").await;
}
