//! Two windows of one user, in two browsers: what is read in one is read in the other.

use crate::{
    driver::Driver,
    proxy::Proxy,
    server::Server,
    window::{View, Window},
};

const PASSWORD: &str = "correct horse battery staple";

/// Signs bob in at this port.
async fn bob_at(driver: &Driver, port: u16) -> Window {
    let window = driver.window().await;
    window.go(&format!("http://127.0.0.1:{port}/")).await;
    window.sees("the sign-in form", |view| view.signin).await;
    window.fills("#signin-name", "bob").await;
    window.fills("#signin-password", PASSWORD).await;
    window.click("#signin-submit").await;
    window.is_live().await;
    window
}

#[tokio::test]
async fn what_is_read_in_one_window_is_read_in_the_other_also_when_that_one_was_away() {
    let Some(driver) = Driver::start() else { return };
    let proxy = Proxy::start().await;
    let server = Server::start_with(&[("HAILGATE_ALLOWED_ORIGINS", &format!("http://127.0.0.1:{}", proxy.port))]);
    proxy.serves(server.port);
    server.command(&["user", "passwd", "bob", "--password-stdin"], &format!("{PASSWORD}\n"));
    let (one, other) = tokio::join!(bob_at(&driver, server.port), bob_at(&driver, proxy.port));
    let lunch = server.program.thread("Lunch", &["bob"]).await;
    let unread = |count: u64| {
        move |view: &View| {
            let title = if count == 0 { "Hailgate".to_owned() } else { format!("({count}) Hailgate") };
            view.title == title && view.thread("Lunch").is_some_and(|thread| thread.unread == count)
        }
    };
    for text in ["at noon?", "or later?"] {
        server.program.post(&lunch, text).await;
    }
    for window in [&one, &other] {
        window.sees("two unread messages", unread(2)).await;
    }
    one.opens("Lunch").await;
    one.sees("that all is read", unread(0)).await;
    let view = other.sees("that all is read", unread(0)).await;
    assert_eq!(view.heading, "Demo", "it was not opened here");

    // The other way round, and while the first reads on.
    one.opens("Demo").await;
    server.program.post(&lunch, "so?").await;
    one.sees("one unread message", unread(1)).await;
    other.opens("Lunch").await;
    one.sees("that all is read", unread(0)).await;
    other.opens("Demo").await;

    // Read while the other window has no connection at all.
    server.program.post(&lunch, "hello?").await;
    other.sees("one unread message", unread(1)).await;
    proxy.serves(1);
    proxy.lets_sockets_through(false);
    other.sees("that it is offline", |view| view.connection == "offline").await;
    one.opens("Lunch").await;
    one.sees("that all is read", unread(0)).await;
    other.sees("what it knew", unread(1)).await;
    proxy.serves(server.port);
    proxy.lets_sockets_through(true);
    other.sees("that all is read", unread(0)).await;
    other.sees("that it is live", |view| view.connection == "live" && view.connection_words.is_empty()).await;
    one.is_clean().await;
    other.is_clean().await;
}
