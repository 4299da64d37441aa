//! Somebody who comes by a proxy over https, from an address of their own on loopback.

use std::{net::Ipv4Addr, sync::Arc};

use reqwest::{Certificate, Client, Method, RequestBuilder};
use rustls::{ClientConfig, RootCertStore, pki_types::pem::PemObject};
use serde_json::{Value, json};
use tokio::net::TcpSocket;
use tokio_tungstenite::{Connector, client_async_tls_with_config, tungstenite::client::IntoClientRequest};

use crate::{
    answer::{Answer, ask},
    deployment::Proxy,
    people::Proof,
    server::PASSWORD,
    socket::Socket,
    soon,
    stream::{Stream, asked},
};

/// A client and what it shows.
#[derive(Clone)]
pub struct Visitor {
    url: String,
    prefix: &'static str,
    port: u16,
    from: Ipv4Addr,
    http: Client,
    tls: Arc<ClientConfig>,
    pub proof: Proof,
}

impl Visitor {
    /// Nobody in particular, from an address.
    pub fn of(proxy: &Proxy, from: Ipv4Addr) -> Visitor {
        let trusted = proxy.authority();
        let mut roots = RootCertStore::empty();
        roots.add(rustls::pki_types::CertificateDer::from_pem_slice(trusted.as_bytes()).expect("PEM")).expect("a root");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
        let tls = tls.with_root_certificates(roots).with_no_client_auth();
        let http = Client::builder().no_proxy().tls_certs_only([Certificate::from_pem(trusted.as_bytes()).expect("PEM")]);
        let http = http.local_address(std::net::IpAddr::V4(from)).redirect(reqwest::redirect::Policy::none());
        let http = http.resolve("localhost", (Ipv4Addr::LOCALHOST, proxy.ports.https).into()).build().expect("a client");
        let (url, port) = (proxy.url(), proxy.ports.https);
        Visitor { url, prefix: "", port, from, http, tls: Arc::new(tls), proof: Proof::Nothing }
    }

    /// The same, under a prefix of every path.
    pub fn under(&self, prefix: &'static str) -> Visitor {
        Visitor { prefix, ..self.clone() }
    }

    /// The same, showing something.
    pub fn with(&self, proof: Proof) -> Visitor {
        Visitor { proof, ..self.clone() }
    }

    /// `POST /api/auth/login` from a page of the proxy's origin.
    pub async fn login(&self, name: &str) -> Answer {
        let body = json!({"username": name, "password": PASSWORD});
        ask(self.http.post(format!("{}{}/api/auth/login", self.url, self.prefix)).header("Origin", &self.url).json(&body))
            .await
    }

    /// A request with what this one shows.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{}{path}", self.url, self.prefix));
        match &self.proof {
            Proof::Nothing => request,
            Proof::Bearer(token) => request.bearer_auth(token),
            Proof::Cookie(cookie) => request.header("Cookie", cookie).header("Origin", &self.url),
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        ask(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        ask(self.request(Method::POST, path).json(&body)).await
    }

    pub async fn put(&self, path: &str) -> Answer {
        ask(self.request(Method::PUT, path)).await
    }

    /// An event stream from now.
    pub async fn stream(&self) -> Stream {
        let response = soon("a stream", asked(self.request(Method::GET, "/api/events")).send()).await.expect("an answer");
        assert_eq!(response.status(), 200);
        Stream::over(response).await
    }

    /// Opens a socket at a path; what it was refused with if it was.
    pub async fn socket(&self, path: &str) -> Socket {
        let mut request =
            format!("wss://localhost:{}{}{path}", self.port, self.prefix).into_client_request().expect("a request");
        let headers = request.headers_mut();
        match &self.proof {
            Proof::Nothing => {}
            Proof::Bearer(token) => {
                headers.insert("Authorization", format!("Bearer {token}").parse().expect("a header"));
            }
            Proof::Cookie(cookie) => {
                headers.insert("Cookie", cookie.parse().expect("a header"));
                headers.insert("Origin", self.url.parse().expect("a header"));
            }
        }
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind((self.from, 0).into()).expect("an address of loopback");
        let stream =
            soon("a connection", socket.connect((Ipv4Addr::LOCALHOST, self.port).into())).await.expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        let opening = client_async_tls_with_config(request, stream, None, Some(Connector::Rustls(Arc::clone(&self.tls))));
        Socket::greeted(soon("an upgrade", Box::pin(opening)).await.expect("an upgrade").0).await
    }
}
