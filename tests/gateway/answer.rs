//! An answer to a request, and what every problem document must hold.

use reqwest::{RequestBuilder, header::HeaderMap};
use serde_json::Value;

use crate::soon;

/// Status, headers and body.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

/// Sends a request and reads the whole answer.
pub async fn ask(request: RequestBuilder) -> Answer {
    soon("an answer", async {
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        // 101 has no body: what follows it is the socket.
        let body = if status == 101 { String::new() } else { response.text().await.expect("a body") };
        Answer { status, headers, body }
    })
    .await
}

impl Answer {
    /// A header's text; empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    /// Whether a cache must tell answers apart by this header of the request.
    pub fn varies_by(&self, name: &str) -> bool {
        let told = self.headers.get_all("vary").iter().flat_map(|value| value.to_str().expect("text").split(','));
        told.into_iter().any(|told| told.trim().eq_ignore_ascii_case(name))
    }

    /// What sets the cookie of this name, with or without its prefix; empty if nothing does.
    pub fn set_cookie(&self, name: &str) -> &str {
        let mut set = self.headers.get_all("set-cookie").iter().map(|value| value.to_str().expect("text"));
        let named = |set: &&str| set.trim_start_matches("__Host-").strip_prefix(name).is_some_and(|r| r.starts_with('='));
        set.find(named).unwrap_or_default()
    }

    /// The body of an answer with this status.
    #[track_caller]
    pub fn json(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        serde_json::from_str(&self.body).expect("JSON")
    }

    /// An answer with this status and no body.
    #[track_caller]
    pub fn empty(&self, status: u16) {
        assert_eq!((self.status, self.body.as_str()), (status, ""));
    }

    /// The problem document of a refusal: this status and code, and every field that all of them have.
    #[track_caller]
    pub fn problem(&self, status: u16, code: &str) -> Value {
        let problem = self.json(status);
        assert_eq!(self.header("content-type"), "application/problem+json", "{problem}");
        assert_eq!(self.header("cache-control"), "no-store", "{problem}");
        assert_eq!(problem["code"], code, "{problem}");
        assert_eq!(problem["status"], status, "{problem}");
        for field in ["type", "title", "detail", "request_id"] {
            assert!(problem[field].as_str().is_some_and(|text| !text.is_empty()), "{field} of {problem}");
        }
        assert_eq!(problem["request_id"], self.header("x-request-id"));
        if status == 401 {
            assert!(self.header("www-authenticate").starts_with("Bearer"), "{:?}", self.headers);
        }
        if let Some(wait) = problem["retry_after_ms"].as_u64() {
            let seconds: u64 = self.header("retry-after").parse().expect("seconds");
            assert!(seconds * 1000 >= wait && seconds >= 1, "Retry-After {seconds} for {wait} ms");
        }
        problem
    }

    /// The problem document of a 400 `invalid` that names this field.
    #[track_caller]
    pub fn invalid(&self, field: &str) -> Value {
        let problem = self.problem(400, "invalid");
        let errors = problem["errors"].as_array().expect("errors");
        let named =
            errors.iter().any(|error| error["field"] == field && error["reason"].as_str().is_some_and(|r| !r.is_empty()));
        assert!(named, "{field} in {problem}");
        problem
    }

    /// The body without what differs from request to request.
    pub fn without_request_id(&self) -> String {
        self.body.replace(self.header("x-request-id"), "REQUEST")
    }
}
