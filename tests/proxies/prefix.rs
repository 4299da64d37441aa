//! Under a path prefix that the proxy takes away: programs and sign-in work, the page does not.

use std::net::Ipv4Addr;

use serde_json::json;

use crate::{
    configuration::{DOCUMENT, Edits, Kind},
    deployment::Deployment,
    people::{Proof, cookie, text},
    visitor::Visitor,
};

/// How each takes `/chat` away. The new text stands in the document.
const PREFIX: [(Kind, Edits<'static>); 4] = [
    (Kind::Nginx, &[("location / {", "location /chat/ {"), ("http://127.0.0.1:8080;", "http://127.0.0.1:8080/;")]),
    (Kind::Caddy, &[("reverse_proxy 127.0.0.1:8080", "handle_path /chat/* {\n        reverse_proxy 127.0.0.1:8080\n    }")]),
    (
        Kind::HAProxy,
        &[(
            "default_backend hailgate",
            "http-request return status 404 unless { path_beg /chat/ }\n    http-request replace-path /chat(/.*) \\1\n    \
             default_backend hailgate",
        )],
    ),
    (Kind::Apache, &[("ProxyPass \"/\" \"http", "ProxyPass \"/chat/\" \"http")]),
];

#[tokio::test]
async fn under_a_prefix_programs_and_sign_in_work_and_the_page_does_not() {
    for (kind, edits) in PREFIX {
        if !kind.is_there() {
            continue;
        }
        for (_, text) in edits {
            assert!(text.lines().all(|line| DOCUMENT.contains(line.trim())), "{text} is not in the document");
        }
        let Deployment { server, proxy } = Deployment::start(kind, kind.block(0), edits);
        server.site.add_user("alice");
        server.site.add_user("bob");
        let page = Visitor::of(&proxy, Ipv4Addr::LOCALHOST).under("/chat");
        let bob = page.with(Proof::Bearer(server.site.token("bob")));
        let alice = page.with(Proof::Cookie(cookie(&page.login("alice").await)));
        let thread = bob.post("/api/threads", json!({"members": ["alice"]})).await.json(201);
        let mut sockets = [alice.socket("/ws").await, bob.socket("/ws").await];
        let mut events = bob.stream().await;
        bob.post("/api/messages", json!({"thread_id": text(&thread, "thread_id"), "content": "hello"})).await.json(201);
        for socket in &mut sockets {
            while socket.event().await.json["type"] != "message.created" {}
        }
        while events.event().await.json()["type"] != "message.created" {}
        // The page comes, but names its files without the prefix.
        let answer = page.get("/").await;
        assert!(answer.status == 200 && answer.body.contains("src=\"/static/"), "{kind:?}");
        let file = page.under("").get("/static/page.js").await;
        assert!(file.status == 404 || file.body.is_empty(), "{kind:?}");
    }
}
