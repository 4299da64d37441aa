//! Without the server: what was read stays readable, what is written waits, and coming back mends and sends by itself.

use serde_json::Value;

use crate::{
    HELLO, Stage,
    window::{View, Window, until},
};

const OFFLINE: &str = "Offline: your messages are kept and will be sent";

#[tokio::test]
async fn threads_that_were_open_stay_readable_without_the_server_and_what_is_written_in_them_is_sent_later() {
    let Some(mut stage) = Stage::set().await else { return };
    let Stage { alice, bob, server, .. } = &mut stage;
    let lunch = server.program.thread("Lunch", &["bob"]).await;
    server.program.post(&lunch, "at noon?").await;
    let plans = server.program.thread("Plans", &["bob"]).await;
    server.program.post(&plans, "never opened before").await;
    alice.opens("Lunch").await;
    alice.sees_messages(&["at noon?"]).await;
    alice.opens("Demo").await;
    alice.sees_messages(&[HELLO]).await;
    // What comes into a thread that is not open any more is kept too.
    server.program_of("bob").post(&lunch, "or later").await;
    alice.sees("that Lunch has news", |view| view.thread("Lunch").is_some_and(|thread| thread.unread == 1)).await;

    server.kill();
    alice.sees("that it is offline", |view| view.connection_words == OFFLINE).await;
    alice.opens("Lunch").await;
    let view = alice.sees_messages(&["at noon?", "or later"]).await;
    assert_eq!(view.trouble, "", "the connection's line says it already");
    assert!(view.marks.iter().any(|mark| mark == "New messages"), "{:?}", view.marks);
    alice.writes("written without a server").await;
    let waits = |view: &View| view.messages.last().is_some_and(|last| last.fate == "Will be sent when you are back");
    alice.sees("that it waits", waits).await;
    alice.opens("Demo").await;
    let view = alice.sees_messages(&[HELLO]).await;
    assert_eq!(view.trouble, "");
    alice.opens("Plans").await;
    let why = "The messages could not be loaded: The server cannot be reached";
    alice.sees("why nothing is shown", |view| view.trouble == why && view.messages.is_empty()).await;

    server.start_again();
    let view = alice.sees_messages(&["never opened before"]).await;
    assert_eq!(view.trouble, "", "it mended itself");
    bob.opens("Lunch").await;
    bob.sees_messages(&["at noon?", "or later", "written without a server"]).await;
    alice.opens("Lunch").await;
    alice.sees_messages(&["at noon?", "or later", "written without a server"]).await;
    alice.is_clean().await;
    bob.is_clean().await;
}

/// Everything that the browser keeps: entries of its stores, and addresses of its caches.
const KEPT: &str = "const databases = await indexedDB.databases(), told = [];
    for (const { name, version } of databases) {
      const database = await new Promise((resolve, reject) => Object.assign(indexedDB.open(name, version), {
        onsuccess: ({ target }) => resolve(target.result), onerror: reject }));
      for (const store of database.objectStoreNames) {
        const all = database.transaction(store).objectStore(store).getAll();
        told.push(...await new Promise((resolve) => { all.onsuccess = () => resolve(all.result); }));
      }
      database.close();
    }
    const addresses = [];
    for (const name of await caches.keys()) {
      for (const { url } of await (await caches.open(name)).keys()) addresses.push(new URL(url).pathname);
    }
    return JSON.stringify([told, addresses]);";

async fn kept(window: &Window) -> (String, Vec<String>) {
    let told: (Vec<Value>, Vec<String>) =
        serde_json::from_str(window.run_module(KEPT).await.as_str().expect("text")).expect("two lists");
    (Value::from(told.0).to_string(), told.1)
}

#[tokio::test]
async fn a_page_that_is_loaded_again_without_the_server_shows_what_it_had_loaded_and_goes_on_when_it_is_back() {
    let Some(mut stage) = Stage::set().await else { return };
    let Stage { alice, bob, server, .. } = &mut stage;
    bob.writes("before the reload").await;
    alice.sees_messages(&[HELLO, "before the reload"]).await;
    until("the page and what it shows are kept", || async {
        let (told, files) = kept(alice).await;
        told.contains("before the reload")
            && ["/", "/hailgate.js", "/page.css"].iter().all(|end| files.iter().any(|file| file.ends_with(end)))
    })
    .await;
    server.kill();
    alice.sees("that it is offline", |view| view.connection == "offline").await;
    alice.reload().await;
    alice
        .sees("what was loaded, and that it is offline", |view| {
            view.app
                && view.texts() == [HELLO, "before the reload"]
                && view.connection_words == OFFLINE
                && view.heading == "Demo"
        })
        .await;
    alice.writes("after the reload").await;
    let waits =
        |view: &View| view.messages.last().is_some_and(|last| last.fate.starts_with("Will be sent when you are back"));
    alice.sees("that it waits", waits).await;
    server.start_again();
    let all = [HELLO, "before the reload", "after the reload"];
    bob.sees_messages(&all).await;
    alice.sees_messages(&all).await;
    alice.sees("that it is live", |view| view.connection == "live" && view.connection_words.is_empty()).await;
    bob.writes("welcome back").await;
    alice.sees("it", |view| view.sent().last() == Some(&"welcome back")).await;
    assert_eq!(server.stored().await.len(), 4);
    let (_, files) = kept(alice).await;
    assert!(files.iter().all(|file| file == "/" || file.starts_with("/static/")), "{files:?}");
    alice.is_clean().await;
}

#[tokio::test]
async fn nothing_of_a_user_stays_in_the_browser_after_signing_out_or_being_signed_out_nor_for_the_next_user() {
    let Some(mut stage) = Stage::set().await else { return };
    let Stage { alice, bob, server, .. } = &mut stage;
    let of_alice = server.program.thread("Of Alice alone", &[]).await;
    server.program.post(&of_alice, "a secret of hers").await;
    alice.opens("Of Alice alone").await;
    alice.sees_messages(&["a secret of hers"]).await;
    let keeps = async |window: &Window, what: &str, yes: bool| {
        until(&format!("{what:?} is kept: {yes}"), || async { kept(window).await.0.contains(what) == yes }).await;
    };
    keeps(alice, "a secret of hers", true).await;
    // Bob signs in where alice was.
    let password = "correct horse battery staple";
    server.command(&["user", "passwd", "bob", "--password-stdin"], &format!("{password}\n"));
    bob.sees("that he was signed out", |view| view.signin && !view.app).await;
    keeps(bob, HELLO, false).await;
    alice.click("#signout").await;
    alice.sees("the sign-in form", |view| view.signin && !view.app).await;
    keeps(alice, "secret", false).await;
    alice.fills("#signin-name", "bob").await;
    alice.fills("#signin-password", password).await;
    alice.click("#signin-submit").await;
    alice.sees("bob's threads", |view| view.app && view.texts() == [HELLO]).await;
    keeps(alice, HELLO, true).await;
    let (told, _) = kept(alice).await;
    assert!(!told.contains("ecret") && !told.contains("Of Alice alone"), "{told}");

    server.kill();
    alice.reload().await;
    let view = alice.sees("what bob had loaded", |view| view.app && view.texts() == [HELLO]).await;
    assert_eq!(view.threads.len(), 1, "{view:#?}");
    // Signed out by another hand while the server was away: as soon as it says so, nothing is shown or kept.
    server.start_again();
    server.command(&["user", "disable", "bob"], "");
    alice.sees("the sign-in form", |view| view.signin && !view.app).await;
    keeps(alice, HELLO, false).await;
}
