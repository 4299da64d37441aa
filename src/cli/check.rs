//! `check`: what a deployment would be, before it is one; and, with `--url`, what it is from outside.

mod cures;
mod document;
mod effects;
mod live;
mod outside;
mod questions;

use std::{io::BufRead, time::Instant};

use clap::Args;
use serde::Serialize;

use super::{Failure, Where, print, serve};
use crate::{
    config::{Config, Environment},
    http::{
        files, keys,
        probe::{self, ProbeSettings},
    },
};

use document::Document;

/// The fields of the JSON documents; part of `--help`, and stable.
const HELP: &str = "\
JSON without --url: {ok, exit_code,
  settings: [{name, variable, value, origin: {kind: default|file|variable|flag, name?, path?, line?}, effect}],
  trusted_issuers: [{issuer, audience, algorithms, keys, keys_read, prefix, permissions, allow_missing_typ, origin}],
  limits: [{name, variable, value, unit, origin, meaning}], stack: [{layer, does}],
  probe: {ok, verdict, milliseconds,
    checks: [{part: credential|rule|route, credential?, kind?, question, method, path, expected, got, ok}]},
  warnings: [{setting, what, do}], refusals: [{what, where, do}]}
  Secrets are masked. Of a refused configuration there are no settings and limits, only refusals, and its probe is null.
JSON with --url: {ok, exit_code, url, reachable, trouble?,
  findings: [{question, asked, expected, got, ok, do?}]}

Exit codes: 0 all is well, warnings or not · 69 the server cannot be reached · 78 something is refused, wrong or failed";

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct CheckArgs {
    #[command(flatten)]
    place: Where,
    /// Listen address, as `serve` would be given it.
    #[arg(long, value_name = "ADDRESS")]
    bind: Option<String>,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    /// Ask a running server from outside instead, by harmless requests without credentials; needs no configuration.
    #[arg(long, value_name = "URL", value_parser = outside::base, conflicts_with_all = ["config", "data", "bind"])]
    url: Option<reqwest::Url>,
    /// With --url: origin of the pages that people open, if it is not the URL's own; `none` where only programs come.
    #[arg(long, value_name = "ORIGIN", requires = "url", value_parser = outside::Pages::named)]
    origin: Option<outside::Pages>,
    /// With --url: read a bearer token from stdin and ask for a socket, an event stream and a long poll too.
    ///
    /// Each must outlast a heartbeat of the server in silence, so this takes 25 s unless the server is set otherwise.
    #[arg(long, requires = "url")]
    token_stdin: bool,
    /// With --url: fail unless the server says that it is this environment.
    #[arg(long, value_name = "NAME", requires = "url", value_parser = environment)]
    expect_environment: Option<Environment>,
}

fn environment(name: &str) -> Result<Environment, String> {
    Environment::named(name).ok_or_else(|| format!("write one of: {}", Environment::ALL.map(Environment::name).join(", ")))
}

/// `hailgate check`.
pub fn run(args: &CheckArgs) -> Result<(), Failure> {
    match &args.url {
        Some(url) => {
            let token = args.token_stdin.then(token).transpose()?;
            let pages = args.origin.as_ref().unwrap_or(&outside::Pages::Own);
            outside::run(url, args.expect_environment, pages, token.as_deref(), args.json)
        }
        None => inside(args),
    }
}

/// The first line of stdin.
fn token() -> Result<String, Failure> {
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line);
    read.map_err(|error| Failure::Failed(format!("stdin cannot be read: {error}")))?;
    let token = line.trim();
    if token.is_empty() {
        return Err(Failure::Failed(
            "There is no token on stdin. Write: hailgate token --user NAME | hailgate check ...".into(),
        ));
    }
    Ok(token.to_owned())
}

/// Configuration and probe. Nothing is written, migrated or opened, except a store in memory.
fn inside(args: &CheckArgs) -> Result<(), Failure> {
    let config = match args.place.load(args.bind.clone()).and_then(judged) {
        Err(Failure::Config(complaints)) if args.json => Err(complaints),
        config => Ok(config?),
    };
    let config = match config {
        Ok(config) => config,
        Err(complaints) => {
            json(&Document::refused(&complaints))?;
            return Err(Failure::Told);
        }
    };
    let began = Instant::now();
    let report = actix::System::new().block_on(probe::run(&ProbeSettings::of(&config)))?;
    let verdict = report.verdict();
    let document = Document::new(&config, &report, began.elapsed());
    if args.json {
        json(&document)?;
        return if document.ok { Ok(()) } else { Err(Failure::Told) };
    }
    print(&document.lines(&report).join("\n"))?;
    verdict.map_or(Ok(()), |verdict| Err(Failure::Probe(verdict)))
}

/// Keys and files are judged with the rest: one that cannot be used is a refusal too.
fn judged(config: Config) -> Result<Config, Failure> {
    let mut complaints = keys::tokens(&config).err().unwrap_or_default();
    complaints.extend(serve::tls(&config).err().unwrap_or_default());
    complaints.extend(files::judge(&config).err());
    if complaints.is_empty() { Ok(config) } else { Err(Failure::Config(complaints)) }
}

fn json(document: &impl Serialize) -> Result<(), Failure> {
    print(&serde_json::to_string_pretty(document).unwrap_or_default())
}
