//! Credentials that do not verify: 401 on REST and on the upgrade alike, and never a fallback to another one.

use serde_json::{Value, json};

use crate::{
    jwt::{changed, claims, header, now, sign},
    people::{Person, Proof, cookie},
    raw::{Raw, upgrade},
    server::{ORIGIN, Server, random},
    socket::Socket,
};

fn signed(server: &Server, header: &Value, claims: &Value) -> String {
    sign(&header.to_string(), &claims.to_string(), server.site.variable("HAILGATE_JWT_SECRET"))
}

/// This token is refused with this code on REST, on the upgrade, and in the query.
async fn refused(alice: &Person, what: &str, token: &str, code: &str) {
    let bearer = alice.with(Proof::Bearer(token.to_owned()));
    for answer in [bearer.get("/api/auth/me").await, bearer.try_upgrade("/ws").await] {
        assert_eq!(answer.status, 401, "{what}: {}", answer.body);
        let problem = answer.problem(401, code);
        assert!(!problem.to_string().contains(token), "{what}: {problem}");
        assert!(answer.header("www-authenticate").contains("error=\"invalid_token\""), "{what}");
    }
    let nobody = alice.with(Proof::Nothing);
    nobody.try_upgrade(&format!("/ws?token={token}")).await.problem(401, code);
}

#[tokio::test]
async fn a_token_made_as_the_server_makes_them_is_taken() {
    let server = Server::shared();
    let alice = server.person();
    for typ in ["at+jwt", "JWT", "jwt"] {
        let token = signed(server, &changed(&header(), &json!({"typ": typ})), &claims(&alice.name));
        let me = alice.with(Proof::Bearer(token)).get("/api/auth/me").await.json(200);
        assert_eq!(me["user_id"], alice.name);
        assert_eq!(me["auth_method"], "bearer");
    }
}

#[tokio::test]
async fn an_unsigned_token_is_refused_however_it_says_so() {
    let server = Server::shared();
    let alice = server.person();
    for none in ["none", "None", "NONE", "nOnE"] {
        let token = signed(server, &changed(&header(), &json!({"alg": none})), &claims(&alice.name));
        let (unsigned, _) = token.rsplit_once('.').expect("three parts");
        refused(&alice, none, &token, "bad_credentials").await;
        refused(&alice, none, &format!("{unsigned}."), "bad_credentials").await;
        refused(&alice, none, unsigned, "bad_credentials").await;
    }
    let other = signed(server, &changed(&header(), &json!({"alg": "HS512"})), &claims(&alice.name));
    refused(&alice, "another algorithm", &other, "bad_credentials").await;
}

#[tokio::test]
async fn a_token_with_a_wrong_signature_is_refused() {
    let server = Server::shared();
    let alice = server.person();
    let other_key = sign(&header().to_string(), &claims(&alice.name).to_string(), &random(64));
    refused(&alice, "another key", &other_key, "bad_credentials").await;
    let empty_key = sign(&header().to_string(), &claims(&alice.name).to_string(), "");
    refused(&alice, "an empty key", &empty_key, "bad_credentials").await;
    let parts: Vec<&str> = alice.token().split('.').collect();
    let eve = signed(server, &header(), &claims("eve"));
    let eves: Vec<&str> = eve.split('.').collect();
    for (what, token) in [
        ("another body", format!("{}.{}.{}", parts[0], eves[1], parts[2])),
        ("a cut signature", alice.token()[..alice.token().len() - 2].to_owned()),
        ("no body", format!("{}..{}", parts[0], parts[2])),
        ("four parts", format!("{}.x", alice.token())),
        ("no token", "x".to_owned()),
        ("dots", "..".to_owned()),
    ] {
        refused(&alice, what, &token, "bad_credentials").await;
    }
}

#[tokio::test]
async fn a_token_out_of_its_time_is_refused() {
    let server = Server::shared();
    let alice = server.person();
    let (good, now) = (claims(&alice.name), now());
    let expired = changed(&good, &json!({"iat": now - 600, "exp": now - 60}));
    refused(&alice, "expired", &signed(server, &header(), &expired), "token_expired").await;
    for (what, with) in [
        ("issued in the future", json!({"iat": now + 60})),
        ("not valid yet", json!({"nbf": now + 60})),
        ("living over 24 hours", json!({"iat": now, "exp": now + 86_401})),
        ("without an end", json!({"exp": null})),
        ("without a beginning", json!({"iat": null})),
        ("times as text", json!({"exp": "9999999999"})),
        ("a time as a fraction", json!({"exp": 1e300})),
    ] {
        refused(&alice, what, &signed(server, &header(), &changed(&good, &with)), "bad_credentials").await;
    }
}

#[tokio::test]
async fn a_token_for_somebody_else_or_of_another_kind_is_refused() {
    let server = Server::shared();
    let alice = server.person();
    let good = claims(&alice.name);
    for (what, with) in [
        ("another audience", json!({"aud": "other"})),
        ("no audience", json!({"aud": null})),
        ("another issuer", json!({"iss": "other"})),
        ("no issuer", json!({"iss": null})),
        ("no subject", json!({"sub": null})),
        ("an empty subject", json!({"sub": ""})),
        ("a subject that is a number", json!({"sub": 5})),
        ("the anonymous user", json!({"sub": "anonymous"})),
        ("the system", json!({"sub": "system"})),
        ("an ID token", json!({"nonce": "x"})),
        ("an ID token with a hash", json!({"at_hash": "x"})),
        ("an ID token with a code hash", json!({"c_hash": "x"})),
    ] {
        refused(&alice, what, &signed(server, &header(), &changed(&good, &with)), "bad_credentials").await;
    }
    for (what, with) in [
        ("no type", json!({"typ": null})),
        ("another type", json!({"typ": "dpop+jwt"})),
        ("an extension", json!({"crit": ["b64"], "b64": false})),
        ("an unencoded body", json!({"b64": false})),
        ("a key that is not known", json!({"kid": "other"})),
    ] {
        refused(&alice, what, &signed(server, &changed(&header(), &with), &good), "bad_credentials").await;
    }
    let text = good.to_string();
    let twice = format!("{},\"sub\":\"{}\"}}", &text[..text.len() - 1], alice.name);
    let twice = sign(&header().to_string(), &twice, server.site.variable("HAILGATE_JWT_SECRET"));
    refused(&alice, "a name that stands twice", &twice, "bad_credentials").await;
}

#[tokio::test]
async fn a_token_of_nobodys_account_is_401_unknown_user() {
    let server = Server::shared();
    let token = signed(server, &header(), &claims("nobody-has-this-name"));
    let nobody = server.nobody().with(Proof::Bearer(token));
    nobody.get("/api/auth/me").await.problem(401, "unknown_user");
    nobody.try_upgrade("/ws").await.problem(401, "unknown_user");
}

#[tokio::test]
async fn where_users_are_created_a_valid_token_creates_its_user_and_a_bad_one_does_not() {
    let server = Server::new(&[("HAILGATE_CREATE_USERS", "true")]);
    let bad = sign(&header().to_string(), &claims("mallory").to_string(), &random(64));
    server.nobody().with(Proof::Bearer(bad)).get("/api/auth/me").await.problem(401, "bad_credentials");
    let named = changed(&claims("alice"), &json!({"name": "Alice A."}));
    let alice = server.nobody().with(Proof::Bearer(signed(&server, &header(), &named)));
    assert_eq!(alice.get("/api/auth/me").await.json(200)["name"], "Alice A.");
    alice.socket().await.is_alive().await;
    let accounts = server.site.told(&["user", "list"], "");
    assert!(accounts.contains("alice") && !accounts.contains("mallory"), "{accounts}");
}

#[tokio::test]
async fn an_authorization_that_cannot_be_read_is_401_and_never_a_fallback_to_the_cookie() {
    let server = Server::shared();
    let alice = server.browser().await;
    for wrong in ["", "Bearer", "Bearer ", "bearer x", "x", "a.b.c d"] {
        let me = alice.request(reqwest::Method::GET, "/api/auth/me").header("Authorization", wrong);
        crate::answer::ask(me).await.problem(401, "bad_credentials");
        let more = format!("Cookie: {}\r\nOrigin: {ORIGIN}\r\nAuthorization: {wrong}\r\n", alice.cookie());
        let mut raw = Raw::connect(server.port).await;
        raw.send(upgrade("/ws", &more)).await;
        raw.refused(401, "bad_credentials").await;
    }
    alice.try_upgrade("/ws?token=x").await.problem(401, "bad_credentials");
}

#[tokio::test]
async fn an_authorization_of_another_scheme_is_as_good_as_absent() {
    let server = Server::shared();
    let alice = server.browser().await;
    for other in ["Basic YWxpY2U6eA==", "Digest username=\"a\", realm=\"b\"", "Negotiate x", "Token x"] {
        let me = |person: &Person| person.request(reqwest::Method::GET, "/api/auth/me").header("Authorization", other);
        crate::answer::ask(me(&server.nobody())).await.problem(401, "unauthenticated");
        assert_eq!(crate::answer::ask(me(&alice)).await.json(200)["auth_method"], "session");
        let more = format!("Cookie: {}\r\nOrigin: {ORIGIN}\r\nAuthorization: {other}\r\n", alice.cookie());
        let mut raw = Raw::connect(server.port).await;
        raw.send(upgrade("/ws", &more)).await;
        assert_eq!(raw.head().await.status, 101, "{other}");
    }
}

#[tokio::test]
async fn two_explicit_credentials_are_400() {
    let server = Server::shared();
    let alice = server.person();
    alice.try_upgrade(&format!("/ws?token={}", alice.token())).await.problem(400, "several_credentials");
    let twice = format!("/ws?token={0}&token={0}", alice.token());
    alice.with(Proof::Nothing).try_upgrade(&twice).await.problem(400, "several_credentials");
    let me =
        alice.request(reqwest::Method::GET, "/api/auth/me").header("Authorization", format!("Bearer {}", alice.token()));
    crate::answer::ask(me).await.problem(400, "several_credentials");
}

#[tokio::test]
async fn a_query_token_is_taken_on_the_socket_only_and_can_be_switched_off() {
    let server = Server::shared();
    let alice = server.person();
    let nobody = alice.with(Proof::Nothing);
    nobody.get(&format!("/api/auth/me?token={}", alice.token())).await.problem(401, "bad_credentials");
    nobody.get(&format!("/api/events?token={}", alice.token())).await.problem(401, "bad_credentials");
    let path = format!("/ws?token={}", alice.token());
    Socket::open(&nobody, &path).await.is_alive().await;
    let server = Server::new(&[("HAILGATE_QUERY_TOKENS", "off")]);
    let alice = server.person();
    let path = format!("/ws?token={}", alice.token());
    alice.with(Proof::Nothing).try_upgrade(&path).await.problem(401, "bad_credentials");
    alice.socket().await.is_alive().await;
}

#[tokio::test]
async fn with_a_token_a_bad_cookie_adds_nothing_and_one_of_another_user_is_401() {
    let server = Server::shared();
    let (alice, bob) = (server.person(), server.browser().await);
    let with_cookie = |cookie: &str| alice.request(reqwest::Method::GET, "/api/auth/me").header("Cookie", cookie.to_owned());
    let me = crate::answer::ask(with_cookie("__Host-hailgate=nonsense")).await.json(200);
    assert_eq!(me["auth_method"], "bearer");
    crate::answer::ask(with_cookie(bob.cookie())).await.problem(401, "bad_credentials");
    let own = server.sign_in(&alice.name).await;
    let me = crate::answer::ask(with_cookie(own.cookie())).await.json(200);
    assert_eq!((&me["auth_method"], &me["session_id"]), (&json!("bearer"), &Value::Null));
}

#[tokio::test]
async fn a_cookie_of_another_key_or_a_bent_one_is_nobody() {
    let (server, other) = (Server::shared(), Server::new(&[]));
    let name = format!("u{}", random(10));
    server.site.add_user(&name);
    other.site.add_user(&name);
    let theirs = cookie(&other.login(&name, crate::server::PASSWORD).await);
    let own = server.sign_in(&name).await;
    let (label, value) = own.cookie().split_once('=').expect("a name");
    let mut bent = value.to_owned();
    let middle = bent.len() / 2;
    bent.replace_range(middle..=middle, if &bent[middle..=middle] == "A" { "B" } else { "A" });
    for wrong in
        [theirs, format!("{label}={bent}"), format!("{label}="), format!("hailgate={value}"), format!("{label}={name}")]
    {
        let nobody = own.with(Proof::Cookie(wrong));
        nobody.get("/api/auth/me").await.problem(401, "unauthenticated");
        nobody.try_upgrade("/ws").await.problem(401, "unauthenticated");
    }
    own.get("/api/auth/me").await.json(200);
}
