//! `token.refresh`: an open socket goes on by another token of its user, and ends with that one from then on.

use futures_util::future::join;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::{descent::by_ticket, jwt::now, people::text, server::Server, socket::Socket};

async fn refresh(socket: &mut Socket, token: &str) -> Value {
    socket.ask("token.refresh", json!({"token": token})).await
}

#[track_caller]
fn error(answer: &Value, code: &str) {
    assert_eq!((&answer["type"], &answer["data"]["code"]), (&json!("error"), &json!(code)), "{answer}");
    assert!(!text(&answer["data"], "message").is_empty());
}

#[tokio::test]
async fn a_token_that_is_refreshed_in_time_keeps_the_socket_and_one_that_is_not_is_closed_4205() {
    let server = Server::shared();
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    let opened = server.with_ending_token(&alice, async |short| {
        let (left, mut kept) = (Socket::try_open(short, "/ws").await?, Socket::try_open(short, "/ws").await?);
        let ack = kept.try_ask("token.refresh", json!({"token": alice.token()})).await?;
        Some((left, kept, ack))
    });
    let ((mut left, mut kept, ack), short, exp) = opened.await;
    assert_eq!(ack["type"], "ack", "{ack}");
    let expires_at = alice.get("/api/auth/me").await.json(200)["expires_at"].clone();
    assert_eq!(ack["data"], json!({"expires_at": expires_at}));
    let bye = left.closed_with(4205).await;
    assert_eq!(bye["reason"], "credentials_expired");
    // Not before the leeway is over; until when anything is taken, the next test shows by the server's own times.
    assert!(now() >= exp + 4, "closed {} s after its end", now() - exp);
    // The other one's token is of the same second: it is over, too.
    short.get("/api/auth/me").await.problem(401, "token_expired");
    kept.say(&thread, "still here").await;
    kept.expect("message.created").await;
}

#[tokio::test]
async fn a_message_that_is_sent_after_the_leeway_is_not_stored() {
    let server = Server::new(&[
        ("HAILGATE_LIMIT_SENDS_PER_SECOND", "100000"),
        ("HAILGATE_LIMIT_SENDS_BURST", "100000"),
        ("HAILGATE_LIMIT_FRAMES_PER_SECOND", "100000"),
        ("HAILGATE_LIMIT_FRAMES_BURST", "100000"),
    ]);
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    let send = json!({"type": "message.send", "data": {"thread_id": thread, "content": "in time?"}}).to_string();
    let (mut socket, _, exp) = server
        .with_ending_token(&alice, async |short| {
            let mut socket = Socket::try_open(short, "/ws").await?;
            let stored = socket.try_ask("message.send", json!({"thread_id": thread, "content": "in time"})).await?;
            (stored["type"] == "ack").then_some(socket)
        })
        .await;
    while socket.send_raw(Message::text(send.as_str())).await && !socket.has_ended().await {}
    assert_eq!(socket.end().await.code, Some(4205));
    let newest = alice.get(&format!("/api/messages?thread_id={thread}&limit=1")).await.json(200);
    let newest = text(&newest["messages"][0], "created_at").to_owned();
    let last = server.nobody().bearer(alice.token()).say(&thread, "later").await;
    assert!(newest.as_str() < text(&last, "created_at"));
    let over = crate::tokens::seconds(&newest);
    assert!(over < exp + 5, "the last one was stored {} s after the end", over - exp);
}

#[tokio::test]
async fn another_users_token_and_one_that_does_not_verify_change_nothing() {
    let server = Server::shared();
    let (alice, bob) = (server.browser().await, server.person());
    let program = alice.program().await;
    let mut socket = program.socket().await;
    let expired = server.site.token_of(&alice, &json!({"iat": now() - 600, "exp": now() - 60}));
    let ended = server.sign_in(&alice.name).await;
    let signed_out = ended.program().await;
    ended.logout().await;
    let refused = [
        (bob.token(), "bad_credentials"),
        (expired.token(), "token_expired"),
        (signed_out.token(), "signed_out"),
        ("x", "bad_credentials"),
        ("", "bad_credentials"),
        (&alice.pair().await.refresh, "bad_credentials"),
        (&alice.ticket().await, "bad_credentials"),
    ];
    for (token, code) in refused {
        let answer = refresh(&mut socket, token).await;
        error(&answer, code);
        assert!(text(&answer["data"], "message").contains("auth"), "{answer}");
        assert!(token.len() < 2 || !answer.to_string().contains(token), "{answer}");
    }
    for data in [json!({}), json!({"token": 5}), json!({"token": null})] {
        error(&socket.ask("token.refresh", data).await, "invalid");
    }
    let thread = alice.thread(&[]).await;
    socket.say(&thread, "as before").await;
    assert_eq!(alice.history(&thread).await[0]["author"], alice.name.as_str());
    alice.logout().await;
    socket.closed_with(4401).await;
}

#[tokio::test]
async fn a_connection_of_a_login_takes_no_token() {
    let server = Server::shared();
    let alice = server.browser().await;
    let program = alice.program().await;
    let mut socket = alice.socket().await;
    error(&refresh(&mut socket, program.token()).await, "not_a_token");
    error(&refresh(&mut socket, "x").await, "not_a_token");
    socket.is_alive().await;
}

#[tokio::test]
async fn a_socket_by_ticket_of_a_program_goes_on_by_its_next_token() {
    let server = Server::shared();
    let alice = server.browser().await;
    let ticket = alice.program().await.ticket().await;
    let mut socket = Socket::open(&server.nobody(), &by_ticket(&ticket)).await;
    let next = alice.pair().await;
    assert_eq!(refresh(&mut socket, &next.access).await["type"], "ack");
    server.refresh(&next.refresh).await.json(200);
    server.refresh(&next.refresh).await.problem(401, "bad_credentials");
    socket.closed_with(4401).await;
}

#[tokio::test]
async fn after_a_refresh_the_new_tokens_login_binds_the_socket_and_the_old_one_does_not() {
    let server = Server::shared();
    let one = server.browser().await;
    let two = server.sign_in(&one.name).await;
    let mut socket = one.program().await.socket().await;
    assert_eq!(refresh(&mut socket, two.program().await.token()).await["type"], "ack");
    let mut witness = one.socket().await;
    one.logout().await;
    witness.closed_with(4401).await;
    socket.is_alive().await;
    two.logout().await;
    socket.closed_with(4401).await;
}

#[tokio::test]
async fn a_token_that_ends_earlier_shortens_the_connection() {
    let server = Server::shared();
    let alice = server.person();
    let opened = server.with_ending_token(&alice, async |short| {
        let mut socket = alice.socket().await;
        let ack = refresh(&mut socket, short.token()).await;
        (ack["type"] == "ack").then_some((socket, ack))
    });
    let ((mut socket, ack), _, exp) = opened.await;
    assert_eq!(crate::tokens::seconds(text(&ack["data"], "expires_at")), exp, "{ack}");
    socket.closed_with(4205).await;
}

#[tokio::test]
async fn of_two_refreshes_at_once_the_later_token_binds_the_socket() {
    let server = &Server::new(&[("HAILGATE_LIMIT_TICKETS_PER_SECOND", "1000")]);
    let alice = server.browser().await;
    for _ in 0..30 {
        let (first, second) = (alice.pair().await, alice.pair().await);
        let mut socket = alice.program().await.socket().await;
        let frame = |id: &str, token: &str| json!({"type": "token.refresh", "id": id, "data": {"token": token}});
        socket.send(frame("1", &first.access)).await;
        socket.send(frame("2", &second.access)).await;
        for id in ["1", "2"] {
            let answer = socket.find("answer", |frame| frame["id"] == id).await.json;
            assert_eq!(answer["type"], "ack", "{answer}");
        }
        end_family(server, &first.refresh).await;
        socket.is_alive().await;
        end_family(server, &second.refresh).await;
        socket.closed_with(4401).await;
    }
}

/// Shows a refresh token twice.
async fn end_family(server: &Server, token: &str) {
    server.refresh(token).await.json(200);
    server.refresh(token).await.problem(401, "bad_credentials");
}

#[tokio::test]
async fn a_refresh_while_both_logins_end_leaves_no_socket_open() {
    let server = &Server::new(&[("HAILGATE_LIMIT_TICKETS_PER_SECOND", "1000")]);
    let alice = server.browser().await;
    for _ in 0..50 {
        let (old, new) = (alice.pair().await, alice.pair().await);
        let mut socket = alice.bearer(&old.access).socket().await;
        socket.send(json!({"type": "token.refresh", "data": {"token": new.access}})).await;
        join(end_family(server, &new.refresh), end_family(server, &old.refresh)).await;
        socket.closed_with(4401).await;
    }
}
