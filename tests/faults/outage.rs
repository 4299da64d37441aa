//! What holds of every fault of the store: nothing but writes fails, and when it is over they work again.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::{
    ledger::{Ledger, Told, by_rest},
    people::Person,
    server::{PASSWORD, Server},
    within,
};

/// Within this time after the end of a fault of the store, writes work again and readiness says so; most of it is the
/// machine's.
const HEALS: Duration = Duration::from_secs(60);

/// What must work while nothing can be written, and what must fail, and how.
pub async fn only_writes_fail(server: &Server, alice: &Person, browser: &Person, thread: &str, code: &str) {
    // An answer is shared for a second.
    let nobody = server.nobody();
    within(HEALS, "not ready", async { while nobody.get("/health/ready").await.status == 200 {} }).await;
    assert_eq!(nobody.get("/health/ready").await.json(503), json!({"status": "unhealthy", "failing": "store"}));
    nobody.get("/health/live").await.json(200);
    assert!(!alice.history(thread).await.is_empty());
    alice.get("/api/threads").await.json(200);
    browser.get("/api/auth/me").await.json(200);
    browser.socket().await.is_alive().await;
    let status = if code == "storage_full" { 507 } else { 503 };
    for refused in [
        server.login(&browser.name, PASSWORD).await,
        alice.post("/api/ws/ticket", json!({})).await,
        browser.post("/api/auth/token", json!({})).await,
        alice.post("/api/threads", json!({"members": []})).await,
    ] {
        let told = refused.problem(status, code);
        assert!(told["retry_after_ms"].is_u64(), "{told}");
    }
}

/// Writes must work again within the time, and the server must say so.
pub async fn heals(server: &Server, ledger: &mut Ledger, alice: &Person, thread: &str) {
    let began = Instant::now();
    within(HEALS, "a write", async {
        loop {
            let told = by_rest(alice, thread, "the first after it").await;
            ledger.note("the first after it", told.clone());
            if matches!(told, Told::Stored(_)) {
                break;
            }
        }
    })
    .await;
    let left = HEALS.saturating_sub(began.elapsed());
    within(left, "readiness", async { while server.nobody().get("/health/ready").await.status != 200 {} }).await;
}
