//! The session layer's store: sessions in the same database as everything else, revocable, found by the hash of
//! their key.
//!
//! Decisions: `src/docs/decisions/sessions.md`.

use std::{cell::Cell, collections::HashMap, future::Future, sync::Arc};

use actix_session::{
    Session, SessionInsertError,
    storage::{LoadError, SaveError, SessionKey, SessionStore, UpdateError},
};
use actix_web::cookie::time::Duration;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use super::last_use::LastUseRecorder;
use crate::{
    domain::{
        Clock, LoginAct, LoginDone, Logins, SessionId, SessionRecord, StoreError, UserId,
        logins::{SESSION_MAX, SESSION_TOUCH, SecretHash},
    },
    error::{Code, Error},
};

/// Where actix-identity keeps the user, as a JSON string.
pub const USER_KEY: &str = "actix_identity.user_id";
/// Where actix-identity keeps the time of login, in seconds since the Unix epoch.
pub const LOGIN_TIME_KEY: &str = "actix_identity.logged_in_at";
/// Where we keep the login's public id.
pub const SESSION_ID_KEY: &str = "hailgate.session_id";
/// Where we keep the account's login epoch when the proof was looked at.
pub const EPOCH_KEY: &str = "hailgate.login_epoch";
/// Where we note, until the session is saved, that its login goes on under another key.
const MOVED_KEY: &str = "hailgate.moved";
/// Where we keep what the browser called itself at login.
pub const AGENT_KEY: &str = "hailgate.agent";
/// How much of that.
pub const AGENT_CHARS_MAX: usize = 200;

tokio::task_local! {
    /// Why the session store failed for the request under way.
    static FAILED: Cell<Option<SessionFailure>>;
    /// Whether the request under way has changed a password, and its login is to be saved under another key.
    static PASSWORD_CHANGED: Cell<bool>;
}

/// Why the session store failed, as far as the client must know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SessionFailure {
    /// The store could not answer.
    #[error(transparent)]
    StoreError(#[from] StoreError),
    /// A revocation or another password came between the proof of a sign-in and its session.
    #[error("the sign-in was overtaken by a revocation or another password")]
    Overtaken,
    /// The password is changed, but its login could not be saved under another key.
    #[error("the password was changed, but its login could not be saved under another key")]
    PasswordChanged,
}

impl From<SessionFailure> for Error {
    fn from(failure: SessionFailure) -> Error {
        match failure {
            SessionFailure::StoreError(outage) => {
                Error { detail: "Your login could not be read or written. Try again.".into(), ..outage.into() }
            }
            // A retry would not help: a code of a provider and a sign-in link are used up.
            SessionFailure::Overtaken => {
                let detail =
                    "You were signed out everywhere, or the password was changed, while you signed in. Sign in again.";
                Error::new(Code::SignInLost, detail)
            }
            SessionFailure::PasswordChanged => {
                let detail =
                    "Your password was changed, but you are no longer signed in here. Sign in with the new password.";
                Error::new(Code::SignedOut, detail)
            }
        }
    }
}

/// Answers a request, and says why the session store failed meanwhile. The session layer tells its callers only that it did.
pub async fn watched<T>(answering: impl Future<Output = T>) -> (T, Option<SessionFailure>) {
    let answering = async {
        let answer = answering.await;
        let changed = PASSWORD_CHANGED.with(Cell::get).then_some(SessionFailure::PasswordChanged);
        (answer, changed.or(FAILED.with(Cell::get)))
    };
    FAILED.scope(Cell::new(None), PASSWORD_CHANGED.scope(Cell::new(false), answering)).await
}

/// Notes a failure for [`watched`].
fn noted<F: Into<SessionFailure> + Copy>(failure: F) -> F {
    // Tests use the store without a request around it.
    let _ = FAILED.try_with(|failed| failed.set(Some(failure.into())));
    failure
}

/// Moves the login of a request to another key, after its password was changed. From here on the old key opens nothing.
///
/// # Errors
/// If the session cannot hold the marks.
pub fn move_login(session: &Session, login_epoch: u64) -> Result<(), SessionInsertError> {
    let _ = PASSWORD_CHANGED.try_with(|changed| changed.set(true));
    session.insert(EPOCH_KEY, login_epoch)?;
    session.insert(MOVED_KEY, true)?;
    session.renew();
    Ok(())
}

/// actix-session's store over [`Logins`].
#[derive(Clone)]
pub struct LoginSessions {
    logins: Arc<dyn Logins>,
    last_use: LastUseRecorder,
    clock: Arc<dyn Clock>,
}

type State = HashMap<String, String>;

impl LoginSessions {
    /// Over these logins.
    pub fn new(logins: Arc<dyn Logins>, clock: Arc<dyn Clock>) -> LoginSessions {
        LoginSessions { last_use: LastUseRecorder::new(Arc::clone(&logins)), logins, clock }
    }

    async fn save_as(&self, key: SecretHash, state: State) -> Result<(), SessionFailure> {
        match self.logins.act(LoginAct::SaveSession { key, record: self.record(state) }).await? {
            LoginDone::TooLate => Err(SessionFailure::Overtaken),
            _ => Ok(()),
        }
    }

    fn record(&self, mut state: State) -> SessionRecord {
        let moved = state.remove(MOVED_KEY).is_some();
        let json = |key: &str| state.get(key).and_then(|text| serde_json::from_str::<String>(text).ok());
        let now = self.clock.now();
        let user_id = json(USER_KEY).and_then(|user| UserId::parse(&user).ok());
        let session_id = json(SESSION_ID_KEY).and_then(|id| SessionId::parse(&id).ok());
        SessionRecord {
            login_epoch: state.get(EPOCH_KEY).and_then(|text| text.parse().ok()),
            state: state.into_iter().collect(),
            user_id,
            session_id,
            moved,
            seen_at: now,
            expires_at: now.plus(SESSION_MAX),
        }
    }
}

/// SHA-256 of an opaque secret: what the database keeps in its place.
pub fn secret_hash(secret: &str) -> SecretHash {
    Sha256::digest(secret.as_bytes()).into()
}

/// A new opaque secret: 256 random bits as text.
///
/// # Errors
/// If the random source fails.
pub fn new_secret() -> Result<String, aws_lc_rs::error::Unspecified> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

impl SessionStore for LoginSessions {
    async fn load(&self, key: &SessionKey) -> Result<Option<State>, LoadError> {
        let (hash, now) = (secret_hash(key.as_ref()), self.clock.now());
        let found = self.logins.session(hash, now).await.map_err(|outage| LoadError::Other(noted(outage).into()))?;
        let Some(record) = found else { return Ok(None) };
        if now.since(record.seen_at) >= SESSION_TOUCH {
            self.last_use.note(LoginAct::TouchSession { key: hash, at: now });
        }
        Ok(Some(record.state.into_iter().collect()))
    }

    async fn save(&self, state: State, _: &Duration) -> Result<SessionKey, SaveError> {
        let secret = new_secret().map_err(|_| SaveError::Other(anyhow::anyhow!("the random source failed")))?;
        let hash = secret_hash(&secret);
        let key = SessionKey::try_from(secret).map_err(|error| SaveError::Other(error.into()))?;
        self.save_as(hash, state).await.map_err(|failure| SaveError::Other(noted(failure).into()))?;
        Ok(key)
    }

    async fn update(&self, key: SessionKey, state: State, _: &Duration) -> Result<SessionKey, UpdateError> {
        let saved = self.save_as(secret_hash(key.as_ref()), state).await;
        saved.map(|()| key).map_err(|failure| UpdateError::Other(noted(failure).into()))
    }

    async fn update_ttl(&self, key: &SessionKey, _: &Duration) -> Result<(), anyhow::Error> {
        let act = LoginAct::TouchSession { key: secret_hash(key.as_ref()), at: self.clock.now() };
        Ok(self.logins.act(act).await.map(drop).map_err(noted)?)
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), anyhow::Error> {
        let act = LoginAct::EndSession { key: secret_hash(key.as_ref()), at: self.clock.now() };
        Ok(self.logins.act(act).await.map(drop).map_err(noted)?)
    }
}
