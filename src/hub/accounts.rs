//! Logins over the store: reads from the pool, writes through the writer.

use std::sync::Arc;

use super::Writer;
use crate::{
    domain::{
        Account, Answer, Credential, LoginAct, LoginDone, Logins, Outage, SessionRecord, Time, UserId,
        logins::{Login, SecretHash, Standing, Ticket},
    },
    error::{Code, Error},
    store::{Done, Reads, Write},
};

/// What authentication asks.
pub struct Accounts {
    reads: Arc<dyn Reads>,
    writer: Writer,
}

impl Accounts {
    /// Over a node's reads and writer.
    pub fn new(reads: Arc<dyn Reads>, writer: Writer) -> Accounts {
        Accounts { reads, writer }
    }
}

/// None of these writes is ever refused for what it says, so an error is the store's.
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
