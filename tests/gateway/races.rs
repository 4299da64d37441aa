//! Endings that meet an upgrade under way: whichever comes first, no socket of what has ended stays open.

use futures_util::future::{join, join_all};

use crate::{
    people::{Person, Proof},
    raw::{Raw, upgrade},
    server::{ORIGIN, Server},
};

/// Upgrades with these header lines while something ends; then each of them was refused, or closes with this code.
async fn meet(server: &Server, path: &str, headers: &str, ends: impl Future<Output = ()>, code: u16) {
    let request = upgrade(path, headers);
    let mut raws = Vec::new();
    for _ in 0..6 {
        raws.push(Raw::connect(server.port).await);
    }
    let mut turn = 0;
    let upgrades = join_all(raws.iter_mut().map(|raw| {
        turn += 1;
        let request = &request;
        async move {
            // Each a little later than the one before, so that some are early and some late.
            for _ in 0..turn * 4 {
                tokio::task::yield_now().await;
            }
            raw.send(request).await;
            raw.head().await.status
        }
    }));
    let (statuses, ()) = join(upgrades, ends).await;
    for (raw, status) in raws.iter_mut().zip(statuses) {
        match status {
            101 => assert_eq!(raw.closed().await, (Some(code), Some(u64::from(code)))),
            401 => {}
            other => panic!("{other}"),
        }
    }
}

fn lines(person: &Person) -> String {
    match &person.proof {
        Proof::Cookie(cookie) => format!("Cookie: {cookie}\r\nOrigin: {ORIGIN}\r\n"),
        Proof::Bearer(token) => format!("Authorization: Bearer {token}\r\n"),
        Proof::Nothing => String::new(),
    }
}

#[tokio::test]
async fn a_logout_in_the_middle_of_upgrades_leaves_no_socket_of_that_login_open() {
    let server = Server::shared();
    let name = server.person().name;
    for _ in 0..50 {
        let alice = server.sign_in(&name).await;
        let headers = lines(&alice);
        meet(server, "/ws", &headers, alice.logout(), 4401).await;
        alice.get("/api/auth/me").await.problem(401, "unauthenticated");
    }
}

#[tokio::test]
async fn a_reuse_in_the_middle_of_upgrades_leaves_no_socket_of_that_family_open() {
    let server = &Server::new(&[("HAILGATE_LIMIT_TICKETS_PER_SECOND", "1000")]);
    let alice = server.browser().await;
    for _ in 0..50 {
        let pair = alice.pair().await;
        server.refresh(&pair.refresh).await.json(200);
        let reuse = async {
            server.refresh(&pair.refresh).await.problem(401, "bad_credentials");
        };
        meet(server, "/ws", &lines(&alice.bearer(&pair.access)), reuse, 4401).await;
    }
}

#[tokio::test]
async fn a_revocation_in_the_middle_of_upgrades_by_a_token_without_a_login_leaves_none_open() {
    let server = Server::shared();
    let boss = server.browser().await;
    server.site.told(&["user", "grant", &boss.name, "--permission", "admin"], "");
    let bob = server.person();
    for _ in 0..50 {
        let bob = server.dated_ahead(&bob).await;
        let revoke = async {
            boss.post_nothing(&format!("/api/admin/users/{}/revoke", bob.name)).await.json(200);
        };
        meet(server, "/ws", &lines(&bob), revoke, 4401).await;
        bob.is_refused("signed_out").await;
    }
}
