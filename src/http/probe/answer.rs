//! An answer, read off the stream as far as the probe needs it.

use std::fmt;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

/// Most bytes of an answer that are read: its head and a document.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// An answer of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It answered.
    ProbeResponse(ProbeResponse),
    /// The connection ended without an answer: a layer panicked.
    Dropped,
}

/// What an answer tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeResponse {
    /// The status.
    pub status: u16,
    /// The sentence of a problem document, or the code of a preflight; empty if there is none.
    pub detail: String,
    /// How many cookies it sets.
    pub cookies: usize,
    /// Whether head and body name the same request; none: the head names no request.
    pub named: Option<bool>,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::ProbeResponse(ProbeResponse { status, cookies: 0, .. }) => write!(f, "{status}"),
            Answer::ProbeResponse(ProbeResponse { status, cookies, .. }) => write!(f, "{status} and {cookies} cookies set"),
            Answer::Dropped => f.write_str("no answer"),
        }
    }
}

/// Sends a request and reads the head of the answer, and its body if that is JSON.
pub(super) async fn ask(client: &mut DuplexStream, request: &str) -> Answer {
    if client.write_all(request.as_bytes()).await.is_err() {
        return Answer::Dropped;
    }
    let mut bytes = Vec::new();
    loop {
        if let Some(told) = told(&String::from_utf8_lossy(&bytes)) {
            return Answer::ProbeResponse(told);
        }
        let mut chunk = [0; 4096];
        match client.read(&mut chunk).await {
            Ok(read) if read > 0 && bytes.len() < ANSWER_BYTES_MAX => bytes.extend_from_slice(&chunk[..read]),
            _ => return Answer::Dropped,
        }
    }
}

/// The answer, once all that is needed of it has come.
fn told(text: &str) -> Option<ProbeResponse> {
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let headers: Vec<(&str, &str)> = lines.filter_map(|line| line.split_once(": ")).collect();
    let all = |name: &'static str| headers.iter().filter(move |(found, _)| found.eq_ignore_ascii_case(name));
    let one = |name| all(name).next().map(|(_, value)| *value);
    let json = one("content-type").is_some_and(|kind| kind.contains("json"));
    let document: Value = if json { serde_json::from_str(body).ok()? } else { Value::Null };
    let text = |field: &str| document[field].as_str();
    let named = one("x-request-id").map(|head| text("request_id").is_none_or(|body| body == head));
    let detail = text("detail").or(text("code")).unwrap_or_default().to_owned();
    Some(ProbeResponse { status, detail, cookies: all("set-cookie").count(), named })
}
