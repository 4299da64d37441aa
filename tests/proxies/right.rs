//! The configurations of the document work.

use std::net::Ipv4Addr;

use serde_json::json;

use crate::{
    configuration::Kind,
    deployment::Deployment,
    people::{Proof, cookie, text},
    visitor::Visitor,
};

/// A user whose id has every kind of sign that an id may have in a path.
const ODD: &str = "x.y_z@example.org|a+b-c";

async fn works(kind: Kind) {
    if !kind.is_there() {
        return;
    }
    let deployment = Deployment::start(kind, kind.block(0), &[]);
    let Deployment { server, proxy } = &deployment;
    for name in ["alice", "bob", ODD] {
        server.site.add_user(name);
    }
    let page = Visitor::of(proxy, Ipv4Addr::new(127, 0, 0, 2));
    let answer = page.login("alice").await;
    answer.json(200);
    for attribute in ["HttpOnly", "Secure", "SameSite=Lax", "Path=/", "Max-Age=604800"] {
        assert!(answer.set_cookie("hailgate").split("; ").any(|found| found == attribute), "{:?}", answer.headers);
    }
    let alice = page.with(Proof::Cookie(cookie(&answer)));
    let bob = Visitor::of(proxy, Ipv4Addr::new(127, 0, 0, 3)).with(Proof::Bearer(server.site.token("bob")));
    let thread = alice.post("/api/threads", json!({"members": ["bob"]})).await.json(201);
    let thread = text(&thread, "thread_id").to_owned();

    // A browser's socket, by cookie and origin; a program's, by bearer.
    let (mut of_alice, mut of_bob) = (alice.socket("/ws").await, bob.socket("/ws").await);
    assert_eq!((&of_alice.hello["auth"]["method"], &of_bob.hello["auth"]["method"]), (&json!("session"), &json!("bearer")));
    let mut events = bob.stream().await;
    // The next is not sent before this one has come on both: nothing may wait for more.
    for number in 0..4 {
        let content = format!("{number} {}", "x".repeat(number * 2_600));
        let frame = json!({"type": "message.send", "id": number, "data": {"thread_id": thread, "content": content}});
        of_alice.send(frame).await;
        assert_eq!(of_bob.expect("message.created").await["data"]["content"], content.as_str());
        assert_eq!(events.expect("message.created").await["data"]["content"], content.as_str());
        assert_eq!(of_alice.expect("message.created").await["data"]["content"], content.as_str());
    }
    long_poll(&alice, &bob, &thread, &events.last_id).await;

    // Ids arrive as they were written, and bodies as large as the server takes them.
    let escaped = ODD.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat();
    for path in [ODD.replace('|', "%7C").replace('+', "%2B"), escaped] {
        let added = alice.put(&format!("/api/threads/{thread}/members/{path}")).await;
        assert!(matches!(added.status, 200 | 201 | 204), "{path}: {} {}", added.status, added.body);
    }
    let large = "\u{10348}".repeat(8_000);
    let escaped = large.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect::<Vec<_>>().concat();
    let body = format!("{{\"thread_id\":\"{thread}\",\"content\":\"{escaped}\"}}");
    let sent = alice.request(reqwest::Method::POST, "/api/messages").header("Content-Type", "application/json").body(body);
    crate::answer::ask(sent).await.json(201);

    // The log names the client, not the proxy.
    Visitor::of(proxy, Ipv4Addr::new(127, 0, 0, 4)).get("/api/auth/me").await.problem(401, "unauthenticated");
    server.log.wait_for("the client's address", |line| {
        (line.contains("/api/auth/me") && line.contains("127.0.0.4")).then_some(())
    });
    for socket in [&mut of_alice, &mut of_bob] {
        assert_eq!(socket.close(1000).await, Some(1000));
    }
}

/// A poll that waits ends with what it waited for; one without patience ends at once.
async fn long_poll(alice: &Visitor, bob: &Visitor, thread: &str, since: &str) {
    let empty = bob.get(&format!("/api/events?since={since}&timeout_ms=0")).await.json(200);
    assert_eq!(empty["events"], json!([]));
    let path = format!("/api/events?since={}&timeout_ms=25000", text(&empty, "cursor"));
    let (polled, sent) =
        tokio::join!(bob.get(&path), alice.post("/api/messages", json!({"thread_id": thread, "content": "wake up"})),);
    sent.json(201);
    assert_eq!(polled.json(200)["events"][0]["data"]["content"], "wake up");
}

#[tokio::test]
async fn the_configuration_of_nginx_works() {
    works(Kind::Nginx).await;
}

#[tokio::test]
async fn the_configuration_of_caddy_works() {
    works(Kind::Caddy).await;
}

#[tokio::test]
async fn the_configuration_of_haproxy_works() {
    works(Kind::HAProxy).await;
}

#[tokio::test]
async fn the_configuration_of_apache_works() {
    works(Kind::Apache).await;
}

#[test]
fn check_finds_nothing_wrong_with_the_configurations() {
    for kind in Kind::ALL.into_iter().filter(|kind| kind.is_there()) {
        let deployment = Deployment::start(kind, kind.block(0), &[]);
        let output = deployment.proxy.check(&["--expect-environment", "testing"], "");
        let told = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{kind:?}: {told}{}", String::from_utf8_lossy(&output.stderr));
        assert!(told.contains("\n0 of "), "{kind:?}: {told}");
    }
}
