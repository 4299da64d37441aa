//! Errors as RFC 9457 problem documents.

use std::borrow::Cow;

use actix_web::{
    HttpResponse, ResponseError,
    http::{StatusCode, header},
};
use serde::Serialize;

use crate::error::{Code, Error, FieldError};

shapes! {
    /// `application/problem+json`.
    #[derive(Debug, Serialize)]
    pub struct Problem<'a> {
        r#type: String,
        title: &'static str,
        status: u16,
        detail: &'a str,
        code: &'static str,
        request_id: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        errors: Vec<Field<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        arrived: Option<&'a Arrival>,
    }
}

/// How a request for a socket reached this process. A refusal of it carries this, so that `check --url` and people can see what
/// a proxy on the way has made of it without any credentials: 401 comes before 426.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Arrival {
    /// `1.0` or `1.1`.
    pub http: &'static str,
    /// Whether it came over TLS.
    pub tls: bool,
    /// Whether it has the form of an upgrade to a WebSocket.
    pub upgrade: bool,
    /// What is wrong with that form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upgrade_fault: Option<Cow<'static, str>>,
    /// How the client's address was found: `none`, `ignored`, `trusted` or `forged`.
    pub forwarded: &'static str,
    /// Whether it has a `Cookie` header.
    pub cookie: bool,
}

#[derive(Debug, Serialize)]
struct Field<'a> {
    field: &'a str,
    reason: &'a str,
}

impl<'a> From<&'a FieldError> for Field<'a> {
    fn from(error: &'a FieldError) -> Self {
        Field { field: &error.field, reason: &error.reason }
    }
}

impl<'a> Problem<'a> {
    /// The document for an error, as told in answer to one request; with how it arrived, if it asked for a socket.
    pub fn new(error: &'a Error, request_id: &'a str, arrived: Option<&'a Arrival>) -> Problem<'a> {
        Problem {
            r#type: format!("urn:hailgate:problem:{}", error.code.name()),
            title: error.code.title(),
            status: error.code.status(),
            detail: &error.detail,
            code: error.code.name(),
            request_id,
            retry_after_ms: error.retry_after_ms,
            errors: error.fields.iter().map(Field::from).collect(),
            arrived,
        }
    }
}

/// An error answers with its status and travels along in the response; the outermost layer, which knows the
/// request's id, writes the document.
impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        if let Some(delay) = self.retry_after_ms {
            response.insert_header((header::RETRY_AFTER, delay.div_ceil(1000)));
        }
        if self.status_code() == StatusCode::UNAUTHORIZED {
            response.insert_header((header::WWW_AUTHENTICATE, challenge(self.code)));
        }
        if self.code == Code::UpgradeRequired {
            response.insert_header((header::UPGRADE, "websocket"));
        }
        let mut response = response.finish();
        response.extensions_mut().insert(self.clone());
        response
    }
}

/// RFC 6750 section 3: the error attribute only where a token was sent.
fn challenge(code: Code) -> &'static str {
    match code {
        Code::BadCredentials | Code::TokenExpired | Code::SignedOut | Code::Disabled | Code::UnknownAccount => {
            "Bearer realm=\"hailgate\", error=\"invalid_token\""
        }
        _ => "Bearer realm=\"hailgate\"",
    }
}
