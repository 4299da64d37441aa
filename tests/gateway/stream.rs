//! A client of server-sent events, as the standard says one reads them.

use std::collections::VecDeque;

use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;

use crate::{
    answer::{Answer, ask},
    people::{Person, text},
    soon,
};

/// One event as it came.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Told {
    /// Empty for a frame.
    pub name: String,
    pub id: Option<String>,
    pub retry: Option<u64>,
    pub data: String,
}

impl Told {
    /// What it says.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).expect("data is JSON")
    }
}

/// An open stream.
pub struct Stream {
    response: Response,
    buffer: Vec<u8>,
    kept: VecDeque<Told>,
    /// The id of the last event that had one.
    pub last_id: String,
    /// Comments so far.
    pub beats: usize,
    /// The first event, and what it says.
    pub first: Told,
    pub hello: Value,
}

/// A request for a stream.
pub fn asked(request: RequestBuilder) -> RequestBuilder {
    request.header("Accept", "text/event-stream")
}

impl Person {
    /// A stream from now.
    pub async fn stream(&self) -> Stream {
        Stream::open(self.request(Method::GET, "/api/events")).await
    }

    /// A stream from now; `None` if it is refused.
    pub async fn try_stream(&self) -> Option<Stream> {
        let response = soon("a stream", asked(self.request(Method::GET, "/api/events")).send()).await.expect("an answer");
        if response.status() == 200 { Some(Stream::over(response).await) } else { None }
    }

    /// A stream where a cursor is.
    pub async fn stream_since(&self, cursor: &str) -> Stream {
        Stream::open(self.request(Method::GET, &format!("/api/events?since={cursor}"))).await
    }

    /// Whether all places of this user are taken.
    pub async fn no_place(&self) -> bool {
        self.get("/api/events?timeout_ms=0").await.status == 429
    }

    /// What a request for a stream that must be refused gets.
    pub async fn no_stream(&self, path: &str) -> Answer {
        ask(asked(self.request(Method::GET, path))).await
    }
}

impl Stream {
    /// Opens a stream and reads its first event.
    pub async fn open(request: RequestBuilder) -> Stream {
        let response = soon("a stream", asked(request).send()).await.expect("an answer");
        assert_eq!(response.status(), 200);
        let header = |name: &str| response.headers().get(name).map_or("", |value| value.to_str().expect("text"));
        assert_eq!(header("content-type"), "text/event-stream");
        assert_eq!((header("cache-control"), header("x-accel-buffering")), ("no-store", "no"));
        Stream::over(response).await
    }

    /// Of an answer that is a stream; reads its first event.
    pub async fn over(response: Response) -> Stream {
        let mut stream = Stream {
            response,
            buffer: Vec::new(),
            kept: VecDeque::new(),
            last_id: String::new(),
            beats: 0,
            first: Told::default(),
            hello: Value::Null,
        };
        stream.first = stream.hear().await.expect("a first event");
        let hello = stream.first.json();
        assert_eq!(hello["type"], "connection_established", "{hello}");
        assert_eq!((&stream.first.name, stream.first.id.as_deref()), (&String::new(), hello["data"]["cursor"].as_str()));
        stream.hello = hello["data"].clone();
        stream
    }

    /// The next event from the wire; `None` when the stream has ended.
    pub async fn hear(&mut self) -> Option<Told> {
        loop {
            while let Some(end) = self.buffer.windows(2).position(|two| two == b"\n\n") {
                let block: Vec<u8> = self.buffer.drain(..end + 2).collect();
                if let Some(told) = self.read(std::str::from_utf8(&block).expect("UTF-8")) {
                    return Some(told);
                }
            }
            match soon("more of a stream", self.response.chunk()).await {
                Ok(Some(bytes)) => self.buffer.extend_from_slice(&bytes),
                // One that is cut in the middle is noted as one that ends.
                Ok(None) | Err(_) => return None,
            }
        }
    }

    /// Waits until something came, a comment too; whether it did.
    pub async fn hear_or_beat(&mut self) -> bool {
        if let Some(end) = self.buffer.windows(2).position(|two| two == b"\n\n") {
            let block: Vec<u8> = self.buffer.drain(..end + 2).collect();
            let told = self.read(std::str::from_utf8(&block).expect("UTF-8"));
            self.kept.extend(told);
            return true;
        }
        match self.response.chunk().await {
            Ok(Some(bytes)) => self.buffer.extend_from_slice(&bytes),
            Ok(None) | Err(_) => return false,
        }
        true
    }

    fn read(&mut self, block: &str) -> Option<Told> {
        let mut told = Told::default();
        let mut data: Vec<&str> = Vec::new();
        for line in block.lines() {
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "" if !line.is_empty() => self.beats += 1,
                "event" => value.clone_into(&mut told.name),
                "id" => told.id = Some(value.to_owned()),
                "retry" => told.retry = Some(value.parse().expect("a number")),
                "data" => data.push(value),
                _ => assert!(line.is_empty(), "{line:?} in a stream"),
            }
        }
        if let Some(id) = &told.id {
            self.last_id.clone_from(id);
        }
        told.data = data.join("\n");
        (!data.is_empty()).then_some(told)
    }

    /// The first event that is wanted, of those kept and those to come. Others are kept in their order.
    pub async fn find(&mut self, what: &str, wanted: impl Fn(&Told) -> bool) -> Told {
        if let Some(at) = self.kept.iter().position(&wanted) {
            return self.kept.remove(at).expect("it is there");
        }
        loop {
            let Some(told) = self.hear().await else { panic!("the stream ended without {what}: {:?}", self.kept) };
            if wanted(&told) {
                return told;
            }
            self.kept.push_back(told);
        }
    }

    /// The next frame of this type.
    pub async fn next(&mut self, kind: &str) -> Told {
        self.find(kind, |told| told.name.is_empty() && told.json()["type"] == kind).await
    }

    /// The next event of the log.
    pub async fn event(&mut self) -> Told {
        let logged = |told: &Told| told.name.is_empty() && told.json()["sequence"].is_u64();
        let told = self.find("event", logged).await;
        assert!(told.id.is_some(), "{told:?} brings no cursor");
        told
    }

    /// The next event of the log, which must be of this type.
    pub async fn expect(&mut self, kind: &str) -> Value {
        let event = self.event().await.json();
        assert_eq!(event["type"], kind, "{event}");
        event
    }

    /// What was heard and not asked for, without cursor frames.
    pub fn unasked(&self) -> Vec<&Told> {
        self.kept.iter().filter(|told| !told.data.starts_with(r#"{"type":"cursor""#)).collect()
    }

    /// Waits for the end, before which there must be a `bye` with this code; its data.
    pub async fn closed_with(&mut self, code: u16) -> Value {
        let bye = self.find("bye", |told| told.name == "bye").await;
        assert_eq!(self.hear().await, None, "something after {bye:?}");
        let data = bye.json();
        assert_eq!(data["code"], code, "{data}");
        assert_eq!(data["reconnect"], (4200..4300).contains(&code) || code == 4409, "{data}");
        assert_eq!(bye.retry, data["retry_after_ms"].as_u64());
        assert!(!text(&data, "reason").is_empty());
        data
    }
}
