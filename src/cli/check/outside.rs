//! `check --url`: asks a running server from outside, a question at a time, and waits for no answer for long.

use std::{
    error::Error as _,
    net::IpAddr,
    time::{Duration, Instant},
};

use reqwest::{Client, Method, Response, Url, redirect::Policy};
use serde::Serialize;
use serde_json::Value;

use super::{
    json,
    live::Holder,
    questions::{Ask, Finding, Seen, Way, asks},
};
use crate::{
    cli::{self, Failure, print},
    config::Environment,
};

/// How long one answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// How long all of them may take; what is left then is not asked.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(60);
/// Most bytes of a body that are read.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// The address to check: https, or plain http on this machine.
pub fn base(text: &str) -> Result<Url, String> {
    let url = cli::url(text, "https://chat.example.org")?;
    let host = url.host_str().unwrap_or_default();
    let here = host == "localhost" || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let plain = url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    match url.scheme() {
        _ if host.is_empty() || !plain || url.password().is_some() => {
            Err("write scheme and host only, like https://chat.example.org".into())
        }
        "https" => Ok(url),
        "http" if here => Ok(url),
        _ => Err("write https://...; plain http is for a server on this machine".into()),
    }
}

/// Where the pages are from which browsers use the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pages {
    /// Of the server's own origin.
    Own,
    /// Of this origin.
    At(String),
    /// Only programs come.
    Nowhere,
}

impl Pages {
    /// As it is written on the command line.
    pub fn named(text: &str) -> Result<Pages, String> {
        let origin = text.parse::<Url>().map(|url| url.origin().ascii_serialization());
        match (text, origin) {
            ("none", _) => Ok(Pages::Nowhere),
            (_, Ok(origin)) if origin == text => Ok(Pages::At(origin)),
            _ => Err("write an origin like https://chat.example.org, or none".into()),
        }
    }

    fn origin(&self, base: &Url) -> Option<String> {
        match self {
            Pages::Own => Some(base.origin().ascii_serialization()),
            Pages::At(origin) => Some(origin.clone()),
            Pages::Nowhere => None,
        }
    }
}

#[derive(Debug, Serialize)]
struct Outside<'a> {
    ok: bool,
    exit_code: u8,
    url: &'a str,
    reachable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    trouble: Option<&'a str>,
    findings: Vec<Finding>,
}

/// Asks, tells, and fails if something is not as it must be.
pub fn run(
    url: &Url,
    expected: Option<Environment>,
    origin: &Pages,
    token: Option<&str>,
    as_json: bool,
) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Failed(format!("the system gives no runtime: {error}")))?;
    let found = runtime.block_on(ask_all(url, expected, origin, token))?;
    let (findings, trouble) = match found {
        Ok(findings) => (findings, None),
        Err(trouble) => (Vec::new(), Some(trouble)),
    };
    let ok = trouble.is_none() && findings.iter().all(|finding| finding.ok);
    let reachable = trouble.is_none();
    let exit_code = if ok {
        0
    } else if reachable {
        78
    } else {
        69
    };
    let document = Outside { ok, exit_code, url: url.as_str(), reachable, trouble: trouble.as_deref(), findings };
    if as_json {
        json(&document)?;
    } else {
        tell(&document)?;
    }
    match trouble {
        Some(trouble) => Err(Failure::Unavailable(format!("{url} cannot be reached: {trouble}"))),
        None if ok => Ok(()),
        None => Err(Failure::Told),
    }
}

fn tell(document: &Outside<'_>) -> Result<(), Failure> {
    for Finding { question, asked, expected, got, ok, r#do } in &document.findings {
        if *ok {
            print(&format!("ok    {question}: {asked}: {got}"))?;
        } else {
            print(&format!("FAIL  {question}: {asked}: expected {expected}, got {got}"))?;
            r#do.iter().try_for_each(|remedy| print(&format!("      do: {remedy}")))?;
        }
    }
    let failed = document.findings.iter().filter(|finding| !finding.ok).count();
    if document.reachable {
        print(&format!("{} of {} questions failed", failed, document.findings.len()))?;
    }
    Ok(())
}

/// Every finding; or why the server cannot be reached.
async fn ask_all(
    url: &Url,
    expected: Option<Environment>,
    pages: &Pages,
    token: Option<&str>,
) -> Result<Result<Vec<Finding>, String>, Failure> {
    let client = Client::builder().redirect(Policy::none()).timeout(ANSWER_TIMEOUT).user_agent("hailgate-check").build();
    let client = client.map_err(|error| Failure::Failed(format!("no https client can be made: {}", words(&error))))?;
    let began = Instant::now();
    let origin = pages.origin(url);
    let asks = asks(url, expected, origin.as_deref());
    let mut answers = Vec::new();
    for (number, question) in asks.iter().enumerate() {
        let answer = if began.elapsed() < TOTAL_TIMEOUT {
            ask(&client, question).await.map_err(|error| words(&error))
        } else {
            Err(format!("not asked: {} s are over", TOTAL_TIMEOUT.as_secs()))
        };
        match answer {
            // The first question is whether the server is there at all.
            Err(trouble) if number == 0 => return Ok(Err(trouble)),
            answer => answers.push(answer),
        }
        // Another program's answers would fail every question, and none of the remedies would help.
        if number == 0 {
            let mut findings = judged(&asks, &answers);
            if findings.first().is_some_and(|name| !name.ok) {
                findings.truncate(1);
                return Ok(Ok(findings));
            }
        }
    }
    let mut findings = judged(&asks, &answers);
    if let Some(token) = token {
        let holder = Holder { base: url, token, way: way(&answers) };
        findings.extend(holder.ask().await.map_err(Failure::Failed)?);
    }
    Ok(Ok(findings))
}

fn way(answers: &[Result<Seen, String>]) -> Way {
    Way::of(&answers.iter().flatten().collect::<Vec<_>>())
}

/// What the answers so far prove. Some say what the cause of another one's fault is.
fn judged(asks: &[Ask], answers: &[Result<Seen, String>]) -> Vec<Finding> {
    let way = way(answers);
    asks.iter().zip(answers).flat_map(|(ask, answer)| ask.judge(answer, way)).collect()
}

async fn ask(client: &Client, ask: &Ask) -> Result<Seen, reqwest::Error> {
    let method = Method::from_bytes(ask.method.as_bytes()).unwrap_or_default();
    let mut request = client.request(method, ask.url.clone());
    if ask.upgrade {
        request = request.header("connection", "Upgrade").header("upgrade", "websocket");
        request = request.header("sec-websocket-version", "13").header("sec-websocket-key", "x3JJHMbDL1EzLkh9GBhXDw==");
    }
    for (name, value) in &ask.headers {
        request = request.header(*name, value);
    }
    if ask.body > 0 {
        request = request.header("content-type", "application/json").body(vec![b' '; ask.body]);
    }
    let response = request.send().await?;
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let json = headers.get("content-type").is_some_and(|kind| kind.to_str().is_ok_and(|kind| kind.contains("json")));
    let body = if json && status != 101 { body(response).await? } else { Value::Null };
    Ok(Seen { status, headers, body })
}

/// A JSON body; null if it is too long or none.
async fn body(mut response: Response) -> Result<Value, reqwest::Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if bytes.len() + chunk.len() > BODY_BYTES_MAX {
            return Ok(Value::Null);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(serde_json::from_slice(&bytes).unwrap_or_default())
}

/// Why there was no answer, as people say it.
fn words(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("no answer within {} s", ANSWER_TIMEOUT.as_secs());
    }
    let mut chain = Vec::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        chain.push(error.to_string());
        cause = error.source();
    }
    said(&chain.join(": ")).map_or_else(|| chain.pop().unwrap_or_else(|| error.to_string()), str::to_owned)
}

/// The roots of the system, or of that file, are read by the TLS library.
const UNKNOWN_ISSUER: &str = "the certificate is signed by nobody whom this machine trusts; if that is an authority of your own, name its \
     certificate (a PEM file) in SSL_CERT_FILE; else let the proxy send the whole chain";

/// What libraries say, and what it means.
fn said(chain: &str) -> Option<&'static str> {
    const MEANINGS: &[(&str, &str)] = &[
        ("UnknownIssuer", UNKNOWN_ISSUER),
        ("CaUsedAsEndEntity", "the certificate is signed by itself; get one from an authority, or name it in SSL_CERT_FILE"),
        ("NotValidForName", "the certificate is of another name"),
        ("not valid for name", "the certificate is of another name"),
        ("certificate not valid for", "the certificate is of another name"),
        ("Expired", "the certificate has expired"),
        ("expired", "the certificate has expired"),
        ("NotValidYet", "the certificate is not valid yet"),
        ("Revoked", "the certificate was revoked"),
        ("invalid peer certificate", "the certificate is not good"),
        ("InvalidContentType", "there is no https at that port; is it plain http?"),
        ("HandshakeFailure", "the server refuses the TLS handshake"),
        ("dns error", "the host name is not known"),
        ("lookup address", "the host name is not known"),
        ("Connection refused", "nobody listens there"),
        ("Connection reset", "the connection was cut"),
        ("connection closed before message completed", "the connection ended without an answer"),
        ("unreachable", "there is no route to that host"),
    ];
    MEANINGS.iter().find(|(part, _)| chain.contains(part)).map(|(_, meaning)| *meaning)
}
