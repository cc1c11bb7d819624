//! Tests of `eval` over collections in others' formats.
#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::path::Path;
use std::process::{Command, Output};

/// Writes a judged collection of these files.
fn judged(folder: &Path, docs: &str, queries: &str, qrels: &str) {
    for (name, text) in [("docs.jsonl", docs), ("queries.jsonl", queries), ("qrels.tsv", qrels)] {
        std::fs::write(folder.join(name), text).unwrap();
    }
}

fn eval(folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_retrieval-bench"))
        .args(["eval", ".", "--words-only", "--work", "work"])
        .current_dir(folder)
        .output()
        .unwrap()
}

#[test]
fn a_collection_with_fields_of_its_own_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    judged(
        folder.path(),
        "\u{feff}{\"id\": 1, \"title\": null, \"text\": \"A cat sat.\", \"metadata\": \"none\", \"url\": 5}\r\n{\"_id\": \"a dog\", \"text\": \"Dogs ran.\"}\n\n",
        "{\"_id\": 7, \"text\": \"cats\", \"answer\": []}\n{\"id\": \"8\", \"text\": \"running\"}\n{\"id\": \"9\", \"text\": \"judged by nobody\"}\n",
        "query-id\tcorpus-id\tscore\r\n7\t1\t2\r\n7\ta dog\t0\n8\t0\ta dog\t1",
    );
    let output = eval(folder.path());
    assert!(output.status.success(), "{output:?}");
    let printed = String::from_utf8(output.stdout).unwrap();
    let name = folder.path().file_name().unwrap().to_str().unwrap();
    let row: Vec<&str> =
        printed.lines().find(|line| line.starts_with(name)).unwrap().split_whitespace().collect();
    assert_eq!(row[1..7], ["2", "2", "bm25", "0.5000", "0.5000", "0.5000"]);
}

#[test]
fn what_is_wrong_with_a_collection_is_said_with_its_file_and_line() {
    let (docs, queries, qrels) =
        ("{\"id\": 1, \"text\": \"A cat.\"}\n", "{\"id\": 1, \"text\": \"cat\"}\n", "1\t1\t1\n");
    for (docs, queries, qrels, told) in [
        ("{\"id\": 1, \"text\": \"A cat.\"}\n{}\n", queries, qrels, "line 2 of `./docs.jsonl`"),
        ("", queries, qrels, "`./docs.jsonl` is empty"),
        (docs, "no JSON\n", qrels, "line 1 of `./queries.jsonl`"),
        (docs, queries, "1\t1\t1\n1 1 1\n", "line 2 of `./qrels.tsv` is not a question's id"),
        (docs, queries, "2\t1\t1\n", "no question of `./queries.jsonl` has a relevant document"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        judged(folder.path(), docs, queries, qrels);
        let output = eval(folder.path());
        assert!(!output.status.success(), "{told}");
        let printed = String::from_utf8(output.stderr).unwrap();
        assert!(printed.contains(told), "{told}: {printed}");
    }
}
