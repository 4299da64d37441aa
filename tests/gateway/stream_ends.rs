//! How streams end: for every reason for which a socket does, and with the same words.

use std::net::SocketAddr;

use futures_util::future::{join, join_all};
use serde_json::json;
use tokio::net::TcpSocket;

use crate::{
    people::{Proof, text},
    raw::Raw,
    server::Server,
    socket::Socket,
    soon,
    stream::Stream,
};

#[tokio::test]
async fn a_stream_takes_one_of_the_users_places_and_gives_it_back() {
    let server = Server::new(&[("HAILGATE_LIMIT_CONNECTIONS_USER", "2")]);
    let (alice, bob) = (server.person(), server.person());
    let _socket = alice.socket().await;
    for _ in 0..3 {
        let stream = alice.stream().await;
        alice.no_stream("/api/events").await.problem(429, "too_many_connections");
        alice.poll("", 0).await.problem(429, "too_many_connections");
        drop(bob.stream().await);
        drop(stream);
        let free = async { while alice.no_place().await {} };
        soon("a free place", free).await;
    }
}

#[tokio::test]
async fn a_socket_takes_the_place_of_its_clients_stream_where_the_user_has_no_other() {
    let server = Server::new(&[("HAILGATE_LIMIT_CONNECTIONS_USER", "1")]);
    let alice = server.browser().await;
    let elsewhere = server.sign_in(&alice.name).await;
    let mut stream = alice.stream().await;
    elsewhere.try_upgrade("/ws").await.problem(429, "too_many_connections");
    assert_eq!(alice.post_nothing("/api/ws/preflight").await.json(200)["accepted"], true);
    let mut socket = alice.socket().await;
    alice.try_upgrade("/ws").await.problem(429, "too_many_connections");
    socket.is_alive().await;
    assert_eq!(stream.closed_with(4409).await["reason"], "too_many_connections");
    alice.no_stream("/api/events").await.problem(429, "too_many_connections");
    socket.is_alive().await;
}

#[tokio::test]
async fn a_logout_ends_the_streams_of_that_login_and_no_other() {
    let server = Server::shared();
    let here = server.browser().await;
    let there = server.sign_in(&here.name).await;
    let mut of_ticket =
        Stream::open(server.nobody().request(reqwest::Method::GET, &format!("/api/events?ticket={}", here.ticket().await)))
            .await;
    let (mut ends, mut stays) = (here.stream().await, there.stream().await);
    here.logout().await;
    for stream in [&mut ends, &mut of_ticket] {
        assert_eq!(stream.closed_with(4401).await["reason"], "signed_out");
    }
    here.no_stream("/api/events").await.problem(401, "unauthenticated");
    let thread = there.thread(&[]).await;
    assert_eq!(stays.expect("thread.created").await["thread_id"], thread.as_str());
}

#[tokio::test]
async fn revoking_and_disabling_end_every_stream_of_the_user() {
    let server = Server::shared();
    for (command, code, reason) in [("revoke", 4401, "signed_out"), ("disable", 4403, "disabled")] {
        let alice = server.browser().await;
        let program = alice.with(Proof::Bearer(server.site.token(&alice.name)));
        let mut streams = [alice.stream().await, program.stream().await];
        server.site.told(&["user", command, &alice.name], "");
        for stream in &mut streams {
            assert_eq!(stream.closed_with(code).await["reason"], reason);
        }
    }
}

#[tokio::test]
async fn a_stream_whose_token_expires_is_closed_4205() {
    let server = Server::shared();
    let alice = server.person();
    let (mut stream, short, _) = server.with_ending_token(&alice, async |short| short.try_stream().await).await;
    let bye = stream.closed_with(4205).await;
    assert_eq!(bye["reason"], "credentials_expired");
    short.no_stream("/api/events").await.problem(401, "token_expired");
}

#[tokio::test]
async fn a_removed_member_gets_exactly_the_removal_and_nothing_after_it_on_a_stream_too() {
    let server = Server::shared();
    let (alice, bob) = (server.person(), server.person());
    let thread = alice.thread(&[&bob]).await;
    let mut stream = bob.stream().await;
    let path = format!("/api/threads/{thread}/members/{}", bob.name);
    alice.say(&thread, "before").await;
    alice.delete(&path).await.empty(204);
    alice.say(&thread, "not for bob").await;
    alice.put(&path, json!({})).await.empty(204);
    alice.say(&thread, "after").await;
    let kinds = ["message.created", "thread.member_removed", "thread.member_added", "message.created"];
    for (kind, sequence) in kinds.into_iter().zip([2, 3, 5, 6]) {
        assert_eq!(stream.expect(kind).await["sequence"], sequence);
    }
}

#[tokio::test]
async fn a_full_outbox_ends_a_stream_after_bye_4202_and_its_last_id_loses_nothing() {
    let server = Server::new(&[("HAILGATE_LIMIT_OUTBOX_FRAMES", "4"), ("HAILGATE_LIMIT_SENDS_BURST", "100000")]);
    let (alice, bob) = (server.person(), server.person());
    let thread = alice.thread(&[&bob]).await;
    let mut stream = bob.stream().await;
    let (mut said, mut heard) = (0, Vec::new());
    // Posts that are stored together are delivered together: more than the outbox takes at once.
    let bye = soon("a full outbox", async {
        loop {
            join_all((0..40).map(|_| alice.say(&thread, "x"))).await;
            said += 40;
            while heard.len() < said {
                let told = stream.hear().await.expect("an event or a bye");
                match (told.name.as_str(), told.json()["sequence"].as_u64()) {
                    ("bye", _) => return told,
                    (_, Some(sequence)) => heard.push(sequence),
                    _ => {}
                }
            }
        }
    })
    .await;
    assert_eq!((&bye.json()["code"], &bye.json()["reason"]), (&json!(4202), &json!("slow_reader")));
    let mut again = bob.stream_since(&stream.last_id).await;
    while heard.len() < said {
        heard.push(again.expect("message.created").await["sequence"].as_u64().expect("a sequence"));
    }
    assert_eq!(heard, (2..2 + said as u64).collect::<Vec<_>>());
}

/// A stream on a connection that takes next to nothing and is never read.
async fn never_read(server: &Server, token: &str) -> Raw {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(4_096).expect("a small buffer");
    let stream = socket.connect(SocketAddr::from(([127, 0, 0, 1], server.port))).await.expect("a connection");
    let mut raw = Raw::over(stream);
    raw.send(format!(
        "GET /api/events HTTP/1.1\r\nHost: chat.test\r\nAccept: text/event-stream\r\nAuthorization: Bearer {token}\r\n\r\n"
    ))
    .await;
    assert_eq!(raw.head().await.status, 200);
    raw
}

/// Messages of 32 KB: more than every buffer between a server and a client that never reads holds.
const MUCH: usize = 250;

async fn say_much(socket: &mut Socket, thread: &str) {
    let long = "\u{1f600}".repeat(7_900);
    for number in 0..MUCH {
        socket.say(thread, &format!("{number} {long}")).await;
    }
}

#[tokio::test]
async fn a_stream_that_is_never_read_is_cut_and_others_hear_everything() {
    // With a small outbox it is full; with a large one, nothing of what was written is confirmed within the grace.
    // The grace holds for the others too, however seldom a busy machine lets them read.
    for (outbox, grace) in [("262144", "60000"), ("1073741824", "10000")] {
        let server = Server::new(&[
            ("HAILGATE_LIMIT_OUTBOX_BYTES", outbox),
            ("HAILGATE_LIMIT_HEARTBEAT_GRACE_MS", grace),
            ("HAILGATE_LIMIT_SENDS_BURST", "100000"),
            ("HAILGATE_LIMIT_CONNECTIONS_USER", "1"),
        ]);
        let (alice, bob, carol) = (server.person(), server.person(), server.person());
        let thread = alice.thread(&[&bob, &carol]).await;
        let mut slow = never_read(&server, bob.token()).await;
        let (mut of_alice, mut of_carol) = (alice.socket().await, carol.stream().await);
        let say = say_much(&mut of_alice, &thread);
        let hear = async {
            for number in 0..MUCH {
                let event = of_carol.expect("message.created").await;
                assert!(text(&event["data"], "content").starts_with(&format!("{number} ")));
            }
        };
        join(say, hear).await;
        let free = async { while bob.no_place().await {} };
        soon("the slow one's place is free", free).await;
        let left = slow.rest().await;
        assert!(left.len() < MUCH * 4 * 7_900, "it did not get everything");
    }
}

#[tokio::test]
async fn a_drain_says_bye_to_every_transport_refuses_new_ones_and_answers_what_is_under_way() {
    let mut server = Server::new(&[
        ("HAILGATE_LIMIT_OUTBOX_BYTES", "1073741824"),
        ("HAILGATE_LIMIT_HEARTBEAT_GRACE_MS", "60000"),
        ("HAILGATE_LIMIT_SENDS_BURST", "100000"),
    ]);
    let (alice, bob, carol) = (server.person(), server.person(), server.person());
    let (thread, noise) = (alice.thread(&[&bob]).await, alice.thread(&[&carol]).await);
    // Cut a second after it was told to leave: so long it holds the drain up, and there is time to ask.
    let _holds = never_read(&server, carol.token()).await;
    say_much(&mut alice.socket().await, &noise).await;
    let mut streams = vec![bob.stream().await, bob.stream().await, bob.stream().await];
    let mut socket = bob.socket().await;
    let cursor = text(&socket.hello, "cursor").to_owned();
    let polls = join_all((0..3).map(|_| bob.poll(&cursor, 30_000)));
    let drained = async {
        for _ in 0..5 {
            bob.get("/api/auth/me").await.json(200);
        }
        server.terminate();
        let bye = socket.closed_with(4200).await;
        let nobody = server.nobody();
        let (ready, socket, stream, poll, sent) = tokio::join!(
            nobody.get("/health/ready"),
            bob.try_upgrade("/ws"),
            bob.no_stream("/api/events"),
            bob.poll(&cursor, 30_000),
            bob.say(&thread, "stored while it drains"),
        );
        assert_eq!(ready.status, 503);
        for refused in [socket, stream, poll] {
            assert!(refused.problem(503, "draining")["retry_after_ms"].is_u64());
        }
        (bye, sent)
    };
    let (waited, (bye, sent)) = join(polls, drained).await;
    let mut delays: Vec<u64> = bye["retry_after_ms"].as_u64().into_iter().collect();
    for poll in waited {
        delays.extend(poll.problem(503, "draining")["retry_after_ms"].as_u64());
    }
    for stream in &mut streams {
        delays.extend(stream.closed_with(4200).await["retry_after_ms"].as_u64());
    }
    assert_eq!(delays.len(), 7);
    assert!(delays.iter().all(|delay| *delay <= 20_000), "{delays:?}");
    delays.sort_unstable();
    delays.dedup();
    assert!(delays.len() > 1, "each client its own: {delays:?}");
    assert_eq!(server.ended().code(), Some(0));
    let server = server.restart();
    let bob = bob.at(&server);
    let mut back = bob.stream_since(&streams[1].last_id).await;
    assert_eq!(back.expect("message.created").await["data"], sent);
}
