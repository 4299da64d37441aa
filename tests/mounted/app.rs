//! What the mount itself promises: the App's own paths stay, all others are the gateway's, and the end is in good order.

use crate::{answer::ask, people::client, server::Server};

#[tokio::test]
async fn the_app_keeps_its_own_paths_and_the_gateway_takes_the_others() {
    let server = Server::shared();
    let own = ask(client().get(server.url("/own"))).await;
    assert_eq!((own.status, own.body.as_str()), (200, "mine"));
    assert_eq!(own.header("x-content-type-options"), "", "what is the App's own is not wrapped");
    for (path, status) in [("/", 200), ("/health/ready", 200), ("/api/system/info", 200)] {
        let answer = server.nobody().get(path).await;
        assert_eq!((answer.status, answer.header("x-content-type-options")), (status, "nosniff"), "{path}");
    }
    server.nobody().get("/api/nothing").await.problem(404, "not_found");
    server.nobody().delete("/api/messages").await.problem(405, "method_not_allowed");
    server.nobody().get("/api/threads").await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_browser_and_a_program_sign_in_and_chat() {
    let server = Server::shared();
    let (alice, bob) = (server.browser().await, server.person());
    let thread = alice.thread(&[&bob]).await;
    let (mut hers, mut his) = (alice.socket().await, bob.socket().await);
    hers.say(&thread, "hello from a page").await;
    assert_eq!(his.expect("message.created").await["data"]["content"], "hello from a page");
    his.say(&thread, "hello from a program").await;
    alice.say(&thread, "over REST").await;
    let contents: Vec<_> = bob.history(&thread).await.into_iter().map(|message| message["content"].clone()).collect();
    assert_eq!(contents, ["hello from a page", "hello from a program", "over REST"]);
}

#[tokio::test]
async fn a_signal_sends_every_connection_away_and_ends_the_process_with_0() {
    let mut server = Server::new(&[]);
    let mut socket = server.person().socket().await;
    server.terminate();
    assert_eq!(socket.closed_with(4200).await["reason"], "draining");
    assert!(server.ended().success(), "{}", server.log.text());
}

#[test]
fn the_guide_shows_the_example_as_it_is() {
    let example = include_str!("../examples/mount.rs");
    let (_, code) = example.split_once("\n\n").expect("a line that says what it is");
    assert!(include_str!("../../src/docs/embed.md").contains(&format!("```rust\n{code}```\n")));
    assert!(example.lines().count() < 20);
}

#[tokio::test]
async fn a_configuration_that_is_refused_opens_nothing_and_says_why() {
    let program = crate::server::example::example("mount");
    let output = std::process::Command::new(program).env_clear().output().expect("the program starts");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && told.contains("HAILGATE_SESSION_KEY is missing"), "{told}");
}
