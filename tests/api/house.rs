//! The house itself: what must hold between its files.

use pipewright::{
    pipes::PIPES,
    valves::{Kind, example},
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
    let written = example(specs.iter().map(|(id, spec)| (*id, spec)));
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
            assert!(property.wire["title"].is_string(), "{place} has no title");
            assert!(property.wire.get("description").is_some(), "{place} has no help text");
            assert_ne!(
                property.default,
                Value::from(""),
                "{place}: the form cannot save an empty text; make it an Option"
            );
            assert!(
                property.kind != Kind::Secret || property.default.is_null(),
                "{place}: a secret has no default"
            );
            assert!(
                property.kind != Kind::List || property.default.is_array(),
                "{place}: the form joins lists"
            );
        }
    }
}
