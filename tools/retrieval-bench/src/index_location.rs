//! Opens and removes indexes, in a file or in a PostgreSQL.

use anyhow::Context;
use retrieval::Index;
use std::io::{ErrorKind, Result};
use std::path::{Path, PathBuf};

/// Opens the index at this address or in this file, which is created if it does not exist.
pub async fn open(location: &str) -> retrieval::Result<Index> {
    if is_address(location) { Index::connect(location).await } else { Index::open(location).await }
}

/// Opens the index at this address or in this existing file.
pub async fn open_existing(location: &str) -> anyhow::Result<Index> {
    anyhow::ensure!(
        is_address(location) || Path::new(location).is_file(),
        "there is no file `{location}`"
    );
    Ok(open(location).await?)
}

fn is_address(location: &str) -> bool {
    location.starts_with("postgres://") || location.starts_with("postgresql://")
}

/// Creates a folder with its parents.
pub fn create_folder(path: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(path)
        .with_context(|| format!("the folder `{}` cannot be made", path.display()))
}

/// Deletes the index file of an earlier run, and returns the path.
pub fn remove_old_index(path: &Path) -> Result<&Path> {
    for suffix in ["", "-wal", "-shm"] {
        match std::fs::remove_file(with_suffix(path, suffix)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(path)
}

/// Returns the size of the file with its write-ahead log.
pub fn file_size(path: &Path) -> u64 {
    ["", "-wal"]
        .iter()
        .filter_map(|suffix| std::fs::metadata(with_suffix(path, suffix)).ok())
        .map(|data| data.len())
        .sum()
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut file = path.as_os_str().to_owned();
    file.push(suffix);
    PathBuf::from(file)
}
