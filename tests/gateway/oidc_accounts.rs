//! Which account a provider's subject acts as, by sign-in and by bearer token, and what a refused sign-in leaves of it.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rusqlite::Connection;
use serde_json::json;

use crate::{
    answer::Answer,
    jwt::changed,
    liar::{Liar, back, header},
    oidc::{Leaving, come_back, failed, leave},
    oidc_forged::trusting,
    people::{Proof, cookie, text},
    server::Server,
};

/// Comes back from the provider as this subject with this name.
async fn returns(server: &Server, liar: &Liar, leaving: &Leaving, sub: &str, name: &str) -> Answer {
    liar.hands_out(&liar.sign(&header(), &changed(&liar.claims(leaving), &json!({"sub": sub, "name": name}))));
    come_back(server, &back(leaving), &leaving.cookie).await
}

/// Signs the subject in at the provider, and says as which user.
async fn by_sign_in(server: &Server, liar: &Liar, sub: &str) -> String {
    let answer = returns(server, liar, &leave(server).await, sub, "Anna").await;
    assert_eq!(answer.header("location"), "/", "{sub}");
    let page = server.nobody().with(Proof::Cookie(cookie(&answer)));
    text(&page.get("/api/auth/me").await.json(200), "user_id").to_owned()
}

/// Shows a bearer token of the subject.
async fn by_token(server: &Server, liar: &Liar, sub: &str) -> Answer {
    let claims = changed(&liar.claims(&leave(server).await), &json!({"aud": "api", "nonce": null, "sub": sub}));
    let token = liar.sign(&json!({"alg": "EdDSA", "kid": "k1", "typ": "at+jwt"}), &claims);
    server.nobody().with(Proof::Bearer(token)).get("/api/auth/me").await
}

fn hash(liar: &Liar, sub: &str) -> String {
    let hash = digest(&SHA256, format!("{} {} {sub}", liar.issuer.len(), liar.issuer).as_bytes());
    URL_SAFE_NO_PAD.encode(hash)[..22].to_owned()
}

#[tokio::test]
async fn a_subject_that_is_the_hash_of_another_never_shares_its_account_where_tokens_have_a_prefix_of_their_own() {
    let liar = Liar::start();
    let server = trusting(&liar, "corp", &liar.issuer).serve();
    let by_token = async |sub: &str| by_token(&server, &liar, sub).await;
    let by_sign_in = async |sub: &str| by_sign_in(&server, &liar, sub).await;

    let victim = "repo:org/x:ref:refs/heads/main";
    let hashed = hash(&liar, victim);
    assert_eq!(by_token(victim).await.json(200)["user_id"], format!("corp:{hashed}"));
    assert_eq!(by_sign_in(&hashed).await, format!("oidc:{hashed}"));
    by_token(&hashed).await.problem(401, "unknown_user");
    assert_eq!(by_token(victim).await.json(200)["user_id"], format!("corp:{hashed}"));

    let later = "spiffe://example.org/ns/prod/sa/web";
    let hashed = hash(&liar, later);
    assert_eq!(by_sign_in(&hashed).await, format!("oidc:{hashed}"));
    assert_eq!(by_token(&hashed).await.json(200)["user_id"], format!("corp:{hashed}"), "nobody else's so far");
    by_token(later).await.problem(401, "unknown_user");
    assert_eq!(by_token(&hashed).await.json(200)["user_id"], format!("corp:{hashed}"));
}

#[tokio::test]
async fn a_sign_in_that_a_revocation_refuses_stores_nothing() {
    let liar = Liar::start();
    let server = trusting(&liar, "corp", &liar.issuer).serve();
    by_sign_in(&server, &liar, "anna").await;
    let leaving = leave(&server).await;
    server.site.told(&["user", "revoke", "oidc:anna"], "");
    failed(&returns(&server, &liar, &leaving, "anna", "Another").await, "signin_lost");
    let store = Connection::open(server.site.directory.path().join("hailgate.db")).expect("the store");
    let name = || store.query_row("SELECT name FROM users WHERE user_id = 'oidc:anna'", (), |row| row.get::<_, String>(0));
    assert_eq!(name().expect("a row"), "Anna");
    let answer = returns(&server, &liar, &leave(&server).await, "anna", "Another").await;
    assert_eq!((answer.header("location"), &*name().expect("a row")), ("/", "Another"), "begun after it");
}

#[tokio::test]
async fn a_revocation_between_the_account_and_the_session_of_a_sign_in_refuses_the_session() {
    let liar = Liar::start();
    let server = trusting(&liar, "corp", &liar.issuer).serve();
    by_sign_in(&server, &liar, "anna").await;
    let leaving = leave(&server).await;
    // In place of the revocation: the login epoch rises after the account was read and before anything else can read it.
    let store = Connection::open(server.site.directory.path().join("hailgate.db")).expect("the store");
    let revoked = "CREATE TRIGGER revoked AFTER UPDATE OF name ON users
                   BEGIN UPDATE users SET login_epoch = login_epoch + 1 WHERE user_id = NEW.user_id; END";
    store.execute_batch(revoked).expect("a trigger");
    let answer = returns(&server, &liar, &leaving, "anna", "Anna").await;
    assert_eq!(answer.set_cookie("hailgate"), "", "no session");
    answer.problem(401, "signin_lost");
    store.execute_batch("DROP TRIGGER revoked").expect("no trigger");
    by_sign_in(&server, &liar, "anna").await;
}
