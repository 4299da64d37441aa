//! Deployments that are wrong: what `check --url` says of each. Each is a configuration of the document with a line less, more or
//! another.

use std::sync::LazyLock;

use crate::{
    configuration::{Edits, Kind},
    deployment::Proxy,
    server::{ORIGIN, Server},
};

/// The changes, the parts of lines that fail (every line that fails holds one of them), and parts of what is to be done.
type Wrong = (Edits<'static>, &'static [&'static str], &'static [&'static str]);

const NO_UPGRADE: &str = "an upgrade without credentials, as it reaches the server: GET /ws: expected an upgrade, got an ordinary \
                          request over HTTP/1.1: Open a WebSocket here";
const NO_ADDRESS: &str = "the client's address of an upgrade without credentials: GET /ws: expected passed on by a proxy that is \
                          trusted, or no proxy, got no X-Forwarded-For";
const FORGED: &str = "the client's address of an upgrade with a forged address: GET /ws: expected not the one that the client \
                      wrote, got the one that the client wrote";
const NO_COOKIE: &str = "the cookie of an upgrade with a cookie: GET /ws: expected a cookie, got none";
const NO_ORIGIN: &str = "an upgrade from a foreign origin: GET /ws: expected 403 foreign_origin, got 401 unauthenticated";
const OTHER_ORIGIN: &str = "an upgrade from the own origin: GET /ws: expected 401 unauthenticated, got 403 foreign_origin";
const EVERY_ORIGIN: &str = "expected 401 ";
const TOO_LARGE: &str = "a login of as many blanks as a body may have: POST /api/auth/login: expected 400 invalid, got ";
const NO_HSTS: &str = "strict-transport-security of the page: GET /: expected a value with max-age=, got no such header";
const VERSION: &str = "no version told by ";
const SHARED: &str =
    "a preflight from a foreign origin: OPTIONS /api/messages: expected no access-control-allow-origin, got ";
const NOBODY: &str = "a Hailgate at that address: GET /api/system/info: expected the name hailgate, got 50";
const ELSEWHERE: &str = "a Hailgate at that address: GET /api/system/info: expected the name hailgate, got 404";
const NO_SLASH: &str = "a Hailgate at that address: GET /api/system/info: expected the name hailgate, got 500";
const NO_ROUTE: &str = "GET /ws";

const NGINX: &[Wrong] = &[
    (
        &[("proxy_set_header Upgrade $http_upgrade;", ""), ("proxy_set_header Connection $connection_upgrade;", "")],
        &[NO_UPGRADE],
        &[
            "nginx: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;",
        ],
    ),
    (
        &[("proxy_set_header Upgrade $http_upgrade;", "")],
        &[NO_UPGRADE],
        &["nginx: proxy_http_version 1.1; proxy_set_header Upgrade"],
    ),
    (
        &[("proxy_set_header Connection $connection_upgrade;", "")],
        &["got an ordinary request over HTTP/1.1: The Connection header must say upgrade."],
        &["proxy_set_header Connection $connection_upgrade;"],
    ),
    // The plainest of all, with its many POST requests in HTTP/1.0.
    (
        &[
            ("proxy_http_version 1.1;", ""),
            ("proxy_set_header Upgrade $http_upgrade;", ""),
            ("proxy_set_header Connection $connection_upgrade;", ""),
        ],
        &["got an ordinary request over HTTP/1.0", "expected 401 unauthenticated, got 400"],
        &["nginx: proxy_http_version 1.1; proxy_set_header Upgrade", "Let the proxy speak HTTP/1.1 to the server."],
    ),
    (
        &[("proxy_http_version 1.1;", "")],
        &["got an ordinary request over HTTP/1.0: An upgrade needs HTTP/1.1.", "expected 401 unauthenticated, got 400"],
        &["nginx: proxy_http_version 1.1;"],
    ),
    (
        &[("proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;", "")],
        &[NO_ADDRESS, FORGED],
        &["nginx: proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"],
    ),
    (&[("server_tokens off;", "")], &[VERSION], &["nginx: server_tokens off;"]),
    (
        &[("proxy_http_version", "proxy_set_header Cookie \"\"; proxy_http_version")],
        &[NO_COOKIE],
        &["proxy_set_header Cookie"],
    ),
    (
        &[("proxy_http_version", "proxy_set_header Origin \"\"; proxy_http_version")],
        &[NO_ORIGIN],
        &["proxy_set_header Origin"],
    ),
    (
        &[("proxy_http_version", "proxy_set_header Origin http://127.0.0.1:8080; proxy_http_version")],
        &[EVERY_ORIGIN, "expected 400 invalid, got 403 foreign_origin"],
        &["proxy_set_header Origin", "HAILGATE_PUBLIC_URL"],
    ),
    (
        &[("proxy_http_version", "client_max_body_size 64k; proxy_http_version")],
        &[TOO_LARGE],
        &["nginx: client_max_body_size 1m;"],
    ),
    (
        &[("proxy_http_version", "proxy_hide_header Strict-Transport-Security; proxy_http_version")],
        &[NO_HSTS],
        &["proxy_hide_header"],
    ),
    (
        &[("proxy_http_version", "add_header Access-Control-Allow-Origin * always; proxy_http_version")],
        &[SHARED],
        &["HAILGATE_ALLOWED_ORIGINS", "add_header"],
    ),
    (&[("127.0.0.1:8080", "127.0.0.1:1")], &[NOBODY], &["nginx: proxy_pass http://127.0.0.1:8080;"]),
    (&[("http://127.0.0.1:8080", "https://127.0.0.1:8080")], &[NOBODY], &["nginx: proxy_pass http://127.0.0.1:8080;"]),
    (
        &[("http://127.0.0.1:8080", "http://127.0.0.1:8080/chat/")],
        &[ELSEWHERE],
        &["whether the proxy passes every path on unchanged"],
    ),
    (&[("location / {", "location /ws { return 404; }\n    location / {")], &[NO_ROUTE], &["The route is not there"]),
    (
        &[("location / {", "error_page 401 /401.html;\n    location / {\n proxy_intercept_errors on;")],
        &["expected 401 "],
        &["whether the proxy answers in the server's place"],
    ),
];

const CADDY: &[Wrong] = &[
    (
        &[("reverse_proxy 127.0.0.1:8080", "reverse_proxy 127.0.0.1:8080 {\nheader_up -Upgrade\n}")],
        &[NO_UPGRADE],
        &["Caddy: take out header_up lines for Connection, Upgrade"],
    ),
    (
        &[("reverse_proxy 127.0.0.1:8080", "reverse_proxy 127.0.0.1:8080 {\nheader_up -X-Forwarded-For\n}")],
        &[NO_ADDRESS],
        &["take out header_up -X-Forwarded-For"],
    ),
    (
        &[(
            "reverse_proxy 127.0.0.1:8080",
            "reverse_proxy 127.0.0.1:8080 {\nheader_up X-Forwarded-For {http.request.header.X-Forwarded-For}\n}",
        )],
        &[NO_ADDRESS, FORGED],
        &["header_up X-Forwarded-For"],
    ),
    (
        &[("reverse_proxy 127.0.0.1:8080", "reverse_proxy 127.0.0.1:8080 {\nheader_up -Cookie\n}")],
        &[NO_COOKIE],
        &["Caddy: take out header_up lines for Cookie"],
    ),
    (
        &[("reverse_proxy 127.0.0.1:8080", "reverse_proxy 127.0.0.1:8080 {\nheader_up -Origin\n}")],
        &[NO_ORIGIN],
        &["Caddy: take out header_up lines for Origin"],
    ),
    (
        &[("reverse_proxy 127.0.0.1:8080", "request_body {\nmax_size 64KB\n}\nreverse_proxy 127.0.0.1:8080")],
        &[TOO_LARGE],
        &["max_size 1MB"],
    ),
    (
        &[("reverse_proxy 127.0.0.1:8080", "reverse_proxy 127.0.0.1:8080 {\nheader_down -Strict-Transport-Security\n}")],
        &[NO_HSTS],
        &["header_down"],
    ),
    (
        &[("reverse_proxy 127.0.0.1:8080", "header Access-Control-Allow-Origin *\nreverse_proxy 127.0.0.1:8080")],
        &[SHARED],
        &["HAILGATE_ALLOWED_ORIGINS"],
    ),
    (
        &[("reverse_proxy 127.0.0.1:8080", "header Server Caddy/2.6.2\nreverse_proxy 127.0.0.1:8080")],
        &[VERSION],
        &["Caddy: header -Server"],
    ),
    (&[("127.0.0.1:8080", "127.0.0.1:1")], &[NOBODY], &["Caddy: reverse_proxy 127.0.0.1:8080"]),
    (
        &[("reverse_proxy 127.0.0.1:8080", "reverse_proxy h2c://127.0.0.1:8080")],
        &[NOBODY],
        &["Caddy: reverse_proxy 127.0.0.1:8080"],
    ),
    (
        &[("reverse_proxy 127.0.0.1:8080", "rewrite * /chat{uri}\nreverse_proxy 127.0.0.1:8080")],
        &[ELSEWHERE],
        &["whether the proxy passes every path on unchanged"],
    ),
    (
        &[("reverse_proxy 127.0.0.1:8080", "handle /api/* {\nreverse_proxy 127.0.0.1:8080\n}\nhandle {\nrespond 404\n}")],
        &["GET /ws", "/health/ready", "GET /: "],
        &["The route is not there"],
    ),
];

const HAPROXY: &[Wrong] = &[
    (
        &[("option forwardfor", "option forwardfor\n    http-request del-header Upgrade")],
        &[NO_UPGRADE],
        &["HAProxy: take out lines that delete Connection or Upgrade"],
    ),
    (&[("    option forwardfor\n", "")], &[NO_ADDRESS, FORGED], &["HAProxy: option forwardfor"]),
    (&[("option forwardfor", "option forwardfor if-none")], &[FORGED], &["HAProxy: option forwardfor, without if-none"]),
    (
        &[("option forwardfor", "option forwardfor\n    http-request del-header Cookie")],
        &[NO_COOKIE],
        &["HAProxy: take out lines that delete Cookie"],
    ),
    (
        &[("option forwardfor", "option forwardfor\n    http-request del-header Origin")],
        &[NO_ORIGIN],
        &["HAProxy: take out lines that set or delete Origin"],
    ),
    (
        &[(
            "option forwardfor",
            "option forwardfor\n    http-request deny deny_status 413 if { req.hdr(content-length) -m int gt 65536 }",
        )],
        &[TOO_LARGE],
        &["HAProxy: take out rules that deny by req.body_size"],
    ),
    (
        &[("option forwardfor", "option forwardfor\n    http-response del-header Strict-Transport-Security")],
        &[NO_HSTS],
        &["HAProxy: take out http-response lines"],
    ),
    (
        &[("option forwardfor", "option forwardfor\n    http-after-response set-header Access-Control-Allow-Origin *")],
        &[SHARED],
        &["HAILGATE_ALLOWED_ORIGINS"],
    ),
    (&[("127.0.0.1:8080", "127.0.0.1:1")], &[NOBODY], &["HAProxy: server hailgate 127.0.0.1:8080"]),
    (&[("127.0.0.1:8080", "127.0.0.1:8080 proto h2")], &[NOBODY], &["HAProxy: server hailgate 127.0.0.1:8080"]),
    (&[("127.0.0.1:8080", "127.0.0.1:8080 ssl verify none")], &[NOBODY], &["HAProxy: server hailgate 127.0.0.1:8080"]),
    (
        &[("option forwardfor", "option forwardfor\n    http-request set-path /chat%[path]")],
        &[ELSEWHERE],
        &["whether the proxy passes every path on unchanged"],
    ),
    // A tunnel of bytes: no header is added.
    (
        &[
            ("mode http", "mode tcp"),
            ("    http-request redirect scheme https code 301 unless { ssl_fc }\n", ""),
            ("    option forwardfor\n", ""),
            (" alpn h2,http/1.1", ""),
        ],
        &[NO_ADDRESS, FORGED],
        &["HAProxy: option forwardfor"],
    ),
];

const APACHE: &[Wrong] = &[
    (
        &[(" upgrade=websocket", "")],
        &[NO_UPGRADE],
        &["Apache: ProxyPass \"/\" \"http://127.0.0.1:8080/\" upgrade=websocket"],
    ),
    (&[("ServerTokens Prod", "ServerTokens Full")], &[VERSION], &["Apache: ServerTokens Prod"]),
    (
        &[("ProxyPass", "ProxyAddHeaders Off\n    ProxyPass")],
        &[NO_ADDRESS, FORGED],
        &["Apache: take out ProxyAddHeaders Off"],
    ),
    (
        &[("ProxyPass", "RequestHeader unset Cookie\n    ProxyPass")],
        &[NO_COOKIE],
        &["Apache: take out RequestHeader lines for Cookie"],
    ),
    (
        &[("ProxyPass", "RequestHeader unset Origin\n    ProxyPass")],
        &[NO_ORIGIN],
        &["Apache: take out RequestHeader lines for Origin"],
    ),
    (
        &[("ProxyPass", "<If \"%{req:Content-Length} -gt 65536\">\n    Redirect 413\n    </If>\n    ProxyPass")],
        &[TOO_LARGE],
        &["Apache: take out rules by Content-Length"],
    ),
    (
        &[("ProxyPass", "Header unset Strict-Transport-Security\n    ProxyPass")],
        &[NO_HSTS],
        &["Apache: take out Header lines"],
    ),
    (
        &[("ProxyPass", "Header always set Access-Control-Allow-Origin *\n    ProxyPass")],
        &[SHARED],
        &["HAILGATE_ALLOWED_ORIGINS"],
    ),
    (
        &[("ProxyPass", "SetEnv force-proxy-request-1.0 1\n    SetEnv proxy-nokeepalive 1\n    ProxyPass")],
        &["HTTP/1.0", "got 400"],
        &["Apache: take out SetEnv force-proxy-request-1.0"],
    ),
    (&[("127.0.0.1:8080", "127.0.0.1:1")], &[NOBODY], &["Apache: ProxyPass \"/\" \"http://127.0.0.1:8080/\""]),
    (&[("127.0.0.1:8080/", "127.0.0.1:8080/chat/")], &[ELSEWHERE], &["whether the proxy passes every path on unchanged"]),
    (&[("127.0.0.1:8080/", "127.0.0.1:8080")], &[NO_SLASH], &["whether the proxy passes every path on unchanged"]),
];

/// A server whose proxy is trusted.
static SERVER: LazyLock<Server> = LazyLock::new(|| Server::new(&[("HAILGATE_TRUSTED_PROXIES", "127.0.0.1/32")]));

/// The lines that failed, and all that is to be done, of a check that must fail.
fn found(what: &str, proxy: &Proxy, pages: &str) -> (Vec<String>, String) {
    let output = proxy.check(&["--origin", pages], "");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(78), "{what}: {told}{}", String::from_utf8_lossy(&output.stderr));
    let lines = |start: &str| {
        told.lines().filter_map(|line| line.trim_start().strip_prefix(start).map(str::to_owned)).collect::<Vec<_>>()
    };
    (lines("FAIL  "), lines("do: ").join("\n"))
}

fn judge(what: &str, proxy: &Proxy, pages: &str, lines: &[&str], cures: &[&str]) {
    let (failed, told) = found(what, proxy, pages);
    let known = failed.iter().all(|line| lines.iter().any(|part| line.contains(part)));
    let whole = lines.iter().all(|part| failed.iter().any(|line| line.contains(part)));
    assert!(known && whole, "{what}: {failed:#?} and not {lines:#?}");
    assert!(cures.iter().all(|cure| told.contains(cure)), "{what}: {told} and not {cures:#?}");
}

fn each(kind: Kind, table: &[Wrong]) {
    if !kind.is_there() {
        return;
    }
    for (edits, lines, cures) in table {
        let proxy = Proxy::start(kind, kind.block(0), edits, SERVER.port);
        judge(&format!("{kind:?} {edits:?}"), &proxy, ORIGIN, lines, cures);
    }
}

#[test]
fn check_says_what_is_wrong_with_each_nginx() {
    each(Kind::Nginx, NGINX);
}

#[test]
fn check_says_what_is_wrong_with_each_caddy() {
    each(Kind::Caddy, CADDY);
}

#[test]
fn check_says_what_is_wrong_with_each_haproxy() {
    each(Kind::HAProxy, HAPROXY);
}

#[test]
fn check_says_what_is_wrong_with_each_apache() {
    each(Kind::Apache, APACHE);
}

#[test]
fn a_server_that_does_not_trust_its_proxy_or_belongs_to_another_origin_is_told() {
    let server = Server::new(&[]);
    for kind in Kind::ALL.into_iter().filter(|kind| kind.is_there()) {
        let proxy = Proxy::start(kind, kind.block(0), &[], server.port);
        let untrusted = ["got X-Forwarded-For of a proxy that is not trusted"];
        judge(&format!("{kind:?} untrusted"), &proxy, ORIGIN, &untrusted, &["HAILGATE_TRUSTED_PROXIES"]);
        judge(&format!("{kind:?} programs alone"), &proxy, "none", &untrusted, &["HAILGATE_TRUSTED_PROXIES"]);
        let both = [untrusted[0], OTHER_ORIGIN];
        judge(&format!("{kind:?} origin"), &proxy, &proxy.url(), &both, &["HAILGATE_PUBLIC_URL"]);
    }
}

#[test]
fn a_certificate_of_an_authority_that_is_not_trusted_wants_its_certificate_named() {
    for kind in Kind::ALL.into_iter().filter(|kind| kind.is_there()) {
        let proxy = Proxy::start(kind, kind.block(0), &[], SERVER.port);
        let output = crate::server::Site::empty().run(&["check", "--url", &proxy.url()]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(69), "{told}");
        assert!(told.contains("SSL_CERT_FILE"), "{told}");
    }
}
