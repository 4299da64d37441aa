//! Keys of the session cookie are replaced without signing anybody out.

use std::sync::Arc;

use crate::{
    people::{Proof, cookie},
    server::{Server, Site, random},
};

/// Ends a server and starts another in the same place with these session keys, newest first.
fn restart(mut server: Server, keys: &[&str]) -> Server {
    server.terminate();
    server.ended();
    let mut command = server.site.command(&["serve", "--bind", "127.0.0.1:0"]);
    command.env("HAILGATE_SESSION_KEY", keys.join(","));
    Server::start(&server.site, command)
}

#[tokio::test]
async fn a_login_survives_a_new_key_before_the_old_and_its_cookie_is_set_again_under_the_new_one() {
    let server = Arc::new(Site::new(&[])).serve();
    let (old, new) = (server.site.variable("HAILGATE_SESSION_KEY").to_owned(), random(128));
    let alice = server.browser().await;
    assert_eq!(alice.get("/api/auth/me").await.header("set-cookie"), "", "nothing to set again");

    let server = restart(server, &[&new, &old]);
    let alice = alice.at(&server);
    let answer = alice.get("/api/auth/me").await;
    let before = answer.json(200);
    assert_eq!(before["user_id"], alice.name.as_str());
    let mut attributes: Vec<&str> = answer.header("set-cookie").split("; ").skip(1).collect();
    attributes.sort_unstable();
    let (age, rest) = (attributes.remove(1), attributes);
    assert_eq!(rest, ["HttpOnly", "Path=/", "SameSite=Lax", "Secure"]);
    let age: u64 = age.strip_prefix("Max-Age=").and_then(|age| age.parse().ok()).expect("a time to live");
    assert!((604_000..=604_800).contains(&age), "{age}: until the login ends, not longer");
    let renewed = alice.with(Proof::Cookie(cookie(&answer)));
    assert_ne!(renewed.cookie(), alice.cookie());
    // The old one opens sockets too, for as long as its key is in the ring.
    alice.socket().await.is_alive().await;
    let again = renewed.get("/api/auth/me").await;
    assert_eq!((again.json(200)["session_id"].clone(), again.header("set-cookie")), (before["session_id"].clone(), ""));

    let server = restart(server, &[&new]);
    let (alice, renewed) = (alice.at(&server), renewed.at(&server));
    renewed.get("/api/auth/me").await.json(200);
    renewed.socket().await.is_alive().await;
    alice.get("/api/auth/me").await.problem(401, "unauthenticated");
    alice.try_upgrade("/ws").await.problem(401, "unauthenticated");
    let server = restart(server, &[&old]);
    renewed.at(&server).get("/api/auth/me").await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn a_login_that_has_ended_is_not_set_again_and_a_logout_ends_one_under_an_old_key() {
    let server = Arc::new(Site::new(&[])).serve();
    let (old, new) = (server.site.variable("HAILGATE_SESSION_KEY").to_owned(), random(128));
    let alice = server.browser().await;
    let server = restart(server, &[&new, &old]);
    let alice = alice.at(&server);
    let answer = crate::answer::ask(alice.request(reqwest::Method::POST, "/api/auth/logout")).await;
    answer.empty(204);
    assert!(answer.header("set-cookie").starts_with("__Host-hailgate=;"), "{:?}", answer.headers);
    let refused = alice.get("/api/auth/me").await;
    refused.problem(401, "unauthenticated");
    assert_eq!(refused.header("set-cookie"), "");
}

#[tokio::test]
async fn other_cookies_of_the_browser_hide_no_login() {
    let server = Server::shared();
    let alice = server.browser().await;
    for around in ["a=b; @; c=d", "nothing; @", "=; @; ;", "hailgate=x; @", "theme=%zz; @", "@; __Host%2Dhailgate=x"] {
        let request = server.nobody().request(reqwest::Method::GET, "/api/auth/me");
        let request = request.header("Cookie", around.replace('@', alice.cookie()));
        assert_eq!(crate::answer::ask(request).await.json(200)["user_id"], alice.name.as_str(), "{around}");
    }
    // Of two of its very name, nobody can say which the browser means.
    let twice = format!("{0}; {0}", alice.cookie());
    let request = server.nobody().request(reqwest::Method::GET, "/api/auth/me").header("Cookie", twice);
    crate::answer::ask(request).await.problem(401, "unauthenticated");
    let sealed = alice.cookie().split_once('=').expect("a value").1;
    for bent in [&sealed[1..], &sealed[..sealed.len() - 1], &format!("{sealed}A"), &format!("A{}", &sealed[1..]), ""] {
        if bent != sealed {
            let forged = alice.with(Proof::Cookie(format!("__Host-hailgate={bent}")));
            forged.get("/api/auth/me").await.problem(401, "unauthenticated");
        }
    }
}
