//! Revocations: closes connections whose session, token family, user or account has ended.
//!
//! The store's list is the only source, so a revocation takes effect whoever wrote it: this node, another node or a command.
//!
//! A connection registers before its credential is read, and a revocation is sent to every registered connection: so each is noticed
//! by one or the other. The read also returns the number of the last revocation that it included. A connection ignores revocations
//! up to that number when they arrive later, because its sign-in is newer.
//!
//! Decisions: `src/docs/decisions/revocation.md`.

use std::{sync::Arc, time::Duration};

use actix::prelude::*;

use super::{Hub, messages::PollRevocations};
use crate::{
    domain::{
        StoreError,
        logins::{Revocation, Revoked},
    },
    error::{Code, Error},
    outlet::{Close, CloseTarget, Outlet},
    store::Reads,
};

/// Interval of the reads of the list.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(500);
/// Revocations of one read.
const PAGE: u64 = 1_000;

/// How far the list has been read.
#[derive(Debug)]
pub(super) struct Revocations {
    /// Number of the last revocation that was sent to the outlets.
    sent: u64,
    reading: bool,
}

impl Revocations {
    /// Starts after the revocation of this number.
    pub(super) fn after(last: u64) -> Revocations {
        Revocations { sent: last, reading: false }
    }
}

/// Reads every revocation after a number.
async fn read(reads: Arc<dyn Reads>, mut after: u64) -> Result<Vec<Revocation>, StoreError> {
    let mut all = Vec::new();
    loop {
        let page = reads.revocations(after, PAGE).await?;
        let is_last = (page.len() as u64) < PAGE;
        after = page.last().map_or(after, |last| last.number);
        all.extend(page);
        if is_last {
            return Ok(all);
        }
    }
}

fn close(revocation: &Revocation) -> Close {
    let number = revocation.number;
    let target = match revocation.what {
        Revoked::One(id) => CloseTarget::Login { id, revocation: number },
        Revoked::Everything | Revoked::Account => CloseTarget::User { user: revocation.user.clone(), revocation: number },
    };
    let code = if revocation.what == Revoked::Account { Code::Disabled } else { Code::SignedOut };
    Close { target, code }
}

impl Hub {
    /// Reads new revocations and sends them to the outlets.
    pub(super) fn poll_revocations(&mut self, ctx: &mut Context<Self>) {
        if std::mem::replace(&mut self.revocations.reading, true) {
            return;
        }
        let read = read(Arc::clone(&self.reads), self.revocations.sent);
        ctx.spawn(read.into_actor(self).map(|read, hub, _| {
            hub.revocations.reading = false;
            match read {
                Ok(revocations) => {
                    for close in hub.take_new(&revocations) {
                        for outlet in hub.addresses() {
                            // Must not be lost. Unbounded: one message per row of the store, which cost a write.
                            outlet.do_send(close.clone());
                        }
                    }
                }
                Err(outage) => log::warn!("reading revocations failed: {outage}"),
            }
        }));
    }

    /// Records that these revocations are known. Returns what to close for those that were not known before.
    fn take_new(&mut self, revocations: &[Revocation]) -> Vec<Close> {
        self.permits.revocations_read();
        let sent = self.revocations.sent;
        let new: Vec<&Revocation> = revocations.iter().filter(|revocation| revocation.number > sent).collect();
        self.revocations.sent = new.last().map_or(sent, |last| last.number);
        new.into_iter().map(close).collect()
    }
}

impl Handler<PollRevocations> for Hub {
    type Result = ResponseActFuture<Self, Result<u64, Error>>;

    /// Starts a read of its own, so that it includes everything that was written before the message was sent.
    fn handle(&mut self, _: PollRevocations, _: &mut Self::Context) -> Self::Result {
        let read = read(Arc::clone(&self.reads), self.revocations.sent).into_actor(self);
        let sent = read.then(|read, hub, _| {
            let orders = read.map(|revocations| hub.take_new(&revocations));
            let outlets: Vec<Addr<Outlet>> = hub.addresses().cloned().collect();
            let send = async move {
                let orders = orders?;
                // All outlets get the message before any reply is awaited: a busy worker must not delay the others.
                let sent = orders.iter().flat_map(|close| outlets.iter().map(|outlet| outlet.send(close.clone())));
                let mut closed = 0;
                for reply in sent.collect::<Vec<_>>() {
                    // An outlet that has stopped has no connections left.
                    closed += reply.await.unwrap_or_default();
                }
                Ok(closed)
            };
            send.into_actor(hub)
        });
        Box::pin(sent)
    }
}
