//! A disk without space: nothing is acknowledged that is not stored, everything else goes on, and it heals by itself.

use serde_json::json;

use crate::{
    ledger::{FAST, Ledger, Told, by_rest, by_socket, hears, say_again},
    machine::{Mounts, Need, has},
    outage::{heals, only_writes_fail},
    people::{Person, text},
    soon,
};

/// Says things until so many in a row are refused for want of space.
async fn fill_up(ledger: &mut Ledger, alice: &Person, thread: &str) {
    let mut refused = 0;
    for number in 0.. {
        let key = format!("rest-{number}");
        let told = by_rest(alice, thread, &key).await;
        match &told {
            Told::Stored(_) => refused = 0,
            Told::Refused(code) => {
                assert_eq!(code, "storage_full");
                refused += 1;
            }
            Told::Nothing => panic!("the server is gone"),
        }
        ledger.note(&key, told);
        if refused == 10 {
            return;
        }
    }
}

#[tokio::test]
async fn a_full_disk_refuses_writes_alone_and_room_heals_it() {
    if !has(&[Need::Mounts]) {
        return;
    }
    let mounts = Mounts::new();
    mounts.run("mkdir disk; mount -t tmpfs -o size=8M tmpfs disk");
    let server = mounts.site("disk", &FAST).serve();
    let (alice, bob, browser) = (server.person(), server.person(), server.browser().await);
    let thread = alice.thread(&[&bob]).await;
    let (mut of_alice, mut of_bob) = (alice.socket().await, bob.socket().await);
    let cursor = text(&of_bob.hello, "cursor").to_owned();
    let mut ledger = Ledger::default();
    let stored = by_socket(&mut of_alice, &thread, "before").await;
    ledger.note("before", stored);

    let ticket = alice.post("/api/ws/ticket", json!({})).await.json(200);
    mounts.run("! cat /dev/zero > disk/ballast 2> /dev/null");
    fill_up(&mut ledger, &alice, &thread).await;
    // A ticket is used up by a write. It is used first, because it expires after 30 s.
    server.nobody().try_upgrade(&format!("/ws?ticket={}", text(&ticket, "ticket"))).await.problem(507, "storage_full");
    for number in 0..10 {
        let key = format!("socket-{number}");
        let told = by_socket(&mut of_alice, &thread, &key).await;
        assert!(!matches!(&told, Told::Refused(code) if code != "storage_full"), "{told:?}");
        ledger.note(&key, told);
    }
    assert!(ledger.refused("storage_full") >= 15, "{ledger:?}");
    only_writes_fail(&server, &alice, &browser, &thread, "storage_full").await;
    // What is stored is delivered; what was refused is not.
    let so_far = 1 + ledger.stored() as u64;
    hears(&mut of_bob, &thread, 2, so_far).await;
    of_bob.is_alive().await;
    assert!(of_bob.unasked().iter().all(|frame| frame["type"] == "presence"), "{:?}", of_bob.unasked());
    let mut late = bob.resume(&cursor).await;
    hears(&mut late, &thread, 2, so_far).await;

    mounts.run("rm disk/ballast");
    heals(&server, &mut ledger, &alice, &thread).await;
    server.sign_in(&browser.name).await.get("/api/auth/me").await.json(200);
    say_again(&mut ledger, &alice, &thread).await;
    let history = alice.history(&thread).await;
    ledger.whole(&history);
    assert_eq!(history.len(), ledger.stored(), "everything that was said, once");
    for socket in [&mut of_bob, &mut late] {
        hears(socket, &thread, so_far + 1, 1 + history.len() as u64).await;
    }
    let server = soon("a restart", async { server.crash_and_restart() }).await;
    assert_eq!(alice.at(&server).history(&thread).await, history);
}
