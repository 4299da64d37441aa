//! The client: a TCP connection, upgraded by hand, whose answers are read byte by byte as the RFC says.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    process::{Command, Stdio},
    sync::{Arc, LazyLock},
};

use crate::{
    DEADLINE,
    server::{Server, Site, example::example},
};

/// The transports, as the echo example calls them.
pub const TRANSPORTS: [&str; 2] = ["upgrade", "web_actors"];

static SERVERS: LazyLock<Vec<(&str, Server)>> = LazyLock::new(|| {
    let program = example("echo");
    let start = |transport| {
        let mut command = Command::new(&program);
        command.args(["--transport", transport, "--bind", "127.0.0.1:0"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        (transport, Server::start(&Arc::new(Site::empty()), command))
    };
    TRANSPORTS.map(start).into()
});

/// A running echo on each transport.
pub fn servers() -> impl Iterator<Item = (&'static str, u16)> {
    SERVERS.iter().map(|(transport, server)| (*transport, server.port))
}

/// The example of RFC 6455 section 1.3.
const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: echo.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                       Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const ACCEPT: &str = "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// An upgraded connection.
pub struct Peer {
    stream: TcpStream,
    buffer: Vec<u8>,
    at: usize,
}

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub enum Came {
    /// A whole frame that is right: its opcode and payload.
    Frame(u8, Vec<u8>),
    /// The end of the TCP connection.
    End,
}

impl Peer {
    pub fn upgraded(port: u16) -> Peer {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        stream.set_read_timeout(Some(DEADLINE)).expect("a socket");
        stream.set_write_timeout(Some(DEADLINE)).expect("a socket");
        let mut peer = Peer { stream, buffer: Vec::new(), at: 0 };
        peer.stream.write_all(UPGRADE.as_bytes()).expect("a request is taken");
        let end = loop {
            if let Some(at) = peer.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            assert!(peer.more(), "no answer");
        };
        let head = String::from_utf8_lossy(&peer.buffer[..end]).to_lowercase();
        assert!(head.starts_with("http/1.1 101 "), "{head}");
        assert!(head.lines().any(|line| line == ACCEPT.to_lowercase()), "{head}");
        assert!(!head.contains("sec-websocket-extensions") && !head.contains("sec-websocket-protocol"), "{head}");
        peer.at = end;
        peer
    }

    /// For who writes while the other reads.
    pub fn writer(&self) -> TcpStream {
        self.stream.try_clone().expect("a descriptor")
    }

    /// Says at the level of TCP that nothing more comes.
    pub fn half_close(&self) {
        // It may have ended already.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Reads more; whether there was more.
    fn more(&mut self) -> bool {
        let mut some = vec![0; 65_536];
        match self.stream.read(&mut some) {
            Ok(0) => false,
            Ok(read) => {
                self.buffer.drain(..std::mem::take(&mut self.at));
                self.buffer.extend_from_slice(&some[..read]);
                true
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => false,
            Err(error) => panic!("nothing came: {error}"),
        }
    }

    /// The next bytes; none at the end. An end in the middle is no end that may be.
    fn take(&mut self, length: usize, begun: bool) -> Option<Vec<u8>> {
        while self.buffer.len() - self.at < length {
            if !self.more() {
                assert!(!begun && self.buffer.len() == self.at, "the connection ended inside a frame");
                return None;
            }
        }
        let taken = self.buffer[self.at..self.at + length].to_vec();
        self.at += length;
        Some(taken)
    }

    fn number(&mut self, bytes: usize) -> usize {
        let taken = self.take(bytes, true).expect("bytes");
        taken.iter().fold(0, |number, byte| number << 8 | usize::from(*byte))
    }

    /// The next frame of the server, which must be right in itself.
    pub fn next(&mut self) -> Came {
        let Some(head) = self.take(2, false) else { return Came::End };
        assert_eq!(head[0] & 0x70, 0, "a reserved bit");
        assert_eq!(head[1] & 0x80, 0, "a server masks nothing");
        assert_eq!(head[0] & 0x80, 0x80, "an echo comes in one frame");
        let opcode = head[0] & 0x0f;
        let length = match head[1] {
            126 => self.number(2),
            127 => self.number(8),
            short => usize::from(short),
        };
        let shortest = match length {
            0..126 => u8::try_from(length).unwrap_or_default(),
            126..65_536 => 126,
            _ => 127,
        };
        assert_eq!(head[1], shortest, "a length of {length} in another form than the shortest");
        assert!(opcode < 0x8 || length <= 125, "a control frame of {length} bytes");
        Came::Frame(opcode, self.take(length, true).expect("bytes"))
    }
}
