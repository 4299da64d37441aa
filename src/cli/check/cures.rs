//! What to write into a proxy's configuration where something between clients and the server is not as it must be: the lines of
//! `src/docs/proxies.md`, by proxy.

use reqwest::header::HeaderMap;

/// A proxy that names itself in its answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proxy {
    Nginx,
    Caddy,
    Haproxy,
    Apache,
}

/// What a proxy does wrong, as far as it can be told from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// An upgrade arrives as an ordinary request.
    Upgrade,
    /// Requests arrive as HTTP/1.0.
    Http10,
    /// The address of the client is not passed on.
    NoAddress,
    /// What a client writes into `X-Forwarded-For` is passed on as it is.
    ForgedAddress,
    /// `Cookie` is not passed on.
    Cookies,
    /// `Origin` is changed or not passed on.
    Origin,
    /// Bodies that the server takes are too large for the proxy.
    Body,
    /// Headers of the server's answers do not arrive.
    Headers,
    /// Browsers are not told to insist on https.
    Hsts,
    /// The proxy tells its version.
    Version,
    /// The proxy adds CORS headers of its own.
    Shared,
    /// The proxy gets no answer from the server.
    NoServer,
    /// The proxy keeps events back.
    Buffering,
    /// The proxy ends connections that are silent for less than a heartbeat.
    Idle,
}

/// For each fault: what to do in general, and the lines for nginx, Caddy, HAProxy and Apache.
const CURES: &[(Fault, &str, [&str; 4])] = &[
    (
        Fault::Upgrade,
        "Let the proxy pass upgrades to WebSockets on: every socket is refused with 426 now.",
        [
            "proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade; and \
             in http: map $http_upgrade $connection_upgrade { default upgrade; \"\" \"\"; }",
            "take out header_up lines for Connection, Upgrade and Sec-WebSocket-*, h2c:// upstreams and buffer_responses",
            "take out lines that delete Connection or Upgrade, and proto h2 of the server line",
            "ProxyPass \"/\" \"http://127.0.0.1:8080/\" upgrade=websocket",
        ],
    ),
    (
        Fault::Http10,
        "Let the proxy speak HTTP/1.1 to the server.",
        [
            "proxy_http_version 1.1;",
            "take versions 1.0 out of transport http",
            "take out what changes the version of requests",
            "take out SetEnv force-proxy-request-1.0 and proxy-nokeepalive",
        ],
    ),
    (
        Fault::NoAddress,
        "Let the proxy name its clients in X-Forwarded-For, and name the proxy's own address in HAILGATE_TRUSTED_PROXIES: all \
         clients count as one address now.",
        [
            "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
            "take out header_up -X-Forwarded-For",
            "option forwardfor",
            "take out ProxyAddHeaders Off",
        ],
    ),
    (
        Fault::ForgedAddress,
        "Let the proxy add its client to X-Forwarded-For: now every client counts as the address that it writes itself.",
        [
            "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
            "take networks of clients out of trusted_proxies, and take out header_up X-Forwarded-For",
            "option forwardfor, without if-none",
            "take out ProxyAddHeaders Off",
        ],
    ),
    (
        Fault::Cookies,
        "Let the proxy pass the header Cookie on: nobody can sign in from a browser now.",
        [
            "take out proxy_set_header Cookie",
            "take out header_up lines for Cookie",
            "take out lines that delete Cookie",
            "take out RequestHeader lines for Cookie",
        ],
    ),
    (
        Fault::Origin,
        "Let the proxy pass the header Origin on unchanged: the server can tell no page from another now.",
        [
            "take out proxy_set_header Origin",
            "take out header_up lines for Origin",
            "take out lines that set or delete Origin",
            "take out RequestHeader lines for Origin",
        ],
    ),
    (
        Fault::Body,
        "Let the proxy take bodies of 128 KiB.",
        [
            "client_max_body_size 1m;",
            "request_body { max_size 1MB }",
            "take out rules that deny by req.body_size or content-length",
            "take out rules by Content-Length; LimitRequestBody does not count here",
        ],
    ),
    (
        Fault::Headers,
        "Let the proxy pass the server's headers on unchanged, and see which version runs.",
        [
            "take out proxy_hide_header and add_header",
            "take out header and header_down",
            "take out http-response lines",
            "take out Header lines",
        ],
    ),
    (
        Fault::Hsts,
        "Let answers say Strict-Transport-Security: max-age=31536000, as the server does where HAILGATE_PUBLIC_URL is https.",
        [
            "take out proxy_hide_header",
            "take out header and header_down",
            "take out http-response lines",
            "take out Header lines",
        ],
    ),
    (
        Fault::Version,
        "Take the version out of the proxy's answers.",
        ["server_tokens off;", "header -Server", "http-response del-header Server", "ServerTokens Prod"],
    ),
    (
        Fault::Shared,
        "Take the CORS headers out of the proxy: HAILGATE_ALLOWED_ORIGINS says who may come.",
        ["take out add_header", "take out header", "take out http-response lines", "take out Header lines"],
    ),
    (
        Fault::NoServer,
        "The proxy gets no answer from the server: see whether it runs, and where the proxy looks for it.",
        [
            "proxy_pass http://127.0.0.1:8080;",
            "reverse_proxy 127.0.0.1:8080",
            "server hailgate 127.0.0.1:8080",
            "ProxyPass \"/\" \"http://127.0.0.1:8080/\" upgrade=websocket",
        ],
    ),
    (
        Fault::Buffering,
        "Let the proxy pass events on as they come.",
        [
            "take out proxy_ignore_headers X-Accel-Buffering, or write proxy_buffering off;",
            "take out buffer_responses",
            "take out http-response wait-for-body",
            "take out output filters for text/event-stream",
        ],
    ),
    (
        Fault::Idle,
        "Let the proxy keep silent connections for longer than the server's heartbeat and grace, 35 s unless set otherwise.",
        [
            "proxy_read_timeout 60s; proxy_send_timeout 60s;",
            "take out read_timeout, write_timeout and response_header_timeout, or make them 60s",
            "timeout client 60s, timeout server 60s, timeout tunnel 60s",
            "ProxyTimeout 60, and no shorter timeout= in ProxyPass",
        ],
    ),
];

const PROXIES: [(Proxy, &str); 4] =
    [(Proxy::Nginx, "nginx"), (Proxy::Caddy, "Caddy"), (Proxy::Haproxy, "HAProxy"), (Proxy::Apache, "Apache")];

impl Proxy {
    /// Which one answered, by `Server` or `Via`.
    pub fn of(headers: &HeaderMap) -> Option<Proxy> {
        let told = ["server", "via"].iter().flat_map(|name| headers.get_all(*name)).filter_map(|value| value.to_str().ok());
        let told: Vec<String> = told.map(str::to_lowercase).collect();
        let (proxy, _) = PROXIES.iter().find(|(_, name)| told.iter().any(|told| told.contains(&name.to_lowercase())))?;
        Some(*proxy)
    }
}

impl Fault {
    /// What to do about it: with the lines for this proxy, or for each of the four.
    pub fn cure(self, proxy: Option<Proxy>) -> String {
        let (_, general, lines) = CURES.iter().find(|(fault, ..)| *fault == self).expect("every fault has a cure");
        let wanted = PROXIES.iter().zip(lines).filter(|((one, _), _)| proxy.is_none_or(|proxy| proxy == *one));
        let lines: Vec<String> = wanted.map(|((_, name), line)| format!("{name}: {line}")).collect();
        format!("{general} {}", lines.join(" | "))
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderValue, SERVER, VIA};

    use super::*;

    const DOCUMENT: &str = include_str!("../../docs/proxies.md");

    #[test]
    fn the_lines_that_a_configuration_needs_stand_in_the_document() {
        for (_, _, lines) in CURES {
            let (needed, _): (Vec<&str>, Vec<&str>) = lines.iter().partition(|line| !line.contains("take out"));
            for part in needed.iter().flat_map(|line| line.split("; ")).filter(|part| part.starts_with("proxy_")) {
                assert!(DOCUMENT.contains(part.trim_end_matches(';')), "{part}");
            }
        }
    }

    #[test]
    fn a_proxy_that_names_itself_gets_its_own_lines_and_any_other_gets_all() {
        let headers = |name, value| HeaderMap::from_iter([(name, HeaderValue::from_static(value))]);
        let told =
            [headers(SERVER, "nginx"), headers(VIA, "2.0 Caddy"), headers(SERVER, "Apache"), headers(SERVER, "cloud")];
        assert_eq!(told.each_ref().map(Proxy::of), [Some(Proxy::Nginx), Some(Proxy::Caddy), Some(Proxy::Apache), None]);
        for fault in CURES.iter().map(|(fault, ..)| *fault) {
            let all = fault.cure(None);
            assert!(PROXIES.iter().all(|(proxy, name)| {
                let own = fault.cure(Some(*proxy));
                own.contains(&format!("{name}: ")) && !own.contains(" | ") && all.contains(&format!("{name}: "))
            }));
        }
    }
}
