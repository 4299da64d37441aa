//! What passwords cost the server.

use futures_util::future::join_all;

use crate::server::{Server, random};

/// Memory of one hash, in KiB.
const HASH_KIB: u64 = 19 * 1_024;

#[tokio::test]
async fn failed_logins_leave_no_more_memory_in_use_than_hashes_run_at_once() {
    let server = Server::new(&[]);
    server.login("nobody", "wrong").await.problem(401, "bad_login");
    let before = server.resident_kib();
    for _ in 0..10 {
        let names: Vec<String> = (0..8).map(|_| random(10)).collect();
        for answer in join_all(names.iter().map(|name| server.login(name, "wrong"))).await {
            answer.problem(401, "bad_login");
        }
    }
    let grown = server.resident_kib().saturating_sub(before);
    assert!(grown < 4 * HASH_KIB + 24 * 1_024, "{grown} KiB more than before");
}
