//! The exchange of an authorization code for an ID token (RFC 6749 section 4.1.3, OpenID Connect Core section 3.1.3). Of the
//! answer only what is used is read: `id_token`, or `error`. What else providers write there, or leave out, decides nothing.

use oauth2::url::form_urlencoded::byte_serialize;
use reqwest::{Client, Url, header};
use serde::Deserialize;
use serde_json::Value;

use super::fetch;
use crate::{
    domain::{Limits, Reason},
    error::{Code, Error},
};

/// Errors of the token endpoint (RFC 6749 section 5.2), and those of the authorization endpoint (section 4.1.2.1, OpenID Connect
/// Core section 3.1.2.6): each with what it means here. Only these names are repeated in a log.
const ERRORS: &[(&str, Code)] = &[
    ("invalid_request", Code::SignInRefused),
    ("invalid_client", Code::SignInRefused),
    ("invalid_grant", Code::SignInRefused),
    ("unauthorized_client", Code::SignInRefused),
    ("unsupported_grant_type", Code::SignInRefused),
    ("unsupported_response_type", Code::SignInRefused),
    ("invalid_scope", Code::SignInRefused),
    ("access_denied", Code::SignInRefused),
    ("login_required", Code::SignInRefused),
    ("consent_required", Code::SignInRefused),
    ("interaction_required", Code::SignInRefused),
    ("account_selection_required", Code::SignInRefused),
    ("server_error", Code::IssuerUnavailable),
    ("temporarily_unavailable", Code::IssuerUnavailable),
    ("slow_down", Code::IssuerUnavailable),
];

/// The error for one that the provider named. The words never repeat what the provider wrote: it may hold the code.
pub fn provider_error(named: &str) -> Error {
    let Some((name, code)) = ERRORS.iter().find(|(name, _)| *name == named) else {
        return Error::new(Code::SignInRefused, "The provider refused, with an `error` that is in no standard.");
    };
    let why = match *name {
        "invalid_grant" => ": the code was used before, is too old, or was given to another client or for another address",
        "invalid_client" | "unauthorized_client" => {
            ": it does not know this server; check HAILGATE_OIDC_CLIENT_ID and HAILGATE_OIDC_CLIENT_SECRET"
        }
        _ => "",
    };
    Error::new(*code, format!("The provider said {name}{why}."))
}

/// The error for a provider that cannot be asked now, or whose answer cannot be used.
pub(super) fn unavailable(reason: &str) -> Error {
    Error::new(Code::IssuerUnavailable, format!("The sign-in provider cannot be used now: {reason}. Try again."))
        .after_ms(5_000)
}

/// Where codes are exchanged, and how this server identifies itself there.
pub(super) struct Exchange {
    pub endpoint: Url,
    pub client_id: String,
    /// `None` for a public client.
    pub client_secret: Option<String>,
    /// Whether the secret goes into the form (`client_secret_post`) instead of the header (`client_secret_basic`).
    pub in_form: bool,
    /// The address that the code was sent to.
    pub redirect: String,
}

impl Exchange {
    /// The ID token for a code. It is not verified.
    ///
    /// # Errors
    /// `signin_refused`, if the provider refuses; `issuer_unavailable`, if it does not answer or its answer cannot be used.
    pub async fn id_token(&self, client: &Client, code: &str, verifier: &str, limits: &Limits) -> Result<String, Error> {
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.redirect),
            ("code_verifier", verifier),
        ];
        let mut request = client.post(self.endpoint.clone()).header(header::ACCEPT, "application/json");
        match &self.client_secret {
            // Encoded first, because a `:` in the id would end it (RFC 6749 section 2.3.1).
            Some(secret) if !self.in_form => {
                let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
                request = request.basic_auth(encoded(&self.client_id), Some(encoded(secret)));
            }
            Some(secret) => form.extend([("client_id", self.client_id.as_str()), ("client_secret", secret)]),
            None => form.push(("client_id", &self.client_id)),
        }
        let response = request.form(&form).send().await.map_err(|error| unavailable(&fetch::failed(error)))?;
        let status = response.status().as_u16();
        let body = fetch::body(response, limits).await.map_err(|reason| unavailable(&reason))?;
        read(status, &body)
    }
}

/// The parts of an answer that are used.
#[derive(Deserialize)]
struct Answer {
    id_token: Option<Value>,
    error: Option<Value>,
}

/// Reads the answer of a token endpoint, whatever content type it says it has.
fn read(status: u16, body: &[u8]) -> Result<String, Error> {
    let answer: Result<Answer, Reason> = serde_json::from_slice(body).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => "it is no JSON object, or names `id_token` or `error` twice".into(),
        _ => "it is no JSON".into(),
    });
    let unusable = |reason: &str| unavailable(&format!("the token endpoint answered {status}, and {reason}"));
    if (200..300).contains(&status) {
        let Answer { id_token, error } = answer.map_err(|reason| unusable(&reason))?;
        return match (id_token, error) {
            (Some(Value::String(token)), _) => Ok(token),
            (Some(_), _) => Err(unusable("`id_token` is no text")),
            (None, Some(error)) => Err(provider_error(error.as_str().unwrap_or_default())),
            (None, None) => Err(unusable("`id_token` is missing")),
        };
    }
    let named = answer.ok().and_then(|answer| answer.error).and_then(|error| error.as_str().map(str::to_owned));
    match (status, named) {
        (400..=499, Some(named)) => Err(provider_error(&named)),
        (400 | 401 | 403, None) => {
            let detail = format!("The provider refused with {status}; its `error` is missing or cannot be read.");
            Err(Error::new(Code::SignInRefused, detail))
        }
        _ => Err(unavailable(&format!("the token endpoint answered {status}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_token_is_read_whatever_else_an_answer_holds() {
        for body in [
            r#"{"id_token":"x.y.z"}"#,
            r#"{"id_token":"x.y.z","access_token":null,"token_type":7,"expires_in":"3600","scope":["openid"]}"#,
            r#"{"id_token":"x.y.z","expires_in":3599.5,"refresh_token":{},"scope":"openid"}"#,
            r#"{"id_token":"x.y.z","expires_in":1e999,"expires_in":-1}"#,
            " {\"id_token\" : \"x.y.z\", \"a\": [{\"b\": \"\\ud800\"}]} \n",
            r#"{"id_token":"x.y.z","error":null}"#,
        ] {
            for status in [200, 201] {
                assert_eq!(read(status, body.as_bytes()).as_deref(), Ok("x.y.z"), "{body}");
            }
        }
    }

    #[test]
    fn an_answer_that_cannot_be_used_says_which_part_and_never_what_is_in_it() {
        for (status, body, code, part) in [
            (200, "", Code::IssuerUnavailable, "no JSON"),
            (200, "<html>c0de</html>", Code::IssuerUnavailable, "no JSON"),
            (200, "[\"c0de\"]", Code::IssuerUnavailable, "no JSON object"),
            (200, "\"c0de\"", Code::IssuerUnavailable, "no JSON object"),
            (200, "{}", Code::IssuerUnavailable, "`id_token` is missing"),
            (201, r#"{"id_token":["c0de"]}"#, Code::IssuerUnavailable, "`id_token` is no text"),
            (200, r#"{"id_token":"c0de","id_token":"c0de"}"#, Code::IssuerUnavailable, "twice"),
            (200, r#"{"error":"invalid_grant"}"#, Code::SignInRefused, "invalid_grant"),
            (400, r#"{"error":"invalid_grant","error_description":["c0de"]}"#, Code::SignInRefused, "used before"),
            (401, r#"{"error":"invalid_client","error_description":7}"#, Code::SignInRefused, "HAILGATE_OIDC_CLIENT_ID"),
            (400, r#"{"error":{"code":"c0de"}}"#, Code::SignInRefused, "cannot be read"),
            (400, r#"{"error":"c0de"}"#, Code::SignInRefused, "in no standard"),
            (403, "c0de", Code::SignInRefused, "403"),
            (400, r#"{"error":"temporarily_unavailable"}"#, Code::IssuerUnavailable, "temporarily_unavailable"),
            (404, "c0de", Code::IssuerUnavailable, "404"),
            (429, "", Code::IssuerUnavailable, "429"),
            (302, "", Code::IssuerUnavailable, "302"),
            (503, r#"{"error":"invalid_grant"}"#, Code::IssuerUnavailable, "503"),
        ] {
            let error = read(status, body.as_bytes()).expect_err(body);
            assert_eq!(error.code, code, "{status} {body}");
            assert!(error.detail.contains(part) && !error.detail.contains("c0de"), "{status} {body}: {}", error.detail);
        }
    }
}
