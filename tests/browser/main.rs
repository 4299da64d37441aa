//! The page in a real browser against the real server: Chromium through its driver, two people, one sentence a test.
//! Where there is no Chromium the tests say SKIPPED and pass; with `CI=true` they fail.

mod chat;
mod content;
mod driver;
mod edit;
mod members;
mod offline;
mod oidc;
mod outage;
#[path = "../provider/mod.rs"]
mod provider;
mod proxy;
mod refusals;
mod server;
mod threads;
mod window;

use driver::Driver;
use server::Server;
use window::Window;

/// What the demo's thread begins with.
const HELLO: &str = "Hello! Open the other link in a second window and answer me.";

/// A server, and alice and bob at it, each in a browser of their own. The browsers end first.
struct Stage {
    _driver: Driver,
    alice: Window,
    bob: Window,
    server: Server,
}

impl Stage {
    /// Both signed in, looking at the thread they share. `None` where there is no browser.
    async fn set() -> Option<Stage> {
        let driver = Driver::start()?;
        let server = Server::start();
        let (alice, bob) = tokio::join!(driver.window(), driver.window());
        tokio::join!(alice.sign_in(&server.links[0]), bob.sign_in(&server.links[1]));
        Some(Stage { _driver: driver, alice, bob, server })
    }
}
