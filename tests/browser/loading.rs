//! Opening the page: what is in sight before the server has said who is here, and what the browser keeps of it.

use serde_json::{Value, json};

use crate::{
    Stage,
    driver::Driver,
    looks::Size,
    server::Server,
    window::{Window, until},
};

/// Where things are and which are in sight, while the page is a frame or when it is whole.
const PLACES: &str = r"
const place = (selector) => {
  const element = document.querySelector(selector);
  if (!element?.checkVisibility({ visibilityProperty: true })) return null;
  const { left, top, width, height } = element.getBoundingClientRect();
  return [left, top, width, height].map(Math.round);
};
return Object.fromEntries(arguments[0].map((selector) => [selector, place(selector)]));";

/// Notes at every frame which views are in sight.
const WATCH: &str = r"
window.seen = [];
const watch = () => {
  for (const view of ['app', 'signin']) if (document.getElementById(view)?.checkVisibility() && !window.seen.includes(view)) window.seen.push(view);
  requestAnimationFrame(watch);
};
watch();";

/// The list begins with a skeleton row, the messages end with one.
const SKELETONS: &str = r"
const shown = (selector) => [...document.querySelectorAll(selector)].filter((one) => one.checkVisibility());
const painted = (part) => (one) => getComputedStyle(one, part).backgroundColor !== 'rgba(0, 0, 0, 0)';
const rows = shown('#thread-list > .skeleton').filter(painted('::before')).filter(painted('::after'));
const messages = shown('#messages > .skeleton').filter(painted()), history = document.querySelector('#history');
return [rows.length, messages.length, messages.length && Math.round(history.getBoundingClientRect().bottom - messages.at(-1).getBoundingClientRect().bottom)];";

async fn places(window: &Window, selectors: &[&str]) -> Value {
    window.run(PLACES, json!([selectors])).await
}

async fn blocks(window: &Window, addresses: &[&str]) {
    window.devtools("Network.enable", json!({})).await;
    window.devtools("Network.setBlockedURLs", json!({ "urls": addresses })).await;
}

/// The worker would hand out what it keeps, whatever is blocked.
async fn without_worker(window: &Window) {
    window
        .run_module("for (const worker of await navigator.serviceWorker.getRegistrations()) await worker.unregister();")
        .await;
    window.go("about:blank").await;
}

#[tokio::test]
async fn the_frame_and_its_skeletons_are_in_sight_without_any_script() {
    let Some(driver) = Driver::start() else { return };
    let server = Server::start();
    let window = driver.window().await;
    blocks(&window, &["*.js"]).await;
    window.go(&format!("http://127.0.0.1:{}/", server.port)).await;
    let seen = places(&window, &["#app", "#threads > .bar", "#conversation > .bar", "#composer-form", "#signin"]).await;
    assert!(seen["#app"].is_array() && seen["#composer-form"].is_array() && seen["#signin"].is_null(), "{seen}");
    assert_eq!(seen["#threads > .bar"][3], seen["#conversation > .bar"][3], "{seen}");
    let skeletons = window.run(SKELETONS, json!([])).await;
    assert_eq!((&skeletons[0], &skeletons[1]), (&json!(6), &json!(8)));
    let below = skeletons[2].as_i64().expect("a distance");
    assert!((0..=24).contains(&below), "messages arrive at the end, and so do their skeletons: {below}");
    // Nothing in it can be used yet.
    window.run("document.querySelector('#composer').focus()", json!([])).await;
    assert_eq!(window.look().await.focus, "BODY");
    // A browser may paint before it has read more of the document than the form.
    window.run("document.querySelector('#signin ~ #app').remove()", json!([])).await;
    assert!(places(&window, &["#signin"]).await["#signin"].is_null(), "what hides the form is not what follows it");
}

#[tokio::test]
async fn the_frame_is_well_made_at_a_large_screen_and_on_a_phone() {
    let Some(driver) = Driver::start() else { return };
    let server = Server::start();
    let window = driver.window().await;
    // Nothing but the page's own decision: what it would do next never comes.
    blocks(&window, &["*/page.js"]).await;
    let mut faults = Vec::new();
    for (state, hash) in [("frame-list", "signin=x"), ("frame-form", "")] {
        for size in [Size::Wide, Size::Narrow] {
            window.has_size(size).await;
            window.go("about:blank").await;
            window.go(&format!("http://127.0.0.1:{}/#{hash}", server.port)).await;
            faults.extend(window.faults(state, size).await);
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
    // Who comes back to a thread sees it first, on a phone too.
    let known = "localStorage.setItem('hailgate shelf', 'alice')";
    window.run(known, json!([])).await;
    window.go("about:blank").await;
    window.go(&format!("http://127.0.0.1:{}/#thread={}", server.port, server.thread)).await;
    let faults = window.faults("frame-thread", Size::Narrow).await;
    assert!(faults.is_empty(), "{faults:#?}");
    let seen = places(&window, &["#threads", "#composer", "#signin"]).await;
    assert!(seen["#threads"].is_null() && seen["#composer"].is_array() && seen["#signin"].is_null(), "{seen}");
}

#[tokio::test]
async fn nothing_moves_when_the_frame_becomes_the_page() {
    let Some(stage) = Stage::set().await else { return };
    let Stage { alice, server, .. } = &stage;
    let address = format!("http://127.0.0.1:{}/#thread={}", server.port, server.thread);
    let selectors = [
        "#threads",
        "#threads > .bar",
        "#threads > footer",
        "#me",
        "#signout",
        "#thread-list > li",
        "#conversation > .bar",
        "#history",
        "#composer",
        "#send",
    ];
    for narrow in [false, true] {
        if narrow {
            alice.narrow().await;
        }
        without_worker(alice).await;
        blocks(alice, &["*/page.js"]).await;
        alice.go(&address).await;
        // Without the line that says that a file is missing.
        alice.run("document.querySelector('#connection').classList.remove('shown')", json!([])).await;
        let mut frame = places(alice, &selectors).await;
        without_worker(alice).await;
        blocks(alice, &[]).await;
        alice.go(&address).await;
        alice.is_live().await;
        let mut page = places(alice, &selectors).await;
        // Text takes the place of a bar at the same left edge.
        for seen in [&mut frame, &mut page] {
            seen["#me"] = seen["#me"].get(0).cloned().unwrap_or_default();
        }
        assert_eq!(frame, page, "narrow: {narrow}");
    }
}

#[tokio::test]
async fn who_was_here_before_sees_the_frame_first_and_who_was_not_the_form() {
    let Some(driver) = Driver::start() else { return };
    let server = Server::start();
    let window = driver.window().await;
    let page = format!("http://127.0.0.1:{}/", server.port);
    window.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": WATCH })).await;
    let seen = async || window.run("return window.seen.join()", json!([])).await;
    window.go(&page).await;
    window.sees("the form", |view| view.signin && view.focus == "signin-name").await;
    assert_eq!(seen().await, "signin");
    window.go("about:blank").await;
    window.sign_in(&server.links[0]).await;
    assert_eq!(seen().await, "app");
    window.reload().await;
    window.is_live().await;
    assert_eq!(seen().await, "app");
    window.click("#signout").await;
    window.sees("the form again", |view| view.signin && !view.app).await;
    until("the page is loaded anew", || async { seen().await == "signin" }).await;
    window.is_clean().await;
}

#[tokio::test]
async fn the_form_can_be_filled_before_the_modules_have_come_and_not_be_sent() {
    let Some(driver) = Driver::start() else { return };
    let server = Server::start();
    let window = driver.window().await;
    blocks(&window, &["*/page.js"]).await;
    let page = format!("http://127.0.0.1:{}/", server.port);
    window.go(&page).await;
    window.fills("#signin-name", "alice").await;
    window.fills("#signin-password", "secret\u{e007}").await;
    let view = window.look().await;
    assert!(
        view.signin && !view.app && view.address == page,
        "a form that is sent without scripts names a password: {view:#?}"
    );
    assert_eq!(view.connection_words, "This page could not be loaded whole. Load it again.");
}

#[tokio::test]
async fn the_browser_keeps_the_files_of_one_version_and_drops_those_of_others() {
    let Some(stage) = Stage::set().await else { return };
    let Stage { alice, .. } = &stage;
    let kept = "const cache = await caches.open('hailgate page'), paths = (await cache.keys()).map(({ url }) => new URL(url).pathname);
        const page = await (await cache.match('/'))?.text() ?? '';
        return paths.length > 30 && paths.every((path) => path === '/' || page.includes(`\"${path}\"`));";
    until("the page and its files are kept", || async { alice.run_module(kept).await == true }).await;
    let other = "const cache = await caches.open('hailgate page');
        for (const path of ['/static/0000000000000000/page.js', '/static/page.css']) await cache.put(path, new Response('old'));
        return true;";
    assert_eq!(alice.run_module(other).await, true);
    assert_eq!(alice.run_module(kept).await, false);
    alice.reload().await;
    alice.is_live().await;
    until("those of others are dropped", || async { alice.run_module(kept).await == true }).await;
    alice.is_clean().await;
}

#[tokio::test]
async fn the_library_at_the_root_can_be_imported_by_any_page_of_the_origin() {
    let Some(stage) = Stage::set().await else { return };
    let Stage { alice, .. } = &stage;
    let ask =
        "const { Hailgate } = await import(new URL('/hailgate.js', location)); return (await new Hailgate().me()).user_id;";
    assert_eq!(alice.run_module(ask).await, "alice");
    alice.is_clean().await;
}

#[tokio::test]
async fn the_browser_reports_nothing_in_its_console() {
    let Some(stage) = Stage::set().await else { return };
    let Stage { alice, .. } = &stage;
    alice.reload().await;
    alice.is_live().await;
    let told = alice.console().await;
    // That nobody was signed in before the link was followed is no fault.
    let told: Vec<_> = told.iter().filter(|entry| !entry.message.contains("401")).collect();
    assert!(told.is_empty(), "{told:#?}");
}
