//! The gateway mounted in somebody's actix-web App (`tests/examples/mount.rs`), on the adapter for actix-web-actors: what
//! admission and sockets promise holds there too. The same tests as the gateway's own; `serve` is the example here.

#[allow(dead_code, reason = "shared with the tests of the gateway, which use more of it")]
#[path = "../gateway/answer.rs"]
mod answer;
#[allow(dead_code, reason = "as above")]
#[path = "../gateway/jwt.rs"]
mod jwt;
#[allow(dead_code, reason = "as above")]
#[path = "../gateway/people.rs"]
mod people;
#[allow(dead_code, reason = "as above")]
#[path = "../gateway/raw.rs"]
mod raw;
#[allow(dead_code, reason = "as above")]
#[path = "../gateway/refusals.rs"]
mod refusals;
#[allow(dead_code, reason = "as above")]
#[path = "../gateway/server.rs"]
mod server;
#[allow(dead_code, reason = "as above")]
#[path = "../gateway/shown.rs"]
mod shown;
#[allow(dead_code, reason = "as above")]
#[path = "../gateway/socket.rs"]
mod socket;
#[allow(dead_code, reason = "as above")]
#[path = "../gateway/stream.rs"]
mod stream;

mod app;
#[path = "../gateway/bad_frames.rs"]
mod bad_frames;
#[path = "../gateway/broken_protocol.rs"]
mod broken_protocol;
#[path = "../gateway/cursors.rs"]
mod cursors;
#[path = "../gateway/last_requests.rs"]
mod last_requests;
#[path = "../gateway/live.rs"]
mod live;
#[path = "../gateway/matrix.rs"]
mod matrix;
#[path = "../gateway/memory.rs"]
mod memory;
#[path = "../gateway/resume.rs"]
mod resume;
#[path = "../gateway/upgrades.rs"]
mod upgrades;

use std::{future::Future, time::Duration};

/// What must happen happens within this time; waiting longer is a failure.
const DEADLINE: Duration = Duration::from_secs(60);

/// Waits for the thing itself, but not for ever.
async fn soon<T>(what: &str, thing: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(DEADLINE, thing).await;
    done.unwrap_or_else(|_| panic!("{what} did not happen within {DEADLINE:?}"))
}
