//! `config`: a configuration file to begin with, and the settings in force, whether they are valid or not.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use clap::{Args, ValueHint};

use super::{Failure, Where, print};
use crate::{
    auth::session::{new_secret, secret_hash},
    config::{self, Config, Origin, Place},
};

/// Columns of a name in the list: that of the longest limit.
const SETTING_WIDTH: usize = 41;
/// Columns of a value in the list; a longer one pushes its origin to the right.
const VALUE_WIDTH: usize = 32;

const HELP: &str = "\
Examples:
  hailgate config > hailgate.toml           every setting, as a comment
  hailgate config --write hailgate.toml     the same with fresh keys, readable by this user alone
  hailgate config --show                    each value in force and where it comes from
  hailgate config --show --config FILE      the same with this file

--show exits with 78 if the configuration is refused, after it has listed everything; `hailgate check` also judges files
and keys, and says what each value does.";

#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct ConfigArgs {
    #[command(flatten)]
    place: Where,
    /// List each setting and limit with its value and where that was written; secrets are masked. So do --config and --data.
    #[arg(long)]
    show: bool,
    /// Write the file, with fresh keys for tokens and cookies, readable by this user alone; it must not exist.
    #[arg(long, value_name = "FILE", value_parser = super::path(), value_hint = ValueHint::FilePath,
          conflicts_with_all = ["show", "config", "data"])]
    write: Option<PathBuf>,
}

/// `hailgate config`.
pub fn run(args: &ConfigArgs) -> Result<(), Failure> {
    match &args.write {
        Some(path) => write(path),
        None if args.show || args.place.config.is_some() || args.place.data.is_some() => show(&args.place),
        None => print(config::template(&[]).trim_end()),
    }
}

/// A secret that signs tokens and a key that seals cookies, as they are written in a configuration.
pub(super) fn fresh_keys() -> io::Result<(String, String)> {
    let random = || new_secret().map_err(|_| io::Error::other("the random source failed"));
    // Two secrets of 43 characters each hold 512 random bits; hashed, they are the 64 bytes of a key.
    let session_key: Vec<u8> = [random()?, random()?].iter().flat_map(|half| secret_hash(half)).collect();
    Ok((random()?, hex::encode(session_key)))
}

/// Writes the file with keys of its own.
fn write(path: &Path) -> Result<(), Failure> {
    let (jwt_secret, session_key) = fresh_keys().map_err(|error| Failure::Failed(error.to_string()))?;
    let text = config::template(&[("jwt_secret", jwt_secret), ("session_key", session_key)]);
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| {
        // A part of it would stand in the way of the next try.
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).inspect_err(|_| drop(fs::remove_file(path)))
    });
    let shown = path.display();
    written.map_err(|error| {
        Failure::Failed(match error.kind() {
            io::ErrorKind::AlreadyExists => {
                format!("{shown} exists and stays as it is. Name another file, or move it away.")
            }
            io::ErrorKind::NotFound => {
                format!("{shown} cannot be made: its directory does not exist. Make it, or name another.")
            }
            _ => format!("{shown} cannot be written: {error}. Check who may write there, and how much space is left."),
        })
    })?;
    eprintln!(
        "{shown} was written, with fresh keys. Next: set `public_url` and `database_url` in it, then\n  \
         hailgate check --config {shown}\n  hailgate user add NAME --config {shown}\n  hailgate serve --config {shown}"
    );
    Ok(())
}

fn show(place: &Where) -> Result<(), Failure> {
    let found = Config::survey(&place.sources(None)?);
    let lines: Vec<String> = found.origins.iter().map(line).collect();
    print(&lines.join("\n"))?;
    if found.complaints.is_empty() { Ok(()) } else { Err(Failure::Config(found.complaints)) }
}

fn line(origin: &Origin) -> String {
    let place = match &origin.place {
        Place::Default => "default".to_owned(),
        place => place.to_string(),
    };
    format!("{:<SETTING_WIDTH$} {:<VALUE_WIDTH$} {place}", origin.setting, origin.value)
}
