//! The page in a real browser against the real server: Chromium through its driver, two people, one sentence a test.
//! Where there is no Chromium the tests say SKIPPED and pass; with `CI=true` they fail.

mod accessibility;
mod bubbles;
mod budget;
mod chat;
mod connection;
mod content;
mod drafts;
mod driver;
mod edit;
mod finding;
mod journeys;
mod loading;
mod looks;
mod markers;
mod members;
mod messages;
mod offline;
mod oidc;
mod outage;
mod panels;
mod presence;
#[path = "../provider/mod.rs"]
mod provider;
mod proxy;
mod reading;
mod refusals;
mod seed;
mod server;
mod signout;
mod threads;
mod typing;
mod window;
mod windows;

use driver::Driver;
use server::Server;
use window::Window;

/// What the demo's thread begins with.
const HELLO: &str = "Hello! Open the other link in a second window and answer me.";

/// A server, and alice and bob at it, each in a browser of their own. The browsers end first.
struct Stage {
    driver: Driver,
    alice: Window,
    bob: Window,
    server: Server,
}

impl Stage {
    /// A third person's window, signed in by password.
    async fn third(&self, name: &str, display: &str) -> Window {
        let password = "correct horse battery staple";
        self.server.command(&["user", "add", name, "--display", display, "--password-stdin"], &format!("{password}\n"));
        let window = self.driver.window().await;
        window.go(&format!("http://127.0.0.1:{}/", self.server.port)).await;
        window.sees("the sign-in form", |view| view.signin).await;
        window.fills("#signin-name", name).await;
        window.fills("#signin-password", password).await;
        window.click("#signin-submit").await;
        window.sees("the page is connected", |view| view.app && view.connection == "live").await;
        window
    }

    /// Both signed in, looking at the thread they share. `None` where there is no browser.
    async fn set() -> Option<Stage> {
        Stage::set_with(&[]).await
    }

    /// The same, with these variables for the server.
    async fn set_with(variables: &[(&'static str, &str)]) -> Option<Stage> {
        let driver = Driver::start()?;
        let server = Server::start_with(variables);
        let (alice, bob) = tokio::join!(driver.window(), driver.window());
        tokio::join!(alice.sign_in(&server.links[0]), bob.sign_in(&server.links[1]));
        Some(Stage { driver, alice, bob, server })
    }
}
