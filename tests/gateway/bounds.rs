//! Limits of what is stored, each at the limit and one past it, told alike by REST and by socket.

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::{people::Person, server::Server, socket::Socket, threads::post_with_key};

/// A server on which each of these is quickly reached, and one who is signed in there.
fn small() -> (Server, Person) {
    let server = Server::new(&[
        ("HAILGATE_LIMIT_OWNED_THREADS", "2"),
        ("HAILGATE_LIMIT_THREAD_MEMBERS", "3"),
        ("HAILGATE_LIMIT_TITLE_CHARS", "10"),
    ]);
    let alice = server.person();
    (server, alice)
}

/// Sends the same by REST and by socket: taken by both, or refused by both for this field.
async fn both(alice: &Person, socket: &mut Socket, body: &Value, refused: Option<&str>) {
    let by_rest = alice.post("/api/messages", body.clone()).await;
    let by_socket = socket.ask("message.send", body.clone()).await;
    if let Some(field) = refused {
        by_rest.invalid(field);
        assert_eq!((&by_socket["type"], &by_socket["data"]["code"]), (&json!("error"), &json!("invalid")), "{by_socket}");
        let told = by_socket["data"]["message"].as_str().expect("words");
        assert!(told.contains(field), "{told}");
    } else {
        by_rest.json(201);
        assert_eq!(by_socket["type"], "ack", "{by_socket}");
    }
}

#[tokio::test]
async fn metadata_has_at_most_4096_bytes_and_8_levels() {
    let server = Server::shared();
    let alice = server.person();
    let (thread, mut socket) = (alice.thread(&[]).await, alice.socket().await);
    // `{"a":"..."}` is eight bytes around the text.
    for (bytes, refused) in [(4_096, None), (4_097, Some("metadata"))] {
        let metadata = json!({"a": "x".repeat(bytes - 8)});
        assert_eq!(metadata.to_string().len(), bytes);
        both(&alice, &mut socket, &json!({"thread_id": thread, "content": "x", "metadata": metadata}), refused).await;
    }
    for (levels, refused) in [(8, None), (9, Some("metadata"))] {
        let metadata = (1..levels).fold(json!({}), |inside, _| json!({"a": inside}));
        both(&alice, &mut socket, &json!({"thread_id": thread, "content": "x", "metadata": metadata}), refused).await;
    }
}

#[tokio::test]
async fn a_retry_key_has_at_most_128_characters_in_body_and_header() {
    let server = Server::shared();
    let alice = server.person();
    let (thread, mut socket) = (alice.thread(&[]).await, alice.socket().await);
    for (length, refused) in [(129, true), (128, false)] {
        let body = json!({"thread_id": thread, "content": "x"});
        let by_header = post_with_key(&alice, "/api/messages", &"h".repeat(length), &body).await;
        assert_eq!(by_header.status, if refused { 400 } else { 201 }, "{}", by_header.body);
        let with_key = json!({"thread_id": thread, "content": "x", "client_message_id": "k".repeat(length)});
        let by_socket = socket.ask("message.send", with_key).await;
        assert_eq!(by_socket["type"], if refused { "error" } else { "ack" }, "{by_socket}");
    }
    assert_eq!(alice.history(&thread).await.len(), 2);
}

#[tokio::test]
async fn a_title_has_at_most_its_limit_of_characters() {
    let (_server, alice) = small();
    let titled = |length: usize| json!({"title": "\u{1f600}".repeat(length), "members": []});
    alice.post("/api/threads", titled(11)).await.invalid("title");
    let made = alice.post("/api/threads", titled(10)).await.json(201);
    let path = format!("/api/threads/{}", made["thread_id"].as_str().expect("an id"));
    alice.patch(&path, json!({"title": "x".repeat(11)})).await.invalid("title");
    alice.patch(&path, json!({"title": "x".repeat(10)})).await.json(200);
}

#[tokio::test]
async fn one_who_owns_as_many_threads_as_allowed_makes_no_other_until_one_is_gone() {
    let (_server, alice) = small();
    let (first, _second) = (alice.thread(&[]).await, alice.thread(&[]).await);
    let refused = alice.post("/api/threads", json!({"members": []})).await.problem(403, "forbidden");
    assert!(refused["detail"].as_str().is_some_and(|words| words.contains('2')), "{refused}");
    alice.delete(&format!("/api/threads/{first}")).await.empty(204);
    alice.thread(&[]).await;
}

#[tokio::test]
async fn a_thread_has_at_most_its_limit_of_members_from_the_start_and_later() {
    let (server, alice) = small();
    let others = [server.person(), server.person(), server.person()];
    let names: Vec<&str> = others.iter().map(|person| person.name.as_str()).collect();
    alice.post("/api/threads", json!({"members": names})).await.invalid("members");
    let thread = alice.thread(&[&others[0]]).await;
    let member = |name: &str| format!("/api/threads/{thread}/members/{name}");
    alice.put(&member(names[1]), Value::Null).await.empty(204);
    alice.put(&member(names[2]), Value::Null).await.problem(403, "forbidden");
    assert_eq!(others[2].get(&format!("/api/threads/{thread}")).await.status, 404, "nothing was changed");
    alice.delete(&member(names[0])).await.empty(204);
    alice.put(&member(names[2]), Value::Null).await.empty(204);
}

#[tokio::test]
async fn a_flood_of_typing_is_warned_and_closed_4210_and_the_others_of_the_thread_go_on() {
    let server = Server::shared();
    let (alice, bob) = (server.person(), server.person());
    let thread = alice.thread(&[&bob]).await;
    let (mut of_alice, mut of_bob) = (alice.socket().await, bob.socket().await);
    let typing = json!({"type": "typing", "data": {"thread_id": thread, "active": true}}).to_string();
    for _ in 0..400 {
        if !of_alice.send_raw(Message::text(typing.clone())).await {
            break;
        }
    }
    assert_eq!(of_alice.next("error").await["data"]["code"], "rate_limited");
    of_alice.closed_with(4210).await;
    of_bob.say(&thread, "still here").await;
    let told = of_bob.unasked().into_iter().filter(|frame| frame["type"] == "typing").count();
    assert!((1..10).contains(&told), "{told} notices of 400");
}
