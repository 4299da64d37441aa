//! How messages are shown: links, code, faces, a message under edit; and what answers a file that cannot be one.

use fantoccini::key::Key;
use serde_json::json;

use crate::{
    HELLO, Stage,
    driver::Driver,
    looks::Scheme,
    messages::{acts_on, is_accessible, rect, sees_focus},
    server::Server,
    window::{View, until},
};

#[tokio::test]
async fn addresses_are_links_and_code_is_shown_without_its_backticks() {
    let Some(Stage { alice, bob, server, .. }) = &Stage::set().await else { return };
    server.post("www.example.com, bob@example.com (https://example.org/a).").await;
    let code = "Run `cargo test`:\n```sh\ncargo test\n\necho done\n```\nThat is all";
    alice.fills("#composer", "x").await;
    server.post(code).await;
    for window in [alice, bob] {
        let view = window.sees("all", |view| view.sent().len() == 3).await;
        assert_eq!(view.texts()[2], "Run cargo test:cargo test\n\necho doneThat is all");
        let links = "return [...document.querySelectorAll('.text a')].map(({ href, rel }) => href + ' ' + rel)";
        let safe = " noopener noreferrer";
        assert_eq!(
            window.run(links, json!([])).await,
            json!([
                format!("https://www.example.com/{safe}"),
                format!("mailto:bob@example.com{safe}"),
                format!("https://example.org/a{safe}")
            ])
        );
        let preview = "return document.querySelector('#thread-list .preview').textContent";
        let preview = window.run(preview, json!([])).await;
        assert!(preview.as_str().is_some_and(|text| text.contains("Run cargo test:")), "{preview}");
        // What is selected and copied has its lines.
        let copied = "getSelection().selectAllChildren([...document.querySelectorAll('.text')].at(-1)); return getSelection().toString()";
        let copied = window.run(copied, json!([])).await;
        let shown: Vec<&str> = copied.as_str().expect("a text").split('\n').filter(|line| !line.is_empty()).collect();
        assert_eq!(shown, ["Run cargo test:", "cargo test", "echo done", "That is all"]);
        window.is_clean().await;
    }
}

#[tokio::test]
async fn files_that_are_dropped_or_pasted_are_answered_and_open_nothing() {
    let Some(driver) = Driver::start() else { return };
    let server = Server::start();
    let alice = driver.window().await;
    let view = alice.sign_in(&server.links[0]).await;
    let file = tempfile::NamedTempFile::new().expect("a file");
    let notice = async || alice.run("return document.querySelector('#notice')?.innerText ?? ''", json!([])).await;
    let words = "Only text can be sent. To share a file, put it online and send its link.";
    for place in ["#history", "#composer", "#thread-list"] {
        let [left, top, right, bottom] = rect(&alice, place).await;
        for kind in ["dragEnter", "dragOver", "drop"] {
            let data = json!({ "items": [], "files": [file.path()], "dragOperationsMask": 1 });
            let (x, y) = (f64::midpoint(left, right), f64::midpoint(top, bottom));
            alice.devtools("Input.dispatchDragEvent", json!({ "type": kind, "x": x, "y": y, "data": data })).await;
        }
        until("an answer", || async { notice().await == words }).await;
        // It goes with the next thing that is done.
        alice.fills("#composer", "x").await;
        until("no answer any more", || async { notice().await == "" }).await;
    }
    let paste = "const data = new DataTransfer(); data.items.add(new File(['x'], 'x.png', { type: 'image/png' })); if (arguments[0]) data.setData('text/plain', 'words');
        return document.querySelector('#composer').dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }));";
    assert_eq!(alice.run(paste, json!([true])).await, true, "text that comes with a picture is pasted as text");
    assert_eq!(notice().await, "");
    assert_eq!(alice.run(paste, json!([false])).await, false);
    assert_eq!(notice().await, words);
    let after = alice.look().await;
    assert_eq!((after.address, after.messages), (view.address, view.messages));
    alice.is_clean().await;
}

/// Contrast of letters and ground of each face, as the screen shows them.
const CONTRASTS: &str = "const pixel = (color) => { const canvas = document.createElement('canvas'); canvas.width = canvas.height = 1;
      const context = canvas.getContext('2d'); context.fillStyle = color; context.fillRect(0, 0, 1, 1); return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3); };
    const light = (color) => { const [r, g, b] = pixel(color).map((value) => value / 255).map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05; };
    const face = document.querySelector('.face'), contrasts = [];
    for (let hue = 0; hue < 360; hue += 30) {
      face.style.setProperty('--hue', hue);
      const { color, backgroundColor } = getComputedStyle(face), a = light(color), b = light(backgroundColor);
      contrasts.push(Math.max(a, b) / Math.min(a, b));
    }
    return contrasts;";

#[tokio::test]
async fn people_have_faces_where_three_or_more_talk_and_each_can_be_read() {
    let Some(Stage { alice, bob, server, .. }) = &Stage::set().await else { return };
    bob.writes("we are two").await;
    alice.sees_messages(&[HELLO, "we are two"]).await;
    alice.has(".face", 0).await;
    server.command(&["user", "add", "carla", "--display", "Carla Neumann", "--password-stdin"], "correct horse battery\n");
    let thread = server.program.thread("Three", &["bob", "carla"]).await;
    let (bob_program, carla) = (server.program_of("bob"), server.program_of("carla"));
    for (program, text) in [(&carla, "one"), (&carla, "two"), (&bob_program, "three"), (&server.program, "four")] {
        program.post(&thread, text).await;
    }
    alice.opens("Three").await;
    alice.sees_messages(&["one", "two", "three", "four"]).await;
    // One beside the first message of each other person.
    let faces = "return [...document.querySelectorAll('.message .face')].filter((face) => face.checkVisibility()).map((face) => face.textContent)";
    let shown: Vec<String> = serde_json::from_value(alice.run(faces, json!([])).await).expect("initials");
    assert!(shown.starts_with(&["CN".to_owned()]) && shown.ends_with(&["B".to_owned()]) && shown.len() <= 3, "{shown:?}");
    is_accessible(alice, "a thread of three people").await;
    for scheme in [Scheme::Light, Scheme::Dark] {
        alice.prefers(scheme).await;
        let contrasts: Vec<f64> = serde_json::from_value(alice.run(CONTRASTS, json!([])).await).expect("contrasts");
        assert!(contrasts.iter().all(|contrast| *contrast >= 4.5), "{scheme:?}: {contrasts:?}");
    }
    alice.is_clean().await;
    bob.is_clean().await;
}

#[tokio::test]
async fn the_editor_says_how_to_leave_it_and_its_ring_touches_nothing() {
    let Some(Stage { alice, .. }) = &Stage::set().await else { return };
    acts_on(alice, ".message.own", ".edit").await;
    alice.has(".editor", 1).await;
    until("the focus in it", || async {
        alice.run("return document.activeElement.matches('.editor textarea')", json!([])).await == true
    })
    .await;
    let words = "const field = document.querySelector('.editor textarea'); return document.getElementById(field.getAttribute('aria-describedby'))?.innerText";
    assert_eq!(alice.run(words, json!([])).await, "Enter saves, Esc cancels");
    is_accessible(alice, "a message under edit").await;
    let ring = "const style = getComputedStyle(document.querySelector('.editor textarea')); return parseFloat(style.outlineWidth) + parseFloat(style.outlineOffset)";
    let ring = alice.run(ring, json!([])).await.as_f64().expect("pixels");
    let field = rect(alice, ".editor textarea").await;
    let (time, button) = (rect(alice, ".message:has(.editor) time").await, rect(alice, ".editor .main").await);
    assert!(time[3] <= field[1] - ring && field[3] + ring < button[1], "{time:?} {field:?} {button:?}, ring {ring}");
    alice.presses(Key::Escape).await;
    alice.has(".editor", 0).await;
    sees_focus(alice, HELLO).await;
    alice.sees("that nothing has changed", |view: &View| view.texts() == [HELLO]).await;
    alice.is_clean().await;
}
