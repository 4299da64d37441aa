//! Sweep: deletes expired logins and old events through the writer, one part at a time, so that messages between the parts wait for
//! one part only.

use std::sync::PoisonError;

use super::{Node, clock_steps::DeletionTime};
use crate::{
    domain::{LoginAct, LoginDone, Time},
    store::{Done, Write},
};

impl Node {
    /// Deletes a part of what has expired. Returns whether there is more.
    pub async fn sweep(&self) -> bool {
        let reading = self.clock.read();
        let DeletionTime { at, known } = self.clock_steps.lock().unwrap_or_else(PoisonError::into_inner).judge(reading);
        let logins = self.swept(Write::Login(Box::new(LoginAct::Sweep { at, known, clock: reading.wall }))).await;
        let log = self.swept(Write::Prune { before: kept_since(at, self.limits.retention_ms) }).await;
        if let Some(Done::Pruned { events: events @ 1.., .. }) = log {
            log::debug!("{events} events older than retention_ms are gone");
        }
        matches!(logins, Some(Done::Login(LoginDone::Swept { more: true })))
            || matches!(log, Some(Done::Pruned { more: true, .. }))
    }

    async fn swept(&self, write: Write) -> Option<Done> {
        // The next sweep tries again.
        self.writer.write(write).await.inspect_err(|error| log::warn!("nothing could be cleared away: {error}")).ok()
    }
}

/// Events before this time are deleted; `None` keeps all.
fn kept_since(now: Time, retention_ms: u64) -> Option<Time> {
    (retention_ms > 0).then(|| Time(now.0.saturating_sub(i64::try_from(retention_ms).unwrap_or(i64::MAX))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_retention_nothing_is_too_old() {
        assert_eq!(kept_since(Time(1_000), 0), None);
        assert_eq!(kept_since(Time(1_000), 400), Some(Time(600)));
        assert_eq!(kept_since(Time(0), u64::MAX), Some(Time(-i64::MAX)));
    }
}
