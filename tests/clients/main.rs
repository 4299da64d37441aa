//! The wire contract spoken by WebSocket libraries of other ecosystems: Java, Go, Python and Node.js. One scenario for all;
//! each library is driven by a small program of its own (see `program`).
//!
//! Where a toolchain is missing, the test says SKIPPED; tests/run installs the libraries.

#[allow(dead_code, reason = "the gateway's tests use the rest")]
#[path = "../gateway/answer.rs"]
mod answer;
#[allow(dead_code, reason = "as above")]
#[path = "../gateway/descent.rs"]
mod descent;
#[allow(dead_code, reason = "as above")]
#[path = "../gateway/jwt.rs"]
mod jwt;
#[allow(dead_code, reason = "as above")]
#[path = "../gateway/people.rs"]
mod people;
#[allow(dead_code, reason = "as above")]
#[path = "../gateway/server.rs"]
mod server;
#[allow(dead_code, reason = "as above")]
#[path = "../gateway/socket.rs"]
mod socket;

mod language;
mod program;
mod scenario;

use std::{future::Future, time::Duration};

/// What must happen happens within this time; waiting longer is a failure. A JVM that compiles its program on a busy machine
/// takes many seconds to start.
const DEADLINE: Duration = Duration::from_secs(120);

/// Waits for the thing itself, but not for ever.
async fn soon<T>(what: &str, thing: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(DEADLINE, thing).await;
    done.unwrap_or_else(|_| panic!("{what} did not happen within {DEADLINE:?}"))
}

/// One test a library: its name, its language, and the program that uses it.
macro_rules! libraries {
    ($($name:ident: $language:ident $program:literal,)*) => {
        mod the_contract_holds_for {
            $(#[tokio::test]
            async fn $name() {
                if let Some(command) = super::language::Language::$language.command($program) {
                    super::scenario::play(command).await;
                }
            })*
        }
    };
}

libraries! {
    java_net_http: Java "Client.java",
    go_coder_websocket: Go "coder",
    go_gorilla_websocket: Go "gorilla",
    python_websockets: Python "client_websockets.py",
    python_aiohttp: Python "client_aiohttp.py",
    python_websocket_client: Python "client_websocket_client.py",
    node_ws: Node "ws.mjs",
    node_undici: Node "undici.mjs",
}
