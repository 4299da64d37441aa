//! The files that a configuration names: what is in the way of the database, and secrets that others can read.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use serde_json::Value;

use crate::server::Site;

fn everything(directory: &Path) -> Vec<(std::path::PathBuf, u64)> {
    let entries = fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry"));
    let mut all: Vec<_> = entries.map(|entry| (entry.path(), entry.metadata().expect("its data").len())).collect();
    all.sort();
    all
}

#[test]
fn check_refuses_a_database_that_cannot_be_opened_and_every_command_says_why() {
    let mut site = Site::with_secrets(&[]);
    let directory = site.directory.path().to_owned();
    let within = |name: &str| directory.join(name).display().to_string();
    fs::create_dir(within("folder")).expect("a directory");
    fs::write(within("notes.txt"), "these are notes, and no database").expect("a file");
    for (database, said) in [
        (within("nowhere/at/all/x.db"), format!("the directory {} does not exist", within("nowhere/at/all"))),
        (within("folder"), format!("{} is a directory", within("folder"))),
        (within("notes.txt"), format!("{} is another kind of file", within("notes.txt"))),
        (within("notes.txt/x.db"), format!("{} is no directory", within("notes.txt"))),
        ("/dev/null".to_owned(), "/dev/null is no plain file".to_owned()),
    ] {
        let url = format!("sqlite://{database}");
        site.variables.retain(|(name, _)| name != "HAILGATE_DATABASE_URL");
        site.variables.push(("HAILGATE_DATABASE_URL".to_owned(), url));
        let before = everything(&directory);
        let output = site.run(&["check"]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(78), "{database}: {told}");
        assert!(told.contains(&said) && told.contains("variable HAILGATE_DATABASE_URL"), "{told}");
        assert_eq!(everything(&directory), before, "{database}");
        let output = site.run(&["user", "list"]);
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(69), "{database}: {told}");
        assert!(told.contains(&said), "{told}");
    }
}

#[test]
fn a_database_that_is_there_or_can_be_made_passes() {
    let site = Site::new(&[]);
    assert_eq!(site.run(&["check"]).status.code(), Some(0), "it can be made");
    let added = site.run_with(&["user", "add", "alice", "--password-stdin"], crate::server::PASSWORD);
    assert_eq!(added.status.code(), Some(0));
    assert_eq!(site.run(&["user", "list"]).status.code(), Some(0));
    assert_eq!(site.run(&["check"]).status.code(), Some(0), "it is there");
    fs::write(site.directory.path().join("hailgate.db"), "").expect("a file");
    assert_eq!(site.run(&["check"]).status.code(), Some(0), "an empty file becomes a database");
}

#[test]
fn files_with_secrets_that_others_can_read_are_recommended_to_be_closed() {
    let mut site = Site::new(&[]);
    let config = site.directory.path().join("site.toml");
    let key = site.directory.path().join("own.pem");
    let secret = site.variable("HAILGATE_SESSION_KEY").to_owned();
    fs::write(&config, format!("session_key = \"{secret}\"\njwt_private_key = \"own.pem\"\n")).expect("a file");
    let pair = aws_lc_rs::signature::Ed25519KeyPair::generate().expect("a key");
    let der = pair.to_pkcs8v1().expect("DER");
    let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, der.as_ref());
    fs::write(&key, format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n")).expect("a file");
    site.variables.retain(|(name, _)| !["HAILGATE_SESSION_KEY", "HAILGATE_JWT_SECRET"].contains(&name.as_str()));
    site.variables.push(("HAILGATE_CONFIG".to_owned(), config.display().to_string()));
    let checked = || -> (Vec<String>, Value) {
        let output = site.run(&["check", "--json"]);
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let warnings = told["warnings"].as_array().expect("warnings").iter();
        let remedies = warnings.map(|warning| warning["do"].as_str().expect("words").to_owned());
        (remedies.filter(|remedy| remedy.contains("chmod")).collect(), told["settings"].clone())
    };
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
    mode(&config, 0o600);
    mode(&key, 0o600);
    let (remedies, settings) = checked();
    assert_eq!(remedies, [""; 0]);
    let shown = settings.as_array().expect("settings").iter().find(|setting| setting["name"] == "jwt_private_key");
    assert_eq!(shown.expect("the key")["value"], "own.pem", "a path is no secret");
    mode(&config, 0o640);
    mode(&key, 0o604);
    assert_eq!(checked().0, [config, key].map(|path| format!("Run: chmod 600 {}", path.display())));
}
