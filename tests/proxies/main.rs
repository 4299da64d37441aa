//! Hailgate behind nginx, Caddy, HAProxy and Apache: the configurations of `src/docs/proxies.md` work, and `check --url` finds what
//! is wrong with others.

#[allow(dead_code, reason = "shared with the tests of the gateway, which use more of it")]
#[path = "../gateway/answer.rs"]
mod answer;
#[allow(dead_code, reason = "as above")]
#[path = "../gateway/people.rs"]
mod people;
#[allow(dead_code, reason = "as above")]
#[path = "../gateway/server.rs"]
mod server;
#[allow(dead_code, reason = "as above")]
#[path = "../gateway/socket.rs"]
mod socket;
#[allow(dead_code, reason = "as above")]
#[path = "../gateway/stream.rs"]
mod stream;

mod configuration;
mod deployment;
mod http2;
mod prefix;
mod right;
mod silence;
mod visitor;
mod wrong;

use std::{future::Future, time::Duration};

/// What must happen happens within this time; waiting longer is a failure. `check --url` asks many questions, each of which may
/// take 10 s and more.
const DEADLINE: Duration = Duration::from_secs(180);

/// Waits for the thing itself, but not for ever.
async fn soon<T>(what: &str, thing: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(DEADLINE, thing).await;
    done.unwrap_or_else(|_| panic!("{what} did not happen within {DEADLINE:?}"))
}
