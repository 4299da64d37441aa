//! Asking outside issuers: over https but on this machine, without redirects, within a time and a size.

use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response, Url, redirect::Policy};

use crate::domain::{Limits, Reason};

/// An address that may be asked.
///
/// # Errors
/// The reason, if it is none, is in plain http and not on this machine, or holds a password.
pub(super) fn address(text: &str) -> Result<Url, Reason> {
    let url = Url::parse(text).map_err(|_| "it is no address")?;
    if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback(&url)) {
        return Err("outside issuers are asked over https only; plain http is for this machine".into());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the address holds a user name or a password, and it is shown in logs".into());
    }
    Ok(url)
}

/// A client for such an address.
///
/// # Errors
/// The reason, if the system gives none.
pub(super) fn client(url: &Url, limits: &Limits) -> Result<Client, Reason> {
    let here = is_loopback(url);
    let client = Client::builder()
        .redirect(Policy::none())
        .https_only(!here)
        .timeout(Duration::from_millis(limits.jwks_fetch_ms))
        .pool_max_idle_per_host(0)
        .user_agent("hailgate");
    // A proxy of the environment is for what is beyond it.
    let client = if here { client.no_proxy() } else { client };
    client.build().map_err(|error| format!("keys cannot be fetched: {error}").into())
}

/// What a successful answer holds.
///
/// # Errors
/// The reason, which names no address: the caller does.
pub(super) async fn get(request: RequestBuilder, limits: &Limits) -> Result<Vec<u8>, Reason> {
    let response = request.send().await.map_err(failed)?;
    if !response.status().is_success() {
        return Err(format!("the answer was {}", response.status().as_u16()).into());
    }
    body(response, limits).await
}

/// The body of an answer, without the byte order mark that some servers put in front of JSON.
///
/// # Errors
/// The reason, if it is too large or does not arrive.
pub(super) async fn body(mut response: Response, limits: &Limits) -> Result<Vec<u8>, Reason> {
    let bytes_max = usize::try_from(limits.jwks_bytes).unwrap_or(usize::MAX);
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > bytes_max {
            return Err(format!("the answer has over {bytes_max} bytes").into());
        }
        body.extend_from_slice(&chunk);
    }
    if body.starts_with("\u{feff}".as_bytes()) {
        body.drain(.."\u{feff}".len());
    }
    Ok(body)
}

/// The address is named once, by the caller.
pub(super) fn failed(error: reqwest::Error) -> Reason {
    let error = error.without_url();
    let cause = std::error::Error::source(&error).map_or_else(String::new, |cause| format!(": {cause}"));
    format!("{error}{cause}").into()
}

/// Whether an address is on this machine.
fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    host == "localhost" || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
