//! A disk that does not answer: the writer's thread hangs in a sync for as long as a file exists, by a library that is
//! loaded before the C library. The server must still hear that it is to end, and end.

use std::{
    fs,
    path::PathBuf,
    process::Command,
    sync::{Arc, LazyLock},
};

use serde_json::json;
use tempfile::TempDir;

use crate::{
    machine::{Need, has},
    server::{Server, Site},
};

const NEEDS: [Need; 1] = [Need::Program("cc", "gcc")];

const LIBRARY: &str = r#"
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void hang(void) {
    static const char told[] = "the sync hangs\n";
    const struct timespec pace = {0, 10000000};
    const char *file = getenv("HANGS_WHILE");
    char thread[16] = "";
    prctl(PR_GET_NAME, thread);
    if (file && !strcmp(thread, "writer") && !access(file, F_OK)) {
        if (write(2, told, sizeof told - 1) < 0) abort();
        while (!access(file, F_OK)) nanosleep(&pace, NULL);
    }
}

int fdatasync(int fd) { hang(); return syscall(SYS_fdatasync, fd); }
int fsync(int fd) { hang(); return syscall(SYS_fsync, fd); }
"#;

static BUILT: LazyLock<(TempDir, PathBuf)> = LazyLock::new(|| {
    let directory = TempDir::new().expect("a temporary directory");
    let (source, library) = (directory.path().join("hangs.c"), directory.path().join("hangs.so"));
    fs::write(&source, LIBRARY).expect("a file");
    let mut build = Command::new("cc");
    let built = build.args(["-shared", "-fPIC", "-o"]).args([&library, &source]).status();
    assert!(built.expect("a C compiler").success());
    (directory, library)
});

/// The file while which the writer's thread hangs.
fn switch(site: &Site) -> PathBuf {
    site.directory.path().join("hangs")
}

fn serve(drain_ms: &str, hangs: bool) -> Server {
    let site = Arc::new(Site::new(&[("HAILGATE_LIMIT_DRAIN_MS", drain_ms)]));
    if hangs {
        fs::write(switch(&site), "").expect("a file");
    }
    let mut command = site.command(&["serve", "--bind", "127.0.0.1:0"]);
    command.env("LD_PRELOAD", &BUILT.1).env("HANGS_WHILE", switch(&site));
    Server::start(&site, command)
}

fn says(server: &Server, text: &str) {
    server.log.wait_for(text, |line| line.contains(text).then_some(()));
}

#[tokio::test]
async fn a_signal_is_heard_and_ends_the_server_while_its_own_sweep_hangs() {
    if !has(&NEEDS) {
        return;
    }
    let mut server = serve("100", true);
    says(&server, "the sync hangs");
    server.terminate();
    says(&server, "draining");
    assert_eq!(server.ended().code(), Some(69), "{}", server.log.text());
    assert!(server.log.text().contains("what was not acknowledged may be lost"), "{}", server.log.text());
}

/// A server whose writer hangs with a message of a user who keeps the drain waiting.
async fn hanging() -> Server {
    let server = serve("60000", false);
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    fs::write(switch(&server.site), "").expect("a file");
    let mut socket = alice.socket().await;
    socket.send(json!({"type": "message.send", "data": {"thread_id": thread, "content": "never acknowledged"}})).await;
    says(&server, "the sync hangs");
    server.terminate();
    says(&server, "draining");
    server
}

#[tokio::test]
async fn a_second_signal_ends_the_server_while_its_writer_hangs() {
    if !has(&NEEDS) {
        return;
    }
    let mut server = hanging().await;
    server.terminate();
    // In order as far as that goes, or by force.
    assert!([Some(69), Some(70)].contains(&server.ended().code()), "{}", server.log.text());
}

#[tokio::test]
async fn a_third_signal_ends_the_server_at_once() {
    if !has(&NEEDS) {
        return;
    }
    let mut server = hanging().await;
    // By two signals, because the system may merge two of the same. The third does not wait for what the second says: 10 s after
    // that the process would end anyway.
    server.terminate();
    server.signal("INT");
    says(&server, "asked again: ending at once");
    assert_eq!(server.ended().code(), Some(70), "{}", server.log.text());
}
