//! The lock by which one process at a time serves from a database.
//!
//! Two servers on one file would each deliver only what they stored themselves. The lock is `flock` on a file beside the database,
//! `<name>.lock`: the system releases it with the process, however that ends. It is not on the database itself, because closing any
//! descriptor of that file would drop the locks by which SQLite keeps its own processes apart. See src/docs/decisions/store.md.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read, Seek, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, fchown},
    path::{Path, PathBuf},
};

/// Bytes of the lock's file that are read: a process, and a host of up to 64 bytes.
const HOLDER_BYTES_MAX: u64 = 128;

/// Held as long as this value lives, or the process.
#[derive(Debug)]
pub struct ServingLock {
    _file: File,
}

/// Why a database cannot be served from.
#[derive(Debug, thiserror::Error)]
pub enum Unserved {
    /// Another server does.
    #[error("it is served by {0} already, and two servers of one database would miss each other's messages")]
    Held(String),
    /// The file has several names.
    #[error(transparent)]
    Linked(#[from] Linked),
    /// The lock's file cannot be used; with the system's words.
    #[error("its lock {} cannot be taken: {_1}", .0.display())]
    Lock(PathBuf, io::Error),
    /// The system's words.
    #[error("{0}")]
    System(#[from] io::Error),
}

/// The database has several names. SQLite keeps its log beside the name by which the file was opened, so that processes which
/// open it by different names destroy it (sqlite.org/howtocorrupt.html, section 2.5).
#[derive(Debug, thiserror::Error)]
#[error("{} has {names} names (hard links), and each would get a log of its own, which destroys the database", .path.display())]
pub struct Linked {
    path: PathBuf,
    names: u64,
}

/// Creates the file if there is none, for its owner alone: it holds password hashes. SQLite gives its side files the same mode.
pub(super) fn create(database: &Path) -> io::Result<()> {
    match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(database) {
        // A symbolic link to a file that is not there yet counts as existing.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && !database.exists() => {
            fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(database).map(drop)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made.map(drop),
    }
}

/// Whether the file has one name.
///
/// # Errors
/// [`Linked`], if it has more.
pub fn one_name(database: &Path) -> Result<(), Linked> {
    match fs::metadata(database) {
        Ok(file) if file.is_file() && file.nlink() > 1 => Err(Linked { path: database.to_owned(), names: file.nlink() }),
        _ => Ok(()),
    }
}

impl ServingLock {
    /// Takes the lock of a database, which is created if there is none. Symbolic links and relative paths lead to the same lock.
    ///
    /// # Errors
    /// [`Unserved`]; `Held` names the process.
    pub fn take(database: &Path) -> Result<ServingLock, Unserved> {
        create(database)?;
        one_name(database)?;
        let mut path = database.canonicalize()?.into_os_string();
        path.push(".lock");
        let path = PathBuf::from(path);
        let opened = File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let mut file = opened.map_err(|error| Unserved::Lock(path.clone(), error))?;
        // Root makes it for the database's owner, as SQLite does with its side files: that user serves from it next time. Others
        // may not give files away, and need not.
        let owner = fs::metadata(database)?;
        let _ = fchown(&file, Some(owner.uid()), Some(owner.gid()));
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Unserved::Held(holder(&mut file))),
            Err(TryLockError::Error(error)) => return Err(Unserved::Lock(path, error)),
        }
        // Only words of refusals come from what is written, so a full disk is no reason to refuse.
        let line = format!("{} {}\n", std::process::id(), host());
        if let Err(error) = file.set_len(0).and_then(|()| file.write_all(line.as_bytes())) {
            log::warn!("the process that serves could not be written beside the database: {error}");
        }
        Ok(ServingLock { _file: file })
    }
}

/// Who holds the lock, in words.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let _ = file.rewind().and_then(|()| file.take(HOLDER_BYTES_MAX).read_to_string(&mut text));
    let mut words = text.split_whitespace();
    let process = words.next().and_then(|number| number.parse::<u32>().ok());
    let safe = |host: &&str| host.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    match (process, words.next().filter(safe)) {
        (Some(process), Some(host)) if process == std::process::id() && host == self::host() => {
            format!("this process ({process})")
        }
        (Some(process), Some(host)) if host == self::host() => format!("process {process} on this machine"),
        (Some(process), Some(host)) => format!("process {process} on {host}"),
        _ => "another process".to_owned(),
    }
}

/// The machine's name, or the container's: process ids count in each of its own.
fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Only root can give files away.
    #[test]
    fn the_lock_belongs_to_the_owner_of_the_database() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("h.db");
        fs::write(&file, "").expect("a file");
        if std::os::unix::fs::chown(&file, Some(1_234), Some(1_235)).is_ok() {
            drop(ServingLock::take(&file).expect("a lock"));
            let lock = fs::metadata(directory.path().join("h.db.lock")).expect("a file");
            assert_eq!((lock.uid(), lock.gid(), lock.mode() & 0o777), (1_234, 1_235, 0o600));
        }
        let path = directory.path().join("other.db");
        fs::create_dir(directory.path().join("other.db.lock")).expect("a directory in its place");
        let said = ServingLock::take(&path).expect_err("no file").to_string();
        assert!(said.contains("other.db.lock") && said.contains("cannot be taken"), "{said}");
    }

    #[test]
    fn one_at_a_time_holds_the_lock_whatever_the_file_is_called() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("h.db");
        let (link, dangling) = (directory.path().join("link.db"), directory.path().join("dangling.db"));
        std::os::unix::fs::symlink(&file, &link).expect("a link");
        std::os::unix::fs::symlink("h.db", &dangling).expect("a link");
        let held = ServingLock::take(&dangling).expect("a new database");
        assert_eq!(fs::metadata(&file).expect("it was created").mode() & 0o777, 0o600);
        fs::create_dir(directory.path().join("sub")).expect("a directory");
        for name in [&file, &link, &dangling, &directory.path().join("sub/../h.db")] {
            let said = ServingLock::take(name).expect_err("held").to_string();
            assert!(said.contains(&format!("this process ({})", std::process::id())), "{said}");
        }
        drop(held);
        drop(ServingLock::take(&link).expect("free again"));
        // What a process left that was killed says nothing.
        fs::write(directory.path().join("h.db.lock"), "1 elsewhere\n").expect("a file");
        let held = ServingLock::take(&file).expect("nobody holds it");
        fs::write(directory.path().join("h.db.lock"), "77 node-2.example\n").expect("a file");
        assert!(ServingLock::take(&file).expect_err("held").to_string().contains("process 77 on node-2.example"));
        fs::write(directory.path().join("h.db.lock"), "x \u{1b}[2J\n").expect("a file");
        assert!(ServingLock::take(&file).expect_err("held").to_string().contains("another process"));
        drop(held);
        fs::hard_link(&file, directory.path().join("other.db")).expect("a second name");
        assert!(matches!(ServingLock::take(&file), Err(Unserved::Linked(_))));
    }
}
