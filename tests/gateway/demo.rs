//! `demo`: the one command of a newcomer, and what it leaves for the next time.

use std::{os::unix::fs::PermissionsExt, sync::Arc};

use serde_json::{Value, json};

use crate::{
    answer::{Answer, ask},
    people::{Person, Proof, client, cookie, text},
    server::{Server, Site},
};

fn demo(site: &Arc<Site>) -> Server {
    let server = Server::start(site, site.command(&["demo", "--bind", "127.0.0.1:0", "--data", "data"]));
    server.log.wait_for("the last line", |line| line.contains("Stop with Ctrl-C").then_some(()));
    server
}

/// The sign-in code of somebody's link, and the origin of the link.
fn link(server: &Server, name: &str) -> (String, String) {
    server.log.wait_for("a link", |line| {
        let rest = line.trim().strip_prefix(name)?.trim();
        let (origin, code) = rest.split_once("/#signin=")?;
        Some((origin.to_owned(), code.to_owned()))
    })
}

async fn use_link(server: &Server, origin: &str, code: &str) -> Answer {
    let request = client().post(server.url("/api/auth/link")).header("Origin", origin);
    ask(request.json(&json!({"code": code}))).await
}

async fn sign_in(server: &Server, name: &str) -> Person {
    let (origin, code) = link(server, name);
    let answer = use_link(server, &origin, &code).await;
    assert_eq!(answer.json(200)["user_id"], name);
    let mut person = server.nobody().with(Proof::Cookie(cookie(&answer)));
    name.clone_into(&mut person.name);
    person
}

#[tokio::test]
async fn demo_prints_links_that_sign_in_exactly_once_from_its_own_page() {
    let server = demo(&Arc::new(Site::empty()));
    for (name, host) in [("alice", "127.0.0.1"), ("bob", "localhost")] {
        let (origin, code) = link(&server, name);
        assert_eq!(origin, format!("http://{host}:{}", server.port));
        assert!(code.len() >= 43, "256 bits: {code}");
        use_link(&server, "http://evil.test", &code).await.problem(403, "foreign_origin");
        use_link(&server, &origin, "nonsense").await.problem(401, "bad_login");
        let answer = use_link(&server, &origin, &code).await;
        let told = answer.json(200);
        assert_eq!((&told["user_id"], &told["auth_method"]), (&json!(name), &json!("session")));
        let again = use_link(&server, &origin, &code).await;
        again.problem(401, "bad_login");
        assert_eq!(again.header("set-cookie"), "");
    }
}

/// Asks to be signed in as one of the demo's accounts, with these cookies, from this origin.
async fn sign_in_again(server: &Server, name: &str, cookies: &str, origin: Option<&str>) -> Answer {
    let request = client().post(server.url(&format!("/api/auth/demo/{name}"))).header("Cookie", cookies);
    ask(origin.into_iter().fold(request, |request, origin| request.header("Origin", origin))).await
}

#[tokio::test]
async fn a_browser_that_opened_a_link_may_sign_in_again_and_no_other() {
    let server = demo(&Arc::new(Site::empty()));
    let (origin, code) = link(&server, "alice");
    let signed_in = use_link(&server, &origin, &code).await;
    let cookies: Vec<&str> =
        signed_in.headers.get_all("set-cookie").iter().filter_map(|value| value.to_str().ok()).collect();
    let known =
        cookies.iter().find_map(|value| value.split(';').next().filter(|pair| pair.starts_with("hailgate-browser=")));
    let known = known.unwrap_or_else(|| panic!("no cookie of a known browser: {cookies:?}"));
    for (name, cookies, from, status, code) in [
        ("alice", "", Some(&*origin), 401, "bad_login"),
        ("alice", "hailgate-browser=forged", Some(&*origin), 401, "bad_login"),
        ("carol", known, Some(&*origin), 401, "bad_login"),
        ("alice", known, Some("http://evil.test"), 403, "foreign_origin"),
        ("alice", known, Some("null"), 403, "foreign_origin"),
        ("alice", known, None, 403, "foreign_origin"),
    ] {
        let answer = sign_in_again(&server, name, cookies, from).await;
        answer.problem(status, code);
        assert_eq!(answer.header("set-cookie"), "");
    }
    let offers = async |cookies: &str| {
        let told = ask(client().get(server.url("/api/system/info")).header("Cookie", cookies)).await.json(200);
        told["sign_in"]["demo"].clone()
    };
    assert_eq!(offers("").await, json!([]), "who was never here is told that it is a demo, and no names");
    let both = json!([{"user_id": "alice", "name": "Alice"}, {"user_id": "bob", "name": "Bob"}]);
    assert_eq!(offers(known).await, both);
    for name in ["alice", "bob"] {
        assert_eq!(sign_in_again(&server, name, known, Some(&origin)).await.json(200)["user_id"], name);
    }
    // Who has set a password is asked for it.
    let input = "correct horse battery staple\n";
    assert!(server.site.run_with(&["user", "passwd", "bob", "--password-stdin", "--data", "data"], input).status.success());
    sign_in_again(&server, "bob", known, Some(&origin)).await.problem(401, "bad_login");
    assert_eq!(offers(known).await, json!([{"user_id": "alice", "name": "Alice"}]));
}

#[tokio::test]
async fn demo_run_twice_in_one_directory_uses_accounts_thread_and_messages_again() {
    let site = Arc::new(Site::empty());
    let mut server = demo(&site);
    let (_, first_code) = link(&server, "bob");
    let alice = sign_in(&server, "alice").await;
    let threads = alice.request(reqwest::Method::GET, "/api/threads");
    let before = ask(threads).await.json(200)["threads"].clone();
    assert_eq!(before.as_array().map(Vec::len), Some(1));
    let thread = text(&before[0], "thread_id").to_owned();
    let names: Vec<&str> = before[0]["members"].as_array().expect("members").iter().map(|m| text(m, "user_id")).collect();
    assert_eq!(names, ["alice", "bob"]);
    let history: Vec<Value> = alice.history(&thread).await;
    assert_eq!(history.len(), 1, "a first message");
    server.terminate();
    assert_eq!(server.ended().code(), Some(0));
    let server = demo(&site);
    let (origin, _) = link(&server, "bob");
    use_link(&server, &origin, &first_code).await.problem(401, "bad_login");
    let bob = sign_in(&server, "bob").await;
    assert_eq!(bob.history(&thread).await, history);
    assert_eq!(
        ask(bob.request(reqwest::Method::GET, "/api/threads")).await.json(200)["threads"].as_array().map(Vec::len),
        Some(1)
    );
    alice.at(&server).get("/api/auth/me").await.json(200);
}

#[tokio::test]
async fn the_curl_line_of_demo_posts_a_message_that_both_hear() {
    let server = demo(&Arc::new(Site::empty()));
    let said = server.log.text();
    let between = |from: &str, to: &str| {
        let rest = said.split_once(from).unwrap_or_else(|| panic!("{from} in {said}")).1;
        rest.split_once(to).expect("an end").0.to_owned()
    };
    let (token, body) = (between("Authorization: Bearer ", "'"), between("-d '", "'"));
    let alice = server.nobody().with(Proof::Bearer(token));
    let mut socket = alice.socket().await;
    let body: Value = serde_json::from_str(&body).expect("JSON");
    let sent = alice.post("/api/messages", body).await.json(201);
    assert_eq!(socket.expect("message.created").await["data"], sent["message"]);
    assert_eq!(sent["message"]["author"], "alice");
}

#[tokio::test]
async fn demo_keeps_its_keys_for_this_user_alone() {
    let site = Arc::new(Site::empty());
    let server = demo(&site);
    let data = site.directory.path().join("data");
    let mode = |path: &std::path::Path| path.metadata().expect("a file").permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    assert_eq!(mode(&data.join("hailgate.toml")), 0o600);
    assert!(data.join("hailgate.db").exists());
    // The same directory serves commands beside it.
    let token = site.told(&["token", "--data", "data", "--user", "bob"], "");
    let info = server.nobody().with(Proof::Bearer(token)).get("/api/auth/me").await.json(200);
    assert_eq!(info["name"], "Bob");
    let output = site.run(&["demo", "--bind", "0.0.0.0:0", "--data", "other"]);
    assert_eq!(output.status.code(), Some(78), "a demo stays on this machine");
}

#[tokio::test]
async fn a_demo_has_its_own_keys_and_database_whatever_was_exported_before() {
    // What the README says to export, an environment, a file that is not there; and a limit.
    let site = Arc::new(Site::with_secrets(&[
        ("ENVIRONMENT", "production"),
        ("HAILGATE_PUBLIC_URL", "https://chat.test"),
        ("HAILGATE_BIND", "0.0.0.0:1"),
        ("HAILGATE_CONFIG", "nothing.toml"),
        ("HAILGATE_LIMIT_CONTENT_CHARS", "777"),
    ]));
    let server = demo(&site);
    let said = "not looked at: ENVIRONMENT, HAILGATE_BIND, HAILGATE_CONFIG, HAILGATE_DATABASE_URL, HAILGATE_JWT_SECRET, \
                HAILGATE_SESSION_KEY";
    assert!(server.log.text().contains(said), "{}", server.log.text());
    assert!(!server.log.text().contains(site.variable("HAILGATE_SESSION_KEY")));
    let bob = sign_in(&server, "bob").await;
    bob.get("/api/auth/me").await.json(200);
    assert!(!site.directory.path().join("hailgate.db").exists(), "the other server's database is not touched");
    let output = site.run(&["token", "--data", "data", "--user", "alice"]);
    let token = String::from_utf8(output.stdout).expect("UTF-8").trim_end().to_owned();
    let mut socket = server.nobody().with(Proof::Bearer(token)).socket().await;
    socket.is_alive().await;
    assert_eq!(socket.hello["limits"]["content_chars"], 777);
}
