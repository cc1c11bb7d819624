//! Where an index is: in a file, which may be made for a measurement, or in a PostgreSQL.

use anyhow::Context;
use retrieval::Index;
use std::io::{ErrorKind, Result};
use std::path::{Path, PathBuf};

/// The index in this file, which is made if it is not there, or at this address.
pub async fn open(place: &str) -> retrieval::Result<Index> {
    if is_address(place) { Index::connect(place).await } else { Index::open(place).await }
}

/// The index in this file, which is there, or at this address.
pub async fn existing(place: &str) -> anyhow::Result<Index> {
    anyhow::ensure!(is_address(place) || Path::new(place).is_file(), "there is no file `{place}`");
    Ok(open(place).await?)
}

fn is_address(place: &str) -> bool {
    place.starts_with("postgres://") || place.starts_with("postgresql://")
}

/// Makes a folder, and those above it.
pub fn folder(path: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(path)
        .with_context(|| format!("the folder `{}` cannot be made", path.display()))
}

/// The path, with no file of an earlier run there.
pub fn fresh(path: &Path) -> Result<&Path> {
    for ending in ["", "-wal", "-shm"] {
        match std::fs::remove_file(with(path, ending)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(path)
}

/// How many bytes the file has, with what is not yet written back into it.
pub fn size(path: &Path) -> u64 {
    ["", "-wal"]
        .iter()
        .filter_map(|ending| std::fs::metadata(with(path, ending)).ok())
        .map(|data| data.len())
        .sum()
}

fn with(path: &Path, ending: &str) -> PathBuf {
    let mut file = path.as_os_str().to_owned();
    file.push(ending);
    PathBuf::from(file)
}
