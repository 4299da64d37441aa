//! What a new user meets on the command line: help, version, completions, and what is said when something is not there.

use std::{collections::BTreeSet, process::Output};

use hailgate::config::SETTINGS;

use crate::server::{PASSWORD, Site, random};

/// Every command of the program, as its help names them.
const COMMANDS: &[&str] =
    &["demo", "serve", "check", "config", "token", "backup", "user", "bench", "completions", "version"];

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn the_help_of_serve_names_every_variable_once_and_beside_its_flag() {
    let help = Site::empty().told(&["serve", "--help"], "");
    for setting in SETTINGS {
        let lines = help.lines().filter(|line| line.split_whitespace().next() == Some(setting.variable));
        assert_eq!(lines.count(), 1, "{} in {help}", setting.variable);
    }
    for beside in ["A TOML file; variables win over it [env: HAILGATE_CONFIG]", "[env: HAILGATE_BIND]"] {
        assert!(help.contains(beside), "{beside} in {help}");
    }
    assert!(help.contains("HAILGATE_LIMIT_<NAME>"), "{help}");
}

#[test]
fn every_command_says_its_variables_and_its_exit_codes() {
    let site = Site::empty();
    let help = site.told(&["--help"], "");
    let listed: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(listed.iter().copied().filter(|name| *name != "help").collect::<Vec<_>>(), COMMANDS);
    for command in COMMANDS {
        let help = site.told(&[command, "--help"], "");
        assert!(help.contains("Exit codes:") || help.contains("Exit code "), "{command}: {help}");
        let looks = !matches!(*command, "completions" | "version");
        assert_eq!(help.contains("Environment variables:"), looks, "{command}: {help}");
    }
    // A command names what it looks at, and nothing else.
    for (command, variable, named) in [
        (&["user", "--help"][..], "HAILGATE_DATABASE_URL", true),
        (&["user", "list", "--help"], "HAILGATE_DATABASE_URL", true),
        (&["user", "list", "--help"], "HAILGATE_SESSION_KEY", false),
        (&["backup", "--help"], "HAILGATE_JWT_SECRET", false),
        (&["token", "--help"], "HAILGATE_JWT_SECRET", true),
        (&["token", "--help"], "HAILGATE_SESSION_KEY", false),
        (&["demo", "--help"], "HAILGATE_BIND", false),
        (&["demo", "--help"], "HAILGATE_LIMIT_<NAME>", true),
    ] {
        assert_eq!(site.told(command, "").contains(variable), named, "{command:?} {variable}");
    }
}

#[test]
fn the_exit_codes_of_the_help_are_those_of_the_page_about_operation() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/docs/operate.md")).expect("a page");
    let help = Site::empty().told(&["--help"], "");
    let codes: Vec<&str> = help.lines().skip_while(|line| *line != "Exit codes:").skip(1).collect();
    assert!(codes.len() >= 6, "{help}");
    for line in codes {
        let (code, meaning) = line.trim().split_once("  ").expect("a code and its meaning");
        assert!(page.contains(&format!("| {code} | {meaning} |")), "{code} {meaning}");
    }
}

#[test]
fn version_tells_commit_compiler_and_features() {
    let site = Site::empty();
    let told = site.told(&["version"], "");
    let names: Vec<&str> = told.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names, ["hailgate", "commit", "rustc", "target", "profile", "features"]);
    assert!(told.lines().all(|line| line.split_whitespace().count() >= 2), "{told}");
    let number = format!("hailgate {}", env!("CARGO_PKG_VERSION"));
    assert!(told.starts_with(&number) && site.told(&["-V"], "") == number);
    let commit = told.lines().nth(1).and_then(|line| line.split_whitespace().nth(1)).expect("a commit");
    assert_eq!(site.told(&["--version"], ""), format!("{number} ({commit})"));
}

#[test]
fn completions_know_every_command_and_flag() {
    let site = Site::empty();
    for shell in ["bash", "zsh", "fish"] {
        let script = site.told(&["completions", shell], "");
        for word in COMMANDS.iter().copied().chain(["password-stdin", "expect-environment", "compare"]) {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    assert_eq!(site.run(&["completions", "tcsh"]).status.code(), Some(2));
    // The shell itself accepts the script, and completes a command by it.
    let script = site.told(&["completions", "bash"], "");
    std::fs::write(site.directory.path().join("hailgate.bash"), script).expect("a file");
    let program = "source ./hailgate.bash && COMP_WORDS=(hailgate ser) COMP_CWORD=1 && _hailgate hailgate ser hailgate && \
                   echo ${COMPREPLY[@]}";
    let output = std::process::Command::new("bash").args(["-c", program]).current_dir(site.directory.path()).output();
    let output = output.expect("bash");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "serve", "{}", said(&output));
}

#[test]
fn accounts_and_backups_need_the_database_and_no_keys() {
    let mut site = Site::empty();
    let url = format!("sqlite://{}/own.db", site.directory.path().display());
    site.variables = vec![("HAILGATE_DATABASE_URL".to_owned(), url)];
    // What serves and is wrong is no matter here.
    site.variables.push(("HAILGATE_BIND".to_owned(), "nonsense".to_owned()));
    let added = site.run_with(&["user", "add", "alice", "--password-stdin"], PASSWORD);
    assert!(added.status.success(), "{}", said(&added));
    assert!(site.told(&["user", "list"], "").starts_with("alice\t"));
    for command in [&["user", "disable", "alice"][..], &["user", "enable", "alice"], &["backup", "copy.db"]] {
        let output = site.run(command);
        assert!(output.status.success(), "{command:?}: {}", said(&output));
    }
    assert_eq!(site.run(&["serve"]).status.code(), Some(78), "a server needs its keys");
    site.variables.push(("HAILGATE_DATABASE".to_owned(), "sqlite:///elsewhere.db".to_owned()));
    assert_eq!(site.run(&["user", "list"]).status.code(), Some(78), "a mistyped name may be the one that is needed");
}

#[test]
fn a_command_beside_no_database_says_so_and_makes_none() {
    let site = Site::new(&[]);
    for command in [
        &["user", "list"][..],
        &["user", "disable", "alice"],
        &["user", "enable", "alice"],
        &["user", "revoke", "alice"],
        &["user", "passwd", "alice", "--password-stdin"],
    ] {
        let output = site.run_with(command, PASSWORD);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(69), "{command:?}: {said}");
        assert!(said.contains("there is no database") && said.contains("HAILGATE_DATABASE_URL"), "{said}");
    }
    assert_eq!(std::fs::read_dir(site.directory.path()).expect("a directory").count(), 0);
}

#[test]
fn a_user_who_does_not_exist_is_named_and_so_is_one_who_does() {
    let site = Site::new(&[]);
    assert!(site.run_with(&["user", "add", "alice", "--password-stdin"], PASSWORD).status.success());
    for command in ["disable", "enable", "revoke"] {
        let said = said(&site.run(&["user", command, "nobody"]));
        assert!(said.contains("there is no user nobody") && said.contains("hailgate user list"), "{command}: {said}");
    }
    let said = said(&site.run_with(&["user", "add", "alice", "--password-stdin"], PASSWORD));
    assert!(said.contains("there is already a user alice") && said.contains("user passwd alice"), "{said}");
}

#[test]
fn a_token_for_an_account_that_is_not_there_is_refused_or_warned_of() {
    let secret = [("HAILGATE_JWT_SECRET", random(64))];
    let mut site = Site::empty();
    site.variables = secret.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    site.variables.push(("HAILGATE_DATABASE_URL".to_owned(), format!("sqlite://{}/h.db", site.directory.path().display())));
    // No session key: it seals cookies, and signs no token.
    let elsewhere = site.run(&["token", "--user", "nobody"]);
    let warned = said(&elsewhere);
    assert!(elsewhere.status.success() && !elsewhere.stdout.is_empty(), "{warned}");
    assert!(warned.contains("the account nobody was not looked up") && warned.contains("401"), "{warned}");
    assert!(site.run_with(&["user", "add", "alice", "--password-stdin"], PASSWORD).status.success());
    let known = site.run(&["token", "--user", "alice"]);
    assert!(known.status.success() && known.stderr.is_empty(), "{}", said(&known));
    let unknown = site.run(&["token", "--user", "nobody"]);
    let refused = said(&unknown);
    assert!(unknown.status.code() == Some(1) && unknown.stdout.is_empty(), "{refused}");
    assert!(refused.contains("there is no account nobody") && refused.contains("hailgate user add"), "{refused}");
    site.variables.push(("HAILGATE_CREATE_USERS".to_owned(), "on".to_owned()));
    let made = site.run(&["token", "--user", "nobody"]);
    assert!(made.status.success() && said(&made).contains("the first request with the token makes it"), "{}", said(&made));
    let long = said(&site.run(&["token", "--user", "alice", "--ttl", "25h"]));
    assert!(long.contains("--ttl is 90000 s") && long.contains("HAILGATE_LIMIT_TOKEN_LIFETIME_MS"), "{long}");
    site.variables.retain(|(name, _)| name != "HAILGATE_JWT_SECRET");
    let keyless = site.run(&["token", "--user", "alice"]);
    assert_eq!(keyless.status.code(), Some(78));
    assert!(said(&keyless).contains("no own key to sign with") && !said(&keyless).contains("SESSION_KEY"));
}

#[test]
fn a_demo_that_is_to_be_open_to_others_is_told_what_to_do_and_makes_nothing() {
    let site = Site::empty();
    for bind in ["0.0.0.0", "0.0.0.0:8080", "[::]:8080", "[::]", "192.0.2.1:80"] {
        let output = site.run(&["demo", "--data", "data", "--bind", bind]);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(78), "{bind}: {said}");
        for word in ["A demo listens on this machine only", bind, "ssh -L", "hailgate config --write", "flag --bind"] {
            assert!(said.contains(word), "{bind}: {word} in {said}");
        }
        assert!(!said.contains("ENVIRONMENT"), "a demo does not look at it: {said}");
    }
    assert!(!site.directory.path().join("data").exists());
}

#[test]
fn a_data_directory_that_no_demo_has_made_is_told_as_that() {
    let site = Site::empty();
    std::fs::create_dir(site.directory.path().join("empty")).expect("a directory");
    std::fs::write(site.directory.path().join("file"), "").expect("a file");
    for (name, what) in [
        ("missing", "There is no directory missing."),
        ("empty", "No demo keeps its data in empty"),
        ("file", "file is no directory."),
    ] {
        for command in [&["user", "list"][..], &["token", "--user", "bob"], &["serve"], &["backup", "copy.db"]] {
            let output = site.run(&[command, &["--data", name]].concat());
            let said = said(&output);
            assert_eq!(output.status.code(), Some(78), "{command:?}: {said}");
            let remedy = format!("hailgate demo --data {name}");
            assert!(said.contains(what) && said.contains("flag --data") && said.contains(&remedy), "{said}");
        }
    }
    let output = site.run(&["demo", "--data", "file"]);
    assert_eq!(output.status.code(), Some(69));
    assert!(said(&output).contains("is a file, not a directory. Name a directory"), "{}", said(&output));
    // Where this user has a demo, it is named.
    let home = site.directory.path().join("state/hailgate");
    std::fs::create_dir_all(&home).expect("a directory");
    std::fs::write(home.join("hailgate.toml"), "").expect("a file");
    let mut command = site.command(&["user", "list", "--data", "missing"]);
    let output = crate::server::finish(command.env("XDG_STATE_HOME", site.directory.path().join("state")), "");
    assert!(said(&output).contains(&home.display().to_string()), "{}", said(&output));
}

#[test]
fn a_port_that_cannot_be_had_says_why_and_what_to_do() {
    let site = Site::with_secrets(&[]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    for (bind, word) in [(address.as_str(), "Another program listens there"), ("192.0.2.1:8080", "no such address")] {
        let output = site.run(&["serve", "--bind", bind]);
        let said = said(&output);
        assert_eq!(output.status.code(), Some(69), "{said}");
        assert!(
            said.contains(bind) && said.contains(word) && said.contains("HAILGATE_BIND") | said.contains("0.0.0.0:8080")
        );
    }
    let output = site.run(&["demo", "--data", "data", "--bind", &address]);
    assert!(
        output.status.code() == Some(69) && said(&output).contains("Another program listens there"),
        "{}",
        said(&output)
    );
}

#[test]
fn a_word_that_no_command_knows_is_answered_with_the_ones_there_are() {
    let site = Site::new(&[]);
    for (arguments, hint) in [
        (&["srve"][..], "serve"),
        (&["serve", "--confg", "x"], "--config"),
        (&["token", "--user", "alice", "--permission", "everything"], "publish"),
        (&["token", "--user", "alice", "--ttl", "5"], "write a time like 90s, 15m or 1h"),
        (&["check", "--url", "chat.example.org"], "https://"),
    ] {
        let output = site.run(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(said(&output).contains(hint), "{arguments:?}: {}", said(&output));
    }
    let distinct: BTreeSet<&&str> = COMMANDS.iter().collect();
    assert_eq!(distinct.len(), COMMANDS.len());
}
