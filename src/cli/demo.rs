//! `demo`: the one command of a newcomer. Development on loopback, with keys, accounts and a thread of its own, made
//! once in a directory and used again after a restart.

use std::{
    fs,
    io::Write as _,
    net::{SocketAddr, TcpListener},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use uuid::Uuid;

use super::{Failure, Where, logging, not_listening, print, serve, settings};
use crate::{
    auth::{
        Tokens,
        session::{new_secret, secret_hash},
        token::Grant,
    },
    config::{self, Complaint, Config, Environment},
    domain::{Account, Clock, Draft, LoginAct, RetryKey, ThreadId, UserId},
    error::Error,
    http::{gateway::SystemClock, keys, open},
    store::{Act, Change, Done, Log, Write, sqlite::Sqlite},
};

/// The accounts, and the host name each opens the page under: cookies belong to a host, so one browser holds both.
const PEOPLE: [(&str, &str, &str); 2] = [("alice", "Alice", "127.0.0.1"), ("bob", "Bob", "localhost")];
/// Ports tried after 8080 when it is taken.
const PORTS: std::ops::Range<u16> = 8080..8180;
/// How long a sign-in link can be used.
const LINK: Duration = Duration::from_secs(60 * 60);

#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Listen address; 127.0.0.1:8080 or the next free port if not given.
    #[arg(long, value_name = "ADDRESS")]
    bind: Option<String>,
    /// Where keys and messages are kept; the user's state directory if not given.
    #[arg(long, value_name = "DIR", value_parser = super::path())]
    data: Option<PathBuf>,
}

/// What the newcomer needs to see.
struct Prepared {
    thread: ThreadId,
    codes: Vec<String>,
    token: String,
}

/// `hailgate demo`.
pub fn run(args: &DemoArgs) -> Result<(), Failure> {
    let directory = args.data.clone().or_else(config::demo_directory);
    let directory = directory.ok_or_else(|| {
        Failure::Failed("there is no home directory to keep the demo's data in; name one by --data DIR".to_owned())
    })?;
    let directory = std::path::absolute(&directory).unwrap_or(directory);
    // Before anything is made.
    args.bind.as_deref().map_or(Ok(()), stays_here)?;
    make_directory(&directory).map_err(|error| unwritable(&directory, &error))?;
    let place = Where { config: None, data: Some(directory.clone()) };
    let load = || place.load(args.bind.clone());
    let mut config = load()?;
    config.demo = PEOPLE.iter().map(|(name, _, _)| user(name)).collect::<Result<_, _>>()?;
    let tokens = keys::tokens(&config)?;
    if config.environment != Environment::Development {
        return Err(Failure::Failed(format!(
            "a demo runs in development only, and {} says otherwise; use another --data",
            config::file_in(&directory).display()
        )));
    }
    if config.database != config::database_in(&directory) {
        return Err(Failure::Failed(format!(
            "a demo keeps its own database, and {} names another; use another --data",
            config::file_in(&directory).display()
        )));
    }
    logging::start(config.log_format);
    actix::System::new().block_on(async move {
        open::prove(&config).await?;
        let lock = open::lock_to_serve(&config)?;
        let prepared = prepare(&config, &tokens)?;
        let port = listen(args.bind.is_some(), config.bind)?;
        serve::serve(&config, lock, tokens, None, port, load, |port| tell(&directory, port, &prepared)).await
    })
}

/// Whether an address is one of this machine alone. A demo has no other settings to get there, so its words differ from those
/// about a server in development.
fn stays_here(bind: &str) -> Result<(), Failure> {
    let ip = bind.parse::<SocketAddr>().map(|address| address.ip()).or_else(|_| bind.trim_matches(['[', ']']).parse());
    let what = match ip {
        // An address without a port is refused with the configuration.
        Err(_) => return Ok(()),
        Ok(ip) if ip.is_loopback() => return Ok(()),
        Ok(_) => format!("A demo listens on this machine only, and {bind} is open to others: its links sign anybody in."),
    };
    let remedy = "Leave --bind out, or name a port of 127.0.0.1. To open the page elsewhere: ssh -L 8080:127.0.0.1:8080 THIS-HOST. \
                  To let others in, run a server: hailgate config --write hailgate.toml, then hailgate serve --config hailgate.toml.";
    Err(Failure::Config(vec![Complaint::new(what, &"flag --bind", remedy)]))
}

/// Why the directory cannot be used, and what to do.
fn unwritable(directory: &Path, error: &std::io::Error) -> Failure {
    let shown = directory.display();
    let obstacle = directory.ancestors().find(|path| path.exists());
    let (what, remedy) = match obstacle {
        Some(path) if !path.is_dir() => {
            (format!("{} is a file, not a directory", path.display()), "Name a directory by --data DIR.".to_owned())
        }
        Some(path) => (
            format!("the directory {shown} cannot be made or written: {error}"),
            format!("Give {} to this user, or name another directory by --data DIR.", path.display()),
        ),
        None => (format!("the directory {shown} cannot be made: {error}"), "Name another by --data DIR.".to_owned()),
    };
    Failure::Unavailable(format!("{what}. {remedy}"))
}

/// Makes the directory and the configuration with fresh keys, once, for this user alone.
fn make_directory(directory: &Path) -> std::io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let path = config::file_in(directory);
    let (jwt, session_key) = settings::fresh_keys()?;
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    let mut file = match file {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(error),
    };
    writeln!(
        file,
        "# Made by `hailgate demo`. The keys are good for this directory only.\n\
         environment = \"development\"\n\
         database_url = {}\n\
         jwt_secret = \"{jwt}\"\n\
         session_key = \"{session_key}\"",
        toml::Value::from(format!("sqlite://{}", config::database_in(directory).display())),
    )?;
    file.sync_all()
}

fn user(name: &str) -> Result<UserId, Failure> {
    UserId::parse(name).map_err(|reason| Failure::Failed(reason.into_owned()))
}

/// Accounts and thread, made once; sign-in codes and a token, made anew.
fn prepare(config: &Config, tokens: &Tokens) -> Result<Prepared, Failure> {
    let mut store = open::store(&config.database, &config.limits)?;
    let now = SystemClock.now();
    let (mut writes, mut codes) = (Vec::new(), Vec::new());
    for (name, display, _) in PEOPLE {
        let account = Account::new(user(name)?, display);
        writes.push(Write::Login(Box::new(LoginAct::CreateAccount { account, at: now, keep: true })));
        let code = new_secret().map_err(|_| Failure::Failed("the random source failed".to_owned()))?;
        let act = LoginAct::PutLink { code: secret_hash(&code), user: user(name)?, expires_at: now.plus(LINK) };
        writes.push(Write::Login(Box::new(act)));
        codes.push(code);
    }
    let (alice, bob) = (user(PEOPLE[0].0)?, user(PEOPLE[1].0)?);
    commit(&mut store, &writes)?;
    let thread = thread(&mut store, config, &alice, &bob)?;
    let grant = Grant {
        user: alice,
        ttl: Duration::from_secs(24 * 60 * 60),
        session: None,
        family: None,
        permissions: Vec::new(),
        tier: None,
    };
    Ok(Prepared { thread, codes, token: tokens.sign(&grant, now)? })
}

/// The shared thread: the one the first demo made, or a new one if alice has left it since.
fn thread(store: &mut Sqlite, config: &Config, alice: &UserId, bob: &UserId) -> Result<ThreadId, Failure> {
    let new = || Act::CreateThread { title: Some("Demo".to_owned()), members: vec![bob.clone()] };
    let made = match commit(store, &[change(alice, "demo thread", new())?]) {
        Ok(made) => made,
        Err(_) => commit(store, &[change(alice, &Uuid::now_v7().to_string(), new())?])?,
    };
    let Some(Done::Thread { view, duplicate }) = made.into_iter().next() else {
        return Err(Failure::Failed("the demo's thread could not be made".to_owned()));
    };
    let thread = view.thread.thread_id;
    if !duplicate {
        let words = "Hello! Open the other link in a second window and answer me.".to_owned();
        let draft = Draft::new(words, None, &config.limits).map_err(|(field, reason)| Error::field(field, reason))?;
        commit(store, &[change(alice, &Uuid::now_v7().to_string(), Act::Send { thread, draft })?])?;
    }
    Ok(thread)
}

/// A change under a retry key, so that a second demo in the same directory finds what the first made.
fn change(by: &UserId, key: &str, act: Act) -> Result<Write, Failure> {
    let key = RetryKey::new(key).map_err(|reason| Failure::Failed(reason.into_owned()))?;
    Ok(Write::Change(Change { id: Uuid::now_v7(), by: by.clone(), at: SystemClock.now(), key: Some(key), act }))
}

fn commit(store: &mut Sqlite, writes: &[Write]) -> Result<Vec<Done>, Failure> {
    let committed = store.log.commit(writes).map_err(|outage| Failure::Unavailable(outage.to_string()))?;
    Ok(committed.outcomes.into_iter().collect::<Result<_, _>>()?)
}

/// The asked address; or the first free port, where none was asked for.
fn listen(asked: bool, address: SocketAddr) -> Result<TcpListener, Failure> {
    let taken = |error: &std::io::Error| error.kind() == std::io::ErrorKind::AddrInUse;
    let mut last = TcpListener::bind(address);
    for port in PORTS.skip(1) {
        match &last {
            Err(error) if !asked && taken(error) => last = TcpListener::bind((address.ip(), port)),
            _ => break,
        }
    }
    last.map_err(|error| not_listening(address, &error))
}

/// What the newcomer reads, at once: whoever reads it through a pipe wants it now.
fn tell(directory: &Path, port: u16, prepared: &Prepared) -> Result<(), Failure> {
    let links = PEOPLE.iter().zip(&prepared.codes);
    let links = links.map(|((name, _, host), code)| format!("  {name:<6} http://{host}:{port}/#signin={code}"));
    print(&format!(
        "\nHailgate demo, data in {}\n\n\
         Open each link in a window of its own; it works once, within an hour:\n{}\n\n\
         Say something from a program:\n  \
         curl -s http://127.0.0.1:{port}/api/messages -H 'Content-Type: application/json' \\\n    \
         -H 'Authorization: Bearer {}' \\\n    -d '{{\"thread_id\":\"{}\",\"content\":\"Hello from curl\"}}'\n\n\
         Stop with Ctrl-C; start again and everything is still there.\n",
        directory.display(),
        links.collect::<Vec<_>>().join("\n"),
        prepared.token,
        prepared.thread
    ))
}
