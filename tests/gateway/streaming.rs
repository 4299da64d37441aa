//! Receiving by server-sent events: the same frames as on a socket, each with the cursor to go on from.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::{
    answer::ask,
    raw::Raw,
    server::{ORIGIN, Server},
    soon,
    stream::{Stream, asked},
};

#[tokio::test]
async fn the_first_event_of_a_stream_says_what_the_first_frame_of_a_socket_says() {
    let server = Server::shared();
    let alice = server.person();
    let (stream, socket) = (alice.stream().await, alice.socket().await);
    let (mut of_stream, mut of_socket) = (stream.hello.clone(), socket.hello.clone());
    assert_ne!(of_stream["connection_id"], of_socket["connection_id"]);
    for own in ["connection_id", "cursor"] {
        assert!(of_stream[own].is_string() && of_socket[own].is_string());
        (of_stream[own], of_socket[own]) = (json!(null), json!(null));
    }
    assert_eq!(of_stream, of_socket);
    assert_eq!((&of_stream["user"]["user_id"], &of_stream["resumed"]), (&json!(alice.name), &json!(false)));
}

#[tokio::test]
async fn an_event_comes_with_the_bytes_a_socket_gets_and_an_id_to_go_on_from() {
    let server = Server::shared();
    let (alice, bob) = (server.person(), server.person());
    let thread = alice.thread(&[&bob]).await;
    let (mut stream, mut socket) = (bob.stream().await, bob.socket().await);
    let mut last = Vec::new();
    for content in ["one", "two \u{1f600}\n\r\u{2028}", "three"] {
        alice.say(&thread, content).await;
        let event = stream.event().await;
        assert_eq!(event.data, socket.event().await.bytes);
        assert_eq!(event.json()["data"]["content"], content);
        last.push(event.id.expect("a cursor"));
    }
    let mut again = bob.stream_since(&last[0]).await;
    assert_eq!((&again.hello["resumed"], &again.hello["cursor"]), (&json!(true), &json!(last[0])));
    for content in ["two \u{1f600}\n\r\u{2028}", "three"] {
        assert_eq!(again.expect("message.created").await["data"]["content"], content);
    }
    let caught_up = again.next("caught_up").await;
    assert_eq!(caught_up.json()["data"]["events"], 2);
    assert_eq!(caught_up.id.as_deref(), caught_up.json()["data"]["cursor"].as_str().map(|_| again.last_id.as_str()));
    alice.say(&thread, "four").await;
    assert_eq!(again.expect("message.created").await["data"]["content"], "four");
    assert!(again.unasked().is_empty(), "{:?}", again.unasked());
}

#[tokio::test]
async fn a_cursor_frame_comes_with_its_id_beside_events_of_others() {
    let server = Server::new(&[("HAILGATE_LIMIT_HEARTBEAT_MS", "1000"), ("HAILGATE_WORKERS", "1")]);
    let (alice, eve) = (server.person(), server.person());
    let (own, foreign) = (alice.thread(&[]).await, eve.thread(&[]).await);
    let mut stream = alice.stream().await;
    let _hers = eve.stream().await;
    // An event that comes before the stream is live is no news to it.
    let again_and_again = async {
        let mut pace = tokio::time::interval(Duration::from_millis(200));
        loop {
            pace.tick().await;
            eve.say(&foreign, "not for alice").await;
        }
    };
    let cursor = tokio::select! {
        cursor = stream.next("cursor") => cursor,
        () = again_and_again => unreachable!("it has no end"),
    };
    assert!(cursor.id.is_some() && cursor.json()["data"]["cursor"].is_string());
    alice.say(&own, "later").await;
    let mut again = alice.stream_since(&cursor.id.expect("a cursor")).await;
    assert_eq!(again.expect("message.created").await["data"]["content"], "later");
}

#[tokio::test]
async fn the_last_event_id_wins_over_the_address_of_the_first_time() {
    let server = Server::shared();
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    let mut stream = alice.stream().await;
    let first = stream.last_id.clone();
    for content in ["one", "two", "three"] {
        alice.say(&thread, content).await;
        stream.expect("message.created").await;
        if content == "two" {
            let back = alice.request(Method::GET, &format!("/api/events?since={first}"));
            let mut back = Stream::open(back.header("Last-Event-ID", &stream.last_id)).await;
            alice.say(&thread, "in between").await;
            assert_eq!(back.expect("message.created").await["data"]["content"], "in between");
            stream.expect("message.created").await;
        }
    }
    // A header without a cursor in it is none.
    let back = alice.request(Method::GET, &format!("/api/events?since={first}")).header("Last-Event-ID", "");
    assert_eq!(Stream::open(back).await.expect("message.created").await["data"]["content"], "one");
}

#[tokio::test]
async fn a_cursor_that_does_not_hold_is_told_by_a_reset_and_the_stream_goes_on_from_the_head() {
    let server = Server::shared();
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    alice.say(&thread, "before").await;
    for (since, id) in [("nonsense", None), ("", None), ("x", Some("also-none")), ("x", Some("\u{e9}"))] {
        let mut request = alice.request(Method::GET, &format!("/api/events?since={since}"));
        if let Some(id) = id {
            request = request.header("Last-Event-ID", id);
        }
        let mut stream = Stream::open(request).await;
        assert_eq!((&stream.hello["resumed"], &stream.hello["reason"]), (&json!(false), &json!("bad_cursor")));
        let reset = stream.hear().await.expect("a reset");
        assert_eq!(reset.name, "reset");
        assert_eq!(reset.json(), json!({"code": "bad_cursor", "cursor": stream.hello["cursor"]}));
        assert_eq!(reset.id.as_deref(), stream.hello["cursor"].as_str());
        alice.say(&thread, "live").await;
        assert_eq!(stream.expect("message.created").await["data"]["content"], "live");
        assert_eq!(stream.unasked(), Vec::<&crate::stream::Told>::new());
    }
}

#[tokio::test]
async fn comments_keep_a_silent_stream_and_its_client_need_not_answer() {
    let server = Server::new(&[("HAILGATE_LIMIT_HEARTBEAT_MS", "1000"), ("HAILGATE_LIMIT_HEARTBEAT_GRACE_MS", "1000")]);
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    let mut stream = alice.stream().await;
    let mut heard = Vec::new();
    // Longer than a socket that answers no ping lives.
    while stream.beats < 5 {
        alice.say(&thread, "x").await;
        heard.push(stream.event().await);
        let beats = stream.beats;
        while stream.beats == beats {
            let more = soon("a beat", stream.hear_or_beat()).await;
            assert!(more, "the stream ended");
        }
    }
    assert!(!heard.is_empty());
}

#[tokio::test]
async fn accept_decides_between_stream_and_poll_and_what_takes_neither_is_refused() {
    let server = Server::shared();
    let alice = server.person();
    let ask_for = |accept: &'static str| {
        let request = alice.request(Method::GET, "/api/events?timeout_ms=0").header("Accept", accept);
        async move { soon("an answer", request.send()).await.expect("an answer") }
    };
    for (accept, form) in [
        ("text/event-stream", "text/event-stream"),
        ("text/event-stream;q=0.2, application/json;q=0.1", "text/event-stream"),
        ("text/event-stream;q=0.1, application/json;q=0.2", "application/json"),
        ("*/*", "application/json"),
        ("text/event-stream;q=0, */*", "application/json"),
    ] {
        let response = ask_for(accept).await;
        assert_eq!(
            (response.status().as_u16(), &response.headers()["content-type"]),
            (200, &form.parse().expect("text")),
            "{accept}"
        );
    }
    for accept in ["text/html", "text/event-stream;q=0", "nonsense"] {
        let request = alice.request(Method::GET, "/api/events?timeout_ms=0").header("Accept", accept);
        ask(request).await.problem(406, "not_acceptable");
    }
    // Who it is comes first.
    server.nobody().no_stream("/api/events").await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_proxy_that_speaks_http_1_0_gets_a_stream_without_chunks_that_ends_with_its_connection() {
    let server = Server::shared();
    let alice = server.browser().await;
    let thread = alice.thread(&[]).await;
    for version in ["HTTP/1.0", "HTTP/1.1"] {
        let mut raw = Raw::connect(server.port).await;
        let elsewhere = server.sign_in(&alice.name).await;
        let cookie = elsewhere.cookie();
        raw.send(format!(
            "GET /api/events {version}\r\nHost: chat.test\r\nAccept: text/event-stream\r\nOrigin: {ORIGIN}\r\nCookie: {cookie}\r\n\r\n"
        ))
        .await;
        let head = raw.head().await;
        let chunked = head.header("transfer-encoding");
        assert_eq!((head.status, chunked), (200, if version == "HTTP/1.0" { "" } else { "chunked" }), "{head:?}");
        assert!(head.header("content-length").is_empty(), "{head:?}");
        alice.say(&thread, "hello").await;
        elsewhere.post("/api/auth/logout", json!({})).await;
        let body = String::from_utf8(raw.rest().await).expect("text");
        assert!(body.contains("connection_established") && body.contains("\"content\":\"hello\""), "{body}");
        assert!(body.contains("event: bye\n") && body.contains("\"code\":4401"), "{body}");
        if version == "HTTP/1.0" {
            assert!(body.starts_with("id: ") && body.ends_with("\n\n"), "{body}");
        } else {
            assert!(body.ends_with("\r\n0\r\n\r\n"), "{body}");
        }
    }
}

#[tokio::test]
async fn a_ticket_opens_a_stream_once_and_a_foreign_page_none() {
    let server = Server::shared();
    let alice = server.browser().await;
    let (ticket, nobody) = (alice.ticket().await, server.nobody());
    let path = format!("/api/events?ticket={ticket}");
    let stream = Stream::open(nobody.request(Method::GET, &path)).await;
    assert_eq!(stream.hello["user"]["user_id"], alice.name.as_str());
    assert_eq!(stream.hello["auth"]["method"], "ticket");
    nobody.no_stream(&path).await.problem(401, "bad_credentials");
    nobody.no_stream("/api/events?token=x").await.problem(401, "bad_credentials");
    let foreign = nobody.request(Method::GET, "/api/events").header("Cookie", alice.cookie());
    ask(asked(foreign).header("Origin", "https://evil.test")).await.problem(403, "foreign_origin");
    let same_site = nobody.request(Method::GET, "/api/events").header("Cookie", alice.cookie());
    ask(asked(same_site).header("Sec-Fetch-Site", "same-site")).await.problem(403, "foreign_origin");
}
