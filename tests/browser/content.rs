//! What people write is text: whatever stands in it, nothing of it runs and nothing of it becomes an element.

use fantoccini::key::Key;
use reqwest::Method;
use serde_json::json;

use crate::{
    Stage,
    window::{View, Window},
};

/// What would run somewhere if it became HTML, a link, a template or a style.
const PAYLOADS: &[&str] = &[
    "<script>window.__xss = 1</script>",
    "\"><script>window.__xss = 1</script>",
    "</script><script>window.__xss = 1</script>",
    "<img src=x onerror=\"window.__xss = 1\">",
    "<img src=x onerror=alert(1)//",
    "<svg onload=\"window.__xss = 1\"></svg>",
    "<svg><script>window.__xss = 1</script></svg>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
    "<iframe srcdoc=\"<script>parent.__xss = 1</script>\"></iframe>",
    "<iframe src=\"javascript:parent.__xss = 1\"></iframe>",
    "<object data=\"data:text/html,<script>parent.__xss = 1</script>\"></object>",
    "<details open ontoggle=\"window.__xss = 1\"><summary>open</summary></details>",
    "<input autofocus onfocus=\"window.__xss = 1\">",
    "<video><source onerror=\"window.__xss = 1\"></video>",
    "<body onload=\"window.__xss = 1\">",
    "<style>* { display: none }</style>",
    "<link rel=stylesheet href=//example.org/x.css>",
    "<meta http-equiv=refresh content=\"0;url=javascript:window.__xss=1\">",
    "<base href=\"https://example.org/\">",
    "<form action=\"javascript:window.__xss=1\"><button>press</button></form>",
    "<a href=\"javascript:window.__xss=1\">click</a>",
    "<math><mtext><table><mglyph><style><img src=x onerror=\"window.__xss=1\">",
    "</textarea><img src=x onerror=\"window.__xss = 1\">",
    "</title><img src=x onerror=\"window.__xss = 1\">",
    "<!--<img src=\"--><img src=x onerror=window.__xss=1>",
    "<template><script>window.__xss = 1</script></template>",
    "&lt;script&gt;window.__xss = 1&lt;/script&gt; &amp; &#x3C;b&#x3E;",
    "javascript:window.__xss=1",
    "javascript://example.org/%0awindow.__xss=1",
    "[click](javascript:window.__xss=1)",
    "data:text/html,<script>parent.__xss = 1</script>",
    "https://example.org/\"onmouseover=\"window.__xss=1",
    "https://example.org/<script>window.__xss=1</script>",
    "https://example.org/' autofocus onfocus='window.__xss=1",
    "`<img src=x onerror=window.__xss=1>`",
    "```\n<script>window.__xss = 1</script>\n```",
    "{{constructor.constructor('window.__xss=1')()}} ${window.__xss = 1} #{1} <%= 1 %>",
    "\u{202e}<script>window.__xss = 1</script>\u{200b}",
];
/// Those that fit into a name or a title.
const SHORT: &[usize] = &[0, 3, 5, 8, 20, 26];

async fn nothing_ran(window: &Window) {
    assert!(window.run("return window.__xss === undefined", json!([])).await == true, "something ran");
    window.is_clean().await;
}

/// The names of elements inside what people wrote, and the addresses of links.
async fn inside(window: &Window, selector: &str) -> (Vec<String>, Vec<String>) {
    let script = "const all = [...document.querySelectorAll(arguments[0])];
        return [all.map(({ localName }) => localName), all.filter(({ href }) => href).map(({ href }) => href)]";
    serde_json::from_value(window.run(script, json!([selector])).await).expect("two lists of texts")
}

/// What is shown of a text: code stands there without its backticks and the line breaks that belong to them.
fn shown(text: &str) -> String {
    text.replace("```\n", "").replace("\n```", "").replace('`', "")
}

#[tokio::test]
async fn messages_full_of_markup_are_shown_as_they_were_written_and_run_nothing() {
    let Some(Stage { alice, bob, server, .. }) = &Stage::set().await else { return };
    for payload in PAYLOADS {
        server.post(payload).await;
    }
    for window in [alice, bob] {
        let view = window.sees("every payload", |view| view.sent().len() == PAYLOADS.len() + 1).await;
        let written: Vec<String> = PAYLOADS.iter().map(|payload| shown(payload)).collect();
        assert_eq!(view.texts()[1..], written, "as they were written");
        let (names, links) = inside(window, "#messages .text *").await;
        assert!(names.iter().all(|name| name == "a" || name == "code"), "{names:?}");
        assert!(!links.is_empty() && links.iter().all(|link| link.starts_with("https://example.org/")), "{links:?}");
        let (names, _) =
            inside(window, "#announcer p *, #thread-list .preview *, iframe, object, form[action], base, style").await;
        assert!(names.is_empty(), "{names:?}");
        nothing_ran(window).await;
    }
    // Written by hand too: the local echo is drawn before any server has seen it.
    alice.writes(PAYLOADS[3]).await;
    bob.sees("it once more", |view| view.sent().len() == PAYLOADS.len() + 2).await;
    // And read again from the start.
    bob.reload().await;
    bob.sees("all again", |view| view.sent().len() == PAYLOADS.len() + 2).await;
    nothing_ran(alice).await;
    nothing_ran(bob).await;
}

#[tokio::test]
async fn names_and_titles_full_of_markup_are_text_everywhere_and_run_nothing() {
    let Some(Stage { alice, bob, server, .. }) = &Stage::set().await else { return };
    let payloads = || SHORT.iter().map(|index| PAYLOADS[*index]);
    let mut people = Vec::new();
    for (number, name) in payloads().take(3).enumerate() {
        people.push(format!("markup{number}"));
        server.command(&["user", "add", &people[number], "--display", name, "--password-stdin"], "correct horse battery\n");
    }
    let members: Vec<&str> = people.iter().map(String::as_str).chain(["bob"]).collect();
    for title in payloads() {
        let thread = server.program.thread(title, &members).await;
        server.program_of(&people[0]).post(&thread, title).await;
    }
    let nameless = server.program.ask(Method::POST, "/api/threads", json!({ "members": members })).await;
    assert!(nameless.is_ok_and(|thread| thread["title"].is_null()));
    for window in [alice, bob] {
        let view = window.sees("every thread", |view| view.threads.len() == SHORT.len() + 2).await;
        for title in payloads() {
            assert_eq!(view.thread(title).map(|thread| thread.unread), Some(1), "{title}");
        }
        let others = payloads().take(3).collect::<Vec<_>>().join(", ");
        assert!(view.threads.iter().any(|thread| thread.title.contains(&others)), "a thread without a title: {view:#?}");
        // Its title, author, people and their search, one after the other.
        let id = &view.thread(PAYLOADS[3]).expect("it is there").id;
        window.click(&format!("[data-thread-id='{id}']")).await;
        window.sees("the thread", |view| view.heading == PAYLOADS[3] && view.texts() == [PAYLOADS[3]]).await;
        window.click("#people-toggle").await;
        window.has("#people-list li", 5).await;
        window.click("#people-close").await;
        window.click("#threads .new-thread").await;
        window.types("<sc").await;
        window.has("#new-thread-results button", 1).await;
        window.presses(Key::Enter).await;
        window.has("#new-thread-people li", 1).await;
        window.click("#new-thread-dialog .cancel").await;
        let (names, _) =
            inside(window, "#thread-list a > * > :not(.sr), #thread-title *, #messages .author *, #people-list bdi *").await;
        assert!(names.is_empty(), "{names:?}");
        nothing_ran(window).await;
    }
}

#[tokio::test]
async fn a_script_put_into_the_page_does_not_run_and_is_reported() {
    let Some(Stage { alice, .. }) = &Stage::set().await else { return };
    // As markup that got through would do it, each its own way.
    let ways = [
        "const script = document.createElement('script'); script.append('window.__xss = 1'); document.body.append(script);",
        "document.body.innerHTML += '<img src=x onerror=\"window.__xss = 1\">';",
        "document.querySelector('#me').setAttribute('onclick', 'window.__xss = 1'); document.querySelector('#me').click();",
        "document.write('<script>window.__xss = 1</script>');",
        "setTimeout('window.__xss = 1', 0);",
        "const script = document.createElement('script'); script.src = 'https://example.org/x.js'; document.body.append(script);",
        "const frame = document.createElement('iframe'); frame.src = 'https://example.org/'; document.body.append(frame);",
        "fetch('https://example.org/').catch(() => {});",
    ];
    for (number, way) in ways.iter().enumerate() {
        alice.run_module(way).await;
        let refused = |view: &View| view.reports.iter().filter(|report| report.starts_with("policy ")).count() > number;
        alice.sees(&format!("that the policy refused {way}"), refused).await;
    }
    assert!(alice.run("return window.__xss === undefined", json!([])).await == true, "something ran");
}
