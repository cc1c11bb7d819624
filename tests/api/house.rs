//! The house itself: what must hold between its files.

use pipewright::{
    pipes::PIPES,
    valves::{ValveKind, format_example},
};
use serde_json::Value;
use std::{collections::BTreeSet, fs, path::Path};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn every_folder_under_pipes_is_in_the_list_of_pipes() {
    let folders = fs::read_dir(root().join("pipes"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let folders: BTreeSet<_> = folders.collect();
    let listed: BTreeSet<_> = PIPES.iter().map(|pipe| pipe.id.to_owned()).collect();
    assert_eq!(folders, listed);
}

/// `cargo run -- valves --example > valves.example.toml` writes it anew.
#[test]
fn the_example_file_is_what_the_pipes_say() {
    let specs: Vec<_> = PIPES.iter().map(|pipe| (pipe.id, (pipe.spec)())).collect();
    let written = format_example(specs.iter().map(|(id, spec)| (*id, spec)));
    assert_eq!(fs::read_to_string(root().join("valves.example.toml")).unwrap(), written);
    let parsed: toml::Table = written.parse().unwrap();
    assert_eq!(
        parsed.keys().map(String::as_str).collect::<Vec<_>>(),
        PIPES.iter().map(|pipe| pipe.id).collect::<Vec<_>>()
    );
}

#[test]
fn every_valve_can_be_shown_and_saved_by_the_form() {
    for pipe in PIPES {
        for property in (pipe.spec)().properties() {
            let place = format!("{}.{}", pipe.id, property.name);
            assert!(property.form["title"].is_string(), "{place} has no title");
            assert!(property.form.get("description").is_some(), "{place} has no help text");
            assert_ne!(
                property.default,
                Value::from(""),
                "{place}: the form cannot save an empty text; make it an Option"
            );
            assert!(
                property.kind != ValveKind::Secret || property.default.is_null(),
                "{place}: a secret has no default"
            );
            assert!(
                property.kind != ValveKind::List || property.default.is_array(),
                "{place}: the form joins lists"
            );
        }
    }
}

/// Every function in the tree that is a test, and those that tests are made of.
fn functions(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && !name.starts_with('.') && name != "target" {
            functions(&path, found);
        } else if name.ends_with(".rs") {
            let text = fs::read_to_string(&path).unwrap();
            let names = text.lines().filter_map(|line| {
                let line = line.trim_start();
                let line = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ")?;
                line.split_once('(').map(|(name, _)| name)
            });
            found.extend(names.map(str::to_owned));
        }
    }
}

#[test]
fn every_promise_of_trust_md_has_a_test_that_exists() {
    let mut tests = BTreeSet::new();
    functions(root(), &mut tests);
    let text = fs::read_to_string(root().join("docs/trust.md")).unwrap();
    let mut rows = Vec::new();
    for line in text.lines() {
        let cells: Vec<_> = line.split(" | ").collect();
        let [row, promise, .., named] = &cells[..] else { continue };
        let Some(row) = row.strip_prefix("| ").filter(|row| row.starts_with(['S', 'F'])) else {
            continue;
        };
        assert!(promise.len() > 10, "{row} promises nothing");
        let named: Vec<_> = named.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "{row} names no test");
        for name in named {
            let is_there =
                if name.contains('/') { root().join(name).is_file() } else { tests.contains(name) };
            assert!(is_there, "{row} names `{name}`, which is not there");
        }
        rows.push(row.to_owned());
    }
    let numbered =
        |letter: char, last: u32| (1..=last).map(move |number| format!("{letter}{number}"));
    let expected: Vec<_> = numbered('S', 31).chain(numbered('F', 40)).collect();
    assert_eq!(rows, expected);
}
