//! `bench` from outside: each scenario against a real server, what is refused, and a promise that is broken.

use std::{
    fs,
    io::{BufRead as _, BufReader, Lines, Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, Output, Stdio},
    sync::Arc,
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    jwt::claims,
    people::{Person, Proof},
    server::{Server, Site},
};

/// How long a load test may take here.
const TIMEOUT: Duration = Duration::from_secs(600);

/// Runs a load test of a server beside it, with these words and a file for its results.
async fn bench(server: &Server, words: &str, file: &str) -> (Output, Option<Value>) {
    let path = server.site.directory.path().join(file);
    let mut arguments = vec!["bench".to_owned(), "--url".to_owned(), server.url("").trim_end_matches('/').to_owned()];
    arguments.extend(words.split_whitespace().map(str::to_owned));
    arguments.extend(["--json".to_owned(), path.display().to_string()]);
    let mut command = server.site.command(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let ended = tokio::task::spawn_blocking(move || command.output());
    let output = tokio::time::timeout(TIMEOUT, ended).await.expect("it ends").expect("a thread").expect("it starts");
    let results = fs::read_to_string(path).ok().and_then(|text| serde_json::from_str(&text).ok());
    (output, results)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// The first user of load tests, as a client of its own. The token is signed by hand: `hailgate token` would refuse it until the
/// load test has made the account.
fn first(server: &Server) -> Person {
    let mut person = server.nobody().with(Proof::Bearer(server.site.signed(&claims("bench-1"))));
    "bench-1".clone_into(&mut person.name);
    person
}

#[tokio::test]
async fn each_scenario_delivers_everything_and_tells_no_secret() {
    let server = Server::new(&[]);
    let secret = server.site.variable("HAILGATE_JWT_SECRET").to_owned();
    let load = "--users 12 --rate 30 --duration 2s --ramp 0s --threads 2 --server-pid";
    for (scenario, members) in [
        ("broadcast", 12),
        ("rooms --room 4", 4),
        ("direct", 2),
        ("rest --room 4", 4),
        ("mixed --room 4", 4),
        ("storm --room 4", 4),
        ("slow --room 4 --share 0.5", 4),
        ("soak --room 4", 4),
    ] {
        let (output, results) = bench(&server, &format!("--scenario {scenario} {load} {}", server.id()), "run.json").await;
        let told = said(&output);
        assert_eq!(output.status.code(), Some(0), "{scenario}: {told}");
        assert!(told.contains("passed") && !told.contains(&secret) && !told.contains("eyJ"), "{scenario}: {told}");
        let results = results.expect("results");
        let counts = &results["counts"];
        let count = |name: &str| counts[name].as_u64().expect("a count");
        assert_eq!((count("sent"), count("acknowledged"), count("unsent")), (60, 60, 0), "{scenario}: {counts}");
        assert_eq!(count("delivered"), 60 * members, "{scenario}: {counts}");
        assert_eq!(results["ack"]["count"], 60, "{scenario}");
        let by_rest = match scenario.split(' ').next() {
            Some("rest") => 60..=60,
            Some("mixed") => 20..=40,
            _ => 0..=0,
        };
        assert!(by_rest.contains(&count("sent_by_rest")), "{scenario}: {counts}");
        assert_eq!(count("reconnects"), if scenario.starts_with("storm") { 12 } else { 0 }, "{scenario}: {counts}");
        let seconds = results["seconds"].as_array().expect("seconds");
        assert_eq!(seconds.len(), 2, "{scenario}");
        assert!(seconds.iter().all(|second| second["server_bytes"].as_u64() > Some(0)), "{scenario}: {seconds:?}");
        assert_eq!(results["connect"]["count"].as_u64(), Some(12 + count("reconnects")), "{scenario}");
    }
}

#[tokio::test]
async fn readers_that_stop_reading_are_sent_away_and_come_back_to_everything_they_missed() {
    let server = Server::new(&[("HAILGATE_LIMIT_OUTBOX_BYTES", "65536")]);
    let words = "--scenario slow --users 12 --room 12 --rate 160 --message-bytes 7500 --share 0.2 --duration 5s --ramp 0s";
    let (output, results) = bench(&server, words, "run.json").await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let results = results.expect("results");
    assert!(results["counts"]["reconnects"].as_u64() >= Some(1), "{}", results["errors"]);
    assert_eq!(results["counts"]["delivered"], 9_600);
    let timed = results["delivery"]["count"].as_u64().expect("a count");
    assert_eq!(timed, 8_000, "what slow readers get late is no latency of the server's");
}

#[tokio::test]
async fn a_closed_loop_keeps_its_window_and_writes_a_report() {
    let server = Server::new(&[("HAILGATE_LIMIT_SENDS_PER_SECOND", "100000"), ("HAILGATE_LIMIT_SENDS_BURST", "100000")]);
    let page = server.site.directory.path().join("page.html");
    let words =
        format!("--scenario rooms --users 6 --room 3 --window 4 --duration 3s --ramp 0s --report {}", page.display());
    let (output, results) = bench(&server, &words, "run.json").await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let counts = &results.expect("results")["counts"];
    assert!(counts["sent"].as_u64() >= Some(4) && counts["sent"] == counts["acknowledged"], "{counts}");
    assert!(fs::read_to_string(page).expect("a page").contains("<svg"));
    let file = server.site.directory.path().join("run.json").display().to_string();
    let compared = server.site.run(&["bench", "compare", &file, &file]);
    assert!(compared.status.success(), "{}", said(&compared));
    let refused = server.site.run(&["bench", "compare", &file, "nothing.json"]);
    assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
}

#[tokio::test]
async fn messages_that_a_user_sends_too_fast_are_sent_again_until_they_are_stored() {
    let server = Server::new(&[("HAILGATE_LIMIT_SENDS_PER_SECOND", "20"), ("HAILGATE_LIMIT_SENDS_BURST", "5")]);
    let words = "--scenario rooms --users 2 --room 2 --window 30 --duration 1s --ramp 0s";
    let (output, results) = bench(&server, words, "run.json").await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let results = results.expect("results");
    let counts = &results["counts"];
    assert!(results["errors"]["rate_limited"].as_u64() > Some(0) && counts["retried"].as_u64() > Some(0), "{counts}");
    assert_eq!(counts["sent"], counts["acknowledged"]);
}

/// A load test of four users in one thread that goes on until it is interrupted.
struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStderr>>,
    results: PathBuf,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already, unless a test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    fn start(server: &Server) -> Running {
        let results = server.site.directory.path().join("run.json");
        let (url, path) = (server.url("").trim_end_matches('/').to_owned(), results.display().to_string());
        let words = "bench --scenario broadcast --users 4 --rate 20 --ramp 0s --duration 600s";
        let mut words: Vec<&str> = words.split(' ').collect();
        words.extend(["--url", &url, "--json", &path]);
        let mut child = server.site.command(&words).spawn().expect("it starts");
        let lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        Running { child, lines, results }
    }

    /// Waits for two lines of progress, interrupts the load test, and waits for its end.
    fn interrupt(mut self) -> (Output, Value) {
        let progress = (&mut self.lines).filter(|line| line.as_ref().is_ok_and(|line| line.contains("sent/s")));
        assert_eq!(progress.take(2).count(), 2, "it says what it does");
        let told = Command::new("kill").args(["-INT", &self.child.id().to_string()]).status();
        assert!(told.is_ok_and(|status| status.success()));
        let rest: Vec<String> = (&mut self.lines).map_while(Result::ok).collect();
        let mut stdout = Vec::new();
        self.child.stdout.take().expect("a pipe").read_to_end(&mut stdout).expect("output");
        let status = self.child.wait().expect("it ran");
        let output = Output { status, stdout, stderr: rest.join("\n").into_bytes() };
        let results = fs::read_to_string(&self.results).ok().and_then(|text| serde_json::from_str(&text).ok());
        let results = results.unwrap_or_else(|| panic!("no results: {}", said(&output)));
        (output, results)
    }
}

/// Interrupts a load test within `TIMEOUT`.
async fn interrupted(running: Running) -> (Output, Value) {
    let ended = tokio::task::spawn_blocking(|| running.interrupt());
    tokio::time::timeout(TIMEOUT, ended).await.expect("it ends").expect("a thread")
}

/// Limits of a server that a test asks without a pause until something has happened.
const ASKED_OFTEN: [(&str, &str); 2] =
    [("HAILGATE_LIMIT_REST_PER_SECOND", "1000000"), ("HAILGATE_LIMIT_REST_BURST", "1000000")];

/// The thread of a load test, once its last message is another than this.
async fn with_another_message(owner: &Person, than: &Value) -> Value {
    let sent = async {
        loop {
            let answer = owner.get("/api/threads").await;
            let thread = if answer.status == 200 { answer.json(200)["threads"][0].clone() } else { Value::Null };
            if ![than, &Value::Null].contains(&&thread["last_message"]) {
                break thread;
            }
        }
    };
    tokio::time::timeout(TIMEOUT, sent).await.expect("messages are sent")
}

#[tokio::test]
async fn a_member_who_is_put_out_while_messages_are_sent_makes_the_run_fail() {
    let server = Server::new(&ASKED_OFTEN);
    let running = Running::start(&server);
    // The account exists once the load test has begun.
    let owner = first(&server);
    let thread = with_another_message(&owner, &Value::Null).await;
    let member = format!("/api/threads/{}/members/bench-3", thread["thread_id"].as_str().expect("an id"));
    owner.delete(&member).await.empty(204);
    let left = owner.get("/api/threads").await.json(200)["threads"][0]["last_message"].clone();
    with_another_message(&owner, &left).await;
    let (output, results) = interrupted(running).await;
    let told = said(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("the server broke its promise: ") && told.contains(" lost"), "{told}");
    let verdict = &results["verdict"];
    assert!(verdict["lost"].as_u64() > Some(0), "{verdict}");
    assert!(verdict["examples"][0].as_str().is_some_and(|words| words.contains("user bench-3")), "{verdict}");
}

#[tokio::test]
async fn ctrl_c_ends_a_run_early_and_it_still_reports() {
    let server = Server::new(&[]);
    let (output, results) = interrupted(Running::start(&server)).await;
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(results["plan"]["duration_s"].as_f64().is_some_and(|seconds| seconds < 600.0), "{}", results["plan"]);
    let counts = &results["counts"];
    assert!(counts["sent"] == counts["acknowledged"] && counts["unsent"] == 0, "{counts}");
}

#[test]
fn a_host_that_is_not_this_machine_is_refused_without_permission() {
    let site = Site::new(&[]);
    for url in ["http://192.0.2.1:8080", "https://192.0.2.1", "http://[2001:db8::1]:8080"] {
        let output = site.run(&["bench", "--url", url, "--scenario", "rooms"]);
        assert_eq!(output.status.code(), Some(1), "{url}");
        let told = said(&output);
        assert!(told.contains("not this machine") && told.contains("--i-may-load-this-host"), "{url}: {told}");
    }
    for wrong in ["ws://127.0.0.1:1", "http://127.0.0.1:1/ws", "http://a:b@127.0.0.1:1", "127.0.0.1"] {
        let output = site.run(&["bench", "--url", wrong, "--scenario", "rooms"]);
        assert_eq!(output.status.code(), Some(2), "{wrong}: {}", said(&output));
    }
}

#[tokio::test]
async fn a_load_that_the_limits_do_not_let_through_is_refused_before_it_begins() {
    let server = Server::new(&[
        ("HAILGATE_LIMIT_SENDS_PER_SECOND", "1"),
        ("HAILGATE_LIMIT_THREAD_MEMBERS", "5"),
        ("HAILGATE_LIMIT_CONTENT_CHARS", "100"),
    ]);
    let words = "--scenario broadcast --users 8 --rate 40 --message-bytes 200 --duration 1s";
    let (output, results) = bench(&server, words, "run.json").await;
    let told = said(&output);
    assert_eq!((output.status.code(), results), (Some(1), None), "{told}");
    for name in ["SENDS_PER_SECOND", "THREAD_MEMBERS", "CONTENT_CHARS"] {
        assert!(told.contains(&format!("raise HAILGATE_LIMIT_{name}")), "{name}: {told}");
    }
    assert!(first(&server).get("/api/threads").await.json(200)["threads"] == json!([]), "nothing was made");
}

#[test]
fn users_come_from_a_file_or_from_a_server_that_is_not_in_production() {
    let site = Site::with_secrets(&[]);
    let run = |more: &[&str]| {
        let output =
            site.run(&[&["bench", "--url", "http://127.0.0.1:1", "--scenario", "rooms", "--users", "2"], more].concat());
        (output.status.code(), said(&output))
    };
    let (code, told) = run(&[]);
    assert!(code == Some(1) && told.contains("not made in production") && told.contains("--tokens"), "{told}");
    let path = site.directory.path().join("tokens");
    let name = path.display().to_string();
    fs::write(&path, "alice a-token\n\n").expect("a file");
    let (code, told) = run(&["--tokens", &name]);
    assert!(code == Some(1) && told.contains("has 1 users") && told.contains("asks for 2"), "{told}");
    fs::write(&path, "alice a-token\nbob one two\n").expect("a file");
    let (code, told) = run(&["--tokens", &name]);
    assert!(code == Some(1) && told.contains("line 2") && !told.contains("a-token") && !told.contains("two\n"), "{told}");
    fs::write(&path, "alice a-token\nbob b-token\n").expect("a file");
    let (code, told) = run(&["--tokens", &name]);
    assert!(code == Some(69) && told.contains("is it running there?"), "{told}");
}

/// A server that leaves out one delivery in 100,000, which `tests/run` builds; `None` if nobody has.
fn lossy() -> Option<PathBuf> {
    let built = Path::new(env!("CARGO_BIN_EXE_hailgate")).parent()?.parent()?.join("lossy/hailgate");
    if built.exists() {
        return Some(built);
    }
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "there is no {}", built.display());
    // Past what captures the output of tests that pass.
    let _ = writeln!(std::io::stdout(), "SKIPPED: there is no {}: tests/run builds it", built.display());
    None
}

#[tokio::test]
async fn a_server_that_leaves_out_one_delivery_in_a_hundred_thousand_is_caught_and_one_that_does_not_passes() {
    let Some(built) = lossy() else { return };
    let words = "--scenario broadcast --users 200 --rate 105 --duration 10s --ramp 1s";
    for loses in [true, false] {
        let server = if loses {
            let site = Arc::new(Site::new(&[]));
            let mut command = Command::new(&built);
            command.args(["serve", "--bind", "127.0.0.1:0"]).env_clear().current_dir(site.directory.path());
            command.envs(site.variables.iter().map(|(name, value)| (name, value)));
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            Server::start(&site, command)
        } else {
            Server::new(&[])
        };
        let (output, results) = bench(&server, words, "run.json").await;
        let (told, results) = (said(&output), results.expect("results"));
        let (counts, verdict) = (&results["counts"], &results["verdict"]);
        assert_eq!((&counts["sent"], &counts["unsent"]), (&json!(1_050), &json!(0)), "{counts}");
        let (delivered, lost) = (&counts["delivered"], verdict["lost"].as_u64().expect("a count"));
        assert_eq!(delivered.as_u64().map(|delivered| delivered + lost), Some(210_000), "{counts}");
        assert_eq!(output.status.code(), Some(i32::from(loses)), "{told}");
        assert!(if loses { (2..=3).contains(&lost) } else { lost == 0 }, "{verdict}");
        assert_eq!(verdict["holes"].as_u64() > Some(0), loses, "{verdict}");
    }
}
