//! Files of a load test: results that are written, and read again.

use std::{
    fs::File,
    io::{Read, Write},
    path::{Path, PathBuf},
};

use crate::{bench::results::Results, cli::Failure};

/// Largest file of results that is read, in bytes: a week's.
const BYTES_MAX: u64 = 536_870_912;

/// A file that will be written.
pub struct Sheet {
    path: PathBuf,
    file: File,
}

impl Sheet {
    /// Makes it, empty.
    pub fn new(path: &Path) -> Result<Sheet, Failure> {
        let file = File::create(path).map_err(|error| unwritten(path, &error))?;
        Ok(Sheet { path: path.to_owned(), file })
    }

    /// Writes it.
    pub fn write(mut self, text: &str) -> Result<(), Failure> {
        self.file.write_all(text.as_bytes()).map_err(|error| unwritten(&self.path, &error))
    }
}

fn unwritten(path: &Path, error: &std::io::Error) -> Failure {
    Failure::Failed(format!("{} cannot be written: {error}", path.display()))
}

/// Reads what `--json` wrote.
pub fn read(path: &Path) -> Result<Results, Failure> {
    let unread = |error: String| Failure::Failed(format!("{} cannot be read: {error}", path.display()));
    let file = File::open(path).map_err(|error| unread(error.to_string()))?;
    let mut text = String::new();
    file.take(BYTES_MAX).read_to_string(&mut text).map_err(|error| unread(error.to_string()))?;
    Results::read(&text).map_err(|error| unread(error.to_string()))
}
