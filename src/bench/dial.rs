//! Opens a socket of one user: TCP from the right address, TLS where it is asked for, and the upgrade.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use reqwest::Url;
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use tokio::{
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{
    Connector, MaybeTlsStream, WebSocketStream, client_async_tls_with_config,
    tungstenite::{Error, client::IntoClientRequest, http::HeaderValue, protocol::WebSocketConfig},
};

use super::target::Target;
use crate::error::Code;

/// Users that connect from one loopback address: it has 28,000 ports by default, and closed ones are taken for a minute.
pub const USERS_AN_ADDRESS: u32 = 20_000;
/// How long an upgrade may take.
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(15);
/// Longest wait that is obeyed.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// Read at once; the library allocates it for each socket, so that ten thousand cost 40 MiB.
const READ_BYTES: usize = 4_096;
/// Most bytes that wait to be written to one socket.
const WRITE_BYTES_MAX: usize = 1_048_576;
/// Largest frame that is taken. A server's default is an eighth of it.
const FRAME_BYTES_MAX: usize = 1_048_576;
/// Receive buffer of a reader that stops reading, so that its outbox fills and not the system's.
const SLOW_BYTES: u32 = 4_096;

/// An open socket.
pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Why there is none.
#[derive(Debug)]
pub struct Refused {
    /// The server's code, or what the network did.
    pub code: String,
    /// When to come again, if the server said so.
    pub retry_after: Option<Duration>,
}

impl Refused {
    fn network(code: &str) -> Refused {
        Refused { code: code.to_owned(), retry_after: None }
    }
}

/// What speaks TLS to an address, with the system's roots; nothing for a plain one.
///
/// # Errors
/// In words.
pub fn connector(url: &Url) -> Result<Connector, String> {
    if url.scheme() != "https" {
        return Ok(Connector::Plain);
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| format!("TLS cannot be spoken: {error}"))?;
    Ok(Connector::Rustls(Arc::new(config.with_root_certificates(roots).with_no_client_auth())))
}

/// How sockets are opened.
#[derive(Clone)]
pub struct Dial {
    target: Target,
    connector: Connector,
    spread: bool,
}

impl Dial {
    /// To a target, for so many users.
    pub fn new(target: Target, connector: Connector, users: u32) -> Dial {
        let spread = users > USERS_AN_ADDRESS && target.address.ip().is_loopback() && target.address.is_ipv4();
        Dial { target, connector, spread }
    }

    /// Opens one.
    ///
    /// # Errors
    /// The code of the refusal, or what happened on the way.
    pub async fn open(&self, user: u32, token: &str, since: Option<&str>, slow: bool) -> Result<Socket, Refused> {
        let opened = timeout(UPGRADE_TIMEOUT, async {
            let stream = self.connect(user, slow).await.map_err(|_| Refused::network("not_connected"))?;
            let mut url = self.target.at(self.target.paths.socket, &[]);
            let scheme = if url.scheme() == "https" { "wss" } else { "ws" };
            let same = url.set_scheme(scheme).is_ok();
            url.set_query(since.map(|cursor| format!("since={cursor}")).as_deref());
            let request = Some(url.as_str()).filter(|_| same).and_then(|url| url.into_client_request().ok());
            let mut request = request.ok_or_else(|| Refused::network("bad_address"))?;
            let bearer = HeaderValue::from_str(&format!("Bearer {token}"));
            let mut bearer = bearer.map_err(|_| Refused::network("bad_token"))?;
            bearer.set_sensitive(true);
            request.headers_mut().insert("Authorization", bearer);
            let config = WebSocketConfig::default()
                .read_buffer_size(READ_BYTES)
                .write_buffer_size(0)
                .max_write_buffer_size(WRITE_BYTES_MAX)
                .max_message_size(Some(FRAME_BYTES_MAX))
                .max_frame_size(Some(FRAME_BYTES_MAX));
            let connector = self.connector.clone();
            let answered = client_async_tls_with_config(request, stream, Some(config), Some(connector)).await;
            answered.map(|(socket, _)| socket).map_err(|error| refusal(&error))
        });
        opened.await.unwrap_or_else(|_| Err(Refused::network("not_answered")))
    }

    async fn connect(&self, user: u32, slow: bool) -> std::io::Result<TcpStream> {
        let socket = if self.target.address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_nodelay(true)?;
        if slow {
            socket.set_recv_buffer_size(SLOW_BYTES)?;
        }
        if self.spread {
            socket.bind(SocketAddr::new(source(user), 0))?;
        }
        socket.connect(self.target.address).await
    }
}

/// 127.0.0.1 for the first twenty thousand, 127.0.0.2 for the next.
fn source(user: u32) -> IpAddr {
    let [.., high, low] = (user / USERS_AN_ADDRESS + 1).to_be_bytes();
    Ipv4Addr::new(127, 0, high, low).into()
}

fn refusal(error: &Error) -> Refused {
    #[derive(Deserialize)]
    struct Problem {
        code: String,
        #[serde(default)]
        retry_after_ms: Option<u64>,
    }
    let Error::Http(response) = error else { return Refused::network("upgrade_failed") };
    let problem = response.body().as_deref().and_then(|body| serde_json::from_slice::<Problem>(body).ok());
    // The body may come after the head; then the head must do.
    let seconds = response.headers().get("Retry-After").and_then(|value| value.to_str().ok()?.parse().ok());
    let problem = problem.unwrap_or_else(|| Problem {
        code: Code::of_status(response.status().as_u16()).name().to_owned(),
        retry_after_ms: seconds.map(|seconds: u64| seconds.saturating_mul(1_000)),
    });
    let wait = problem.retry_after_ms.map(|ms| Duration::from_millis(ms).min(WAIT_MAX));
    Refused { code: problem.code, retry_after: wait }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_thousand_users_share_a_loopback_address() {
        assert_eq!(source(0).to_string(), "127.0.0.1");
        assert_eq!(source(19_999).to_string(), "127.0.0.1");
        assert_eq!(source(20_000).to_string(), "127.0.0.2");
        assert_eq!(source(999_999).to_string(), "127.0.0.50");
    }
}
