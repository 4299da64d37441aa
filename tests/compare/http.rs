//! An HTTP client that does as little as it can: one request at a time on a connection that it keeps.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

/// A connection.
pub struct Http(TcpStream);

impl Http {
    pub fn connect(address: &str) -> Http {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        Http(stream)
    }

    /// Sends a request; the answer, once it is whole. It must have the status that is expected.
    pub fn ask(&mut self, request: &str, status: &str) -> String {
        self.0.write_all(request.as_bytes()).expect("it takes the request");
        let mut answer = Vec::new();
        while !is_whole(&answer) {
            let mut chunk = [0; 8 * 1024];
            let read = self.0.read(&mut chunk).expect("an answer");
            assert!(read > 0, "the server closed the connection: {}", String::from_utf8_lossy(&answer));
            answer.extend_from_slice(&chunk[..read]);
        }
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert_eq!(answer.get(9..12), Some(status), "{request}\n{answer}");
        answer
    }
}

/// Whether an answer has arrived, up to the end of the body that its head tells of.
pub fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    body.len() >= length.unwrap_or(0)
}

/// A request without a body.
pub fn get(path: &str, token: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: chat.test\r\nAuthorization: Bearer {token}\r\n\r\n")
}

/// A request with JSON.
pub fn post(path: &str, token: &str, body: &str) -> String {
    let head = format!("Host: chat.test\r\nContent-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    format!("POST {path} HTTP/1.1\r\n{head}Authorization: Bearer {token}\r\n\r\n{body}")
}

/// A request to become a WebSocket.
pub fn upgrade(path: &str, token: &str) -> String {
    let websocket = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\n";
    let head = format!("GET {path} HTTP/1.1\r\nHost: chat.test\r\nConnection: Upgrade\r\n{websocket}");
    if token.is_empty() { format!("{head}\r\n") } else { format!("{head}Authorization: Bearer {token}\r\n\r\n") }
}
