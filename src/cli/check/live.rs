//! `check --url --token-stdin`: what only a signed-in client sees of the way to a server. A socket opens and answers, an event stream
//! is passed on as it comes, and socket, stream and long poll outlast a heartbeat of silence.

use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use reqwest::{Client, Response, Url};
use serde_json::Value;
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, client_async_tls_with_config,
    tungstenite::{Error, Message, client::IntoClientRequest, http::HeaderValue},
};

use super::{
    cures::Fault,
    questions::{Finding, Way},
};
use crate::{bench::dial::connector, http::routes::Route, wire::sse};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// How long an answer may take, and a sign of life beyond the server's own heartbeat.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest poll that a server takes unless it is set otherwise.
const POLL_MS_MAX: u64 = 30_000;

/// What was seen, or what was not as expected and whose fault it probably is.
type Seen = Result<String, (String, Option<Fault>)>;

/// Somebody with a token.
pub struct Holder<'a> {
    pub base: &'a Url,
    pub token: &'a str,
    pub way: Way,
}

impl Holder<'_> {
    /// Everything that is asked with a token. It takes a heartbeat of the server, 25 s unless set otherwise.
    pub async fn ask(&self) -> Result<Vec<Finding>, String> {
        // No deadline of the library's: each wait has its own.
        let client = Client::builder().user_agent("hailgate-check").build().map_err(|error| error.to_string())?;
        let (mut socket, heartbeat) = match self.socket().await {
            Ok(opened) => opened,
            Err(wrong) => return Ok(vec![self.finding("a socket", "a socket that answers", &Err(wrong))]),
        };
        let mut findings = vec![self.finding("a socket", "a socket that answers", &Ok("a socket that answers".to_owned()))];
        let (silent, stream, poll) =
            tokio::join!(silent(&mut socket, heartbeat), self.stream(&client, heartbeat), self.poll(&client, heartbeat));
        let beat = format!("a ping after {} ms", heartbeat.as_millis());
        findings.push(self.finding("a socket in silence", &beat, &silent));
        let (first, later) = stream;
        findings.push(self.finding("the first event of a stream", "an event at once", &first));
        findings.extend(later.map(|later| self.finding("a stream in silence", &beat, &later)));
        findings.push(self.finding("a long poll in silence", "200", &poll));
        _ = timeout(ANSWER_TIMEOUT, socket.close(None)).await;
        Ok(findings)
    }

    fn finding(&self, question: &str, expected: &str, seen: &Seen) -> Finding {
        let path = if question.starts_with("a socket") { path("admission::connect") } else { path("events::receive") };
        let (got, cure) = match seen {
            Ok(got) => (got.clone(), None),
            Err((got, Some(fault))) => (got.clone(), Some(self.way.cure(*fault))),
            Err((got, None)) => (got.clone(), Some("Read the server's log of this request and the proxy's.".to_owned())),
        };
        Finding {
            question: format!("{question}, with a token"),
            asked: format!("GET {path}"),
            expected: expected.to_owned(),
            got,
            ok: seen.is_ok(),
            r#do: cure,
        }
    }

    /// An open socket that has answered a ping, and the server's heartbeat.
    async fn socket(&self) -> Result<(Socket, Duration), (String, Option<Fault>)> {
        let wrong = |got: String| (got, Some(Fault::Upgrade));
        let opening = timeout(ANSWER_TIMEOUT, self.open()).await;
        let mut socket = opening.map_err(|_| wrong("no answer".to_owned()))??;
        let hello = frame(&mut socket, "connection_established").await.map_err(wrong)?;
        let sent = socket.send(Message::text(r#"{"type":"ping","id":1,"data":{}}"#)).await;
        sent.map_err(|error| wrong(error.to_string()))?;
        frame(&mut socket, "pong").await.map_err(wrong)?;
        Ok((socket, Duration::from_millis(hello["data"]["heartbeat_ms"].as_u64().unwrap_or(0))))
    }

    async fn open(&self) -> Result<Socket, (String, Option<Fault>)> {
        let plain = |error: String| (error, None);
        let mut url = self.base.clone();
        url.set_path(path("admission::connect"));
        let secure = url.scheme() == "https";
        _ = url.set_scheme(if secure { "wss" } else { "ws" });
        let mut request = url.as_str().into_client_request().map_err(|error| plain(error.to_string()))?;
        let bearer = HeaderValue::from_str(&format!("Bearer {}", self.token));
        let mut bearer = bearer.map_err(|_| plain("no header can hold the token".to_owned()))?;
        bearer.set_sensitive(true);
        request.headers_mut().insert("authorization", bearer);
        let host = self.base.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let stream = TcpStream::connect((host, self.base.port_or_known_default().unwrap_or(443))).await;
        let stream = stream.map_err(|error| plain(error.to_string()))?;
        let connector = connector(self.base).map_err(plain)?;
        match Box::pin(client_async_tls_with_config(request, stream, None, Some(connector))).await {
            Ok((socket, _)) => Ok(socket),
            Err(Error::Http(answer)) => {
                let status = answer.status().as_u16();
                match status {
                    401 => Err(plain("401: the server does not take the token".to_owned())),
                    429 => Err(plain("429: the token's user has too many connections, or asks too often".to_owned())),
                    _ => Err((status.to_string(), Some(Fault::Upgrade))),
                }
            }
            Err(error) => Err((error.to_string(), Some(Fault::Upgrade))),
        }
    }

    async fn events(
        &self,
        client: &Client,
        accept: &str,
        timeout_ms: Option<u64>,
    ) -> Result<Response, (String, Option<Fault>)> {
        let mut url = self.base.clone();
        url.set_path(path("events::receive"));
        url.set_query(timeout_ms.map(|wait| format!("timeout_ms={wait}")).as_deref());
        let wait = ANSWER_TIMEOUT + Duration::from_millis(timeout_ms.unwrap_or(0));
        let request = client.get(url).bearer_auth(self.token).header("accept", accept).send();
        let late = if timeout_ms.is_some() { Fault::Idle } else { Fault::Buffering };
        let answer =
            timeout(wait, request).await.map_err(|_| (format!("nothing within {} s", wait.as_secs()), Some(late)))?;
        let answer = answer.map_err(|_| ("the connection was cut".to_owned(), Some(late)))?;
        match answer.status().as_u16() {
            200 => Ok(answer),
            status @ 500.. => Err((status.to_string(), Some(late))),
            status => Err((status.to_string(), None)),
        }
    }

    /// What came first on an event stream; and, if that came, whether a heartbeat came after it.
    async fn stream(&self, client: &Client, heartbeat: Duration) -> (Seen, Option<Seen>) {
        let mut answer = match self.events(client, sse::MEDIA_TYPE, None).await {
            Ok(answer) => answer,
            Err(wrong) => return (Err(wrong), None),
        };
        let began = Instant::now();
        match timeout(ANSWER_TIMEOUT, answer.chunk()).await {
            Ok(Ok(Some(_))) => {}
            Ok(_) => return (Err(("the stream ended".to_owned(), None)), None),
            Err(_) => {
                return (Err((format!("nothing within {} s", ANSWER_TIMEOUT.as_secs()), Some(Fault::Buffering))), None);
            }
        }
        let later = match timeout(heartbeat + ANSWER_TIMEOUT, answer.chunk()).await {
            Ok(Ok(Some(_))) => Ok("a sign of life".to_owned()),
            Ok(_) => Err(ended("the stream", began)),
            Err(_) => Err(("no sign of life".to_owned(), Some(Fault::Buffering))),
        };
        (Ok("an event at once".to_owned()), Some(later))
    }

    async fn poll(&self, client: &Client, heartbeat: Duration) -> Seen {
        let wait = u64::try_from(heartbeat.as_millis()).unwrap_or(POLL_MS_MAX).min(POLL_MS_MAX);
        self.events(client, "application/json", Some(wait)).await.map(|answer| answer.status().as_u16().to_string())
    }
}

fn path(handler: &str) -> &'static str {
    Route::of(handler).path
}

fn ended(what: &str, began: Instant) -> (String, Option<Fault>) {
    (format!("{what} ended after {} ms", began.elapsed().as_millis()), Some(Fault::Idle))
}

/// The next frame of a type.
async fn frame(socket: &mut Socket, kind: &str) -> Result<Value, String> {
    let found = timeout(ANSWER_TIMEOUT, async {
        while let Some(Ok(message)) = socket.next().await {
            let Message::Text(text) = message else { continue };
            let frame: Value = serde_json::from_str(text.as_str()).unwrap_or_default();
            if frame["type"] == kind {
                return Ok(frame);
            }
        }
        Err(format!("an end before {kind}"))
    });
    found.await.unwrap_or_else(|_| Err(format!("no {kind} within {} s", ANSWER_TIMEOUT.as_secs())))
}

/// Whether the server's ping comes to a socket that says nothing.
async fn silent(socket: &mut Socket, heartbeat: Duration) -> Seen {
    let began = Instant::now();
    let pinged = timeout(heartbeat + ANSWER_TIMEOUT, async {
        while let Some(Ok(message)) = socket.next().await {
            if message.is_ping() {
                return Ok("a ping".to_owned());
            }
        }
        Err(ended("the socket", began))
    });
    pinged.await.unwrap_or_else(|_| Err(("no ping".to_owned(), Some(Fault::Buffering))))
}
