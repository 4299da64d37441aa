//! Tells the program which commit it was built from, when, and by what; `unknown` where neither git nor a variable says.

use std::{env, path::Path, process::Command};

fn main() {
    println!("cargo::rerun-if-env-changed=HAILGATE_GIT_COMMIT");
    println!("cargo::rerun-if-env-changed=HAILGATE_BUILD_TIME");
    println!("cargo::rerun-if-changed=Cargo.lock");
    let asked = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().ok().filter(|output| output.status.success())?;
        Some(String::from_utf8(output.stdout).ok()?.trim().to_owned()).filter(|text| !text.is_empty())
    };
    // The commit changes with none of the files above.
    if let Some(log) = asked("git", &["rev-parse", "--git-path", "logs/HEAD"]).filter(|log| Path::new(log).exists()) {
        println!("cargo::rerun-if-changed={log}");
    }
    let told = |name: &str, program: &str, arguments: &[&str]| {
        let value = env::var(name).ok().or_else(|| asked(program, arguments)).unwrap_or_else(|| "unknown".to_owned());
        println!("cargo::rustc-env={name}={value}");
    };
    told("HAILGATE_GIT_COMMIT", "git", &["rev-parse", "--short=12", "HEAD"]);
    told("HAILGATE_BUILD_TIME", "date", &["-u", "+%Y-%m-%dT%H:%M:%SZ"]);
    let cargo = |name: &str| env::var(name).unwrap_or_else(|_| "unknown".to_owned());
    let rustc = asked(&cargo("RUSTC"), &["--version"]).unwrap_or_else(|| "unknown".to_owned());
    println!("cargo::rustc-env=HAILGATE_RUSTC={}", rustc.trim_start_matches("rustc "));
    println!("cargo::rustc-env=HAILGATE_TARGET={}", cargo("TARGET"));
    println!("cargo::rustc-env=HAILGATE_PROFILE={}", cargo("PROFILE"));
    let features = if env::var("CARGO_FEATURE_LOSSY").is_ok() { "lossy" } else { "none" };
    println!("cargo::rustc-env=HAILGATE_FEATURES={features}");
}
