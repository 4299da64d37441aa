//! Records when a session was last used, in a task of its own. The request does not wait for the write, so a disk that hangs cannot hang
//! requests that only read.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::domain::{LoginAct, Logins};

/// Writes in progress at once. Further ones are skipped: the next request of the session tries again.
const PLACES: usize = 64;

/// Records the last use of sessions.
#[derive(Clone)]
pub struct LastUseRecorder {
    logins: Arc<dyn Logins>,
    places: Arc<Semaphore>,
}

impl LastUseRecorder {
    /// Over these logins.
    pub fn new(logins: Arc<dyn Logins>) -> LastUseRecorder {
        LastUseRecorder { logins, places: Arc::new(Semaphore::new(PLACES)) }
    }

    /// Starts a write, unless too many are in progress.
    pub fn note(&self, act: LoginAct) {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else { return };
        let logins = Arc::clone(&self.logins);
        tokio::spawn(async move {
            if let Err(outage) = logins.act(act).await {
                log::warn!("the use of a login could not be noted: {outage}");
            }
            drop(place);
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use actix_session::storage::{SessionKey, SessionStore as _};
    use futures_util::FutureExt as _;

    use super::*;
    use crate::{
        auth::LoginSessions,
        domain::{
            Account, BoxFuture, Clock, Credential, LoginDone, SessionRecord, StoreError, Time, Uptime, UserId,
            logins::{CredentialStatus, Login, SESSION_TOUCH, SecretHash, Ticket},
        },
    };

    /// A store that answers reads, and never a write. Every session was used at the beginning of time.
    #[derive(Default)]
    struct Hung(AtomicUsize);

    impl Logins for Hung {
        fn session(&self, _: SecretHash, _: Time) -> BoxFuture<'_, Result<Option<SessionRecord>, StoreError>> {
            let (state, user_id, session_id, login_epoch, moved) = (Vec::new(), None, None, None, false);
            let (seen_at, expires_at) = (Time(0), Time(i64::MAX));
            let record = SessionRecord { state, user_id, session_id, login_epoch, moved, seen_at, expires_at };
            Box::pin(async { Ok(Some(record)) })
        }

        fn credential_status(&self, _: Credential, _: Time) -> BoxFuture<'_, Result<Option<CredentialStatus>, StoreError>> {
            Box::pin(async { Ok(None) })
        }

        fn account(&self, _: UserId) -> BoxFuture<'_, Result<Option<Account>, StoreError>> {
            Box::pin(async { Ok(None) })
        }

        fn subject(&self, _: String, _: String) -> BoxFuture<'_, Result<Option<UserId>, StoreError>> {
            Box::pin(async { Ok(None) })
        }

        fn is_linked(&self, _: UserId) -> BoxFuture<'_, Result<bool, StoreError>> {
            Box::pin(async { Ok(false) })
        }

        fn logins(&self, _: UserId, _: Time) -> BoxFuture<'_, Result<Vec<Login>, StoreError>> {
            Box::pin(async { Ok(Vec::new()) })
        }

        fn refresh_token(&self, _: SecretHash) -> BoxFuture<'_, Result<bool, StoreError>> {
            Box::pin(async { Ok(false) })
        }

        fn ticket(&self, _: SecretHash, _: Time) -> BoxFuture<'_, Result<Option<Ticket>, StoreError>> {
            Box::pin(async { Ok(None) })
        }

        fn act(&self, _: LoginAct) -> BoxFuture<'_, Result<LoginDone, StoreError>> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Box::pin(std::future::pending())
        }
    }

    struct Later;

    impl Clock for Later {
        fn now(&self) -> Time {
            Time(0).plus(SESSION_TOUCH)
        }

        fn uptime(&self) -> Uptime {
            Uptime(0)
        }
    }

    #[actix_web::test]
    async fn a_session_is_read_while_the_note_of_its_use_is_not_written() {
        let hung = Arc::new(Hung::default());
        let sessions = LoginSessions::new(Arc::clone(&hung) as Arc<dyn Logins>, Arc::new(Later));
        let key = SessionKey::try_from("a key".to_owned()).expect("a key");
        for _ in 0..2 * PLACES {
            let loaded = sessions.load(&key).now_or_never().expect("nothing to wait for");
            assert!(loaded.is_ok_and(|state| state.is_some()));
        }
        while hung.0.load(Ordering::Relaxed) < PLACES {
            tokio::task::yield_now().await;
        }
        tokio::task::yield_now().await;
        assert_eq!(hung.0.load(Ordering::Relaxed), PLACES, "no more than there are places for");
    }
}
