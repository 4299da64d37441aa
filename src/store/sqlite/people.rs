//! Search for people by the first characters of an id or of a name.

use std::collections::BTreeMap;

use rusqlite::{Connection, Result};

use super::rows::{self, signed};
use crate::domain::{Person, folded_name};

/// Returns at most `limit` enabled users whose id or name begins with `prefix`, ordered by id.
///
/// Each half is read in the order of its own index and stops at `limit` rows, so a search costs the same however many users
/// match. Where more than `limit` match, the halves take turns: the first by id and the first by name are always among them.
pub(super) fn people(connection: &Connection, prefix: &str, limit: u64) -> Result<Vec<Person>> {
    let by_id = "SELECT user_id, name FROM users INDEXED BY people_by_id
                 WHERE disabled = 0 AND user_id >= ?1 AND user_id < ?2 ORDER BY user_id LIMIT ?3";
    let by_name = "SELECT user_id, name FROM users INDEXED BY people_by_name
                   WHERE disabled = 0 AND name_folded >= ?1 AND name_folded < ?2 ORDER BY name_folded, user_id LIMIT ?3";
    let by_id = beginning_with(connection, by_id, prefix, limit)?;
    let by_name = beginning_with(connection, by_name, &folded_name(prefix), limit)?;
    Ok(merge(by_id, by_name, usize::try_from(limit).unwrap_or(usize::MAX)))
}

/// Runs one half: a prefix is the range from the text itself to the text followed by the last character there is.
fn beginning_with(connection: &Connection, sql: &str, prefix: &str, limit: u64) -> Result<Vec<Person>> {
    let end = format!("{prefix}\u{10ffff}");
    connection.prepare_cached(sql)?.query_and_then((prefix, end, signed(limit)), |row| rows::person(row, 0))?.collect()
}

fn merge(by_id: Vec<Person>, by_name: Vec<Person>, limit: usize) -> Vec<Person> {
    let mut found = BTreeMap::new();
    let (mut by_id, mut by_name) = (by_id.into_iter(), by_name.into_iter());
    loop {
        let turn = [by_id.next(), by_name.next()];
        if turn.iter().all(Option::is_none) {
            return found.into_values().collect();
        }
        for person in turn.into_iter().flatten() {
            if found.len() == limit {
                return found.into_values().collect();
            }
            found.insert(person.user_id.clone(), person);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::testing::{World, user},
        *,
    };
    use crate::{
        domain::{Account, LoginAct, Time},
        store::Write,
    };

    fn add(world: &mut World, id: &str, name: &str) {
        let account = Account::new(user(id), name);
        world.write(&Write::Login(Box::new(LoginAct::CreateAccount { account, at: Time(0), keep: false })));
    }

    fn found(world: &World, prefix: &str, limit: u64) -> Vec<String> {
        let people = people(world.connection(), prefix, limit).expect("an answer");
        people.into_iter().map(|person| person.user_id.as_str().to_owned()).collect()
    }

    #[test]
    fn neither_half_of_a_search_hides_the_other() {
        let mut world = World::new(&[]);
        for number in 10..20 {
            add(&mut world, &format!("ann{number}"), "someone else");
            add(&mut world, &format!("z{number}"), &format!("Ann {number}"));
        }
        add(&mut world, "ann", "ANN");
        assert_eq!(found(&world, "ann", 4), ["ann", "ann10", "ann11", "z10"]);
        assert_eq!(found(&world, "ann", 100).len(), 21);
        assert_eq!(found(&world, "ANN", 2), ["ann", "z10"]);
        assert!(found(&world, "anna", 10).is_empty());
    }

    #[test]
    fn disabled_users_are_not_found() {
        let mut world = World::new(&[]);
        add(&mut world, "ann", "Ann");
        world.connection().execute("UPDATE users SET disabled = 1", ()).expect("an update");
        assert!(found(&world, "ann", 10).is_empty());
    }
}
