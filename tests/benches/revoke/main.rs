//! How long it takes until every socket of a user is closed: revoked by an administrator's request, and disabled by
//! another process beside the server. The release binary on loopback; `--test` runs it small, to show that it works.
//!
//!     cargo bench --bench revoke

#[path = "../server.rs"]
mod server;

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use tokio_tungstenite::{
    connect_async,
    tungstenite::{Message, client::IntoClientRequest, http::HeaderValue},
};

use server::Server;

const TIMEOUT: Duration = Duration::from_secs(60);

fn main() {
    let small = std::env::args().any(|argument| argument == "--test");
    let (sockets, rounds) = if small { (20, 1) } else { (1_000, 5) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        rlimit::increase_nofile_limit(u64::MAX).expect("open files");
        let site = Site::start(sockets);
        println!("{sockets} sockets of one user, ms until closed (first, median, last)");
        for round in 0..rounds {
            site.server.add(&format!("r{round}"));
            site.server.add(&format!("d{round}"));
            let revoked = site.round(&format!("r{round}"), sockets, 4401, site.revoke(&format!("r{round}"))).await;
            let disabled = site.round(&format!("d{round}"), sockets, 4403, site.disable(&format!("d{round}"))).await;
            println!("  revoke by REST {revoked}   user disable, another process {disabled}");
        }
    });
}

/// The server, and a token that may revoke.
struct Site {
    server: Server,
    admin: String,
}

impl Site {
    fn start(sockets: usize) -> Site {
        let server = Server::start(&[("HAILGATE_LIMIT_CONNECTIONS_USER", &sockets.to_string())]);
        server.add("root");
        let admin = server.told(&["token", "--user", "root", "--permission", "admin"]);
        Site { server, admin }
    }

    async fn revoke(&self, user: &str) {
        let url = format!("http://{}/api/admin/users/{user}/revoke", self.server.address);
        let answer = reqwest::Client::new().post(url).bearer_auth(&self.admin).send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), 200);
    }

    async fn disable(&self, user: &str) {
        let mut command = self.server.command(&["user", "disable", user]);
        let status = tokio::task::spawn_blocking(move || command.status()).await.expect("a thread").expect("it runs");
        assert!(status.success());
    }

    /// Opens the sockets, has them ended, and measures from there to each close.
    async fn round(&self, user: &str, sockets: usize, code: u16, end: impl Future<Output = ()>) -> String {
        let token = self.server.told(&["token", "--user", user]);
        let mut open = Vec::with_capacity(sockets);
        for _ in 0..sockets {
            let mut request = format!("ws://{}/ws", self.server.address).into_client_request().expect("a request");
            let bearer = HeaderValue::from_str(&format!("Bearer {token}")).expect("a header value");
            request.headers_mut().insert("authorization", bearer);
            open.push(connect_async(request).await.expect("a socket").0);
        }
        let (done, began) = (std::sync::Arc::new(std::sync::Mutex::new(Vec::new())), Instant::now());
        let waiting: Vec<_> = open
            .into_iter()
            .map(|mut socket| {
                let done = std::sync::Arc::clone(&done);
                tokio::spawn(async move {
                    while let Some(Ok(message)) = socket.next().await {
                        if let Message::Close(close) = message {
                            assert_eq!(close.map(|close| close.code.into()), Some(code));
                            done.lock().expect("no panic").push(began.elapsed());
                            return;
                        }
                    }
                    panic!("a socket ended without a close frame");
                })
            })
            .collect();
        end.await;
        for waits in waiting {
            tokio::time::timeout(TIMEOUT, waits).await.expect("it is closed").expect("by a close frame");
        }
        let mut times: Vec<f64> = done.lock().expect("no panic").iter().map(|time| time.as_secs_f64() * 1e3).collect();
        times.sort_by(f64::total_cmp);
        assert_eq!(times.len(), sockets);
        format!("{:.0} {:.0} {:.0}", times[0], times[sockets / 2], times[sockets - 1])
    }
}
