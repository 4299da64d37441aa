//! A user's own logins: where one is signed in, ending one of them, and what another password ends.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    answer::{Answer, ask},
    people::{Person, Proof, client, cookie, text},
    server::{ORIGIN, PASSWORD, Server, random},
};

const ANOTHER: &str = "another long password";

/// Signs in with a browser of this name.
async fn sign_in_by(server: &Server, name: &str, agent: &str) -> Person {
    let body = json!({"username": name, "password": PASSWORD});
    let login = client().post(server.url("/api/auth/login")).header("Origin", ORIGIN).header("User-Agent", agent);
    server.signed_in(name, &ask(login.json(&body)).await)
}

async fn sessions(person: &Person) -> Vec<Value> {
    let list = person.get("/api/auth/sessions").await.json(200);
    list["sessions"].as_array().expect("sessions").clone()
}

async fn session_id(person: &Person) -> String {
    text(&person.get("/api/auth/me").await.json(200), "session_id").to_owned()
}

async fn end(person: &Person, session: &str) -> Answer {
    person.delete(&format!("/api/auth/sessions/{session}")).await
}

async fn change(person: &Person, current: &str, new: &str) -> Answer {
    person.post("/api/auth/password", json!({"current_password": current, "new_password": new})).await
}

#[tokio::test]
async fn the_list_names_each_login_its_browser_its_times_and_which_one_asks() {
    let server = Server::shared();
    let name = format!("u{}", random(10));
    server.site.add_user(&name);
    let long = "x".repeat(1_000);
    let desk = sign_in_by(server, &name, "Desk/1.0 \u{e9}").await;
    let phone = sign_in_by(server, &name, &long).await;
    let stranger = server.browser().await;
    let answer = phone.get("/api/auth/sessions").await;
    assert_eq!(answer.header("cache-control"), "no-store");
    let (phone_id, desk_id) = (session_id(&phone).await, session_id(&desk).await);
    let list = sessions(&phone).await;
    assert_eq!(list.len(), 2, "{list:?}");
    let by_id = |id: &str| list.iter().find(|login| login["session_id"] == id).expect("this login");
    assert_eq!((&by_id(&phone_id)["current"], &by_id(&desk_id)["current"]), (&json!(true), &json!(false)));
    assert_eq!(by_id(&phone_id)["user_agent"], long[..200]);
    assert!(by_id(&desk_id)["user_agent"].is_string());
    let me = desk.get("/api/auth/me").await.json(200);
    let ends = |value: &Value| crate::tokens::seconds(text(value, "expires_at"));
    assert!(ends(by_id(&desk_id)).abs_diff(ends(&me)) <= 1, "{me}");
    for login in &list {
        for time in ["created_at", "last_seen_at", "expires_at"] {
            assert!(text(login, time).ends_with('Z') && text(login, time).len() == 24, "{login}");
        }
        assert!(text(login, "created_at") < text(login, "expires_at"), "{login}");
        let (_, secret) = phone.cookie().split_once('=').expect("a value");
        assert!(!login.to_string().contains(secret), "the list opens nothing");
    }
    assert_eq!(sessions(&stranger).await.len(), 1);
    let program = phone.program().await;
    let current: Vec<Value> = sessions(&program).await.into_iter().filter(|login| login["current"] == true).collect();
    assert_eq!(current.len(), 1, "the login that the token comes from");
    assert_eq!(current[0]["session_id"], phone_id);
    let token = phone.bearer(&server.site.token(&name));
    assert!(sessions(&token).await.iter().all(|login| login["current"] == false));
    server.nobody().get("/api/auth/sessions").await.problem(401, "unauthenticated");
}

#[tokio::test]
async fn ending_another_login_closes_its_sockets_and_refuses_all_that_came_from_it() {
    let server = Server::shared();
    let here = server.browser().await;
    let there = server.sign_in(&here.name).await;
    let pair = there.pair().await;
    let program = there.bearer(&pair.access);
    let ticket = there.ticket().await;
    let (mut page, mut socket) = (there.socket().await, program.socket().await);
    let mut own = here.socket().await;
    end(&here, &session_id(&there).await).await.empty(204);
    page.closed_with(4401).await;
    socket.closed_with(4401).await;
    there.is_refused("unauthenticated").await;
    program.is_refused("signed_out").await;
    server.refresh(&pair.refresh).await.problem(401, "bad_credentials");
    server.nobody().try_upgrade(&format!("/ws?ticket={ticket}")).await.problem(401, "bad_credentials");
    own.is_alive().await;
    assert_eq!(sessions(&here).await.len(), 1);
}

#[tokio::test]
async fn a_login_of_somebody_else_an_ended_one_and_none_at_all_are_not_found_alike() {
    let server = Server::shared();
    let (alice, bob) = (server.browser().await, server.browser().await);
    let mut socket = bob.socket().await;
    let of_bob = session_id(&bob).await;
    let foreign = end(&alice, &of_bob).await;
    foreign.problem(404, "not_found");
    socket.is_alive().await;
    bob.is_taken().await;
    let other = server.sign_in(&alice.name).await;
    let gone = session_id(&other).await;
    end(&alice, &gone).await.empty(204);
    for id in [gone.as_str(), &uuid::Uuid::now_v7().to_string(), "x", "%00", "..", &of_bob.to_uppercase()] {
        let answer = end(&alice, id).await;
        if id != ".." {
            assert_eq!(answer.without_request_id(), foreign.without_request_id(), "{id}");
        }
    }
    let cookie_alone = server.nobody().request(Method::DELETE, &format!("/api/auth/sessions/{of_bob}"));
    ask(cookie_alone.header("Cookie", bob.cookie())).await.problem(403, "foreign_origin");
    end(&server.nobody(), &of_bob).await.problem(401, "unauthenticated");
    socket.is_alive().await;
}

#[tokio::test]
async fn ending_the_login_that_asks_is_a_logout() {
    let server = Server::shared();
    let alice = server.browser().await;
    let mut socket = alice.socket().await;
    end(&alice, &session_id(&alice).await).await.empty(204);
    socket.closed_with(4401).await;
    alice.is_refused("unauthenticated").await;
    server.sign_in(&alice.name).await.is_taken().await;
}

#[tokio::test]
async fn another_password_ends_every_other_login_and_keeps_the_one_that_asked_under_another_cookie() {
    let server = Server::shared();
    let here = server.browser().await;
    let there = server.sign_in(&here.name).await;
    let (mine, theirs) = (here.pair().await, there.pair().await);
    let ticket = there.ticket().await;
    let mut kept = here.socket().await;
    let mut closed =
        [there.socket().await, there.bearer(&theirs.access).socket().await, here.bearer(&mine.access).socket().await];
    let changed = change(&here, PASSWORD, ANOTHER).await;
    changed.empty(204);
    for socket in &mut closed {
        socket.closed_with(4401).await;
    }
    there.is_refused("unauthenticated").await;
    there.bearer(&theirs.access).is_refused("signed_out").await;
    server.refresh(&theirs.refresh).await.problem(401, "bad_credentials");
    server.nobody().try_upgrade(&format!("/ws?ticket={ticket}")).await.problem(401, "bad_credentials");
    kept.is_alive().await;
    // Who copied the cookie before, or had tokens by it, has nothing of them any more.
    here.is_refused("unauthenticated").await;
    here.bearer(&mine.access).is_refused("signed_out").await;
    here.with(Proof::Cookie(cookie(&changed))).is_taken().await;
    server.login(&here.name, PASSWORD).await.problem(401, "bad_login");
    server.login(&here.name, ANOTHER).await.json(200);
}

#[tokio::test]
async fn a_refused_change_of_password_changes_nothing() {
    let server = Server::shared();
    let alice = server.browser().await;
    let mut elsewhere = server.sign_in(&alice.name).await.socket().await;
    change(&alice, "not the password", ANOTHER).await.problem(401, "bad_login");
    change(&alice, "", ANOTHER).await.problem(401, "bad_login");
    for new in ["short", &"x".repeat(1_025), "PassWord1", "qwertyuiop"] {
        change(&alice, PASSWORD, new).await.invalid("new_password");
    }
    let more = json!({"current_password": PASSWORD, "new_password": ANOTHER, "user_id": "bob"});
    alice.post("/api/auth/password", more).await.problem(400, "invalid");
    change(&alice.program().await, PASSWORD, ANOTHER).await.problem(403, "forbidden");
    change(&alice.bearer(&server.site.token(&alice.name)), PASSWORD, ANOTHER).await.problem(403, "forbidden");
    change(&server.nobody(), PASSWORD, ANOTHER).await.problem(401, "unauthenticated");
    let body = json!({"current_password": PASSWORD, "new_password": ANOTHER});
    let foreign = server.nobody().request(Method::POST, "/api/auth/password").header("Cookie", alice.cookie());
    ask(foreign.header("Origin", "https://evil.test").json(&body)).await.problem(403, "foreign_origin");
    elsewhere.is_alive().await;
    server.login(&alice.name, ANOTHER).await.problem(401, "bad_login");
    server.login(&alice.name, PASSWORD).await.json(200);
}

#[tokio::test]
async fn of_two_changes_of_a_password_at_once_the_login_that_was_ended_sets_none() {
    let server = Server::shared();
    for _ in 0..5 {
        let one = server.browser().await;
        let two = server.sign_in(&one.name).await;
        let changes = futures_util::future::join(
            change(&one, PASSWORD, "the password of one"),
            change(&two, PASSWORD, "the password of two"),
        );
        let (first, second) = changes.await;
        let statuses = [first.status, second.status];
        assert!(statuses.contains(&204) && statuses.contains(&401), "{} {}", first.body, second.body);
        let (winner, answer, password) =
            if first.status == 204 { (&one, first, "the password of one") } else { (&two, second, "the password of two") };
        let winner = winner.with(Proof::Cookie(cookie(&answer)));
        winner.is_taken().await;
        assert_eq!(sessions(&winner).await.len(), 1);
        server.login(&one.name, password).await.json(200);
    }
}

#[tokio::test]
async fn a_password_change_whose_login_cannot_be_saved_says_that_the_password_is_changed() {
    let server = Server::new(&[]);
    let alice = server.browser().await;
    let store = rusqlite::Connection::open(server.site.directory.path().join("hailgate.db")).expect("the store");
    let fails = "CREATE TRIGGER fails BEFORE INSERT ON sessions BEGIN SELECT RAISE(ABORT, 'as on a full disk'); END";
    store.execute_batch(fails).expect("a trigger");
    let answer = change(&alice, PASSWORD, ANOTHER).await;
    answer.problem(401, "signed_out");
    assert!(answer.body.contains("Your password was changed") && answer.body.contains("new password"), "{}", answer.body);
    alice.is_refused("unauthenticated").await;
    server.login(&alice.name, ANOTHER).await.problem(503, "store_unavailable");
    store.execute_batch("DROP TRIGGER fails").expect("no trigger");
    server.login(&alice.name, PASSWORD).await.problem(401, "bad_login");
    server.login(&alice.name, ANOTHER).await.json(200);
}
