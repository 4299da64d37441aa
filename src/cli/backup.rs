//! `backup`: a whole copy of the database in a new file, beside a running server.

use std::path::PathBuf;

use clap::Args;

use super::{Failure, Where, print};
use crate::{
    config::Stored,
    store::sqlite::{BackupError, Sqlite},
};

#[derive(Debug, Args)]
pub struct BackupArgs {
    #[command(flatten)]
    place: Where,
    /// The file to make; it must not exist.
    file: PathBuf,
}

/// `hailgate backup FILE`.
pub fn run(args: &BackupArgs) -> Result<(), Failure> {
    let config = Stored::load(&args.place.sources(None)?)?;
    let (database, to) = (config.database.display(), args.file.display());
    let backup = Sqlite::back_up(&config.database, &args.file).map_err(|error| match error {
        BackupError::Source(_) | BackupError::Linked(_) => {
            Failure::Unavailable(format!("there is no backup of {database}: {error}. Check HAILGATE_DATABASE_URL."))
        }
        BackupError::Exists(ref path) if *path != args.file => Failure::Failed(format!(
            "there is no backup: {error}. Another backup to this file is under way, or one was interrupted: then delete it."
        )),
        BackupError::Exists(_) => Failure::Failed(format!("there is no backup: {error} and stays. Name another file.")),
        BackupError::Copy(_) => Failure::Failed(format!(
            "there is no backup in {to}: {error}. Check who may write there, and how much space is left."
        )),
    })?;
    print(&format!("{to}: {} events, {} bytes", backup.events, backup.bytes))
}
