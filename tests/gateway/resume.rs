//! Coming back with a cursor: nothing is lost, nothing comes twice, and what cannot be replayed is said.

use std::collections::BTreeMap;

use futures_util::future::join;
use serde_json::{Value, json};

use crate::{
    cursors::refused_everywhere,
    people::{Person, text},
    raw::Raw,
    server::{Server, random},
    socket::Socket,
};

/// Resumes and reads up to `caught_up`: the missed events.
async fn missed(person: &Person, cursor: &str) -> (Socket, Vec<Value>) {
    let mut socket = person.resume(cursor).await;
    assert_eq!((&socket.hello["resumed"], &socket.hello["cursor"]), (&json!(true), &json!(cursor)), "{}", socket.hello);
    assert!(socket.hello.get("reason").is_none());
    let caught_up = socket.next("caught_up").await["data"].clone();
    let mut events = Vec::new();
    for _ in 0..caught_up["events"].as_u64().expect("a number") {
        events.push(socket.event().await.json);
    }
    assert!(socket.unasked().is_empty(), "{:?}", socket.unasked());
    assert!(caught_up["cursor"].is_string() && caught_up["read"].is_array(), "{caught_up}");
    socket.hello["caught_up"] = caught_up["cursor"].clone();
    (socket, events)
}

fn contents(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| text(&event["data"], "content")).collect()
}

#[tokio::test]
async fn a_resume_after_no_event_replays_nothing_and_goes_on_live() {
    let server = Server::shared();
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    let first = alice.socket().await;
    let (mut socket, events) = missed(&alice, text(&first.hello, "cursor")).await;
    assert!(events.is_empty(), "{events:?}");
    socket.say(&thread, "live").await;
    assert_eq!(socket.expect("message.created").await["data"]["content"], "live");
    let at = text(&socket.hello, "caught_up").to_owned();
    assert_eq!(contents(&missed(&alice, &at).await.1), ["live"]);
}

#[tokio::test]
async fn a_resume_replays_what_was_missed_in_order_and_then_goes_on_live() {
    let server = Server::shared();
    let (alice, bob) = (server.person(), server.person());
    let thread = alice.thread(&[&bob]).await;
    let mut first = bob.socket().await;
    first.close(1000).await;
    for number in 0..7 {
        alice.say(&thread, &number.to_string()).await;
    }
    let (mut socket, events) = missed(&bob, text(&first.hello, "cursor")).await;
    assert_eq!(contents(&events), ["0", "1", "2", "3", "4", "5", "6"]);
    alice.say(&thread, "7").await;
    assert_eq!(socket.expect("message.created").await["data"]["content"], "7");
    // And again from the same place, as if nothing had been heard.
    assert_eq!(missed(&bob, text(&first.hello, "cursor")).await.1.len(), 8);
}

#[tokio::test]
async fn cursors_of_rest_answers_and_polls_resume_a_socket() {
    let server = Server::shared();
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    alice.say(&thread, "before").await;
    let page = format!("/api/messages?thread_id={thread}");
    let mut cursors = Vec::new();
    for path in ["/api/threads", "/api/messages", &page, "/api/events?timeout_ms=0"] {
        let answer = alice.get(path).await.json(200);
        cursors.push((path.to_owned(), text(&answer, "cursor").to_owned()));
    }
    alice.say(&thread, "after").await;
    for (path, cursor) in cursors {
        assert_eq!(contents(&missed(&alice, &cursor).await.1), ["after"], "{path}");
    }
}

#[tokio::test]
async fn between_catching_up_and_live_there_is_no_gap_and_no_double() {
    let server = Server::new(&[("HAILGATE_LIMIT_SENDS_BURST", "1000"), ("HAILGATE_LIMIT_REST_BURST", "5000")]);
    let (alice, bob) = (server.person(), server.person());
    let thread = alice.thread(&[&bob]).await;
    let cursor = text(&bob.socket().await.hello, "cursor").to_owned();
    let post = async {
        for number in 0..400 {
            alice.say(&thread, &number.to_string()).await;
        }
    };
    // Sockets that open at different moments of it, each from the same place.
    let follow = async {
        let mut sockets = Vec::new();
        for place in 0..8 {
            let mut socket = bob.resume(&cursor).await;
            for number in 0..place * 40 {
                assert_eq!(socket.expect("message.created").await["data"]["content"], number.to_string());
            }
            sockets.push((socket, place * 40));
        }
        for (mut socket, heard) in sockets {
            for number in heard..400 {
                assert_eq!(socket.expect("message.created").await["data"]["content"], number.to_string());
            }
            socket.is_alive().await;
            assert!(socket.unasked().iter().all(|frame| frame["type"] == "caught_up"), "{:?}", socket.unasked());
        }
    };
    join(post, follow).await;
}

#[tokio::test]
async fn a_cursor_frame_comes_beside_events_and_everything_at_it_was_sent() {
    let server = Server::shared();
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    let mut socket = alice.socket().await;
    for number in 0..3 {
        alice.say(&thread, &number.to_string()).await;
        socket.expect("message.created").await;
    }
    // Frames may have come between them: the last one covers all.
    let mut cursor = text(&socket.next("cursor").await["data"], "cursor").to_owned();
    while !missed(&alice, &cursor).await.1.is_empty() {
        cursor = text(&socket.next("cursor").await["data"], "cursor").to_owned();
    }
    alice.say(&thread, "3").await;
    assert_eq!(contents(&missed(&alice, &cursor).await.1), ["3"]);
}

#[tokio::test]
async fn a_cursor_that_is_none_is_told_and_the_connection_goes_on_at_the_head() {
    let (server, other) = (Server::shared(), Server::new(&[]));
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    alice.say(&thread, "before").await;
    let own = text(&alice.socket().await.hello, "cursor").to_owned();
    let foreign = text(&other.person().socket().await.hello, "cursor").to_owned();
    let bent: String = own.chars().rev().collect();
    for bad in ["x", "", "0", &own[1..], &own[..own.len() - 1], &bent, &foreign, &"x".repeat(4_000)] {
        let mut socket = alice.resume(bad).await;
        assert_eq!((&socket.hello["resumed"], &socket.hello["reason"]), (&json!(false), &json!("bad_cursor")), "{bad}");
        assert!(socket.hello["cursor"].is_string());
        socket.say(&thread, "live").await;
        assert_eq!(socket.expect("message.created").await["data"]["content"], "live");
        alice.poll(bad, 0).await.problem(410, "bad_cursor");
    }
}

#[tokio::test]
async fn a_cursor_grants_nothing() {
    let server = Server::shared();
    let (alice, eve) = (server.person(), server.person());
    let thread = alice.thread(&[]).await;
    let cursor = text(&alice.socket().await.hello, "cursor").to_owned();
    alice.say(&thread, "not for eve").await;
    let (_socket, events) = missed(&eve, &cursor).await;
    assert!(events.is_empty(), "{events:?}");
    assert_eq!(eve.poll(&cursor, 0).await.json(200)["events"], json!([]));
}

#[tokio::test]
async fn too_many_missed_events_are_not_replayed_but_said() {
    let server = Server::new(&[("HAILGATE_LIMIT_RESUME_EVENTS", "5")]);
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    let cursor = text(&alice.socket().await.hello, "cursor").to_owned();
    for number in 0..5 {
        alice.say(&thread, &number.to_string()).await;
    }
    assert_eq!(missed(&alice, &cursor).await.1.len(), 5);
    alice.say(&thread, "5").await;
    let mut socket = alice.resume(&cursor).await;
    assert_eq!((&socket.hello["resumed"], &socket.hello["reason"]), (&json!(false), &json!("too_many")));
    alice.poll(&cursor, 0).await.problem(410, "too_many");
    socket.say(&thread, "live").await;
    assert_eq!(socket.expect("message.created").await["data"]["content"], "live");
    // Events of others do not count.
    let (bob, carol) = (server.person(), server.person());
    let cursor = text(&bob.socket().await.hello, "cursor").to_owned();
    let theirs = carol.thread(&[]).await;
    for _ in 0..8 {
        carol.say(&theirs, "x").await;
    }
    assert!(missed(&bob, &cursor).await.1.is_empty());
}

#[tokio::test]
async fn who_was_removed_meanwhile_is_told_once_and_nothing_else_of_the_thread() {
    let server = Server::shared();
    let (alice, bob) = (server.person(), server.person());
    let (left, gone) = (alice.thread(&[&bob]).await, alice.thread(&[&bob]).await);
    let cursor = text(&bob.socket().await.hello, "cursor").to_owned();
    alice.say(&left, "while away").await;
    alice.say(&gone, "while away").await;
    alice.delete(&format!("/api/threads/{left}/members/{}", bob.name)).await.empty(204);
    alice.say(&left, "after").await;
    alice.delete(&format!("/api/threads/{gone}")).await.empty(204);
    let (socket, events) = missed(&bob, &cursor).await;
    let told: Vec<(&str, &str)> = events.iter().map(|event| (text(event, "type"), text(event, "thread_id"))).collect();
    assert_eq!(told, [("thread.member_removed", left.as_str()), ("thread.deleted", gone.as_str())]);
    assert_eq!(events[0]["data"]["user_id"], bob.name.as_str());
    assert!(missed(&bob, text(&socket.hello, "caught_up")).await.1.is_empty(), "told once");
    let polled = bob.poll(&cursor, 0).await.json(200);
    assert_eq!(polled["events"].as_array(), Some(&events), "a poll says the same");
}

#[tokio::test]
async fn a_replay_shows_a_message_as_it_is_now() {
    let server = Server::shared();
    let (alice, bob) = (server.person(), server.person());
    let thread = alice.thread(&[&bob]).await;
    let cursor = text(&bob.socket().await.hello, "cursor").to_owned();
    let message = alice.say(&thread, "taken back").await;
    alice.delete(&format!("/api/messages/{}", text(&message, "message_id"))).await.json(200);
    let (_socket, events) = missed(&bob, &cursor).await;
    let kinds: Vec<&str> = events.iter().map(|event| text(event, "type")).collect();
    assert_eq!(kinds, ["message.created", "message.deleted"]);
    assert!(events.iter().all(|event| event["data"]["content"].is_null()), "{events:?}");
}

/// Replays these many messages of this many characters, of four bytes each.
async fn replays(variables: &[(&str, &str)], number: usize, length: usize) {
    let server =
        Server::new(&[variables, &[("HAILGATE_LIMIT_SENDS_BURST", "1000"), ("HAILGATE_LIMIT_REST_BURST", "5000")]].concat());
    let (alice, bob) = (server.person(), server.person());
    let thread = alice.thread(&[&bob]).await;
    let cursor = text(&bob.socket().await.hello, "cursor").to_owned();
    let long = "\u{1f600}".repeat(length);
    for number in 0..number {
        alice.say(&thread, &format!("{number} {long}")).await;
    }
    let (mut socket, events) = missed(&bob, &cursor).await;
    let numbers = contents(&events).into_iter().map(|content| content.split(' ').next().and_then(|n| n.parse().ok()));
    assert_eq!(numbers.collect::<Vec<Option<usize>>>(), (0..number).map(Some).collect::<Vec<_>>());
    socket.is_alive().await;
}

#[tokio::test]
async fn a_catch_up_over_many_pages_is_never_counted_as_slow() {
    replays(&[], 350, 1).await;
}

#[tokio::test]
async fn a_catch_up_of_the_longest_messages_is_never_counted_as_slow() {
    replays(&[], 120, 7_900).await;
}

#[tokio::test]
async fn a_catch_up_through_a_small_outbox_is_never_counted_as_slow() {
    replays(&[("HAILGATE_LIMIT_OUTBOX_FRAMES", "8")], 50, 1).await;
}

#[tokio::test]
async fn after_kill_9_and_a_restart_every_acknowledged_message_is_there_once_in_order() {
    let server = Server::new(&[("HAILGATE_LIMIT_SENDS_BURST", "1000"), ("HAILGATE_LIMIT_REST_BURST", "5000")]);
    let (alice, bob) = (server.person(), server.person());
    let thread = alice.thread(&[&bob]).await;
    let cursor = text(&bob.socket().await.hello, "cursor").to_owned();
    let mut raw = Raw::socket(server.port, alice.token()).await;
    let keys: Vec<String> = (0..200).map(|_| random(20)).collect();
    let body =
        |number: usize| json!({"thread_id": thread, "content": number.to_string(), "client_message_id": keys[number]});
    let mut bytes = Vec::new();
    for number in 0..keys.len() {
        let send = json!({"type": "message.send", "id": number, "data": body(number)}).to_string();
        bytes.extend(crate::raw::frame(crate::raw::TEXT, send.as_bytes()));
    }
    raw.send(bytes).await;
    let mut acknowledged: BTreeMap<u64, Value> = BTreeMap::new();
    while acknowledged.len() < 40 {
        let frame = raw.json().await;
        if frame["type"] == "ack" {
            acknowledged.insert(frame["id"].as_u64().expect("an id"), frame["data"]["message"].clone());
        }
    }
    let server = server.crash_and_restart();
    let (alice, bob) = (alice.at(&server), bob.at(&server));
    let (_socket, events) = missed(&bob, &cursor).await;
    let sequences: Vec<u64> = events.iter().map(|event| event["sequence"].as_u64().expect("a sequence")).collect();
    assert_eq!(sequences, (2..2 + events.len() as u64).collect::<Vec<_>>(), "no hole and none twice");
    let numbers: Vec<usize> = contents(&events).iter().map(|content| content.parse().expect("a number")).collect();
    assert_eq!(numbers, (0..events.len()).collect::<Vec<_>>(), "in the order of posting");
    for (id, message) in &acknowledged {
        let at = usize::try_from(*id).expect("small");
        assert_eq!(events.get(at).map(|event| &event["data"]), Some(message), "message {id} was acknowledged");
    }
    // A client that heard no answer asks again, and learns what is true.
    for number in 0..keys.len() {
        let answer = alice.post("/api/messages", body(number)).await;
        assert_eq!(answer.status, if number < events.len() { 200 } else { 201 }, "{}", answer.body);
    }
    let history = alice.history(&thread).await;
    let contents: Vec<usize> = history.iter().map(|message| text(message, "content").parse().expect("a number")).collect();
    assert_eq!(contents, (0..keys.len()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_log_that_was_put_back_to_an_older_copy_is_noticed() {
    let mut server = Server::new(&[]);
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    let early = text(&alice.socket().await.hello, "cursor").to_owned();
    server.terminate();
    assert!(server.ended().success());
    let directory = server.site.directory.path().to_owned();
    let copy = tempfile::TempDir::new().expect("a directory");
    let files = |from: &std::path::Path, to: &std::path::Path| {
        for file in std::fs::read_dir(from).expect("a directory").map(|entry| entry.expect("an entry")) {
            std::fs::copy(file.path(), to.join(file.file_name())).expect("a copy");
        }
    };
    files(&directory, copy.path());
    let server = server.restart();
    let alice = alice.at(&server);
    for number in 0..5 {
        alice.say(&thread, &format!("lost {number}")).await;
    }
    let late = text(&alice.socket().await.hello, "cursor").to_owned();
    let mut server = server;
    server.terminate();
    assert!(server.ended().success());
    for file in std::fs::read_dir(&directory).expect("a directory") {
        std::fs::remove_file(file.expect("an entry").path()).expect("a file");
    }
    files(copy.path(), &directory);
    let server = server.restart();
    let alice = alice.at(&server);
    assert!(missed(&alice, &early).await.1.is_empty(), "what is before the copy still holds");
    let mut regrown = Vec::new();
    for _ in 0..2 {
        let socket = alice.resume(&late).await;
        assert_eq!(socket.hello["resumed"], false, "{}", socket.hello);
        regrown.push(text(&socket.hello, "reason").to_owned());
        assert_eq!(regrown.last(), Some(&refused_everywhere(&alice, &late).await));
        for number in 0..5 {
            alice.say(&thread, &format!("new {number}")).await;
        }
    }
    assert!(regrown.iter().all(|reason| ["epoch_changed", "bad_cursor"].contains(&reason.as_str())), "{regrown:?}");
}
