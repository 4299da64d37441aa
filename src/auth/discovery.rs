//! What a provider says about itself (OpenID Connect Discovery 1.0 section 3), read as far as it is used.

use serde::Deserialize;
use serde_json::Value;

use crate::domain::Reason;

/// The parts of a provider's description that are used.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Description {
    pub issuer: String,
    pub authorization_endpoint: String,
    pub token_endpoint: String,
    pub jwks_uri: String,
    /// Names of algorithms; where nothing is listed RS256, which every provider has (section 3).
    pub algorithms: Vec<String>,
    /// How clients may identify themselves at the token endpoint.
    pub auth_methods: Vec<String>,
}

#[derive(Deserialize)]
struct Written {
    issuer: Option<Value>,
    authorization_endpoint: Option<Value>,
    token_endpoint: Option<Value>,
    jwks_uri: Option<Value>,
    id_token_signing_alg_values_supported: Option<Value>,
    token_endpoint_auth_methods_supported: Option<Value>,
}

/// Reads a description. Fields that nobody here uses may be anything.
///
/// # Errors
/// Which part cannot be read.
pub(super) fn read(body: &[u8]) -> Result<Description, Reason> {
    let written: Written = serde_json::from_slice(body).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => "it is no JSON object, or names a field twice",
        _ => "it is no JSON",
    })?;
    let text = |name: &str, value: Option<Value>| match value {
        Some(Value::String(text)) => Ok(text),
        _ => Err(Reason::from(format!("`{name}` is missing or no text"))),
    };
    let algorithms = texts(written.id_token_signing_alg_values_supported).unwrap_or_else(|| vec!["RS256".to_owned()]);
    Ok(Description {
        issuer: text("issuer", written.issuer)?,
        authorization_endpoint: text("authorization_endpoint", written.authorization_endpoint)?,
        token_endpoint: text("token_endpoint", written.token_endpoint)?,
        jwks_uri: text("jwks_uri", written.jwks_uri)?,
        algorithms,
        auth_methods: texts(written.token_endpoint_auth_methods_supported).unwrap_or_default(),
    })
}

/// The texts in a list; one text counts as a list of one. `None` if there is neither.
fn texts(value: Option<Value>) -> Option<Vec<String>> {
    let text = |value: Value| if let Value::String(text) = value { Some(text) } else { None };
    match value? {
        Value::Array(list) => Some(list.into_iter().filter_map(text).collect()),
        other => text(other).map(|text| vec![text]),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn written() -> Value {
        json!({"issuer": "i", "authorization_endpoint": "a", "token_endpoint": "t", "jwks_uri": "k",
            "id_token_signing_alg_values_supported": ["ES256"]})
    }

    fn with(name: &str, value: Value) -> Result<Description, Reason> {
        let mut written = written();
        written[name] = value;
        read(written.to_string().as_bytes())
    }

    #[test]
    fn what_nobody_uses_may_be_anything() {
        let plain = read(written().to_string().as_bytes()).expect("a description");
        for (name, value) in [
            ("scopes_supported", json!("openid")),
            ("response_types_supported", json!(null)),
            ("claims_parameter_supported", json!("yes")),
            ("userinfo_endpoint", json!(7)),
            ("token_endpoint_auth_methods_supported", json!(null)),
            ("token_endpoint_auth_methods_supported", json!({"basic": true})),
            ("x", json!({"y": [1e300]})),
        ] {
            assert_eq!(with(name, value).as_ref(), Ok(&plain), "{name}");
        }
        let methods = |value| with("token_endpoint_auth_methods_supported", value).map(|told| told.auth_methods);
        assert_eq!(methods(json!(["client_secret_post", 7])), Ok(vec!["client_secret_post".to_owned()]));
        assert_eq!(methods(json!("client_secret_post")), Ok(vec!["client_secret_post".to_owned()]));
        let algorithms = |value| with("id_token_signing_alg_values_supported", value).map(|told| told.algorithms);
        assert_eq!(algorithms(json!(null)), Ok(vec!["RS256".to_owned()]));
        assert_eq!(algorithms(json!([])), Ok(vec![]));
    }

    #[test]
    fn a_part_that_is_used_and_cannot_be_read_is_named() {
        for name in ["issuer", "authorization_endpoint", "token_endpoint", "jwks_uri"] {
            for value in [json!(null), json!(7), json!(["x"])] {
                assert!(with(name, value).expect_err(name).contains(name));
            }
        }
        assert!(read(b"{").expect_err("half").contains("no JSON"));
        assert!(read(br#"{"issuer":"a","issuer":"b"}"#).expect_err("two").contains("twice"));
    }
}
