//! How connections end: with a `bye` that says why and whether to come back, then a close frame, then TCP itself.

use futures_util::future::join;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    people::text,
    raw::{Raw, TEXT, frame},
    server::Server,
    socket::Socket,
    soon,
};

#[tokio::test]
async fn a_close_by_the_client_is_answered_with_its_code_and_tcp_ends() {
    let server = Server::shared();
    let alice = server.person();
    for code in [1000u16, 1001, 3000, 4000, 4999] {
        let mut raw = Raw::socket(server.port, alice.token()).await;
        raw.send(frame(0x88, &code.to_be_bytes())).await;
        let (first, payload) = raw.frame().await.expect("an answer");
        assert_eq!((first, payload.get(..2)), (0x88, Some(&code.to_be_bytes()[..])));
        assert_eq!(raw.rest().await, b"");
    }
    let mut raw = Raw::socket(server.port, alice.token()).await;
    raw.send(frame(0x88, b"")).await;
    assert_eq!(raw.frame().await.expect("an answer").0, 0x88, "a close without a code");
    assert_eq!(raw.rest().await, b"");
}

#[tokio::test]
async fn a_client_that_vanishes_gives_its_place_up() {
    let server = Server::new(&[("HAILGATE_LIMIT_CONNECTIONS_USER", "1")]);
    let alice = server.person();
    for _ in 0..5 {
        let socket = alice.socket().await;
        alice.try_upgrade("/ws").await.problem(429, "too_many_connections");
        drop(socket);
        let free = async { while alice.poll("", 0).await.status == 429 {} };
        soon("a free place", free).await;
    }
}

#[tokio::test]
async fn pings_of_the_protocol_are_answered_with_their_data() {
    let server = Server::shared();
    let alice = server.person();
    let mut raw = Raw::socket(server.port, alice.token()).await;
    for data in [&b""[..], b"x", &[0xff; 125]] {
        raw.send(frame(0x89, data)).await;
        assert_eq!(raw.frame().await, Some((0x8a, data.to_vec())));
    }
    raw.send(frame(0x8a, b"unasked")).await;
    raw.send(frame(TEXT, br#"{"type":"ping"}"#)).await;
    assert_eq!(raw.json().await["type"], "pong");
}

#[tokio::test]
async fn sigterm_says_bye_4200_to_everybody_and_the_process_ends_with_0() {
    let mut server = Server::new(&[]);
    let alice = server.person();
    let mut sockets = vec![];
    for _ in 0..5 {
        sockets.push(alice.socket().await);
    }
    let thread = alice.thread(&[]).await;
    sockets[0].say(&thread, "last words").await;
    server.terminate();
    let mut delays = vec![];
    for socket in &mut sockets {
        let bye = socket.closed_with(4200).await;
        assert_eq!((&bye["reason"], &bye["reconnect"]), (&json!("draining"), &json!(true)));
        delays.push(bye["retry_after_ms"].as_u64().expect("a delay"));
    }
    assert!(delays.iter().all(|delay| *delay <= 20_000), "{delays:?}");
    assert!(delays.iter().any(|delay| *delay != delays[0]), "each client its own: {delays:?}");
    assert_eq!(server.ended().code(), Some(0));
    let server = server.restart();
    assert_eq!(alice.at(&server).history(&thread).await.len(), 1);
}

#[tokio::test]
async fn a_signal_right_after_the_port_is_told_ends_in_good_order() {
    for _ in 0..5 {
        let mut server = Server::new(&[]);
        server.terminate();
        assert_eq!(server.ended().code(), Some(0));
    }
}

#[tokio::test]
async fn a_poll_that_waits_while_the_server_drains_is_told_to_come_back() {
    let mut server = Server::new(&[]);
    let alice = server.person();
    let mut socket = alice.socket().await;
    let cursor = text(&socket.hello, "cursor").to_owned();
    let ends = async {
        // Other requests first, so that the poll waits when the signal comes.
        for _ in 0..5 {
            alice.get("/api/auth/me").await.json(200);
        }
        server.terminate();
        socket.closed_with(4200).await
    };
    let (polled, _) = join(alice.poll(&cursor, 30_000), ends).await;
    assert!(polled.problem(503, "draining")["retry_after_ms"].is_u64());
    assert_eq!(server.ended().code(), Some(0));
}

#[tokio::test]
async fn a_reader_that_never_reads_is_cut_and_others_hear_everything() {
    let server = Server::new(&[
        ("HAILGATE_LIMIT_OUTBOX_BYTES", "262144"),
        ("HAILGATE_LIMIT_SENDS_BURST", "100000"),
        ("HAILGATE_LIMIT_CONNECTIONS_USER", "1"),
    ]);
    let (alice, bob, carol) = (server.person(), server.person(), server.person());
    let thread = alice.thread(&[&bob, &carol]).await;
    let mut slow = Raw::socket(server.port, bob.token()).await;
    let (mut of_alice, mut of_carol) = (alice.socket().await, carol.socket().await);
    // More than every buffer between the two holds.
    let long = "\u{1f600}".repeat(7_900);
    let say = async {
        for number in 0..300 {
            of_alice.say(&thread, &format!("{number} {long}")).await;
        }
    };
    let hear = async {
        for number in 0..300 {
            let event = of_carol.expect("message.created").await;
            assert!(text(&event["data"], "content").starts_with(&format!("{number} ")));
        }
    };
    join(say, hear).await;
    let free = async { while bob.poll("", 0).await.status == 429 {} };
    soon("the slow one's place is free", free).await;
    // What the system still holds comes, and then the connection ends.
    let left = slow.rest().await;
    assert!(left.len() < 300 * long.len(), "it did not get everything");
    of_carol.is_alive().await;
}

#[tokio::test]
async fn a_full_outbox_is_dropped_after_bye_4202_and_a_resume_loses_nothing() {
    let server = Server::new(&[("HAILGATE_LIMIT_OUTBOX_FRAMES", "4"), ("HAILGATE_LIMIT_SENDS_BURST", "100000")]);
    let (alice, bob) = (server.person(), server.person());
    let thread = alice.thread(&[&bob]).await;
    let mut socket = bob.socket().await;
    let mut cursor = text(&socket.hello, "cursor").to_owned();
    // Posts that are stored together are delivered together: more than the outbox takes at once.
    let said = soon("a full outbox", async {
        for round in 1.. {
            futures_util::future::join_all((0..40).map(|_| alice.say(&thread, "x"))).await;
            if socket.has_ended().await {
                return round * 40;
            }
        }
        0
    })
    .await;
    let bye = socket.closed_with(4202).await;
    assert_eq!((&bye["reason"], &bye["reconnect"]), (&json!("slow_reader"), &json!(true)));
    let mut heard = std::collections::BTreeSet::new();
    while heard.len() < said {
        let page = bob.poll(&cursor, 0).await.json(200);
        for event in page["events"].as_array().expect("events") {
            assert!(heard.insert(event["sequence"].as_u64()), "{event} twice");
        }
        text(&page, "cursor").clone_into(&mut cursor);
    }
}

#[tokio::test]
async fn who_gives_no_sign_of_life_is_closed_4204_and_who_answers_pings_stays() {
    // The grace is that of the polite one too, however late a busy machine lets it answer.
    let server = Server::new(&[("HAILGATE_LIMIT_HEARTBEAT_MS", "1000"), ("HAILGATE_LIMIT_HEARTBEAT_GRACE_MS", "10000")]);
    let (alice, bob) = (server.person(), server.person());
    let mut silent = Raw::socket(server.port, alice.token()).await;
    let mut polite = Raw::socket(server.port, bob.token()).await;
    let answers = async {
        // For longer than a heartbeat and the grace, 11 s, whenever the silent one ends: the pings come a second apart.
        let mut pings = 0;
        while pings < 14 {
            let (first, payload) = polite.frame().await.expect("a frame");
            if first == 0x89 {
                pings += 1;
                polite.send(frame(0x8a, &payload)).await;
            }
        }
    };
    let (closed, ()) = join(silent.closed(), answers).await;
    assert_eq!(closed, (Some(4204), Some(4204)));
    polite.send(frame(TEXT, br#"{"type":"ping"}"#)).await;
    assert_eq!(polite.json().await["type"], "pong");
}

#[tokio::test]
async fn a_beat_is_a_sign_of_life_and_has_no_answer() {
    let server = Server::shared();
    let alice = server.person();
    let mut socket = alice.socket().await;
    socket.send(json!({"type": "beat", "data": {"cursor": socket.hello["cursor"]}})).await;
    socket.send(json!({"type": "beat"})).await;
    socket.is_alive().await;
    assert!(socket.unasked().is_empty(), "{:?}", socket.unasked());
}

#[tokio::test]
async fn a_socket_whose_token_expires_is_closed_4205_and_accepts_nothing_more() {
    let server = Server::shared();
    let alice = server.person();
    let opened = server.with_ending_token(&alice, async |short| Socket::try_open(short, "/ws").await).await;
    let (mut socket, short, _) = opened;
    let cursor = text(&socket.hello, "cursor").to_owned();
    let polled = short.poll(&cursor, 20_000);
    let (bye, polled) = join(socket.closed_with(4205), polled).await;
    assert_eq!(bye["reason"], "credentials_expired");
    polled.problem(401, "token_expired");
    assert!(!socket.send_raw(Message::text(r#"{"type":"ping"}"#)).await);
    short.try_upgrade("/ws").await.problem(401, "token_expired");
}

#[tokio::test]
async fn nothing_but_bye_and_the_close_frame_comes_after_the_tenth_bad_frame() {
    let server = Server::shared();
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    let mut raw = Raw::socket(server.port, alice.token()).await;
    let mut bytes = Vec::new();
    (0..10).for_each(|_| bytes.extend(frame(TEXT, b"nonsense")));
    let send = json!({"type": "message.send", "data": {"thread_id": thread, "content": "too late"}}).to_string();
    bytes.extend(frame(TEXT, send.as_bytes()));
    raw.send(bytes).await;
    for _ in 0..10 {
        assert_eq!(raw.json().await["type"], "error");
    }
    assert_eq!(raw.closed().await, (Some(4400), Some(4400)));
    assert_eq!(alice.history(&thread).await, Vec::<Value>::new());
}
