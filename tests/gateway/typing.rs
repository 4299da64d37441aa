//! Who types: told to the other members who are here, and to nobody else; never more than a bounded number of times.

use serde_json::{Value, json};

use crate::{
    people::Person,
    server::{Server, random},
    socket::Socket,
};

fn typing(thread: &str, active: bool) -> Value {
    json!({"type": "typing", "data": {"thread_id": thread, "active": active}})
}

/// Says in a thread that somebody types.
async fn types(socket: &mut Socket, thread: &str, active: bool) {
    socket.send(typing(thread, active)).await;
}

fn notice(thread: &str, by: &Person, active: bool) -> Value {
    json!({"type": "typing", "data": {"thread_id": thread, "user_id": by.name, "active": active}})
}

/// What a socket has heard of typing, and not been asked for, up to a message that is posted now. A notice that went out
/// before it goes the same way.
async fn told_until_now(by: &mut Socket, thread: &str, to: &mut Socket) -> Vec<Value> {
    let mark = random(10);
    by.say(thread, &mark).await;
    to.find("the mark", |frame| frame["data"]["content"] == mark.as_str()).await;
    to.unasked().into_iter().filter(|frame| frame["type"] == "typing").cloned().collect()
}

#[tokio::test]
async fn the_other_members_are_told_and_nobody_else_and_there_is_no_answer() {
    let server = Server::shared();
    let (alice, bob, eve) = (server.person(), server.person(), server.person());
    let thread = alice.thread(&[&bob]).await;
    let common = alice.thread(&[&eve]).await;
    let (mut of_alice, mut second, mut of_eve) = (alice.socket().await, alice.socket().await, eve.socket().await);
    let (mut of_bob, mut bobs_second) = (bob.socket().await, bob.socket().await);
    types(&mut of_alice, &thread, true).await;
    for socket in [&mut of_bob, &mut bobs_second] {
        assert_eq!(socket.next("typing").await, notice(&thread, &alice, true));
    }
    types(&mut of_bob, &thread, false).await;
    for socket in [&mut of_alice, &mut second] {
        assert_eq!(socket.next("typing").await, notice(&thread, &bob, false), "from bob, and nothing of alice's own");
    }
    assert_eq!(told_until_now(&mut of_alice, &common, &mut of_eve).await, Vec::<Value>::new());
    assert_eq!(told_until_now(&mut of_alice, &thread, &mut of_bob).await, Vec::<Value>::new());
    of_alice.is_alive().await;
    assert!(of_alice.unasked().iter().all(|frame| frame["type"] != "ack" && frame["type"] != "error"));
}

#[tokio::test]
async fn a_second_notice_within_a_second_is_dropped_without_a_word_and_another_threads_is_not() {
    let server = Server::shared();
    let (alice, bob) = (server.person(), server.person());
    let (one, two) = (alice.thread(&[&bob]).await, alice.thread(&[&bob]).await);
    let (mut of_alice, mut of_bob) = (alice.socket().await, bob.socket().await);
    // In one write, so that they arrive within the second.
    of_alice.send_at_once([&one, &one, &one, &one, &one, &two].map(|thread| typing(thread, true))).await;
    let told = told_until_now(&mut of_alice, &two, &mut of_bob).await;
    assert_eq!(told, [notice(&one, &alice, true), notice(&two, &alice, true)]);
    of_alice.is_alive().await;
    assert!(of_alice.unasked().iter().all(|frame| frame["type"] != "error"), "{:?}", of_alice.unasked());
}

#[tokio::test]
async fn who_is_no_member_tells_nobody_and_who_was_removed_is_told_nothing() {
    let server = Server::shared();
    let (alice, bob, eve) = (server.person(), server.person(), server.person());
    let thread = alice.thread(&[&bob]).await;
    let common = alice.thread(&[&bob, &eve]).await;
    let (mut of_alice, mut of_bob, mut of_eve) = (alice.socket().await, bob.socket().await, eve.socket().await);
    types(&mut of_eve, &thread, true).await;
    types(&mut of_eve, &uuid::Uuid::now_v7().to_string(), true).await;
    assert_eq!(told_until_now(&mut of_eve, &common, &mut of_alice).await, Vec::<Value>::new());
    assert!(of_eve.unasked().iter().all(|frame| frame["type"] != "error"), "no word of what there is");
    alice.delete(&format!("/api/threads/{thread}/members/{}", bob.name)).await.empty(204);
    of_alice.find("the removal", |frame| frame["type"] == "thread.member_removed").await;
    types(&mut of_alice, &thread, true).await;
    assert_eq!(told_until_now(&mut of_alice, &common, &mut of_bob).await, Vec::<Value>::new());
    types(&mut of_bob, &thread, true).await;
    assert_eq!(told_until_now(&mut of_bob, &common, &mut of_alice).await, Vec::<Value>::new());
}

#[tokio::test]
async fn with_more_members_present_than_the_limit_nobody_is_told() {
    let server = Server::new(&[("HAILGATE_LIMIT_TYPING_TOLD_PER_SECOND", "2")]);
    let (alice, bob, carol, dan) = (server.person(), server.person(), server.person(), server.person());
    let (three, four) = (alice.thread(&[&bob, &carol]).await, alice.thread(&[&bob, &carol, &dan]).await);
    let (mut of_alice, mut of_bob, mut of_carol) = (alice.socket().await, bob.socket().await, carol.socket().await);
    let _of_dan = dan.socket().await;
    types(&mut of_alice, &four, true).await;
    types(&mut of_alice, &three, true).await;
    for socket in [&mut of_bob, &mut of_carol] {
        assert_eq!(socket.next("typing").await, notice(&three, &alice, true), "two others, not three");
        assert_eq!(told_until_now(&mut of_alice, &four, socket).await, Vec::<Value>::new());
    }
}

#[tokio::test]
async fn a_notice_that_is_none_is_refused() {
    let server = Server::shared();
    let alice = server.person();
    let mut socket = alice.socket().await;
    let thread = uuid::Uuid::now_v7().to_string();
    for (data, field) in [
        (json!({"thread_id": thread}), "active"),
        (json!({"thread_id": thread, "active": "yes"}), "active"),
        (json!({"thread_id": "x", "active": true}), "thread_id"),
        (json!({"active": true}), "thread_id"),
    ] {
        let refused = socket.ask("typing", data.clone()).await;
        assert_eq!((&refused["type"], &refused["data"]["code"]), (&json!("error"), &json!("invalid")), "{data}");
        assert!(refused["data"]["message"].as_str().is_some_and(|said| said.contains(field)), "{refused}");
    }
}
