//! What `check --url --token-stdin` finds: proxies that keep events back, or end connections that say nothing for a while.

use std::sync::LazyLock;

use crate::{
    configuration::{Edits, Kind},
    deployment::Proxy,
    server::{ORIGIN, Server},
};

/// The changes, the parts of lines that fail, and a part of what is to be done.
type Wrong = (Kind, Edits<'static>, &'static [&'static str], &'static str);

const SOCKET: &str =
    "a socket in silence, with a token: GET /ws: expected a ping after 15000 ms, got the socket ended after ";
const STREAM: &str =
    "a stream in silence, with a token: GET /api/events: expected a ping after 15000 ms, got the stream ended after ";
const POLL: &str = "a long poll in silence, with a token: GET /api/events: expected 200, got 50";
const NO_SOCKET: &str = "a socket, with a token: GET /ws: expected a socket that answers, got no answer";
const LATE: &str =
    "the first event of a stream, with a token: GET /api/events: expected an event at once, got nothing within 10 s";

const WRONG: &[Wrong] = &[
    (
        Kind::Nginx,
        &[("proxy_http_version", "proxy_read_timeout 5s; proxy_http_version")],
        &[SOCKET, STREAM, POLL],
        "nginx: proxy_read_timeout 60s;",
    ),
    (
        Kind::Nginx,
        &[("proxy_http_version", "proxy_ignore_headers X-Accel-Buffering; proxy_http_version")],
        &[LATE],
        "nginx: take out proxy_ignore_headers X-Accel-Buffering",
    ),
    (
        Kind::Caddy,
        &[(
            "reverse_proxy 127.0.0.1:8080",
            "reverse_proxy 127.0.0.1:8080 {\ntransport http {\nresponse_header_timeout 5s\n}\n}",
        )],
        &[POLL],
        "Caddy: take out read_timeout, write_timeout and response_header_timeout",
    ),
    (
        Kind::Caddy,
        &[("reverse_proxy 127.0.0.1:8080", "reverse_proxy 127.0.0.1:8080 {\nbuffer_responses\n}")],
        &[NO_SOCKET],
        "h2c:// upstreams and buffer_responses",
    ),
    (Kind::HAProxy, &[("timeout tunnel 60s", "timeout tunnel 5s")], &[SOCKET], "HAProxy: timeout client 60s"),
    (Kind::HAProxy, &[("timeout server 60s", "timeout server 5s")], &[STREAM, POLL], "timeout server 60s"),
    (
        Kind::HAProxy,
        &[("option forwardfor", "option forwardfor\n    http-response wait-for-body time 30s")],
        &[LATE],
        "HAProxy: take out http-response wait-for-body",
    ),
    (Kind::Apache, &[("ProxyPass", "ProxyTimeout 5\n    ProxyPass")], &[STREAM, POLL], "Apache: ProxyTimeout 60"),
];

/// A server whose heartbeat is three times as long as the timeouts above: these are long enough for every answer of a busy machine,
/// and end a silent connection well before its first ping.
static SERVER: LazyLock<Server> =
    LazyLock::new(|| Server::new(&[("HAILGATE_TRUSTED_PROXIES", "127.0.0.1/32"), ("HAILGATE_LIMIT_HEARTBEAT_MS", "15000")]));

fn check(kind: Kind, edits: Edits<'_>) -> (Option<i32>, String) {
    let proxy = Proxy::start(kind, kind.block(0), edits, SERVER.port);
    let token = SERVER.person().token().to_owned();
    let output = proxy.check(&["--origin", ORIGIN, "--token-stdin"], &token);
    let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(!told.contains(&token));
    (output.status.code(), told)
}

fn each(kind: Kind) {
    if !kind.is_there() {
        return;
    }
    let (code, told) = check(kind, &[]);
    assert_eq!(code, Some(0), "{kind:?}: {told}");
    assert_eq!(told.lines().filter(|line| line.contains(", with a token: ")).count(), 5, "{told}");
    for (_, edits, lines, cure) in WRONG.iter().filter(|(one, ..)| *one == kind) {
        let (code, told) = check(kind, edits);
        let failed: Vec<&str> = told.lines().filter(|line| line.starts_with("FAIL")).collect();
        let known = failed.iter().all(|line| lines.iter().any(|part| line.contains(part)));
        let whole = lines.iter().all(|part| failed.iter().any(|line| line.contains(part)));
        assert!(code == Some(78) && known && whole, "{kind:?} {edits:?}: {failed:#?} and not {lines:#?}");
        assert!(told.contains(cure), "{kind:?} {edits:?}: {told}");
    }
}

#[test]
fn silence_and_streams_behind_nginx_are_judged() {
    each(Kind::Nginx);
}

#[test]
fn silence_and_streams_behind_caddy_are_judged() {
    each(Kind::Caddy);
}

#[test]
fn silence_and_streams_behind_haproxy_are_judged() {
    each(Kind::HAProxy);
}

#[test]
fn silence_and_streams_behind_apache_are_judged() {
    each(Kind::Apache);
}

#[test]
fn a_token_that_opens_nothing_is_told() {
    let server = Server::new(&[]);
    let url = server.url("");
    let site = crate::server::Site::empty();
    let arguments = ["check", "--url", url.as_str(), "--origin", ORIGIN, "--token-stdin"];
    let output = site.run_with(&arguments, "not-a-token\n");
    let told = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(78), "{told}");
    assert!(
        told.contains(
            "a socket, with a token: GET /ws: expected a socket that answers, got 401: the server does not take the token"
        ),
        "{told}"
    );
    assert_eq!(site.run_with(&arguments, "").status.code(), Some(1), "no token");
}
