//! The page of settings, written from the tables of the program.

use hailgate::{
    config::{ISSUER_FIELDS, SETTINGS},
    domain::Limits,
};

const BEGINNING: &str = "\
# Every setting

A setting can stand in a TOML file (`--config FILE` or `HAILGATE_CONFIG`), in a variable, or in a flag; the later wins. `hailgate check`
shows what is set, where, and what it does. This page is written from the program's own tables: after a change of one,
`BLESS=1 cargo test --test gateway settings` writes it again.

```toml
environment = \"production\"
bind = \"127.0.0.1:8080\"
database_url = \"sqlite:///var/lib/hailgate/hailgate.db\"
jwt_private_key = \"own.pem\"       # beside this file
session_key = \"...\"               # openssl rand -hex 64
public_url = \"https://chat.example.org\"
allowed_origins = [\"https://other.example.org\"]

[limits]
page = 50

[[trusted_issuer]]
issuer = \"https://id.example.org\"
audience = \"chat\"
algorithms = [\"RS256\"]
keys = \"https://id.example.org/jwks\"
prefix = \"corp\"
```

## Settings

Lists are written with commas in a variable. White space around a value is dropped, wherever it is written; only the value of
`ENVIRONMENT` must be exact. A control character, an invisible character at an end, and white space inside an address, a number or a
switch are refused. Secrets and paths may hold spaces inside; a key may be broken into lines.

Origins are written exactly as browsers send them: lower case, no default port, no path, IPv6 compressed, other alphabets in
Punycode; `hailgate check` says how to write one that is not. A page of a web view is named as its framework calls it, like
`capacitor://localhost`, `ionic://localhost`, `tauri://localhost`, `http://tauri.localhost` or `app://bundle`. The session cookie (Secure,
SameSite=Lax) does not reach a page of another site, and so no web view: these use bearer tokens, or tickets that they get with one.
";

/// Words with every address as code, which it is.
fn words(text: &str) -> String {
    let word = |word: &str| {
        let bare = word.trim_end_matches(',');
        if bare.contains("://") { format!("`{bare}`{}", &word[bare.len()..]) } else { word.to_owned() }
    };
    text.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// A name or a value as code; a dash where there is none.
pub fn code(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { format!("`{text}`") }
}

/// A table as Markdown has them.
pub fn table(heads: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let heads: Vec<String> = heads.iter().map(|head| (*head).to_owned()).collect();
    let rule = vec!["---".to_owned(); heads.len()];
    let mut lines = line(&heads) + &line(&rule);
    rows.for_each(|row| lines += &line(&row));
    lines
}

fn document() -> String {
    let settings = SETTINGS
        .iter()
        .map(|setting| vec![code(setting.variable), code(setting.key), code(setting.default), words(setting.meaning)]);
    let fields = ISSUER_FIELDS.iter().map(|(name, required, meaning, _)| {
        vec![code(name), if *required { "yes" } else { "no" }.to_owned(), words(meaning)]
    });
    let limits = Limits::TABLE.iter().zip(Limits::LEAST).map(|((name, default, unit, meaning), least)| {
        vec![code(name), default.to_string(), least.to_string(), (*unit).to_owned(), (*meaning).to_owned()]
    });
    [
        BEGINNING.to_owned(),
        table(&["Variable", "In the file", "Default", "Meaning"], settings),
        "## Fields of `[[trusted_issuer]]`\n\nIn the file alone, once an issuer.\n".to_owned(),
        table(&["Field", "Needed", "Meaning"], fields),
        "## Limits\n\n`HAILGATE_LIMIT_<NAME>` as a variable, in capitals; a line under `[limits]` in the file.\n".to_owned(),
        table(&["Name", "Default", "Least", "Unit", "Meaning"], limits),
    ]
    .join("\n")
}

#[test]
fn the_page_of_settings_says_what_the_tables_say() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/config/SETTINGS.md");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, document()).expect("the page is written");
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    let right = document();
    let differs = right.lines().zip(written.lines().chain(std::iter::repeat(""))).find(|(right, written)| right != written);
    assert!(
        written == right,
        "src/config/SETTINGS.md is not what the tables say; BLESS=1 writes it. First difference: {differs:#?}"
    );
}

#[test]
fn the_file_that_the_page_shows_is_one_that_the_program_reads() {
    let site = crate::server::Site::empty();
    let file = BEGINNING.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a file");
    let key = crate::server::random(128);
    let file = file
        .replace("\"...\"", &format!("{key:?}"))
        .replace("/var/lib/hailgate", &site.directory.path().display().to_string());
    let path = site.directory.path().join("hailgate.toml");
    let pair = aws_lc_rs::signature::Ed25519KeyPair::generate().expect("a key");
    let der = pair.to_pkcs8v1().expect("DER");
    let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, der.as_ref());
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n");
    std::fs::write(site.directory.path().join("own.pem"), pem).expect("a file");
    std::fs::write(&path, file).expect("a file");
    let output = site.run(&["check", "--config", path.to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}
