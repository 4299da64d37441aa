//! What the server says about itself, the page it serves, and what every answer carries.

use std::io::Read;

use flate2::read::GzDecoder;
use reqwest::Method;
use serde_json::json;

use crate::{answer::ask, people::text, server::Server, soon};

#[tokio::test]
async fn system_info_says_more_to_those_who_are_signed_in_and_no_secret_to_anybody() {
    let server = Server::shared();
    let alice = server.person();
    let public = server.nobody().get("/api/system/info").await.json(200);
    assert_eq!(public, json!({"name": "hailgate", "environment": "testing", "sign_in": {"password": true}}));
    let answer = alice.get("/api/system/info").await;
    let info = answer.json(200);
    assert_eq!(answer.header("cache-control"), "no-store");
    for field in ["version", "git_commit", "build_time", "started_at", "node_id"] {
        assert!(!text(&info, field).is_empty(), "{field} of {info}");
    }
    assert_eq!(info.as_object().map(serde_json::Map::len), Some(8), "{info}");
    for secret in ["HAILGATE_JWT_SECRET", "HAILGATE_SESSION_KEY", "HAILGATE_DATABASE_URL"] {
        assert!(!answer.body.contains(server.site.variable(secret)));
    }
}

#[tokio::test]
async fn health_is_public_and_healthy() {
    let server = Server::shared();
    for path in ["/health", "/health/live", "/health/ready"] {
        let answer = server.nobody().get(path).await;
        assert_eq!(answer.json(200), json!({"status": "healthy"}), "{path}");
        assert_eq!(answer.header("cache-control"), "no-store");
    }
}

#[tokio::test]
async fn many_who_ask_whether_it_is_ready_share_an_answer() {
    let server = Server::shared();
    let nobody = server.nobody();
    let answers = futures_util::future::join_all((0..50).map(|_| nobody.get("/health/ready"))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
}

#[tokio::test]
async fn the_page_allows_itself_nothing_from_elsewhere_and_no_inline_script() {
    let server = Server::shared();
    let answer = server.nobody().get("/").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "text/html; charset=utf-8"));
    let policy = answer.header("content-security-policy");
    for rule in [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'self'",
    ] {
        assert!(policy.split("; ").any(|found| found == rule), "{rule} in {policy}");
    }
    assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
    let page = answer.body.to_lowercase();
    for inline in ["<style", " style=", " onclick=", " onload=", " onerror=", "javascript:", "http://", "//cdn"] {
        assert!(!page.contains(inline), "{inline}");
    }
    assert!(page.split("<script").skip(1).all(|script| script.split('>').next().is_some_and(|tag| tag.contains(" src="))));
}

#[tokio::test]
async fn every_answer_has_the_headers_that_protect_a_browser_and_names_its_request() {
    let server = Server::shared();
    let alice = server.person();
    let mut ids = std::collections::BTreeSet::new();
    for (path, status) in [
        ("/", 200),
        ("/hailgate.js", 200),
        ("/nothing", 404),
        ("/ws", 401),
        ("/api/messages", 401),
        ("/health", 200),
        ("/api/auth/login", 405),
    ] {
        let answer = server.nobody().get(path).await;
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("cross-origin-resource-policy"), "same-origin", "{path}");
        // A script obeys the page that loads it.
        let shown = path != "/hailgate.js";
        assert_eq!(answer.header("referrer-policy"), if shown { "no-referrer" } else { "" }, "{path}");
        assert_eq!(answer.header("content-security-policy").contains("frame-ancestors 'none'"), shown, "{path}");
        assert!(ids.insert(answer.header("x-request-id").to_owned()), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), "", "{path}");
    }
    // An id that a client sends is not taken for the server's own.
    let asked = ask(alice.request(Method::GET, "/api/auth/me").header("X-Request-Id", "mine")).await;
    assert_ne!(asked.header("x-request-id"), "mine");
}

#[tokio::test]
async fn private_answers_are_stored_nowhere() {
    let server = Server::shared();
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    let message = alice.say(&thread, "x").await;
    for path in [
        "/api/auth/me",
        "/api/threads",
        &format!("/api/threads/{thread}"),
        &format!("/api/threads/{thread}/members"),
        "/api/messages",
        &format!("/api/messages?thread_id={thread}"),
        &format!("/api/messages/{}", text(&message, "message_id")),
        "/api/users?q=al",
        "/api/events?timeout_ms=0",
    ] {
        let answer = alice.get(path).await;
        answer.json(200);
        assert_eq!(answer.header("cache-control"), "no-store", "{path}");
        assert_eq!(answer.header("content-type"), "application/json", "{path}");
    }
}

#[tokio::test]
async fn files_have_their_type_and_a_tag_that_saves_sending_them_again() {
    let server = Server::shared();
    let nobody = server.nobody();
    let css = crate::assets::versioned(&nobody, "page.css").await;
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        (css.as_str(), "text/css; charset=utf-8"),
        ("/hailgate.js", "text/javascript; charset=utf-8"),
        ("/static/hailgate.js", "text/javascript; charset=utf-8"),
        ("/static/page.css", "text/css; charset=utf-8"),
        ("/static/icon.svg", "image/svg+xml"),
        ("/favicon.ico", "image/svg+xml"),
    ] {
        let answer = nobody.get(path).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, kind), "{path}");
        // What the address says the content of, nobody needs to ask for again.
        let caching = if path == css { "public, max-age=31536000, immutable" } else { "no-cache" };
        assert_eq!(answer.header("cache-control"), caching, "{path}");
        let tag = answer.header("etag");
        assert!(tag.starts_with('"') && tag.len() > 10, "{path}: {tag}");
        for same in [tag, "*", &format!("W/{tag}"), &format!("\"other\", {tag}")] {
            let again = ask(nobody.request(Method::GET, path).header("If-None-Match", same)).await;
            again.empty(304);
            assert_eq!(again.header("etag"), tag, "{path}");
        }
        let changed = ask(nobody.request(Method::GET, path).header("If-None-Match", "\"other\"")).await;
        assert_eq!((changed.status, changed.body == answer.body), (200, true), "{path}");
        assert_eq!(answer.header("service-worker-allowed"), "", "{path}");
    }
    // The worker alone may serve more than the folder that it lies in.
    assert_eq!(nobody.get("/static/worker.js").await.header("service-worker-allowed"), "/");
    nobody.get("/static/nothing.js").await.problem(404, "not_found");
}

#[tokio::test]
async fn a_browser_that_takes_it_gets_files_packed_and_they_unpack_to_the_same() {
    let nobody = Server::shared().nobody();
    let plain = nobody.get("/static/page.css").await;
    assert!(plain.header("content-encoding").is_empty() && plain.varies_by("accept-encoding"));
    for (accepts, packs) in [
        ("gzip", true),
        ("gzip, deflate, br, zstd", true),
        ("br;q=1.0, gzip;q=0.5, identity;q=0.1", true),
        ("gzip;q=0", false),
        ("br", false),
        ("identity, gzip;q=0.5", false),
        ("", false),
    ] {
        let asked = nobody.request(Method::GET, "/static/page.css").header("Accept-Encoding", accepts);
        let answer = soon("an answer", asked.send()).await.expect("an answer");
        let header = |name: &str| answer.headers().get(name).map_or("", |value| value.to_str().expect("text")).to_owned();
        assert_eq!(answer.status().as_u16(), 200, "{accepts}");
        assert_eq!(header("content-encoding"), if packs { "gzip" } else { "" }, "{accepts}");
        assert_eq!(header("etag") != plain.header("etag"), packs, "{accepts}: two forms, two tags");
        let body = soon("a body", answer.bytes()).await.expect("a body");
        let mut unpacked = String::new();
        if packs {
            assert!(body.len() < plain.body.len() / 2, "{accepts}");
            GzDecoder::new(body.as_ref()).read_to_string(&mut unpacked).expect("gzip");
        } else {
            body.as_ref().read_to_string(&mut unpacked).expect("UTF-8");
        }
        assert_eq!(unpacked, plain.body, "{accepts}");
    }
}
