//! Where the probe's credentials are made: a throwaway node with one account, and every credential, right and wrong.

use std::{collections::HashMap, sync::Arc, time::Duration};

use actix_session::storage::SessionStore as _;
use actix_web::cookie::time;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{
    super::gateway::{Gateway, GatewaySettings, SystemClock},
    ProbeSettings,
};
use crate::{
    auth::{
        AcceptedCredentials, Addresses, Cookies, KeyRing, LoginSessions, Origins, Tokens,
        issuers::Issuers,
        keys::OwnKeys,
        reseal::session_cookie,
        session::{LOGIN_TIME_KEY, SESSION_ID_KEY, USER_KEY, new_secret, secret_hash},
        token::Grant,
    },
    config::Environment,
    domain::{
        self, Account, Clock, Limits, LoginAct, SessionId, Time, Uptime, UserId,
        logins::{SESSION_MAX, TICKET, Ticket},
    },
    error::{Code, Error},
    store::{Log, Write, sqlite::Sqlite},
};

/// The origin that the throwaway node allows.
pub(super) const ORIGIN: &str = "http://probe.invalid";
const USER: &str = "probe";
/// What the limits on haste are at least, while the probe asks.
const HURRY: u64 = 100_000;

/// How a credential travels. A new way gets a name here, its rows in [`CREDENTIALS`] and its arm in `TestCredentials::carry`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Not at all.
    Nothing,
    /// The session cookie.
    Session,
    /// `Authorization: Bearer`.
    Bearer,
    /// `Sec-WebSocket-Protocol`.
    Subprotocol,
    /// `?token=`.
    QueryToken,
    /// `?ticket=`.
    Ticket,
}

impl Way {
    /// Whether a path takes it.
    pub(super) fn taken(self, accepted: AcceptedCredentials) -> bool {
        match self {
            Way::Nothing | Way::Session | Way::Bearer => true,
            Way::Subprotocol => accepted.subprotocol,
            Way::QueryToken => accepted.query_token,
            Way::Ticket => accepted.ticket,
        }
    }
}

/// What is the matter with a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing.
    Right,
    /// One character is another.
    Tampered,
    /// It was used before.
    Spent,
    /// Its time is over.
    Expired,
    /// Somebody else's key signed it.
    ForeignKey,
    /// It says that it needs no signature, and has none.
    Unsigned,
}

/// One row: a credential that the probe shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credential {
    /// As people read it.
    pub name: &'static str,
    /// How it travels.
    pub way: Way,
    /// What is the matter with it.
    pub state: State,
}

const fn row(name: &'static str, way: Way, state: State) -> Credential {
    Credential { name, way, state }
}

/// Every credential that is shown to each kind of route.
pub const CREDENTIALS: &[Credential] = &[
    row("no credentials", Way::Nothing, State::Right),
    row("right session", Way::Session, State::Right),
    row("tampered session", Way::Session, State::Tampered),
    row("expired session", Way::Session, State::Expired),
    row("right bearer", Way::Bearer, State::Right),
    row("tampered bearer", Way::Bearer, State::Tampered),
    row("expired bearer", Way::Bearer, State::Expired),
    row("bearer of another key", Way::Bearer, State::ForeignKey),
    row("bearer without signature", Way::Bearer, State::Unsigned),
    row("right subprotocol", Way::Subprotocol, State::Right),
    row("expired subprotocol", Way::Subprotocol, State::Expired),
    row("subprotocol of another key", Way::Subprotocol, State::ForeignKey),
    row("right query token", Way::QueryToken, State::Right),
    row("expired query token", Way::QueryToken, State::Expired),
    row("query token of another key", Way::QueryToken, State::ForeignKey),
    row("right ticket", Way::Ticket, State::Right),
    row("tampered ticket", Way::Ticket, State::Tampered),
    row("expired ticket", Way::Ticket, State::Expired),
    row("ticket that was used", Way::Ticket, State::Spent),
];

/// A credential as a request carries it.
#[derive(Debug, Clone, Default)]
pub(super) struct PresentedCredential {
    /// Header lines.
    pub headers: String,
    /// A part of the query.
    pub query: String,
}

/// A node in memory that has one account, and what makes credentials for it.
pub(super) struct TestCredentials {
    pub gateway: Gateway,
    user: UserId,
    stranger: Arc<Tokens>,
    session: String,
}

fn failed(what: &str) -> Error {
    Error::new(Code::Internal, format!("The probe could not begin: {what}."))
}

/// Noon of a day, for ever: the identity layer reads the system's clock, so the probe's must be of the same day.
struct Still(Time);

impl Clock for Still {
    fn now(&self) -> Time {
        self.0
    }

    fn uptime(&self) -> Uptime {
        Uptime(0)
    }
}

/// The limits, but for those that the probe reaches because it asks faster than people do, all from one place.
fn hurried(limits: &Limits) -> Limits {
    let least = |limit: u64| limit.max(HURRY);
    Limits {
        rest_per_second: least(limits.rest_per_second),
        rest_burst: least(limits.rest_burst),
        upgrades_per_second: least(limits.upgrades_per_second),
        upgrades_burst: least(limits.upgrades_burst),
        login_failures_address_per_minute: least(limits.login_failures_address_per_minute),
        connections_user: least(limits.connections_user),
        connections_node: least(limits.connections_node),
        ..limits.clone()
    }
}

impl TestCredentials {
    pub(super) async fn new(manner: &ProbeSettings) -> Result<TestCredentials, Error> {
        let clock: Arc<dyn Clock> = Arc::new(Still(SystemClock.now()));
        let (limits, development) = (hurried(&manner.limits), manner.environment == Environment::Development);
        let mut store = Sqlite::in_memory(&limits).map_err(|error| failed(&error.to_string()))?;
        let user = UserId::parse(USER).map_err(|reason| failed(&reason))?;
        let account = Account::new(user.clone(), USER);
        let act = LoginAct::CreateAccount { account, at: clock.now(), keep: false };
        store.log.commit(&[Write::Login(Box::new(act))])?;
        let secret = || new_secret().map_err(|_| failed("the random source failed"));
        let tokens = |secret: &str| {
            let keys = OwnKeys::of_secrets(&[secret.as_bytes()], USER, USER).map_err(|reason| failed(&reason))?;
            Ok::<_, Error>(Arc::new(Tokens::of(Issuers::new(&limits).own(keys, USER, USER))))
        };
        let admission = GatewaySettings {
            keys: Arc::new(KeyRing::new(&[secret()?]).map_err(|_| failed("there is no key"))?),
            cookies: Cookies { secure: !development },
            https: !development,
            tokens: tokens(&secret()?)?,
            addresses: Addresses::default(),
            origins: Origins::new([ORIGIN.to_owned()]),
            create_users: false,
            query_tokens: manner.query_tokens,
            environment: manner.environment.name(),
            links: development,
            demo: Vec::new(),
            oidc: None,
            quiet: true,
        };
        let stranger = tokens(&secret()?)?;
        let gateway = Gateway::start(store, limits, clock, admission).await?;
        let mut forge = TestCredentials { gateway, user, stranger, session: String::new() };
        forge.session = forge.session(forge.now()).await?;
        Ok(forge)
    }

    /// Ends the node.
    pub(super) async fn end(self) {
        self.gateway.node.drain().await;
        self.gateway.node.shut_down().await;
    }

    /// A credential, ready to travel.
    pub(super) async fn carry(&self, credential: &Credential) -> Result<PresentedCredential, Error> {
        Ok(match credential.way {
            Way::Nothing => PresentedCredential::default(),
            Way::Session => {
                let session = match credential.state {
                    // A new one each time: the first request to meet an expired one ends it.
                    State::Expired => self.session(before(self.now(), SESSION_MAX + Duration::from_secs(60))).await?,
                    State::Tampered => tampered(&self.session),
                    _ => self.session.clone(),
                };
                PresentedCredential { headers: format!("Cookie: {session}\r\n"), ..PresentedCredential::default() }
            }
            Way::Bearer => {
                let headers = format!("Authorization: Bearer {}\r\n", self.token(credential.state)?);
                PresentedCredential { headers, ..PresentedCredential::default() }
            }
            Way::Subprotocol => {
                let token = URL_SAFE_NO_PAD.encode(self.token(credential.state)?);
                let headers = format!("Sec-WebSocket-Protocol: jwt-auth, jwt.{token}\r\n");
                PresentedCredential { headers, ..PresentedCredential::default() }
            }
            Way::QueryToken => PresentedCredential {
                query: format!("token={}", self.token(credential.state)?),
                ..PresentedCredential::default()
            },
            Way::Ticket => PresentedCredential {
                query: format!("ticket={}", self.ticket(credential.state).await?),
                ..PresentedCredential::default()
            },
        })
    }

    fn now(&self) -> Time {
        self.gateway.node.clock.now()
    }

    fn token(&self, state: State) -> Result<String, Error> {
        let ttl = Duration::from_secs(60);
        let user = self.user.clone();
        let grant = Grant { user, ttl, session: None, family: None, permissions: Vec::new(), tier: None };
        let (own, now) = (&self.gateway.admission.tokens, self.now());
        match state {
            State::Right | State::Spent => own.sign(&grant, now),
            State::Tampered => Ok(tampered(&own.sign(&grant, now)?)),
            State::Expired => own.sign(&grant, before(now, Duration::from_millis(Limits::default().token_lifetime_ms))),
            State::ForeignKey => self.stranger.sign(&grant, now),
            State::Unsigned => {
                let right = own.sign(&grant, now)?;
                let claims = right.split('.').nth(1).unwrap_or_default();
                Ok(format!("eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.{claims}."))
            }
        }
    }

    /// A ticket of its own for each question: it can be used once.
    async fn ticket(&self, state: State) -> Result<String, Error> {
        let secret = new_secret().map_err(|_| failed("the random source failed"))?;
        let (hash, now) = (secret_hash(&secret), self.now());
        let asked = if state == State::Expired { before(now, TICKET + Duration::from_secs(1)) } else { now };
        let ticket = Ticket {
            credential: domain::Credential::of(self.user.clone()),
            permissions: Vec::new(),
            tier: "free".to_owned(),
            context_expires_at: now.plus(SESSION_MAX),
            expires_at: asked.plus(TICKET),
        };
        let act = |act| async { self.gateway.logins.act(act).await.map_err(|outage| failed(&outage.to_string())) };
        act(LoginAct::PutTicket { hash, ticket }).await?;
        if state == State::Spent {
            act(LoginAct::TakeTicket { hash, at: now }).await?;
        }
        Ok(if state == State::Tampered { tampered(&secret) } else { secret })
    }

    /// A session of this login time, forged as the session layer keeps it: its cookie as a browser would send it.
    async fn session(&self, login: Time) -> Result<String, Error> {
        let gateway = &self.gateway;
        let sessions = LoginSessions::new(Arc::clone(&gateway.logins), Arc::clone(&gateway.node.clock));
        let json = |text: &str| format!("\"{text}\"");
        let state = HashMap::from([
            (USER_KEY.to_owned(), json(self.user.as_str())),
            (LOGIN_TIME_KEY.to_owned(), login.seconds().to_string()),
            (SESSION_ID_KEY.to_owned(), json(&SessionId::new().to_string())),
        ]);
        let key = sessions.save(state, &time::Duration::seconds(60)).await;
        let key = key.map_err(|error| failed(&format!("no session could be made: {error}")))?;
        Ok(session_cookie(&gateway.admission.keys, gateway.admission.cookies, key.as_ref()))
    }
}

fn before(now: Time, time: Duration) -> Time {
    Time(now.0 - i64::try_from(time.as_millis()).unwrap_or(0))
}

/// Another character in the last place but ten: the very last may carry bits that nobody reads.
fn tampered(text: &str) -> String {
    let at = text.len().saturating_sub(11);
    let other = if text[at..].starts_with('A') { "B" } else { "A" };
    format!("{}{other}{}", &text[..at], &text[at + 1..])
}
