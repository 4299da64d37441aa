//! `token`: a bearer token for a program, signed with the own key.

use std::time::Duration;

use clap::Args;

use super::{Failure, Where, print};
use crate::{
    auth::token::Grant,
    config::{Complaint, Config},
    domain::{Clock, Credential, LEEWAY, Permission, Time, UserId, logins::Fallen},
    error::{Code, Error},
    http::{gateway::SystemClock, keys, open},
    store::LoginReads as _,
};

#[derive(Debug, Args)]
pub struct TokenArgs {
    #[command(flatten)]
    place: Where,
    /// Whom the token is for.
    #[arg(long, value_parser = user)]
    user: UserId,
    /// How long it lives, at most 24h.
    #[arg(long, value_parser = lifetime, default_value = "1h", value_name = "TIME")]
    ttl: Duration,
    /// What it may do beyond a member's rights, whatever the account may; may stand several times.
    #[arg(long, value_parser = permission)]
    permission: Vec<Permission>,
    /// Customer tier, instead of the account's.
    #[arg(long, value_parser = super::line)]
    tier: Option<String>,
}

/// A user id on the command line.
pub(super) fn user(text: &str) -> Result<UserId, String> {
    UserId::parse(text).map_err(|reason| reason.into_owned())
}

/// A permission on the command line.
pub(super) fn permission(text: &str) -> Result<Permission, String> {
    let names: Vec<&str> = Permission::ALL.iter().map(|permission| permission.name()).collect();
    Permission::named(text).ok_or_else(|| format!("write one of: {}", names.join(", ")))
}

/// A time on the command line.
pub(super) fn lifetime(text: &str) -> Result<Duration, String> {
    let wrong = || "write a time like 90s, 15m or 1h".to_owned();
    let span: jiff::SignedDuration = text.parse().map_err(|_| wrong())?;
    Duration::try_from(span).map_err(|_| wrong())
}

/// When the token is dated. Refuses to sign what would open nothing: a token for somebody without an account, where a token
/// makes none, for a disabled account, and for one that was signed out by a clock that is ahead. Where the database is not at
/// hand, on another machine, nobody can tell.
fn dated(config: &Config, user: &UserId) -> Result<Time, Failure> {
    let now = SystemClock.now();
    if !config.database.exists() {
        return Ok(now);
    }
    let made_on_use = config.create_users && UserId::new_local(user.as_str()).is_ok();
    let credential = Credential { issued_at: Some(now), ..Credential::of(user.clone()) };
    let store = match open::store(config) {
        Ok(store) => store,
        Err(unopened) => {
            eprintln!("hailgate: the database cannot be asked whether the token opens anything: {unopened}");
            return Ok(now);
        }
    };
    let Ok(standing) = actix::System::new().block_on(store.reads.standing(credential.clone(), now)) else { return Ok(now) };
    let Some(standing) = standing else {
        return if made_on_use {
            Ok(now)
        } else {
            Err(Failure::Failed(format!(
                "there is no account {user}, so the token would open nothing; `hailgate user add` makes one, and a user of an \
                 outside issuer has one after signing in"
            )))
        };
    };
    match standing.judge(&credential) {
        Ok(()) => Ok(now),
        Err(Fallen::Disabled) => Err(Failure::Failed(format!(
            "{user} is disabled, so the token would open nothing; `hailgate user enable {user}` takes that back"
        ))),
        Err(Fallen::SignedOut) => {
            // A revocation reaches LEEWAY ahead, and a token may be dated as far ahead: just after it is early enough.
            let dated = Time(standing.not_before.plus(LEEWAY).0 + 1);
            if dated <= now.plus(LEEWAY) {
                return Ok(dated);
            }
            let wait = dated.since(now).saturating_sub(LEEWAY).as_secs() + 1;
            Err(Failure::Failed(format!(
                "{user} was signed out by a clock that was ahead of this one: a token would open nothing; try again in {wait} s"
            )))
        }
    }
}

/// `hailgate token`: nothing else on stdout.
pub fn run(args: &TokenArgs) -> Result<(), Failure> {
    let config = args.place.load(None)?;
    let grant = Grant {
        user: args.user.clone(),
        ttl: args.ttl,
        session: None,
        family: None,
        permissions: args.permission.clone(),
        tier: args.tier.clone(),
    };
    let tokens = keys::tokens(&config)?;
    let sign = |at| tokens.sign(&grant, at).map_err(refused);
    // What cannot be signed at all is refused before the database is asked.
    sign(SystemClock.now())?;
    print(&sign(dated(&config, &args.user)?)?)
}

fn refused(error: Error) -> Failure {
    match error.code {
        Code::NoSigningKey => {
            let place = "variable HAILGATE_JWT_SECRET or HAILGATE_JWT_PRIVATE_KEY (neither is set)";
            Failure::Config(vec![Complaint::new(
                "There is no own key to sign with.",
                &place,
                "Set one of them, or get a token from a trusted issuer.",
            )])
        }
        _ => error.into(),
    }
}
