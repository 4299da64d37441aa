//! Retry keys: `client_message_id` and `Idempotency-Key` are one key, over both transports, across a crash, and whatever has
//! become of the message.

use futures_util::future::{join, join_all};
use serde_json::{Value, json};

use crate::{
    answer::ask,
    people::{Person, text},
    server::random,
    socket::Socket,
    stage,
};

/// The ways to send with a key.
#[derive(Debug, Clone, Copy)]
enum Way {
    Socket,
    Body,
    Header,
    Both,
}

const WAYS: [Way; 4] = [Way::Socket, Way::Body, Way::Header, Way::Both];

/// What a send was answered: the message and whether it was there before, or the code of the refusal.
type Told = Result<(Value, bool), String>;

async fn send(way: Way, person: &Person, socket: &mut Socket, thread: &str, content: &str, key: &str) -> Told {
    let mut body = json!({"thread_id": thread, "content": content, "client_message_id": key, "metadata": {"a": [1, null]}});
    let (told, refused) = if matches!(way, Way::Socket) {
        let answer = socket.ask("message.send", body).await;
        (answer["data"].clone(), answer["type"] == "error")
    } else {
        let mut request = person.request(reqwest::Method::POST, "/api/messages");
        if !matches!(way, Way::Body) {
            request = request.header("Idempotency-Key", key);
        }
        if matches!(way, Way::Header) {
            body.as_object_mut().expect("an object").remove("client_message_id");
        }
        let answer = ask(request.json(&body)).await;
        let told: Value = serde_json::from_str(&answer.body).expect("JSON");
        match answer.status {
            200 | 201 => assert_eq!(told["duplicate"], answer.status == 200, "{told}"),
            status => assert_eq!((status, &told["code"]), (422, &json!("key_reused")), "{told}"),
        }
        (told, answer.status >= 400)
    };
    if refused {
        return Err(text(&told, "code").to_owned());
    }
    Ok((told["message"].clone(), told["duplicate"].as_bool().expect("yes or no")))
}

#[tokio::test]
async fn a_key_is_one_key_however_it_is_sent_first_and_again() {
    let server = stage::server(&[]);
    let alice = server.person();
    let (thread, other) = (alice.thread(&[]).await, alice.thread(&[]).await);
    let mut socket = alice.socket().await;
    let mut stored = 0;
    for first in WAYS {
        for again in WAYS {
            let key = random(20);
            let (message, duplicate) = send(first, &alice, &mut socket, &thread, "once", &key).await.expect("stored");
            assert!(!duplicate, "{first:?}");
            stored += 1;
            let retried = send(again, &alice, &mut socket, &thread, "once", &key).await;
            assert_eq!(retried, Ok((message.clone(), true)), "{first:?}, then {again:?}");
            assert_eq!(message["client_message_id"], key.as_str(), "{first:?}");
            for (thread, content) in [(&thread, "twice"), (&other, "once")] {
                let reused = send(again, &alice, &mut socket, thread, content, &key).await;
                assert_eq!(reused, Err("key_reused".to_owned()), "{first:?}, then {again:?}");
            }
        }
    }
    assert_eq!((alice.history(&thread).await.len(), alice.history(&other).await.len()), (stored, 0));
}

#[tokio::test]
async fn a_key_of_another_user_is_another_key() {
    let server = stage::server(&[]);
    let (alice, bob) = (server.person(), server.person());
    let thread = alice.thread(&[&bob]).await;
    let (mut of_alice, mut of_bob) = (alice.socket().await, bob.socket().await);
    for (first, second) in WAYS.into_iter().zip(WAYS.into_iter().rev()) {
        let key = random(20);
        let (hers, _) = send(first, &alice, &mut of_alice, &thread, "same", &key).await.expect("stored");
        let (his, duplicate) = send(second, &bob, &mut of_bob, &thread, "same", &key).await.expect("stored");
        assert!(!duplicate && hers["message_id"] != his["message_id"], "{first:?}, {second:?}");
        assert_eq!(send(second, &alice, &mut of_alice, &thread, "same", &key).await, Ok((hers, true)));
        assert_eq!(send(first, &bob, &mut of_bob, &thread, "same", &key).await, Ok((his, true)));
    }
    assert_eq!(alice.history(&thread).await.len(), 2 * WAYS.len());
}

/// What became of a message before it is sent again.
#[derive(Debug, Clone, Copy)]
enum Since {
    Nothing,
    Edited,
    Deleted,
}

#[tokio::test]
async fn a_key_outlives_a_crash_and_its_message() {
    let server = stage::server(&[]);
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    let mut socket = alice.socket().await;
    let mut kept = Vec::new();
    for way in WAYS {
        for since in [Since::Nothing, Since::Edited, Since::Deleted] {
            let key = random(20);
            let (mut message, _) = send(way, &alice, &mut socket, &thread, "kept", &key).await.expect("stored");
            let path = format!("/api/messages/{}", text(&message, "message_id"));
            match since {
                Since::Nothing => {}
                Since::Edited => message = alice.patch(&path, json!({"content": "edited"})).await.json(200),
                Since::Deleted => message = alice.delete(&path).await.json(200),
            }
            kept.push((way, key, message));
        }
    }
    for (_, key, message) in &kept {
        for again in WAYS {
            assert_eq!(send(again, &alice, &mut socket, &thread, "kept", key).await, Ok((message.clone(), true)));
        }
    }
    let server = server.crash_and_restart();
    let alice = alice.at(&server);
    let mut socket = alice.socket().await;
    for (first, key, message) in &kept {
        for again in WAYS {
            let retried = send(again, &alice, &mut socket, &thread, "kept", key).await;
            assert_eq!(retried, Ok((message.clone(), true)), "{first:?}, then {again:?}");
            // What it says now is not what was asked for.
            for other in ["other", "edited"] {
                let reused = send(again, &alice, &mut socket, &thread, other, key).await;
                assert_eq!(reused, Err("key_reused".to_owned()), "{first:?}, then {again:?}");
            }
        }
    }
    assert_eq!(alice.history(&thread).await.len(), kept.len());
}

#[tokio::test]
async fn one_key_at_once_over_both_transports_stores_one_message() {
    let server = stage::server(&[]);
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    for _ in 0..5 {
        let key = random(20);
        let mut sockets = join_all((0..5).map(|_| alice.socket())).await;
        let by_socket = sockets.iter_mut().map(|socket| send(Way::Socket, &alice, socket, &thread, "x", &key));
        let body = json!({"thread_id": thread, "content": "x", "client_message_id": key, "metadata": {"a": [1, null]}});
        let by_rest = (0..5).map(|_| alice.post("/api/messages", body.clone()));
        let (by_socket, by_rest) = join(join_all(by_socket), join_all(by_rest)).await;
        let first = by_socket.iter().filter(|told| matches!(told, Ok((_, false)))).count()
            + by_rest.iter().filter(|answer| answer.status == 201).count();
        let again = by_socket.iter().filter(|told| matches!(told, Ok((_, true)))).count()
            + by_rest.iter().filter(|answer| answer.status == 200).count();
        assert_eq!((first, again), (1, 9), "{by_socket:?} {by_rest:?}");
    }
    assert_eq!(alice.history(&thread).await.len(), 5);
}
