//! `user`: accounts, straight in the store; a running server sees the change at the next request.

use std::io::{BufRead, IsTerminal};

use clap::{Args, Subcommand};

use super::{Failure, Where, print, token};
use crate::{
    auth::password,
    config::Stored,
    domain::{Account, Clock, LoginAct, LoginDone, Permission, Time, UserId, shown_name},
    http::{files, gateway::SystemClock, open},
    store::{Done, Log, LoginReads, Write},
};

#[derive(Debug, Args)]
pub struct UserArgs {
    #[command(flatten)]
    place: Where,
    #[command(subcommand)]
    command: UserCommand,
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// Create an account.
    Add {
        /// Its user id, in lower case.
        #[arg(value_parser = new_user)]
        name: UserId,
        /// The name people read; the user id if not given.
        #[arg(long)]
        display: Option<String>,
        /// E-mail, never shown to others.
        #[arg(long, value_parser = super::line)]
        email: Option<String>,
        /// Read the password from standard input instead of asking for it.
        #[arg(long)]
        password_stdin: bool,
        /// What it may do beyond a member's rights; may stand several times.
        #[arg(long, value_parser = token::permission())]
        permission: Vec<Permission>,
    },
    /// List accounts, a line each: user id, name, permissions, state.
    List,
    /// Set another password; signs the user out everywhere.
    Passwd {
        /// User id of the account.
        #[arg(value_parser = token::user)]
        name: UserId,
        /// Read the password from standard input instead of asking for it.
        #[arg(long)]
        password_stdin: bool,
    },
    /// Refuse an account from now on, and close what it has open.
    Disable {
        /// User id of the account.
        #[arg(value_parser = token::user)]
        name: UserId,
    },
    /// Let a disabled account sign in again.
    Enable {
        /// User id of the account.
        #[arg(value_parser = token::user)]
        name: UserId,
    },
    /// Give an account permissions beyond a member's rights.
    Grant {
        /// User id of the account.
        #[arg(value_parser = token::user)]
        name: UserId,
        /// The permission; may stand several times.
        #[arg(long, required = true, value_parser = token::permission())]
        permission: Vec<Permission>,
    },
    /// Sign a user out everywhere, and close what is open.
    ///
    /// The user may sign in again. Tokens that are signed outside of a sign-in within the next 5 s are refused too. With
    /// permissions, these are taken away as well.
    Revoke {
        /// User id of the account.
        #[arg(value_parser = token::user)]
        name: UserId,
        /// The permission to take away; may stand several times.
        #[arg(long, value_parser = token::permission())]
        permission: Vec<Permission>,
    },
}

impl UserCommand {
    /// Whose account it is about.
    fn user(&self) -> Option<&UserId> {
        match self {
            UserCommand::List => None,
            UserCommand::Add { name, .. }
            | UserCommand::Passwd { name, .. }
            | UserCommand::Disable { name }
            | UserCommand::Enable { name }
            | UserCommand::Grant { name, .. }
            | UserCommand::Revoke { name, .. } => Some(name),
        }
    }
}

fn new_user(text: &str) -> Result<UserId, String> {
    UserId::new_local(text).map_err(|reason| reason.into_owned())
}

/// `hailgate user ...`.
pub fn run(args: UserArgs) -> Result<(), Failure> {
    let Stored { database, limits } = Stored::load(&args.place.sources(None)?)?;
    let adds = matches!(args.command, UserCommand::Add { .. });
    // Where something is in the way, opening says what.
    if !adds && !database.exists() && files::obstacle(&database).is_none() {
        return Err(Failure::Unavailable(format!(
            "there is no database {}, so there are no accounts. Name the server's own by HAILGATE_DATABASE_URL, --config or \
             --data; `hailgate serve` and `hailgate user add` make a new one.",
            database.display()
        )));
    }
    let mut store = open::store(&database, &limits)?;
    let user = args.command.user().cloned();
    let Some((acts, said)) = changes(args.command)? else { return list(&store.reads) };
    let writes: Vec<Write> = acts.into_iter().map(|act| Write::Login(Box::new(act))).collect();
    let committed =
        store.log.commit(&writes).map_err(|outage| Failure::Unavailable(format!("nothing was changed: {outage}")))?;
    let mut held = None;
    for outcome in committed.outcomes {
        match outcome? {
            Done::Login(LoginDone::Permissions(permissions)) => held = Some(named(&permissions)),
            Done::Login(LoginDone::NoSuchUser) => return Err(no_user(user.as_ref())),
            Done::Login(LoginDone::NameTaken) => return Err(taken(user.as_ref())),
            _ => {}
        }
    }
    eprintln!("{said}{}", held.map(|held| format!(": {held}")).unwrap_or_default());
    Ok(())
}

/// The changes that a command makes, and the sentence that reports them; `None` for the list.
fn changes(command: UserCommand) -> Result<Option<(Vec<LoginAct>, String)>, Failure> {
    Ok(Some(match command {
        UserCommand::List => return Ok(None),
        UserCommand::Add { name, display, email, password_stdin, permission } => {
            let said = format!("{name} was added");
            let account = Account {
                name: display.as_deref().and_then(shown_name).unwrap_or_else(|| name.to_string()),
                user_id: name,
                email,
                tier: "free".to_owned(),
                permissions: permission,
                disabled: false,
                password_hash: Some(new_password(password_stdin)?),
                login_epoch: 0,
            };
            (vec![LoginAct::CreateAccount { account, at: now(), keep: false }], said)
        }
        UserCommand::Passwd { name, password_stdin } => {
            let said = format!("{name} has a new password and is signed out everywhere");
            let hash = new_password(password_stdin)?;
            // Now, and not when it was asked for: what was signed meanwhile ends too.
            (vec![LoginAct::SetPassword { user: name, hash, keep: None, at: now() }], said)
        }
        UserCommand::Disable { name: user } => {
            let said = format!("{user} is disabled");
            (vec![LoginAct::SetDisabled { user, disabled: true, at: now() }], said)
        }
        UserCommand::Enable { name: user } => {
            let said = format!("{user} may sign in again");
            (vec![LoginAct::SetDisabled { user, disabled: false, at: now() }], said)
        }
        UserCommand::Grant { name: user, permission } => {
            let said = format!("{user} may now");
            (vec![LoginAct::ChangePermissions { user, give: permission, take: Vec::new() }], said)
        }
        UserCommand::Revoke { name: user, permission } => {
            let said = format!("{user} is signed out everywhere, and may still");
            let fewer = LoginAct::ChangePermissions { user: user.clone(), give: Vec::new(), take: permission };
            (vec![LoginAct::Revoke { user, at: now() }, fewer], said)
        }
    }))
}

fn now() -> Time {
    SystemClock.now()
}

fn no_user(user: Option<&UserId>) -> Failure {
    let name = user.map_or("", UserId::as_str);
    Failure::Failed(format!("there is no user {name}, so nothing was changed; `hailgate user list` names them all"))
}

fn taken(user: Option<&UserId>) -> Failure {
    let name = user.map_or("", UserId::as_str);
    Failure::Failed(format!("there is already a user {name}; `hailgate user passwd {name}` sets another password"))
}

fn named(permissions: &[Permission]) -> String {
    let names: Vec<&str> = permissions.iter().map(|permission| permission.name()).collect();
    if names.is_empty() { "nothing beyond a member's rights".to_owned() } else { names.join(", ") }
}

fn list(reads: &impl LoginReads) -> Result<(), Failure> {
    const PAGE: u64 = 100;
    let system = actix::System::new();
    let mut after = None;
    loop {
        let page = system
            .block_on(reads.accounts(after.clone(), PAGE))
            .map_err(|outage| Failure::Unavailable(outage.to_string()))?;
        for account in &page {
            let permissions: Vec<&str> = account.permissions.iter().map(|permission| permission.name()).collect();
            let state = if account.disabled { "disabled" } else { "active" };
            let name = shown_name(&account.name).unwrap_or_default();
            print(&format!("{}\t{name}\t{}\t{state}", account.user_id, permissions.join(",")))?;
        }
        match page.last() {
            Some(last) if page.len() as u64 == PAGE => after = Some(last.user_id.clone()),
            _ => return Ok(()),
        }
    }
}

/// The hash of a password, from standard input or asked for twice.
fn new_password(from_stdin: bool) -> Result<String, Failure> {
    let failed = |error: std::io::Error| Failure::Failed(format!("the password could not be read: {error}"));
    let password = if from_stdin {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line).map_err(failed)?;
        // A password may begin and end with spaces: only the end of the line goes.
        let line = line.strip_suffix('\n').unwrap_or(&line);
        line.strip_suffix('\r').unwrap_or(line).to_owned()
    } else if std::io::stdin().is_terminal() {
        let password = rpassword::prompt_password("New password: ").map_err(failed)?;
        let again = rpassword::prompt_password("Once more: ").map_err(failed)?;
        if password::prepared(&again) != password::prepared(&password) {
            return Err(Failure::Failed("the two passwords differ; nothing was changed".to_owned()));
        }
        password
    } else {
        return Err(Failure::Failed("there is no terminal to ask for the password; use --password-stdin".to_owned()));
    };
    password::check_new("password", &password)
        .map_err(|error| Failure::Failed(format!("{}; nothing was changed", error.detail)))?;
    Ok(password::hash(&password)?)
}
