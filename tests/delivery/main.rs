//! Delivery from outside: clients behind a network that breaks in every way, a server that is killed, and a checker that
//! reads what all of them wrote down and decides whether anything was lost, doubled, out of order or not theirs.
//!
//! Small here, whole with `DELIVERY_LONG=1` (`tests/run --long`). Chance has a seed, which a failure prints and
//! `DELIVERY_SEED` sets.

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
#[path = "../gateway/server.rs"]
mod server;
#[allow(dead_code, reason = "as above")]
#[path = "../gateway/socket.rs"]
mod socket;
#[allow(dead_code, reason = "as above")]
#[path = "../gateway/stream.rs"]
mod stream;

mod campaign;
mod desk;
mod device;
mod dice;
mod line;
mod plan;
mod proxy;
mod sse;
mod stage;

mod campaigns;
mod every_byte;
mod judging;
mod keys;
mod proxying;
mod same;

use std::{future::Future, time::Duration};

use hailgate::bench::checker;

/// What must happen happens within this time; waiting longer is a failure.
const DEADLINE: Duration = Duration::from_secs(60);

/// Waits for the thing itself, but not for ever.
async fn soon<T>(what: &str, thing: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(DEADLINE, thing).await;
    done.unwrap_or_else(|_| panic!("{what} did not happen within {DEADLINE:?}"))
}
