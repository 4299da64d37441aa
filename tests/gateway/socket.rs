//! A well-behaved WebSocket client: hears frames in order, keeps what a test did not ask for yet.

use std::{collections::VecDeque, time::Instant};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async_with_config,
    tungstenite::{
        self, Message,
        client::IntoClientRequest,
        handshake::client::{Request, Response},
    },
};

use crate::{
    DEADLINE,
    people::{Person, Proof},
    server::ORIGIN,
    soon,
};

/// One frame as it came, and what it says.
#[derive(Debug, Clone)]
pub struct Frame {
    pub bytes: String,
    pub json: Value,
}

/// How a connection ended, or is about to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Farewell {
    /// The data of `bye`, if there was one.
    pub bye: Option<Value>,
    /// The close code, if there was a close frame.
    pub code: Option<u16>,
}

/// Frames go at once: else a small one waits until the server's system acknowledges what came before it.
const NO_DELAY: bool = true;

/// An open socket.
pub struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    kept: VecDeque<Frame>,
    end: Farewell,
    ended: bool,
    /// The data of `connection_established`.
    pub hello: Value,
}

impl Socket {
    /// Opens a socket with a person's proof.
    pub async fn open(person: &Person, path: &str) -> Socket {
        Socket::upgrade(Socket::request(person, path)).await.expect("an accepted upgrade").0
    }

    /// The same; `None` if the upgrade is refused.
    #[allow(dead_code, reason = "the tests of the gateway use it")]
    pub async fn try_open(person: &Person, path: &str) -> Option<Socket> {
        let opened = Socket::upgrade(Socket::request(person, path)).await;
        opened.map(|(socket, _)| socket).ok()
    }

    fn request(person: &Person, path: &str) -> Request {
        let mut request = format!("ws://127.0.0.1:{}{path}", person.port()).into_client_request().expect("a request");
        let headers = request.headers_mut();
        match &person.proof {
            Proof::Nothing => {}
            Proof::Bearer(token) => {
                headers.insert("Authorization", format!("Bearer {token}").parse().expect("a header"));
            }
            Proof::Cookie(cookie) => {
                headers.insert("Cookie", cookie.parse().expect("a header"));
                headers.insert("Origin", ORIGIN.parse().expect("a header"));
            }
        }
        request
    }

    /// Opens a socket with any request; with the head of the answer, or why there is none.
    pub async fn upgrade(request: Request) -> Result<(Socket, Response), tungstenite::Error> {
        let opening = Box::pin(connect_async_with_config(request, None, NO_DELAY));
        let (stream, response) = soon("an upgrade", opening).await?;
        Ok((Socket::greeted(stream).await, response))
    }

    /// An upgraded stream, after its first frame.
    pub async fn greeted(stream: WebSocketStream<MaybeTlsStream<TcpStream>>) -> Socket {
        let mut socket =
            Socket { stream, kept: VecDeque::new(), end: Farewell::default(), ended: false, hello: Value::Null };
        let first = socket.hear().await.expect("a first frame").json;
        assert_eq!(first["type"], "connection_established", "{first}");
        socket.hello = first["data"].clone();
        socket
    }

    /// Sends text as it is.
    pub async fn send_text(&mut self, text: &str) {
        soon("sending", self.stream.send(Message::text(text))).await.expect("the socket takes it");
    }

    /// Sends a frame.
    pub async fn send(&mut self, frame: Value) {
        self.send_text(&frame.to_string()).await;
    }

    /// Sends frames together, in one write.
    #[allow(dead_code, reason = "the tests of the gateway use it")]
    pub async fn send_at_once(&mut self, frames: impl IntoIterator<Item = Value>) {
        let all = async {
            for frame in frames {
                self.stream.feed(Message::text(frame.to_string())).await?;
            }
            self.stream.flush().await
        };
        soon("sending", all).await.expect("the socket takes them");
    }

    /// Sends any message of the protocol, if the socket still takes it.
    pub async fn send_raw(&mut self, message: Message) -> bool {
        soon("sending", self.stream.send(message)).await.is_ok()
    }

    /// The next text frame from the wire; `None` when the connection has ended.
    async fn hear(&mut self) -> Option<Frame> {
        while !self.ended {
            match soon("a frame", self.stream.next()).await {
                Some(Ok(Message::Text(text))) => {
                    let bytes = text.as_str().to_owned();
                    let json: Value = serde_json::from_str(&bytes).expect("a frame is JSON");
                    assert!(self.end.bye.is_none(), "{json} after bye");
                    if json["type"] != "bye" {
                        return Some(Frame { bytes, json });
                    }
                    self.end.bye = Some(json["data"].clone());
                }
                Some(Ok(Message::Close(close))) => self.end.code = close.map(|close| close.code.into()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(other)) => panic!("the server sent {other:?}"),
                // A peer that ends without a close frame is noted as one.
                Some(Err(tungstenite::Error::Utf8(error))) => panic!("{error}"),
                Some(Err(_)) | None => self.ended = true,
            }
        }
        None
    }

    /// The first frame that is wanted, of those kept and those to come. Others are kept in their order.
    pub async fn find(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Frame {
        if let Some(at) = self.kept.iter().position(|frame| wanted(&frame.json)) {
            return self.kept.remove(at).expect("it is there");
        }
        let asked = Instant::now();
        loop {
            // Other frames may come for ever.
            assert!(asked.elapsed() < DEADLINE, "no {what}, but {:?}", self.kept);
            let Some(frame) = self.hear().await else { panic!("no {what}, but {:?}", self.end) };
            if wanted(&frame.json) {
                return frame;
            }
            self.kept.push_back(frame);
        }
    }

    /// The next frame of this type.
    pub async fn next(&mut self, kind: &str) -> Value {
        self.find(kind, |frame| frame["type"] == kind).await.json
    }

    /// The next event of the log, of whatever thread and kind.
    pub async fn event(&mut self) -> Frame {
        self.find("event", |frame| frame["sequence"].is_u64() && frame["thread_id"].is_string()).await
    }

    /// The next event, which must be of this type.
    pub async fn expect(&mut self, kind: &str) -> Value {
        let event = self.event().await.json;
        assert_eq!(event["type"], kind, "{event}");
        event
    }

    /// Sends a command and waits for the answer that repeats its id.
    pub async fn ask(&mut self, kind: &str, data: Value) -> Value {
        let id = crate::server::random(12);
        self.send(json!({"type": kind, "id": id, "data": data})).await;
        self.find("answer", |frame| frame["id"] == id.as_str()).await.json
    }

    /// The same; `None` if the connection ends before the answer.
    #[allow(dead_code, reason = "the tests of the gateway and of faults use it")]
    pub async fn try_ask(&mut self, kind: &str, data: Value) -> Option<Value> {
        let id = crate::server::random(12);
        self.send_raw(Message::text(json!({"type": kind, "id": id, "data": data}).to_string())).await;
        loop {
            let frame = self.hear().await?;
            if frame.json["id"] == id.as_str() {
                return Some(frame.json);
            }
            self.kept.push_back(frame);
        }
    }

    /// Posts a message; its `ack`.
    pub async fn say(&mut self, thread: &str, content: &str) -> Value {
        let ack = self.ask("message.send", json!({"thread_id": thread, "content": content})).await;
        assert_eq!(ack["type"], "ack", "{ack}");
        ack["data"].clone()
    }

    /// Shows that the connection is kept: a ping is answered.
    pub async fn is_alive(&mut self) {
        assert_eq!(self.ask("ping", json!({})).await["type"], "pong");
    }

    /// Sends bad text and waits for the code of the error that answers it.
    pub async fn refused(&mut self, text: &str) -> Value {
        self.send_text(text).await;
        self.next("error").await["data"].clone()
    }

    /// What was heard and not asked for, without cursor frames.
    pub fn unasked(&self) -> Vec<&Value> {
        self.kept.iter().map(|frame| &frame.json).filter(|frame| frame["type"] != "cursor").collect()
    }

    /// Reads what the server has sent until now; whether that was the end.
    pub async fn has_ended(&mut self) -> bool {
        self.send_raw(Message::text(r#"{"type":"ping","id":"there?"}"#)).await;
        while let Some(frame) = self.hear().await {
            if frame.json["id"] == "there?" {
                return false;
            }
            self.kept.push_back(frame);
        }
        true
    }

    /// Waits for the end.
    pub async fn end(&mut self) -> Farewell {
        while let Some(frame) = self.hear().await {
            self.kept.push_back(frame);
        }
        self.end.clone()
    }

    /// Waits for the end, which must be a `bye` and a close frame with this code.
    pub async fn closed_with(&mut self, code: u16) -> Value {
        let end = self.end().await;
        assert_eq!(end.code, Some(code), "{end:?}");
        let bye = end.bye.expect("a bye");
        assert_eq!(bye["code"], code);
        assert_eq!(bye["reconnect"], (4200..4300).contains(&code) || code == 1001, "{bye}");
        assert!(bye["reason"].as_str().is_some_and(|reason| !reason.is_empty()), "{bye}");
        bye
    }

    /// Closes from this side; the code of the answer.
    pub async fn close(&mut self, code: u16) -> Option<u16> {
        let frame = tungstenite::protocol::CloseFrame { code: code.into(), reason: "".into() };
        soon("closing", self.stream.close(Some(frame))).await.expect("the socket takes it");
        self.end().await.code
    }
}
