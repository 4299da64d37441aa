//! One cursor for every transport: wherever it was told, it is taken, and means the same.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    people::{Person, text},
    server::Server,
};

#[derive(Debug, Clone, Copy)]
enum Transport {
    Socket,
    Stream,
    Poll,
}

use Transport::{Poll, Socket, Stream};

const TRANSPORTS: [Transport; 3] = [Socket, Stream, Poll];

impl Transport {
    /// Hears one event after a cursor; that and where it leads.
    async fn hear(self, person: &Person, since: &str) -> (Value, String) {
        match self {
            Socket => {
                let mut socket = person.resume(since).await;
                let event = socket.event().await.json;
                let caught_up = socket.next("caught_up").await;
                (event, text(&caught_up["data"], "cursor").to_owned())
            }
            Stream => {
                let mut stream = person.stream_since(since).await;
                let event = stream.event().await;
                (event.json(), event.id.expect("a cursor"))
            }
            Poll => {
                let answer = person.poll(since, 10_000).await.json(200);
                let events = answer["events"].as_array().expect("events");
                assert_eq!(events.len(), 1, "{answer}");
                (events[0].clone(), text(&answer, "cursor").to_owned())
            }
        }
    }

    /// Where somebody begins who has no cursor.
    async fn now(self, person: &Person) -> String {
        match self {
            Socket => text(&person.socket().await.hello, "cursor").to_owned(),
            Stream => person.stream().await.last_id,
            Poll => text(&person.get("/api/events?timeout_ms=0").await.json(200), "cursor").to_owned(),
        }
    }

    /// What somebody is told whose cursor does not hold.
    async fn refused(self, person: &Person, since: &str) -> String {
        match self {
            Socket => {
                let socket = person.resume(since).await;
                assert_eq!(socket.hello["resumed"], false, "{}", socket.hello);
                text(&socket.hello, "reason").to_owned()
            }
            Stream => {
                let mut stream = person.stream_since(since).await;
                assert_eq!(stream.hello["resumed"], false, "{}", stream.hello);
                let reset = stream.find("reset", |told| told.name == "reset").await.json();
                assert_eq!(reset["cursor"], stream.hello["cursor"]);
                assert_eq!(reset["code"], stream.hello["reason"]);
                text(&reset, "code").to_owned()
            }
            Poll => {
                let problem = person.poll(since, 0).await;
                assert_eq!(problem.status, 410, "{}", problem.body);
                text(&problem.json(410), "code").to_owned()
            }
        }
    }
}

/// What every transport says of a cursor that does not hold: all the same.
pub async fn refused_everywhere(person: &Person, since: &str) -> String {
    let code = Socket.refused(person, since).await;
    for transport in [Stream, Poll] {
        assert_eq!(transport.refused(person, since).await, code, "{transport:?} of {since}");
    }
    code
}

/// With places for connections that have gone a moment ago.
fn roomy() -> Server {
    Server::new(&[("HAILGATE_LIMIT_CONNECTIONS_USER", "1000")])
}

#[tokio::test]
async fn a_cursor_of_each_transport_is_taken_by_each_other_and_nothing_is_lost_or_comes_twice() {
    let server = roomy();
    let (alice, bob) = (server.person(), server.person());
    let thread = alice.thread(&[&bob]).await;
    for from in TRANSPORTS {
        for (to, then) in TRANSPORTS.into_iter().zip([Stream, Poll, Socket]) {
            let mut cursor = from.now(&bob).await;
            for transport in [from, to, then, from] {
                let said = alice.say(&thread, &format!("{from:?} {to:?} {transport:?}")).await;
                let (event, next) = transport.hear(&bob, &cursor).await;
                assert_eq!(event["data"], said, "{from:?} {to:?} {transport:?}");
                cursor = next;
            }
            assert_eq!(bob.poll(&cursor, 0).await.json(200)["events"], json!([]));
        }
    }
}

#[tokio::test]
async fn the_cursor_of_a_list_of_threads_is_taken_by_every_transport() {
    let server = Server::shared();
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    alice.say(&thread, "in the list").await;
    let cursor = text(&alice.get("/api/threads").await.json(200), "cursor").to_owned();
    let said = alice.say(&thread, "after it").await;
    for transport in TRANSPORTS {
        assert_eq!(transport.hear(&alice, &cursor).await.0["data"], said, "{transport:?}");
    }
}

#[tokio::test]
async fn what_is_no_cursor_of_this_server_is_told_alike_by_every_transport() {
    let (server, other) = (roomy(), Server::new(&[]));
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    alice.say(&thread, "x").await;
    alice.say(&thread, "y").await;
    let foreign = Socket.now(&other.person()).await;
    let list = alice.get("/api/messages?limit=1").await.json(200);
    let key = text(&list, "before").to_owned();
    let ticket = alice.request(Method::POST, "/api/ws/ticket");
    let ticket = text(&crate::answer::ask(ticket).await.json(200), "ticket").to_owned();
    let own = Poll.now(&alice).await;
    for bad in [&foreign, &key, &ticket, &own[1..], "0", "9999999999", "null", "%00"] {
        assert_eq!(refused_everywhere(&alice, bad).await, "bad_cursor", "{bad}");
    }
}

#[tokio::test]
async fn too_many_missed_events_are_told_alike_by_every_transport() {
    let server = Server::new(&[("HAILGATE_LIMIT_RESUME_EVENTS", "3")]);
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    let cursor = Stream.now(&alice).await;
    for number in 0..3 {
        alice.say(&thread, &number.to_string()).await;
    }
    assert_eq!(alice.poll(&cursor, 0).await.json(200)["events"].as_array().map(Vec::len), Some(3));
    alice.say(&thread, "one too many").await;
    assert_eq!(refused_everywhere(&alice, &cursor).await, "too_many");
}
