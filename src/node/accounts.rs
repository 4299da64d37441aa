//! Access to accounts and logins for authentication: reads from the pool, writes through the writer.

use std::sync::Arc;

use crate::{
    domain::{
        Account, BoxFuture, Credential, LoginAct, LoginDone, Logins, SessionRecord, StoreError, Time, UserId,
        logins::{CredentialStatus, Login, SecretHash, Ticket},
    },
    error::{Code, Error},
    store::{Done, Reads, Write},
    writer::Writer,
};

/// Accounts and logins of a node.
pub struct Accounts {
    reads: Arc<dyn Reads>,
    writer: Writer,
}

impl Accounts {
    /// With the reads and the writer of a node.
    pub fn new(reads: Arc<dyn Reads>, writer: Writer) -> Accounts {
        Accounts { reads, writer }
    }
}

/// The store refuses none of these writes for its content, so every error is an outage.
fn outage(error: &Error) -> StoreError {
    match error.code {
        Code::Busy => StoreError::Busy,
        Code::StorageFull => StoreError::Full,
        _ => StoreError::Unavailable,
    }
}

impl Logins for Accounts {
    fn session(&self, key: SecretHash, now: Time) -> BoxFuture<'_, Result<Option<SessionRecord>, StoreError>> {
        self.reads.session(key, now)
    }

    fn credential_status(
        &self,
        credential: Credential,
        now: Time,
    ) -> BoxFuture<'_, Result<Option<CredentialStatus>, StoreError>> {
        self.reads.credential_status(credential, now)
    }

    fn account(&self, user: UserId) -> BoxFuture<'_, Result<Option<Account>, StoreError>> {
        self.reads.account(user)
    }

    fn subject(&self, issuer: String, subject: String) -> BoxFuture<'_, Result<Option<UserId>, StoreError>> {
        self.reads.subject(issuer, subject)
    }

    fn is_linked(&self, user: UserId) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.reads.is_linked(user)
    }

    fn logins(&self, user: UserId, now: Time) -> BoxFuture<'_, Result<Vec<Login>, StoreError>> {
        self.reads.logins(user, now)
    }

    fn refresh_token(&self, hash: SecretHash) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.reads.refresh_token(hash)
    }

    fn ticket(&self, hash: SecretHash, now: Time) -> BoxFuture<'_, Result<Option<Ticket>, StoreError>> {
        self.reads.ticket(hash, now)
    }

    fn act(&self, act: LoginAct) -> BoxFuture<'_, Result<LoginDone, StoreError>> {
        Box::pin(async move {
            match self.writer.write(Write::Login(Box::new(act))).await {
                Ok(Done::Login(done)) => Ok(done),
                Ok(_) => Err(StoreError::Unavailable),
                Err(error) => Err(outage(&error)),
            }
        })
    }
}
