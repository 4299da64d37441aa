//! Logins over the store: reads from the pool, writes through the writer.

use std::sync::Arc;

use super::Writer;
use crate::{
    domain::{Account, Answer, Logins, Outage, SessionRecord, Time, UserId, logins::SecretHash},
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

    fn write(&self, write: Write) -> Answer<'_, Result<Done, Outage>> {
        Box::pin(async move { self.writer.write(write).await.map_err(|error| outage(&error)) })
    }

    fn note(&self, write: Write) -> Answer<'_, Result<(), Outage>> {
        Box::pin(async move { self.write(write).await.map(drop) })
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

    fn save_session(&self, key: SecretHash, record: SessionRecord) -> Answer<'_, Result<(), Outage>> {
        self.note(Write::SaveSession { key, record })
    }

    fn touch_session(&self, key: SecretHash, now: Time) -> Answer<'_, Result<(), Outage>> {
        self.note(Write::TouchSession { key, at: now })
    }

    fn end_session(&self, key: SecretHash) -> Answer<'_, Result<(), Outage>> {
        self.note(Write::EndSession { key })
    }

    fn account(&self, user: UserId) -> Answer<'_, Result<Option<Account>, Outage>> {
        self.reads.account(user)
    }

    fn create_account(&self, account: Account, now: Time) -> Answer<'_, Result<(), Outage>> {
        self.note(Write::CreateAccount { account, at: now, keep: true })
    }

    fn consume_link(&self, code: SecretHash, now: Time) -> Answer<'_, Result<Option<UserId>, Outage>> {
        Box::pin(async move {
            match self.write(Write::ConsumeLink { code, at: now }).await? {
                Done::Link(user) => Ok(user),
                _ => Err(Outage::Unavailable),
            }
        })
    }
}
