//! Revoke means signed out everywhere, disable refuses the login too: by an administrator over REST, and by a command
//! beside the running server. Whatever the way in, it closes.

use futures_util::future::join;
use serde_json::json;

use crate::{
    answer::Answer,
    descent::{Pair, by_ticket},
    jwt::in_seconds,
    people::{Person, text},
    server::{PASSWORD, Server, random},
    socket::Socket,
};

/// Somebody signed in with the permission to revoke.
async fn admin(server: &Server) -> Person {
    let name = format!("u{}", random(10));
    server.site.told(&["user", "add", &name, "--password-stdin", "--permission", "admin"], PASSWORD);
    server.sign_in(&name).await
}

async fn revoke(admin: &Person, name: &str) -> Answer {
    admin.post_nothing(&format!("/api/admin/users/{name}/revoke")).await
}

/// Everything one user has: a login, and what descends from it and from nothing.
struct Belongings {
    page: Person,
    program: Person,
    outside: Person,
    pair: Pair,
    ticket: String,
    sockets: Vec<Socket>,
}

impl Belongings {
    /// Of a new login of this user: a socket by each way.
    async fn of(server: &Server, name: &str, password: &str) -> Belongings {
        let page = server.signed_in(name, &server.login(name, password).await);
        let pair = page.pair().await;
        let program = page.bearer(&pair.access);
        let outside = server.dated_ahead(&page).await;
        let mut sockets = Vec::new();
        for person in [&page, &program, &outside] {
            sockets.push(person.socket().await);
        }
        sockets.push(Socket::open(&server.nobody(), &by_ticket(&page.ticket().await)).await);
        sockets.push(Socket::open(&server.nobody(), &by_ticket(&outside.ticket().await)).await);
        let ticket = page.ticket().await;
        Belongings { page, program, outside, pair, ticket, sockets }
    }

    async fn all_close(&mut self, code: u16) {
        for socket in &mut self.sockets {
            socket.closed_with(code).await;
        }
    }

    /// None of it opens anything; tokens are refused with this code.
    async fn all_refused(&self, server: &Server, code: &str) {
        self.page.is_refused("unauthenticated").await;
        self.program.is_refused(code).await;
        self.outside.is_refused(code).await;
        server.refresh(&self.pair.refresh).await.problem(401, "bad_credentials");
        server.nobody().try_upgrade(&by_ticket(&self.ticket)).await.problem(401, "bad_credentials");
    }
}

#[tokio::test]
async fn revoking_needs_the_permission_and_a_user() {
    let server = Server::shared();
    let (boss, alice, bob) = (admin(server).await, server.browser().await, server.browser().await);
    let mut socket = bob.socket().await;
    revoke(&server.nobody(), &bob.name).await.problem(401, "unauthenticated");
    revoke(&alice, &bob.name).await.problem(403, "forbidden");
    revoke(&alice, &alice.name).await.problem(403, "forbidden");
    revoke(&alice, "nobody-of-this-name").await.problem(403, "forbidden");
    // A token has the permissions that it names, not those of its user.
    revoke(&boss.bearer(&server.site.token(&boss.name)), &bob.name).await.problem(403, "forbidden");
    for unknown in ["nobody-of-this-name", "%20", "anonymous", &bob.name.to_uppercase()] {
        revoke(&boss, unknown).await.problem(404, "not_found");
    }
    socket.is_alive().await;
    revoke(&boss.program().await, &bob.name).await.json(200);
    socket.closed_with(4401).await;
}

#[tokio::test]
async fn revoke_closes_every_way_in_and_the_user_may_come_back_in_the_same_second() {
    let server = Server::new(&[("HAILGATE_LIMIT_TICKETS_PER_SECOND", "1000")]);
    let (boss, carol) = (admin(&server).await, server.browser().await);
    let bob = format!("u{}", random(10));
    server.site.add_user(&bob);
    let mut undisturbed = [carol.socket().await, boss.socket().await];
    let mut counts = Vec::new();
    while counts.len() < 4 || (!counts.contains(&5) && counts.len() < 20) {
        let mut all = Belongings::of(&server, &bob, PASSWORD).await;
        let answer = revoke(&boss, &bob).await;
        let told = answer.json(200);
        assert_eq!(told.as_object().expect("an object").len(), 2, "{told}");
        assert_eq!(told["sessions"], 1);
        counts.push(told["sockets"].as_u64().expect("a number"));
        let again = server.sign_in(&bob).await;
        let pair = again.pair().await;
        again.bearer(&pair.access).is_taken().await;
        again.is_taken().await;
        let pair = Pair::of(&server.refresh(&pair.refresh).await);
        again.bearer(&pair.access).is_taken().await;
        Socket::open(&server.nobody(), &by_ticket(&again.ticket().await)).await.is_alive().await;
        all.all_close(4401).await;
        all.all_refused(&server, "signed_out").await;
        again.logout().await;
    }
    // The hub's own look may come first now and then, and close them for nobody's answer; no other user's are counted.
    assert!(counts.iter().all(|count| *count <= 5) && counts.contains(&5), "{counts:?}");
    for socket in &mut undisturbed {
        socket.is_alive().await;
    }
    carol.is_taken().await;
}

#[tokio::test]
async fn who_signs_in_after_a_revocation_is_not_closed_when_the_server_hears_of_it() {
    let server = Server::shared();
    let boss = admin(server).await;
    let bob = server.person().name;
    for _ in 0..6 {
        let old = server.sign_in(&bob).await;
        let mut closed = old.socket().await;
        server.site.told(&["user", "revoke", &bob], "");
        // The server reads what ended twice a second; both come before it has.
        let program = server.dated_ahead(&old).await;
        let mut by_token = program.socket().await;
        let page = server.sign_in(&bob).await;
        let mut by_login = page.socket().await;
        closed.closed_with(4401).await;
        // Answered when every worker thread has acted upon every ending.
        revoke(&boss, &server.person().name).await.json(200);
        by_token.is_alive().await;
        by_login.is_alive().await;
    }
}

#[tokio::test]
async fn what_is_dated_ahead_within_the_leeway_ends_with_the_revocation_too() {
    let server = Server::shared();
    let bob = server.browser().await;
    let commands: [&[&str]; 3] = [&["revoke"], &["passwd", "--password-stdin"], &["disable"]];
    for command in commands {
        let ahead = server.dated_ahead(&bob).await;
        let ticket = ahead.ticket().await;
        server.site.told(&[&["user", command[0], &bob.name], &command[1..]].concat(), "another long password");
        let code = if command[0] == "disable" { "disabled" } else { "signed_out" };
        ahead.is_refused(code).await;
        server.nobody().try_upgrade(&by_ticket(&ticket)).await.problem(401, "bad_credentials");
    }
    server.site.told(&["user", "enable", &bob.name], "");
    let behind = server.site.token_of(&bob, &json!({"iat": in_seconds(-4.9)}));
    behind.is_refused("signed_out").await;
}

#[tokio::test]
async fn an_administrator_may_revoke_itself() {
    let server = Server::shared();
    let boss = admin(server).await;
    let mut socket = boss.socket().await;
    assert_eq!(revoke(&boss, &boss.name).await.json(200)["sessions"], 1);
    socket.closed_with(4401).await;
    boss.is_refused("unauthenticated").await;
    let again = server.sign_in(&boss.name).await;
    assert_eq!(again.get("/api/auth/me").await.json(200)["permissions"], json!(["admin"]));
}

#[tokio::test]
async fn the_command_revoke_reaches_a_running_server() {
    let server = Server::shared();
    let bob = server.person().name;
    let mut all = Belongings::of(server, &bob, PASSWORD).await;
    let mut carol = server.browser().await.socket().await;
    server.site.told(&["user", "revoke", &bob], "");
    all.all_refused(server, "signed_out").await;
    all.all_close(4401).await;
    let again = server.sign_in(&bob).await;
    again.is_taken().await;
    again.program().await.is_taken().await;
    carol.is_alive().await;
}

#[tokio::test]
async fn the_command_disable_closes_4403_and_refuses_the_login_until_enable() {
    let server = Server::shared();
    let bob = server.person().name;
    let mut all = Belongings::of(server, &bob, PASSWORD).await;
    server.site.told(&["user", "disable", &bob], "");
    all.all_refused(server, "disabled").await;
    for socket in &mut all.sockets {
        assert_eq!(socket.closed_with(4403).await["reason"], "disabled");
    }
    server.login(&bob, PASSWORD).await.problem(401, "bad_login");
    server.site.told(&["user", "enable", &bob], "");
    all.all_refused(server, "signed_out").await;
    let again = server.sign_in(&bob).await;
    again.is_taken().await;
    again.program().await.is_taken().await;
}

#[tokio::test]
async fn the_command_passwd_signs_out_everywhere_and_takes_the_new_password_only() {
    let server = &Server::new(&[("HAILGATE_LIMIT_TICKETS_PER_SECOND", "1000")]);
    let bob = server.person().name;
    let mut all = Belongings::of(server, &bob, PASSWORD).await;
    server.site.told(&["user", "passwd", &bob, "--password-stdin"], "another long password");
    all.all_refused(server, "signed_out").await;
    all.all_close(4401).await;
    server.login(&bob, PASSWORD).await.problem(401, "bad_login");
    let mut new = Belongings::of(server, &bob, "another long password").await;
    new.program.is_taken().await;
    for socket in &mut new.sockets {
        socket.is_alive().await;
    }
}

#[tokio::test]
async fn a_poll_that_waits_ends_401_when_a_command_revokes_or_disables_its_user() {
    let server = Server::shared();
    for (command, code) in [("revoke", "signed_out"), ("disable", "disabled")] {
        for way in ["page", "program", "outside"] {
            let page = server.browser().await;
            let bob = match way {
                "page" => page,
                "program" => page.program().await,
                _ => server.site.token_of(&page, &json!({})),
            };
            let cursor = text(&bob.get("/api/events?timeout_ms=0").await.json(200), "cursor").to_owned();
            let ends = async {
                // Other requests first, so that the poll waits when its user is signed out.
                for _ in 0..5 {
                    bob.get("/api/auth/me").await.json(200);
                }
                server.site.told(&["user", command, &bob.name], "");
            };
            let (polled, ()) = join(bob.poll(&cursor, 30_000), ends).await;
            assert_eq!((polled.status, polled.json(401)["code"].as_str()), (401, Some(code)), "{way}");
        }
    }
}

#[tokio::test]
async fn granted_and_withdrawn_permissions_count_at_the_next_request() {
    let server = Server::shared();
    let (bob, carol) = (server.browser().await, server.browser().await);
    let mut socket = bob.socket().await;
    revoke(&bob, &carol.name).await.problem(403, "forbidden");
    server.site.told(&["user", "grant", &bob.name, "--permission", "admin"], "");
    assert_eq!(bob.get("/api/auth/me").await.json(200)["permissions"], json!(["admin"]));
    revoke(&bob, &carol.name).await.json(200);
    let program = bob.program().await;
    assert_eq!(program.get("/api/auth/me").await.json(200)["permissions"], json!(["admin"]));
    socket.is_alive().await;
    server.site.told(&["user", "revoke", &bob.name, "--permission", "admin"], "");
    program.is_refused("signed_out").await;
    socket.closed_with(4401).await;
    let bob = server.sign_in(&bob.name).await;
    assert_eq!(bob.get("/api/auth/me").await.json(200)["permissions"], json!([]));
    revoke(&bob, &carol.name).await.problem(403, "forbidden");
    revoke(&bob.program().await, &carol.name).await.problem(403, "forbidden");
}

#[tokio::test]
async fn what_a_command_ended_while_no_server_ran_stays_ended_when_one_does() {
    let mut server = Server::new(&[]);
    let bob = server.browser().await;
    let program = bob.program().await;
    server.terminate();
    server.ended();
    let site = std::sync::Arc::clone(&server.site);
    site.told(&["user", "revoke", &bob.name], "");
    let server = site.serve();
    bob.at(&server).is_refused("unauthenticated").await;
    program.at(&server).is_refused("signed_out").await;
    let again = server.sign_in(&bob.name).await;
    let mut socket = again.program().await.socket().await;
    socket.is_alive().await;
    site.told(&["user", "revoke", &bob.name], "");
    socket.closed_with(4401).await;
}
