//! Power cuts: the server writes to a file system on a loop device, whose disk is a file that can be cloned in a moment.
//! The clone holds what had reached the device and nothing of what was still in memory: what a power cut leaves.

use std::{
    cell::{Cell, RefCell},
    sync::Arc,
};

use crate::{
    ledger::{FAST, Ledger, talk},
    machine::{Mounts, Need, has},
    people::Person,
    rounds,
    server::{Server, Site, random},
    soon,
};

/// XFS, because it clones a file at one moment (reflink).
const DISK: &str = "
    truncate -s 900M outer.img; mkfs.xfs -q -m reflink=1 outer.img; mkdir outer disk after; mount -o loop outer.img outer
    truncate -s 320M outer/inner.img; mkfs.xfs -q outer/inner.img; mount -o loop outer/inner.img disk";
const CUT: &str =
    "cp --reflink=always outer/inner.img outer/cut.img; mount -o loop,nouuid outer/cut.img after; ls after/hailgate.db";

/// What the cuts of one run came to.
#[derive(Debug, Default)]
struct Cuts {
    /// Messages acknowledged before the last cut.
    acknowledged: usize,
    /// Of those acknowledged before each cut, the ones that it took; all cuts together.
    lost: usize,
}

/// Cuts the power again and again while four people talk, and opens each time what is left.
async fn cuts(variables: &[(&str, &str)], count: usize) -> Option<Cuts> {
    if !has(&[Need::Mounts, Need::Loops, Need::Program("mkfs.xfs", "xfsprogs")]) {
        return None;
    }
    let mounts = Arc::new(Mounts::new());
    mounts.run(DISK);
    let server = mounts.site("disk", &[&FAST, variables].concat()).serve();
    let (alice, bob) = (server.person(), server.person());
    let thread = alice.thread(&[&bob]).await;
    // What is there before anybody talks is safe, however a commit is made.
    mounts.run("sync -f disk");
    let (one, two) = (alice.socket().await, bob.socket().await);
    let (ledger, stop) = (RefCell::new(Ledger::default()), Cell::new(false));
    let mut found = Cuts::default();
    let cutting = async {
        for _ in 0..count {
            // A random moment: after so many more acknowledgements.
            let more = 50 + usize::from_str_radix(&random(2), 16).expect("two digits");
            let enough = ledger.borrow().stored() + more;
            soon("enough is stored", async {
                while ledger.borrow().stored() < enough {
                    tokio::task::yield_now().await;
                }
            })
            .await;
            let acknowledged = ledger.borrow().clone();
            let cut = Arc::clone(&mounts);
            tokio::task::spawn_blocking(move || cut.run(CUT)).await.expect("a cut");
            let lost = look(&mounts, &server.site, &alice, &thread, &ledger, &acknowledged).await;
            found.acknowledged = acknowledged.stored();
            found.lost += lost;
        }
        stop.set(true);
    };
    tokio::join!(
        cutting,
        talk(&ledger, &stop, &alice, Some(one), &thread, "a"),
        talk(&ledger, &stop, &bob, Some(two), &thread, "b"),
        talk(&ledger, &stop, &alice, None, &thread, "c"),
        talk(&ledger, &stop, &bob, None, &thread, "d"),
    );
    println!("{variables:?}, {count} cuts: {found:?}");
    Some(found)
}

/// Opens what a cut has left with another server; how much is lost of what was acknowledged before it.
async fn look(
    mounts: &Arc<Mounts>,
    site: &Arc<Site>,
    alice: &Person,
    thread: &str,
    ledger: &RefCell<Ledger>,
    acknowledged: &Ledger,
) -> usize {
    let copy = mounts.copy("after", site);
    let start = move || Server::start(&copy, copy.command(&["serve", "--bind", "127.0.0.1:0"]));
    let after = tokio::task::spawn_blocking(start).await.expect("a server");
    let history = alice.at(&after).history(thread).await;
    let lost = acknowledged.lost(&ledger.borrow().orderly(&history)).len();
    drop(after);
    let end = Arc::clone(mounts);
    tokio::task::spawn_blocking(move || end.run("umount after; rm outer/cut.img")).await.expect("an end");
    lost
}

#[tokio::test]
async fn a_power_cut_loses_nothing_that_was_acknowledged() {
    let Some(found) = Box::pin(cuts(&[], rounds(3))).await else { return };
    assert!(found.acknowledged >= 150, "{found:?}");
    assert_eq!(found.lost, 0, "{found:?}");
}

#[tokio::test]
async fn a_log_that_does_not_sync_every_commit_does_lose_so_the_cuts_are_real() {
    let Some(found) = Box::pin(cuts(&[("HAILGATE_SQLITE_SYNCHRONOUS", "normal")], rounds(3))).await else { return };
    assert!(found.lost > 0, "{found:?}");
}
