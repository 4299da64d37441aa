//! The JSON body of a request: within its limit in bytes and in time, of the right type, without unknown fields.

use std::{future::Future, pin::Pin, time::Duration};

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload, web};
use serde::de::DeserializeOwned;

use crate::{
    error::{Code, Error},
    node::Node,
    wire::rest,
};

/// A parsed body.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned + 'static> FromRequest for Body<T> {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let json = request.content_type().eq_ignore_ascii_case("application/json");
        let limits = request.app_data::<web::Data<Node>>().map(|node| node.limits.clone());
        let bytes = web::Bytes::from_request(request, payload);
        Box::pin(async move {
            let limits = limits.ok_or_else(|| Error::from(Code::Internal))?;
            if !json {
                return Err(Error::new(Code::NotJsonBody, "Send the body with Content-Type: application/json."));
            }
            let late = |_| Error::new(Code::RequestTimeout, "The body did not arrive in time. Send it again.");
            let bytes = tokio::time::timeout(Duration::from_millis(limits.body_ms), bytes).await.map_err(late)?;
            let bytes = bytes.map_err(|error| refused(&error, limits.frame_bytes))?;
            let text = std::str::from_utf8(&bytes).map_err(|_| Error::field("body", "is not UTF-8"))?;
            rest::from_json(text).map(Body)
        })
    }
}

fn refused(error: &actix_web::Error, max: u64) -> Error {
    match error.as_response_error().status_code().as_u16() {
        413 => Error::new(Code::BodyTooBig, format!("A body may have {max} bytes.")),
        _ => Error::field("body", "could not be read to its end"),
    }
}
