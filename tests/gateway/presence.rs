//! Who is here: asked for, and told as people come and go.

use serde_json::{Value, json};

use crate::{
    people::{Person, text},
    server::Server,
    socket::Socket,
};

fn path(thread: &str) -> String {
    format!("/api/presence?thread_id={thread}")
}

/// Waits until a socket is told that somebody came or went.
async fn told(socket: &mut Socket, who: &Person, online: bool) {
    let wanted = json!({"user_id": who.name, "online": online});
    let is = |frame: &Value| {
        frame["type"] == "presence" && frame["data"]["users"].as_array().is_some_and(|users| users.contains(&wanted))
    };
    socket.find("presence", is).await;
}

/// Who a socket was told of without waiting for it.
fn heard_of(socket: &Socket, who: &Person) -> bool {
    let frames = socket.unasked().into_iter().filter(|frame| frame["type"] == "presence");
    frames
        .flat_map(|frame| frame["data"]["users"].as_array().expect("users"))
        .any(|user| user["user_id"] == who.name.as_str())
}

#[tokio::test]
async fn those_who_share_a_thread_are_told_who_comes_and_who_goes_and_others_are_not() {
    let server = Server::new(&[("HAILGATE_LIMIT_PRESENCE_LINGER_MS", "100")]);
    let (alice, bob, eve) = (server.person(), server.person(), server.person());
    let thread = alice.thread(&[&bob]).await;
    let (mut of_alice, mut of_eve) = (alice.socket().await, eve.socket().await);
    let mut of_bob = bob.socket().await;
    told(&mut of_alice, &bob, true).await;
    assert_eq!(
        alice.get(&path(&thread)).await.json(200)["users"],
        json!(
            [alice.name.as_str().min(&bob.name), alice.name.as_str().max(&bob.name)]
                .map(|name| json!({"user_id": name, "online": true}))
        )
    );
    of_bob.close(1000).await;
    told(&mut of_alice, &bob, false).await;
    let answer = alice.get(&path(&thread)).await.json(200);
    assert_eq!(answer, json!({"users": [{"user_id": alice.name, "online": true}], "online": 1, "live": true}));
    // Somebody whom eve does share a thread with: what she is told of comes the same way.
    let dan = server.person();
    eve.thread(&[&dan]).await;
    let _of_dan = dan.socket().await;
    told(&mut of_eve, &dan, true).await;
    assert!(!heard_of(&of_eve, &alice) && !heard_of(&of_eve, &bob) && !heard_of(&of_alice, &eve));
}

#[tokio::test]
async fn a_reconnect_and_the_gap_between_two_polls_are_no_change() {
    // Longer than a busy machine takes to come back.
    let server = Server::new(&[("HAILGATE_LIMIT_PRESENCE_LINGER_MS", "600000")]);
    let (alice, bob, carol, dan) = (server.person(), server.person(), server.person(), server.person());
    alice.thread(&[&bob, &carol, &dan]).await;
    let mut of_alice = alice.socket().await;
    let cursor = text(&carol.get("/api/events?timeout_ms=0").await.json(200), "cursor").to_owned();
    told(&mut of_alice, &carol, true).await;
    let mut of_bob = bob.socket().await;
    told(&mut of_alice, &bob, true).await;
    for _ in 0..3 {
        of_bob.close(1000).await;
        of_bob = bob.socket().await;
        carol.poll(&cursor, 0).await.json(200);
    }
    of_bob.close(1000).await;
    // Told a second later at least, when what had changed before would have been told.
    let _of_dan = dan.socket().await;
    told(&mut of_alice, &dan, true).await;
    assert!(!heard_of(&of_alice, &bob) && !heard_of(&of_alice, &carol), "{:?}", of_alice.unasked());
}

#[tokio::test]
async fn who_is_here_is_told_to_members_only() {
    let server = Server::shared();
    let (alice, eve) = (server.person(), server.person());
    let thread = alice.thread(&[]).await;
    let _socket = eve.socket().await;
    assert_eq!(alice.get(&path(&thread)).await.json(200), json!({"users": [], "online": 0, "live": true}));
    let foreign = eve.get(&path(&thread)).await.problem(404, "not_found");
    let missing = eve.get(&path(&uuid::Uuid::now_v7().to_string())).await.problem(404, "not_found");
    assert_eq!(foreign["detail"], missing["detail"], "the same for what is not there");
    for bad in ["/api/presence", &path("x"), &path(&format!("{thread}&more=1")), &path("")] {
        alice.get(bad).await.problem(400, "invalid");
    }
    alice.delete(&format!("/api/threads/{thread}")).await.empty(204);
    alice.get(&path(&thread)).await.problem(404, "not_found");
}

#[tokio::test]
async fn a_thread_with_more_people_here_than_the_limit_tells_nobody_and_answers_who_asks() {
    let server = Server::new(&[("HAILGATE_LIMIT_PRESENCE_MEMBERS", "2")]);
    let (alice, bob, carol) = (server.person(), server.person(), server.person());
    let (mut of_alice, _of_bob) = (alice.socket().await, bob.socket().await);
    let large = alice.thread(&[&bob, &carol]).await;
    let _of_carol = carol.socket().await;
    let answer = alice.get(&path(&large)).await.json(200);
    assert_eq!((&answer["online"], &answer["live"]), (&json!(3), &json!(false)));
    assert_eq!(answer["users"].as_array().map(Vec::len), Some(2), "a bounded answer: {answer}");
    // Two in a thread of their own: told at the same time as the large one would have been, or later.
    let dan = server.person();
    let small = alice.thread(&[&dan]).await;
    let _of_dan = dan.socket().await;
    told(&mut of_alice, &dan, true).await;
    assert!(!heard_of(&of_alice, &carol), "{:?}", of_alice.unasked());
    assert_eq!(alice.get(&path(&small)).await.json(200)["live"], true);
}
