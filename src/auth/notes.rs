//! Notes of use: when a login was last used is written down beside a request, which does not wait for it. A disk that hangs must not
//! hang the requests that only read.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::domain::{LoginAct, Logins};

/// Notes that are being written at once. One that finds no place is left out: the next request of the login tries again.
const PLACES: usize = 64;

/// Writes notes of use.
#[derive(Clone)]
pub struct Notes {
    logins: Arc<dyn Logins>,
    places: Arc<Semaphore>,
}

impl Notes {
    /// Over these logins.
    pub fn new(logins: Arc<dyn Logins>) -> Notes {
        Notes { logins, places: Arc::new(Semaphore::new(PLACES)) }
    }

    /// Begins to write one, if there is a place.
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
            Account, Answer, Clock, Credential, LoginDone, Outage, SessionRecord, Time, Uptime, UserId,
            logins::{Login, SESSION_TOUCH, SecretHash, Standing, Ticket},
        },
    };

    /// A store that answers reads, and never a write. Every session was used at the beginning of time.
    #[derive(Default)]
    struct Hung(AtomicUsize);

    impl Logins for Hung {
        fn session(&self, _: SecretHash, _: Time) -> Answer<'_, Result<Option<SessionRecord>, Outage>> {
            let (state, user_id, session_id, login_epoch, moved) = (Vec::new(), None, None, None, false);
            let (seen_at, expires_at) = (Time(0), Time(i64::MAX));
            let record = SessionRecord { state, user_id, session_id, login_epoch, moved, seen_at, expires_at };
            Box::pin(async { Ok(Some(record)) })
        }

        fn standing(&self, _: Credential, _: Time) -> Answer<'_, Result<Option<Standing>, Outage>> {
            Box::pin(async { Ok(None) })
        }

        fn account(&self, _: UserId) -> Answer<'_, Result<Option<Account>, Outage>> {
            Box::pin(async { Ok(None) })
        }

        fn subject(&self, _: String, _: String) -> Answer<'_, Result<Option<UserId>, Outage>> {
            Box::pin(async { Ok(None) })
        }

        fn is_linked(&self, _: UserId) -> Answer<'_, Result<bool, Outage>> {
            Box::pin(async { Ok(false) })
        }

        fn logins(&self, _: UserId, _: Time) -> Answer<'_, Result<Vec<Login>, Outage>> {
            Box::pin(async { Ok(Vec::new()) })
        }

        fn refresh_token(&self, _: SecretHash) -> Answer<'_, Result<bool, Outage>> {
            Box::pin(async { Ok(false) })
        }

        fn ticket(&self, _: SecretHash, _: Time) -> Answer<'_, Result<Option<Ticket>, Outage>> {
            Box::pin(async { Ok(None) })
        }

        fn act(&self, _: LoginAct) -> Answer<'_, Result<LoginDone, Outage>> {
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
