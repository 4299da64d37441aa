//! What the machine has to offer: root, mounts that end with the test, packages.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use tempfile::TempDir;

use crate::server::Site;

/// Something that not every machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// The right to mount, in a mount namespace of one's own.
    Mounts,
    /// Loop devices.
    Loops,
    /// A program, and Debian's package that has it.
    Program(&'static str, &'static str),
}

impl Need {
    /// Why it is not there, and whether tests/run can install it.
    fn missing(self) -> Option<(String, bool)> {
        match self {
            Need::Mounts => {
                let tried = Command::new("unshare").args(["--mount", "--propagation", "private", "true"]).output();
                let may = tried.is_ok_and(|tried| tried.status.success());
                (!may).then(|| ("only root may mount".to_owned(), false))
            }
            Need::Loops => {
                (!Path::new("/dev/loop-control").exists()).then(|| ("there are no loop devices".to_owned(), false))
            }
            Need::Program(name, package) => {
                let path = env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
                let there = path.split(':').any(|folder| Path::new(folder).join(name).exists());
                (!there).then(|| (format!("{name} is not installed (Debian's package {package}; tests/run does it)"), true))
            }
        }
    }
}

/// Whether the machine has all of these; if not, the test says so and passes. What tests/run installs is never missing
/// with `CI=true`.
pub fn has(needs: &[Need]) -> bool {
    let Some((why, installable)) = needs.iter().find_map(|need| need.missing()) else { return true };
    assert!(!installable || env::var("CI").as_deref() != Ok("true"), "{why}");
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    // Not `println!`, which a test that passes keeps to itself.
    let _ = writeln!(std::io::stdout(), "SKIPPED {test}: {why}");
    false
}

/// A mount namespace of its own and a directory to mount in. What is mounted here is seen by nobody else, and ends, loop
/// devices too, when the last process in it does: this value, or the tests' process however that ends, and the servers.
pub struct Mounts {
    directory: TempDir,
    keeper: Child,
}

impl Mounts {
    pub fn new() -> Mounts {
        let directory = TempDir::new().expect("a temporary directory");
        // It reads the end of its input when the tests' process is gone, and removes what that left.
        let keep = "echo here; read line; umount --lazy \"$0\"/* 2> /dev/null; rm -rf -- \"$0\"";
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "--propagation", "private", "sh", "-c", keep]).arg(directory.path());
        let mut keeper = unshare.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("unshare");
        let mut said = String::new();
        BufReader::new(keeper.stdout.take().expect("a pipe")).read_line(&mut said).expect("a line");
        assert_eq!(said, "here\n");
        Mounts { directory, keeper }
    }

    /// A path in the directory.
    pub fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    fn enter(&self) -> Vec<String> {
        vec!["nsenter".to_owned(), format!("--mount=/proc/{}/ns/mnt", self.keeper.id()), "--".to_owned()]
    }

    /// Runs a script in here, with its directory as the working one; whether it succeeded, and what it said.
    pub fn tries(&self, script: &str) -> (bool, String) {
        let enter = self.enter();
        let mut shell = Command::new(&enter[0]);
        shell.args(&enter[1..]).args(["sh", "-ec", &format!("PATH=$PATH:/usr/sbin:/sbin\ncd \"$0\"\n{script}")]);
        let output = shell.arg(self.directory.path()).stdin(Stdio::null()).output().expect("nsenter");
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).trim().to_owned())
    }

    /// The same; it must succeed.
    #[track_caller]
    pub fn run(&self, script: &str) -> String {
        let (done, said) = self.tries(script);
        assert!(done, "{script}: {said}");
        said
    }

    /// A site whose store lies in a folder of this directory, with these variables too. Its programs run in here.
    pub fn site(&self, folder: &str, more: &[(&str, &str)]) -> Arc<Site> {
        self.moved(folder, Site::new(more))
    }

    /// The same site, keys and all, with its store in another folder of this directory.
    pub fn copy(&self, folder: &str, site: &Site) -> Arc<Site> {
        self.moved(folder, Site { variables: site.variables.clone(), ..Site::empty() })
    }

    fn moved(&self, folder: &str, mut site: Site) -> Arc<Site> {
        let store = format!("sqlite://{}/hailgate.db", self.path(folder));
        for (_, value) in site.variables.iter_mut().filter(|(name, _)| name == "HAILGATE_DATABASE_URL") {
            value.clone_from(&store);
        }
        site.through = self.enter();
        Arc::new(site)
    }
}

impl Drop for Mounts {
    fn drop(&mut self) {
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}
