//! One host a data folder: whoever comes second is told so.

use crate::{Result, StoreError};
use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// How long a host that is just ending may still hold the folder.
const PATIENCE: Duration = Duration::from_secs(2);

/// A data folder that is this host's alone until this is dropped, or the process ends in whatever way.
#[derive(Debug)]
pub struct Claim {
    _lock: Option<File>,
}

impl Claim {
    /// Claims the folder, and makes it if there is none. One that cannot be written to needs no claim.
    ///
    /// # Errors
    /// [`StoreError::Taken`] when another host has it.
    pub async fn of(folder: &Path) -> Result<Self> {
        let file = match lock_file(folder) {
            Ok(file) => file,
            Err(error) => {
                tracing::warn!(%error, "The data folder cannot be locked.");
                return Ok(Self { _lock: None });
            }
        };
        let patience = Instant::now() + PATIENCE;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _lock: Some(file) }),
                Err(TryLockError::WouldBlock) if Instant::now() < patience => {
                    sleep(Duration::from_millis(50)).await;
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(StoreError::Taken(folder.display().to_string()));
                }
                Err(TryLockError::Error(error)) => {
                    tracing::warn!(%error, "The data folder cannot be locked.");
                    return Ok(Self { _lock: None });
                }
            }
        }
    }
}

fn lock_file(folder: &Path) -> std::io::Result<File> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600).open(folder.join("host.lock"))
}
