//! Two people on sockets: what is posted comes to both, as the same bytes, once, in order.

use serde_json::{Value, json};

use crate::{
    people::{Person, text},
    server::{Server, random},
};

#[tokio::test]
async fn the_first_frame_tells_who_where_from_and_the_limits() {
    let server = Server::shared();
    let alice = server.person();
    let (one, two) = (alice.socket().await, alice.socket().await);
    let hello = &one.hello;
    assert_ne!(hello["connection_id"], two.hello["connection_id"]);
    assert!(uuid::Uuid::parse_str(text(hello, "connection_id")).is_ok());
    assert_eq!(hello["user"], json!({"user_id": alice.name, "name": alice.name}));
    assert!(!text(hello, "epoch").is_empty() && !text(hello, "cursor").is_empty());
    assert_eq!((&hello["resumed"], hello.get("reason")), (&json!(false), None));
    assert_eq!(hello["heartbeat_ms"], 25_000);
    assert_eq!(hello["auth"]["method"], "bearer");
    assert!(text(&hello["auth"], "expires_at").ends_with('Z'));
    let limits = &hello["limits"];
    for (name, value) in [
        ("content_chars", 8_000),
        ("metadata_bytes", 4_096),
        ("frame_bytes", 131_072),
        ("fragments", 64),
        ("connections_user", 10),
        ("sends_per_second", 20),
        ("sends_burst", 60),
        ("frames_per_second", 60),
        ("frames_burst", 240),
        ("typing_per_second", 1),
        ("typing_told_per_second", 2_000),
        ("presence_members", 200),
        ("presence_linger_ms", 10_000),
        ("outbox_bytes", 1_048_576),
        ("outbox_frames", 4_096),
        ("page", 100),
        ("poll_ms", 30_000),
        ("resume_events", 10_000),
    ] {
        assert_eq!(limits[name], value, "{name} in {limits}");
    }
}

#[tokio::test]
async fn an_event_comes_to_both_as_the_same_bytes_the_sender_too() {
    let server = Server::shared();
    let (alice, bob) = (server.person(), server.person());
    let thread = alice.thread(&[&bob]).await;
    let (mut of_alice, mut of_bob) = (alice.socket().await, bob.socket().await);
    let mut second = bob.socket().await;
    let ack = of_alice.say(&thread, "hello").await;
    let by_rest = bob.say(&thread, "hello by REST").await;
    alice.patch(&format!("/api/threads/{thread}"), json!({"title": "Lunch"})).await.json(200);
    let carol = server.person();
    alice.put(&format!("/api/threads/{thread}/members/{}", carol.name), json!({})).await.empty(204);
    of_alice.ask("message.delete", json!({"message_id": ack["message"]["message_id"]})).await;
    alice.delete(&format!("/api/threads/{thread}")).await.empty(204);
    let kinds =
        ["message.created", "message.created", "thread.updated", "thread.member_added", "message.deleted", "thread.deleted"];
    for (number, kind) in kinds.iter().enumerate() {
        let event = of_bob.event().await;
        assert_eq!(event.json["type"], *kind);
        assert_eq!(event.json["sequence"], number + 2, "no hole in the thread's sequence");
        assert_eq!(event.json["thread_id"], thread.as_str());
        assert!(text(&event.json, "at").ends_with('Z') && event.json["by"].is_string());
        assert_eq!(event.bytes, of_alice.event().await.bytes);
        assert_eq!(event.bytes, second.event().await.bytes);
        match number {
            0 => assert_eq!((&event.json["data"], &event.json["by"]), (&ack["message"], &json!(alice.name))),
            1 => assert_eq!((&event.json["data"], &event.json["by"]), (&by_rest, &json!(bob.name))),
            2 => assert_eq!(event.json["data"]["title"], "Lunch"),
            3 => assert_eq!(event.json["data"], json!({"user_id": carol.name, "name": carol.name})),
            4 => assert_eq!(
                (&event.json["data"]["content"], event.json["data"]["deleted_at"].is_string()),
                (&Value::Null, true)
            ),
            _ => assert_eq!(event.json["data"], json!({})),
        }
    }
}

#[tokio::test]
async fn a_new_thread_is_told_to_its_members() {
    let server = Server::shared();
    let (alice, bob) = (server.person(), server.person());
    let (mut of_alice, mut of_bob) = (alice.socket().await, bob.socket().await);
    let thread = alice.thread(&[&bob]).await;
    let event = of_bob.event().await;
    assert_eq!((&event.json["type"], &event.json["sequence"]), (&json!("thread.created"), &json!(1)));
    assert_eq!((&event.json["data"]["thread_id"], &event.json["data"]["owner"]), (&json!(thread), &json!(alice.name)));
    assert_eq!(event.bytes, of_alice.event().await.bytes);
    // It is heard from then on, without another word.
    of_bob.say(&thread, "x").await;
    assert_eq!(of_alice.expect("message.created").await["sequence"], 2);
}

#[tokio::test]
async fn a_retry_over_the_other_transport_is_a_duplicate_and_makes_no_event() {
    let server = Server::shared();
    let (alice, bob) = (server.person(), server.person());
    let thread = alice.thread(&[&bob]).await;
    let (mut of_alice, mut of_bob) = (alice.socket().await, bob.socket().await);
    let (one, two) = (random(20), random(20));
    let body = |key: &str| json!({"thread_id": thread, "content": "once", "client_message_id": key});
    let by_rest = alice.post("/api/messages", body(&one)).await.json(201);
    let ack = of_alice.ask("message.send", body(&one)).await;
    assert_eq!(ack, json!({"type": "ack", "id": ack["id"], "data": {"message": by_rest["message"], "duplicate": true}}));
    let ack = of_alice.ask("message.send", body(&two)).await;
    assert_eq!(ack["data"]["duplicate"], false);
    let again = alice.post("/api/messages", body(&two)).await.json(200);
    assert_eq!(again, json!({"message": ack["data"]["message"], "duplicate": true}));
    let mut other = body(&two);
    other["content"] = json!("another");
    assert_eq!(of_alice.ask("message.send", other).await["data"]["code"], "key_reused");
    alice.say(&thread, "last").await;
    for content in ["once", "once", "last"] {
        assert_eq!(of_bob.expect("message.created").await["data"]["content"], content);
    }
}

#[tokio::test]
async fn a_message_is_deleted_over_the_socket_by_its_author_or_the_owner_only() {
    let server = Server::shared();
    let (alice, bob, carol) = (server.person(), server.person(), server.person());
    let thread = alice.thread(&[&bob, &carol]).await;
    let message = bob.say(&thread, "x").await;
    let data = json!({"message_id": message["message_id"]});
    let mut of_carol = carol.socket().await;
    let refused = of_carol.ask("message.delete", data.clone()).await;
    assert_eq!((&refused["type"], &refused["data"]["code"]), (&json!("error"), &json!("forbidden")));
    let mut of_bob = bob.socket().await;
    let ack = of_bob.ask("message.delete", data).await;
    assert_eq!((&ack["type"], &ack["data"]["message"]["content"]), (&json!("ack"), &Value::Null));
    let event = of_carol.expect("message.deleted").await;
    assert_eq!(event["data"], ack["data"]["message"]);
    assert_eq!(event["sequence"], 3);
}

/// Posts to a thread of a person's own: when this is heard, everything before it would have been.
async fn fence(person: &Person) -> String {
    let thread = person.thread(&[]).await;
    person.say(&thread, "fence").await;
    thread
}

#[tokio::test]
async fn a_removed_member_gets_exactly_the_removal_and_nothing_after_it() {
    let server = Server::shared();
    let (alice, bob) = (server.person(), server.person());
    let thread = alice.thread(&[&bob]).await;
    let (mut of_alice, mut of_bob) = (alice.socket().await, bob.socket().await);
    alice.say(&thread, "before").await;
    alice.delete(&format!("/api/threads/{thread}/members/{}", bob.name)).await.empty(204);
    alice.say(&thread, "after").await;
    let own = fence(&bob).await;
    assert_eq!(of_bob.expect("message.created").await["data"]["content"], "before");
    let removal = of_bob.event().await;
    assert_eq!(removal.json["type"], "thread.member_removed");
    assert_eq!(removal.json["data"], json!({"user_id": bob.name, "name": bob.name}));
    for kind in ["thread.created", "message.created"] {
        assert_eq!(of_bob.expect(kind).await["thread_id"], own.as_str());
    }
    of_alice.expect("message.created").await;
    assert_eq!(of_alice.event().await.bytes, removal.bytes);
    assert_eq!(of_alice.expect("message.created").await["data"]["content"], "after");
}

#[tokio::test]
async fn an_added_member_is_told_and_hears_from_then_on() {
    let server = Server::shared();
    let (alice, bob) = (server.person(), server.person());
    let thread = alice.thread(&[]).await;
    let mut of_bob = bob.socket().await;
    alice.say(&thread, "before").await;
    let path = format!("/api/threads/{thread}/members/{}", bob.name);
    for _ in 0..2 {
        alice.put(&path, json!({})).await.empty(204);
        alice.say(&thread, "while").await;
        alice.delete(&path).await.empty(204);
        alice.say(&thread, "between").await;
        let added = of_bob.expect("thread.member_added").await;
        assert_eq!(added["data"]["user_id"], bob.name.as_str());
        let heard = of_bob.expect("message.created").await;
        assert_eq!(heard["data"]["content"], "while");
        assert_eq!(heard["sequence"].as_u64(), added["sequence"].as_u64().map(|sequence| sequence + 1));
        of_bob.expect("thread.member_removed").await;
    }
}

#[tokio::test]
async fn who_leaves_hears_of_it_on_every_socket() {
    let server = Server::shared();
    let (alice, bob) = (server.person(), server.person());
    let thread = alice.thread(&[&bob]).await;
    let (mut one, mut two, mut of_bob) = (alice.socket().await, alice.socket().await, bob.socket().await);
    alice.delete(&format!("/api/threads/{thread}/members/{}", alice.name)).await.empty(204);
    bob.say(&thread, "alone").await;
    let own = fence(&alice).await;
    for socket in [&mut one, &mut two] {
        assert_eq!(socket.expect("thread.member_removed").await["data"]["user_id"], alice.name.as_str());
        assert_eq!(socket.expect("thread.created").await["thread_id"], own.as_str());
    }
    of_bob.expect("thread.member_removed").await;
    assert_eq!(of_bob.expect("thread.updated").await["data"]["owner"], bob.name.as_str());
    of_bob.expect("message.created").await;
}

#[tokio::test]
async fn posts_of_one_connection_keep_their_order_and_are_all_acknowledged() {
    let server = Server::shared();
    let (alice, bob) = (server.person(), server.person());
    let thread = alice.thread(&[&bob]).await;
    let (mut of_alice, mut of_bob) = (alice.socket().await, bob.socket().await);
    for number in 0..50 {
        of_alice
            .send(
                json!({"type": "message.send", "id": number, "data": {"thread_id": thread, "content": number.to_string()}}),
            )
            .await;
    }
    let mut acknowledged = std::collections::BTreeMap::new();
    for number in 0..50 {
        let event = of_bob.expect("message.created").await;
        assert_eq!(event["data"]["content"], number.to_string(), "in the order of sending");
        assert_eq!(event["sequence"], number + 2);
        let ack = of_alice.next("ack").await;
        acknowledged.insert(ack["id"].as_u64(), ack["data"]["message"]["content"].clone());
    }
    assert_eq!(acknowledged, (0..50u64).map(|number| (Some(number), json!(number.to_string()))).collect());
}
