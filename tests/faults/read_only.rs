//! A store that may not be written any more, under the running server: for a while, or until somebody repairs the disk.

use std::sync::Arc;

use crate::{
    ledger::{FAST, Ledger, Told, by_rest, by_socket, say_again},
    machine::{Mounts, Need, has},
    outage::{heals, only_writes_fail},
    people::Person,
    server::Server,
    socket::Socket,
};

const NEEDS: [Need; 4] =
    [Need::Mounts, Need::Loops, Need::Program("mkfs.ext4", "e2fsprogs"), Need::Program("chattr", "e2fsprogs")];

/// An ext4 file system of its own that turns read-only at its first error.
fn disk() -> Mounts {
    let mounts = Mounts::new();
    mounts.run(
        "truncate -s 64M disk.img; mkfs.ext4 -q -F disk.img; mkdir disk; mount -o loop,errors=remount-ro disk.img disk",
    );
    mounts
}

/// Says things both ways, all of which must be refused.
async fn all_refused(ledger: &mut Ledger, alice: &Person, socket: &mut Socket, thread: &str, round: usize) {
    for number in 0..5 {
        let (rest, live) = (format!("rest-{round}-{number}"), format!("socket-{round}-{number}"));
        let of_rest = by_rest(alice, thread, &rest).await;
        let of_socket = by_socket(socket, thread, &live).await;
        for (key, told) in [(rest, of_rest), (live, of_socket)] {
            assert_eq!(told, Told::Refused("store_unavailable".to_owned()), "{key}");
            ledger.note(&key, told);
        }
    }
}

#[tokio::test]
async fn files_that_nobody_may_write_refuse_writes_alone_and_heal() {
    if !has(&NEEDS) {
        return;
    }
    let mounts = disk();
    let server = mounts.site("disk", &FAST).serve();
    let (alice, bob, browser) = (server.person(), server.person(), server.browser().await);
    let thread = alice.thread(&[&bob]).await;
    let (mut of_alice, mut of_bob) = (alice.socket().await, bob.socket().await);
    let mut ledger = Ledger::begun(&alice, &thread).await;
    for round in 0..2 {
        mounts.run("chattr +i disk/hailgate.db disk/hailgate.db-wal");
        all_refused(&mut ledger, &alice, &mut of_alice, &thread, round).await;
        only_writes_fail(&server, &alice, &browser, &thread, "store_unavailable").await;
        of_bob.is_alive().await;
        mounts.run("chattr -i disk/hailgate.db disk/hailgate.db-wal");
        heals(&server, &mut ledger, &alice, &thread).await;
        assert_eq!(ledger.open().len(), 10);
        say_again(&mut ledger, &alice, &thread).await;
    }
    ledger.is_what_was_heard(&alice, &thread, &mut of_bob).await;
    of_alice.is_alive().await;
}

#[tokio::test]
async fn a_file_system_that_turns_read_only_loses_nothing_that_was_acknowledged() {
    if !has(&NEEDS) {
        return;
    }
    let mounts = disk();
    let server = mounts.site("disk", &FAST).serve();
    let site = Arc::clone(&server.site);
    let (alice, browser) = (server.person(), server.browser().await);
    let thread = alice.thread(&[]).await;
    let mut socket = alice.socket().await;
    let mut ledger = Ledger::default();
    for number in 0..20 {
        let key = format!("before-{number}");
        let stored = by_socket(&mut socket, &thread, &key).await;
        ledger.note(&key, stored);
    }
    assert_eq!(ledger.stored(), 20);
    mounts
        .run("sync -f disk; device=$(findmnt -no SOURCE disk); echo broken > /sys/fs/ext4/${device#/dev/}/trigger_fs_error");
    all_refused(&mut ledger, &alice, &mut socket, &thread, 0).await;
    only_writes_fail(&server, &alice, &browser, &thread, "store_unavailable").await;
    socket.is_alive().await;

    drop(server);
    // Its first exit code above zero says that it repaired something.
    mounts.run("umount disk; e2fsck -fy disk.img || [ $? -eq 1 ]; mount -o loop disk.img disk");
    let server = Server::start(&site, site.command(&["serve", "--bind", "127.0.0.1:0"]));
    let alice = alice.at(&server);
    ledger.whole(&alice.history(&thread).await);
    say_again(&mut ledger, &alice, &thread).await;
    let history = alice.history(&thread).await;
    ledger.whole(&history);
    assert_eq!(history.len(), ledger.said(), "everything that was said, once");
}
