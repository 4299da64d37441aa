//! Upgrades that are malformed, or are something else at the same time: refused with 400 or 426, and the connection
//! ends, so that nothing behind them is ever read as a request.

use serde_json::Value;

use crate::{
    people::Person,
    raw::{Raw, upgrade},
    server::Server,
};

/// A second request that would be seen: it posts a message.
fn second(person: &Person, thread: &str) -> String {
    let body = format!(r#"{{"thread_id":"{thread}","content":"smuggled"}}"#);
    format!(
        "POST /api/messages HTTP/1.1\r\nHost: chat.test\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        person.token(),
        body.len()
    )
}

fn bearer(person: &Person) -> String {
    format!("Authorization: Bearer {}\r\n", person.token())
}

/// How many answers there are in what was read.
fn answers(read: &str) -> usize {
    read.match_indices("HTTP/1.")
        .filter(|(at, _)| read[*at..].get(8..12).is_some_and(|s| s.trim().parse::<u16>().is_ok()))
        .count()
}

/// Sends bytes, reads to the end of the connection, and shows that there was one answer, this one, and no message.
async fn one_answer(server: &Server, alice: &Person, thread: &str, bytes: String, status: u16) -> String {
    let mut raw = Raw::connect(server.port).await;
    raw.send(&bytes).await;
    let answer = String::from_utf8_lossy(&raw.rest().await).into_owned();
    let shown: String = bytes.chars().take(400).collect();
    assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{shown}\n->\n{answer}");
    assert_eq!(answers(&answer), 1, "{shown}\n->\n{answer}");
    let history: Vec<Value> = alice.history(thread).await;
    assert!(history.is_empty(), "{shown}\n->\n{history:?}");
    answer
}

#[tokio::test]
async fn an_upgrade_with_transfer_encoding_is_400_and_the_connection_ends() {
    let server = Server::shared();
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    let second = second(&alice, &thread);
    for (chunks, behind) in [("0\r\n\r\n", ""), ("0\r\n\r\n", second.as_str()), ("2\r\nxx\r\n0\r\n\r\n", &second), ("", "")]
    {
        let head = upgrade("/ws", &format!("{}Transfer-Encoding: chunked\r\n", bearer(&alice)));
        let answer = one_answer(server, &alice, &thread, format!("{head}{chunks}{behind}"), 400).await;
        assert!(answer.contains("\"bad_upgrade\""), "{answer}");
    }
}

#[tokio::test]
async fn an_upgrade_with_a_transfer_encoding_that_nobody_knows_is_400_and_the_connection_ends() {
    let server = Server::shared();
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    let second = second(&alice, &thread);
    for coding in ["gzip, chunked", "identity", "xchunked", "chunked, chunked", ""] {
        let head = upgrade("/ws", &format!("{}Transfer-Encoding: {coding}\r\n", bearer(&alice)));
        for behind in ["", "0\r\n\r\n", &second] {
            one_answer(server, &alice, &thread, format!("{head}{behind}"), 400).await;
        }
    }
}

#[tokio::test]
async fn a_second_request_in_place_of_the_chunks_of_an_upgrade_is_refused_and_never_answered() {
    let server = Server::shared();
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    let head = upgrade("/ws", &format!("{}Transfer-Encoding: chunked\r\n", bearer(&alice)));
    let mut raw = Raw::connect(server.port).await;
    raw.send(head + &second(&alice, &thread)).await;
    let answer = String::from_utf8_lossy(&raw.rest().await).into_owned();
    // For chunks that are none the library may end the connection before the refusal is written, or refuse once more.
    assert_eq!(answer.matches("HTTP/1.1 400 ").count(), answers(&answer), "{answer}");
    assert!(alice.history(&thread).await.is_empty());
}

#[tokio::test]
async fn an_upgrade_with_content_length_is_400_and_the_connection_ends() {
    let server = Server::shared();
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    let second = second(&alice, &thread);
    for length in [1, 5, second.len()] {
        let head = upgrade("/ws", &format!("{}Content-Length: {length}\r\n", bearer(&alice)));
        let answer = one_answer(server, &alice, &thread, format!("{head}{second}"), 400).await;
        assert!(answer.contains("\"bad_upgrade\""), "{answer}");
    }
    // No number, a list or two headers: the HTTP library refuses them before any handler runs.
    for length in ["+0", "-0", "0x0", "0, 0", "0 0", "", "0\r\nContent-Length: 0", "99999999999999999999"] {
        let head = upgrade("/ws", &format!("{}Content-Length: {length}\r\n", bearer(&alice)));
        one_answer(server, &alice, &thread, format!("{head}{second}"), 400).await;
    }
    let head = upgrade("/ws", &format!("{}Content-Length: {}\r\n", bearer(&alice), second.len()));
    one_answer(server, &alice, &thread, format!("{head}{second}{second}"), 400).await;
}

#[tokio::test]
async fn an_upgrade_whose_content_length_is_zero_has_no_body_and_is_101() {
    let server = Server::shared();
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    for length in ["0", "00"] {
        let head = upgrade("/ws", &format!("{}Content-Length: {length}\r\n", bearer(&alice)));
        // What follows is read as frames, never as a request.
        let answer = one_answer(server, &alice, &thread, head + &second(&alice, &thread), 101).await;
        assert!(answer.contains("protocol_error"), "{answer}");
    }
}

#[tokio::test]
async fn an_upgrade_over_http_1_0_is_400() {
    let server = Server::shared();
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    let head = upgrade("/ws", &bearer(&alice)).replace("HTTP/1.1", "HTTP/1.0");
    let mut raw = Raw::connect(server.port).await;
    raw.send(head + &second(&alice, &thread)).await;
    let answer = String::from_utf8_lossy(&raw.rest().await).into_owned();
    assert!(answer.starts_with("HTTP/1.0 400 ") || answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert_eq!(answers(&answer), 1, "{answer}");
    assert!(alice.history(&thread).await.is_empty());
}

#[tokio::test]
async fn a_second_request_behind_an_accepted_upgrade_is_never_answered() {
    let server = Server::shared();
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    let bytes = upgrade("/ws", &bearer(&alice)) + &second(&alice, &thread);
    let answer = one_answer(server, &alice, &thread, bytes, 101).await;
    // The bytes are no frame: the protocol is broken.
    assert!(answer.contains("protocol_error"), "{answer}");
}

#[tokio::test]
async fn a_second_request_behind_a_refused_upgrade_is_never_answered() {
    let server = Server::shared();
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    let second = second(&alice, &thread);
    let foreign = format!("{}Origin: https://evil.test\r\n", bearer(&alice));
    for (more, status) in [("", 401), ("Authorization: Bearer x\r\n", 401), (foreign.as_str(), 403)] {
        one_answer(server, &alice, &thread, upgrade("/ws", more) + &second, status).await;
    }
    let bad_key = upgrade("/ws", &bearer(&alice)).replace("dGhlIHNhbXBsZSBub25jZQ==", "short");
    one_answer(server, &alice, &thread, bad_key + &second, 400).await;
    let bad_version = upgrade("/ws", &bearer(&alice)).replace("Version: 13", "Version: 8");
    one_answer(server, &alice, &thread, bad_version + &second, 426).await;
    let elsewhere = upgrade("/nothing", &bearer(&alice));
    one_answer(server, &alice, &thread, elsewhere + &second, 404).await;
}

#[tokio::test]
async fn an_upgrade_of_another_path_or_method_opens_no_socket() {
    let server = Server::shared();
    let alice = server.person();
    for (path, status) in [("/", 200), ("/health", 200), ("/api/auth/me", 200), ("/ws/", 404)] {
        assert_eq!(alice.try_upgrade(path).await.status, status, "{path}");
    }
    let post = crate::people::upgrade(alice.request(reqwest::Method::POST, "/ws"));
    crate::answer::ask(post).await.problem(405, "method_not_allowed");
}

#[tokio::test]
async fn a_malformed_upgrade_is_400_and_a_plain_request_426() {
    let server = Server::shared();
    let alice = server.person();
    let good = upgrade("/ws", &bearer(&alice));
    for (what, from, to, status) in [
        ("no upgrade at all", "Connection: Upgrade\r\nUpgrade: websocket\r\n", "", 426),
        ("another protocol", "Upgrade: websocket", "Upgrade: h2c", 426),
        ("another version", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 12", 426),
        ("no version", "Sec-WebSocket-Version: 13\r\n", "", 400),
        ("no key", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "", 400),
        ("a short key", "dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZQ==", 400),
        ("a key that is not base64", "dGhlIHNhbXBsZSBub25jZQ==", "!!!!!!!!!!!!!!!!!!!!!!==", 400),
        ("a connection that stays", "Connection: Upgrade", "Connection: keep-alive", 400),
    ] {
        let mut raw = Raw::connect(server.port).await;
        raw.send(good.replace(from, to)).await;
        let (head, body) = raw.answer().await;
        assert_eq!(head.status, status, "{what}: {body}");
        let code = if status == 426 { "upgrade_required" } else { "bad_upgrade" };
        assert!(body.contains(&format!("\"code\":\"{code}\"")), "{what}: {body}");
        if status == 426 {
            assert_eq!(head.header("upgrade"), "websocket", "{what}");
            assert_eq!(head.header("sec-websocket-version"), "13", "{what}");
        }
    }
}

#[tokio::test]
async fn what_client_libraries_add_to_an_upgrade_is_no_reason_to_refuse_it() {
    let server = Server::shared();
    let alice = server.person();
    let bearer = bearer(&alice);
    for path in ["/ws?v=2", "/ws?_=1", "/ws?v=2&v=3&since=", "/ws?EIO=4&transport=websocket"] {
        let mut raw = Raw::connect(server.port).await;
        raw.send(upgrade(path, &bearer)).await;
        assert_eq!(raw.head().await.status, 101, "{path}");
    }
    let mut raw = Raw::connect(server.port).await;
    raw.send(upgrade("/ws", &format!("{bearer}Sec-WebSocket-Protocol: jwt-auth\r\n"))).await;
    let head = raw.head().await;
    assert_eq!((head.status, head.header("sec-websocket-protocol")), (101, "jwt-auth"));
    let mut raw = Raw::connect(server.port).await;
    raw.send(upgrade("/ws", "Sec-WebSocket-Protocol: jwt-auth\r\n")).await;
    assert_eq!(raw.answer().await.0.status, 401, "the name alone proves nothing");
}

#[tokio::test]
async fn the_order_of_refusal_is_origin_credentials_form_limits() {
    let server = Server::shared();
    let alice = server.person();
    let malformed = |more: &str| upgrade("/ws?colour=red", more).replace("Version: 13", "Version: 9");
    for (more, status, code) in [
        ("Origin: https://evil.test\r\n".to_owned(), 403, "foreign_origin"),
        (String::new(), 401, "unauthenticated"),
        (bearer(&alice), 426, "upgrade_required"),
    ] {
        let mut raw = Raw::connect(server.port).await;
        raw.send(malformed(&more)).await;
        raw.refused(status, code).await;
    }
}
