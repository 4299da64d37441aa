//! Read markers and unread counts: the same on every device of a user, live, after coming back, after a restart.

use serde_json::{Value, json};

use crate::{
    people::{Person, text},
    polling::{LONG_POLL_MS, LONG_POLLS},
    server::Server,
    socket::Socket,
};

async fn read(socket: &mut Socket, thread: &str, sequence: u64) -> Value {
    let ack = socket.ask("thread.read", json!({"thread_id": thread, "sequence": sequence})).await;
    assert_eq!(ack["type"], "ack", "{ack}");
    ack["data"].clone()
}

fn marker(thread: &str, sequence: u64, unread: u64) -> Value {
    json!({"thread_id": thread, "sequence": sequence, "unread": unread})
}

fn frame(thread: &str, sequence: u64, unread: u64) -> Value {
    json!({"type": "thread.read", "data": marker(thread, sequence, unread)})
}

async fn unread(person: &Person, thread: &str) -> Value {
    person.get(&format!("/api/threads/{thread}")).await.json(200)["unread"].clone()
}

/// What a client that resumes is told of markers.
async fn told(person: &Person, cursor: &str) -> (Vec<Value>, Socket) {
    let mut socket = person.resume(cursor).await;
    assert_eq!(socket.hello["resumed"], true, "{}", socket.hello);
    let caught_up = socket.next("caught_up").await["data"].clone();
    socket.hello["caught_up"] = caught_up["cursor"].clone();
    (caught_up["read"].as_array().expect("a list").clone(), socket)
}

#[tokio::test]
async fn a_marker_set_anywhere_is_told_to_all_of_the_users_own_sockets_and_to_nobody_else() {
    let server = Server::shared();
    let (alice, bob) = (server.person(), server.person());
    let thread = alice.thread(&[&bob]).await;
    let (mut one, mut two, mut of_alice) = (bob.socket().await, bob.socket().await, alice.socket().await);
    for content in ["a", "b", "c"] {
        alice.say(&thread, content).await;
    }
    assert_eq!(unread(&bob, &thread).await, 3);
    assert_eq!(read(&mut one, &thread, 3).await, marker(&thread, 3, 1));
    for socket in [&mut one, &mut two] {
        assert_eq!(socket.next("thread.read").await, frame(&thread, 3, 1));
    }
    let by_rest = bob.put(&format!("/api/threads/{thread}/read"), json!({"sequence": 4})).await.json(200);
    assert_eq!(by_rest, marker(&thread, 4, 0));
    for socket in [&mut one, &mut two] {
        assert_eq!(socket.next("thread.read").await, frame(&thread, 4, 0));
    }
    // It never goes back, nor past the end; whoever sets it is told how it is.
    assert_eq!(read(&mut two, &thread, 1).await, marker(&thread, 4, 0));
    assert_eq!(read(&mut two, &thread, u64::MAX).await, marker(&thread, 4, 0));
    let now = bob.get(&format!("/api/threads/{thread}")).await.json(200);
    assert_eq!((&now["unread"], &now["read_sequence"]), (&json!(0), &json!(4)));
    bob.say(&thread, "mark").await;
    of_alice.find("the mark", |frame| frame["data"]["content"] == "mark").await;
    assert!(of_alice.unasked().iter().all(|frame| frame["type"] != "thread.read"), "{:?}", of_alice.unasked());
}

#[tokio::test]
async fn a_marker_comes_in_its_place_among_the_events_so_that_unread_can_be_counted() {
    let server = Server::new(&[("HAILGATE_LIMIT_SENDS_BURST", "10000"), ("HAILGATE_LIMIT_REST_BURST", "10000")]);
    let (alice, bob) = (server.person(), server.person());
    let thread = alice.thread(&[&bob]).await;
    let (mut device, mut reader) = (bob.socket().await, bob.socket().await);
    let say = async {
        for number in 0..200 {
            alice.say(&thread, &number.to_string()).await;
        }
    };
    let reads = async {
        for _ in 0..40 {
            for _ in 0..5 {
                reader.expect("message.created").await;
            }
            let newest = reader.hello["newest"].as_u64().unwrap_or(1) + 5;
            reader.hello["newest"] = json!(newest);
            read(&mut reader, &thread, newest).await;
        }
    };
    futures_util::future::join(say, reads).await;
    let (mut heard, mut count) = (0, 0);
    while heard < 200 {
        let next = device.find("an event or a marker", |frame| frame["type"] != "cursor").await.json;
        match text(&next, "type") {
            "message.created" => (heard, count) = (heard + 1, count + 1),
            "thread.read" => {
                let above = heard + 1 - next["data"]["sequence"].as_u64().expect("a sequence");
                assert_eq!(next["data"]["unread"], above, "after {heard} messages: {next}");
                count = above;
            }
            _ => {}
        }
    }
    let last = device.find("the last marker", |frame| frame["type"] == "thread.read" && frame["data"]["sequence"] == 201);
    assert_eq!(last.await.json["data"]["unread"], 0);
    assert!(count <= 200);
}

#[tokio::test]
async fn who_comes_back_is_told_of_the_markers_that_moved_and_of_no_others() {
    let mut server = Server::new(&[]);
    let (alice, bob) = (server.person(), server.person());
    let (moved, still) = (alice.thread(&[&bob]).await, alice.thread(&[&bob]).await);
    for thread in [&moved, &still, &moved] {
        alice.say(thread, "x").await;
    }
    let mut phone = bob.socket().await;
    read(&mut phone, &still, 2).await;
    alice.say(&moved, "later").await;
    phone.expect("message.created").await;
    let (_, phone) = told(&bob, text(&bob.get("/api/threads").await.json(200), "cursor")).await;
    let cursor = text(&phone.hello, "caught_up").to_owned();
    drop(phone);
    // Without a single event, and with events around it.
    let mut desk = bob.socket().await;
    read(&mut desk, &moved, 2).await;
    let (told_of, phone) = told(&bob, &cursor).await;
    assert_eq!(told_of, [marker(&moved, 2, 2)]);
    drop(phone);
    alice.say(&moved, "more").await;
    read(&mut desk, &moved, 3).await;
    alice.say(&moved, "and more").await;
    let (told_of, _) = told(&bob, &cursor).await;
    assert_eq!(told_of, [marker(&moved, 3, 3)], "once, as it is now");
    // A deletion counts: the replay is of now, and so is the told_of.
    let last = alice.history(&moved).await.last().expect("a message")["message_id"].clone();
    alice.delete(&format!("/api/messages/{}", last.as_str().expect("an id"))).await.json(200);
    server.terminate();
    server.ended();
    let server = server.restart();
    let bob = bob.at(&server);
    let (told_of, phone) = told(&bob, &cursor).await;
    assert_eq!(told_of, [marker(&moved, 3, 2)]);
    let (told_of, _) = told(&bob, text(&phone.hello, "caught_up")).await;
    assert_eq!(told_of, Vec::<Value>::new(), "an event came after it, so the new cursor covers it");
}

#[tokio::test]
async fn a_marker_of_a_thread_one_has_left_is_told_no_more() {
    let server = Server::shared();
    let (alice, bob) = (server.person(), server.person());
    let thread = alice.thread(&[&bob]).await;
    alice.say(&thread, "x").await;
    let mut socket = bob.socket().await;
    let cursor = text(&socket.hello, "cursor").to_owned();
    read(&mut socket, &thread, 2).await;
    bob.delete(&format!("/api/threads/{thread}/members/{}", bob.name)).await.empty(204);
    assert_eq!(told(&bob, &cursor).await.0, Vec::<Value>::new());
    let refused = socket.ask("thread.read", json!({"thread_id": thread, "sequence": 2})).await;
    assert_eq!((&refused["type"], &refused["data"]["code"]), (&json!("error"), &json!("not_found")));
}

#[tokio::test]
async fn a_marker_that_is_none_is_refused() {
    let server = Server::shared();
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    let mut socket = alice.socket().await;
    for (data, field) in [
        (json!({"thread_id": thread}), "sequence"),
        (json!({"thread_id": thread, "sequence": -1}), "sequence"),
        (json!({"thread_id": thread, "sequence": "2"}), "sequence"),
        (json!({"thread_id": "x", "sequence": 2}), "thread_id"),
        (json!({"sequence": 2}), "thread_id"),
    ] {
        let refused = socket.ask("thread.read", data.clone()).await;
        assert_eq!((&refused["type"], &refused["data"]["code"]), (&json!("error"), &json!("invalid")), "{data}");
        assert!(refused["data"]["message"].as_str().is_some_and(|said| said.contains(field)), "{refused}");
    }
}

#[tokio::test]
async fn a_poll_brings_the_markers_that_moved_and_wakes_for_one() {
    let server = Server::new(&[LONG_POLLS]);
    let (alice, bob) = (server.person(), server.person());
    let thread = alice.thread(&[&bob]).await;
    alice.say(&thread, "x").await;
    let mut desk = bob.socket().await;
    let cursor = text(&bob.get("/api/events?timeout_ms=0").await.json(200), "cursor").to_owned();
    let moves = async {
        // Other requests first, so that the poll waits when the marker moves.
        for _ in 0..5 {
            alice.get("/api/auth/me").await.json(200);
        }
        read(&mut desk, &thread, 2).await
    };
    let (answer, _) = futures_util::future::join(bob.poll(&cursor, LONG_POLL_MS), moves).await;
    let answer = answer.json(200);
    assert_eq!((&answer["events"], &answer["read"]), (&json!([]), &json!([marker(&thread, 2, 0)])));
    alice.say(&thread, "y").await;
    let answer = bob.poll(text(&answer, "cursor"), 10_000).await.json(200);
    assert_eq!(answer["events"].as_array().map(Vec::len), Some(1));
    assert_eq!(answer["read"], json!([marker(&thread, 2, 1)]), "as it is at the answer's end");
    let answer = bob.poll(text(&answer, "cursor"), 0).await.json(200);
    assert_eq!(answer["read"], json!([]), "the cursor is behind it");
}
