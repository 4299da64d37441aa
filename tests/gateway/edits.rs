//! Edits: the author says something else, everybody sees it, and what is deleted is gone from every answer.

use serde_json::{Value, json};

use crate::{
    people::{Person, text},
    server::{Server, random},
    socket::Socket,
    threads::post_with_key,
};

fn path(message: &Value) -> String {
    format!("/api/messages/{}", text(message, "message_id"))
}

fn edit(message: &Value, content: &str) -> Value {
    json!({"message_id": message["message_id"], "content": content})
}

/// Everything above a cursor, by a resumed socket and by a poll, which must tell the same.
async fn replay(person: &Person, cursor: &str) -> Vec<Value> {
    let mut socket = person.resume(cursor).await;
    let count = socket.next("caught_up").await["data"]["events"].as_u64().expect("a number");
    let mut events = Vec::new();
    for _ in 0..count {
        events.push(socket.event().await.json);
    }
    assert_eq!(person.poll(cursor, 0).await.json(200)["events"], json!(events));
    events
}

async fn acked(socket: &mut Socket, kind: &str, data: Value) -> Value {
    let answer = socket.ask(kind, data).await;
    assert_eq!(answer["type"], "ack", "{answer}");
    answer["data"].clone()
}

#[tokio::test]
async fn the_author_edits_over_either_transport_and_everybody_sees_the_same() {
    let server = Server::shared();
    let (alice, bob) = (server.person(), server.person());
    let thread = alice.thread(&[&bob]).await;
    let (mut from, mut to) = (alice.socket().await, bob.socket().await);
    let body = json!({"thread_id": thread, "content": "frist", "metadata": {"a": 1}, "client_message_id": random(20)});
    let sent = alice.post("/api/messages", body.clone()).await.json(201)["message"].clone();
    assert!(sent.get("edited_at").is_none(), "{sent}");
    let by_rest = alice.patch(&path(&sent), json!({"content": "first"})).await.json(200);
    assert_eq!((&by_rest["content"], &by_rest["metadata"]), (&json!("first"), &json!({"a": 1})));
    assert!(text(&by_rest, "edited_at").ends_with('Z'), "{by_rest}");
    for field in ["message_id", "thread_id", "author", "client_message_id", "sequence", "created_at"] {
        assert_eq!(by_rest[field], sent[field], "{field} stays");
    }
    let ack = acked(&mut from, "message.edit", edit(&sent, "first!")).await;
    assert_eq!((&ack["message"]["content"], &ack["duplicate"]), (&json!("first!"), &json!(false)));
    for socket in [&mut from, &mut to] {
        let created = socket.expect("message.created").await;
        for (step, message) in [(1, &by_rest), (2, &ack["message"])] {
            let event = socket.expect("message.edited").await;
            assert_eq!(event["sequence"].as_u64(), created["sequence"].as_u64().map(|sequence| sequence + step));
            assert_eq!((&event["by"], &event["data"], &event["at"]), (&json!(alice.name), message, &message["edited_at"]));
        }
    }
    let now = &ack["message"];
    assert_eq!(bob.get(&path(&sent)).await.json(200), *now);
    assert_eq!(bob.history(&thread).await, std::slice::from_ref(now));
    assert_eq!(bob.get(&format!("/api/threads/{thread}")).await.json(200)["last_message"], *now);
    let again = alice.post("/api/messages", body).await.json(200);
    assert_eq!(again, json!({"message": now, "duplicate": true}), "a retry tells the message as it is now");
}

#[tokio::test]
async fn an_edit_to_the_same_content_changes_nothing_and_is_no_event() {
    let server = Server::shared();
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    let mut socket = alice.socket().await;
    let sent = alice.say(&thread, "same").await;
    assert_eq!(alice.patch(&path(&sent), json!({"content": "same"})).await.json(200), sent);
    let ack = acked(&mut socket, "message.edit", edit(&sent, "same")).await;
    assert_eq!(ack, json!({"message": sent, "duplicate": true}));
    let next = alice.say(&thread, "next").await;
    let sequence = |message: &Value| message["sequence"].as_u64().expect("a sequence");
    assert_eq!(sequence(&next), sequence(&sent) + 1, "nothing came between");
    socket.expect("message.created").await;
    assert_eq!(socket.expect("message.created").await["data"], next);
    let edited = alice.patch(&path(&sent), json!({"content": "other"})).await.json(200);
    assert_eq!(alice.patch(&path(&sent), json!({"content": "other"})).await.json(200), edited, "nor is its time moved");
}

#[tokio::test]
async fn nobody_but_the_author_edits_and_nobody_edits_what_is_deleted() {
    let server = Server::shared();
    let (alice, bob, eve) = (server.person(), server.person(), server.person());
    let thread = alice.thread(&[&bob]).await;
    let sent = bob.say(&thread, "mine").await;
    let body = json!({"content": "not mine"});
    let (mut owner, mut stranger) = (alice.socket().await, eve.socket().await);
    alice.patch(&path(&sent), body.clone()).await.problem(403, "forbidden");
    let refused = owner.ask("message.edit", edit(&sent, "not mine")).await;
    assert_eq!((&refused["type"], &refused["data"]["code"]), (&json!("error"), &json!("forbidden")));
    eve.patch(&path(&sent), body.clone()).await.problem(404, "not_found");
    assert_eq!(stranger.ask("message.edit", edit(&sent, "not mine")).await["data"]["code"], "not_found");
    alice.patch(&format!("/api/messages/{}", uuid::Uuid::now_v7()), body.clone()).await.problem(404, "not_found");
    alice.patch("/api/messages/x", body.clone()).await.problem(404, "not_found");
    assert_eq!(alice.history(&thread).await, std::slice::from_ref(&sent));
    bob.delete(&path(&sent)).await.json(200);
    for content in ["again", "mine"] {
        let problem = bob.patch(&path(&sent), json!({"content": content})).await.problem(403, "forbidden");
        assert!(text(&problem, "detail").contains("deleted"), "{problem}");
    }
    assert_eq!(alice.history(&thread).await[0]["content"], Value::Null);
    let second = bob.say(&thread, "second").await;
    alice.delete(&format!("/api/threads/{thread}/members/{}", bob.name)).await.empty(204);
    bob.patch(&path(&second), body).await.problem(404, "not_found");
    assert_eq!(alice.history(&thread).await[1], second, "who has left edits no more");
}

#[tokio::test]
async fn an_edit_takes_what_a_send_takes_and_refuses_what_it_refuses() {
    let server = Server::shared();
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    let sent = alice.say(&thread, "before").await;
    let mut socket = alice.socket().await;
    for bad in ["", " \n", "a\0b", &"x".repeat(8_001)] {
        alice.patch(&path(&sent), json!({"content": bad})).await.invalid("content");
        assert_eq!(socket.ask("message.edit", edit(&sent, bad)).await["data"]["code"], "invalid");
    }
    for bad in [json!({}), json!({"content": 5}), json!({"content": null})] {
        alice.patch(&path(&sent), bad).await.invalid("content");
    }
    alice.patch(&path(&sent), json!({"content": "x", "metadata": {}})).await.invalid("metadata");
    for bad in
        [json!({"content": "x"}), json!({"message_id": "x", "content": "x"}), json!({"message_id": sent["message_id"]})]
    {
        assert_eq!(socket.ask("message.edit", bad).await["data"]["code"], "invalid");
    }
    assert_eq!(alice.history(&thread).await, std::slice::from_ref(&sent), "none of it was stored");
    let longest = "\u{1f600}".repeat(8_000);
    let ack = acked(&mut socket, "message.edit", edit(&sent, &longest)).await;
    assert_eq!(ack["message"]["content"], longest);
}

#[tokio::test]
async fn edits_count_as_sends() {
    let server = Server::new(&[("HAILGATE_LIMIT_SENDS_PER_SECOND", "1"), ("HAILGATE_LIMIT_SENDS_BURST", "3")]);
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    let sent = alice.say(&thread, "0").await;
    let problem = crate::soon("a refusal", async {
        for number in 1.. {
            let answer = alice.patch(&path(&sent), json!({"content": number.to_string()})).await;
            if answer.status != 200 {
                return answer.problem(429, "rate_limited");
            }
        }
        unreachable!("numbers do not end")
    })
    .await;
    assert!(problem["retry_after_ms"].as_u64().is_some_and(|wait| (1..=1_001).contains(&wait)), "{problem}");
}

#[tokio::test]
async fn what_is_deleted_is_gone_from_every_answer() {
    let server = Server::shared();
    let (alice, bob) = (server.person(), server.person());
    let thread = alice.thread(&[&bob]).await;
    let cursor = text(&bob.socket().await.hello, "cursor").to_owned();
    let key = random(20);
    let body = json!({"thread_id": thread, "content": "first-secret", "metadata": {"k": "third-secret"}});
    let sent = post_with_key(&alice, "/api/messages", &key, &body).await.json(201)["message"].clone();
    alice.patch(&path(&sent), json!({"content": "second-secret"})).await.json(200);
    let events = replay(&bob, &cursor).await;
    let kinds = |events: &[Value]| events.iter().map(|event| text(event, "type").to_owned()).collect::<Vec<_>>();
    assert_eq!(kinds(&events), ["message.created", "message.edited"]);
    assert!(events.iter().all(|event| event["data"]["content"] == "second-secret"), "as it is now: {events:?}");
    let deleted = alice.delete(&path(&sent)).await.json(200);
    let events = replay(&bob, &cursor).await;
    assert_eq!(kinds(&events), ["message.created", "message.edited", "message.deleted"]);
    let thread_path = format!("/api/threads/{thread}");
    let again = post_with_key(&alice, "/api/messages", &key, &body).await.json(200);
    assert_eq!(again, json!({"message": deleted, "duplicate": true}));
    let answers = [
        json!(events),
        again,
        bob.get(&path(&sent)).await.json(200),
        bob.get(&thread_path).await.json(200)["last_message"].clone(),
        bob.get("/api/threads").await.json(200),
        json!(bob.history(&thread).await),
        bob.get("/api/messages").await.json(200),
        alice.delete(&path(&sent)).await.json(200),
    ];
    for answer in answers {
        let answer = answer.to_string();
        assert!(answer.contains("\"content\":null") && !answer.contains("secret"), "{answer}");
    }
}

#[tokio::test]
async fn edits_survive_kill_minus_nine() {
    let server = Server::new(&[]);
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    let sent = alice.say(&thread, "before").await;
    let edited = alice.patch(&path(&sent), json!({"content": "after"})).await.json(200);
    let server = server.crash_and_restart();
    assert_eq!(alice.at(&server).history(&thread).await, [edited]);
}
