//! The port with a certificate: the same service over TLS, on the same transport.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc};

use reqwest::Certificate;
use rustls::{ClientConfig, RootCertStore, pki_types::pem::PemObject};
use serde_json::{Value, json};
use tokio_tungstenite::{
    Connector, client_async_tls_with_config,
    tungstenite::{self, client::IntoClientRequest},
};

use crate::{
    people::text,
    raw::Raw,
    server::{Server, Site},
    socket::Socket,
    soon,
};

/// A certificate for the name `hailgate.test`, its files in a site's directory under a name, and itself as PEM.
fn certificate(site: &Site, name: &str) -> String {
    let made = rcgen::generate_simple_self_signed(["hailgate.test".to_owned()]).expect("a certificate");
    let (certificate, key) = files(site, name);
    fs::write(&certificate, made.cert.pem()).expect("a file");
    fs::write(&key, made.signing_key.serialize_pem()).expect("a file");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("a mode");
    made.cert.pem()
}

fn files(site: &Site, name: &str) -> (String, String) {
    let file = |end: &str| site.directory.path().join(format!("{name}.{end}")).display().to_string();
    (file("crt"), file("key"))
}

/// Starts `serve` with the certificate of this name and the key of that one.
fn serve(site: &Arc<Site>, certificate: &str, key: &str) -> Server {
    let mut command = site.command(&["serve", "--bind", "127.0.0.1:0"]);
    command.env("HAILGATE_TLS_CERT", files(site, certificate).0).env("HAILGATE_TLS_KEY", files(site, key).1);
    Server::start(site, command)
}

/// Somebody who trusts one certificate and shows a token.
struct Client {
    port: u16,
    token: String,
    http: reqwest::Client,
    tls: Arc<ClientConfig>,
}

impl Client {
    fn of(server: &Server, user: &str, trusted: &str) -> Client {
        let mut roots = RootCertStore::empty();
        roots.add(rustls::pki_types::CertificateDer::from_pem_slice(trusted.as_bytes()).expect("PEM")).expect("a root");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
        let tls = tls.with_root_certificates(roots).with_no_client_auth();
        let address = ([127, 0, 0, 1], server.port).into();
        let http =
            reqwest::Client::builder().no_proxy().tls_certs_only([Certificate::from_pem(trusted.as_bytes()).expect("PEM")]);
        let http = http.resolve("hailgate.test", address).pool_max_idle_per_host(0).build().expect("a client");
        let token = server.site.told(&["token", "--user", user], "");
        Client { port: server.port, token, http, tls: Arc::new(tls) }
    }

    async fn post(&self, path: &str, body: Value) -> Result<Value, reqwest::Error> {
        let url = format!("https://hailgate.test:{}{path}", self.port);
        let answer = self.http.post(url).bearer_auth(&self.token).json(&body).send();
        soon("an answer", answer).await?.error_for_status()?.json().await
    }

    async fn socket(&self) -> Result<Socket, tungstenite::Error> {
        let mut request = format!("wss://hailgate.test:{}/ws", self.port).into_client_request().expect("a request");
        request.headers_mut().insert("Authorization", format!("Bearer {}", self.token).parse().expect("a header"));
        let stream = tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        let opening = client_async_tls_with_config(request, stream, None, Some(Connector::Rustls(Arc::clone(&self.tls))));
        Ok(Socket::greeted(soon("an upgrade", Box::pin(opening)).await?.0).await)
    }
}

#[tokio::test]
async fn users_chat_over_tls_as_they_do_over_plain_http() {
    let site = Arc::new(Site::new(&[("HAILGATE_LIMIT_SENDS_BURST", "100"), ("HAILGATE_LIMIT_FRAMES_BURST", "100")]));
    let trusted = certificate(&site, "port");
    site.add_user("alice");
    site.add_user("bob");
    let server = serve(&site, "port", "port");
    let (alice, bob) = (Client::of(&server, "alice", &trusted), Client::of(&server, "bob", &trusted));
    let thread = alice.post("/api/threads", json!({"members": ["bob"]})).await.expect("a thread");
    let thread = text(&thread, "thread_id").to_owned();
    let (mut of_alice, mut of_bob) = (alice.socket().await.expect("a socket"), bob.socket().await.expect("a socket"));
    // Large ones, more than TLS takes in a record and than a socket takes at once.
    for number in 0..40 {
        let content = format!("{number} {}", "x".repeat(7_900));
        of_alice
            .send(json!({"type": "message.send", "id": number, "data": {"thread_id": thread, "content": content}}))
            .await;
    }
    for number in 0..40 {
        let event = of_bob.expect("message.created").await;
        assert!(text(&event["data"], "content").starts_with(&format!("{number} x")), "{number}");
    }
    bob.post("/api/messages", json!({"thread_id": thread, "content": "by REST"})).await.expect("a message");
    while of_alice.expect("message.created").await["data"]["content"] != "by REST" {}
    of_bob.is_alive().await;
    assert_eq!(of_bob.close(1000).await, Some(1000));
}

#[tokio::test]
async fn connections_that_begin_no_handshake_keep_nobody_out_whatever_their_number() {
    let mut site = Site::new(&[]);
    let trusted = certificate(&site, "port");
    site.add_user("alice");
    site.through = ["sh", "-c", "ulimit -n 400 && exec \"$0\" \"$@\""].map(str::to_owned).to_vec();
    let site = Arc::new(site);
    let server = serve(&site, "port", "port");
    let alice = Client::of(&server, "alice", &trusted);
    let mut silent = Vec::new();
    for number in 0..500 {
        silent.push(Raw::connect(server.port).await);
        if number % 100 == 99 {
            alice.post("/api/threads", json!({"members": []})).await.expect("a thread");
            assert!(server.files() < 400, "{}", server.files());
        }
    }
    assert!(alice.socket().await.is_ok());
}

#[tokio::test]
async fn a_hangup_puts_another_certificate_in_force_and_connections_stay() {
    let site = Arc::new(Site::new(&[]));
    let before = certificate(&site, "port");
    site.add_user("alice");
    let server = serve(&site, "port", "port");
    let alice = Client::of(&server, "alice", &before);
    let mut open = alice.socket().await.expect("a socket");
    let after = certificate(&site, "port");
    server.hang_up();
    server.log.wait_for_count("the certificate was read again and is in force", 1);
    assert!(alice.socket().await.is_err(), "the old certificate is still shown");
    open.is_alive().await;
    Client::of(&server, "alice", &after).socket().await.expect("a socket").is_alive().await;
    // One that is wrong changes nothing.
    fs::write(files(&site, "port").1, "no key").expect("a file");
    server.hang_up();
    server.log.wait_for_count("the certificate stays as it is: ", 1);
    Client::of(&server, "alice", &after).socket().await.expect("a socket").is_alive().await;
}

#[test]
fn a_certificate_that_cannot_be_used_is_refused_with_what_to_do() {
    let site = Site::new(&[]);
    certificate(&site, "port");
    certificate(&site, "other");
    let empty = site.directory.path().join("empty");
    fs::write(&empty, "").expect("a file");
    let (chain, key) = files(&site, "port");
    let missing = Path::new("/nowhere/at/all.pem").display().to_string();
    let empty = empty.display().to_string();
    let table: [(&[(&str, &str)], &str); 5] = [
        (&[("HAILGATE_TLS_CERT", &chain)], "A certificate needs its private key."),
        (&[("HAILGATE_TLS_KEY", &key)], "A private key needs its certificate."),
        (&[("HAILGATE_TLS_CERT", &missing), ("HAILGATE_TLS_KEY", &key)], "cannot be read as certificates"),
        (&[("HAILGATE_TLS_CERT", &empty), ("HAILGATE_TLS_KEY", &key)], "holds no certificate"),
        (
            &[("HAILGATE_TLS_CERT", &chain), ("HAILGATE_TLS_KEY", &files(&site, "other").1)],
            "cannot be used with the certificate",
        ),
    ];
    for (variables, words) in table {
        for command in ["serve", "check"] {
            let mut command = site.command(&[command]);
            command.envs(variables.iter().copied());
            let output = crate::server::finish(&mut command, "");
            assert_eq!(output.status.code(), Some(78), "{words}: {output:?}");
            let told = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
            assert!(told.contains(words), "{words}: {told}");
        }
    }
}
