//! Sign-in at a real OpenID Connect provider, as a person does it: by the button, through the provider's pages.

use std::net::TcpListener;

use serde_json::json;

use crate::{driver::Driver, provider::Provider, server::Server, window::Window};

const SECRET: &str = "the-secret-that-the-provider-gave";

/// A server on a port that is known before it starts, because the provider must know where to send people back to. The
/// two are different sites to a browser.
fn stage() -> Option<(Server, Provider, String)> {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
    let own = format!("http://localhost:{port}");
    let provider = Provider::start(SECRET, &format!("{own}/api/auth/oidc/callback"))?;
    let server = Server::start_at(
        port,
        &[
            ("HAILGATE_PUBLIC_URL", &own),
            ("HAILGATE_OIDC_ISSUER", &provider.issuer),
            ("HAILGATE_OIDC_CLIENT_ID", "chat"),
            ("HAILGATE_OIDC_CLIENT_SECRET", SECRET),
            ("HAILGATE_OIDC_NAME", "Example"),
        ],
    );
    Some((server, provider, own))
}

async fn offered(driver: &Driver, own: &str) -> Window {
    let window = driver.window().await;
    window.go(own).await;
    window.has("#signin-oidc", 1).await;
    assert_eq!(
        window.run("return document.querySelector('#signin-oidc').innerText", json!([])).await,
        "Sign in with Example"
    );
    window
}

#[tokio::test]
async fn the_button_leads_to_the_provider_and_back_into_the_page_signed_in() {
    let (Some(driver), Some((_server, _provider, own))) = (Driver::start(), stage()) else { return };
    let carla = offered(&driver, &own).await;
    carla.click("#signin-oidc").await;
    carla.fills("[name=login]", "carla").await;
    carla.fills("[name=password]", "any").await;
    carla.click("[type=submit]").await;
    carla.click("[value=consent] ~ [type=submit]").await;
    let view = carla.sees("the conversations", |view| view.app && view.connection == "live").await;
    assert_eq!(view.address, format!("{own}/"));
    assert_eq!(carla.run("return document.querySelector('#me').innerText", json!([])).await, "Name of carla");
    carla.is_clean().await;
    carla.reload().await;
    carla.sees("the conversations again", |view| view.app && view.connection == "live").await;
}

#[tokio::test]
async fn who_goes_away_from_the_provider_reads_why_nothing_happened_and_the_address_keeps_nothing() {
    let (Some(driver), Some((_server, _provider, own))) = (Driver::start(), stage()) else { return };
    let dora = offered(&driver, &own).await;
    dora.click("#signin-oidc").await;
    dora.click("a[href$=abort]").await;
    let view = dora.sees("why", |view| view.signin && !view.signin_words.is_empty()).await;
    assert_eq!((view.signin_words.as_str(), view.app), ("The provider did not sign you in", false));
    assert_eq!(view.address, format!("{own}/"));
    dora.is_clean().await;
}
