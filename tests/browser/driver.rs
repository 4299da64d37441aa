//! Chromium and the driver it is steered through: started here, each with a profile of its own, and ended with the test.

use std::{
    cell::Cell,
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpStream},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Condvar, Mutex, MutexGuard},
    thread,
    time::Duration,
};

use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;
use tempfile::TempDir;

use crate::window::Window;

/// Nothing of a browser that talks to the network by itself, or needs hardware or memory that a container lacks.
const ARGUMENTS: &[&str] = &[
    "--headless",
    "--window-size=1280,900",
    "--lang=en-GB",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-quic",
    "--disable-smooth-scrolling",
    "--disable-sync",
    "--no-first-run",
    // A container has no mouse; people at a desk have one, and the page looks for it.
    "--blink-settings=primaryHoverType=2,availableHoverTypes=2,primaryPointerType=4,availablePointerTypes=4",
];
/// As root Chromium refuses its sandbox, and there is no need for one: it sees pages of this test only.
const AS_ROOT: &[&str] = &["--no-sandbox", "--disable-dev-shm-usage"];
/// How long an orderly end may take before the driver is killed.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Tests that drive browsers now: as many at once as there are cores, for a page that gets no time looks broken.
static DRIVING: Mutex<usize> = Mutex::new(0);
static FEWER: Condvar = Condvar::new();

fn driving() -> MutexGuard<'static, usize> {
    // A test that failed while it held the count has not spoilt it.
    DRIVING.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A test's turn to drive browsers.
struct Turn;

impl Turn {
    fn wait() -> Turn {
        let most = thread::available_parallelism().map_or(1, usize::from);
        let mut now = FEWER.wait_while(driving(), |now| *now >= most).unwrap_or_else(std::sync::PoisonError::into_inner);
        *now += 1;
        Turn
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *driving() -= 1;
        FEWER.notify_one();
    }
}

/// One driver, and the browsers it has started.
pub struct Driver {
    process: Child,
    port: u16,
    chromium: PathBuf,
    /// Profiles and whatever else a browser leaves; gone with the driver.
    scratch: TempDir,
    windows: Cell<u32>,
    _turn: Turn,
}

impl Driver {
    /// Starts one; `None`, after saying so, where there is no browser. With `CI=true` that is a failure.
    pub fn start() -> Option<Driver> {
        let (Some(driver), Some(chromium)) = (find("chromedriver"), find("chromium")) else {
            let why = "chromium and chromedriver are not both in PATH (Debian: apt install chromium chromium-driver)";
            assert_ne!(env::var("CI").as_deref(), Ok("true"), "{why}");
            // Not `println!`, which a test that passes keeps to itself.
            let _ = writeln!(std::io::stdout(), "SKIPPED: {why}");
            return None;
        };
        // It takes one port of two address families; now and then another program has got the second.
        (0..5).find_map(|_| Driver::listen(&driver, &chromium)).or_else(|| panic!("chromedriver does not start"))
    }

    /// Starts the driver on a port of its choice; `None` if it ends before it listens.
    fn listen(driver: &Path, chromium: &Path) -> Option<Driver> {
        let scratch = TempDir::new().expect("a directory for the browsers");
        let turn = Turn::wait();
        let mut process = Command::new(driver)
            .arg("--port=0")
            .env("TMPDIR", scratch.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts");
        let mut said = BufReader::new(process.stdout.take().expect("its stdout is piped"));
        let mut line = String::new();
        let port = loop {
            line.clear();
            if said.read_line(&mut line).expect("chromedriver speaks UTF-8") == 0 {
                let _ = process.wait();
                return None;
            }
            if let Some((_, port)) = line.trim_end_matches(['.', '\n']).split_once("started successfully on port ") {
                break port.parse().expect("chromedriver says its port");
            }
        };
        // It must always find a reader, or it stops at a full pipe.
        thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        Some(Driver { process, port, chromium: chromium.to_owned(), scratch, windows: Cell::new(0), _turn: turn })
    }

    /// A browser of its own for one person.
    pub async fn window(&self) -> Window {
        self.windows.set(self.windows.get() + 1);
        let profile = self.scratch.path().join(format!("profile{}", self.windows.get()));
        let root = fs::metadata("/proc/self").is_ok_and(|me| me.uid() == 0);
        let mut arguments: Vec<String> = ARGUMENTS.iter().map(ToString::to_string).collect();
        arguments.extend(AS_ROOT.iter().filter(|_| root).map(ToString::to_string));
        arguments.push(format!("--user-data-dir={}", profile.display()));
        let wanted = json!({
            "browserName": "chrome",
            "unhandledPromptBehavior": "dismiss and notify",
            "goog:loggingPrefs": { "browser": "ALL" },
            "goog:chromeOptions": { "binary": self.chromium, "args": arguments },
        });
        let wanted = wanted.as_object().cloned().expect("it is an object");
        let client: Client = ClientBuilder::new(HttpConnector::new())
            .capabilities(wanted)
            .connect(&format!("http://127.0.0.1:{}", self.port))
            .await
            .expect("Chromium starts");
        Window::of(client).await
    }

    /// Asks the driver to end its browsers and itself. Killing it would leave them behind.
    fn shut_down(&mut self) -> std::io::Result<()> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_read_timeout(Some(LAST_WORDS))?;
        stream.write_all(b"GET /shutdown HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")?;
        stream.read_to_end(&mut Vec::new()).map(|_| ())
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if self.shut_down().is_err() {
            let _ = self.process.kill();
        }
        let _ = self.process.wait();
    }
}

fn find(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|place| place.join(program)).find(|path| path.is_file())
}
