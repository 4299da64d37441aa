//! Writes and syncs that fail: libfiu stands between the server and the C library, and fails those of its calls that a
//! test names. SQLite writes with `pwrite` and syncs with `fdatasync`, and nothing else in the server uses either.

use std::{
    cell::{Cell, RefCell},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use crate::{
    ledger::{FAST, Ledger, Told, by_rest, by_socket, hears, say_again, talk},
    machine::{Need, has},
    outage::{heals, only_writes_fail},
    rounds,
    server::{Server, Site},
    within,
};

/// Within this time enough is said under faults.
const ENOUGH: Duration = Duration::from_secs(600);

const NEEDS: [Need; 2] = [Need::Program("fiu-run", "fiu-utils"), Need::Program("fiu-ctrl", "fiu-utils")];

/// A server whose calls can be made to fail.
fn serve(site: &Arc<Site>) -> Server {
    let plain = site.command(&["serve", "--bind", "127.0.0.1:0"]);
    let mut command = Command::new("fiu-run");
    command.args(["-x", "-f", &control(site)]).arg(plain.get_program()).args(plain.get_args());
    command.env_clear().env("PATH", "/usr/bin:/bin").envs(site.variables.iter().map(|(name, value)| (name, value)));
    command.current_dir(site.directory.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    Server::start(site, command)
}

/// Where the server takes orders of what is to fail.
fn control(site: &Site) -> String {
    site.directory.path().join("faults").display().to_string()
}

/// Orders a fault, or its end.
fn order(server: &Server, what: &str) {
    let mut command = Command::new("fiu-ctrl");
    let ordered = command.args(["-f", &control(&server.site), "-c", what, &server.id().to_string()]).output();
    let ordered = ordered.expect("fiu-ctrl");
    let said = [ordered.stdout, ordered.stderr].concat();
    assert!(ordered.status.success() && said.is_empty(), "{what}: {}", String::from_utf8_lossy(&said));
}

/// Each of these calls fails with this error number: every write is refused with this code until it ends, and then works.
async fn fails_and_heals(calls: &str, errno: u32, code: &str) {
    if !has(&NEEDS) {
        return;
    }
    let site = Arc::new(Site::new(&FAST));
    let server = serve(&site);
    let (alice, bob, browser) = (server.person(), server.person(), server.browser().await);
    let thread = alice.thread(&[&bob]).await;
    let (mut of_alice, mut of_bob) = (alice.socket().await, bob.socket().await);
    let mut ledger = Ledger::begun(&alice, &thread).await;

    order(&server, &format!("enable name={calls},failinfo={errno}"));
    for number in 0..5 {
        let (rest, live) = (format!("rest-{number}"), format!("socket-{number}"));
        let of_rest = by_rest(&alice, &thread, &rest).await;
        let of_socket = by_socket(&mut of_alice, &thread, &live).await;
        for (key, told) in [(rest, of_rest), (live, of_socket)] {
            assert_eq!(told, Told::Refused(code.to_owned()), "{key}");
            ledger.note(&key, told);
        }
    }
    only_writes_fail(&server, &alice, &browser, &thread, code).await;
    of_bob.is_alive().await;
    order(&server, &format!("disable name={calls}"));

    heals(&server, &mut ledger, &alice, &thread).await;
    say_again(&mut ledger, &alice, &thread).await;
    let history = alice.history(&thread).await;
    ledger.whole(&history);
    assert_eq!(history.len(), ledger.said(), "everything that was said, once");
    hears(&mut of_bob, &thread, 2, 1 + history.len() as u64).await;
    drop(server);
    let server = site.serve();
    assert_eq!(alice.at(&server).history(&thread).await, history);
}

#[tokio::test]
async fn a_sync_that_fails_acknowledges_nothing_and_its_end_heals_it() {
    fails_and_heals("posix/io/sync/*", 5, "store_unavailable").await;
}

#[tokio::test]
async fn a_write_that_fails_acknowledges_nothing_and_its_end_heals_it() {
    fails_and_heals("posix/io/rw/pwrite", 5, "store_unavailable").await;
}

#[tokio::test]
async fn a_write_for_which_there_is_no_space_is_told_as_that() {
    fails_and_heals("posix/io/rw/pwrite", 28, "storage_full").await;
}

#[tokio::test]
async fn faults_by_chance_under_load_and_a_kill_lose_nothing_that_was_acknowledged() {
    if !has(&NEEDS) {
        return;
    }
    let site = Arc::new(Site::new(&FAST));
    let server = serve(&site);
    let mut alice = server.person();
    let thread = alice.thread(&[]).await;
    let ledger = RefCell::new(Ledger::default());
    let mut server = Some(server);
    for round in 0..rounds(3) {
        let running = server.take().unwrap_or_else(|| serve(&site));
        alice = alice.at(&running);
        let (one, two) = (alice.socket().await, alice.socket().await);
        let (stop, before) = (Cell::new(false), ledger.borrow().clone());
        order(&running, "enable_random name=posix/io/sync/*,probability=0.2,failinfo=5");
        order(&running, "enable_random name=posix/io/rw/pwrite,probability=0.02,failinfo=5");
        let kill = async {
            let enough =
                || ledger.borrow().stored() >= before.stored() + 150 && ledger.borrow().said() >= before.said() + 200;
            // Counted, and most of it with a sync that may be slow: it may take long.
            within(ENOUGH, "enough is said", async {
                while !enough() {
                    tokio::task::yield_now().await;
                }
            })
            .await;
            // In the middle of what is being said.
            drop(running);
        };
        let [a, b, c, d] = ["a", "b", "c", "d"].map(|name| format!("{name}-{round}"));
        tokio::join!(
            kill,
            talk(&ledger, &stop, &alice, Some(one), &thread, &a),
            talk(&ledger, &stop, &alice, Some(two), &thread, &b),
            talk(&ledger, &stop, &alice, None, &thread, &c),
            talk(&ledger, &stop, &alice, None, &thread, &d),
        );
        let again = site.serve();
        alice = alice.at(&again);
        let mut told = ledger.borrow().clone();
        assert!(told.refused("store_unavailable") > 0, "nothing failed: {} said", told.said());
        told.whole(&alice.history(&thread).await);
        say_again(&mut told, &alice, &thread).await;
        let history = alice.history(&thread).await;
        told.whole(&history);
        assert_eq!(history.len(), told.said(), "everything that was said, once");
        ledger.replace(told);
    }
}
