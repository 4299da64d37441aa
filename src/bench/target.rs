//! Where the load goes: an address that is this machine's, or one that may be loaded by permission.

use std::net::{SocketAddr, ToSocketAddrs};

use reqwest::Url;

/// Paths of the server, out of its table of routes.
#[derive(Debug, Clone, Copy)]
pub struct Paths {
    /// Upgrades.
    pub socket: &'static str,
    /// Threads, and one of them with its id in braces.
    pub threads: &'static str,
    /// See `threads`.
    pub thread: &'static str,
    /// A member of a thread, with both ids in braces.
    pub member: &'static str,
    /// Messages.
    pub messages: &'static str,
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Target {
    /// Scheme, host and port.
    pub url: Url,
    /// What its host resolves to.
    pub address: SocketAddr,
    /// Its paths.
    pub paths: Paths,
}

impl Target {
    /// Resolves an address.
    ///
    /// # Errors
    /// In words: what cannot be loaded, and what would be.
    pub fn find(url: &Url, paths: Paths, may_load: bool) -> Result<Target, Trouble> {
        let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default());
        let found = (host.trim_matches(['[', ']']), port).to_socket_addrs();
        let found: Vec<SocketAddr> = found.map_err(|error| Trouble::Unknown(format!("{host}: {error}")))?.collect();
        let foreign = found.iter().find(|address| !address.ip().is_loopback());
        if let (Some(foreign), false) = (foreign, may_load) {
            return Err(Trouble::Foreign(format!(
                "{host} is {}, which is not this machine. A load test can make a server useless for everybody on it. Ask \
                 whoever runs it, then say so with --i-may-load-this-host.",
                foreign.ip()
            )));
        }
        let first = found.iter().find(|address| address.is_ipv4()).or(found.first());
        let address = *first.ok_or_else(|| Trouble::Unknown(format!("{host} has no address")))?;
        Ok(Target { url: url.clone(), address, paths })
    }

    /// A path's address, with something in place of each parameter.
    pub fn at(&self, path: &str, parameters: &[&str]) -> Url {
        let mut parameters = parameters.iter();
        let mut part =
            |part| if str::starts_with(part, '{') { parameters.next().copied().unwrap_or_default() } else { part };
        let parts: Vec<&str> = path.split('/').map(&mut part).collect();
        let mut url = self.url.clone();
        url.set_path(&parts.join("/"));
        url
    }
}

/// Why there is no target.
#[derive(Debug)]
pub enum Trouble {
    /// It is not this machine, and nobody said that it may be loaded.
    Foreign(String),
    /// It has no address.
    Unknown(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATHS: Paths = Paths { socket: "/s", threads: "/t", thread: "/t/{a}", member: "/t/{a}/m/{b}", messages: "/m" };

    fn find(url: &str, may_load: bool) -> Result<Target, Trouble> {
        Target::find(&url.parse().expect("a url"), PATHS, may_load)
    }

    #[test]
    fn only_this_machine_is_loaded_without_permission() {
        for here in ["http://127.0.0.1:8080", "http://127.9.9.9", "http://[::1]:80", "http://localhost:1"] {
            assert!(find(here, false).is_ok(), "{here}");
        }
        for foreign in ["http://192.0.2.1", "http://0.0.0.0:8080", "https://[2001:db8::1]"] {
            assert!(matches!(find(foreign, false), Err(Trouble::Foreign(_))), "{foreign}");
            assert!(find(foreign, true).is_ok(), "{foreign}");
        }
    }

    #[test]
    fn parameters_of_a_path_are_filled_in_and_escaped() {
        let target = find("http://127.0.0.1:8080", false).expect("a target");
        assert_eq!(target.at(PATHS.member, &["1", "a b"]).as_str(), "http://127.0.0.1:8080/t/1/m/a%20b");
        assert_eq!(target.at(PATHS.messages, &[]).as_str(), "http://127.0.0.1:8080/m");
    }
}
