//! Without the server: what was read stays readable, what is written waits, and coming back mends and sends by itself.

use crate::{HELLO, Stage, window::View};

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
