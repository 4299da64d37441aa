//! The store's `synchronous`: whoever relaxes it is told so, and clients of a log that may have lost its end load anew.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::{
    people::text,
    server::{Server, Site},
};

const NORMAL: (&str, &str) = ("HAILGATE_SQLITE_SYNCHRONOUS", "normal");

/// How a server is ended before the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Killed,
    Terminated,
}

/// What a client is told that was there before the end: resumed or not, and why not.
async fn after(settings: &[(&str, &str)], end: End) -> (Value, Value) {
    let server = Server::new(settings);
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    let message = alice.say(&thread, "before").await;
    let cursor = text(&alice.socket().await.hello, "cursor").to_owned();
    let server = match end {
        End::Killed => server.crash_and_restart(),
        End::Terminated => {
            server.terminate();
            server.restart()
        }
    };
    let alice = alice.at(&server);
    assert_eq!(alice.history(&thread).await, [message], "a process that is killed loses nothing either way");
    let socket = alice.resume(&cursor).await;
    let polled = alice.poll(&cursor, 0).await;
    if socket.hello["resumed"] == true {
        assert_eq!(polled.json(200)["events"], json!([]));
    } else {
        polled.problem(410, "epoch_changed");
    }
    // From here on, all is as ever.
    let cursor = text(&socket.hello, "cursor").to_owned();
    alice.say(&thread, "after").await;
    assert_eq!(alice.poll(&cursor, 0).await.json(200)["events"].as_array().map(Vec::len), Some(1));
    (socket.hello["resumed"].clone(), socket.hello["reason"].clone())
}

#[tokio::test]
async fn after_a_kill_a_relaxed_log_starts_a_new_epoch() {
    assert_eq!(after(&[NORMAL], End::Killed).await, (json!(false), json!("epoch_changed")));
}

#[tokio::test]
async fn after_a_kill_a_log_that_syncs_every_commit_goes_on() {
    assert_eq!(after(&[], End::Killed).await, (json!(true), Value::Null));
}

#[tokio::test]
async fn after_an_end_in_good_order_a_relaxed_log_goes_on() {
    assert_eq!(after(&[NORMAL], End::Terminated).await, (json!(true), Value::Null));
}

#[test]
fn anything_but_full_and_normal_stops_the_program_and_check_says_what_each_does() {
    for bad in ["", "off", "FULL", "extra", "1"] {
        let output = Site::new(&[("HAILGATE_SQLITE_SYNCHRONOUS", bad)]).run(&["check"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(78), "{bad:?}: {said}");
        assert!(said.contains("variable HAILGATE_SQLITE_SYNCHRONOUS") && said.contains("Write full, or normal"), "{said}");
    }
    for (set, words) in [("full", "survives a power cut"), ("normal", "a power cut may cost acknowledged messages")] {
        let site = Arc::new(Site::new(&[("HAILGATE_SQLITE_SYNCHRONOUS", set)]));
        let told = site.run(&["check"]);
        assert_eq!(told.status.code(), Some(0));
        let told = String::from_utf8_lossy(&told.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(told.contains(words), "{told}");
    }
}
