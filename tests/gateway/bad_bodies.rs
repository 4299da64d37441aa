//! Bad input over REST: each has its status, code and field, and nothing of it is stored.

use reqwest::{Method, header::CONTENT_TYPE};
use serde_json::{Value, json};

use crate::{
    answer::{Answer, ask},
    people::{Person, text},
    raw::Raw,
    server::Server,
};

async fn post_text(person: &Person, path: &str, body: impl Into<reqwest::Body>) -> Answer {
    let request = person.request(Method::POST, path).header(CONTENT_TYPE, "application/json");
    ask(request.body(body)).await
}

#[tokio::test]
async fn a_body_that_is_not_json_is_400() {
    let server = Server::shared();
    let alice = server.person();
    for body in ["", "hello", "{", "{\"thread_id\":", "{} {}", "\u{feff}{}", "{'a':1}", "NaN"] {
        post_text(&alice, "/api/messages", body).await.problem(400, "invalid");
    }
    post_text(&alice, "/api/threads", "{\"members\":[]} x").await.invalid("body");
    post_text(&alice, "/api/messages", b"{\"content\":\"\xff\xfe\"}".to_vec()).await.problem(400, "invalid");
}

#[tokio::test]
async fn a_field_of_the_wrong_type_is_named() {
    let server = Server::shared();
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    for (field, wrong) in [
        ("thread_id", json!(5)),
        ("thread_id", json!("not-an-id")),
        ("thread_id", json!(thread.replace('-', ""))),
        ("thread_id", json!(format!("{{{thread}}}"))),
        ("thread_id", Value::Null),
        ("content", json!(5)),
        ("content", json!(["x"])),
        ("content", Value::Null),
        ("client_message_id", json!(1)),
        ("client_message_id", json!("")),
        ("client_message_id", json!("x".repeat(129))),
        ("client_message_id", json!("ü")),
        ("client_message_id", json!("a\nb")),
        ("metadata", json!("text")),
        ("metadata", json!([1])),
        ("metadata", json!({"k": "x".repeat(4096)})),
    ] {
        let mut body = json!({"thread_id": thread, "content": "x"});
        body[field] = wrong;
        alice.post("/api/messages", body).await.invalid(field);
    }
    for body in ["[]", "5", "\"text\"", "null", "[{}]"] {
        post_text(&alice, "/api/messages", body).await.problem(400, "invalid");
    }
    for missing in ["thread_id", "content"] {
        let mut body = json!({"thread_id": thread, "content": "x"});
        body.as_object_mut().expect("an object").remove(missing);
        alice.post("/api/messages", body).await.problem(400, "invalid");
    }
    assert!(alice.history(&thread).await.is_empty());
}

#[tokio::test]
async fn an_unknown_field_is_400_and_named() {
    let server = Server::shared();
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    let message = json!({"thread_id": thread, "content": "x", "contents": "x"});
    for (method, path, body, field) in [
        (Method::POST, "/api/messages".to_owned(), message, "contents"),
        (Method::POST, "/api/threads".to_owned(), json!({"members": [], "colour": "red"}), "colour"),
        (Method::PATCH, format!("/api/threads/{thread}"), json!({"title": "x", "colour": "red"}), "colour"),
        (Method::PATCH, format!("/api/messages/{thread}"), json!({"content": "x", "colour": "red"}), "colour"),
        (Method::PUT, format!("/api/threads/{thread}/read"), json!({"sequence": 1, "colour": "red"}), "colour"),
    ] {
        let problem = ask(alice.request(method, &path).json(&body)).await.invalid(field);
        assert!(text(&problem, "detail").contains(field));
    }
    let login = json!({"username": alice.name, "password": "x", "remember": true});
    server.nobody().post("/api/auth/login", login).await.invalid("remember");
    assert!(alice.history(&thread).await.is_empty());
}

#[tokio::test]
async fn content_has_between_1_and_8000_characters_and_is_not_blank() {
    let server = Server::shared();
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    for blank in ["", " ", "\n\t\r ", "\u{a0}\u{2003}\u{3000}"] {
        alice.post("/api/messages", json!({"thread_id": thread, "content": blank})).await.invalid("content");
    }
    for whole in ["x", "\u{1f600}", "\u{e4}", "\u{1}"] {
        let longest = whole.repeat(8_000);
        let message = alice.say(&thread, &longest).await;
        assert_eq!(message["content"], longest.as_str());
        let over = json!({"thread_id": thread, "content": whole.repeat(8_001)});
        alice.post("/api/messages", over).await.invalid("content");
    }
    assert_eq!(alice.history(&thread).await.len(), 4);
}

#[tokio::test]
async fn nul_and_lone_surrogates_are_refused_and_pairs_are_kept() {
    let server = Server::shared();
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    let send =
        |content: &str| post_text(&alice, "/api/messages", format!(r#"{{"thread_id":"{thread}","content":"{content}"}}"#));
    send(r"a\u0000b").await.invalid("content");
    for lone in [r"\ud800", r"\udc00", r"\udc00\ud800", r"x\ud83d"] {
        let answer = send(lone).await;
        assert_eq!(answer.status, 400, "{lone}");
    }
    assert_eq!(send(r"\ud83d\ude00").await.json(201)["message"]["content"], "\u{1f600}");
    assert_eq!(alice.history(&thread).await.len(), 1);
}

#[tokio::test]
async fn deep_json_is_refused_and_the_server_lives() {
    let server = Server::shared();
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    for deep in ["[".repeat(60_000), "{\"a\":".repeat(20_000)] {
        assert_eq!(post_text(&alice, "/api/messages", deep.clone()).await.status, 400);
        let inside = format!(r#"{{"thread_id":"{thread}","content":"x","metadata":{{"a":{deep}"#);
        assert_eq!(post_text(&alice, "/api/messages", inside).await.status, 400);
    }
    let nested = |levels: usize| {
        let mut value = json!({});
        (1..levels).for_each(|_| value = json!({"a": value}));
        json!({"thread_id": thread, "content": "x", "metadata": value})
    };
    alice.post("/api/messages", nested(8)).await.json(201);
    alice.post("/api/messages", nested(9)).await.invalid("metadata");
    assert_eq!(server.nobody().get("/health").await.json(200), json!({"status": "healthy"}));
}

#[tokio::test]
async fn a_body_over_128_kib_is_413_and_one_of_128_kib_is_read() {
    let server = Server::shared();
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    let body = |length: usize| {
        let start = format!(r#"{{"thread_id":"{thread}","content":"x"}}"#);
        start.clone() + &" ".repeat(length - start.len())
    };
    post_text(&alice, "/api/messages", body(131_072)).await.json(201);
    post_text(&alice, "/api/messages", body(131_073)).await.problem(413, "too_big");
    // Said in the header, before it is sent.
    let mut raw = Raw::connect(server.port).await;
    let head = format!(
        "POST /api/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: 1073741824\r\n\r\n",
        alice.token()
    );
    raw.send(head).await;
    raw.refused(413, "too_big").await;
    assert_eq!(alice.history(&thread).await.len(), 1);
}

#[tokio::test]
async fn a_body_in_chunks_without_length_has_the_same_limit() {
    let server = Server::shared();
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    let head = format!(
        "POST /api/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\n\r\n",
        alice.token()
    );
    let body = format!(r#"{{"thread_id":"{thread}","content":"in chunks"}}"#);
    let mut raw = Raw::connect(server.port).await;
    raw.send(format!("{head}5\r\n{}\r\n{:x}\r\n{}\r\n0\r\n\r\n", &body[..5], body.len() - 5, &body[5..])).await;
    assert_eq!(raw.answer().await.0.status, 201);
    let mut raw = Raw::connect(server.port).await;
    raw.send(head.as_str()).await;
    for _ in 0..3 {
        raw.send(format!("10000\r\n{}\r\n", " ".repeat(65_536))).await;
    }
    raw.refused(413, "too_big").await;
    assert_eq!(alice.history(&thread).await.len(), 1);
}

#[tokio::test]
async fn chunks_that_are_none_end_the_connection_and_nothing_behind_them_is_read() {
    let server = Server::shared();
    let alice = server.person();
    let mut raw = Raw::connect(server.port).await;
    raw.send(format!(
        "POST /api/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Transfer-Encoding: chunked\r\n\r\nzz\r\nnot a chunk\r\n0\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n",
        alice.token()
    ))
    .await;
    let rest = String::from_utf8_lossy(&raw.rest().await).into_owned();
    // The library may end such a connection without a word.
    assert!(rest.is_empty() || rest.starts_with("HTTP/1.1 400 "), "{rest}");
    assert!(!rest.contains("healthy"), "{rest}");
}

#[tokio::test]
async fn a_post_without_length_and_body_is_400_and_one_without_type_415() {
    let server = Server::shared();
    let alice = server.person();
    let post = |more: &str| {
        format!("POST /api/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n{more}\r\n", alice.token())
    };
    let mut raw = Raw::connect(server.port).await;
    raw.send(post("Content-Type: application/json\r\n")).await;
    raw.refused(400, "invalid").await;
    let types = [
        "",
        "Content-Type: text/plain\r\n",
        "Content-Type: application/x-www-form-urlencoded\r\n",
        "Content-Type: json\r\n",
    ];
    for kind in types {
        let mut raw = Raw::connect(server.port).await;
        raw.send(post(&format!("{kind}Content-Length: 2\r\n")) + "{}").await;
        raw.refused(415, "unsupported_media_type").await;
    }
    let mut raw = Raw::connect(server.port).await;
    raw.send(post("Content-Type: application/json; charset=utf-8\r\nContent-Length: 2\r\n") + "{}").await;
    raw.refused(400, "invalid").await;
}

#[tokio::test]
async fn a_body_that_does_not_arrive_in_time_is_408() {
    let server = Server::new(&[("HAILGATE_LIMIT_BODY_MS", "200")]);
    let alice = server.person();
    let mut raw = Raw::connect(server.port).await;
    raw.send(format!(
        "POST /api/messages HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: 100\r\n\r\n{{",
        alice.token()
    ))
    .await;
    raw.refused(408, "request_timeout").await;
}

#[tokio::test]
async fn a_query_with_a_wrong_or_unknown_name_is_400() {
    let server = Server::shared();
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    for path in [
        "/api/threads?limit=0",
        "/api/threads?limit=101",
        "/api/threads?limit=ten",
        "/api/threads?limit=-1",
        "/api/threads?after=x",
        "/api/threads?colour=red",
        "/api/messages?limit=0",
        "/api/messages?limit=101",
        "/api/messages?before=x",
        "/api/messages?thread_id=x",
        "/api/messages?colour=red",
        &format!("/api/messages?thread_id={thread}&before=1&after=1"),
        &format!("/api/messages?thread_id={thread}&before=x"),
        &format!("/api/messages?thread_id={thread}&after=-1"),
        "/api/events?timeout_ms=30001",
        "/api/events?timeout_ms=x",
        "/api/events?colour=red",
        "/api/users",
        "/api/users?q=",
        "/api/users?q=a",
        &format!("/api/users?q={}", "a".repeat(129)),
        "/ws?since=a&since=b",
    ] {
        let answer = if path.starts_with("/ws") { alice.try_upgrade(path).await } else { alice.get(path).await };
        let problem = answer.problem(400, "invalid");
        assert!(problem["errors"].as_array().is_some_and(|errors| !errors.is_empty()), "{path}: {problem}");
    }
}
