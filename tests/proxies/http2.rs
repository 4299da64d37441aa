//! HTTP/2, and WebSockets over it (RFC 8441): which proxies offer it, and that a socket works where they do.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::{
    configuration::{DOCUMENT, Edits, Kind},
    deployment::Deployment,
    server::finish,
};

/// Whether each offers WebSockets over HTTP/2, with these changes; and its row in the document.
const OFFERS: [(Kind, Edits<'static>, bool, &str); 5] = [
    (Kind::Nginx, &[], false, "| nginx | yes | no |"),
    (Kind::Caddy, &[], false, "| Caddy | yes | no |"),
    (Kind::HAProxy, &[], true, "| HAProxy | yes | yes |"),
    (Kind::Apache, &[], false, "| Apache | yes | with `H2WebSockets on` |"),
    (Kind::Apache, &[("Protocols h2 http/1.1", "Protocols h2 http/1.1\n    H2WebSockets on")], true, "H2WebSockets on"),
];

#[test]
fn sockets_over_http2_work_where_the_document_says_so_and_are_not_offered_elsewhere() {
    if !node_is_there() {
        return;
    }
    for (kind, edits, offered, row) in OFFERS {
        assert!(DOCUMENT.contains(row), "{row} is not in the document");
        if !kind.is_there() {
            continue;
        }
        let Deployment { server, proxy } = Deployment::start(kind, kind.block(0), edits);
        let mut node = Command::new("node");
        node.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proxies/connect.mjs"));
        node.args([proxy.url(), proxy.authority(), server.person().token().to_owned()]);
        let output = finish(node.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()), "");
        let told = String::from_utf8_lossy(&output.stdout);
        let told: Value = serde_json::from_str(&told).unwrap_or_else(|error| panic!("{error}: {output:?}"));
        assert_eq!((&told["protocol"], told["health"].as_u64()), (&"h2".into(), Some(200)), "{kind:?}: {told}");
        assert_eq!(told["offered"], offered, "{kind:?} {edits:?}: {told}");
        if offered {
            assert_eq!(told["status"], 200, "{kind:?}: {told}");
            assert!(told["first"].as_str().is_some_and(|text| text.contains("connection_established")), "{kind:?}: {told}");
        }
    }
}

fn node_is_there() -> bool {
    let there = Command::new("node").arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success());
    assert!(there || std::env::var("CI").as_deref() != Ok("true"), "there is no node");
    if !there {
        // Not `println!`, which a test that passes keeps to itself.
        _ = std::io::Write::write_all(&mut std::io::stdout(), b"SKIPPED: there is no node (Debian: apt install nodejs)\n");
    }
    there
}
