//! The layout of the repository: which packages may depend on which, and references to documents.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The packages below this folder, by name, with the names of all dependencies.
fn packages(folder: &str) -> BTreeMap<String, BTreeSet<String>> {
    let folders = fs::read_dir(root().join(folder)).unwrap();
    let manifests = folders.map(|entry| entry.unwrap().path().join("Cargo.toml"));
    let read = |path: PathBuf| {
        let manifest: toml::Table = fs::read_to_string(path).unwrap().parse().unwrap();
        let name = manifest["package"]["name"].as_str().unwrap().to_owned();
        let tables = ["dependencies", "dev-dependencies", "build-dependencies"];
        let tables = tables.iter().filter_map(|table| manifest.get(*table)?.as_table());
        (name, tables.flat_map(|table| table.keys().cloned()).collect())
    };
    manifests.filter(|path| path.is_file()).map(read).collect()
}

#[test]
fn packages_depend_in_one_direction() {
    let (crates, pipes, tools) = (packages("crates"), packages("pipes"), packages("tools"));
    assert!(crates.len() > 5 && pipes.len() > 4 && tools.len() > 1);
    let host = BTreeSet::from(["pipewright".to_owned()]);
    let names = |packages: &BTreeMap<String, BTreeSet<String>>| -> BTreeSet<String> {
        packages.keys().cloned().collect()
    };
    let above_crates = &(&names(&pipes) | &names(&tools)) | &host;
    let above_tools = &names(&tools) | &host;
    for (packages, above) in
        [(&crates, &above_crates), (&pipes, &above_crates), (&tools, &above_tools)]
    {
        for (name, dependencies) in packages {
            let wrong: Vec<_> = dependencies.intersection(above).collect();
            assert!(wrong.is_empty(), "`{name}` must not depend on {wrong:?}");
        }
    }
}

/// The files of the repository with one of these extensions.
fn files(folder: &Path, extensions: &[&str], found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            if !name.starts_with('.') && name != "target" && name != "failures" {
                files(&path, extensions, found);
            }
        } else if extensions.iter().any(|extension| name.ends_with(extension)) {
            found.push(path);
        }
    }
}

#[test]
fn no_module_is_a_mod_rs() {
    let mut found = Vec::new();
    files(root(), &[".rs"], &mut found);
    found.retain(|path| path.ends_with("mod.rs"));
    assert_eq!(found, Vec::<PathBuf>::new(), "`foo/mod.rs` is written `foo.rs`");
}

/// The column at which comments end.
const COMMENT_WIDTH: usize = 100;

#[test]
fn comments_end_at_the_width_of_the_code() {
    let mut sources = Vec::new();
    files(root(), &[".rs"], &mut sources);
    let mut wide = Vec::new();
    for path in &sources {
        let text = fs::read_to_string(path).unwrap();
        for (index, line) in text.lines().enumerate() {
            let is_comment = line.trim_start().starts_with("//");
            // A URL alone may be longer.
            let can_be_wrapped = line.split_whitespace().count() > 2;
            if is_comment && can_be_wrapped && line.chars().count() > COMMENT_WIDTH {
                wide.push(format!(
                    "{}:{}",
                    path.strip_prefix(root()).unwrap().display(),
                    index + 1
                ));
            }
        }
    }
    assert_eq!(wide, Vec::<String>::new(), "comments wider than {COMMENT_WIDTH} columns");
}

/// The documents that a text names, each with the section that is quoted after it.
fn references(text: &str) -> Vec<(String, Option<String>)> {
    // A quoted section may begin on the next line of a comment.
    let lines = text.lines().map(|line| line.trim().trim_start_matches(['/', '!', ' ']));
    let text = lines.collect::<Vec<_>>().join(" ");
    let mut before = "";
    let mut found = Vec::new();
    for (index, piece) in text.split("docs/").enumerate() {
        let is_whole = !before.ends_with(|char: char| char == '/' || char.is_alphanumeric());
        before = piece;
        let is_end = |char: char| !(char.is_ascii_alphanumeric() || "/_-.".contains(char));
        let (path, after) = piece.split_at(piece.find(is_end).unwrap_or(piece.len()));
        let path = path.trim_end_matches('.');
        if index == 0 || !is_whole || !path.ends_with(".md") {
            continue;
        }
        let section = after.strip_prefix("`, \"").and_then(|quoted| quoted.split_once('"'));
        found.push((format!("docs/{path}"), section.map(|(section, _)| section.to_owned())));
    }
    found
}

#[test]
fn every_document_and_section_that_a_comment_cites_exists() {
    let mut sources = Vec::new();
    files(root(), &[".rs", ".yml", ".yaml", ".service", "Dockerfile", "README.md"], &mut sources);
    let mut missing = BTreeSet::new();
    for source in &sources {
        // This file, and tests with documents of their own.
        if source.ends_with("tests/api/layout.rs") || source.ends_with("tests/api/rag/paths.rs") {
            continue;
        }
        let text = fs::read_to_string(source).unwrap();
        for (path, section) in references(&text) {
            let source = source.strip_prefix(root()).unwrap().display();
            match (fs::read_to_string(root().join(&path)), section) {
                (Ok(document), Some(section)) => {
                    let is_heading = |line: &str| {
                        line.starts_with('#') && line.trim_start_matches(['#', ' ']) == section
                    };
                    if !document.lines().any(is_heading) {
                        missing.insert(format!("{source}: {path} has no section \"{section}\""));
                    }
                }
                (Ok(_), None) => {}
                (Err(_), _) => _ = missing.insert(format!("{source}: there is no {path}")),
            }
        }
    }
    assert_eq!(missing, BTreeSet::new());
}

#[test]
fn the_image_fetches_the_models_that_the_program_fetches() {
    let script = fs::read_to_string(root().join("deploy/fetch_model.py")).unwrap();
    let program = fs::read_to_string(root().join("src/commands/model_download.rs")).unwrap();
    let quoted: Vec<_> = program.split('"').skip(1).step_by(2).collect();
    let is_pinned = |text: &&&str| {
        text.starts_with("https://")
            || text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())
    };
    let pinned: Vec<_> = quoted.iter().filter(is_pinned).collect();
    assert_eq!(pinned.len(), 10);
    for text in pinned {
        assert!(script.contains(*text), "deploy/fetch_model.py has no {text}");
    }
}

#[test]
fn every_error_that_troubleshooting_quotes_is_one_of_the_program() {
    let mut sources = Vec::new();
    for folder in ["src", "crates", "pipes"] {
        files(&root().join(folder), &[".rs"], &mut sources);
    }
    let code: String = sources.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    // Long texts are continued on the next line.
    let code = code.split("\\\n").map(str::trim_start).collect::<String>();
    let page = fs::read_to_string(root().join("docs/troubleshooting.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let quoted = rows.filter_map(|cell| cell.split('`').nth(1));
    let quoted: Vec<_> = quoted.map(|text| text.trim_end_matches("bedrock:…")).collect();
    assert!(quoted.len() > 12);
    for text in quoted {
        assert!(code.contains(text.trim_end()), "no error says `{text}`");
    }
}

/// The paths from the root that a document names in backticks.
fn named_paths(text: &str) -> impl Iterator<Item = &str> {
    let folders =
        ["src/", "crates/", "pipes/", "tools/", "tests/", "docs/", "examples/", "deploy/"];
    let is_path = move |word: &&str| {
        folders.iter().any(|folder| word.starts_with(folder)) && !word.contains(['<', '*', ' '])
    };
    text.split('`').skip(1).step_by(2).filter(is_path)
}

#[test]
fn every_file_that_the_maps_name_exists() {
    let mut count = 0;
    for map in ["README.md", "CONTRIBUTING.md", "docs/architecture.md"] {
        let text = fs::read_to_string(root().join(map)).unwrap();
        for path in named_paths(&text) {
            assert!(root().join(path).exists(), "{map}: there is no {path}");
            count += 1;
        }
    }
    assert!(count > 60, "{count}");
}

#[test]
fn the_graph_of_packages_has_every_package_and_no_others() {
    let text = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let graph = text.split("```").nth(1).unwrap();
    for folder in ["pipes", "crates"] {
        let lines = graph.split(&format!("subgraph {folder}[")).nth(1).unwrap().lines().skip(1);
        let labels = lines.take_while(|line| line.trim() != "end");
        let labels = labels.filter_map(|line| line.split('"').nth(1));
        let drawn: BTreeSet<_> = labels.flat_map(|label| label.split(", ")).collect();
        let entries = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
        let packages = entries.filter(|path| path.join("Cargo.toml").is_file());
        let packages: Vec<_> =
            packages.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
        assert_eq!(drawn, packages.iter().map(String::as_str).collect::<BTreeSet<_>>());
    }
}
