//! Reading: the page keeps its place, and what was in view is what is read.

use serde_json::{Value, json};

use crate::{Stage, window::Window};

/// Turns the wheel over the middle of an element, as far as this.
async fn turns_wheel(window: &Window, selector: &str, down: i64) {
    let middle = "const box = document.querySelector(arguments[0]).getBoundingClientRect();
        return [box.left + box.width / 2, box.top + box.height / 2];";
    let middle = window.run(middle, json!([selector])).await;
    let turn = json!({ "type": "mouseWheel", "x": middle[0], "y": middle[1], "deltaX": 0, "deltaY": down });
    window.devtools("Input.dispatchMouseEvent", turn).await;
}

/// As large as this from now on.
async fn sized(window: &Window, width: u32, height: u32) {
    let screen = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
    window.devtools("Emulation.setDeviceMetricsOverride", screen).await;
}

#[tokio::test]
async fn forty_short_messages_and_a_turn_of_the_wheel_leave_the_page_where_it_is() {
    let Some(Stage { alice, server, .. }) = &Stage::set().await else { return };
    for number in 1..=40 {
        server.post(&format!("short {number}")).await;
    }
    for (width, height) in [(1440, 900), (390, 844)] {
        sized(alice, width, height).await;
        alice.sees("all of them", |view| view.texts().last() == Some(&"short 40") && view.to_end.is_empty()).await;
        for selector in ["#history", "#conversation .bar"] {
            turns_wheel(alice, selector, 600).await;
            // The turn is over when the browser has drawn twice.
            alice.run_module("for (let i = 0; i < 2; i += 1) await new Promise(requestAnimationFrame);").await;
            let view = alice.look().await;
            assert_eq!((view.overflow, alice.run("return scrollY", json!([])).await), (0, Value::from(0)), "{selector}");
        }
    }
    alice.is_clean().await;
}
