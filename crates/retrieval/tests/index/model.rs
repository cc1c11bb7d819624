//! Tests of the embedding model in this process.
#![expect(clippy::print_stdout, reason = "tells why it was skipped")]

use crate::support::{create_with, document, document_ids, search, sqlite};
use retrieval::{Embedder, EmbeddingPurpose, MiniLm};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns the folder of the model, which is fetched if it does not exist.
fn fetch_model_folder() -> Result<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = root.join("../target/minilm");
    let fetched = Command::new(root.join("fetch-model"))
        .arg(&folder)
        .output()
        .map_err(|error| error.to_string())?;
    match fetched.status.code() {
        Some(0) => Ok(folder),
        Some(77) => Err(String::from_utf8_lossy(&fetched.stdout).trim().to_owned()),
        _ => panic!("{}", String::from_utf8_lossy(&fetched.stderr)),
    }
}

#[tokio::test]
async fn texts_that_mean_the_same_are_near_each_other() {
    let folder = match fetch_model_folder() {
        Ok(folder) => folder,
        Err(reason) => return println!("{reason}"),
    };
    let model = MiniLm::open(&folder, 1).unwrap();
    let texts =
        ["How do I change a tyre?", "Replacing the wheel of a car", "A recipe for apple cake"];
    let vectors =
        model.embed(texts.map(str::to_owned).to_vec(), EmbeddingPurpose::Document).await.unwrap();
    let cosine = |a: usize, b: usize| -> f32 {
        vectors[a].iter().zip(&vectors[b]).map(|(a, b)| a * b).sum()
    };
    assert_eq!(vectors[0].len(), 384);
    assert!((cosine(0, 0) - 1.0).abs() < 1e-5);
    assert!(cosine(0, 1) > cosine(0, 2) + 0.2, "{} {}", cosine(0, 1), cosine(0, 2));
    // The reference values are onnxruntime's for the first text.
    for (ours, theirs) in vectors[0].iter().zip(REFERENCE) {
        assert!((ours - theirs).abs() < 2e-3, "{ours} {theirs}");
    }
    let temporary = tempfile::tempdir().unwrap();
    let index = sqlite(&temporary).await;
    create_with(
        &index,
        "docs",
        vec![document("cake", texts[2]), document("car", texts[1])],
        Some(&model),
    )
    .await;
    assert_eq!(
        document_ids(&search(&index, "docs", texts[0], Some(&model)).await),
        ["car", "cake"]
    );
}

const REFERENCE: [f32; 8] = [-0.0193, 0.0253, -0.0764, -0.0183, -0.0483, -0.0599, -0.0660, 0.0486];

#[test]
fn a_model_that_is_not_there_is_named() {
    let error = MiniLm::open(Path::new("/nowhere"), 1).err().unwrap().to_string();
    assert!(
        error.starts_with("the embedding model cannot be read from `/nowhere/vocab.txt`: "),
        "{error}"
    );
}
