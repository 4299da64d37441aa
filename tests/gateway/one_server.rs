//! One server at a time serves from a database; commands work beside it.

use std::{fs, os::unix::fs::symlink, process::Output, sync::Arc};

use crate::server::{PASSWORD, Server, Site, finish};

/// What a second server of a database says, given as this variable.
fn second(site: &Site, database: &str) -> (Option<i32>, String) {
    let mut command = site.command(&["serve", "--bind", "127.0.0.1:0"]);
    if database.is_empty() {
        command.env_remove("HAILGATE_DATABASE_URL");
    } else {
        command.env("HAILGATE_DATABASE_URL", format!("sqlite://{database}"));
    }
    said(&finish(&mut command, ""))
}

fn said(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test]
async fn a_second_server_of_a_database_is_refused_with_the_process_that_serves_it_and_commands_work_beside_it() {
    let site = Arc::new(Site::new(&[]));
    let directory = site.directory.path().to_owned();
    let path = |name: &str| directory.join(name).display().to_string();
    let server = site.serve();
    let alice = server.person();
    let thread = alice.thread(&[]).await;
    symlink(directory.join("hailgate.db"), directory.join("link.db")).expect("a link");
    fs::create_dir(directory.join("sub")).expect("a directory");
    // Without the variable it is hailgate.db in the directory in which the program is started.
    for database in [path("hailgate.db"), path("link.db"), path("sub/../hailgate.db"), String::new()] {
        let (code, said) = second(&site, &database);
        let process = format!("process {} on this machine", server.id());
        assert!(code == Some(69) && said.contains(&process) && said.contains("HAILGATE_DATABASE_URL"), "{database}: {said}");
    }
    assert!(site.run_with(&["user", "add", "beside", "--password-stdin"], PASSWORD).status.success());
    assert!(site.told(&["user", "list"], "").contains("beside"));
    assert_eq!(site.run(&["check"]).status.code(), Some(0));
    server.login("beside", PASSWORD).await.json(200);
    // The system gives the lock back, however the process ends.
    let server = server.crash_and_restart();
    assert!(alice.at(&server).history(&thread).await.is_empty());
    server.terminate();
    let server = server.restart();
    alice.at(&server).get("/api/auth/me").await.json(200);
}

#[test]
fn a_database_with_two_names_is_refused_by_every_command() {
    let site = Site::new(&[]);
    assert!(site.run_with(&["user", "add", "alice", "--password-stdin"], PASSWORD).status.success());
    let directory = site.directory.path();
    fs::hard_link(directory.join("hailgate.db"), directory.join("other.db")).expect("a second name");
    for (arguments, code) in [(&["serve", "--bind", "127.0.0.1:0"][..], 69), (&["user", "list"], 69), (&["check"], 78)] {
        let (found, said) = said(&site.run(arguments));
        assert!(found == Some(code) && said.contains("2 names (hard links)"), "{arguments:?}: {said}");
    }
    fs::remove_file(directory.join("other.db")).expect("a name");
    assert!(site.told(&["user", "list"], "").starts_with("alice"));
}

#[test]
fn a_second_demo_in_a_directory_is_refused_and_changes_nothing() {
    let site = Arc::new(Site::empty());
    let arguments = ["demo", "--bind", "127.0.0.1:0", "--data", "data"];
    let server = Server::start(&site, site.command(&arguments));
    let (code, said) = said(&site.run(&arguments));
    assert!(code == Some(69) && said.contains(&format!("process {} on this machine", server.id())), "{said}");
}
