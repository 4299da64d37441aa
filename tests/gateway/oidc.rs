//! Sign-in by OpenID Connect at a real provider: there and back, again, and in every way that is none.

use reqwest::{Client, StatusCode, Url};
use serde_json::json;

use crate::{
    answer::{Answer, ask},
    people::{Person, Proof, client, cookie, text},
    provider::Provider,
    server::{ORIGIN, Server, random},
};

/// Where the provider sends people back to.
pub const BACK: &str = "https://chat.test/api/auth/oidc/callback";

/// A provider, and a server that signs people in there.
struct Stage {
    server: Server,
    provider: Provider,
    secret: String,
}

/// Somebody on the way: where the provider is asked, and what the browser carries.
pub struct Leaving {
    pub url: Url,
    pub cookie: String,
}

impl Stage {
    fn set() -> Option<Stage> {
        Stage::with(&[])
    }

    fn with(more: &[(&str, &str)]) -> Option<Stage> {
        let secret = random(40);
        let provider = Provider::start(&secret, BACK)?;
        let server = Server::new(&[&settings(&provider.issuer, &secret)[..], more].concat());
        Some(Stage { server, provider, secret })
    }

    /// Signs somebody in, from a browser that has nothing yet.
    async fn sign_in(&self, name: &str) -> Person {
        let leaving = leave(&self.server).await;
        let back = at_provider(&leaving.url, Some(name)).await;
        let answer = come_back(&self.server, &back, &leaving.cookie).await;
        assert_eq!((answer.status, answer.header("location")), (303, "/"));
        assert!(answer.set_cookie("hailgate-oidc").contains("Max-Age=0"), "the trip is over");
        self.server.nobody().with(Proof::Cookie(cookie(&answer)))
    }
}

/// The settings of a server that signs people in there.
pub fn settings<'a>(issuer: &'a str, secret: &'a str) -> [(&'a str, &'a str); 4] {
    [
        ("HAILGATE_OIDC_ISSUER", issuer),
        ("HAILGATE_OIDC_CLIENT_ID", "chat"),
        ("HAILGATE_OIDC_CLIENT_SECRET", secret),
        ("HAILGATE_OIDC_NAME", "Example"),
    ]
}

/// Follows the button of the page.
pub async fn leave(server: &Server) -> Leaving {
    let answer = server.nobody().get("/api/auth/oidc/login").await;
    assert_eq!((answer.status, answer.header("cache-control")), (303, "no-store"));
    let set = answer.set_cookie("hailgate-oidc").to_owned();
    for attribute in ["__Host-", "HttpOnly", "Secure", "SameSite=Lax", "Path=/", "Max-Age=600"] {
        assert!(set.contains(attribute), "{attribute} in {set}");
    }
    let cookie = set.split_once(';').expect("attributes").0.to_owned();
    Leaving { url: answer.header("location").parse().expect("an address"), cookie }
}

/// Signs in with the provider's own forms, or, as nobody, goes away from them; where the provider sends the browser then.
pub async fn at_provider(start: &Url, name: Option<&str>) -> Url {
    let browser = Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().cookie_store(true);
    let browser = browser.build().expect("a client");
    let mut answer = browser.get(start.clone()).send().await.expect("an answer");
    for _ in 0..12 {
        if answer.status() == StatusCode::OK {
            let here = answer.url().clone();
            let page = answer.text().await.expect("a page");
            let request = match name {
                None => browser.get(format!("{here}/abort")),
                Some(name) if page.contains("name=\"login\"") => {
                    browser.post(here).form(&[("prompt", "login"), ("login", name), ("password", "any")])
                }
                Some(_) => browser.post(here).form(&[("prompt", "consent")]),
            };
            answer = request.send().await.expect("an answer");
            continue;
        }
        let location = answer.headers().get("location").unwrap_or_else(|| panic!("{answer:?}")).to_str().expect("text");
        let next = answer.url().join(location).expect("an address");
        if next.as_str().starts_with(ORIGIN) {
            return next;
        }
        answer = browser.get(next).send().await.expect("an answer");
    }
    panic!("the provider sends nobody back");
}

/// What the server makes of a browser that the provider sent back.
pub async fn come_back(server: &Server, back: &Url, cookie: &str) -> Answer {
    let url = server.url(&format!("{}?{}", back.path(), back.query().unwrap_or_default()));
    ask(client().get(url).header("Cookie", cookie)).await
}

#[tokio::test]
async fn a_sign_in_that_began_before_a_revocation_must_begin_again() {
    let Some(stage) = Stage::set() else { return };
    let first = stage.sign_in("anna").await;
    let user = text(&first.get("/api/auth/me").await.json(200), "user_id").to_owned();
    let leaving = leave(&stage.server).await;
    let back = at_provider(&leaving.url, Some("anna")).await;
    stage.server.site.told(&["user", "revoke", &user], "");
    let answer = come_back(&stage.server, &back, &leaving.cookie).await;
    assert_eq!((answer.status, answer.header("location")), (303, "/#signin-error=signin_lost"));
    stage.sign_in("anna").await.get("/api/auth/me").await.json(200);
}

/// It went back to the page with this code, and without a session.
#[track_caller]
pub fn failed(answer: &Answer, code: &str) {
    assert_eq!((answer.status, answer.header("location")), (303, &*format!("/#signin-error={code}")));
    assert_eq!(answer.set_cookie("hailgate"), "", "no session");
    assert_eq!(answer.header("cache-control"), "no-store");
}

fn query(url: &Url, name: &str) -> String {
    let found = url.query_pairs().find(|(key, _)| key == name);
    found.unwrap_or_else(|| panic!("no {name} in {url}")).1.into_owned()
}

fn with_query(url: &Url, name: &str, to: &str) -> Url {
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let mut url = url.clone();
    url.query_pairs_mut().clear().extend_pairs(pairs.iter().map(|(key, value)| (key, if key == name { to } else { value })));
    url
}

#[tokio::test]
async fn the_first_sign_in_makes_the_account_and_the_next_finds_it_with_its_new_name() {
    let Some(stage) = Stage::set() else { return };
    let anna = stage.sign_in("anna").await;
    let me = anna.get("/api/auth/me").await.json(200);
    assert_eq!((text(&me, "user_id"), text(&me, "name")), ("oidc:anna", "Name of anna"));
    assert_eq!((text(&me, "email"), text(&me, "auth_method")), ("anna@provider.test", "session"));
    anna.socket().await.is_alive().await;
    let thread = anna.thread(&[]).await;
    let renamed = format!("{}/renamed/anna/Anna%20B", stage.provider.issuer);
    ask(client().get(renamed)).await.empty(200);
    let again = stage.sign_in("anna").await;
    let me = again.get("/api/auth/me").await.json(200);
    assert_eq!((text(&me, "user_id"), text(&me, "name")), ("oidc:anna", "Anna B"));
    assert_ne!(again.cookie(), anna.cookie());
    again.get(&format!("/api/threads/{thread}")).await.json(200);
    let other = stage.sign_in("bert b").await.get("/api/auth/me").await.json(200);
    let id = text(&other, "user_id");
    assert!(id.starts_with("oidc:") && id.len() == 27, "a name that is no user id: {id}");
    assert_eq!(text(&other, "name"), "Name of bert b");
}

#[tokio::test]
async fn who_signs_in_over_the_session_of_another_gets_a_new_one_and_a_disabled_account_none() {
    let Some(stage) = Stage::set() else { return };
    let alice = stage.server.browser().await;
    let leaving = leave(&stage.server).await;
    let back = at_provider(&leaving.url, Some("anna")).await;
    let both = format!("{}; {}", alice.cookie(), leaving.cookie);
    let answer = come_back(&stage.server, &back, &both).await;
    assert_eq!((answer.status, answer.header("location")), (303, "/"));
    let anna = alice.with(Proof::Cookie(cookie(&answer)));
    assert_ne!(anna.cookie(), alice.cookie());
    assert_eq!(anna.get("/api/auth/me").await.json(200)["user_id"], "oidc:anna");
    alice.get("/api/auth/me").await.problem(401, "unauthenticated");
    stage.server.site.told(&["user", "disable", "oidc:anna"], "");
    let leaving = leave(&stage.server).await;
    let back = at_provider(&leaving.url, Some("anna")).await;
    failed(&come_back(&stage.server, &back, &leaving.cookie).await, "disabled");
}

#[tokio::test]
async fn only_the_browser_that_left_comes_back_once_and_with_what_it_left_for() {
    let Some(stage) = Stage::set() else { return };
    let (one, two) = (leave(&stage.server).await, leave(&stage.server).await);
    let back = at_provider(&one.url, Some("anna")).await;
    let server = &stage.server;
    failed(&come_back(server, &back, "").await, "signin_lost");
    failed(&come_back(server, &back, &two.cookie).await, "signin_lost");
    failed(&come_back(server, &with_query(&back, "state", "x"), &one.cookie).await, "signin_lost");
    let sealed_else = one.cookie.replace("hailgate-oidc", "hailgate-browser");
    failed(&come_back(server, &back, &sealed_else).await, "signin_lost");
    let swapped = with_query(&back, "state", &query(&two.url, "state"));
    failed(&come_back(server, &swapped, &two.cookie).await, "signin_refused");
    assert_eq!(come_back(server, &back, &one.cookie).await.header("location"), "/", "the code with its own verifier");
    failed(&come_back(server, &back, "").await, "signin_lost");
    failed(&come_back(server, &back, &one.cookie).await, "signin_refused");
}

#[tokio::test]
async fn a_code_of_another_client_a_refusal_and_a_bent_answer_sign_nobody_in() {
    let Some(stage) = Stage::set() else { return };
    let server = &stage.server;
    let leaving = leave(server).await;
    let theirs = at_provider(&with_query(&leaving.url, "client_id", "other"), Some("anna")).await;
    failed(&come_back(server, &theirs, &leaving.cookie).await, "signin_refused");
    let leaving = leave(server).await;
    let denied = at_provider(&leaving.url, None).await;
    assert_eq!(query(&denied, "error"), "access_denied");
    failed(&come_back(server, &denied, &leaving.cookie).await, "signin_refused");
    let leaving = leave(server).await;
    let sent = query(&leaving.url, "state");
    for (query, code) in [
        (format!("state={sent}&code=guessed"), "signin_refused"),
        (format!("state={sent}&code={}", "x".repeat(4_097)), "invalid"),
        (format!("state={sent}&code="), "invalid"),
        (format!("state={sent}"), "invalid"),
        (format!("state={sent}&state={sent}&code=x"), "invalid"),
        ("code=x".to_owned(), "signin_lost"),
        (String::new(), "signin_lost"),
    ] {
        let back: Url = format!("{BACK}?{query}").parse().expect("an address");
        let answer = come_back(server, &back, &leaving.cookie).await;
        failed(&answer, code);
        assert!(answer.set_cookie("hailgate-oidc").contains("Max-Age=0"), "the trip is over");
    }
}

#[tokio::test]
async fn the_provider_is_not_needed_to_start_and_while_it_is_away_the_page_says_so() {
    let Some(Stage { server, provider, .. }) = Stage::set() else { return };
    let leaving = leave(&server).await;
    let back = at_provider(&leaving.url, Some("anna")).await;
    let issuer = provider.issuer.clone();
    drop(provider);
    failed(&come_back(&server, &back, &leaving.cookie).await, "issuer_unavailable");
    let later = Server::new(&settings(&issuer, &random(20)));
    failed(&later.nobody().get("/api/auth/oidc/login").await, "issuer_unavailable");
    later.browser().await.get("/api/auth/me").await.json(200);
}

#[tokio::test]
async fn nothing_of_a_sign_in_is_written_to_the_log() {
    let Some(stage) = Stage::with(&[("RUST_LOG", "trace")]) else { return };
    let leaving = leave(&stage.server).await;
    let back = at_provider(&leaving.url, Some("anna")).await;
    failed(&come_back(&stage.server, &with_query(&back, "state", "x"), &leaving.cookie).await, "signin_lost");
    let answer = come_back(&stage.server, &back, &leaving.cookie).await;
    assert_eq!(answer.header("location"), "/");
    failed(&come_back(&stage.server, &back, &leaving.cookie).await, "signin_refused");
    stage.server.log.wait_for_count("/api/auth/oidc/callback", 3);
    let log = stage.server.log.text();
    let sealed = leaving.cookie.split_once('=').expect("a value").1;
    for (what, secret) in [
        ("the code", query(&back, "code")),
        ("the state", query(&back, "state")),
        ("the nonce", query(&leaving.url, "nonce")),
        ("the challenge", query(&leaving.url, "code_challenge")),
        ("the trip", sealed.to_owned()),
        ("the client's secret", stage.secret.clone()),
        ("a token", "eyJ".to_owned()),
        ("the e-mail", "anna@provider.test".to_owned()),
    ] {
        assert!(!log.contains(&secret), "{what} is in the log");
    }
}

#[tokio::test]
async fn the_page_learns_of_the_provider_and_without_one_there_is_no_way_to_it() {
    let Some(stage) = Stage::set() else { return };
    let told = stage.server.nobody().get("/api/system/info").await.json(200);
    assert_eq!(told["sign_in"], json!({"password": true, "oidc": "Example"}));
    let without = Server::shared().nobody();
    for path in ["/api/auth/oidc/login", "/api/auth/oidc/callback", "/api/auth/oidc/callback?code=x&state=y"] {
        without.get(path).await.problem(404, "not_found");
    }
}
