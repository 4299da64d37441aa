//! Each state of the page, entered as a person enters it, on a large screen and on a phone, light and dark: nothing
//! overflows, axe-core finds nothing, and nothing is reported. With `PICTURES=/tmp/pictures` in the environment each leaves a
//! picture there: `PICTURES=/tmp/pictures cargo test --locked --test browser -- journeys`. The README shows
//! `conversation-wide-light.png`, as `tests/browser/page.png`.

use std::cell::RefCell;

use fantoccini::key::Key;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    driver::Driver,
    looks::Size,
    messages::opens_menu,
    proxy::{Proxy, Streams},
    server::{Program, Server},
    window::{View, Window},
};

const PASSWORD: &str = "correct horse battery staple";
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
            window.go(&format!("http://127.0.0.1:{port}/")).await;
            window.has_size(size).await;
            window.reload().await;
            window.sees("the sign-in form", |view| view.signin).await;
            Person { name, size, window, server, faults: RefCell::default() }
        });
        let (one, other) = tokio::join!(one, other);
        [one, other]
    }

    /// Checks the state that is shown.
    async fn is_at(&self, state: &str) {
        assert_eq!(self.window.has_fingers().await, self.size == Size::Narrow, "{state}");
        let faults = self.window.faults(state, self.size).await;
        self.faults.borrow_mut().extend(faults);
    }

    /// What is written while the network is gone.
    fn kept(&self) -> String {
        format!("I am in the train ({})", self.name)
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
    let faults: Vec<String> = people.iter().flat_map(|person| person.faults.borrow().clone()).collect();
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
    window.fills("#new-thread-title", "Release 2.4").await;
    window.click("#new-thread-create").await;
    let view = window.sees("the new thread", |view| view.heading == "Release 2.4" && view.dialog.is_empty()).await;
    person.is_at("empty-thread").await;

    let thread = view.threads[0].id.clone();
    let bob = server.program_of("bob");
    talks(person, &thread, &bob).await;
    person.is_at("conversation").await;
    opens_menu(window, ".message.own:last-child").await;
    person.is_at("message-menu").await;
    window.presses(Key::Escape).await;
    person.inserts("#composer", "One\nTwo\nThree\nFour\nFive\nSix").await;
    person.is_at("six-lines").await;

    window.click("#people-toggle").await;
    window.has("#people-list li", 3).await;
    person.is_at("people").await;
    window.click("#delete-thread").await;
    window.sees("the question", |view| view.dialog.contains("Release 2.4")).await;
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

/// Three people in the thread, and others in the list: the page as it is meant to be used, which the README shows.
async fn talks(person: &Person<'_>, thread: &str, bob: &Program) {
    let Person { window, name, server, .. } = person;
    let (alice, own) = (&server.program, server.program_of(name));
    let joined = own.ask(Method::PUT, &format!("/api/threads/{thread}/members/alice"), Value::Null).await;
    assert!(joined.is_ok(), "{joined:?}");
    for (title, author, texts) in [
        ("On call", alice, &["The disk of `db-2` is 80 % full", "I have asked for a larger one"][..]),
        ("Lunch", bob, &["Noon, at the corner?"]),
    ] {
        let other = author.thread(title, &[name]).await;
        for text in texts {
            author.post(&other, text).await;
        }
    }
    let lines = [
        (alice, "The build of 2.4 is green on all three systems."),
        (alice, "Please read the notes once more: https://example.org/releases/2.4"),
        (bob, "Read. Two lines are missing: the new field `retry_after`, and that the default port has changed."),
        (&own, "I will add both now."),
        (alice, "Then we can tag it at three?"),
        (&own, "Yes. I run `cargo publish --dry-run` first."),
    ];
    for (author, text) in lines {
        author.post(thread, text).await;
    }
    window.sees("the messages", |view| view.sent().len() == lines.len() && view.threads.len() == 3).await;
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
    window.fills("#find", "north region 1").await;
    // Every word, in any place: region 13 fits, and so does region 21.
    let fits = |title: &str| title.contains("north region") && title.contains('1');
    let found = |view: &View| view.threads.iter().all(|thread| fits(&thread.title));
    window.sees("those that fit", |view| !view.threads.is_empty() && found(view)).await;
    person.is_at("threads-found").await;
    window.presses(Key::Escape).await;
    window.sees("all threads again", |view| view.threads.len() == 500).await;
    person.opens("Morning").await;
    person.is_at("unread-40").await;
    person.opens("Busy").await;
    person.is_at("unread-220").await;
    person.opens("Long").await;
    person.is_at("messages-2000").await;
}

#[tokio::test]
async fn a_network_that_blocks_streams_or_is_gone_is_well_told() {
    let Some(driver) = Driver::start() else { return };
    let proxy = Proxy::start().await;
    let origin = format!("http://127.0.0.1:{}", proxy.port);
    let server = server_with_people(&[("HAILGATE_ALLOWED_ORIGINS", &origin)]);
    proxy.serves(server.port);
    let thread = server.program.thread("Release 2.4", &["erin", "omar"]).await;
    server.program.post(&thread, "The build is green.").await;
    let [one, other] = Person::both(&driver, &server, proxy.port).await;
    for person in [&one, &other] {
        person.signs_in().await;
        person.opens("Release 2.4").await;
    }
    proxy.lets_sockets_through(false);
    proxy.treats_streams(Streams::Reset);
    tokio::join!(goes_on_by_polling(&one), goes_on_by_polling(&other));
    // What the browser is told to emulate cuts no connection that is open: the proxy does.
    proxy.serves(1);
    tokio::join!(goes_offline(&one), goes_offline(&other));
    proxy.serves(server.port);
    proxy.treats_streams(Streams::Passed);
    proxy.lets_sockets_through(true);
    tokio::join!(comes_back(&one), comes_back(&other));
    found_nothing(&[one, other]);
}

async fn goes_on_by_polling(person: &Person<'_>) {
    let slower = |view: &View| view.connection == "fallback" && !view.connection_words.is_empty();
    person.window.sees("that it is connected", slower).await;
    person.is_at("streams-blocked").await;
}

/// The network goes; what is written waits.
async fn goes_offline(person: &Person<'_>) {
    let Person { window, .. } = person;
    window.has_network(false).await;
    window.sees("that it is offline", |view| view.connection == "offline" && !view.connection_words.is_empty()).await;
    window.writes(&person.kept()).await;
    window.sees("that it waits", |view| view.messages.last().is_some_and(|last| last.state == "waiting")).await;
    person.is_at("offline").await;
}

async fn comes_back(person: &Person<'_>) {
    let (window, kept) = (&person.window, person.kept());
    window.has_network(true).await;
    window
        .sees("that it is sent", |view| {
            view.connection == "live" && view.connection_words.is_empty() && view.sent().contains(&kept.as_str())
        })
        .await;
    person.is_at("back").await;
}
