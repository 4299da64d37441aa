//! Access to accounts and logins for authentication: reads from the pool, writes through the writer.

use std::sync::Arc;

use crate::{
    domain::{
        Account, Answer, Credential, LoginAct, LoginDone, Logins, Outage, SessionRecord, Time, UserId,
        logins::{Login, SecretHash, Standing, Ticket},
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
fn outage(error: &Error) -> Outage {
    match error.code {
        Code::Busy => Outage::Busy,
        Code::StorageFull => Outage::Full,
        _ => Outage::Unavailable,
    }
}

impl Logins for Accounts {
    fn session(&self, key: SecretHash, now: Time) -> Answer<'_, Result<Option<SessionRecord>, Outage>> {
        self.reads.session(key, now)
    }

    fn standing(&self, credential: Credential, now: Time) -> Answer<'_, Result<Option<Standing>, Outage>> {
        self.reads.standing(credential, now)
    }

    fn account(&self, user: UserId) -> Answer<'_, Result<Option<Account>, Outage>> {
        self.reads.account(user)
    }

    fn subject(&self, issuer: String, subject: String) -> Answer<'_, Result<Option<UserId>, Outage>> {
        self.reads.subject(issuer, subject)
    }

    fn is_linked(&self, user: UserId) -> Answer<'_, Result<bool, Outage>> {
        self.reads.is_linked(user)
    }

    fn logins(&self, user: UserId, now: Time) -> Answer<'_, Result<Vec<Login>, Outage>> {
        self.reads.logins(user, now)
    }

    fn refresh_token(&self, hash: SecretHash) -> Answer<'_, Result<bool, Outage>> {
        self.reads.refresh_token(hash)
    }

    fn ticket(&self, hash: SecretHash, now: Time) -> Answer<'_, Result<Option<Ticket>, Outage>> {
        self.reads.ticket(hash, now)
    }

    fn act(&self, act: LoginAct) -> Answer<'_, Result<LoginDone, Outage>> {
        Box::pin(async move {
            match self.writer.write(Write::Login(Box::new(act))).await {
                Ok(Done::Login(done)) => Ok(done),
                Ok(_) => Err(Outage::Unavailable),
                Err(error) => Err(outage(&error)),
            }
        })
    }
}
