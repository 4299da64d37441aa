//! How long it takes until every socket of a user is closed: revoked by an administrator's request, and disabled by
//! another process beside the server. The release binary on loopback; `--test` runs it small, to show that it works.
//!
//!     cargo bench --bench revoke

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use futures_util::StreamExt as _;
use tempfile::TempDir;
use tokio_tungstenite::{
    connect_async,
    tungstenite::{Message, client::IntoClientRequest, http::HeaderValue},
};

const PATIENCE: Duration = Duration::from_secs(60);

fn main() {
    let small = std::env::args().any(|argument| argument == "--test");
    let (sockets, rounds) = if small { (20, 1) } else { (1_000, 5) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        rlimit::increase_nofile_limit(u64::MAX).expect("open files");
        let server = Server::start(sockets);
        println!("{sockets} sockets of one user, ms until closed (first, median, last)");
        for round in 0..rounds {
            server.add(&format!("r{round}"));
            server.add(&format!("d{round}"));
            let revoked = server.round(&format!("r{round}"), sockets, 4401, server.revoke(&format!("r{round}"))).await;
            let disabled = server.round(&format!("d{round}"), sockets, 4403, server.disable(&format!("d{round}"))).await;
            println!("  revoke by REST {revoked}   user disable, another process {disabled}");
        }
    });
}

struct Server {
    process: Child,
    directory: TempDir,
    variables: Vec<(&'static str, String)>,
    address: String,
    admin: String,
}

impl Server {
    fn start(sockets: usize) -> Server {
        let directory = TempDir::new().expect("a directory");
        let random = || uuid::Uuid::new_v4().simple().to_string();
        let variables = vec![
            ("ENVIRONMENT", "testing".to_owned()),
            ("HAILGATE_DATABASE_URL", format!("sqlite://{}/hailgate.db", directory.path().display())),
            ("HAILGATE_JWT_SECRET", random() + &random()),
            ("HAILGATE_SESSION_KEY", random() + &random() + &random() + &random()),
            ("HAILGATE_LIMIT_CONNECTIONS_USER", sockets.to_string()),
        ];
        let command = hailgate(&variables);
        let mut process = serve(command);
        let lines = BufReader::new(process.stderr.take().expect("a pipe")).lines();
        let mut lines = lines.map_while(Result::ok);
        let port = lines.find_map(|line| Some(line.split_once("listening on http://")?.1.trim().to_owned()));
        let address = port.expect("the server listens");
        // It must always find a reader, or it stops at a full pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let mut server = Server { process, directory, variables, address, admin: String::new() };
        server.add("root");
        server.admin = server.told(&["token", "--user", "root", "--permission", "admin"]);
        server
    }

    /// Runs a command beside the server; what it prints.
    fn told(&self, arguments: &[&str]) -> String {
        let output = hailgate(&self.variables).args(arguments).stderr(Stdio::inherit()).output().expect("it runs");
        assert!(output.status.success(), "{arguments:?}");
        String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
    }

    fn add(&self, user: &str) {
        use std::io::Write as _;
        let mut command = hailgate(&self.variables);
        command.args(["user", "add", user, "--password-stdin"]).stdin(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("it runs");
        child.stdin.take().expect("a pipe").write_all(b"korrekt horse battery staple\n").expect("a pipe");
        assert!(child.wait().expect("it ends").success());
    }

    async fn revoke(&self, user: &str) {
        let url = format!("http://{}/api/admin/users/{user}/revoke", self.address);
        let answer = reqwest::Client::new().post(url).bearer_auth(&self.admin).send().await.expect("an answer");
        assert_eq!(answer.status().as_u16(), 200);
    }

    async fn disable(&self, user: &str) {
        let mut command = hailgate(&self.variables);
        command.args(["user", "disable", user]).stderr(Stdio::null());
        let status = tokio::task::spawn_blocking(move || command.status()).await.expect("a thread").expect("it runs");
        assert!(status.success());
    }

    /// Opens the sockets, has them ended, and measures from there to each close.
    async fn round(&self, user: &str, sockets: usize, code: u16, end: impl Future<Output = ()>) -> String {
        let token = self.told(&["token", "--user", user]);
        let mut open = Vec::with_capacity(sockets);
        for _ in 0..sockets {
            let mut request = format!("ws://{}/ws", self.address).into_client_request().expect("a request");
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
            tokio::time::timeout(PATIENCE, waits).await.expect("it is closed").expect("by a close frame");
        }
        let mut times: Vec<f64> = done.lock().expect("no panic").iter().map(|time| time.as_secs_f64() * 1e3).collect();
        times.sort_by(f64::total_cmp);
        assert_eq!(times.len(), sockets);
        format!("{:.0} {:.0} {:.0}", times[0], times[sockets / 2], times[sockets - 1])
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(self.directory.path());
    }
}

fn hailgate(variables: &[(&'static str, String)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hailgate"));
    command.env_clear().envs(variables.iter().map(|(name, value)| (name, value))).stdin(Stdio::null());
    command
}

fn serve(mut command: Command) -> Child {
    command.args(["serve", "--bind", "127.0.0.1:0"]).stdout(Stdio::null()).stderr(Stdio::piped());
    command.spawn().expect("the server starts")
}
