//! The files that a configuration names: whether the database can be where it should, found out without opening or making
//! anything there; and whether others can read files with secrets.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use rustix::fs::{Access, access};

use crate::{
    config::{Complaint, Config, Place, SETTINGS},
    store::sqlite::one_name,
};

/// What every file of SQLite begins with.
const HEADER: &[u8; 16] = b"SQLite format 3\0";

/// Why the database could not be opened or made, and what to do.
pub(crate) fn judge(config: &Config) -> Result<(), Complaint> {
    obstacle(&config.database).map_or(Ok(()), |(what, remedy)| {
        let place = config.origins.iter().find(|origin| origin.setting == "database_url").map(|origin| &origin.place);
        Err(Complaint::new(format!("{what}."), place.unwrap_or(&Place::Default), remedy))
    })
}

/// What is in the way, and what to do about it; none if nothing is.
pub(crate) fn obstacle(database: &Path) -> Option<(String, String)> {
    let directory = database.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (shown, within) = (database.display(), directory.display());
    match fs::metadata(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let remedy = format!("Make it: install -d -m 700 {within}, owned by the user who runs the server.");
            return Some((format!("the directory {within} does not exist"), remedy));
        }
        Err(error) => return Some((format!("the directory {within} cannot be looked at: {error}"), mine(directory))),
        Ok(found) if !found.is_dir() => {
            return Some((format!("{within} is no directory"), "Name a file in a directory.".to_owned()));
        }
        Ok(_) => {}
    }
    // Beside the file SQLite makes others.
    if access(directory, Access::WRITE_OK | Access::EXEC_OK).is_err() {
        return Some((format!("the directory {within} cannot be written by this user"), mine(directory)));
    }
    match fs::metadata(database) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => return Some((format!("{shown} cannot be looked at: {error}"), mine(database))),
        Ok(found) if found.is_dir() => {
            return Some((format!("{shown} is a directory"), format!("Name a file in it, like {shown}/hailgate.db.")));
        }
        Ok(found) if !found.is_file() => {
            return Some((format!("{shown} is no plain file"), "Name another file.".to_owned()));
        }
        Ok(_) => {}
    }
    if let Err(linked) = one_name(database) {
        return Some((linked.to_string(), "Remove the other names; copy a database by `VACUUM INTO` instead.".to_owned()));
    }
    if access(database, Access::READ_OK | Access::WRITE_OK).is_err() {
        return Some((format!("{shown} cannot be read and written by this user"), mine(database)));
    }
    let mut head = Vec::new();
    let read = File::open(database).and_then(|file| file.take(HEADER.len() as u64).read_to_end(&mut head));
    match read {
        Err(error) => Some((format!("{shown} cannot be read: {error}"), mine(database))),
        // An empty file becomes a database.
        Ok(_) if head.is_empty() || head == HEADER => None,
        Ok(_) => Some((format!("{shown} is another kind of file, no SQLite database"), "Name another file.".to_owned())),
    }
}

/// Files with secrets that others on this machine can read, each with its setting and mode.
pub(crate) fn readable(config: &Config) -> Vec<(&'static str, PathBuf, u32)> {
    let written = |key: &str| config.origins.iter().find(|origin| origin.setting == key).map(|origin| &origin.place);
    let secrets = SETTINGS.iter().filter(|setting| setting.secret);
    let in_file = secrets.filter_map(|setting| match written(setting.key) {
        Some(Place::File(path, _)) => Some((setting.key, path.clone())),
        _ => None,
    });
    let key = config.private_key_file.iter().map(|path| ("jwt_private_key", path.clone()));
    let mut found: Vec<(&'static str, PathBuf, u32)> = Vec::new();
    let of_port = config.tls.iter().map(|files| ("tls_key", files.key.clone()));
    for (setting, path) in in_file.chain(key).chain(of_port) {
        let mode = fs::metadata(&path).map_or(0, |file| file.permissions().mode() & 0o777);
        if mode & 0o077 != 0 && found.iter().all(|(_, other, _)| *other != path) {
            found.push((setting, path, mode));
        }
    }
    found
}

fn mine(path: &Path) -> String {
    format!("Give {} to the user who runs the server, with chown.", path.display())
}
