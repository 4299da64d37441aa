//! One socket of a user, through the storm: frames in, drafts out, and what of those is not answered yet.

use std::collections::HashMap;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest},
};

use crate::{
    desk::{Desk, Draft, Transport},
    stage::{Stage, User},
};

/// Drafts on their way over one socket.
const WINDOW: usize = 8;

/// The connection is of no more use.
#[derive(Debug)]
pub struct Over;

/// See the module.
pub struct Line {
    stream: WebSocketStream<TcpStream>,
    flying: HashMap<u64, Draft>,
    number: u64,
    heard: Instant,
}

impl Line {
    /// Opens a socket where a cursor is, or from now; `None` if that comes to nothing.
    pub async fn open(stage: &Stage, user: &User, since: Option<&str>) -> Option<Line> {
        let port = stage.storm.port;
        let path = since.map_or_else(String::new, |cursor| format!("?since={cursor}"));
        let mut request = format!("ws://127.0.0.1:{port}/ws{path}").into_client_request().expect("a request");
        let bearer = format!("Bearer {}", user.token).parse().expect("a header");
        request.headers_mut().insert("Authorization", bearer);
        let opened = timeout(Desk::SILENCE, async {
            let stream = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
            stream.set_nodelay(true).ok()?;
            client_async(request, stream).await.ok()
        });
        let (stream, _) = opened.await.ok()??;
        Some(Line { stream, flying: HashMap::new(), number: 0, heard: Instant::now() })
    }

    /// Sends drafts of the desk as long as there is room for more unanswered ones; whether the socket took them.
    pub async fn fill(&mut self, desk: &Desk<'_>) -> bool {
        while self.has_room() {
            let Some(draft) = desk.take(Transport::Socket) else { return true };
            self.number += 1;
            let frame = json!({"type": "message.send", "id": self.number, "data": draft.body()});
            self.flying.insert(self.number, draft);
            let sent = timeout(Desk::SILENCE, self.stream.send(Message::text(frame.to_string()))).await;
            if !matches!(sent, Ok(Ok(()))) {
                return false;
            }
        }
        true
    }

    /// Whether one more draft may be on its way.
    pub fn has_room(&self) -> bool {
        self.flying.len() < WINDOW
    }

    /// The next frame; `None` for one that is settled here: an answer to a draft, or a sign of life.
    pub async fn next(&mut self, desk: &Desk<'_>) -> Result<Option<Value>, Over> {
        let message = timeout_at(self.heard + Desk::SILENCE, self.stream.next()).await;
        let Ok(Some(Ok(message))) = message else { return Err(Over) };
        self.heard = Instant::now();
        let text = match message {
            Message::Text(text) => text,
            Message::Close(_) => return Err(Over),
            _ => return Ok(None),
        };
        let frame: Value = serde_json::from_str(text.as_str()).expect("a frame is JSON");
        match (frame["type"].as_str().expect("a type"), frame["id"].as_u64()) {
            ("ack", Some(id)) => {
                self.flying.remove(&id).unwrap_or_else(|| panic!("nobody asked for {frame}"));
                desk.stored(&frame["data"]["message"], Transport::Socket);
                Ok(None)
            }
            ("error", Some(id)) => {
                assert_eq!(frame["data"]["retryable"], true, "a draft was refused: {frame}");
                desk.give_back(self.flying.remove(&id).expect("a draft"));
                Ok(None)
            }
            ("error", None) => panic!("{frame}"),
            ("bye", _) => Err(Over),
            _ => Ok(Some(frame)),
        }
    }

    /// Gives the socket up, and its unanswered drafts back.
    pub fn abandon(self, desk: &Desk<'_>) {
        for (_, draft) in self.flying {
            desk.give_back(draft);
        }
    }
}
