//! A client program as a child process. It holds at most one socket at a time and speaks lines on stdin and stdout: a word, a
//! space, the rest.
//!
//! | Line to the program | What it does |
//! |---|---|
//! | `open URL TOKEN PROTOCOLS` | connects; with `Authorization: Bearer TOKEN` and these comma-separated subprotocols, unless `-` |
//! | `send TEXT` | sends a text frame |
//! | `cut` | ends the connection without a close frame |
//! | `close` | closes with code 1000 |
//!
//! | Line from the program | Means |
//! |---|---|
//! | `open PROTOCOL` | connected; the subprotocol of the answer, or `-` |
//! | `failed WHY` | not connected |
//! | `text TEXT` | a text frame came |
//! | `closed CODE REASON` | the connection has ended; 1006 where there was no close frame |

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, Command},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::{server::random, soon};

/// What a connection is opened with.
#[derive(Debug, Clone)]
pub enum Credential {
    None,
    Bearer(String),
    Subprotocol(String),
    Ticket(String),
}

/// A running program; it ends with this value.
pub struct Program {
    child: Child,
    input: ChildStdin,
    lines: UnboundedReceiver<String>,
    /// Frames that came while another was waited for.
    kept: Vec<Value>,
}

impl Program {
    pub fn start(mut command: Command) -> Program {
        let mut child = command.spawn().expect("the program starts");
        let input = child.stdin.take().expect("a pipe");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let (sender, lines) = unbounded_channel();
        // Ends with the program.
        std::thread::spawn(move || {
            output.lines().map_while(Result::ok).all(|line| sender.send(line).is_ok());
        });
        Program { child, input, lines, kept: Vec::new() }
    }

    fn tell(&mut self, line: &str) {
        writeln!(self.input, "{line}").expect("the program reads its lines");
    }

    /// The next line, as word and rest.
    async fn line(&mut self) -> (String, String) {
        let line = soon("a line of the program", self.lines.recv()).await.expect("the program runs");
        let (word, rest) = line.split_once(' ').expect("a word and the rest");
        (word.to_owned(), rest.to_owned())
    }

    /// Connects, with further fields of the query (`&since=...`); the data of `connection_established`, or why not.
    pub async fn open(&mut self, port: u16, credential: &Credential, query: &str) -> Result<Value, String> {
        let (ticket, token, protocols) = match credential {
            Credential::None => ("", "-", "-".to_owned()),
            Credential::Bearer(token) => ("", token.as_str(), "-".to_owned()),
            Credential::Subprotocol(token) => ("", "-", format!("jwt-auth,jwt.{}", URL_SAFE_NO_PAD.encode(token))),
            Credential::Ticket(ticket) => (ticket.as_str(), "-", "-".to_owned()),
        };
        let ticket = if ticket.is_empty() { String::new() } else { format!("&ticket={ticket}") };
        let query = format!("{query}{ticket}");
        let query = query.strip_prefix('&').map_or_else(String::new, |fields| format!("?{fields}"));
        self.tell(&format!("open ws://127.0.0.1:{port}/ws{query} {token} {protocols}"));
        let protocol = match self.line().await {
            (word, protocol) if word == "open" => protocol,
            (word, why) if word == "failed" => return Err(why),
            other => panic!("{other:?} instead of a connection"),
        };
        // The answer names the method, never the token.
        assert_eq!(protocol, if protocols == "-" { "-" } else { "jwt-auth" });
        self.kept.clear();
        let hello = self.frame().await;
        assert_eq!(hello["type"], "connection_established", "{hello}");
        Ok(hello["data"].clone())
    }

    /// The next frame from the wire.
    async fn frame(&mut self) -> Value {
        match self.line().await {
            (word, text) if word == "text" => serde_json::from_str(&text).expect("a frame is JSON"),
            other => panic!("{other:?} instead of a frame"),
        }
    }

    /// The first wanted frame of those kept and those to come. Others are kept in their order.
    pub async fn find(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.kept.iter().position(&wanted) {
            return self.kept.remove(at);
        }
        loop {
            let frame = self.frame().await;
            if wanted(&frame) {
                return frame;
            }
            self.kept.push(frame);
        }
    }

    /// The next frame of this type.
    pub async fn next(&mut self, kind: &str) -> Value {
        self.find(|frame| frame["type"] == kind).await
    }

    /// The newest cursor of those that have come, or the next one.
    pub async fn cursor(&mut self) -> String {
        let newest = self.kept.iter().rev().find(|frame| frame["type"] == "cursor").cloned();
        let frame = match newest {
            Some(frame) => frame,
            None => self.next("cursor").await,
        };
        frame["data"]["cursor"].as_str().expect("a cursor").to_owned()
    }

    /// Sends a message; the data of its `ack`.
    pub async fn say(&mut self, thread: &str, content: &str) -> Value {
        let id = random(12);
        let data = json!({"thread_id": thread, "content": content});
        self.tell(&format!("send {}", json!({"type": "message.send", "id": id, "data": data})));
        let answer = self.find(|frame| frame["id"] == id.as_str()).await;
        assert_eq!(answer["type"], "ack", "{answer}");
        answer["data"].clone()
    }

    /// Waits for the end; every frame before it, and its close code.
    pub async fn end(&mut self) -> (Vec<Value>, u16) {
        loop {
            match self.line().await {
                (word, text) if word == "text" => self.kept.push(serde_json::from_str(&text).expect("a frame is JSON")),
                (word, rest) if word == "closed" => {
                    let code = rest.split(' ').next().and_then(|code| code.parse().ok());
                    return (std::mem::take(&mut self.kept), code.expect("a close code"));
                }
                other => panic!("{other:?} instead of the end"),
            }
        }
    }

    /// Waits for the end, which must be this close code after a `bye` that names it; the data of `bye`.
    pub async fn closed_with(&mut self, code: u16) -> Value {
        let (frames, closed) = self.end().await;
        let bye = frames.last().filter(|frame| frame["type"] == "bye");
        let bye = bye.unwrap_or_else(|| panic!("no bye before {closed}: {frames:?}"))["data"].clone();
        assert_eq!((closed, &bye["code"]), (code, &json!(code)));
        bye
    }

    /// Ends the connection without a close frame.
    pub async fn cut(&mut self) {
        self.tell("cut");
        self.end().await;
    }

    /// Closes as a client does that is done; the code of the server's answer.
    pub async fn close(&mut self) -> u16 {
        self.tell("close");
        self.end().await.1
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
