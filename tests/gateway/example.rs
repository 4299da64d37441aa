//! The programs under tests/examples, built as the tests that ask for them.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

/// The path of an example's program. What `cargo test` builds for one test alone leaves examples as they were: this builds
/// what is not fresh.
pub fn example(name: &str) -> PathBuf {
    let tests = std::env::current_exe().expect("a path");
    let folder = tests.ancestors().nth(2).expect("target, profile, deps");
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")]);
    build.args(["--example", name, "--target-dir"]).arg(folder.parent().expect("target"));
    if folder.ends_with("release") {
        build.arg("--release");
    }
    let outcome = build.stdin(Stdio::null()).output().expect("cargo starts");
    assert!(outcome.status.success(), "{name}: {}", String::from_utf8_lossy(&outcome.stderr));
    folder.join("examples").join(name)
}
