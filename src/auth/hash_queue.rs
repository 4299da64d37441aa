//! Admission queue for password hashing: a bounded number of slots, with caps per user name and per network.
//!
//! Logins that succeed do not count as failures, so limits on failures cannot stop one account from occupying every slot.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::address::Network;
use crate::{
    domain::Limits,
    error::{Code, Error},
};

/// Hash of a user name as it was typed, so that names of any length use the same memory.
pub type Name = [u8; 16];

/// Who requests a hash. Unknown user names count like known ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashRequester {
    /// User name, and whether the browser has signed in as that user before. Both kinds are counted separately, so others cannot block a known browser.
    pub login: (Name, bool),
    /// Network of the client; `None` if it is exempt from address limits.
    pub network: Option<Network>,
}

impl HashRequester {
    /// A requester without a name and an address.
    #[cfg(test)]
    pub fn anybody() -> HashRequester {
        HashRequester { login: ([0; 16], false), network: None }
    }
}

/// The slots of the queue.
pub struct HashQueue {
    most: u64,
    each_login: u64,
    each_network: u64,
    taken: Mutex<SlotsInUse>,
}

/// Number of slots in use, by user name and network. Entries with zero are removed, so the maps are no larger than the queue.
#[derive(Default)]
struct SlotsInUse {
    all: u64,
    logins: HashMap<(Name, bool), u64>,
    networks: HashMap<Network, u64>,
}

/// A slot, released when dropped.
pub struct HashSlot {
    hash_queue: Arc<HashQueue>,
    requester: HashRequester,
}

impl HashQueue {
    /// With the limits in force.
    pub fn new(limits: &Limits) -> HashQueue {
        HashQueue {
            most: limits.hashes.saturating_add(limits.hashes_waiting),
            each_login: limits.hashes_user,
            each_network: limits.hashes_address,
            taken: Mutex::default(),
        }
    }

    /// Acquires a slot.
    ///
    /// # Errors
    /// `rate_limited`, if the user or the address has as many as one may have; `busy`, if there is none left.
    pub fn take(self: &Arc<Self>, requester: HashRequester) -> Result<HashSlot, Error> {
        let mut taken = self.taken();
        if taken.logins.get(&requester.login).is_some_and(|taken| *taken >= self.each_login) {
            return Err(too_many("for this name"));
        }
        if requester
            .network
            .and_then(|network| taken.networks.get(&network))
            .is_some_and(|taken| *taken >= self.each_network)
        {
            return Err(too_many("from your address"));
        }
        if taken.all >= self.most {
            return Err(Error::new(Code::Busy, "Too many people are signing in. Try again.").after_ms(2_000));
        }
        taken.all += 1;
        *taken.logins.entry(requester.login).or_default() += 1;
        if let Some(network) = requester.network {
            *taken.networks.entry(network).or_default() += 1;
        }
        Ok(HashSlot { hash_queue: Arc::clone(self), requester })
    }

    fn taken(&self) -> MutexGuard<'_, SlotsInUse> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn too_many(what: &str) -> Error {
    let detail = format!("Too many logins {what} are being looked at. Wait a moment, then try again.");
    Error::new(Code::RateLimited, detail).after_ms(1_000)
}

impl Drop for HashSlot {
    fn drop(&mut self) {
        let mut taken = self.hash_queue.taken();
        taken.all -= 1;
        leave(&mut taken.logins, &self.requester.login);
        if let Some(network) = &self.requester.network {
            leave(&mut taken.networks, network);
        }
    }
}

fn leave<K: Hash + Eq>(taken: &mut HashMap<K, u64>, key: &K) {
    match taken.get_mut(key) {
        Some(hash_queue) if *hash_queue > 1 => *hash_queue -= 1,
        _ => drop(taken.remove(key)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::address::Addresses;

    fn requester(name: u8, known: bool, address: u8) -> HashRequester {
        let client = Addresses::default().client([192, 0, 2, address].into(), &[]);
        HashRequester { login: ([name; 16], known), network: Some(client.network) }
    }

    fn line() -> Arc<HashQueue> {
        Arc::new(HashQueue::new(&Limits { hashes: 4, hashes_waiting: 16, ..Limits::default() }))
    }

    #[track_caller]
    fn refused(line: &Arc<HashQueue>, requester: HashRequester) -> Error {
        line.take(requester).map(drop).expect_err("refused")
    }

    #[test]
    fn a_name_has_two_places_wherever_it_is_typed_and_a_browser_that_is_known_has_its_own() {
        let line = line();
        let one = [line.take(requester(1, false, 1)).expect("room"), line.take(requester(1, false, 2)).expect("room")];
        let told = refused(&line, requester(1, false, 3));
        assert_eq!((told.code, told.retry_after_ms), (Code::RateLimited, Some(1_000)));
        let known = line.take(requester(1, true, 3)).expect("the owner's browser");
        let other = line.take(requester(2, false, 1)).expect("another name");
        drop(one);
        assert!(line.take(requester(1, false, 3)).is_ok());
        drop((known, other));
        let taken = line.taken();
        assert_eq!((taken.all, taken.logins.len(), taken.networks.len()), (0, 0, 0), "nothing is kept of who has left");
    }

    #[test]
    fn an_address_has_eight_places_whatever_the_names_and_is_not_counted_where_it_is_exempt() {
        let line = line();
        let hash_queue: Vec<_> = (0..8).map(|name| line.take(requester(name, false, 1)).expect("room")).collect();
        for known in [false, true] {
            assert_eq!(refused(&line, requester(9, known, 1)).code, Code::RateLimited);
        }
        assert!(line.take(requester(9, false, 2)).is_ok());
        let exempt = HashRequester { network: None, ..requester(9, false, 1) };
        assert!(line.take(exempt).is_ok());
        drop(hash_queue);
        assert!(line.take(requester(9, false, 1)).is_ok());
    }

    #[test]
    fn where_the_line_is_full_everybody_is_told_that_the_server_is_busy() {
        let line = line();
        let hash_queue: Vec<_> = (0..20).map(|name| line.take(requester(name, false, name)).expect("room")).collect();
        let told = refused(&line, requester(30, false, 30));
        assert_eq!((told.code, told.retry_after_ms), (Code::Busy, Some(2_000)));
        drop(hash_queue);
        assert!(line.take(requester(30, false, 30)).is_ok());
    }
}
