//! Who is writing in the open thread is shown while it lasts, and moves nothing.

use fantoccini::key::Key;
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{HELLO, Stage, window::Window};

/// From now on the window keeps the typing frames that it sends.
const KEEP: &str = "window.typed = []; const send = WebSocket.prototype.send;
    WebSocket.prototype.send = function (text) {
      const { type, data } = JSON.parse(text);
      if (type === 'typing') typed.push(data.active);
      return send.call(this, text);
    };";

async fn sees_typing(window: &Window, words: &str) {
    window.sees(&format!("the line {words:?}"), |view| view.typing == words).await;
}

/// The same while these windows go on writing: a letter each before every look, because a writer is shown for seven seconds only.
async fn sees_writing(window: &Window, writers: &[&Window], words: &str) {
    crate::window::until(&format!("the line {words:?}"), || async {
        join_all(writers.iter().map(|writer| writer.types("x"))).await;
        window.look().await.typing == words
    })
    .await;
}

#[tokio::test]
async fn who_writes_is_shown_until_it_is_sent_emptied_or_left_and_nothing_moves() {
    let Some(Stage { alice, bob, .. }) = &Stage::set().await else { return };
    let places = "return ['#history', '#composer', '#messages'].map((name) => JSON.stringify(document.querySelector(name).getBoundingClientRect()))";
    let before = alice.run(places, json!([])).await;
    bob.run(KEEP, json!([])).await;
    bob.fills("#composer", "A message of some length, written at one go").await;
    sees_typing(alice, "Bob is typing").await;
    assert_eq!(alice.run(places, json!([])).await, before, "nothing moves");
    assert_eq!(bob.look().await.typing, "", "one's own writing is no news");
    let spoken = "return Boolean(document.querySelector('#typing').closest('[aria-live], [role=status], [role=alert]'))";
    assert_eq!(alice.run(spoken, json!([])).await, false, "nor is it spoken");
    bob.presses(Key::Enter).await;
    sees_typing(alice, "").await;
    alice.sees_messages(&[HELLO, "A message of some length, written at one go"]).await;
    crate::window::until("that the writing has ended", || async {
        bob.run("return typed.at(-1)", json!([])).await == false
    })
    .await;
    let told = bob.run("return typed.filter((active) => active).length", json!([])).await.as_u64().expect("a number");
    assert!((1..=3).contains(&told), "43 keys, but {told} notices");

    bob.types("x").await;
    sees_typing(alice, "Bob is typing").await;
    bob.presses(Key::Backspace).await;
    sees_typing(alice, "").await;
    bob.types("y").await;
    sees_typing(alice, "Bob is typing").await;
    bob.click("#people-toggle").await;
    sees_typing(alice, "").await;
    alice.is_clean().await;
    bob.is_clean().await;
}

#[tokio::test]
async fn two_are_named_more_are_several_and_whoever_says_no_more_is_forgotten() {
    let Some(stage) = Stage::set().await else { return };
    let carol = stage.third("carol", "Carol").await;
    let dave = stage.third("dave", "Dave").await;
    let Stage { alice, bob, server, .. } = &stage;
    for name in ["carol", "dave"] {
        let membership = format!("/api/threads/{}/members/{name}", server.thread);
        server.program.ask(Method::PUT, &membership, Value::Null).await.expect("an answer");
    }
    for window in [&carol, &dave] {
        window.opens("Demo").await;
    }
    bob.fills("#composer", "from bob").await;
    sees_writing(alice, &[bob], "Bob is typing").await;
    carol.fills("#composer", "from carol").await;
    sees_writing(alice, &[bob, &carol], "Bob and Carol are typing").await;
    dave.fills("#composer", "from dave").await;
    sees_writing(alice, &[bob, &carol, &dave], "Several people are typing").await;
    sees_writing(bob, &[&carol, &dave], "Carol and Dave are typing").await;
    carol.presses(Key::Enter).await;
    dave.presses(Key::Enter).await;
    bob.presses(Key::Enter).await;
    sees_typing(alice, "").await;

    // A program of bob's says that he writes, and is gone before it could say that he does not.
    let vanish = format!(
        "const socket = new WebSocket(location.origin.replace('http', 'ws') + '/ws');
        const hears = (wanted) => new Promise((resolve) => {{
          socket.onmessage = ({{ data }}) => JSON.parse(data).type === wanted && resolve();
        }});
        await hears('connection_established');
        socket.send(JSON.stringify({{ type: 'typing', data: {{ thread_id: '{}', active: true }} }}));
        socket.send(JSON.stringify({{ type: 'ping', id: 1, data: {{}} }}));
        await hears('pong');
        socket.close();
        return true",
        server.thread
    );
    assert_eq!(bob.run_module(&vanish).await, true);
    sees_typing(alice, "Bob is typing").await;
    sees_typing(alice, "").await;
    alice.is_clean().await;
}
