//! The start-up probe: asks the real service, over a stream in memory, whether it tells right from wrong, before
//! the port is bound. What a type cannot say is shown here: that each layer does its work, once and in its place, that
//! each credential opens what it should and nothing else, that no route of the table is missing or open.
//!
//! It has a store of its own in memory, random keys and a clock that stands still; it never touches the configured
//! store and costs no password hash. Limits, environment and whether query tokens are taken are the configured ones.
//!
//! Decisions: `src/docs/decisions/stack.md`.

mod answer;
mod forge;
#[cfg(test)]
mod mutants_tests;
mod questions;

use std::{net::SocketAddr, rc::Rc, time::Duration};

use actix_http::{HttpService, Protocol, error::DispatchError};
use actix_service::{Service, ServiceFactory, map_config};
use actix_web::{App, dev::AppConfig};
use tokio::io::DuplexStream;

use self::forge::TestCredentials;
pub use self::{
    answer::{Answer, ProbeResponse},
    forge::{CREDENTIALS, Credential, State, Way},
    questions::{Expected, KINDS, Part, Question},
};
use crate::{
    config::{Config, Environment},
    domain::Limits,
    error::{Code, Error},
};

const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// One question and its answer.
#[derive(Debug, Clone)]
pub struct Check {
    /// What was asked, and what proves it right.
    pub question: Question,
    /// What was answered.
    pub got: Answer,
}

impl Check {
    /// Whether the answer is right.
    pub fn passed(&self) -> bool {
        let expected = &self.question.expected;
        match &self.got {
            Answer::Dropped => false,
            Answer::ProbeResponse(told) => {
                expected.takes(told.status)
                    && told.detail.contains(expected.says)
                    && told.cookies == usize::from(expected.cookie_ends)
                    && told.named == Some(true)
            }
        }
    }

    fn told(&self) -> Option<&ProbeResponse> {
        match &self.got {
            Answer::ProbeResponse(told) => Some(told),
            Answer::Dropped => None,
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
        Some(format!(
            "{} ({} of {} checks failed; first: {}: expected {}, got {}). Look at src/http/stack.rs and src/http/routes.rs.",
            cause(&wrong, self.0.len()),
            wrong.len(),
            self.0.len(),
            first.question.name,
            first.question.expected,
            first.got
        ))
    }
}

/// What makes these answers wrong: first what a layer says of itself, then what the pattern of failures means.
fn cause(wrong: &[&Check], asked: usize) -> String {
    let failed = |way: Way, state: State| {
        let of = |check: &&&Check| matches!(check.question.part, Part::Credential(c, _) if c.way == way && c.state == state);
        wrong.iter().find(of).copied()
    };
    let nameless = wrong.iter().filter(|check| check.told().is_some_and(|told| told.named.is_none())).count();
    if nameless == asked {
        return "The telemetry layer did not run around the others: answers name no request.".to_owned();
    }
    let broken = Code::StackBroken.status();
    let own_words =
        wrong.iter().filter_map(|check| check.told()).find(|told| told.status == broken && told.detail.contains("layer"));
    if let Some(told) = own_words {
        return told.detail.clone();
    }
    let cause = if wrong.iter().any(|check| check.got == Answer::Dropped) {
        "The identity layer did not run: a request ended without an answer."
    } else if failed(Way::Session, State::Right).is_some() && failed(Way::Bearer, State::Right).is_none() {
        "The session layer did not run: a right cookie opens nothing."
    } else if let Some(told) = failed(Way::Session, State::Expired).and_then(Check::told) {
        match told {
            ProbeResponse { cookies: 2.., .. } => "The session layer ran twice: an ended login is forgotten more than once.",
            ProbeResponse { status: 401, .. } => {
                "The witness runs inside the identity layer: it does not see what the session said."
            }
            _ => "The identity layer runs outside the session layer: the deadline of a login is not enforced.",
        }
    } else {
        "The service does not tell right from wrong."
    };
    cause.to_owned()
}

/// What the probe's node has in common with the configured one.
#[derive(Debug, Clone)]
pub struct ProbeSettings {
    /// The limits; some are raised, because the probe asks faster than people do.
    pub limits: Limits,
    /// Whether `/ws?token=` is taken.
    pub query_tokens: bool,
    /// Where the program runs.
    pub environment: Environment,
}

impl Default for ProbeSettings {
    fn default() -> Self {
        ProbeSettings { limits: Limits::default(), query_tokens: true, environment: Environment::Production }
    }
}

impl ProbeSettings {
    /// As it is configured.
    pub fn of(config: &Config) -> ProbeSettings {
        let Config { limits, query_tokens, environment, .. } = config;
        ProbeSettings { limits: limits.clone(), query_tokens: *query_tokens, environment: *environment }
    }
}

/// Runs the probe.
///
/// # Errors
/// If the throwaway node could not be made.
pub async fn run(manner: &ProbeSettings) -> Result<Report, Error> {
    let forge = TestCredentials::new(manner).await?;
    let report = ask_all(&forge, forge.gateway.service::<DuplexStream>(|_, _| {}).await).await;
    forge.end().await;
    report
}

/// The same of the gateway as it is [mounted](super::gateway::Gateway::configure) in an App.
///
/// # Errors
/// If the throwaway node could not be made.
pub async fn run_mounted(manner: &ProbeSettings) -> Result<Report, Error> {
    let forge = TestCredentials::new(manner).await?;
    let app = App::new().configure(|app| forge.gateway.configure(app));
    let http = HttpService::build().finish(map_config(app, |()| AppConfig::default()));
    let report = ask_all(&forge, Ok(http)).await;
    forge.end().await;
    report
}

/// A connection in memory, as the HTTP library is given one.
type Connection = (DuplexStream, Protocol, Option<SocketAddr>);

/// An HTTP service over it, whoever takes its upgrades.
trait HttpServiceFactory:
    ServiceFactory<
        Connection,
        Config = (),
        Response = (),
        Error = DispatchError,
        InitError = (),
        Service: Service<Connection, Future: 'static>,
    >
{
}
impl<F> HttpServiceFactory for F where
    F: ServiceFactory<
            Connection,
            Config = (),
            Response = (),
            Error = DispatchError,
            InitError = (),
            Service: Service<Connection, Future: 'static>,
        >
{
}

/// Asks a service everything.
async fn ask_all(forge: &TestCredentials, service: Result<impl HttpServiceFactory, ()>) -> Result<Report, Error> {
    let unmade = |()| Error::new(Code::Internal, "The service could not be made.");
    let service = Rc::new(service.map_err(unmade)?.new_service(()).await.map_err(unmade)?);
    let questions = questions::questions(forge).await?;
    let mut checks = Vec::with_capacity(questions.len());
    for question in questions {
        let (mut client, server) = tokio::io::duplex(64 * 1024);
        let serving = actix_rt::spawn(service.call((server, Protocol::Http1, None)));
        let got = tokio::time::timeout(ANSWER_TIMEOUT, answer::ask(&mut client, &question.request)).await;
        drop(client);
        // Dropping the client ends the connection; what it ends with is of no interest.
        let _ = serving.await;
        checks.push(Check { question, got: got.unwrap_or(Answer::Dropped) });
    }
    Ok(Report(checks))
}
