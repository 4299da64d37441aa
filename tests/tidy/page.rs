//! What a machine can check of the page: no HTML made from text, nothing from elsewhere, its size, and its list of modules.

use std::{collections::BTreeSet, fs, io::Write, path::Path};

use flate2::{Compression, write::GzEncoder};

use super::{fail_if_any, sources};

#[test]
fn the_page_builds_no_html_from_text_and_loads_nothing_from_elsewhere() {
    let banned = [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "//cdn",
        "style=\"",
        "onclick=",
    ];
    let mut breaches = Vec::new();
    for source in sources("static", "js").into_iter().chain(sources("static", "html")) {
        for (number, line) in source.lines.iter().enumerate() {
            if let Some(word) = banned.iter().find(|word| line.contains(*word)) {
                breaches.push(format!("{}:{}: {word}", source.path, number + 1));
            }
        }
    }
    fail_if_any("the page", &breaches);
    let packed: usize = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("static"))
        .expect("a folder")
        .map(|entry| {
            let mut packer = GzEncoder::new(Vec::new(), Compression::best());
            packer.write_all(&fs::read(entry.expect("an entry").path()).expect("a file")).expect("memory");
            packer.finish().expect("memory").len()
        })
        .sum();
    assert!(packed <= 102_400, "a browser loads {packed} bytes, packed; at most 100 KB of 1,024");
}

/// The modules that one of the page's files imports.
fn imports(name: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("static").join(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name} is imported: {error}"));
    assert!(!text.contains("import("), "{name}: what is imported later is not preloaded");
    text.split(" from '").skip(1).filter_map(|rest| Some(rest.strip_prefix("./")?.split_once('\'')?.0.to_owned())).collect()
}

#[test]
fn the_page_preloads_every_module_that_it_imports_and_no_other() {
    let (mut graph, mut left) = (BTreeSet::new(), vec!["page.js".to_owned()]);
    while let Some(name) = left.pop() {
        if graph.insert(name.clone()) {
            left.extend(imports(&name));
        }
    }
    graph.remove("page.js");
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("static/index.html")).expect("the page");
    let preloads = page.split("<link rel=\"modulepreload\" href=\"/static/").skip(1);
    let listed: Vec<String> = preloads.map(|rest| rest.split('"').next().expect("quoted").to_owned()).collect();
    let expected: Vec<String> = graph.into_iter().collect();
    assert_eq!(listed, expected, "static/index.html lists the modules that page.js needs, by name");
}
