//! What a client author relies on, in one run: every way to connect, messages both ways, resuming after a cut, and the three
//! closes that a client must tell apart.

use std::process::Command;

use serde_json::json;

use crate::{
    jwt,
    people::{Person, text},
    program::{Credential, Program},
    server::Server,
};

/// Text that a wrong character set, a wrong length or a fragment lost would change; its second half is as long as the
/// server's limits allow.
fn contents() -> [String; 3] {
    ["\u{fc}\u{df} \"quoted\\\" \u{1f30d}".to_owned(), "\u{1f30d}".repeat(8_000), "\u{7f}\t\u{2028}".to_owned()]
}

/// Plays the scenario with a program and a server of its own.
pub async fn play(command: Command) {
    let mut server = Server::new(&[]);
    let mut program = Program::start(command);
    let (alice, bob) = (server.person(), server.person());
    let thread = alice.thread(&[&bob]).await;

    let refused = program.open(server.port, &Credential::None, "").await;
    refused.expect_err("without credentials there is no connection");
    messages_both_ways_and_a_resume(&mut program, &server, &alice, &bob, &thread).await;
    a_revoked_user(&mut program, &server).await;
    a_token_that_ends(&mut program, &server).await;
    a_drain(&mut program, &mut server, &alice).await;
}

/// Sends, receives, is cut, resumes with exactly what it missed, and closes.
async fn messages_both_ways_and_a_resume(
    program: &mut Program,
    server: &Server,
    alice: &Person,
    bob: &Person,
    thread: &str,
) {
    let bearer = Credential::Bearer(alice.token().to_owned());
    let hello = program.open(server.port, &bearer, "").await.expect("a connection by bearer token");
    assert_eq!((&hello["user"]["user_id"], &hello["resumed"]), (&json!(alice.name), &json!(false)), "{hello}");
    let mut last = 0;
    for content in contents() {
        let ack = program.say(thread, &content).await;
        assert_eq!((&ack["duplicate"], &ack["message"]["content"]), (&json!(false), &json!(content)));
        last = heard(program, alice, &content, last).await;
        bob.say(thread, &content).await;
        last = heard(program, bob, &content, last).await;
    }
    let cursor = program.cursor().await;
    program.cut().await;
    let missed = ["missed 1", "missed 2", "missed 3"];
    for content in missed {
        bob.say(thread, content).await;
    }
    let hello = program.open(server.port, &bearer, &format!("&since={cursor}")).await.expect("a connection that resumes");
    assert_eq!((&hello["resumed"], &hello["cursor"]), (&json!(true), &json!(cursor)), "{hello}");
    let caught_up = program.next("caught_up").await["data"].clone();
    let mut replayed = Vec::new();
    for _ in 0..caught_up["events"].as_u64().expect("a number") {
        replayed.push(program.next("message.created").await);
    }
    // The cursor may lie before events that had come: a client drops what its thread's last sequence covers.
    let new = replayed.iter().filter(|event| event["sequence"].as_u64() > Some(last));
    assert_eq!(new.map(|event| text(&event["data"], "content")).collect::<Vec<_>>(), missed, "{replayed:?}");
    bob.say(thread, "live again").await;
    heard(program, bob, "live again", last + 3).await;
    assert_eq!(program.close().await, 1000);
}

/// Receives the next message, which follows this sequence; its own sequence.
async fn heard(program: &mut Program, author: &Person, content: &str, last: u64) -> u64 {
    let event = program.next("message.created").await;
    assert_eq!((&event["by"], &event["data"]["content"]), (&json!(author.name), &json!(content)));
    assert!(last == 0 || event["sequence"] == last + 1, "{} after {last}", event["sequence"]);
    event["sequence"].as_u64().expect("a sequence")
}

/// A user who is revoked is signed out of a connection by subprotocol.
async fn a_revoked_user(program: &mut Program, server: &Server) {
    let carol = server.person();
    let credential = Credential::Subprotocol(carol.token().to_owned());
    program.open(server.port, &credential, "").await.expect("a connection by subprotocol");
    server.site.told(&["user", "revoke", &carol.name], "");
    let bye = program.closed_with(4401).await;
    assert_eq!((text(&bye, "reason"), &bye["reconnect"]), ("signed_out", &json!(false)), "{bye}");
    program.open(server.port, &credential, "").await.expect_err("a revoked token opens nothing");
}

/// A token whose time is over closes its connection.
async fn a_token_that_ends(program: &mut Program, server: &Server) {
    let carol = server.person();
    // The shortest life in which this machine gets from the token to the connection; the leeway of 5 s comes on top.
    for life in [0, 2, 5, 10, 20, 40] {
        let exp = jwt::now() + life;
        let short = server.site.token_of(&carol, &json!({"iat": exp - 60, "exp": exp}));
        let opened = program.open(server.port, &Credential::Bearer(short.token().to_owned()), "").await;
        if opened.is_ok() {
            break;
        }
        assert!(life < 40 && jwt::now() > exp, "a valid token is refused: {opened:?}");
    }
    let bye = program.closed_with(4205).await;
    assert_eq!((text(&bye, "reason"), &bye["reconnect"]), ("credentials_expired", &json!(true)), "{bye}");
}

/// A server that is asked to end sends its clients away, each with a delay of its own.
async fn a_drain(program: &mut Program, server: &mut Server, alice: &Person) {
    let ticket = Credential::Ticket(alice.ticket().await);
    program.open(server.port, &ticket, "").await.expect("a connection by ticket");
    server.terminate();
    let bye = program.closed_with(4200).await;
    assert_eq!((text(&bye, "reason"), &bye["reconnect"]), ("draining", &json!(true)), "{bye}");
    assert!(bye["retry_after_ms"].is_u64(), "{bye}");
    assert!(server.ended().success());
}
