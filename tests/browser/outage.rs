//! The server dies, or the socket cannot be had: nothing is lost, nothing doubled, and the page says what is.

use serde_json::json;

use crate::{
    HELLO, Stage,
    driver::Driver,
    messages::acts_on,
    proxy::Proxy,
    server::{Program, Server},
    window::{View, Window},
};

pub const OFFLINE: &str = "Offline: your messages are kept and will be sent";
pub const FALLBACK: &str = "Connected without WebSocket (slower)";

/// Posts as fast as it can until it gets no answer, but no more than a page holds; what was acknowledged.
async fn post_until_refused(program: Program, thread: String) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for number in 1..=400 {
        let content = format!("burst {number}");
        if !program.tries_to_post(&thread, &content).await {
            break;
        }
        acknowledged.push(content);
    }
    acknowledged
}

#[tokio::test]
async fn after_a_kill_both_pages_come_back_and_show_every_acknowledged_message_once_and_in_order() {
    let Some(mut stage) = Stage::set().await else { return };
    let Stage { alice, bob, server, .. } = &mut stage;
    alice.writes("before").await;
    bob.sees_messages(&[HELLO, "before"]).await;

    // The kill falls into the middle of a burst: what was acknowledged until then must be there.
    let burst = tokio::spawn(post_until_refused(server.program.clone(), server.thread.clone()));
    bob.sees("the burst has begun", |view| view.texts().contains(&"burst 10")).await;
    server.kill();
    let acknowledged = burst.await.expect("the burst ends with the server");
    for window in [&alice, &bob] {
        window.sees("that it is offline", |view| view.connection == "offline" && view.connection_words == OFFLINE).await;
    }

    alice.writes("while away").await;
    bob.writes("so do I").await;
    let waits = |view: &View| {
        view.messages.last().is_some_and(|last| last.state == "waiting" && last.fate == "Will be sent when you are back")
    };
    alice.sees("that the message waits", waits).await;
    bob.sees("that the message waits", waits).await;
    server.start_again();

    let back = |view: &View| {
        view.connection == "live"
            && view.connection_words.is_empty()
            && view.messages.iter().all(|message| message.state == "sent")
    };
    alice.sees("that all is sent", back).await;
    bob.sees("that all is sent", back).await;
    alice.writes("after").await;
    let both_after = |view: &View| view.sent().last() == Some(&"after");
    let (left, right) = (alice.sees("the last message", both_after).await, bob.sees("the last message", both_after).await);
    let stored = server.stored().await;
    let shown = |view: &View| view.texts().iter().map(ToString::to_string).rev().take(100).rev().collect::<Vec<_>>();
    assert_eq!(shown(&left), stored);
    assert_eq!(shown(&right), stored);
    let kept: Vec<_> = left.texts().into_iter().filter(|text| text.starts_with("burst ")).collect();
    let told: Vec<_> = (1..=kept.len()).map(|number| format!("burst {number}")).collect();
    assert_eq!(kept, told, "each once, in order, without a hole");
    assert!(
        kept.len() == acknowledged.len() || kept.len() == acknowledged.len() + 1,
        "{} of {}",
        kept.len(),
        acknowledged.len()
    );
    for late in ["before", "while away", "so do I", "after"] {
        assert_eq!(left.texts().iter().filter(|text| **text == late).count(), 1, "{late}");
    }
    alice.is_clean().await;
    bob.is_clean().await;
}

#[tokio::test]
async fn a_message_kept_while_the_server_is_away_survives_two_kills() {
    let Some(mut stage) = Stage::set().await else { return };
    let Stage { alice, bob, server, .. } = &mut stage;
    server.kill();
    alice.sees("that it is offline", |view| view.connection == "offline").await;
    bob.sees("that it is offline", |view| view.connection == "offline").await;
    alice.writes("kept over a second kill").await;
    server.start_again();
    alice.sees_messages(&[HELLO, "kept over a second kill"]).await;
    server.kill();
    bob.sees("that it is offline", |view| view.connection == "offline").await;
    server.start_again();
    for window in [&alice, &bob] {
        window.is_live().await;
        window.sees_messages(&[HELLO, "kept over a second kill"]).await;
    }
}

/// A server, and a proxy before it.
pub struct Behind {
    _driver: Driver,
    pub alice: Window,
    pub bob: Window,
    pub proxy: Proxy,
    pub server: Server,
}

impl Behind {
    pub async fn set() -> Option<Behind> {
        let driver = Driver::start()?;
        let proxy = Proxy::start().await;
        let origins = format!("http://127.0.0.1:{0},http://localhost:{0}", proxy.port);
        let server = Server::start_with(&[("HAILGATE_ALLOWED_ORIGINS", &origins)]);
        proxy.serves(server.port);
        let (alice, bob) = tokio::join!(driver.window(), driver.window());
        Some(Behind { _driver: driver, alice, bob, proxy, server })
    }

    /// Alice comes through the proxy; bob comes straight.
    pub async fn sign_in(&self) {
        self.alice.go(&self.links()[0]).await;
        self.bob.sign_in(&self.server.links[1]).await;
    }

    /// The sign-in links at the proxy's address.
    pub fn links(&self) -> [String; 2] {
        let at = |port: u16| format!(":{port}/");
        self.server.links.clone().map(|link| link.replace(&at(self.server.port), &at(self.proxy.port)))
    }
}

pub async fn falls_back(window: &Window) {
    window
        .sees("that it is connected without WebSocket", |view| {
            view.connection == "fallback" && view.connection_words == FALLBACK
        })
        .await;
}

/// The page looks for the socket every half minute or more. From now on it need not wait for it, nor for the next time.
async fn hurries(window: &Window) {
    let hurry = "const { LIMITS } = await import('/hailgate.js'); LIMITS.probe_min_ms = 500; LIMITS.probe_max_ms = 1000;
        dispatchEvent(new Event('online')); return true";
    assert_eq!(window.run_module(hurry).await, true);
}

/// How often the page has asked this path by `fetch`.
async fn asked(window: &Window, path: &str) -> u64 {
    let script = "return performance.getEntriesByType('resource').filter(({ name, initiatorType }) =>
        initiatorType === 'fetch' && name.replace(location.origin, '').startsWith(arguments[0])).length";
    window.run(script, json!([path])).await.as_u64().expect("a number")
}

/// Five questions and answers, each after the last; both see them as they are stored.
pub async fn converse(Behind { alice, bob, server, .. }: &Behind) {
    for number in 1..=5 {
        alice.writes(&format!("question {number}")).await;
        bob.sees("the question", |view| view.sent().last() == Some(&&*format!("question {number}"))).await;
        bob.writes(&format!("answer {number}")).await;
        alice.sees("the answer", |view| view.sent().last() == Some(&&*format!("answer {number}"))).await;
    }
    assert_eq!(alice.look().await.texts(), server.stored().await);
    assert_eq!(bob.look().await.texts(), server.stored().await);
}

#[tokio::test]
async fn without_a_socket_the_page_sends_by_rest_and_receives_by_a_stream_of_events_and_says_so() {
    let Some(behind) = Behind::set().await else { return };
    let Behind { alice, proxy, .. } = &behind;
    proxy.lets_sockets_through(false);
    behind.sign_in().await;
    falls_back(alice).await;
    converse(&behind).await;
    assert_eq!(asked(alice, "/api/events?").await, 0, "one stream, which has not ended, brought every answer");
    assert!(asked(alice, "/api/messages").await >= 5, "each question went by REST");
    assert!(proxy.upgrades().is_empty());
    falls_back(alice).await;
    alice.is_clean().await;
}

#[tokio::test]
async fn where_a_stream_does_not_flow_either_the_page_polls() {
    let Some(behind) = Behind::set().await else { return };
    let Behind { alice, proxy, .. } = &behind;
    behind.sign_in().await;
    alice.is_live().await;
    // No stream is as quick as this, so each passes for one that a proxy keeps to itself.
    alice.run_module("(await import('/hailgate.js')).LIMITS.stream_first_ms = 0; return true").await;
    proxy.lets_sockets_through(false);
    falls_back(alice).await;
    converse(&behind).await;
    assert!(asked(alice, "/api/events?").await >= 5, "each answer came by a poll");
    falls_back(alice).await;
}

#[tokio::test]
async fn the_page_returns_to_the_socket_by_itself_with_its_cursor() {
    let Some(behind) = Behind::set().await else { return };
    let Behind { alice, bob, proxy, server, .. } = &behind;
    behind.sign_in().await;
    alice.is_live().await;
    hurries(alice).await;
    proxy.lets_sockets_through(false);
    falls_back(alice).await;
    bob.writes("while you had no socket").await;
    alice.sees_messages(&[HELLO, "while you had no socket"]).await;
    proxy.lets_sockets_through(true);
    alice
        .sees("that it is live, without a word", |view| view.connection == "live" && view.connection_words.is_empty())
        .await;
    let asks = asked(alice, "/api/events?").await;
    for text in ["over the socket", "and again"] {
        bob.writes(text).await;
    }
    alice.writes("over it too").await;
    let all = |view: &View| view.sent().len() == 5;
    let (left, right) = (alice.sees("all messages", all).await, bob.sees("all messages", all).await);
    assert_eq!(left.texts(), server.stored().await);
    assert_eq!(right.texts(), server.stored().await);
    assert_eq!(asked(alice, "/api/events?").await, asks, "nothing stands in any more");
    let upgrades = proxy.upgrades();
    assert!(upgrades.len() >= 2 && upgrades.iter().all(|line| line.starts_with("GET /ws?since=")), "{upgrades:#?}");
    let cursors: std::collections::BTreeSet<_> = upgrades.iter().collect();
    assert!(cursors.len() >= 2, "it comes back with the cursor of its last event: {upgrades:#?}");
    alice.is_clean().await;
}

#[tokio::test]
async fn a_message_whose_acknowledgement_is_lost_is_sent_again_and_stored_once() {
    let Some(behind) = Behind::set().await else { return };
    let Behind { alice, bob, proxy, server, .. } = &behind;
    behind.sign_in().await;
    alice.is_live().await;
    proxy.mutes_sockets(true);
    alice.writes("only once").await;
    bob.sees_messages(&[HELLO, "only once"]).await;
    let sending = |view: &View| view.messages.last().is_some_and(|last| last.text == "only once" && last.state == "sending");
    alice.sees("that it does not know yet", sending).await;
    proxy.lets_sockets_through(false);
    proxy.mutes_sockets(false);
    alice.sees_messages(&[HELLO, "only once"]).await;
    proxy.lets_sockets_through(true);
    alice.writes("and on").await;
    for window in [alice, bob] {
        window.sees_messages(&[HELLO, "only once", "and on"]).await;
        window.is_clean().await;
    }
    assert_eq!(server.stored().await, [HELLO, "only once", "and on"]);
}

#[tokio::test]
async fn when_the_network_comes_back_the_page_looks_for_the_socket_at_once() {
    let Some(behind) = Behind::set().await else { return };
    let Behind { alice, bob, proxy, .. } = &behind;
    proxy.lets_sockets_through(false);
    behind.sign_in().await;
    falls_back(alice).await;
    proxy.lets_sockets_through(true);
    alice.run("window.dispatchEvent(new Event('online'))", json!([])).await;
    alice.sees("that it is live", |view| view.connection == "live").await;
    bob.writes("welcome back").await;
    alice.sees_messages(&[HELLO, "welcome back"]).await;
}

#[tokio::test]
async fn two_browsers_behind_a_proxy_that_strips_upgrade_chat_say_how_and_go_back_to_the_socket_when_it_may_pass() {
    let Some(behind) = Behind::set().await else { return };
    let Behind { alice, bob, proxy, server, .. } = &behind;
    proxy.strips_upgrades();
    let [to_alice, to_bob] = behind.links();
    tokio::join!(alice.go(&to_alice), bob.go(&to_bob));
    for window in [alice, bob] {
        falls_back(window).await;
        hurries(window).await;
    }
    let mut all = vec![HELLO.to_owned()];
    for number in 1..=3 {
        for (from, to, who) in [(alice, bob, "alice"), (bob, alice, "bob")] {
            all.push(format!("{number} from {who}"));
            from.writes(&all[all.len() - 1]).await;
            to.sees("it", |view| view.sent().last() == all.last().map(String::as_str).as_ref()).await;
        }
    }
    // A change and a deletion come this way too.
    bob.presses(fantoccini::key::Key::Up).await;
    bob.types(", changed").await;
    bob.presses(fantoccini::key::Key::Enter).await;
    all[6] += ", changed";
    acts_on(alice, &format!("[data-message-id='{}']", alice.look().await.messages[0].id), ".remove").await;
    alice.click("#question-yes").await;
    let seen = |first: &'static str, all: &[String]| {
        let wanted: Vec<String> = std::iter::once(first.to_owned()).chain(all[1..].iter().cloned()).collect();
        move |view: &View| view.sent() == wanted && view.connection_words == FALLBACK
    };
    alice.sees("both changes", seen("You deleted this message", &all)).await;
    bob.sees("both changes", seen("Message deleted", &all)).await;
    assert!(proxy.upgrades().is_empty(), "{:?}", proxy.upgrades());

    proxy.lets_sockets_through(true);
    for window in [alice, bob] {
        window
            .sees("that it is live, without a word", |view| view.connection == "live" && view.connection_words.is_empty())
            .await;
    }
    assert!(proxy.upgrades().len() >= 2, "{:?}", proxy.upgrades());
    alice.writes("over the socket").await;
    bob.sees("it", |view| view.sent().last() == Some(&"over the socket")).await;
    bob.writes("over mine too").await;
    let view = alice.sees("it", |view| view.sent().last() == Some(&"over mine too")).await;
    assert_eq!(view.texts()[1..], server.stored().await[1..]);
    assert_eq!(view.texts().len(), 9);
    alice.is_clean().await;
    bob.is_clean().await;
}
