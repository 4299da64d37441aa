//! Threads and their members over REST.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    answer::{Answer, ask},
    people::{Person, text},
    server::{Server, random},
};

/// Posts with an `Idempotency-Key`.
pub async fn post_with_key(person: &Person, path: &str, key: &str, body: &Value) -> Answer {
    ask(person.request(Method::POST, path).header("Idempotency-Key", key).json(body)).await
}

async fn add(person: &Person, thread: &str, user: &str) -> Answer {
    ask(person.request(Method::PUT, &format!("/api/threads/{thread}/members/{user}"))).await
}

async fn remove(person: &Person, thread: &str, user: &str) -> Answer {
    person.delete(&format!("/api/threads/{thread}/members/{user}")).await
}

async fn members(person: &Person, thread: &str) -> Vec<String> {
    let answer = person.get(&format!("/api/threads/{thread}/members")).await.json(200);
    let members = answer["members"].as_array().expect("members");
    members.iter().map(|member| text(member, "user_id").to_owned()).collect()
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

#[tokio::test]
async fn a_new_thread_has_every_field_and_its_members() {
    let server = Server::shared();
    let (alice, bob) = (server.person(), server.person());
    let body = json!({"title": "Lunch", "members": [bob.name, bob.name, alice.name]});
    let answer = alice.post("/api/threads", body).await;
    let thread = answer.json(201);
    assert_eq!(answer.header("cache-control"), "no-store");
    let mut fields: Vec<&String> = thread.as_object().expect("an object").keys().collect();
    fields.sort();
    let all = [
        "created_at",
        "last_message",
        "member_count",
        "members",
        "owner",
        "read_sequence",
        "sequence",
        "thread_id",
        "title",
        "unread",
    ];
    assert_eq!(fields, all);
    assert_eq!((&thread["title"], &thread["owner"]), (&json!("Lunch"), &json!(alice.name)));
    assert_eq!((&thread["member_count"], &thread["sequence"]), (&json!(2), &json!(1)));
    assert_eq!((&thread["unread"], &thread["last_message"]), (&json!(0), &Value::Null));
    assert_eq!(thread["read_sequence"], 1, "nothing before joining is unread");
    assert_eq!(thread["members"].as_array().map(Vec::len), Some(2));
    for person in [&alice, &bob] {
        let seen = person.get(&format!("/api/threads/{}", text(&thread, "thread_id"))).await.json(200);
        assert_eq!(seen, thread);
    }
}

#[tokio::test]
async fn an_unknown_member_is_422_and_nothing_is_created() {
    let server = Server::shared();
    let (alice, bob) = (server.person(), server.person());
    for unknown in ["nobody-at-all", "", "a b", "../bob", "anonymous", &bob.name.to_uppercase()] {
        let body = json!({"members": [bob.name, unknown]});
        alice.post("/api/threads", body).await.problem(422, "unknown_user");
    }
    assert_eq!(alice.get("/api/threads").await.json(200)["threads"], json!([]));
    assert_eq!(bob.get("/api/threads").await.json(200)["threads"], json!([]));
}

#[tokio::test]
async fn a_retried_creation_makes_one_thread_and_its_key_serves_nothing_else() {
    let server = Server::shared();
    let (alice, bob) = (server.person(), server.person());
    let (key, body) = (random(20), json!({"title": "Once", "members": [bob.name]}));
    let first = post_with_key(&alice, "/api/threads", &key, &body).await.json(201);
    let again = post_with_key(&alice, "/api/threads", &key, &body).await.json(200);
    assert_eq!(again["thread_id"], first["thread_id"]);
    let other = json!({"title": "Twice", "members": [bob.name]});
    post_with_key(&alice, "/api/threads", &key, &other).await.problem(422, "key_reused");
    let message = json!({"thread_id": first["thread_id"], "content": "x"});
    post_with_key(&alice, "/api/messages", &key, &message).await.problem(422, "key_reused");
    // A namespace a user: the same key of somebody else is another key.
    post_with_key(&bob, "/api/threads", &key, &json!({"members": []})).await.json(201);
    assert_eq!(alice.get("/api/threads").await.json(200)["threads"].as_array().map(Vec::len), Some(1));
    for bad in ["", &"x".repeat(129), "a\tb"] {
        post_with_key(&alice, "/api/threads", bad, &body).await.invalid("Idempotency-Key");
    }
}

#[tokio::test]
async fn the_list_of_threads_comes_in_pages_with_a_cursor_on_the_first() {
    let server = Server::shared();
    let alice = server.person();
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(alice.thread(&[]).await);
    }
    alice.say(&made[0], "the latest activity").await;
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = alice.get(&format!("/api/threads?limit=2{after}")).await.json(200);
        assert_eq!(page["cursor"].is_string(), after.is_empty(), "{page}");
        let threads = page["threads"].as_array().expect("threads");
        seen.extend(threads.iter().map(|thread| text(thread, "thread_id").to_owned()));
        match threads.last() {
            Some(last) => after = format!("&after={}", text(last, "thread_id")),
            None => break,
        }
    }
    assert_eq!(seen[0], made[0], "the latest activity first");
    assert_eq!(sorted(seen), sorted(made));
    let foreign = server.person().thread(&[]).await;
    alice.get(&format!("/api/threads?after={foreign}")).await.problem(400, "invalid");
}

#[tokio::test]
async fn the_owner_renames_and_nobody_else() {
    let server = Server::shared();
    let (alice, bob, eve) = (server.person(), server.person(), server.person());
    let thread = alice.thread(&[&bob]).await;
    let path = format!("/api/threads/{thread}");
    let renamed = alice.patch(&path, json!({"title": "  Dinner "})).await.json(200);
    assert_eq!(text(&renamed, "title").trim(), "Dinner");
    assert_eq!(renamed["sequence"], 2);
    assert_eq!(bob.get(&path).await.json(200)["title"], renamed["title"]);
    assert_eq!(alice.patch(&path, json!({"title": null})).await.json(200)["title"], Value::Null);
    bob.patch(&path, json!({"title": "Mine"})).await.problem(403, "forbidden");
    eve.patch(&path, json!({"title": "Mine"})).await.problem(404, "not_found");
    alice.patch(&path, json!({})).await.problem(400, "invalid");
    alice.patch(&path, json!({"title": 5})).await.invalid("title");
    alice.patch(&path, json!({"title": "a\nb"})).await.invalid("title");
    assert_eq!(alice.get(&path).await.json(200)["title"], Value::Null);
}

#[tokio::test]
async fn the_owner_adds_and_removes_and_members_only_leave() {
    let server = Server::shared();
    let (alice, bob, carol) = (server.person(), server.person(), server.person());
    let thread = alice.thread(&[&bob]).await;
    add(&bob, &thread, &carol.name).await.problem(403, "forbidden");
    add(&carol, &thread, &carol.name).await.problem(404, "not_found");
    add(&alice, &thread, "nobody-at-all").await.problem(422, "unknown_user");
    add(&alice, &thread, &carol.name).await.empty(204);
    let before = alice.get(&format!("/api/threads/{thread}")).await.json(200);
    add(&alice, &thread, &carol.name).await.empty(204);
    let after = alice.get(&format!("/api/threads/{thread}")).await.json(200);
    assert_eq!((&after["sequence"], &after["member_count"]), (&before["sequence"], &json!(3)), "added once");
    remove(&bob, &thread, &carol.name).await.problem(403, "forbidden");
    remove(&bob, &thread, &alice.name).await.problem(403, "forbidden");
    remove(&bob, &thread, &bob.name).await.empty(204);
    bob.get(&format!("/api/threads/{thread}")).await.problem(404, "not_found");
    remove(&alice, &thread, &carol.name).await.empty(204);
    assert_eq!(members(&alice, &thread).await, std::slice::from_ref(&alice.name));
    carol.post("/api/messages", json!({"thread_id": thread, "content": "x"})).await.problem(404, "not_found");
}

#[tokio::test]
async fn an_owner_hands_over_to_a_member_only() {
    let server = Server::shared();
    let (alice, bob, eve) = (server.person(), server.person(), server.person());
    let thread = alice.thread(&[&bob]).await;
    let path = format!("/api/threads/{thread}");
    alice.patch(&path, json!({"owner": eve.name})).await.invalid("owner");
    bob.patch(&path, json!({"owner": bob.name})).await.problem(403, "forbidden");
    assert_eq!(alice.patch(&path, json!({"owner": bob.name})).await.json(200)["owner"], bob.name.as_str());
    alice.patch(&path, json!({"title": "Mine"})).await.problem(403, "forbidden");
    bob.patch(&path, json!({"title": "Mine"})).await.json(200);
}

#[tokio::test]
async fn an_owner_who_leaves_hands_over_to_the_oldest_member_and_the_last_one_deletes() {
    let server = Server::shared();
    let (alice, bob, carol) = (server.person(), server.person(), server.person());
    let thread = alice.thread(&[]).await;
    let path = format!("/api/threads/{thread}");
    add(&alice, &thread, &carol.name).await.empty(204);
    add(&alice, &thread, &bob.name).await.empty(204);
    remove(&alice, &thread, &alice.name).await.empty(204);
    assert_eq!(bob.get(&path).await.json(200)["owner"], carol.name.as_str());
    remove(&carol, &thread, &carol.name).await.empty(204);
    assert_eq!(bob.get(&path).await.json(200)["owner"], bob.name.as_str());
    remove(&bob, &thread, &bob.name).await.empty(204);
    for person in [&alice, &bob, &carol] {
        person.get(&path).await.problem(404, "not_found");
        assert_eq!(person.get("/api/threads").await.json(200)["threads"], json!([]));
    }
}

#[tokio::test]
async fn the_owner_deletes_a_thread_and_it_is_gone_for_everybody() {
    let server = Server::shared();
    let (alice, bob) = (server.person(), server.person());
    let thread = alice.thread(&[&bob]).await;
    let message = alice.say(&thread, "x").await;
    let path = format!("/api/threads/{thread}");
    bob.delete(&path).await.problem(403, "forbidden");
    alice.delete(&path).await.empty(204);
    for person in [&alice, &bob] {
        person.get(&path).await.problem(404, "not_found");
        person.get(&format!("/api/messages?thread_id={thread}")).await.problem(404, "not_found");
        person.get(&format!("/api/messages/{}", text(&message, "message_id"))).await.problem(404, "not_found");
        person.post("/api/messages", json!({"thread_id": thread, "content": "x"})).await.problem(404, "not_found");
        assert_eq!(person.get("/api/messages").await.json(200)["messages"], json!([]));
    }
    alice.delete(&path).await.problem(404, "not_found");
}

#[tokio::test]
async fn people_are_found_by_the_beginning_of_their_id_or_name_and_never_by_their_email() {
    let server = Server::shared();
    let (alice, bob, mark) = (server.person(), server.person(), random(8));
    for number in 10..32 {
        server.site.told(
            &[
                "user",
                "add",
                &format!("q{mark}{number}"),
                "--display",
                &format!("N{mark} {number}"),
                "--email",
                &format!("e{mark}{number}@mail.test"),
                "--password-stdin",
            ],
            crate::server::PASSWORD,
        );
    }
    for prefix in [format!("q{mark}"), format!("N{mark}")] {
        let found = alice.get(&format!("/api/users?q={prefix}")).await.json(200);
        let users = found["users"].as_array().expect("users");
        assert_eq!(users.len(), 20, "{found}");
        for user in users {
            assert_eq!(user.as_object().map(serde_json::Map::len), Some(2), "{user}");
            assert!(text(user, "user_id").starts_with(&format!("q{mark}")) && user["name"].is_string());
        }
    }
    let one = alice.get(&format!("/api/users?q=q{mark}17")).await.json(200);
    assert_eq!(one["users"], json!([{"user_id": format!("q{mark}17"), "name": format!("N{mark} 17")}]));
    for none in [format!("e{mark}"), format!("e{mark}17@mail.test"), format!("%25{mark}"), format!("_{mark}"), mark] {
        assert_eq!(bob.get(&format!("/api/users?q={none}")).await.json(200)["users"], json!([]), "{none}");
    }
}
