//! Every kind of user, every way to a credential, every use of it: all open the same account.

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{client::IntoClientRequest, http::HeaderValue};

use crate::{
    descent::{Pair, by_ticket},
    issuers::{ENTRY, Issuer, keys, site},
    jwt::claims,
    oidc::{BACK, at_provider, come_back, leave, settings},
    people::{Person, Proof, cookie},
    provider::Provider,
    server::{Server, random},
    socket::Socket,
};

/// Uses a token in every way there is; `what` names its cell of the table.
async fn opens(server: &Server, user: &str, what: &str, token: &str) {
    let bearer = server.nobody().with(Proof::Bearer(token.to_owned()));
    let me = bearer.get("/api/auth/me").await;
    assert_eq!((me.status, me.json(200)["user_id"].as_str()), (200, Some(user)), "{user} by {what}");
    let mut socket = bearer.socket().await;
    is_open(&mut socket, user, what).await;
    let answer = socket.ask("token.refresh", json!({"token": token})).await;
    assert_eq!(answer["type"], "ack", "{user} by {what}, on the socket: {answer}");
    is_open(&mut socket, user, what).await;
    is_open(&mut Socket::open(&server.nobody(), &format!("/ws?token={token}")).await, user, what).await;
    let mut request = format!("ws://127.0.0.1:{}/ws", server.port).into_client_request().expect("a request");
    let protocol = format!("jwt-auth, jwt.{}", URL_SAFE_NO_PAD.encode(token));
    request.headers_mut().insert("Sec-WebSocket-Protocol", HeaderValue::from_str(&protocol).expect("a header"));
    is_open(&mut Socket::upgrade(request).await.expect("an upgrade").0, user, what).await;
    is_open(&mut Socket::open(&server.nobody(), &by_ticket(&bearer.ticket().await)).await, user, what).await;
}

async fn is_open(socket: &mut Socket, user: &str, what: &str) {
    assert_eq!(socket.hello["user"]["user_id"], user, "{what}");
    socket.is_alive().await;
}

/// What somebody who is signed in at the page gets from there.
async fn descends(server: &Server, page: &Person, user: &str) {
    assert_eq!(page.get("/api/auth/me").await.json(200)["user_id"], user);
    is_open(&mut page.socket().await, user, "the cookie").await;
    is_open(&mut Socket::open(&server.nobody(), &by_ticket(&page.ticket().await)).await, user, "a ticket").await;
    let pair = page.pair().await;
    opens(server, user, "an access token", &pair.access).await;
    opens(server, user, "a refreshed token", &Pair::of(&server.refresh(&pair.refresh).await).access).await;
}

#[tokio::test]
async fn every_user_gets_in_by_every_credential_that_is_given_out_for_it() {
    let secret = random(40);
    let provider = Provider::start(&secret, BACK);
    let idp = Issuer::new("k1");
    let mut more = vec![("HAILGATE_CREATE_USERS", "true"), ("HAILGATE_LIMIT_TICKETS_PER_SECOND", "1000")];
    if let Some(provider) = &provider {
        more.extend(settings(&provider.issuer, &secret));
    }
    let server = Arc::new(site(&more, "", ENTRY, &keys(&[&idp]))).serve();
    let by_command = async |user: &str| opens(&server, user, "the command token", &server.site.token(user)).await;

    let local = server.browser().await;
    descends(&server, &local, &local.name).await;
    by_command(&local.name).await;

    opens(&server, "corp:Anna", "the outside issuer", &idp.token(&json!({}))).await;
    by_command("corp:Anna").await;

    let made = format!("u{}", random(10));
    opens(&server, &made, "its first token", &server.site.signed(&claims(&made))).await;
    by_command(&made).await;

    if provider.is_some() {
        let leaving = leave(&server).await;
        let back = at_provider(&leaving.url, Some("anna")).await;
        let page = server.nobody().with(Proof::Cookie(cookie(&come_back(&server, &back, &leaving.cookie).await)));
        descends(&server, &page, "oidc:anna").await;
        by_command("oidc:anna").await;
    }

    // The own key makes accounts of local names only, and an outside issuer names users under its prefix only.
    for (token, code) in [
        (server.site.signed(&claims("corp:nobody")), "unknown_user"),
        (server.site.signed(&claims("elsewhere:anna")), "unknown_user"),
    ] {
        server.nobody().with(Proof::Bearer(token)).get("/api/auth/me").await.problem(401, code);
    }
    let refused = server.site.run(&["token", "--user", "corp:nobody"]);
    assert!(!refused.status.success() && refused.stdout.is_empty(), "{refused:?}");
    let said = String::from_utf8(refused.stderr).expect("UTF-8");
    assert!(said.contains("there is no account corp:nobody"), "{said}");
    let named = |sub: Value| server.nobody().with(Proof::Bearer(idp.token(&json!({"sub": sub}))));
    // A reserved name is no user id: such a subject's account is called by its hash, as at a sign-in.
    let reserved = named(json!("system")).get("/api/auth/me").await.json(200);
    assert!(reserved["user_id"].as_str().is_some_and(|id| id.starts_with("corp:") && id != "corp:system"), "{reserved}");
    let other = named(json!(local.name)).get("/api/auth/me").await.json(200);
    assert_eq!(other["user_id"], format!("corp:{}", local.name));
}
