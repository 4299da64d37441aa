//! One person's browser window: what it shows, read in one look, and what a person does in it.

use std::{
    future::Future,
    str::FromStr,
    time::{Duration, Instant},
};

use fantoccini::{
    Client, Locator,
    actions::{InputSource, KeyAction, KeyActions},
    error::CmdError,
    key::Key,
    wd::{WebDriverCompatibleCommand, WindowHandle},
};
use reqwest::{Method, Url};
use serde::Deserialize;
use serde_json::{Value, json};

/// How long anything may take until a test fails: the machines of others are slow.
const DEADLINE: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// What one look takes in.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct View {
    pub address: String,
    pub title: String,
    /// Whether the sign-in form is shown, and what it says.
    pub signin: bool,
    pub signin_words: String,
    /// State and words of the connection's line; no words where it is not shown.
    pub connection: String,
    pub connection_words: String,
    /// Whether the conversations are shown.
    pub app: bool,
    /// By how many pixels the document is taller than the window; only its panes may scroll.
    pub overflow: i64,
    pub threads: Vec<Row>,
    /// Title of the open thread.
    pub heading: String,
    /// Whether a thread is open, and what is said where none is.
    pub open: bool,
    pub nothing_words: String,
    /// What is said about the open thread, and what could not be done in it.
    pub told: String,
    pub trouble: String,
    /// Who is writing in it.
    pub typing: String,
    /// Whether the other of two is here; empty where nobody has told.
    pub other: String,
    /// Who is in it, as the panel says: name, and whether they are here.
    pub people: Vec<(String, String)>,
    pub messages: Vec<Shown>,
    /// Day separators and other lines between the messages.
    pub marks: Vec<String>,
    /// The ways to the end and to what was jumped over, where they are offered.
    pub to_end: String,
    pub to_first: String,
    pub dialog: String,
    pub focus: String,
    pub reports: Vec<String>,
}

/// A thread in the list.
#[derive(Debug, Clone, Deserialize)]
pub struct Row {
    pub id: String,
    pub title: String,
    pub unread: u64,
}

/// A message on the page.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Shown {
    pub id: String,
    pub text: String,
    pub state: String,
    pub fate: String,
    pub own: bool,
}

impl View {
    /// The texts of the messages, from above.
    pub fn texts(&self) -> Vec<&str> {
        self.messages.iter().map(|message| message.text.as_str()).collect()
    }

    /// The texts of those that are stored.
    pub fn sent(&self) -> Vec<&str> {
        self.messages.iter().filter(|message| message.state == "sent").map(|message| message.text.as_str()).collect()
    }

    pub fn thread(&self, title: &str) -> Option<&Row> {
        self.threads.iter().find(|thread| thread.title == title)
    }
}

const LOOK: &str = r"
const $ = (selector) => document.querySelector(selector);
const text = (element) => element?.checkVisibility() ? element.innerText.trim() : '';
const seen = (selector) => $(selector)?.checkVisibility() ?? false;
const active = document.activeElement;
return {
  address: location.href, title: document.title,
  signin: seen('#signin-form'), signin_words: text($('#signin-words')),
  connection: $('#connection')?.dataset.state ?? '', connection_words: text($('#connection-words')),
  app: seen('#app'), overflow: document.scrollingElement.scrollHeight - innerHeight,
  threads: [...document.querySelectorAll('#thread-list [data-thread-id]')].map((row) => ({
    id: row.dataset.threadId, title: row.querySelector('.title').textContent, unread: Number(row.querySelector('.unread')?.dataset.unread ?? 0) })),
  heading: $('#thread-title')?.textContent ?? '', open: seen('#messages'), nothing_words: text($('#nothing-words')),
  told: text($('#told-words')), trouble: text($('#trouble-words')),
  typing: text($('#typing')), other: $('#head-presence .presence')?.title ?? '',
  people: [...document.querySelectorAll('#people-list [data-user-id]')].filter((row) => row.checkVisibility())
    .map((row) => [row.querySelector('bdi').textContent, row.querySelector('.presence').textContent.replace(/[ ()]/g, '')]),
  messages: [...document.querySelectorAll('#messages [data-message-id]')].map((item) => ({
    id: item.dataset.messageId, state: item.dataset.state, own: item.classList.contains('own'), fate: text(item.querySelector('.fate')),
    text: item.querySelector('textarea')?.value ?? (item.querySelector('.text') ?? item.querySelector('.bubble')).textContent })),
  marks: [...document.querySelectorAll('#messages > :not([data-message-id])')].map((mark) => mark.textContent),
  to_end: seen('#to-end') ? $('#to-end').ariaLabel : '', to_first: text($('#to-first')), dialog: text($('dialog[open]')),
  focus: active?.id || active?.className || active?.tagName || '',
  reports: window.hailgateReports ?? [],
};";

/// Set before any script of the page: keeps what would otherwise be said to nobody.
const REPORTER: &str = r"
window.hailgateReports = [];
const report = (...words) => window.hailgateReports.push(words.join(' '));
addEventListener('error', ({ message, filename, lineno }) => report('error', message, filename, lineno));
addEventListener('unhandledrejection', ({ reason }) => report('rejected', reason));
document.addEventListener('securitypolicyviolation', ({ effectiveDirective, blockedURI }) => report('policy', effectiveDirective, blockedURI));
for (const name of ['alert', 'confirm', 'prompt', 'print', 'open']) window[name] = () => report('called', name);";

/// A window and its driver session.
pub struct Window {
    client: Client,
}

impl Window {
    pub async fn of(client: Client) -> Window {
        let window = Window { client };
        window.listens().await;
        window
    }

    async fn listens(&self) {
        self.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": REPORTER })).await;
    }

    /// Which of the person's windows is looked at.
    pub async fn handle(&self) -> WindowHandle {
        self.client.window().await.expect("a window is open")
    }

    /// Opens another in the same browser, and turns to it.
    pub async fn another(&self, address: &str) -> WindowHandle {
        let opened = self.client.new_window(true).await.expect("a window opens").handle;
        self.turns_to(&opened).await;
        self.listens().await;
        self.go(address).await;
        opened
    }

    pub async fn turns_to(&self, window: &WindowHandle) {
        self.client.switch_to_window(window.clone()).await.expect("the window is there");
    }

    /// Closes the one that is looked at; turn to another one then.
    pub async fn closes(&self) {
        self.client.close_window().await.expect("the window closes");
    }

    /// A command of the DevTools protocol, for what WebDriver has no words for.
    pub async fn devtools(&self, command: &'static str, parameters: Value) -> Value {
        self.client.issue_cmd(DevTools { command, parameters }).await.expect(command)
    }

    /// What it shows, as a PNG.
    pub async fn screenshot(&self) -> Vec<u8> {
        self.client.screenshot().await.expect("the window is painted")
    }

    /// What the console has got since the last call: messages of scripts, and the browser's own warnings.
    pub async fn console(&self) -> Vec<Entry> {
        let told = self.client.issue_cmd(Console).await.expect("the driver tells the browser's log");
        serde_json::from_value(told.clone()).unwrap_or_else(|error| panic!("{error}: {told}"))
    }

    pub async fn go(&self, address: &str) {
        self.client.goto(address).await.expect("the page is loaded");
    }

    pub async fn reload(&self) {
        self.client.refresh().await.expect("the page is loaded again");
    }

    /// Runs a script in the page.
    pub async fn run(&self, script: &str, arguments: Value) -> Value {
        let Value::Array(arguments) = arguments else { panic!("arguments are a list") };
        self.client.execute(script, arguments).await.unwrap_or_else(|error| panic!("{error}\n{script}"))
    }

    /// Runs the body of an async function in the page. What it imports are the page's own modules, with its version in their address.
    pub async fn run_module(&self, script: &str) -> Value {
        let own = "import(document.querySelector('script[type=module]').src + '/../";
        let script = script.replace("import('/hailgate.js", &format!("{own}hailgate.js")).replace("import('/static/", own);
        let script =
            format!("const done = arguments[0]; (async () => {{ {script} }})().then(done, (error) => done(String(error)));");
        self.client.execute_async(&script, Vec::new()).await.unwrap_or_else(|error| panic!("{error}\n{script}"))
    }

    /// The values of the page's cookies; the page itself cannot read them.
    pub async fn cookies(&self) -> Vec<(String, String)> {
        let cookies = self.client.get_all_cookies().await.expect("the browser tells its cookies");
        cookies.iter().map(|cookie| (cookie.name().to_owned(), cookie.value().to_owned())).collect()
    }

    pub async fn look(&self) -> View {
        self.try_look().await.expect("the page can be looked at")
    }

    async fn try_look(&self) -> Result<View, CmdError> {
        let seen = self.client.execute(LOOK, Vec::new()).await?;
        Ok(serde_json::from_value(seen.clone()).unwrap_or_else(|error| panic!("{error}: {seen}")))
    }

    /// Looks until it sees what it waits for, or fails with what it saw instead.
    pub async fn sees(&self, what: &str, wanted: impl Fn(&View) -> bool) -> View {
        let (until, mut looks) = (Instant::now() + DEADLINE, tokio::time::interval(LOOK_EVERY));
        loop {
            looks.tick().await;
            // A look at a page that is just going away fails; the next one sees the new page.
            let view = self.try_look().await;
            match view {
                Ok(view) if wanted(&view) => {
                    assert!(!view.app || view.overflow == 0, "the document is taller than the window: {what}\n{view:#?}");
                    return view;
                }
                Ok(view) if Instant::now() > until => panic!("not within {DEADLINE:?}: {what}\n{view:#?}"),
                Err(error) if Instant::now() > until => panic!("not within {DEADLINE:?}: {what}\n{error}"),
                _ => {}
            }
        }
    }

    /// Opens a sign-in link and waits until the conversations are there and live.
    pub async fn sign_in(&self, link: &str) -> View {
        self.go(link).await;
        self.is_live().await
    }

    pub async fn is_live(&self) -> View {
        self.sees("the page is connected and shows the thread", |view| {
            view.app && view.connection == "live" && (!view.messages.is_empty() || view.marks.is_empty())
        })
        .await
    }

    /// Sees exactly these messages, each once, in this order, all stored.
    pub async fn sees_messages(&self, texts: &[&str]) -> View {
        self.sees(&format!("the messages {texts:?}"), |view| view.texts() == texts && view.sent() == texts).await
    }

    /// Sees so many of these elements.
    pub async fn has(&self, selector: &str, count: usize) {
        let script = "return [...document.querySelectorAll(arguments[0])].filter((one) => one.checkVisibility({ visibilityProperty: true })).length";
        until(&format!("{count} of {selector}"), || async { self.run(script, json!([selector])).await == count }).await;
    }

    /// Opens the thread of this title from the list.
    pub async fn opens(&self, title: &str) -> View {
        let view = self.sees(&format!("the thread {title}"), |view| view.thread(title).is_some()).await;
        self.click(&format!("[data-thread-id='{}']", view.thread(title).expect("it is there").id)).await;
        self.sees(&format!("{title} open"), |view| view.heading == title).await
    }

    pub async fn click(&self, selector: &str) {
        let element = self.client.wait().at_most(DEADLINE).for_element(Locator::Css(selector)).await;
        let element = element.unwrap_or_else(|error| panic!("{selector} is not there: {error}"));
        element.click().await.unwrap_or_else(|error| panic!("{selector} cannot be clicked: {error}"));
    }

    /// Types at the keyboard, wherever the focus is.
    pub async fn types(&self, text: &str) {
        let keys = text.chars().fold(KeyActions::new("keyboard".to_owned()), |keys, key| {
            keys.then(KeyAction::Down { value: key }).then(KeyAction::Up { value: key })
        });
        self.client.perform_actions(keys).await.expect("the keys are typed");
    }

    pub async fn presses(&self, key: Key) {
        self.types(&char::from(key).to_string()).await;
    }

    /// Presses these together.
    pub async fn chord(&self, keys: &[Key]) {
        self.presses_all(&keys.iter().map(|key| char::from(*key)).collect::<Vec<_>>()).await;
    }

    /// Presses keys together, as Ctrl+K: the last one while the others are held.
    pub async fn presses_all(&self, keys: &[char]) {
        let down = keys.iter().map(|&value| KeyAction::Down { value });
        let up = keys.iter().rev().map(|&value| KeyAction::Up { value });
        let actions = down.chain(up).fold(KeyActions::new("keyboard".to_owned()), KeyActions::then);
        self.client.perform_actions(actions).await.expect("the keys are pressed");
    }

    /// Presses Tab until the focus is on what matches: how one comes there without a mouse.
    pub async fn tabs_to(&self, selector: &str) {
        self.moves_to(&[Key::Tab], selector).await;
    }

    /// The same backwards.
    pub async fn tabs_back_to(&self, selector: &str) {
        self.moves_to(&[Key::Shift, Key::Tab], selector).await;
    }

    async fn moves_to(&self, keys: &[Key], selector: &str) {
        for _ in 0..40 {
            self.chord(keys).await;
            if self.run("return document.activeElement.matches(arguments[0])", json!([selector])).await == true {
                return;
            }
        }
        panic!("{selector} cannot be reached with {keys:?}: {:#?}", self.look().await);
    }

    /// Puts the focus into a field and types.
    pub async fn fills(&self, selector: &str, text: &str) {
        self.click(selector).await;
        self.types(text).await;
    }

    /// Writes a message and sends it with Enter.
    pub async fn writes(&self, text: &str) {
        self.fills("#composer", text).await;
        self.presses(Key::Enter).await;
    }

    /// Nothing went wrong on this page since it was loaded.
    pub async fn is_clean(&self) {
        let reports = self.look().await.reports;
        assert!(reports.is_empty(), "the page reported {reports:#?}");
    }
}

/// Waits for something that no page shows.
pub async fn until<F: Future<Output = bool>>(what: &str, mut holds: impl FnMut() -> F) {
    let (end, mut looks) = (Instant::now() + DEADLINE, tokio::time::interval(LOOK_EVERY));
    while !holds().await {
        assert!(Instant::now() < end, "not within {DEADLINE:?}: {what}");
        looks.tick().await;
    }
}

/// A line of the console.
#[derive(Debug, Clone, Deserialize)]
pub struct Entry {
    pub level: String,
    pub message: String,
    /// Who wrote it: `network` for a request that failed, `console-api` for a script.
    pub source: String,
}

/// Chromium's command, which WebDriver does not have: reads the console and empties it.
#[derive(Debug)]
struct Console;

impl WebDriverCompatibleCommand for Console {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, <Url as FromStr>::Err> {
        base.join(&format!("session/{}/se/log", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(json!({ "type": "browser" }).to_string()))
    }
}

#[derive(Debug)]
struct DevTools {
    command: &'static str,
    parameters: Value,
}

impl WebDriverCompatibleCommand for DevTools {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, <Url as FromStr>::Err> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(json!({ "cmd": self.command, "params": self.parameters }).to_string()))
    }
}
