//! The users of a load test: out of a file, or made in the database of a server that is not in production.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
    time::Duration,
};

use crate::{
    auth::token::Grant,
    bench::plan::Plan,
    cli::{Failure, Where},
    config::Environment,
    domain::{Account, Clock, LoginAct, UserId},
    error::Code,
    http::{gateway::SystemClock, keys, open},
    store::{Log, Write},
};

/// Largest file of tokens, in bytes.
const FILE_BYTES_MAX: u64 = 1_073_741_824;
/// Accounts that are made in one transaction.
const ACCOUNTS_AT_ONCE: usize = 500;
/// How much longer tokens live than a run is planned.
const BESIDE: Duration = Duration::from_hours(1);

/// The first users of a file: a line each, `user token`.
pub fn of_file(path: &Path, users: u32) -> Result<Vec<(String, String)>, Failure> {
    let unread = |error: std::io::Error| Failure::Failed(format!("{} cannot be read: {error}", path.display()));
    let file = BufReader::new(File::open(path).map_err(unread)?.take(FILE_BYTES_MAX));
    let mut found = Vec::new();
    for (number, line) in (1..).zip(file.lines()) {
        let line = line.map_err(unread)?;
        let mut words = line.split_whitespace();
        match (words.next(), words.next(), words.next()) {
            (None, ..) => continue,
            (Some(user), Some(token), None) if UserId::parse(user).is_ok() => {
                found.push((user.to_owned(), token.to_owned()));
            }
            // Not the line itself: it may hold a token.
            _ => {
                let what = format!("{} line {number}: write a user id, a blank and a token", path.display());
                return Err(Failure::Failed(what));
            }
        }
        if found.len() == users as usize {
            return Ok(found);
        }
    }
    let (has, path) = (found.len(), path.display());
    Err(Failure::Failed(format!("{path} has {has} users, and --users asks for {users}; ask for less, or add some")))
}

/// Accounts in the server's database and tokens of its own key.
pub fn made(place: &Where, plan: &Plan) -> Result<Vec<(String, String)>, Failure> {
    let config = place.load(None)?;
    if config.environment == Environment::Production {
        let what = "accounts for a load test are not made in production; give --tokens FILE with users of yours, or --data DIR \
                    of a demo";
        return Err(Failure::Failed(what.to_owned()));
    }
    let (tokens, now) = (keys::tokens(&config)?, SystemClock.now());
    let longest = Duration::from_millis(config.limits.token_lifetime_ms);
    let ttl = (plan.duration + plan.ramp + BESIDE).min(longest);
    let (mut users, mut writes) = (Vec::new(), Vec::new());
    for number in 1..=plan.users {
        let user = UserId::parse(&format!("bench-{number}")).map_err(|reason| Failure::Failed(reason.into_owned()))?;
        let grant = Grant { user: user.clone(), ttl, session: None, family: None, permissions: Vec::new(), tier: None };
        let signed = tokens.sign(&grant, now).map_err(|error| {
            match error.code {
            Code::NoSigningKey => Failure::Failed(
                "there is no key to sign tokens with; give --data DIR of a demo, the server's own --config, or --tokens FILE"
                    .to_owned(),
            ),
            _ => error.into(),
        }
        })?;
        users.push((user.to_string(), signed));
        let account = Account::new(user, format!("Load test {number}"));
        writes.push(Write::Login(Box::new(LoginAct::CreateAccount { account, at: now, keep: true })));
    }
    let mut store = open::store(&config.database, &config.limits)?;
    for part in writes.chunks(ACCOUNTS_AT_ONCE) {
        let committed = store.log.commit(part).map_err(|outage| Failure::Unavailable(outage.to_string()))?;
        committed.outcomes.into_iter().collect::<Result<Vec<_>, _>>()?;
    }
    Ok(users)
}
