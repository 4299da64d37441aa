//! `token`: a bearer token for a program, signed with the own key.

use std::time::Duration;

use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};

use super::{Failure, Where, print};
use crate::{
    auth::token::{Grant, may_live},
    config::{Signing, Stored},
    domain::{Clock, Credential, LEEWAY, Permission, Time, UserId, logins::CredentialError},
    http::{gateway::SystemClock, keys, open},
    store::LoginReads as _,
};

#[derive(Debug, Args)]
pub struct TokenArgs {
    #[command(flatten)]
    place: Where,
    /// User id of the account that the token is for.
    #[arg(long, value_parser = user)]
    user: UserId,
    /// How long it lives, like 90s, 15m or 1h; at most 24h, unless HAILGATE_LIMIT_TOKEN_LIFETIME_MS says otherwise.
    #[arg(long, value_parser = lifetime, default_value = "1h", value_name = "TIME")]
    ttl: Duration,
    /// What it may do beyond a member's rights, whatever the account may; may stand several times.
    #[arg(long, value_parser = permission())]
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
pub(super) fn permission() -> impl TypedValueParser<Value = Permission> {
    let names = Permission::ALL.iter().map(|permission| permission.name());
    PossibleValuesParser::new(names).try_map(|name| Permission::named(&name).ok_or("there is no such permission"))
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
fn dated(signing: &Signing, user: &UserId) -> Result<Time, Failure> {
    let now = SystemClock.now();
    let Stored { database, limits } = &signing.store;
    let made_on_use = signing.create_users && UserId::new_local(user.as_str()).is_ok();
    if !database.exists() {
        if !made_on_use {
            eprintln!(
                "hailgate: there is no database {} here, so the account {user} was not looked up: where it does not exist, the \
                 token is refused with 401",
                database.display()
            );
        }
        return Ok(now);
    }
    let credential = Credential { issued_at: Some(now), ..Credential::of(user.clone()) };
    let store = match open::store(database, limits) {
        Ok(store) => store,
        Err(unopened) => {
            eprintln!("hailgate: the database cannot be asked whether the token opens anything: {unopened}");
            return Ok(now);
        }
    };
    let Ok(status) = actix::System::new().block_on(store.reads.credential_status(credential.clone(), now)) else {
        return Ok(now);
    };
    let Some(status) = status else {
        return if made_on_use {
            eprintln!(
                "hailgate: there is no account {user} yet; the first request with the token makes it (create_users is on)"
            );
            Ok(now)
        } else {
            Err(Failure::Failed(format!(
                "there is no account {user}, so the token would open nothing; `hailgate user add` makes one, and a user of an \
                 outside issuer has one after signing in"
            )))
        };
    };
    match status.judge(&credential) {
        Ok(()) => Ok(now),
        Err(CredentialError::Disabled) => Err(Failure::Failed(format!(
            "{user} is disabled, so the token would open nothing; `hailgate user enable {user}` takes that back"
        ))),
        Err(CredentialError::SignedOut) => {
            // A revocation reaches LEEWAY ahead, and a token may be dated as far ahead: just after it is early enough.
            let dated = Time(status.not_before.plus(LEEWAY).0 + 1);
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
    let signing = Signing::load(&args.place.sources(None)?)?;
    let tokens = keys::signer(&signing)?;
    // What cannot be signed at all is refused before the database is asked.
    let limits = &signing.store.limits;
    if !may_live(args.ttl, limits) {
        let most = limits.token_lifetime_ms / 1_000;
        return Err(Failure::Failed(format!(
            "--ttl is {} s, and a token lives between 1 s and {most} s; HAILGATE_LIMIT_TOKEN_LIFETIME_MS sets the longest life",
            args.ttl.as_secs()
        )));
    }
    let grant = Grant {
        user: args.user.clone(),
        ttl: args.ttl,
        session: None,
        family: None,
        permissions: args.permission.clone(),
        tier: args.tier.clone(),
    };
    print(&tokens.sign(&grant, dated(&signing, &args.user)?)?)
}
