//! Messages over REST: posting once, history, deletion, what is unread.

use serde_json::{Value, json};

use crate::{
    people::{Person, text},
    server::{Server, random},
    threads::post_with_key,
};

fn contents(page: &Value) -> Vec<&str> {
    page["messages"].as_array().expect("messages").iter().map(|message| text(message, "content")).collect()
}

async fn unread(person: &Person, thread: &str) -> Value {
    person.get(&format!("/api/threads/{thread}")).await.json(200)["unread"].clone()
}

#[tokio::test]
async fn a_posted_message_has_every_field_and_is_stored_as_sent() {
    let server = Server::shared();
    let (alice, bob) = (server.person(), server.person());
    let thread = alice.thread(&[&bob]).await;
    let content = "  <b>\u{1f600}\r\n</b>\u{202e} & \"quoted\" \\ ";
    let body =
        json!({"thread_id": thread, "content": content, "client_message_id": "m 1", "metadata": {"b": [1], "a": null}});
    let answer = alice.post("/api/messages", body).await;
    let sent = answer.json(201);
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(sent["duplicate"], false);
    let message = &sent["message"];
    assert_eq!((&message["author"], &message["content"]), (&json!(alice.name), &json!(content)));
    assert_eq!((&message["thread_id"], &message["sequence"]), (&json!(thread), &json!(2)));
    assert_eq!((&message["client_message_id"], &message["metadata"]), (&json!("m 1"), &json!({"b": [1], "a": null})));
    let time = text(message, "created_at");
    assert!(time.len() == "2026-01-01T00:00:00.000Z".len() && time.ends_with('Z'), "{time}");
    assert!(message.get("deleted_at").is_none() && message.get("edited_at").is_none());
    let path = format!("/api/messages/{}", text(message, "message_id"));
    assert_eq!(bob.get(&path).await.json(200), *message);
    assert_eq!(bob.history(&thread).await, std::slice::from_ref(message));
    assert_eq!(bob.get(&format!("/api/threads/{thread}")).await.json(200)["last_message"], *message);
    server.person().get(&path).await.problem(404, "not_found");
}

#[tokio::test]
async fn a_retry_with_the_same_key_and_body_posts_nothing_and_tells_the_message() {
    let server = Server::shared();
    let alice = server.person();
    let (thread, other) = (alice.thread(&[]).await, alice.thread(&[]).await);
    let key = random(20);
    let body = json!({"thread_id": thread, "content": "once", "client_message_id": key, "metadata": {"a": 1, "b": {"c": 2, "d": 3}}});
    let first = alice.post("/api/messages", body.clone()).await.json(201);
    let reordered = format!(
        r#"{{"metadata":{{"b":{{"d":3,"c":2}},"a":1}},"client_message_id":"{key}","content":"on\u0063e","thread_id":"{thread}"}}"#
    );
    let again = alice.post("/api/messages", serde_json::from_str(&reordered).expect("JSON")).await.json(200);
    assert_eq!(again, json!({"message": first["message"], "duplicate": true}));
    let by_header = json!({"thread_id": thread, "content": "once", "metadata": {"a": 1, "b": {"c": 2, "d": 3}}});
    assert_eq!(post_with_key(&alice, "/api/messages", &key, &by_header).await.json(200)["duplicate"], true);
    assert_eq!(post_with_key(&alice, "/api/messages", &key, &body).await.json(200)["duplicate"], true);
    for (field, value) in
        [("content", json!("twice")), ("thread_id", json!(other)), ("metadata", json!({"a": 2})), ("metadata", Value::Null)]
    {
        let mut changed = body.clone();
        changed[field] = value;
        alice.post("/api/messages", changed).await.problem(422, "key_reused");
    }
    assert_eq!((alice.history(&thread).await.len(), alice.history(&other).await.len()), (1, 0));
}

#[tokio::test]
async fn a_key_in_the_header_and_another_in_the_body_are_400() {
    let server = Server::shared();
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    let body = json!({"thread_id": thread, "content": "x", "client_message_id": "one"});
    post_with_key(&alice, "/api/messages", "two", &body).await.invalid("client_message_id");
    post_with_key(&alice, "/api/messages", "one", &body).await.json(201);
    assert_eq!(alice.history(&thread).await.len(), 1);
}

#[tokio::test]
async fn a_retry_learns_the_truth_even_after_the_message_or_the_membership_is_gone() {
    let server = Server::shared();
    let (alice, bob) = (server.person(), server.person());
    let thread = alice.thread(&[&bob]).await;
    let body = json!({"thread_id": thread, "content": "x", "client_message_id": random(20)});
    let sent = bob.post("/api/messages", body.clone()).await.json(201);
    let id = text(&sent["message"], "message_id").to_owned();
    bob.delete(&format!("/api/messages/{id}")).await.json(200);
    let again = bob.post("/api/messages", body.clone()).await.json(200);
    assert_eq!((&again["duplicate"], &again["message"]["content"]), (&json!(true), &Value::Null));
    alice.delete(&format!("/api/threads/{thread}/members/{}", bob.name)).await.empty(204);
    let after = bob.post("/api/messages", body).await.json(200);
    assert_eq!((&after["duplicate"], &after["message"]["message_id"]), (&json!(true), &json!(id)));
}

#[tokio::test]
async fn many_at_once_with_one_key_post_one_message() {
    let server = Server::shared();
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    let body = json!({"thread_id": thread, "content": "x", "client_message_id": random(20)});
    let answers = futures_util::future::join_all((0..20).map(|_| alice.post("/api/messages", body.clone()))).await;
    let created = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!((created, answers.iter().filter(|answer| answer.status == 200).count()), (1, 19));
    assert_eq!(alice.history(&thread).await.len(), 1);
}

#[tokio::test]
async fn history_is_read_in_pages_backwards_and_forwards() {
    let server = Server::shared();
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    let mut sequences = Vec::new();
    for number in 0..55 {
        sequences.push(alice.say(&thread, &number.to_string()).await["sequence"].as_u64().expect("a sequence"));
    }
    let page = async |query: &str| alice.get(&format!("/api/messages?thread_id={thread}{query}")).await.json(200);
    let numbers = |range: std::ops::Range<usize>| range.map(|number| number.to_string()).collect::<Vec<_>>();
    let newest = page("").await;
    assert_eq!(contents(&newest), numbers(5..55), "50 by default, the newest, in rising order");
    assert_eq!((&newest["has_more"], newest["cursor"].is_string()), (&json!(true), true));
    let before = page(&format!("&before={}", sequences[5])).await;
    assert_eq!((contents(&before), &before["has_more"]), (vec!["0", "1", "2", "3", "4"], &json!(false)));
    let before = page(&format!("&before={}&limit=2", sequences[5])).await;
    assert_eq!((contents(&before), &before["has_more"]), (vec!["3", "4"], &json!(true)));
    let after = page(&format!("&after={}&limit=3", sequences[50])).await;
    assert_eq!((contents(&after), &after["has_more"]), (vec!["51", "52", "53"], &json!(true)));
    let after = page(&format!("&after={}", sequences[53])).await;
    assert_eq!((contents(&after), &after["has_more"]), (vec!["54"], &json!(false)));
    let none = page(&format!("&after={}", sequences[54])).await;
    assert_eq!((contents(&none), &none["has_more"]), (vec![], &json!(false)));
    assert_eq!(contents(&page("&after=0&limit=100").await), numbers(0..55));
    let path = format!("/api/messages?thread_id={thread}&before=9&after=3");
    alice.get(&path).await.problem(400, "invalid");
}

#[tokio::test]
async fn messages_of_all_threads_come_in_pages_with_keys_of_their_own() {
    let server = Server::shared();
    let (alice, eve) = (server.person(), server.person());
    let (one, two) = (alice.thread(&[]).await, alice.thread(&[]).await);
    let foreign = eve.thread(&[]).await;
    for number in 0..7 {
        alice.say([&one, &two][number % 2], &number.to_string()).await;
        eve.say(&foreign, "not for alice").await;
    }
    let newest = alice.get("/api/messages?limit=3").await.json(200);
    assert_eq!((contents(&newest), &newest["has_more"]), (vec!["4", "5", "6"], &json!(true)));
    let before = alice.get(&format!("/api/messages?limit=3&before={}", text(&newest, "before"))).await.json(200);
    assert_eq!((contents(&before), &before["has_more"]), (vec!["1", "2", "3"], &json!(true)));
    let first = alice.get(&format!("/api/messages?limit=3&before={}", text(&before, "before"))).await.json(200);
    assert_eq!((contents(&first), &first["has_more"]), (vec!["0"], &json!(false)));
    let after = alice.get(&format!("/api/messages?limit=3&after={}", text(&before, "after"))).await.json(200);
    assert_eq!((contents(&after), &after["has_more"]), (vec!["4", "5", "6"], &json!(false)));
    let (key, other) = (text(&before, "before"), text(&before, "after"));
    alice.get(&format!("/api/messages?before={key}&after={other}")).await.problem(400, "invalid");
    alice.get(&format!("/api/messages?before={}", text(&newest, "cursor"))).await.invalid("before");
    alice.get("/api/messages?after=3").await.invalid("after");
}

#[tokio::test]
async fn the_author_and_the_owner_delete_and_nobody_else() {
    let server = Server::shared();
    let (alice, bob, carol, eve) = (server.person(), server.person(), server.person(), server.person());
    let thread = alice.thread(&[&bob, &carol]).await;
    let (first, second) = (bob.say(&thread, "first").await, bob.say(&thread, "second").await);
    let path = |message: &Value| format!("/api/messages/{}", text(message, "message_id"));
    eve.delete(&path(&first)).await.problem(404, "not_found");
    carol.delete(&path(&first)).await.problem(403, "forbidden");
    for (person, message) in [(&bob, &first), (&alice, &second)] {
        let deleted = person.delete(&path(message)).await.json(200);
        assert_eq!((&deleted["content"], &deleted["metadata"]), (&Value::Null, &Value::Null));
        assert!(text(&deleted, "deleted_at").ends_with('Z'));
        assert_eq!(deleted["sequence"], message["sequence"], "it keeps the sequence of its creation");
        assert_eq!(carol.get(&path(message)).await.json(200), deleted);
    }
    let history = carol.history(&thread).await;
    assert!(history.len() == 2 && history.iter().all(|message| message["content"].is_null()), "{history:?}");
    alice.delete(&format!("/api/messages/{}", uuid::Uuid::now_v7())).await.problem(404, "not_found");
    alice.delete("/api/messages/x").await.problem(404, "not_found");
}

#[tokio::test]
async fn unread_counts_messages_by_others_above_a_marker_that_never_moves_back() {
    let server = Server::shared();
    let (alice, bob) = (server.person(), server.person());
    let thread = alice.thread(&[&bob]).await;
    let mut said = Vec::new();
    for number in 0..4 {
        said.push(alice.say(&thread, &number.to_string()).await);
    }
    bob.say(&thread, "own").await;
    assert_eq!((unread(&bob, &thread).await, unread(&alice, &thread).await), (json!(4), json!(1)));
    alice.delete(&format!("/api/messages/{}", text(&said[3], "message_id"))).await.json(200);
    assert_eq!(unread(&bob, &thread).await, 3, "a deleted one does not count");
    let path = format!("/api/threads/{thread}/read");
    let read = bob.put(&path, json!({"sequence": said[1]["sequence"]})).await.json(200);
    assert_eq!(read, json!({"thread_id": thread, "sequence": said[1]["sequence"], "unread": 1}));
    let back = bob.put(&path, json!({"sequence": 1})).await.json(200);
    assert_eq!(back, read, "it does not move back");
    let beyond = bob.put(&path, json!({"sequence": 1_000_000})).await.json(200);
    assert_eq!(beyond["unread"], 0);
    alice.say(&thread, "new").await;
    assert_eq!(unread(&bob, &thread).await, 1, "nobody has read what does not exist yet");
    assert_eq!(unread(&alice, &thread).await, 1, "a marker is of one user");
    bob.put(&path, json!({"sequence": -1})).await.invalid("sequence");
    bob.put(&path, json!({})).await.problem(400, "invalid");
}

#[tokio::test]
async fn a_new_member_sees_the_whole_history_and_has_nothing_unread() {
    let server = Server::shared();
    let (alice, bob) = (server.person(), server.person());
    let thread = alice.thread(&[]).await;
    alice.say(&thread, "before").await;
    alice.put(&format!("/api/threads/{thread}/members/{}", bob.name), json!({})).await.empty(204);
    assert_eq!(bob.history(&thread).await.len(), 1);
    assert_eq!(unread(&bob, &thread).await, 0);
    alice.say(&thread, "after").await;
    assert_eq!(unread(&bob, &thread).await, 1);
}
