//! The house rules that a machine can keep: who may import whom, what is written in one place only, how long a
//! file may be. Each failure says the rule and the line.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

#[path = "tidy/documents.rs"]
mod documents;
#[path = "tidy/page.rs"]
mod page;

/// Layer and the layers it may use; see "Code map" in src/ARCHITECTURE.md.
const LAYERS: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("error", &[]),
    ("process", &[]),
    ("config", &["domain", "error"]),
    ("auth", &["domain", "error"]),
    ("wire", &["domain", "error"]),
    ("store", &["domain", "error"]),
    ("backplane", &["domain", "wire"]),
    ("writer", &["domain", "error", "process", "wire", "store", "backplane"]),
    ("connection_io", &["domain", "error", "wire"]),
    ("outlet", &["domain", "error", "process", "auth", "wire", "store", "connection_io"]),
    ("hub", &["domain", "error", "process", "auth", "wire", "store", "backplane", "writer", "outlet"]),
    ("node", &["domain", "error", "process", "wire", "store", "backplane", "writer", "outlet", "hub"]),
    ("feed", &["domain", "error", "wire", "store", "connection_io", "outlet", "node"]),
    ("socket", &["domain", "error", "wire", "connection_io", "node"]),
    ("ws", &["domain", "error", "auth", "wire", "store", "connection_io", "outlet", "hub", "node", "feed", "socket"]),
    ("rest", &["domain", "error", "auth", "wire", "store", "connection_io", "outlet", "hub", "node", "feed", "socket"]),
    (
        "http",
        &[
            "domain",
            "error",
            "process",
            "config",
            "auth",
            "wire",
            "store",
            "backplane",
            "node",
            "feed",
            "socket",
            "ws",
            "rest",
        ],
    ),
    ("bench", &["domain", "error", "wire"]),
    (
        "cli",
        &[
            "domain",
            "error",
            "config",
            "auth",
            "wire",
            "store",
            "backplane",
            "node",
            "feed",
            "socket",
            "ws",
            "rest",
            "http",
            "bench",
        ],
    ),
];

/// Text that may stand in these files only, and why.
const SINGLE_PLACES: &[(&str, &[&str], &str)] = &[
    (
        ".wrap(",
        &["src/http/gateway.rs", "src/http/mount.rs", "src/http/stack.rs"],
        "layers are put around the service in one place",
    ),
    ("\"/api", &["src/http/routes.rs"], "paths are spelt in the table of routes"),
    ("\"/ws", &["src/http/routes.rs"], "paths are spelt in the table of routes"),
    ("\"/health", &["src/http/routes.rs"], "paths are spelt in the table of routes"),
    ("std::env", &["src/config.rs", "src/build.rs"], "the environment is read in one place"),
    ("env::var", &["src/config.rs", "src/build.rs"], "the environment is read in one place"),
    ("SystemTime::now", &["src/http/gateway.rs"], "the clock is injected"),
    (
        "sqlite::",
        &["src/store/mod.rs", "src/http/", "src/cli/", "src/store/sqlite/", "src/feed/histories_tests.rs"],
        "only the top names concrete engines, and a model that is to hold of the real one",
    ),
    ("rusqlite", &["src/store/sqlite/"], "only the engine knows its library"),
    ("jsonwebtoken", &["src/auth/keys.rs"], "a key and what it may be used for are bound together in one place"),
    ("ExitCode::from(", &["src/cli/mod.rs"], "exit codes are given in one place"),
    ("process::exit(", &["src/process.rs"], "the process is ended in one place"),
    ("RateLimiter::new(", &["src/auth/keyed_limiter.rs"], "a rate over keys keeps a bounded number of them"),
    ("tracing", &["src/http/telemetry.rs"], "logging goes through log"),
];

/// What one message passes on its way: it must be readable in an hour.
const SPINE: &[&str] = &[
    "src/http/routes.rs",
    "src/http/stack.rs",
    "src/ws/admission.rs",
    "src/ws/connection.rs",
    "src/hub/mod.rs",
    "src/writer.rs",
    "src/hub/fan_out.rs",
    "src/outlet/mod.rs",
];
const SPINE_LINES_MAX: usize = 1_600;
const FILE_LINES_MAX: usize = 420;
const FUNCTION_LINES_MAX: usize = 60;

/// What may lie at the top of the repository.
const TOP: &[&str] = &["Cargo.lock", "Cargo.toml", "Dockerfile", "LICENSE", "README.md", "src", "static", "target", "tests"];

struct Source {
    path: String,
    lines: Vec<String>,
}

fn sources(folder: &str, ending: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut found, mut folders) = (Vec::new(), vec![root.join(folder)]);
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).expect("a folder").map(|entry| entry.expect("an entry").path());
        for path in entries.collect::<Vec<PathBuf>>() {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == ending) {
                let text = fs::read_to_string(&path).expect("text");
                let path = path.strip_prefix(root).expect("under the root").display().to_string();
                found.push(Source { path, lines: text.lines().map(str::to_owned).collect() });
            }
        }
    }
    assert!(!found.is_empty(), "no {ending} files in {folder}: the rules would hold of nothing");
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

impl Source {
    /// Lines of code with their numbers: no comments, and no item that is compiled for tests alone.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let kept: &[String] = if self.path.ends_with("tests.rs") { &[] } else { &self.lines };
        let mut skipped = Skipped::No;
        let numbered = kept.iter().enumerate().map(|(number, line)| (number + 1, line.as_str()));
        numbered.filter(move |(_, line)| !skipped.takes(line) && !line.trim_start().starts_with("//"))
    }

    /// The first folder or file below src.
    fn layer(&self) -> &str {
        let below = self.path.strip_prefix("src/").unwrap_or(&self.path);
        below.split('/').next().unwrap_or(below).trim_end_matches(".rs")
    }
}

/// Where a reader of lines is in an item under `#[cfg(test)]`. It relies on rustfmt: an item ends with `;` on its only
/// line, or with a `}` at the indentation of its first line.
#[derive(Clone, Copy)]
enum Skipped {
    No,
    Before,
    Inside { indent: usize },
}

impl Skipped {
    /// Whether this line belongs to such an item. Lines are given in order.
    fn takes(&mut self, line: &str) -> bool {
        let (code, indent) = (line.trim(), line.len() - line.trim_start().len());
        match *self {
            Skipped::No if code == "#[cfg(test)]" => *self = Skipped::Before,
            Skipped::No => return false,
            Skipped::Before if code.starts_with("#[") || code.starts_with("//") => {}
            Skipped::Before if code.ends_with(';') || code.ends_with('}') => *self = Skipped::No,
            Skipped::Before => *self = Skipped::Inside { indent },
            Skipped::Inside { indent: first } if indent == first && code.starts_with('}') => *self = Skipped::No,
            Skipped::Inside { .. } => {}
        }
        true
    }
}

#[test]
fn code_behind_an_item_for_tests_is_read() {
    let text = "mod a;\n#[cfg(test)]\n#[path = \"b.rs\"]\nmod b;\nmod c;\nimpl D {\n    #[cfg(test)]\n    fn e() {\n        f();\n    }\n\n\
                fn g() {}\n}\n#[cfg(test)]\nmod tests {\n    fn h() {}\n}\nfn i() {}";
    let source = Source { path: "src/x.rs".to_owned(), lines: text.lines().map(str::to_owned).collect() };
    let code: Vec<&str> = source.code().map(|(_, line)| line).filter(|line| !line.is_empty()).collect();
    assert_eq!(code, ["mod a;", "mod c;", "impl D {", "fn g() {}", "}", "fn i() {}"]);
}

fn fail_if_any(rule: &str, breaches: &[String]) {
    assert!(breaches.is_empty(), "{rule}:\n  {}", breaches.join("\n  "));
}

/// Layers named after `crate::` in a stretch of text, also inside braces.
fn layers_used(text: &str) -> Vec<String> {
    let mut used = Vec::new();
    for (start, _) in text.match_indices("crate::") {
        let rest = &text[start + "crate::".len()..];
        if let Some(list) = rest.strip_prefix('{') {
            let mut depth = 0;
            let mut name = String::new();
            for c in list.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    _ if depth > 0 => {}
                    ',' => used.push(std::mem::take(&mut name)),
                    c => name.push(c),
                }
            }
            used.push(name);
        } else {
            used.push(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
        }
    }
    let first = |name: String| name.trim().split("::").next().unwrap_or_default().trim().to_owned();
    used.into_iter().map(first).filter(|name| !name.is_empty()).collect()
}

#[test]
fn no_layer_imports_one_above_or_beside_it() {
    let allowed: BTreeMap<&str, &[&str]> = LAYERS.iter().copied().collect();
    let mut breaches = Vec::new();
    for source in sources("src", "rs") {
        let layer = source.layer().to_owned();
        let Some(may) = allowed.get(layer.as_str()) else {
            assert!(["lib", "main", "build"].contains(&layer.as_str()), "{} belongs to no layer", source.path);
            continue;
        };
        let text: Vec<&str> = source.code().map(|(_, line)| line).collect();
        for used in layers_used(&text.join("\n")) {
            if used != layer && !may.contains(&used.as_str()) {
                breaches.push(format!("{} uses {used}", source.path));
            }
        }
    }
    fail_if_any("a layer imports what it may not", &breaches);
}

#[test]
fn what_belongs_in_one_place_stands_in_one_place() {
    let sources = sources("src", "rs");
    let mut breaches = Vec::new();
    for (text, places, why) in SINGLE_PLACES {
        let mut seen = false;
        for source in &sources {
            for (number, _) in source.code().filter(|(_, line)| line.contains(text)) {
                seen = true;
                if !places.iter().any(|place| source.path.starts_with(place)) {
                    breaches.push(format!("{}:{number}: `{text}`: {why}", source.path));
                }
            }
        }
        assert!(seen || *text == "tracing", "nothing contains `{text}` any more: delete the rule");
    }
    fail_if_any("in the wrong place", &breaches);
}

#[test]
fn close_codes_stand_in_the_table_of_codes_only() {
    let private = |word: &str| {
        word.len() == 4 && word.starts_with('4') && word.parse::<u16>().is_ok_and(|n| (4200..4500).contains(&n))
    };
    let mut breaches = Vec::new();
    for source in sources("src", "rs").iter().filter(|source| source.path != "src/error.rs") {
        for (number, line) in source.code() {
            if line.split(|c: char| !c.is_alphanumeric()).any(private) {
                breaches.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
        }
    }
    fail_if_any("a close code outside src/error.rs", &breaches);
}

#[test]
fn files_and_functions_stay_small_and_begin_with_what_they_are() {
    let mut breaches = Vec::new();
    for source in sources("src", "rs").into_iter().chain(sources("tests", "rs")) {
        if source.lines.len() > FILE_LINES_MAX {
            breaches.push(format!("{} has {} lines", source.path, source.lines.len()));
        }
        let first = source.lines.first().map_or("", String::as_str);
        if !first.starts_with("//!") && !first.starts_with("#![doc") {
            breaches.push(format!("{} does not begin by saying what it is", source.path));
        }
        let mut open: Option<(usize, usize)> = None;
        for (number, line) in source.lines.iter().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let code = line.trim_start();
            let begins =
                ["fn ", "pub fn ", "async fn ", "pub async fn ", "pub(super) fn ", "pub(super) async fn ", "pub(crate) fn "];
            if open.is_none()
                && begins.iter().any(|begin| code.starts_with(begin))
                && !code.ends_with(';')
                && !code.ends_with('}')
            {
                open = Some((number, indent));
            }
            if let Some((start, at)) = open
                && indent == at
                && code == "}"
            {
                if number - start + 1 > FUNCTION_LINES_MAX {
                    breaches.push(format!("{}:{}: a function of {} lines", source.path, start + 1, number - start + 1));
                }
                open = None;
            }
        }
    }
    for source in sources("static", "js").iter().filter(|source| source.lines.len() > FILE_LINES_MAX + 30) {
        breaches.push(format!("{} has {} lines", source.path, source.lines.len()));
    }
    fail_if_any("too large, or nameless", &breaches);
}

#[test]
fn the_spine_can_be_read_in_an_hour() {
    let sources = sources("src", "rs");
    let lines = |path: &str| sources.iter().find(|source| source.path == path).map_or(0, |source| source.lines.len());
    for path in SPINE {
        assert!(lines(path) > 0, "{path} is gone: name what took its place");
    }
    let total: usize = SPINE.iter().map(|path| lines(path)).sum();
    assert!(total <= SPINE_LINES_MAX, "the spine has {total} lines, at most {SPINE_LINES_MAX}");
}

#[test]
fn every_unbounded_send_gives_its_reason() {
    let mut breaches = Vec::new();
    for source in sources("src", "rs") {
        for (number, _) in source.code().filter(|(_, line)| line.contains(".do_send(")) {
            let before = &source.lines[number.saturating_sub(4)..number - 1];
            if !before.iter().any(|line| line.trim_start().starts_with("//")) {
                breaches.push(format!("{}:{number}", source.path));
            }
        }
    }
    fail_if_any("do_send has no bound: say above it why it needs none", &breaches);
}

#[test]
fn no_test_sleeps_and_nothing_is_left_for_later() {
    let mut breaches = Vec::new();
    let later = ["todo!(", "unimplemented!(", "#[ignore", "FIXME"];
    for source in
        sources("src", "rs").into_iter().chain(sources("tests", "rs")).filter(|source| source.path != "tests/tidy.rs")
    {
        for (number, line) in source.lines.iter().enumerate() {
            let sleeps =
                source.path.starts_with("tests/") && (line.contains("thread::sleep") || line.contains("time::sleep("));
            if sleeps || later.iter().any(|word| line.contains(word)) {
                breaches.push(format!("{}:{}: {}", source.path, number + 1, line.trim()));
            }
        }
    }
    fail_if_any("a sleep in a test, or unfinished work", &breaches);
}

#[test]
fn the_top_of_the_repository_holds_what_the_card_says() {
    let extra: Vec<String> = fs::read_dir(env!("CARGO_MANIFEST_DIR"))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter(|name| !name.starts_with('.') && !TOP.contains(&name.as_str()))
        .collect();
    fail_if_any("not on the card", &extra);
}
