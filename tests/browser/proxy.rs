//! A proxy that can be told to let no WebSocket through, by refusing it or by stripping `Upgrade` from what it passes on, and
//! no stream of events, as those of some companies do. Loopback only.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy, copy_bidirectional},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
};

/// What a head may be long.
const HEAD_MAX: usize = 16 * 1024;
const BAD_GATEWAY: &[u8] =
    b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 18\r\nConnection: close\r\n\r\n<h1>Bad way</h1>\r\n";
const REFUSAL: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// What becomes of WebSockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sockets {
    Passed,
    Refused,
    /// Passed on without `Upgrade` and `Connection`, which are between neighbours: the server sees a plain GET.
    Stripped,
}

/// What becomes of streams of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Streams {
    Passed,
    /// The connection is reset: the page sees a network error.
    Reset,
    /// Answered with 502.
    Refused,
}

/// A listening proxy. It ends with the test's runtime.
pub struct Proxy {
    /// Where it listens.
    pub port: u16,
    rules: Arc<Rules>,
}

struct Rules {
    /// Where the server listens; 0 until it is there.
    server: watch::Sender<u16>,
    sockets: watch::Sender<Sockets>,
    streams: watch::Sender<Streams>,
    /// Whether what the server says over sockets is kept from the page.
    mute: watch::Sender<bool>,
    /// The request line of each upgrade that was let through.
    upgrades: Mutex<Vec<String>>,
    /// How many streams were asked for.
    asked: AtomicU64,
}

impl Proxy {
    /// Listens, and lets everything through.
    pub async fn start() -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("a bound port").port();
        let rules = Rules {
            server: watch::Sender::new(0),
            sockets: watch::Sender::new(Sockets::Passed),
            streams: watch::Sender::new(Streams::Passed),
            mute: watch::Sender::new(false),
            upgrades: Mutex::default(),
            asked: AtomicU64::new(0),
        };
        let rules = Arc::new(rules);
        let proxy = Proxy { port, rules: Arc::clone(&rules) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let rules = Arc::clone(&rules);
                // A connection that breaks is what a proxy is there for; the test sees it at the page.
                tokio::spawn(async move { pass(stream, &rules).await.ok() });
            }
        });
        proxy
    }

    /// Where to pass things on to. What goes on with another server ends at once.
    pub fn serves(&self, server: u16) {
        self.rules.server.send_replace(server);
    }

    /// Whether sockets are let through. Those that are open end at once when they are not any more.
    pub fn lets_sockets_through(&self, yes: bool) {
        self.rules.sockets.send_replace(if yes { Sockets::Passed } else { Sockets::Refused });
    }

    /// From now on `Upgrade` is stripped; open sockets end at once.
    pub fn strips_upgrades(&self) {
        self.rules.sockets.send_replace(Sockets::Stripped);
    }

    /// What becomes of streams of events from now on. Connections that may carry one end.
    pub fn treats_streams(&self, streams: Streams) {
        self.rules.streams.send_replace(streams);
    }

    /// How many streams of events were asked for.
    pub fn streams(&self) -> u64 {
        self.rules.asked.load(Ordering::Relaxed)
    }

    /// Whether what the server says over sockets comes through; if not, it is lost.
    pub fn mutes_sockets(&self, yes: bool) {
        self.rules.mute.send_replace(yes);
    }

    /// The request line of each upgrade that was let through.
    pub fn upgrades(&self) -> Vec<String> {
        self.rules.upgrades.lock().expect("nobody panicked with it").clone()
    }
}

async fn pass(mut stream: TcpStream, rules: &Rules) -> io::Result<()> {
    // A browser opens a connection of its own for each socket, so the first head tells what a connection is for.
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut head).await? == 0 || head.len() > HEAD_MAX {
            return Ok(());
        }
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let upgrade = text.to_ascii_lowercase().contains("\r\nupgrade: websocket\r\n");
    let mut sockets = rules.sockets.subscribe();
    let rule = if upgrade { *sockets.borrow_and_update() } else { Sockets::Passed };
    match rule {
        Sockets::Refused => {
            stream.write_all(REFUSAL).await?;
            return stream.shutdown().await;
        }
        Sockets::Stripped => head = without_upgrade(&text).into_bytes(),
        Sockets::Passed if upgrade => {
            let line = text.lines().next().unwrap_or_default().to_owned();
            rules.upgrades.lock().expect("nobody panicked with it").push(line);
        }
        Sockets::Passed => {}
    }
    let mut streams = rules.streams.subscribe();
    let treatment = *streams.borrow_and_update();
    if !upgrade && treatment != Streams::Passed {
        if text.to_ascii_lowercase().contains("\r\naccept: text/event-stream\r\n") {
            rules.asked.fetch_add(1, Ordering::Relaxed);
            if treatment == Streams::Reset {
                return stream.set_zero_linger();
            }
            stream.write_all(BAD_GATEWAY).await?;
            return stream.shutdown().await;
        }
        // One request a connection: a stream that follows on the same would not be seen.
        head = text.replace("\r\nConnection: keep-alive\r\n", "\r\nConnection: close\r\n").into_bytes();
    }
    let mut servers = rules.server.subscribe();
    let port = *servers.borrow_and_update();
    let mut server = TcpStream::connect(("127.0.0.1", port)).await?;
    server.write_all(&head).await?;
    if !upgrade || rule == Sockets::Stripped {
        return tokio::select! {
            passed = copy_bidirectional(&mut stream, &mut server) => passed.map(|_| ()),
            _ = servers.changed() => Ok(()),
            _ = streams.changed() => Ok(()),
        };
    }
    let (mut from_page, mut to_page) = stream.split();
    let (mut from_server, mut to_server) = server.split();
    tokio::select! {
        passed = copy(&mut from_page, &mut to_server) => passed.map(|_| ()),
        passed = hear(&mut from_server, &mut to_page, &rules.mute) => passed,
        _ = sockets.wait_for(|rule| *rule != Sockets::Passed) => Ok(()),
    }
}

fn without_upgrade(head: &str) -> String {
    let between_neighbours = |line: &str| {
        let line = line.to_ascii_lowercase();
        line.starts_with("upgrade:") || line.starts_with("connection:")
    };
    head.split_inclusive("\r\n").filter(|line| !between_neighbours(line)).collect()
}

/// Passes on what the server says, unless it is muted.
async fn hear(from: &mut ReadHalf<'_>, to: &mut WriteHalf<'_>, mute: &watch::Sender<bool>) -> io::Result<()> {
    let mut said = [0; 4096];
    loop {
        let length = from.read(&mut said).await?;
        if length == 0 {
            return Ok(());
        }
        if !*mute.borrow() {
            to.write_all(&said[..length]).await?;
        }
    }
}
