//! The start-up probe: asks the real service, over a stream in memory, whether it tells right from wrong, before
//! the port is bound. What a type cannot say is shown here: that each layer does its work, that an expired login is
//! noticed, that no route of the table is missing.
//!
//! It has a store of its own in memory, random keys and a clock that stands still; it never touches the configured
//! store and costs no password hash.

use std::{collections::HashMap, fmt, rc::Rc, sync::Arc, time::Duration};

use actix_http::Protocol;
use actix_service::{Service, ServiceFactory};
use actix_session::storage::SessionStore as _;
use actix_web::cookie::time;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

use super::{
    gateway::{Admission, Gateway, SystemClock},
    routes::{Access, TABLE},
};
use crate::{
    auth::{
        Addresses, Cookies, KeyRing, LoginSessions, Origins, Tokens,
        reseal::session_cookie,
        session::{LOGIN_TIME_KEY, SESSION_ID_KEY, USER_KEY, new_secret},
        token::{Grant, LIFETIME_MAX},
    },
    domain::{Account, Clock, Limits, LoginAct, SessionId, Time, UserId, logins::SESSION_MAX},
    error::{Code, Error},
    store::{Log, Write, sqlite::Sqlite},
};

const ORIGIN: &str = "http://probe.invalid";
const USER: &str = "probe";
const PATIENCE: Duration = Duration::from_secs(5);

/// One question and its answer.
#[derive(Debug, Clone)]
pub struct Check {
    /// What was asked.
    pub name: String,
    /// The status that proves it right; none: anything but 404 and 5xx.
    pub expected: Option<u16>,
    /// What was answered.
    pub got: Answer,
}

/// An answer of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A status, and the detail of its problem document if it has one.
    Status(u16, String),
    /// The connection ended without an answer: a layer panicked.
    Dropped,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Answer::Status(status, _) => write!(f, "{status}"),
            Answer::Dropped => f.write_str("no answer"),
        }
    }
}

impl Check {
    /// Whether the answer is right.
    pub fn passed(&self) -> bool {
        match (&self.got, self.expected) {
            (Answer::Dropped, _) => false,
            (Answer::Status(status, _), Some(expected)) => *status == expected,
            (Answer::Status(status, _), None) => *status != 404 && *status < 500,
        }
    }
}

/// Everything that was asked.
#[derive(Debug, Clone)]
pub struct Report(pub Vec<Check>);

impl Report {
    /// Which part is broken, and what to look at; none if every answer was right.
    pub fn verdict(&self) -> Option<String> {
        let wrong: Vec<&Check> = self.0.iter().filter(|check| !check.passed()).collect();
        let first = wrong.first()?;
        let broken = wrong.iter().find_map(|check| match &check.got {
            Answer::Status(status, detail) if *status == Code::StackBroken.status() && detail.contains("layer") => {
                Some(detail.clone())
            }
            _ => None,
        });
        let failed = |part: &str| wrong.iter().any(|check| check.name.contains(part));
        let cause = if let Some(detail) = broken {
            detail
        } else if wrong.iter().any(|check| check.got == Answer::Dropped) {
            "The identity layer did not run: a request ended without an answer.".to_owned()
        } else if failed("expired session") && !failed("right session") {
            "The identity layer runs outside the session layer: the deadline of a login is not enforced.".to_owned()
        } else if failed("right session") && !failed("right bearer") {
            "The session layer did not run: a right cookie opens nothing.".to_owned()
        } else {
            "The service does not tell right from wrong.".to_owned()
        };
        let expected = first.expected.map_or("neither 404 nor 5xx".to_owned(), |status| status.to_string());
        Some(format!(
            "{cause} ({} of {} checks failed; first: {}: expected {expected}, got {}). Look at src/http/stack.rs and src/http/routes.rs.",
            wrong.len(),
            self.0.len(),
            first.name,
            first.got
        ))
    }
}

/// Noon of a day, for ever: the identity layer reads the system's clock, so the probe's must be of the same day.
struct Still(Time);

impl Clock for Still {
    fn now(&self) -> Time {
        self.0
    }
}

/// Runs the probe.
///
/// # Errors
/// If the throwaway node could not be made.
pub async fn run() -> Result<Report, Error> {
    let clock: Arc<dyn Clock> = Arc::new(Still(SystemClock.now()));
    let limits = Limits::default();
    let failed = |what: &str| Error::new(Code::Internal, format!("The probe could not begin: {what}."));
    let mut store = Sqlite::in_memory(&limits).map_err(|error| failed(&error.to_string()))?;
    let user = UserId::parse(USER).map_err(|reason| failed(&reason))?;
    let account = Account {
        user_id: user.clone(),
        name: USER.to_owned(),
        email: None,
        tier: "free".to_owned(),
        permissions: Vec::new(),
        disabled: false,
        password_hash: None,
    };
    store.log.commit(&[Write::Login(Box::new(LoginAct::CreateAccount { account, at: clock.now(), keep: false }))])?;
    let secret = || new_secret().map_err(|_| failed("the random source failed"));
    let tokens = |secret: &str| Tokens::new(secret.as_bytes(), "probe", "probe");
    let admission = Admission {
        keys: Arc::new(KeyRing::new(&[secret()?]).map_err(|_| failed("there is no key"))?),
        cookies: Cookies { secure: true },
        tokens: Arc::new(tokens(&secret()?)),
        addresses: Addresses::default(),
        origins: Origins::new([ORIGIN.to_owned()]),
        create_users: false,
        query_tokens: true,
        environment: "production",
        links: false,
        quiet: true,
    };
    let stranger = tokens(&secret()?);
    let gateway = Gateway::start(store, limits, clock, admission).await?;
    let questions = questions(&gateway, &user, &stranger).await;
    let report = match questions {
        Ok(questions) => ask_all(&gateway, questions).await,
        Err(error) => Err(error),
    };
    gateway.node.drain().await;
    gateway.node.end().await;
    report
}

/// A request as bytes, and the status that proves it right.
struct Question {
    name: String,
    request: String,
    expected: Option<u16>,
}

async fn questions(gateway: &Gateway, user: &UserId, stranger: &Tokens) -> Result<Vec<Question>, Error> {
    let now = gateway.node.clock.now();
    let grant = Grant {
        user: user.clone(),
        ttl: Duration::from_secs(60),
        session: None,
        family: None,
        permissions: Vec::new(),
        tier: None,
    };
    let right = gateway.admission.tokens.sign(&grant, now)?;
    let old = Time(now.0 - i64::try_from(LIFETIME_MAX.as_millis()).unwrap_or(0));
    let expired = gateway.admission.tokens.sign(&grant, old)?;
    let foreign = stranger.sign(&grant, now)?;
    let unsigned = format!("eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.{}.", right.split('.').nth(1).unwrap_or_default());
    let session = cookie(gateway, user, now).await?;
    let over = Time(now.0 - i64::try_from(SESSION_MAX.as_millis()).unwrap_or(0) - 60_000);
    let last = session.len() - 1;
    let bent = format!("{}{}", &session[..last], if session.ends_with('A') { "B" } else { "A" });
    let bearer = |token: &str| format!("Authorization: Bearer {token}\r\n");
    let mut questions = Vec::new();
    for (way, target, upgrade, success) in [("REST", rest_path(), false, 200), ("upgrade", socket_path(), true, 101)] {
        // A session of its own for each way: the first to meet an expired one ends it.
        let old_session = cookie(gateway, user, over).await?;
        let credentials = [
            ("right session", format!("Cookie: {session}\r\n"), true),
            ("tampered session", format!("Cookie: {bent}\r\n"), false),
            ("expired session", format!("Cookie: {old_session}\r\n"), false),
            ("no credentials", String::new(), false),
            ("right bearer", bearer(&right), true),
            ("bearer of another key", bearer(&foreign), false),
            ("expired bearer", bearer(&expired), false),
            ("bearer without signature", bearer(&unsigned), false),
        ];
        for (name, header, good) in credentials {
            let headers = format!("{header}Origin: {ORIGIN}\r\n");
            let request = request("get", target, &headers, upgrade);
            let expected = Some(if good { success } else { 401 });
            questions.push(Question { name: format!("{name} on {way}"), request, expected });
        }
    }
    let foreign_origin = format!("Cookie: {session}\r\nOrigin: http://probe.invalid.evil.example\r\n");
    let upgrade = |name: &str, headers: &str, expected| {
        let request = request("get", socket_path(), headers, true);
        Question { name: name.to_owned(), request, expected: Some(expected) }
    };
    questions.push(upgrade("foreign origin on upgrade", &foreign_origin, 403));
    questions.push(upgrade("upgrade with a body", &format!("{}Transfer-Encoding: chunked\r\n", bearer(&right)), 400));
    questions.extend(TABLE.iter().map(|route| {
        let path: Vec<&str> =
            route.path.split('/').map(|part| if part.starts_with('{') { "page.js" } else { part }).collect();
        let expected = expected_of_nobody(route.access);
        let request = request(route.method, &path.join("/"), "", route.access == Access::Upgrade);
        Question { name: format!("route {} {}", route.method, route.path), request, expected }
    }));
    Ok(questions)
}

/// The status that proves a route right to whoever comes without credentials; none: anything but 404 and 5xx.
fn expected_of_nobody(access: Access) -> Option<u16> {
    match access {
        Access::Public => None,
        Access::Preflight => Some(200),
        Access::Protected | Access::Upgrade | Access::Stream => Some(401),
    }
}

/// The path of the first protected route without parameters: who asks is told who they are.
fn rest_path() -> &'static str {
    let plain = |route: &&super::routes::Route| {
        route.access == Access::Protected && route.method == "get" && !route.path.contains('{')
    };
    TABLE.iter().find(plain).map_or("", |route| route.path)
}

fn socket_path() -> &'static str {
    TABLE.iter().find(|route| route.access == Access::Upgrade).map_or("", |route| route.path)
}

fn request(method: &str, target: &str, headers: &str, upgrade: bool) -> String {
    let upgrade = if upgrade {
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\n"
    } else {
        "Connection: close\r\n"
    };
    format!("{} {target} HTTP/1.1\r\nHost: probe.invalid\r\n{upgrade}{headers}\r\n", method.to_uppercase())
}

/// A session of this login time, forged as the session layer keeps it, and its cookie as a browser would send it.
async fn cookie(gateway: &Gateway, user: &UserId, login: Time) -> Result<String, Error> {
    let sessions = LoginSessions::new(Arc::clone(&gateway.logins), Arc::clone(&gateway.node.clock));
    let json = |text: &str| format!("\"{text}\"");
    let state = HashMap::from([
        (USER_KEY.to_owned(), json(user.as_str())),
        (LOGIN_TIME_KEY.to_owned(), login.seconds().to_string()),
        (SESSION_ID_KEY.to_owned(), json(&SessionId::new().to_string())),
    ]);
    let key = sessions.save(state, &time::Duration::seconds(60)).await;
    let key = key.map_err(|error| Error::new(Code::Internal, format!("The probe could not make a session: {error}.")))?;
    Ok(session_cookie(&gateway.admission.keys, gateway.admission.cookies, key.as_ref()))
}

async fn ask_all(gateway: &Gateway, questions: Vec<Question>) -> Result<Report, Error> {
    let service = gateway.service::<DuplexStream>(|_, _| {}).new_service(()).await;
    let service = Rc::new(service.map_err(|()| Error::new(Code::Internal, "The service could not be made."))?);
    let mut checks = Vec::with_capacity(questions.len());
    for Question { name, request, expected } in questions {
        let (mut client, server) = tokio::io::duplex(64 * 1024);
        let serving = actix_rt::spawn(service.call((server, Protocol::Http1, None)));
        let answer = tokio::time::timeout(PATIENCE, ask(&mut client, &request)).await;
        drop(client);
        // Dropping the client ends the connection; what it ends with is of no interest.
        let _ = serving.await;
        checks.push(Check { name, expected, got: answer.unwrap_or(Answer::Dropped) });
    }
    Ok(Report(checks))
}

/// Sends a request and reads the head of the answer, and its body if it is a problem document.
async fn ask(client: &mut DuplexStream, request: &str) -> Answer {
    if client.write_all(request.as_bytes()).await.is_err() {
        return Answer::Dropped;
    }
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
            let problem: Option<serde_json::Value> = serde_json::from_str(body).ok();
            if status < 400 || problem.is_some() || !head.contains("problem+json") {
                let detail = problem.as_ref().and_then(|problem| problem["detail"].as_str()).unwrap_or_default();
                return Answer::Status(status, detail.to_owned());
            }
        }
        let mut chunk = [0; 4096];
        match client.read(&mut chunk).await {
            Ok(read) if read > 0 => bytes.extend_from_slice(&chunk[..read]),
            _ => return Answer::Dropped,
        }
    }
}
