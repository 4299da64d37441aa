//! Rules for the documents: links lead to files, the map and the README stay short, and each page of decisions is
//! linked from the map and named by the code that it governs, and names only what the code has.

use std::{collections::HashSet, path::Path};

use super::{Source, fail_if_any, sources};

const MAP: &str = "src/ARCHITECTURE.md";
const MAP_LINES_MAX: usize = 199;
const README: &str = "README.md";
const README_LINES_MAX: usize = 150;
const DECISIONS: &str = "src/docs/decisions/";

fn exists(path: &Path) -> bool {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path).exists()
}

fn document(path: &str) -> Source {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("a document");
    Source { path: path.to_owned(), lines: text.lines().map(str::to_owned).collect() }
}

/// The map, the README, and everything below src/docs.
fn documents() -> Vec<Source> {
    sources("src/docs", "md").into_iter().chain([document(MAP), document(README)]).collect()
}

/// Everything that is code: the program, the page, the tests.
fn code() -> Vec<Source> {
    [("src", "rs"), ("static", "js"), ("tests", "rs")].iter().flat_map(|(folder, ending)| sources(folder, ending)).collect()
}

/// Targets of Markdown links with the number of their line; blocks of code have none.
fn links(source: &Source) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut in_code = false;
    for (number, line) in source.lines.iter().enumerate() {
        in_code ^= line.trim_start().starts_with("```");
        let targets = line.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        found.extend(targets.filter(|_| !in_code).map(|(target, _)| (number + 1, target)));
    }
    found
}

/// Paths below src/docs that a line names, such as `src/docs/operate.md`.
fn pages_named(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("src/docs/").filter_map(|(start, _)| {
        let rest = &line[start..];
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "/-_.".contains(c))).unwrap_or(rest.len());
        Some(rest[..end].trim_end_matches('.'))
            .filter(|path| Path::new(path).extension().is_some_and(|extension| extension == "md"))
    })
}

#[test]
fn links_of_the_documents_lead_to_files() {
    let mut breaches = Vec::new();
    for source in documents() {
        let folder = Path::new(&source.path).parent().expect("a folder");
        for (number, target) in links(&source) {
            let path = target.split('#').next().unwrap_or_default();
            // Links of the map to types are checked by rustdoc.
            if !path.is_empty() && !path.contains("::") && !path.contains("://") && !exists(&folder.join(path)) {
                breaches.push(format!("{}:{number}: {target}", source.path));
            }
        }
    }
    for source in code().into_iter().filter(|source| source.path != "tests/tidy/documents.rs") {
        for (number, line) in source.lines.iter().enumerate() {
            for page in pages_named(line).filter(|page| !exists(Path::new(page))) {
                breaches.push(format!("{}:{}: {page}", source.path, number + 1));
            }
        }
    }
    fail_if_any("a link to a file that does not exist", &breaches);
}

#[test]
fn the_map_and_the_readme_stay_short() {
    let mut breaches = Vec::new();
    for (path, most) in [(MAP, MAP_LINES_MAX), (README, README_LINES_MAX)] {
        let lines = document(path).lines.len();
        if lines > most {
            breaches.push(format!("{path} has {lines} lines, at most {most}: move a guide to src/docs"));
        }
    }
    fail_if_any("a document that is too long", &breaches);
}

#[test]
fn each_page_of_decisions_is_linked_from_the_map_and_named_in_code() {
    let (map, code) = (document(MAP), code());
    let mut breaches = Vec::new();
    for page in sources("src/docs/decisions", "md") {
        let name = page.path.strip_prefix(DECISIONS).expect("below the folder");
        let target = format!("docs/decisions/{name}");
        if !links(&map).iter().any(|(_, link)| *link == target) {
            breaches.push(format!("{} is not linked from {MAP}", page.path));
        }
        if !code.iter().any(|source| source.lines.iter().any(|line| pages_named(line).any(|named| named == page.path))) {
            breaches
                .push(format!("{} is named by no code: add `Decisions: {}` to the module it governs", page.path, page.path));
        }
    }
    fail_if_any("a page of decisions that nobody finds", &breaches);
}

#[test]
fn what_the_decisions_name_is_in_the_code() {
    let code = code();
    let is_of_a_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words: HashSet<&str> =
        code.iter().flat_map(|source| &source.lines).flat_map(|line| line.split(|c| !is_of_a_name(c))).collect();
    let mut breaches = Vec::new();
    for page in sources("src/docs/decisions", "md") {
        for (number, line) in page.lines.iter().enumerate() {
            // Between each pair of backticks; a name of several words is one of ours: a test, a function, a limit.
            let quoted = line.split('`').skip(1).step_by(2);
            let names = quoted.filter(|text| {
                text.chars().all(|c| is_of_a_name(c) && !c.is_ascii_uppercase()) && text.matches('_').count() >= 2
            });
            breaches.extend(
                names.filter(|name| !words.contains(name)).map(|name| format!("{}:{}: {name}", page.path, number + 1)),
            );
        }
    }
    fail_if_any("a name that is not in the code any more", &breaches);
}
