//! How fast one may ask, by address and by user. The servers here trust loopback as a proxy, so that a test can come
//! from any address by `X-Forwarded-For`.

use std::time::Instant;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    answer::{Answer, ask},
    people::{Person, client, cookie, upgrade},
    server::{ORIGIN, PASSWORD, Server, random},
    soon,
};

/// Two failures a minute of an address: the rate gives one back after 30 s, longer than a busy machine takes for three.
pub const TWO: (&str, &str) = ("HAILGATE_LIMIT_LOGIN_FAILURES_ADDRESS_PER_MINUTE", "2");
/// The same of one name at one address.
const TWO_HERE: (&str, &str) = ("HAILGATE_LIMIT_LOGIN_FAILURES_HERE_PER_MINUTE", "2");

/// A server behind a proxy on loopback, with these limits.
pub fn server(limits: &[(&str, &str)]) -> Server {
    Server::new(&[&[("HAILGATE_TRUSTED_PROXIES", "127.0.0.0/8")], limits].concat())
}

/// A login from an address, with this cookie.
async fn login_with(server: &Server, address: &str, name: &str, password: &str, cookie: &str) -> Answer {
    let request = client().post(server.url("/api/auth/login")).header("Origin", ORIGIN);
    let request = request.header("X-Forwarded-For", address).header("Cookie", cookie);
    ask(request.json(&json!({"username": name, "password": password}))).await
}

async fn login(server: &Server, address: &str, name: &str, password: &str) -> Answer {
    login_with(server, address, name, password, "").await
}

/// A refusal for too much, with a time to wait between these milliseconds.
#[track_caller]
pub fn limited(answer: &Answer, wait: std::ops::RangeInclusive<u64>) -> Value {
    let problem = answer.problem(429, "rate_limited");
    assert!(problem["retry_after_ms"].as_u64().is_some_and(|told| wait.contains(&told)), "{problem}");
    assert!(!answer.header("retry-after").is_empty());
    problem
}

/// Asks so many times at once, again and again, until one is refused for too much: a rate gives requests back meanwhile.
pub async fn until_limited(at_once: usize, ask: impl AsyncFn() -> Answer) -> Answer {
    soon("a refusal", async {
        loop {
            let answers = join_all((0..at_once).map(|_| ask())).await;
            if let Some(refused) = answers.into_iter().find(|answer| answer.status == 429) {
                return refused;
            }
        }
    })
    .await
}

#[tokio::test]
async fn failed_logins_lock_one_name_at_one_address_and_nobody_else() {
    let server = server(&[TWO_HERE]);
    let (alice, bob) = (server.person().name, server.person().name);
    let nobody = format!("u{}", random(10));
    for count in 0..2 {
        let (known, unknown) =
            (login(&server, "192.0.2.1", &alice, "wrong").await, login(&server, "192.0.2.1", &nobody, "wrong").await);
        known.problem(401, "bad_login");
        assert_eq!(known.without_request_id(), unknown.without_request_id(), "{count}");
    }
    let told = limited(&login(&server, "192.0.2.1", &alice, PASSWORD).await, 1..=30_000);
    let unknown = limited(&login(&server, "192.0.2.1", &nobody, "wrong").await, 1..=30_000);
    assert_eq!((&told["detail"], &told["title"]), (&unknown["detail"], &unknown["title"]), "a name shows nothing");
    login(&server, "192.0.2.2", &alice, PASSWORD).await.json(200);
    login(&server, "192.0.2.1", &bob, PASSWORD).await.json(200);
    login(&server, "2001:db8::1", &alice, PASSWORD).await.json(200);
    // Whoever runs the server sees from where somebody guesses.
    let line = server.log.wait_for("a refused login", |line| line.contains("bad_login").then(|| line.to_owned()));
    assert!(line.contains("192.0.2.1") && line.contains("/api/auth/login 401"), "{line}");
}

#[tokio::test]
async fn failed_logins_lock_an_address_and_good_ones_never_do() {
    let server = server(&[TWO]);
    let alice = server.person().name;
    for _ in 0..12 {
        login(&server, "2001:db8:1:1::1", &alice, PASSWORD).await.json(200);
    }
    for last in 0..2 {
        login(&server, &format!("2001:db8:1:1::{last}"), &random(9), "wrong").await.problem(401, "bad_login");
    }
    limited(&login(&server, "2001:db8:1:1:ffff::1", &alice, PASSWORD).await, 1..=30_000);
    login(&server, "2001:db8:1:2::1", &alice, PASSWORD).await.json(200);
    for forged in ["2001:db8:1:1::1, 2001:db8:1:2::1", "nonsense, 2001:db8:1:2::1, 127.0.0.9"] {
        login(&server, forged, &alice, PASSWORD).await.json(200);
    }
    limited(&login(&server, "2001:db8:9::9, 2001:db8:1:1::1", &alice, PASSWORD).await, 1..=30_000);
}

#[tokio::test]
async fn guesses_in_parallel_do_not_slip_through_and_a_refused_one_costs_no_hash() {
    // With one hash at a time and one waiting, a third that needed one would be told that the server is busy.
    let server = server(&[
        TWO_HERE,
        ("HAILGATE_LIMIT_HASHES", "1"),
        ("HAILGATE_LIMIT_HASHES_WAITING", "1"),
        ("HAILGATE_LIMIT_HASHES_USER", "2"),
    ]);
    let alice = server.person().name;
    let answers = join_all((0..40).map(|_| login(&server, "192.0.2.1", &alice, "wrong"))).await;
    let count = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(401), count(429)), (2, 38));
    let refused = join_all((0..40).map(|_| login(&server, "192.0.2.1", &alice, PASSWORD))).await;
    assert!(refused.iter().all(|answer| answer.status == 429));
}

#[tokio::test]
async fn good_passwords_of_one_account_leave_room_in_the_line_of_hashes_for_everybody_else() {
    let server = server(&[("HAILGATE_LIMIT_HASHES", "1"), ("HAILGATE_LIMIT_HASHES_WAITING", "8")]);
    let (mallory, bob) = (server.person().name, server.person().name);
    let addresses: Vec<String> = (0..40).map(|last| format!("192.0.2.{last}")).collect();
    let flood = join_all(addresses.iter().map(|address| login(&server, address, &mallory, PASSWORD)));
    let others =
        join_all(
            (0..3).map(|last| {
                let (server, bob) = (&server, &bob);
                async move {
                    login(server, &format!("198.51.100.{last}"), if last == 0 { bob } else { "nobody" }, PASSWORD).await
                }
            }),
        );
    let (flood, others) = futures_util::future::join(flood, others).await;
    assert!(flood.iter().any(|answer| answer.status == 200));
    for refused in flood.iter().filter(|answer| answer.status != 200) {
        limited(refused, 1_000..=1_000);
    }
    assert_eq!(others.iter().map(|answer| answer.status).collect::<Vec<_>>(), [200, 401, 401]);
    assert_eq!(flood.iter().filter(|answer| answer.status == 503).count(), 0);
}

#[tokio::test]
async fn logins_from_one_address_leave_room_in_the_line_of_hashes_for_other_addresses() {
    let server = server(&[("HAILGATE_LIMIT_HASHES", "1"), ("HAILGATE_LIMIT_HASHES_WAITING", "8")]);
    let bob = server.person().name;
    let names: Vec<String> = (0..25).map(|_| random(10)).collect();
    let flood = join_all(names.iter().map(|name| login(&server, "192.0.2.1", name, "wrong")));
    let (flood, other) = futures_util::future::join(flood, login(&server, "198.51.100.1", &bob, PASSWORD)).await;
    other.json(200);
    let refused: Vec<&Answer> = flood.iter().filter(|answer| answer.status != 401).collect();
    assert!(!refused.is_empty() && refused.len() <= 25 - 8, "{} of 25 were refused", refused.len());
    for refused in refused {
        limited(refused, 1_000..=1_000);
    }
}

#[tokio::test]
async fn nobodys_failures_lock_the_owner_out_of_a_browser_that_signed_in_before() {
    let server = server(&[TWO_HERE, ("HAILGATE_LIMIT_LOGIN_FAILURES_USER_PER_HOUR", "10")]);
    let (alice, bob) = (server.person().name, server.person().name);
    let known = async |name: &str| browser_cookie(&login(&server, "198.51.100.1", name, PASSWORD).await);
    let (alices, bobs) = (known(&alice).await, known(&bob).await);
    for address in ["198.51.100.1", "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"] {
        for _ in 0..2 {
            login(&server, address, &alice, "wrong").await.problem(401, "bad_login");
        }
    }
    limited(&login(&server, "203.0.113.1", &alice, PASSWORD).await, 1..=360_000);
    let bent = format!("{}A", &alices[..alices.len() - 1]);
    for cookie in [bobs.as_str(), "__Host-hailgate-browser=x", if bent == alices { "" } else { &bent }] {
        limited(&login_with(&server, "203.0.113.1", &alice, PASSWORD, cookie).await, 1..=360_000);
    }
    // Also from the address that an attacker shares.
    let again = login_with(&server, "198.51.100.1", &alice, PASSWORD, &alices).await;
    again.json(200);
    assert!(!again.set_cookie("hailgate-browser").is_empty());
    for _ in 0..2 {
        login_with(&server, "203.0.113.1", &alice, "wrong", &alices).await.problem(401, "bad_login");
    }
    limited(&login_with(&server, "203.0.113.7", &alice, PASSWORD, &alices).await, 1..=30_000);
    login(&server, "198.51.100.1", &bob, PASSWORD).await.json(200);
}

/// The cookie by which a browser is known, as an answer sets it.
fn browser_cookie(answer: &Answer) -> String {
    answer.set_cookie("hailgate-browser").split(';').next().expect("a cookie").to_owned()
}

#[tokio::test]
async fn browsers_that_signed_in_before_are_no_way_around_the_count_of_their_address() {
    let server = server(&[TWO]);
    let alice = server.person().name;
    let mut cookies = Vec::new();
    for _ in 0..3 {
        cookies.push(browser_cookie(&login(&server, "198.51.100.1", &alice, PASSWORD).await));
    }
    for cookie in &cookies[..2] {
        login_with(&server, "192.0.2.1", &alice, "wrong", cookie).await.problem(401, "bad_login");
    }
    limited(&login_with(&server, "192.0.2.1", &alice, PASSWORD, &cookies[2]).await, 1..=30_000);
    login_with(&server, "198.51.100.1", &alice, PASSWORD, &cookies[2]).await.json(200);
}

#[tokio::test]
async fn a_browser_is_known_until_the_password_is_another_and_the_one_that_changed_it_stays_known() {
    let server = server(&[("HAILGATE_LIMIT_LOGIN_FAILURES_USER_PER_HOUR", "10")]);
    let alice = server.person().name;
    let there = browser_cookie(&login(&server, "198.51.100.1", &alice, PASSWORD).await);
    let here = login(&server, "198.51.100.2", &alice, PASSWORD).await;
    let cookies = format!("{}; {}", cookie(&here), browser_cookie(&here));
    let change = client().post(server.url("/api/auth/password")).header("Origin", ORIGIN).header("Cookie", cookies);
    let another = "another good password";
    let changed = ask(change.json(&json!({"current_password": PASSWORD, "new_password": another}))).await;
    changed.empty(204);
    for address in ["192.0.2.1", "192.0.2.2"] {
        for _ in 0..5 {
            login(&server, address, &alice, "wrong").await.problem(401, "bad_login");
        }
    }
    for old in [&there, &browser_cookie(&here)] {
        limited(&login_with(&server, "203.0.113.1", &alice, another, old).await, 1..=360_000);
    }
    let again = login_with(&server, "203.0.113.1", &alice, another, &browser_cookie(&changed)).await;
    again.json(200);
    server.site.told(&["user", "passwd", &alice, "--password-stdin"], PASSWORD);
    limited(&login_with(&server, "203.0.113.1", &alice, PASSWORD, &browser_cookie(&again)).await, 1..=360_000);
}

#[tokio::test]
async fn too_many_upgrades_from_an_address_are_429_before_anything_else_is_judged() {
    let limits = [("HAILGATE_LIMIT_UPGRADES_PER_SECOND", "1"), ("HAILGATE_LIMIT_UPGRADES_BURST", "5")];
    let server = server(&limits);
    let alice = server.person();
    let from = async |person: &Person, address: &str, origin: &str| {
        let request = person.request(Method::GET, "/ws").header("X-Forwarded-For", address).header("Origin", origin);
        ask(upgrade(request)).await
    };
    assert_eq!(from(&alice, "192.0.2.1", ORIGIN).await.status, 101);
    let nobody = server.nobody();
    limited(&until_limited(10, async || from(&nobody, "192.0.2.1", "https://evil.test").await).await, 1..=1_000);
    let spelt = async || {
        let request = alice.request(Method::GET, "/%77s").header("X-Forwarded-For", "192.0.2.1").header("Origin", ORIGIN);
        ask(upgrade(request)).await
    };
    limited(&until_limited(10, spelt).await, 1..=1_000);
    assert_eq!(from(&alice, "192.0.2.2", ORIGIN).await.status, 101);
    // Not in production, not even from loopback: without a trusted proxy the header says nothing.
    let strict = Server::new(&[&limits[..], &[("ENVIRONMENT", "production")]].concat());
    let nobody = strict.nobody();
    // Each from another address that is forged: they are one.
    let last = std::cell::Cell::new(0u16);
    let forged = async || {
        last.set(last.get() + 1);
        let request = nobody.request(Method::GET, "/ws").header("X-Forwarded-For", format!("2001:db8:{:x}::1", last.get()));
        ask(upgrade(request)).await
    };
    until_limited(12, forged).await;
}

#[tokio::test]
async fn too_many_requests_of_a_user_are_429_and_another_user_goes_on() {
    let server = server(&[("HAILGATE_LIMIT_REST_PER_SECOND", "1"), ("HAILGATE_LIMIT_REST_BURST", "10")]);
    let (alice, bob) = (server.person(), server.person());
    let began = Instant::now();
    let answers = join_all((0..40).map(|_| alice.get("/api/auth/me"))).await;
    let passed = answers.iter().filter(|answer| answer.status == 200).count() as u64;
    assert!((10..=11 + began.elapsed().as_secs()).contains(&passed), "{passed} in {:?}", began.elapsed());
    limited(&until_limited(40, async || alice.get("/api/auth/me").await).await, 1..=1_000);
    bob.get("/api/auth/me").await.json(200);
    server.nobody().get("/api/auth/me").await.problem(401, "unauthenticated");
    assert_eq!(alice.try_upgrade("/ws").await.status, 101, "an upgrade is no REST request");
}

#[tokio::test]
async fn searches_new_threads_and_added_members_have_rates_of_their_own() {
    let server = server(&[
        ("HAILGATE_LIMIT_THREADS_PER_MINUTE", "1"),
        ("HAILGATE_LIMIT_THREADS_BURST", "3"),
        ("HAILGATE_LIMIT_MEMBERS_PER_MINUTE", "2"),
    ]);
    let (alice, bob) = (server.person(), server.person());
    limited(&until_limited(30, async || alice.get("/api/users?q=al").await).await, 1..=200);

    let three = json!({"members": [bob.name, bob.name, bob.name]});
    alice.post("/api/threads", three).await.invalid("members");
    alice.post("/api/threads", json!({"members": ["nobody-at-all"]})).await.problem(422, "unknown_user");
    let create = async |key: &str, body: Value| {
        ask(alice.request(Method::POST, "/api/threads").header("Idempotency-Key", key).json(&body)).await
    };
    let first = create("one", json!({"members": []})).await.json(201);
    assert_eq!(create("one", json!({"members": []})).await.json(200), first, "a retry makes no thread");
    create("two", json!({"members": [bob.name]})).await.json(201);
    let thread = first["thread_id"].as_str().expect("an id");
    let added = alice.put(&format!("/api/threads/{thread}/members/{}", bob.name), json!({})).await;
    limited(&added, 1..=30_000);
    create("three", json!({"members": []})).await.json(201);
    limited(&create("four", json!({"members": []})).await, 1..=60_000);
    bob.thread(&[&alice]).await;
}
