//! What commands print, and what they say when nobody can get it.

use std::{fs::OpenOptions, process::Stdio};

use crate::server::{Server, Site};

/// Every kind of command that prints.
fn commands(url: &str) -> [Vec<String>; 7] {
    [
        "check",
        "check --json",
        &format!("check --url {url}"),
        &format!("check --json --url {url}"),
        "token --user alice",
        "user list",
        "demo --data data --bind 127.0.0.1:0",
    ]
    .map(|line| line.split(' ').map(str::to_owned).collect())
}

/// The exit code and stderr of a command with this for its stdout.
fn ended(site: &Site, arguments: &[String], stdout: Stdio) -> (Option<i32>, String) {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // A demo has settings of its own.
    let empty = Site::empty();
    let site = if arguments[0] == "demo" { &empty } else { site };
    // How many files the system allows is no matter here.
    let output = site.command(&arguments).env("RUST_LOG", "error").stdout(stdout).output().expect("the program starts");
    (output.status.code(), String::from_utf8(output.stderr).expect("UTF-8"))
}

fn site() -> Site {
    let site = Site::new(&[]);
    assert!(site.run_with(&["user", "add", "alice", "--password-stdin"], crate::server::PASSWORD).status.success());
    site
}

#[test]
fn output_that_cannot_be_written_is_a_failure_that_says_so() {
    let (site, server) = (site(), Server::shared());
    for command in commands(&server.url("")) {
        let full = OpenOptions::new().write(true).open("/dev/full").expect("a file that is always full");
        let (code, said) = ended(&site, &command, full.into());
        assert_eq!(code, Some(1), "{command:?}: {said}");
        assert!(said.contains("standard output cannot be written") && !said.contains("panicked"), "{command:?}: {said}");
    }
}

#[test]
fn a_reader_who_has_left_is_a_failure_without_words() {
    let (site, server) = (site(), Server::shared());
    for command in commands(&server.url("")) {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        assert_eq!(ended(&site, &command, writer.into()), (Some(1), String::new()), "{command:?}");
    }
}
