//! A client that does what no library would: raw bytes on a TCP connection.

use std::io::ErrorKind;

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::soon;

/// A TCP connection and what was read from it too early.
pub struct Raw {
    pub stream: TcpStream,
    buffer: Vec<u8>,
}

/// An answer's status line and headers (names in lower case).
#[derive(Debug)]
pub struct Head {
    pub status: u16,
    pub headers: Vec<(String, String)>,
}

impl Head {
    /// A header's text; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(header, _)| header == name).map_or("", |(_, value)| value)
    }
}

/// An upgrade request, with more header lines (each with its line end).
pub fn upgrade(path: &str, more: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: chat.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    )
}

/// A masked frame: the first byte as it is, the length, and the payload.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(first, payload.len() as u64);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A masked frame's header alone.
pub fn header(first: u8, length: u64) -> Vec<u8> {
    let mut bytes = vec![first];
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ 0..126), _) => bytes.push(0x80 | short),
        (_, Ok(middle)) => {
            bytes.push(0xfe);
            bytes.extend(middle.to_be_bytes());
        }
        _ => {
            bytes.push(0xff);
            bytes.extend(length.to_be_bytes());
        }
    }
    bytes.extend(MASK);
    bytes
}

/// Text in one frame.
pub const TEXT: u8 = 0x81;

impl Raw {
    pub async fn connect(port: u16) -> Raw {
        let stream = soon("a connection", TcpStream::connect(("127.0.0.1", port))).await.expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        Raw::over(stream)
    }

    /// Over a connection of any kind.
    pub fn over(stream: TcpStream) -> Raw {
        Raw { stream, buffer: Vec::new() }
    }

    /// An accepted upgrade whose first frame has been read.
    pub async fn socket(port: u16, token: &str) -> Raw {
        let mut raw = Raw::connect(port).await;
        raw.upgrades(token).await;
        raw
    }

    /// Upgrades this connection; the data of `connection_established`.
    pub async fn upgrades(&mut self, token: &str) -> Value {
        self.send(upgrade("/ws", &format!("Authorization: Bearer {token}\r\n"))).await;
        assert_eq!(self.head().await.status, 101);
        let first = self.json().await;
        assert_eq!(first["type"], "connection_established", "{first}");
        first["data"].clone()
    }

    /// Sends all of it, or as much as the other side takes before it ends.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = soon("sending", self.stream.write_all(bytes.as_ref())).await;
    }

    /// Reads more; whether there was more.
    async fn more(&mut self) -> bool {
        match soon("more bytes", self.stream.read_buf(&mut self.buffer)).await {
            Ok(0) => false,
            Ok(_) => true,
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => false,
            Err(error) => panic!("{error}"),
        }
    }

    async fn take(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.buffer.len() < length {
            if !self.more().await {
                return None;
            }
        }
        Some(self.buffer.drain(..length).collect())
    }

    /// The head of the next answer.
    pub async fn head(&mut self) -> Head {
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break at;
            }
            assert!(self.more().await, "the connection ended before an answer: {:?}", String::from_utf8_lossy(&self.buffer));
        };
        let bytes: Vec<u8> = self.buffer.drain(..end + 4).collect();
        let text = String::from_utf8(bytes).expect("a head is text");
        let mut lines = text.lines();
        let first = lines.next().expect("a status line");
        let status = first.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let headers = lines.filter_map(|line| line.split_once(": "));
        Head { status, headers: headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect() }
    }

    /// The next answer, with a body as long as it says.
    pub async fn answer(&mut self) -> (Head, String) {
        let head = self.head().await;
        let length = head.header("content-length").parse().unwrap_or(0);
        let body = self.take(length).await.expect("a whole body");
        (head, String::from_utf8(body).expect("text"))
    }

    /// The next answer, which must be a problem with this status and code.
    #[track_caller]
    pub fn refused(&mut self, status: u16, code: &str) -> impl Future<Output = Value> {
        let (code, place) = (code.to_owned(), std::panic::Location::caller());
        async move {
            let (head, body) = self.answer().await;
            assert_eq!(head.status, status, "{body} at {place}");
            assert_eq!(head.header("content-type"), "application/problem+json", "{body} at {place}");
            let problem: Value = serde_json::from_str(&body).expect("JSON");
            assert_eq!(problem["code"], code, "{problem} at {place}");
            problem
        }
    }

    /// Everything until the other side ends the connection, which it must.
    pub async fn rest(&mut self) -> Vec<u8> {
        while self.more().await {}
        std::mem::take(&mut self.buffer)
    }

    /// The next frame of the server: its first byte and payload; `None` at the end.
    pub async fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let head = self.take(2).await?;
        assert_eq!(head[1] & 0x80, 0, "a server masks nothing");
        let length = match head[1] {
            126 => self.take(2).await?.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)),
            127 => self.take(8).await?.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)),
            short => usize::from(short),
        };
        Some((head[0], self.take(length).await?))
    }

    /// The next text frame.
    pub async fn json(&mut self) -> Value {
        loop {
            match self.frame().await {
                Some((TEXT, payload)) => return serde_json::from_slice(&payload).expect("JSON"),
                Some((0x89 | 0x8a, _)) => {}
                other => panic!("no text but {other:?}"),
            }
        }
    }

    /// The close code and, if one came before it, the code in `bye`. Then the TCP connection must end.
    pub async fn closed(&mut self) -> (Option<u16>, Option<u64>) {
        let mut bye = None;
        while let Some((first, payload)) = self.frame().await {
            match first {
                TEXT => {
                    let frame: Value = serde_json::from_slice(&payload).expect("JSON");
                    if frame["type"] == "bye" {
                        bye = frame["data"]["code"].as_u64();
                    }
                }
                0x88 => {
                    let code = payload.get(..2).map(|code| u16::from_be_bytes([code[0], code[1]]));
                    // A polite client answers the close frame.
                    self.send(frame(0x88, &payload)).await;
                    assert_eq!(self.rest().await, b"", "bytes after the close frame");
                    return (code, bye);
                }
                _ => {}
            }
        }
        (None, bye)
    }
}
