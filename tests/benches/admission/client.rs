//! A client that does as little as it can: one request, and its answer up to the end of the body.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use crate::Kind;

/// A connection that is kept.
pub struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    pub fn connect(address: &str) -> Client {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        Client { stream, buffer: Vec::with_capacity(16 * 1024) }
    }

    /// One of a kind; an upgrade takes a connection of its own and drops it.
    pub fn once(&mut self, kind: &Kind) {
        if kind.upgrade {
            *self = Client::connect(&kind.address);
        }
        let answer = self.ask(&kind.request);
        assert_eq!(answer.get(9..12), Some(kind.status), "{}: {answer}", kind.name);
    }

    /// A request; the answer's head and body.
    pub fn ask(&mut self, request: &str) -> String {
        self.stream.write_all(request.as_bytes()).expect("it takes the request");
        self.buffer.clear();
        loop {
            let mut chunk = [0; 8 * 1024];
            let read = self.stream.read(&mut chunk).expect("an answer");
            assert!(read > 0, "the server closed the connection: {}", String::from_utf8_lossy(&self.buffer));
            self.buffer.extend_from_slice(&chunk[..read]);
            let text = String::from_utf8_lossy(&self.buffer);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
            });
            if body.len() >= length.unwrap_or(0) {
                return text.into_owned();
            }
        }
    }
}
