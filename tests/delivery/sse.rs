//! One stream of server-sent events of a user, through the storm.

use std::time::Duration;

use reqwest::{Response, header::ACCEPT};
use serde_json::Value;
use tokio::time::{Instant, timeout, timeout_at};

use crate::{
    desk::Desk,
    line::Over,
    stage::{Stage, User},
};

/// A frame, and the cursor to go on from behind it.
pub struct Told {
    pub frame: Value,
    pub cursor: Option<String>,
}

/// See the module.
pub struct Sse {
    response: Response,
    buffer: Vec<u8>,
    heard: Instant,
}

impl Sse {
    /// Opens a stream where a cursor is, as a browser does that comes back; `None` if that comes to nothing.
    pub async fn open(stage: &Stage, user: &User, cursor: &str) -> Option<Sse> {
        let url = format!("http://127.0.0.1:{}/api/events", stage.storm.port);
        let request = stage.client.get(url).bearer_auth(&user.token).header(ACCEPT, "text/event-stream");
        // It lasts; its silence is watched here.
        let request = request.header("Last-Event-ID", cursor).timeout(Duration::from_secs(86_400));
        let response = timeout(Desk::SILENCE, request.send()).await.ok()?.ok()?;
        match response.status().as_u16() {
            200 => Some(Sse { response, buffer: Vec::new(), heard: Instant::now() }),
            408 | 500.. => None,
            status => panic!("a stream was refused: {status}"),
        }
    }

    /// The next frame; `None` for a comment, or what only repeats it.
    pub async fn next(&mut self) -> Result<Option<Told>, Over> {
        let end = loop {
            if let Some(end) = self.buffer.windows(2).position(|two| two == b"\n\n") {
                break end;
            }
            let more = timeout_at(self.heard + Desk::SILENCE, self.response.chunk()).await;
            let Ok(Ok(Some(bytes))) = more else { return Err(Over) };
            self.heard = Instant::now();
            self.buffer.extend_from_slice(&bytes);
        };
        let block: Vec<u8> = self.buffer.drain(..end + 2).collect();
        let block = std::str::from_utf8(&block).expect("UTF-8");
        let field = |name| block.lines().find_map(|line| line.strip_prefix(name));
        match (field("event: "), field("data: ")) {
            (Some("bye"), _) => Err(Over),
            // `reset` says again what the first frame has said.
            (Some(_), _) | (None, None) => Ok(None),
            (None, Some(data)) => {
                let frame = serde_json::from_str(data).expect("a frame is JSON");
                Ok(Some(Told { frame, cursor: field("id: ").map(str::to_owned) }))
            }
        }
    }
}
