//! Whoever turns valves reads and writes no file of whoever runs the machine.

use super::{PIPES, host, host_with};
use crate::support::{Builder, TestHost};
use serde_json::{Value, json};
use std::{fs, os::unix::fs::symlink, path::Path};

/// The documents, once there are this many; those of a watched folder come in the background, and
/// an upload wakes what brings them.
async fn documents(host: &TestHost, many: usize) -> Vec<Value> {
    loop {
        let listed = host.get("/rag/documents/documents").await;
        let documents = listed.json["documents"].as_array().cloned().unwrap_or_default();
        if documents.len() >= many {
            return documents;
        }
        run_background_jobs(host).await;
    }
}

async fn run_background_jobs(host: &TestHost) {
    host.post("/rag/elsewhere/documents?wait=true", &json!({"id": "wake", "text": "wake"})).await;
}

async fn count_hits(host: &TestHost, role: Option<&str>, query: &str) -> usize {
    let mut body = json!({"query": query});
    if let Some(role) = role {
        body["user"] = json!({"id": "ann", "role": role});
    }
    let found = host.post("/rag/documents/search", &body).await;
    assert_eq!(found.status, 200, "{}", found.text);
    found.json["chunks"].as_array().unwrap().len()
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[actix_web::test]
async fn no_folder_of_the_machine_can_be_watched_but_what_the_operator_allows() {
    let host = host().await;
    let data = host.folder.path();
    fs::create_dir(data.join("watched")).unwrap();
    symlink("/etc", data.join("watched/link")).unwrap();
    for folder in [
        "/proc/self",
        ".",
        "/",
        "/etc",
        "rag",
        "..",
        "watched/../rag",
        "watched/link",
        "/dev",
        "/sys",
    ] {
        let refused = host.update_valves("rag", &json!({"watched_folder": folder})).await;
        let message = refused.error_message(422);
        assert!(message.contains("watched_folder: must"), "{folder}: {message}");
        assert!(!message.contains(&*data.to_string_lossy()), "{message}");
    }
    assert_eq!(host.valves("rag").await["watched_folder"], Value::Null);
    for (valve, path) in [
        ("index_file", "/tmp/other.db"),
        ("index_file", "rag/valves.json"),
        ("index_file", "bedrock_models/valves.json"),
        ("index_file", "usage.db"),
        ("model_folder", "/etc"),
        ("model_folder", "."),
    ] {
        let refused = host.update_valves("rag", &json!({valve: path})).await;
        assert!(refused.error_message(422).contains(&format!("{valve}: must")), "{}", refused.text);
    }
}

#[actix_web::test]
async fn what_a_folder_brings_in_is_for_admins_unless_the_valve_says_for_whom() {
    let host = host().await;
    let folder = host.folder.path().join("watched");
    write(&folder, "a.md", "# Alpha\nThe zebra sleeps.");
    write(&folder, "deep/b.md", "# Beta\nThe okapi sleeps.");
    symlink("/etc/hostname", folder.join("link.txt")).unwrap();
    let turned = host.update_valves("rag", &json!({"watched_folder": "watched"})).await;
    assert_eq!(turned.status, 200, "{}", turned.text);
    let ids: Vec<_> =
        documents(&host, 2).await.iter().map(|document| document["id"].clone()).collect();
    assert_eq!(ids, ["a.md", "deep/b.md"]);
    for (role, chunks) in [(None, 0), (Some("user"), 0), (Some("admin"), 1)] {
        assert_eq!(count_hits(&host, role, "zebra").await, chunks, "{role:?}");
    }
    let turned = host.update_valves("rag", &json!({"watched_audience": "user, admin"})).await;
    assert_eq!(turned.status, 200, "{}", turned.text);
    write(&folder, "c.md", "# Gamma\nThe gnu sleeps.");
    documents(&host, 3).await;
    for (role, chunks) in [(None, 0), (Some("user"), 1), (Some("admin"), 1)] {
        assert_eq!(count_hits(&host, role, "zebra").await, chunks, "{role:?}");
    }
}

#[actix_web::test]
async fn a_folder_hands_its_audience_to_no_other_folder() {
    let host = host().await;
    let data = host.folder.path();
    write(data, "watched/one/a.md", "The giraffe sleeps.");
    write(data, "watched/two/a.md", "The okapi sleeps.");
    write(data, "watched/two/b.md", "The gnu sleeps.");
    let valves = json!({"watched_folder": "watched/one", "watched_audience": "everyone"});
    host.update_valves("rag", &valves).await;
    documents(&host, 1).await;
    assert_eq!(count_hits(&host, None, "giraffe").await, 1);
    let valves = json!({"watched_audience": null});
    host.update_valves("rag", &valves).await;
    write(data, "watched/one/c.md", "The zebra sleeps.");
    documents(&host, 2).await;
    assert_eq!(
        (count_hits(&host, None, "giraffe").await, count_hits(&host, None, "zebra").await),
        (1, 0)
    );
    host.update_valves("rag", &json!({"watched_folder": "watched/two"})).await;
    while count_hits(&host, Some("admin"), "okapi").await == 0 {
        run_background_jobs(&host).await;
    }
    assert_eq!(count_hits(&host, None, "okapi").await, 0);
}

#[actix_web::test]
async fn a_folder_that_was_saved_before_there_were_roots_does_not_keep_other_valves_from_being_turned()
 {
    let host = host().await;
    let folder = host.stop().await;
    fs::create_dir_all(folder.path().join("rag")).unwrap();
    fs::write(folder.path().join("rag/valves.json"), r#"{"watched_folder": "/etc"}"#).unwrap();
    let host = Builder::with_folder(folder).pipes(PIPES).start().await;
    assert_eq!(host.get("/health/ready").await.json["degraded"], json!(["rag"]));
    let mut form = host.valves("rag").await;
    assert_eq!(form["watched_folder"], "/etc");
    form["top_k"] = 5.into();
    let turned = host.update_valves("rag", &form).await;
    assert_eq!(turned.status, 200, "{}", turned.text);
    assert_eq!(host.get("/rag").await.json["collections"], json!([]), "nothing was taken in");
}

#[actix_web::test]
async fn the_operator_names_other_roots_and_may_pin_a_folder() {
    let outside = tempfile::tempdir().unwrap();
    let outside = outside.path().canonicalize().unwrap();
    write(&outside, "docs/a.md", "The zebra sleeps.");
    let root = outside.to_string_lossy().into_owned();
    let host = host_with(Builder::new().flag("--watched-roots", &root)).await;
    let folder = outside.join("docs").to_string_lossy().into_owned();
    let turned = host.update_valves("rag", &json!({"watched_folder": folder})).await;
    assert_eq!(turned.status, 200, "{}", turned.text);
    documents(&host, 1).await;
    let pinned = host_with(Builder::new().variable("RAG_WATCHED_FOLDER", &folder)).await;
    documents(&pinned, 1).await;
    let pinned = host_with(Builder::new().variable("RAG_WATCHED_FOLDER", "/proc/self")).await;
    assert_eq!(pinned.get("/health/ready").await.json["degraded"], json!(["rag"]));
}
