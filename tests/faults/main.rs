//! Real faults of disk, machine and readers against the real program: a full disk, a store that nobody may write, failing
//! writes and syncs, a disk that hangs, a power cut, a client that never reads, a process that stands still.
//!
//! Where the machine lacks what a test needs, the test says SKIPPED and why; a missing package is a failure with `CI=true`.
//!
//! Decisions: `src/docs/decisions/testing.md`.

mod disk_full;
mod failing_disk;
mod hanging_disk;
mod ledger;
mod locked;
mod machine;
mod outage;
mod power_cut;
mod read_only;
mod standstill;
mod storm;
mod unread;

#[path = "../gateway/answer.rs"]
#[allow(dead_code, reason = "the gateway's tests use the rest")]
mod answer;
#[path = "../gateway/people.rs"]
#[allow(dead_code, reason = "the gateway's tests use the rest")]
mod people;
#[path = "../gateway/raw.rs"]
#[allow(dead_code, reason = "the gateway's tests use the rest")]
mod raw;
#[path = "../gateway/server.rs"]
#[allow(dead_code, reason = "the gateway's tests use the rest")]
mod server;
#[path = "../gateway/socket.rs"]
#[allow(dead_code, reason = "the gateway's tests use the rest")]
mod socket;

use std::{future::Future, time::Duration};

/// What must happen happens within this time; waiting longer is a failure.
const DEADLINE: Duration = Duration::from_secs(120);

/// Waits for the thing itself, but not for ever.
async fn soon<T>(what: &str, thing: impl Future<Output = T>) -> T {
    within(DEADLINE, what, thing).await
}

/// The same with another time.
async fn within<T>(time: Duration, what: &str, thing: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(time, thing).await;
    done.unwrap_or_else(|_| panic!("{what} did not happen within {time:?}"))
}

/// Rounds of what is done again and again: few in a short run, as many as the variable says in a long one.
fn rounds(few: usize) -> usize {
    std::env::var("FAULT_ROUNDS").map_or(few, |rounds| rounds.parse().expect("FAULT_ROUNDS is a number"))
}
