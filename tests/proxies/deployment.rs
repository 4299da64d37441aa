//! A server and a real proxy in front of it, on loopback, with certificates of an authority of the test's own.

use std::{
    env, fs,
    io::Write,
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use crate::{
    DEADLINE,
    configuration::{Edits, Kind, Ports},
    server::{Log, Server, Site, guard},
};

/// How often a proxy is started anew because somebody took its ports.
const ATTEMPTS: usize = 5;

/// A running proxy; it ends with this value.
pub struct Proxy {
    pub ports: Ports,
    pub log: Arc<Log>,
    directory: TempDir,
    child: Child,
    guard: Child,
}

/// Two ports that were free a moment ago.
pub fn free() -> (u16, u16) {
    let ports = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port"));
    let [https, http] = ports.map(|port| port.local_addr().expect("an address").port());
    (https, http)
}

impl Kind {
    /// Whether it is installed. If not, this says so, and with `CI=true` it is a failure.
    pub fn is_there(self) -> bool {
        if Path::new(self.program()).exists() {
            return true;
        }
        let why = format!("there is no {} (Debian: apt install {})", self.program(), self.package());
        assert_ne!(env::var("CI").as_deref(), Ok("true"), "{why}");
        // Not `println!`, which a test that passes keeps to itself.
        let _ = writeln!(std::io::stdout(), "SKIPPED: {why}");
        false
    }
}

impl Proxy {
    /// In front of a server, with a block of the document and changes in it. With other ports if these are taken.
    pub fn start(kind: Kind, block: &str, edits: Edits<'_>, gateway: u16) -> Proxy {
        for _ in 0..ATTEMPTS {
            let (https, http) = free();
            if let Ok(proxy) = Proxy::at(kind, block, edits, Ports { https, http, gateway }) {
                return proxy;
            }
        }
        let (https, http) = free();
        Proxy::at(kind, block, edits, Ports { https, http, gateway }).unwrap_or_else(|log| panic!("{kind:?} ended:\n{log}"))
    }

    /// At these ports; what it wrote if it ended.
    pub fn at(kind: Kind, block: &str, edits: Edits<'_>, ports: Ports) -> Result<Proxy, String> {
        let directory = TempDir::new().expect("a temporary directory");
        certificates(directory.path());
        let file = kind.write(block, edits, directory.path(), ports);
        let at = directory.path().display().to_string();
        let mut command = Command::new(kind.program());
        command.args(kind.arguments(&at, &file)).env_clear().current_dir(directory.path());
        command.envs([("HOME", &at), ("XDG_DATA_HOME", &at), ("XDG_CONFIG_HOME", &at)]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the proxy starts");
        let guard = guard(child.id(), directory.path());
        let log = Arc::new(Log::default());
        log.follow(child.stderr.take().expect("a pipe"));
        log.follow(child.stdout.take().expect("a pipe"));
        let mut proxy = Proxy { ports, log, directory, child, guard };
        let until = Instant::now() + DEADLINE;
        while !proxy.listens() {
            if proxy.child.try_wait().expect("a child can be waited for").is_some() {
                return Err(proxy.log.text());
            }
            assert!(Instant::now() < until, "{kind:?} did not listen:\n{}", proxy.log.text());
            // No proxy says when it listens: this is the pace of asking, nothing relies on it.
            std::thread::park_timeout(Duration::from_millis(10));
        }
        Ok(proxy)
    }

    fn listens(&self) -> bool {
        [self.ports.https, self.ports.http].iter().all(|port| TcpStream::connect((Ipv4Addr::LOCALHOST, *port)).is_ok())
    }

    /// The certificate of the authority, as PEM.
    pub fn authority(&self) -> String {
        fs::read_to_string(self.directory.path().join("authority.pem")).expect("a certificate")
    }

    /// The address that clients use.
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.ports.https)
    }

    /// `check --url` from outside, trusting the authority.
    pub fn check(&self, more: &[&str], input: &str) -> Output {
        let url = self.url();
        let arguments = [&["check", "--url", url.as_str()], more].concat();
        let site = Site::empty();
        let mut command = site.command(&arguments);
        command.env("SSL_CERT_FILE", self.directory.path().join("authority.pem"));
        crate::server::finish(&mut command, input)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // The guard first: a process id must not be killed after it is free again.
        for child in [&mut self.guard, &mut self.child] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Writes an authority's certificate, a chain for `localhost` that it signed, the key, and both in one file.
fn certificates(directory: &Path) {
    let key = || KeyPair::generate().expect("a key");
    let mut authority = CertificateParams::new(Vec::new()).expect("a certificate");
    // Another name than the leaf's, which else looks as if it had signed itself.
    authority.distinguished_name.push(DnType::CommonName, "an authority of a test");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = key();
    let authority_pem = authority.self_signed(&authority_key).expect("a signature").pem();
    let issuer = Issuer::new(authority, authority_key);
    let leaf_key = key();
    let leaf = CertificateParams::new(["localhost".to_owned()]).expect("a certificate");
    let chain = leaf.signed_by(&leaf_key, &issuer).expect("a signature").pem();
    let secret = leaf_key.serialize_pem();
    for (name, text) in [
        ("authority.pem", &authority_pem),
        ("chain.pem", &chain),
        ("key.pem", &secret),
        ("both.pem", &format!("{chain}{secret}")),
    ] {
        fs::write(directory.join(name), text).expect("a file");
    }
}

/// A server for browsers that come by a proxy, and that proxy.
pub struct Deployment {
    pub server: Server,
    pub proxy: Proxy,
}

impl Deployment {
    /// With a block of the document and changes in it.
    pub fn start(kind: Kind, block: &str, edits: Edits<'_>) -> Deployment {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let (https, http) = free();
            let own = format!("https://localhost:{https}");
            let server = Server::new(&[("HAILGATE_PUBLIC_URL", &own), ("HAILGATE_TRUSTED_PROXIES", "127.0.0.1/32")]);
            match Proxy::at(kind, block, edits, Ports { https, http, gateway: server.port }) {
                Ok(proxy) => return Deployment { server, proxy },
                Err(log) => assert!(attempt < ATTEMPTS, "{kind:?} ended:\n{log}"),
            }
        }
    }
}
