//! The line in front of the password hashes: so many places, of which nobody's logins and no address take more than a few.
//! Good passwords use up none of the counts of failures; without this, one account would do to keep everybody else out.

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

/// A name as it was typed, of any length, in sixteen bytes.
pub type Name = [u8; 16];

/// For whom a place is taken: names that nobody has count like any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asker {
    /// Whose login it is to be, and whether the browser signed in as them before: strangers do not stand in its way.
    pub login: (Name, bool),
    /// Where it comes from; `None`: limits by address leave it alone.
    pub network: Option<Network>,
}

impl Asker {
    /// Somebody of no name and address.
    #[cfg(test)]
    pub fn anybody() -> Asker {
        Asker { login: ([0; 16], false), network: None }
    }
}

/// The places in the line.
pub struct Places {
    most: u64,
    each_login: u64,
    each_network: u64,
    taken: Mutex<Taken>,
}

/// Who has how many places; whoever has none is not in it, so it is no larger than the line.
#[derive(Default)]
struct Taken {
    all: u64,
    logins: HashMap<(Name, bool), u64>,
    networks: HashMap<Network, u64>,
}

/// A place, until it is dropped.
pub struct Place {
    places: Arc<Places>,
    asker: Asker,
}

impl Places {
    /// With the limits in force.
    pub fn new(limits: &Limits) -> Places {
        Places {
            most: limits.hashes.saturating_add(limits.hashes_waiting),
            each_login: limits.hashes_user,
            each_network: limits.hashes_address,
            taken: Mutex::default(),
        }
    }

    /// Takes a place.
    ///
    /// # Errors
    /// `rate_limited`, if the user or the address has as many as one may have; `busy`, if there is none left.
    pub fn take(self: &Arc<Self>, asker: Asker) -> Result<Place, Error> {
        let mut taken = self.taken();
        if taken.logins.get(&asker.login).is_some_and(|taken| *taken >= self.each_login) {
            return Err(too_many("for this name"));
        }
        if asker.network.and_then(|network| taken.networks.get(&network)).is_some_and(|taken| *taken >= self.each_network) {
            return Err(too_many("from your address"));
        }
        if taken.all >= self.most {
            return Err(Error::new(Code::Busy, "Too many people are signing in. Try again.").after_ms(2_000));
        }
        taken.all += 1;
        *taken.logins.entry(asker.login).or_default() += 1;
        if let Some(network) = asker.network {
            *taken.networks.entry(network).or_default() += 1;
        }
        Ok(Place { places: Arc::clone(self), asker })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn too_many(what: &str) -> Error {
    let detail = format!("Too many logins {what} are being looked at. Wait a moment, then try again.");
    Error::new(Code::RateLimited, detail).after_ms(1_000)
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        taken.all -= 1;
        leave(&mut taken.logins, &self.asker.login);
        if let Some(network) = &self.asker.network {
            leave(&mut taken.networks, network);
        }
    }
}

fn leave<K: Hash + Eq>(taken: &mut HashMap<K, u64>, key: &K) {
    match taken.get_mut(key) {
        Some(places) if *places > 1 => *places -= 1,
        _ => drop(taken.remove(key)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::address::Addresses;

    fn asker(name: u8, known: bool, address: u8) -> Asker {
        let client = Addresses::default().client([192, 0, 2, address].into(), &[]);
        Asker { login: ([name; 16], known), network: Some(client.network) }
    }

    fn line() -> Arc<Places> {
        Arc::new(Places::new(&Limits { hashes: 4, hashes_waiting: 16, ..Limits::default() }))
    }

    #[track_caller]
    fn refused(line: &Arc<Places>, asker: Asker) -> Error {
        line.take(asker).map(drop).expect_err("refused")
    }

    #[test]
    fn a_name_has_two_places_wherever_it_is_typed_and_a_browser_that_is_known_has_its_own() {
        let line = line();
        let one = [line.take(asker(1, false, 1)).expect("room"), line.take(asker(1, false, 2)).expect("room")];
        let told = refused(&line, asker(1, false, 3));
        assert_eq!((told.code, told.retry_after_ms), (Code::RateLimited, Some(1_000)));
        let known = line.take(asker(1, true, 3)).expect("the owner's browser");
        let other = line.take(asker(2, false, 1)).expect("another name");
        drop(one);
        assert!(line.take(asker(1, false, 3)).is_ok());
        drop((known, other));
        let taken = line.taken();
        assert_eq!((taken.all, taken.logins.len(), taken.networks.len()), (0, 0, 0), "nothing is kept of who has left");
    }

    #[test]
    fn an_address_has_eight_places_whatever_the_names_and_is_not_counted_where_it_is_exempt() {
        let line = line();
        let places: Vec<_> = (0..8).map(|name| line.take(asker(name, false, 1)).expect("room")).collect();
        for known in [false, true] {
            assert_eq!(refused(&line, asker(9, known, 1)).code, Code::RateLimited);
        }
        assert!(line.take(asker(9, false, 2)).is_ok());
        let exempt = Asker { network: None, ..asker(9, false, 1) };
        assert!(line.take(exempt).is_ok());
        drop(places);
        assert!(line.take(asker(9, false, 1)).is_ok());
    }

    #[test]
    fn where_the_line_is_full_everybody_is_told_that_the_server_is_busy() {
        let line = line();
        let places: Vec<_> = (0..20).map(|name| line.take(asker(name, false, name)).expect("room")).collect();
        let told = refused(&line, asker(30, false, 30));
        assert_eq!((told.code, told.retry_after_ms), (Code::Busy, Some(2_000)));
        drop(places);
        assert!(line.take(asker(30, false, 30)).is_ok());
    }
}
