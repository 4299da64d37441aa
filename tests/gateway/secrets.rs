//! Nothing secret is ever written: not in the log at its loudest, not in an answer.

use serde_json::json;

use crate::{
    descent::{Pair, by_ticket},
    people::{Proof, cookie},
    server::{PASSWORD, Server, random},
    socket::Socket,
};

#[tokio::test]
async fn no_token_cookie_password_or_content_is_written_to_the_log() {
    let server = Server::new(&[("RUST_LOG", "trace")]);
    let (alice, bob) = (server.browser().await, server.person());
    let (wrong_password, wrong_token, content) = (random(30), random(30), random(30));
    server.login(&alice.name, &wrong_password).await.problem(401, "bad_login");
    let nobody = bob.with(Proof::Nothing);
    nobody.try_upgrade(&format!("/ws?token={wrong_token}")).await.problem(401, "bad_credentials");
    nobody.with(Proof::Bearer(wrong_token.clone())).get("/api/auth/me").await.problem(401, "bad_credentials");
    nobody.get(&format!("/api/messages?token={}", bob.token())).await.problem(401, "bad_credentials");
    nobody.get(&format!("/nothing?token={}", bob.token())).await.problem(404, "not_found");
    let thread = bob.thread(&[&alice]).await;
    let mut socket = Socket::open(&nobody, &format!("/ws?token={}", bob.token())).await;
    socket.say(&thread, &content).await;
    socket.refused(&format!("{content} is not JSON")).await;
    bob.post("/api/messages", json!({"thread_id": thread, "content": content, content.clone(): 1}))
        .await
        .problem(400, "invalid");
    alice.say(&thread, &content).await;
    alice.socket().await.is_alive().await;
    alice.post("/api/auth/logout", json!({})).await.empty(204);
    server.log.wait_for("the logout", |line| line.contains("/api/auth/logout").then_some(()));
    let log = server.log.text();
    let (_, sealed) = alice.cookie().split_once('=').expect("a value");
    let signature = bob.token().rsplit_once('.').expect("a signature").1;
    for (what, secret) in [
        ("the password", PASSWORD),
        ("a wrong password", &wrong_password),
        ("a wrong token", &wrong_token),
        ("a token", bob.token()),
        ("a token's signature", signature),
        ("the cookie", sealed),
        ("the cookie's end", &sealed[sealed.len() - 20..]),
        ("the signing secret", server.site.variable("HAILGATE_JWT_SECRET")),
        ("the session key", server.site.variable("HAILGATE_SESSION_KEY")),
        ("what was said", &content),
    ] {
        assert!(!log.contains(secret), "{what} is in the log");
    }
}

#[tokio::test]
async fn nothing_that_descends_from_a_login_is_written_to_the_log_or_said_back() {
    let server = Server::new(&[("RUST_LOG", "trace")]);
    let alice = server.browser().await;
    let first = alice.pair().await;
    let second = Pair::of(&server.refresh(&first.refresh).await);
    let (used, unused) = (alice.ticket().await, alice.ticket().await);
    let (wrong, short, new) = (random(43), random(5), random(30));
    let program = alice.bearer(&first.access);
    let mut socket = program.socket().await;
    socket.ask("token.refresh", json!({"token": second.access})).await;
    let said = [
        socket.ask("token.refresh", json!({"token": wrong})).await.to_string(),
        socket.ask("token.refresh", json!({"token": 5, "x": second.access})).await.to_string(),
    ];
    Socket::open(&server.nobody(), &by_ticket(&used)).await.is_alive().await;
    let nobody = server.nobody();
    let change = |current: &str, new: &str| json!({"current_password": current, "new_password": new});
    let answers = [
        nobody.try_upgrade(&by_ticket(&used)).await,
        nobody.try_upgrade(&format!("{}&ticket={used}", by_ticket(&unused))).await,
        nobody.get(&format!("/api/threads?ticket={unused}")).await,
        nobody.get(&format!("/api/events?since=x&ticket={wrong}")).await,
        nobody.post_nothing(&format!("/api/ws/preflight?ticket={unused}")).await,
        nobody.post_nothing(&format!("/api/ws/preflight?token={}", second.access)).await,
        nobody.post_nothing(&format!("/nothing?ticket={unused}")).await,
        server.refresh(&wrong).await,
        nobody.post("/api/auth/refresh", json!({"refresh_token": second.refresh, "x": 1})).await,
        nobody.post("/api/auth/refresh", json!({"refresh_token": [second.refresh]})).await,
        alice.bearer(&second.refresh).get("/api/auth/me").await,
        alice.post("/api/auth/password", change(&wrong, &new)).await,
        alice.post("/api/auth/password", change(PASSWORD, &short)).await,
        alice.post("/api/auth/password", change(PASSWORD, &new)).await,
        alice.get("/api/auth/sessions").await,
        server.refresh(&first.refresh).await,
        server.refresh(&second.refresh).await,
        program.get("/api/auth/me").await,
    ];
    socket.closed_with(4401).await;
    let renewed = answers.iter().find(|answer| !answer.set_cookie("hailgate").is_empty()).expect("a renewed cookie");
    alice.with(Proof::Cookie(cookie(renewed))).logout().await;
    server.log.wait_for("the logout", |line| line.contains("/api/auth/logout").then_some(()));
    let said = answers.iter().map(|answer| format!("{:?} {}", answer.headers, answer.body)).chain(said).collect::<Vec<_>>();
    let (_, sealed) = alice.cookie().split_once('=').expect("a value");
    let secrets = [
        ("an access token", first.access.as_str()),
        ("the next access token", &second.access),
        ("its signature", second.access.rsplit_once('.').expect("a signature").1),
        ("a refresh token", &first.refresh),
        ("the next refresh token", &second.refresh),
        ("a used ticket", &used),
        ("a ticket", &unused),
        ("a wrong secret", &wrong),
        ("the cookie", sealed),
        ("the password", PASSWORD),
        ("a new password", &new),
    ];
    nowhere(&secrets, &server.log.text(), &said);
}

/// None of the secrets is in the log or in what was said.
fn nowhere(secrets: &[(&str, &str)], log: &str, said: &[String]) {
    for (what, secret) in secrets {
        assert!(!log.contains(secret), "{what} is in the log");
        for said in said {
            assert!(!said.contains(secret), "{what} is in {said}");
        }
    }
}

#[test]
fn a_refused_configuration_is_explained_without_its_secrets() {
    let (short, same) = (random(20), random(128));
    for variables in [
        &[("HAILGATE_JWT_SECRET", short.as_str())][..],
        &[("HAILGATE_SESSION_KEY", short.as_str())],
        &[("HAILGATE_JWT_SECRET", same.as_str()), ("HAILGATE_SESSION_KEY", same.as_str())],
        &[("HAILGATE_JWT_SECRET", "this-is-a-secret-changeme-this-is-a-secret")],
        &[("HAILGATE_JWT_SECRET", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")],
    ] {
        let mut site = crate::server::Site::new(&[]);
        for (name, value) in variables {
            site.variables.retain(|(variable, _)| variable != name);
            site.variables.push(((*name).to_owned(), (*value).to_owned()));
        }
        let output = site.run(&["serve"]);
        assert_eq!(output.status.code(), Some(78), "{variables:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        for (name, value) in variables {
            assert!(!said.contains(value), "{name} is repeated: {said}");
        }
        assert!(said.contains(variables.last().expect("one").0) && said.contains("do:"), "{said}");
    }
}
