//! The hub's watch over what ends: logins, families of tokens, users, accounts. The store's list of endings is the one
//! source, whoever wrote it: this node, another, or a command beside it.
//!
//! A seat enters before its credential is read, and an ending is told to every seat that has entered: so each ending
//! is seen by the one or the other. The read also tells the number of the last ending that it took into account. An ending
//! up to that number is told late and does not concern the seat: its sign-in is newer.
//!
//! Decisions: `src/docs/decisions/revocation.md`.

use std::{sync::Arc, time::Duration};

use super::{
    Hub,
    messages::Look,
    outlet::{Close, Outlet, Whose},
};
use crate::{
    domain::{
        Outage,
        logins::{Ended, Ending},
    },
    error::{Code, Error},
    store::Reads,
};
use actix::prelude::*;

/// How often the list is read.
pub(super) const PACE: Duration = Duration::from_millis(500);
/// Endings of one read.
const PAGE: u64 = 1_000;

/// How far the list is known.
#[derive(Debug)]
pub(super) struct Endings {
    told: u64,
    reading: bool,
}

impl Endings {
    /// Everything up to this number is history.
    pub(super) fn after(last: u64) -> Endings {
        Endings { told: last, reading: false }
    }
}

/// Everything that ended after a number.
async fn read(reads: Arc<dyn Reads>, mut after: u64) -> Result<Vec<Ending>, Outage> {
    let mut all = Vec::new();
    loop {
        let page = reads.endings(after, PAGE).await?;
        let whole = (page.len() as u64) < PAGE;
        after = page.last().map_or(after, |last| last.number);
        all.extend(page);
        if whole {
            return Ok(all);
        }
    }
}

fn close(ending: &Ending) -> Close {
    let whose = match ending.what {
        Ended::One(id) => Whose::Login { id, ending: ending.number },
        Ended::Everything | Ended::Account => Whose::User { user: ending.user.clone(), ending: ending.number },
    };
    let code = if ending.what == Ended::Account { Code::Disabled } else { Code::SignedOut };
    Close { whose, code }
}

impl Hub {
    /// Twice a second: reads what has ended, and has it closed.
    pub(super) fn watch(&mut self, ctx: &mut Context<Self>) {
        if std::mem::replace(&mut self.endings.reading, true) {
            return;
        }
        let read = read(Arc::clone(&self.reads), self.endings.told);
        ctx.spawn(read.into_actor(self).map(|read, hub, _| {
            hub.endings.reading = false;
            match read {
                Ok(endings) => {
                    for close in hub.taken(&endings) {
                        for outlet in hub.outlets() {
                            // Must not be lost. One a row of the store, which cost a write: no need of a bound.
                            outlet.do_send(close.clone());
                        }
                    }
                }
                Err(outage) => log::warn!("the hub could not read who was signed out: {outage}"),
            }
        }));
    }

    /// Notes that these are known now; what is to be closed for them.
    fn taken(&mut self, endings: &[Ending]) -> Vec<Close> {
        self.permits.seen();
        let new: Vec<&Ending> = endings.iter().filter(|ending| ending.number > self.endings.told).collect();
        self.endings.told = new.last().map_or(self.endings.told, |last| last.number);
        new.into_iter().map(close).collect()
    }
}

impl Handler<Look> for Hub {
    type Result = ResponseActFuture<Self, Result<u64, Error>>;

    /// Reads for itself, so that it sees what was written before it was asked.
    fn handle(&mut self, _: Look, _: &mut Self::Context) -> Self::Result {
        let read = read(Arc::clone(&self.reads), self.endings.told).into_actor(self);
        let told = read.then(|read, hub, _| {
            let ended = read.map(|endings| hub.taken(&endings));
            let outlets: Vec<Addr<Outlet>> = hub.outlets().cloned().collect();
            let told = async move {
                let ended = ended?;
                // All are told before any is waited for: a busy worker must not keep the others' sockets open.
                let told = ended.iter().flat_map(|close| outlets.iter().map(|outlet| outlet.send(close.clone())));
                let mut closed = 0;
                for answer in told.collect::<Vec<_>>() {
                    // An outlet that is gone has no connections left.
                    closed += answer.await.unwrap_or_default();
                }
                Ok(closed)
            };
            told.into_actor(hub)
        });
        Box::pin(told)
    }
}
