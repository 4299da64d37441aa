//! What opening the page costs: requests and bytes on the wire are counted and bounded; times are printed, for they are the
//! machine's. `cargo test --test browser -- --nocapture budget` prints a line a visit; copy this file into an older checkout to compare.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{
    driver::Driver,
    server::Server,
    window::{Window, until},
};

/// A slow mobile network: 400 ms until an answer begins, 50 kB/s.
const SLOW: (u32, u32) = (400, 50_000);

/// Requests and bytes of a first visit, with 100 messages: the page, its files, its worker and icon, what REST tells, the socket.
const FIRST_MOST: (u64, u64) = (60, 175_000);
/// The same when the page has been here before: the page, what REST tells, the socket, the worker.
const AGAIN_MOST: (u64, u64) = (10, 24_000);

/// Notes when the first message is in sight and a next one can be written.
const WATCH: &str = r"
window.usable = 0;
const usable = () => {
  const message = document.querySelector('#messages [data-message-id]'), composer = document.querySelector('#composer');
  if (message?.checkVisibility({ visibilityProperty: true }) && composer && !composer.disabled && !composer.closest('[inert]')) window.usable = performance.now();
  else requestAnimationFrame(usable);
};
requestAnimationFrame(usable);";

const TIMES: &str = "const paint = performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0;
    return [Math.round(paint), Math.round(window.usable)];";

/// A connection to the server that counts: requests by their heads, and the bytes of both ways. Sockets count until their upgrade.
struct Meter {
    port: u16,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    requests: AtomicU64,
    bytes: AtomicU64,
}

/// What one visit cost.
#[derive(Debug, Clone, Copy)]
struct Cost {
    requests: u64,
    bytes: u64,
}

impl Meter {
    fn start(listener: TcpListener, server: u16) -> Meter {
        let port = listener.local_addr().expect("a bound port").port();
        let counts = Arc::<Counts>::default();
        let meter = Meter { port, counts: Arc::clone(&counts) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let counts = Arc::clone(&counts);
                tokio::spawn(async move { pass(stream, server, &counts).await.ok() });
            }
        });
        meter
    }

    fn reset(&self) {
        self.counts.requests.store(0, Ordering::Relaxed);
        self.counts.bytes.store(0, Ordering::Relaxed);
    }

    fn cost(&self) -> Cost {
        Cost { requests: self.counts.requests.load(Ordering::Relaxed), bytes: self.counts.bytes.load(Ordering::Relaxed) }
    }
}

async fn pass(mut page: TcpStream, server: u16, counts: &Counts) -> io::Result<()> {
    let mut server = TcpStream::connect(("127.0.0.1", server)).await?;
    let (mut asked, mut told) = (vec![0; 16 * 1024], vec![0; 16 * 1024]);
    loop {
        tokio::select! {
            read = page.read(&mut asked) => {
                let part = &asked[..read?];
                if part.is_empty() {
                    return Ok(());
                }
                // A browser writes each head at once.
                let heads = part.windows(11).filter(|text| *text == b" HTTP/1.1\r\n").count();
                counts.requests.fetch_add(heads as u64, Ordering::Relaxed);
                counts.bytes.fetch_add(part.len() as u64, Ordering::Relaxed);
                server.write_all(part).await?;
            }
            read = server.read(&mut told) => {
                let part = &told[..read?];
                if part.is_empty() {
                    return Ok(());
                }
                counts.bytes.fetch_add(part.len() as u64, Ordering::Relaxed);
                page.write_all(part).await?;
            }
        }
    }
}

/// Opens the page as somebody who is signed in, and waits until it can be used.
async fn visit(window: &Window, meter: &Meter, what: &str) -> Cost {
    meter.reset();
    window.go(&format!("http://127.0.0.1:{}/", meter.port)).await;
    until("the page can be used", || async { window.run("return window.usable > 0", json!([])).await == true }).await;
    window.is_live().await;
    let cost = meter.cost();
    let times = window.run(TIMES, json!([])).await;
    let (paint, usable) = (&times[0], &times[1]);
    println!(
        "budget: {what:<44} {:>3} requests {:>7} bytes  paint {paint:>5} ms  usable {usable:>5} ms",
        cost.requests, cost.bytes
    );
    cost
}

/// As if nothing of the page had ever been loaded here; the sign-in stays.
async fn forgets_the_page(window: &Window) {
    window
        .run_module(
            "for (const worker of await navigator.serviceWorker.getRegistrations()) await worker.unregister();
             for (const name of await caches.keys()) await caches.delete(name);",
        )
        .await;
    window.go("about:blank").await;
    window.devtools("Network.clearBrowserCache", json!({})).await;
}

async fn on_a_network(window: &Window, (latency, throughput): (u32, u32)) {
    let throughput = if throughput == 0 { -1 } else { i64::from(throughput) };
    let network =
        json!({ "offline": false, "latency": latency, "downloadThroughput": throughput, "uploadThroughput": throughput });
    window.devtools("Network.emulateNetworkConditions", network).await;
}

#[track_caller]
fn within(cost: Cost, (requests, bytes): (u64, u64)) {
    assert!(cost.requests <= requests && cost.bytes <= bytes, "{cost:?} of {requests} requests and {bytes} bytes");
}

#[tokio::test]
async fn opening_the_page_stays_within_its_budget_of_requests_and_bytes() {
    let Some(driver) = Driver::start() else { return };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let origin = format!("http://127.0.0.1:{}", listener.local_addr().expect("a bound port").port());
    let server = Server::start_with(&[("HAILGATE_ALLOWED_ORIGINS", &origin)]);
    for number in 0..100 {
        server.post(&format!("message {number}: a line of about the length that people write in a chat")).await;
    }
    let meter = Meter::start(listener, server.port);
    let window = driver.window().await;
    window.devtools("Network.enable", json!({})).await;
    window.devtools("Page.addScriptToEvaluateOnNewDocument", json!({ "source": WATCH })).await;
    window.sign_in(&server.links[0].replace(&server.port.to_string(), &meter.port.to_string())).await;

    forgets_the_page(&window).await;
    on_a_network(&window, SLOW).await;
    let first = visit(&window, &meter, "first visit, 400 ms and 50 kB/s").await;
    forgets_the_page(&window).await;
    on_a_network(&window, (0, 0)).await;
    window.devtools("Emulation.setCPUThrottlingRate", json!({ "rate": 4 })).await;
    visit(&window, &meter, "first visit, processor four times slower").await;
    window.devtools("Emulation.setCPUThrottlingRate", json!({ "rate": 1 })).await;
    // What the browser keeps by itself, without the worker, which the emulated network does not slow down.
    window
        .run_module("for (const worker of await navigator.serviceWorker.getRegistrations()) await worker.unregister();")
        .await;
    window.go("about:blank").await;
    on_a_network(&window, SLOW).await;
    visit(&window, &meter, "second visit, 400 ms and 50 kB/s").await;
    on_a_network(&window, (0, 0)).await;
    let again = visit(&window, &meter, "third visit, with the worker").await;
    within(first, FIRST_MOST);
    within(again, AGAIN_MOST);
}
