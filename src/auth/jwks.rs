//! Key set (JWKS, RFC 7517) of an external issuer: when it is fetched, and how long it is used.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use reqwest::{Client, Url};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::{
    fetch,
    keys::{self, Key, Rules},
};
use crate::domain::{Limits, Reason, Uptime};

/// Delay of the next background fetch after a failure.
const RETRY: Duration = Duration::from_secs(30);

/// A key set and its address. One fetch runs at a time.
pub struct RemoteKeySet {
    url: Url,
    rules: Rules,
    limits: Limits,
    client: Client,
    held: RwLock<KeySetState>,
    /// Held while a fetch is under way.
    turn: Arc<Mutex<()>>,
}

/// Last known state of the key set.
#[derive(Default)]
struct KeySetState {
    /// The keys of the last fetch that succeeded, and when that began.
    keys: Option<(Arc<Vec<Key>>, Uptime)>,
    /// When a fetch last began, and whether it failed.
    tried: Option<(Uptime, bool)>,
    /// When a token last made one begin.
    asked_at: Option<Uptime>,
    /// How many have ended.
    rounds: u64,
}

impl RemoteKeySet {
    /// The set at an address.
    ///
    /// # Errors
    /// The reason, if the address is none, or in plain http and not on this machine, or a secret is expected there.
    pub fn new(url: &str, rules: Rules, limits: &Limits) -> Result<RemoteKeySet, Reason> {
        let url = fetch::address(url)?;
        if rules.algorithms.iter().any(|algorithm| keys::is_symmetric(*algorithm)) {
            return Err("a secret cannot be fetched; list public-key algorithms, or put the secret into a file".into());
        }
        let client = fetch::client(&url, limits)?;
        let (held, turn) = (RwLock::default(), Arc::default());
        Ok(RemoteKeySet { url, rules, limits: limits.clone(), client, held, turn })
    }

    /// Whether the same keys would be fetched from the same address, so that those in hand stay good.
    pub fn same_as(&self, other: &RemoteKeySet) -> bool {
        self.url == other.url && self.rules == other.rules && self.limits == other.limits
    }

    /// The keys in hand; `None` if there are none yet, or the last ones are too old to be believed.
    pub fn keys(&self, now: Uptime) -> Option<Arc<Vec<Key>>> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let (keys, fetched_at) = held.keys.as_ref()?;
        let fresh = now.since(*fetched_at) < Duration::from_millis(self.limits.jwks_stale_ms);
        fresh.then(|| Arc::clone(keys))
    }

    /// Fetches the set for a token that no key in hand fits, unless one did so a short while ago. Whoever comes while
    /// a fetch is under way waits for it and begins none.
    pub async fn ask(self: &Arc<Self>, now: Uptime) {
        let seen = self.held.read().unwrap_or_else(PoisonError::into_inner).rounds;
        let turn = Arc::clone(&self.turn).lock_owned().await;
        {
            let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
            let again = Duration::from_millis(self.limits.jwks_again_ms);
            if held.rounds != seen || held.asked_at.is_some_and(|at| now.since(at) < again) {
                return;
            }
            held.asked_at = Some(now);
        }
        // On its own: the one who asked may leave, and others wait for this too.
        let fetching = tokio::spawn(Arc::clone(self).fetch(turn, now));
        // A fetch that panicked is over as well.
        let _ = fetching.await;
    }

    /// Begins a fetch if it is time for one; the end of it.
    pub fn refresh_if_due(self: &Arc<Self>, now: Uptime) -> Option<tokio::task::JoinHandle<()>> {
        let tried = self.held.read().unwrap_or_else(PoisonError::into_inner).tried;
        let due = tried.is_none_or(|(at, failed)| {
            let wait = Duration::from_millis(self.limits.jwks_refresh_ms);
            now.since(at) >= if failed { RETRY.min(wait) } else { wait }
        });
        let turn = Arc::clone(&self.turn).try_lock_owned().ok().filter(|_| due)?;
        Some(tokio::spawn(Arc::clone(self).fetch(turn, now)))
    }

    async fn fetch(self: Arc<Self>, turn: OwnedMutexGuard<()>, now: Uptime) {
        let fetched = self.load().await;
        let failed = fetched.is_err();
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        match fetched {
            Ok(keys) => {
                if keys.is_empty() {
                    log::warn!("{} holds no key for tokens of {}: they are refused", self.url, self.rules.issuer);
                } else if held.tried.is_none_or(|(_, failed)| failed) {
                    log::info!("{} keys of {} were fetched from {}", keys.len(), self.rules.issuer, self.url);
                }
                held.keys = Some((Arc::new(keys), now));
            }
            Err(reason) => log::warn!("keys of {} could not be fetched from {}: {reason}", self.rules.issuer, self.url),
        }
        held.tried = Some((now, failed));
        held.rounds += 1;
        drop(held);
        drop(turn);
    }

    async fn load(&self) -> Result<Vec<Key>, Reason> {
        let body = fetch::get(self.client.get(self.url.clone()), &self.limits).await?;
        let text = String::from_utf8(body).map_err(|_| "the answer is not UTF-8")?;
        let keys_max = usize::try_from(self.limits.jwks_keys).unwrap_or(usize::MAX);
        let read = keys::read(&text, &self.rules, keys_max)?;
        for reason in &read.refused {
            log::warn!("a key of {} at {} is not used: {reason}", self.rules.issuer, self.url);
        }
        Ok(read.keys)
    }
}

#[cfg(test)]
#[path = "jwks_tests.rs"]
mod tests;
