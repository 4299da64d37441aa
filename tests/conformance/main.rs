//! RFC 6455 by the letter: a client that knows bytes and nothing of any library, against the echo example on each
//! transport. A case is what is sent and what must come back, exactly; small ones are sent in one piece, frame by frame
//! and byte by byte.

#[allow(dead_code, reason = "shared with the tests of the gateway, which use more of it")]
#[path = "../gateway/server.rs"]
mod server;

mod case;
mod peer;
mod wire;

mod amounts;
mod closing;
mod conversations;
mod fragments;
mod framing;
mod pings;
mod reserved;
mod utf8;

use std::time::Duration;

/// What must happen happens within this time; waiting longer is a failure.
const DEADLINE: Duration = Duration::from_secs(60);
