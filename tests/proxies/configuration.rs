//! Configurations of the four proxies: the blocks of the document, with ports and certificates of a test, and what Debian's
//! packages write around them.

use std::{fs, path::Path};

/// The document whose configurations are tested.
pub const DOCUMENT: &str = include_str!("../../src/docs/proxies.md");

/// One of the proxies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Nginx,
    Caddy,
    HAProxy,
    Apache,
}

/// Where things are in a test.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    pub https: u16,
    pub http: u16,
    pub gateway: u16,
}

/// Changes of a configuration: a text that it must hold, and what stands in its place.
pub type Edits<'a> = &'a [(&'a str, &'a str)];

impl Kind {
    pub const ALL: [Kind; 4] = [Kind::Nginx, Kind::Caddy, Kind::HAProxy, Kind::Apache];

    /// The language of its blocks in the document.
    fn language(self) -> &'static str {
        match self {
            Kind::Nginx => "nginx",
            Kind::Caddy => "caddy",
            Kind::HAProxy => "haproxy",
            Kind::Apache => "apache",
        }
    }

    /// The program.
    pub fn program(self) -> &'static str {
        match self {
            Kind::Nginx => "/usr/sbin/nginx",
            Kind::Caddy => "/usr/bin/caddy",
            Kind::HAProxy => "/usr/sbin/haproxy",
            Kind::Apache => "/usr/sbin/apache2",
        }
    }

    /// Debian's package.
    pub fn package(self) -> &'static str {
        match self {
            Kind::Nginx => "nginx-light",
            Kind::Caddy => "caddy",
            Kind::HAProxy => "haproxy",
            Kind::Apache => "apache2",
        }
    }

    /// What starts it in the foreground, as one process.
    pub fn arguments(self, directory: &str, file: &str) -> Vec<String> {
        let words: &[&str] = match self {
            Kind::Nginx => &["-p", directory, "-c", file, "-e", "stderr"],
            Kind::Caddy => &["run", "--adapter", "caddyfile", "--config", file],
            Kind::HAProxy => &["-db", "-f", file],
            Kind::Apache => &["-X", "-d", directory, "-f", file],
        };
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    /// The block of the document with a number, as it stands there.
    pub fn block(self, number: usize) -> &'static str {
        let fence = format!("```{}\n", self.language());
        let block = DOCUMENT.split(&fence).nth(number + 1).and_then(|rest| rest.split("```").next());
        block.unwrap_or_else(|| panic!("no block {number} of {self:?} in the document"))
    }

    /// Writes a configuration into a directory: what is around it, and the block with its changes, ports and certificates.
    pub fn write(self, block: &str, edits: Edits<'_>, directory: &Path, ports: Ports) -> String {
        let mut block = block.to_owned();
        for (text, instead) in edits {
            assert!(block.contains(text), "{text:?} is not in the configuration of {self:?}:\n{block}");
            block = block.replace(text, instead);
        }
        let at = directory.display();
        for (text, instead) in [
            ("/etc/ssl/private/chat.example.org.pem", format!("{at}/both.pem")),
            ("/etc/ssl/private/chat.example.org.key", format!("{at}/key.pem")),
            ("/etc/ssl/chat.example.org.pem", format!("{at}/chain.pem")),
            ("chat.example.org {", format!("https://localhost:{} {{", ports.https)),
            ("chat.example.org", "localhost".to_owned()),
            ("127.0.0.1:8080", format!("127.0.0.1:{}", ports.gateway)),
            ("listen 443", format!("listen 127.0.0.1:{}", ports.https)),
            ("listen 80", format!("listen 127.0.0.1:{}", ports.http)),
            ("bind :443", format!("bind 127.0.0.1:{}", ports.https)),
            ("bind :80", format!("bind 127.0.0.1:{}", ports.http)),
            ("*:443", format!("127.0.0.1:{}", ports.https)),
            ("*:80", format!("127.0.0.1:{}", ports.http)),
        ] {
            block = block.replace(text, &instead);
        }
        let file = directory.join("proxy.conf");
        fs::write(&file, self.around(&block, &at.to_string(), ports)).expect("a file");
        file.display().to_string()
    }

    /// What Debian's own files hold, as far as the proxy needs it.
    fn around(self, block: &str, at: &str, ports: Ports) -> String {
        match self {
            Kind::Nginx => {
                let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
                let temporary =
                    temporary.iter().map(|part| format!("{part}_temp_path {at}/{part};\n")).collect::<Vec<_>>().concat();
                format!(
                    "daemon off; master_process off; pid {at}/pid; error_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n\
                     {temporary}{block}}}\n"
                )
            }
            Kind::Caddy => {
                let Ports { https, http, .. } = ports;
                format!("{{\nadmin off\ndefault_bind 127.0.0.1\nhttps_port {https}\nhttp_port {http}\n}}\n{block}")
            }
            Kind::HAProxy => format!("global\n    maxconn 1000\n\n{block}"),
            Kind::Apache => {
                let modules = [
                    "mpm_event",
                    "authz_core",
                    "alias",
                    "headers",
                    "socache_shmcb",
                    "ssl",
                    "http2",
                    "proxy",
                    "proxy_http",
                    "buffer",
                    "env",
                    "setenvif",
                    "reqtimeout",
                ];
                let modules = modules
                    .iter()
                    .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"))
                    .collect::<Vec<_>>()
                    .concat();
                // Started as root it must be told whom to become.
                let user = if fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0) {
                    "User www-data\nGroup www-data\n"
                } else {
                    ""
                };
                let Ports { https, http, .. } = ports;
                format!(
                    "{modules}{user}ServerName localhost\nDefaultRuntimeDir {at}\nPidFile {at}/pid\nErrorLog /dev/stderr\n\
                     Listen 127.0.0.1:{https}\nListen 127.0.0.1:{http}\n{block}"
                )
            }
        }
    }
}
