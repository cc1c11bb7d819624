//! A lock on the data folder, which refuses a second host.

use crate::{Result, StoreError};
use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
    time::Duration,
};
use tokio::time::{Instant, sleep};

/// The time to wait for a host that is just ending.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(2);

/// An exclusive lock on a data folder. It is released when this is dropped, or when the process
/// ends in any way.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: Option<File>,
}

impl DirectoryLock {
    /// Locks a folder, and creates it if it does not exist. A folder that cannot be written to
    /// needs no lock.
    ///
    /// # Errors
    /// [`StoreError::DirectoryInUse`] if another host holds the lock.
    pub async fn acquire(folder: &Path) -> Result<Self> {
        let file = match open_lock_file(folder) {
            Ok(file) => file,
            Err(error) => {
                tracing::warn!(%error, "The data folder cannot be locked.");
                return Ok(Self { _file: None });
            }
        };
        let deadline = Instant::now() + ACQUIRE_TIMEOUT;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: Some(file) }),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    sleep(Duration::from_millis(50)).await;
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(StoreError::DirectoryInUse(folder.display().to_string()));
                }
                Err(TryLockError::Error(error)) => {
                    tracing::warn!(%error, "The data folder cannot be locked.");
                    return Ok(Self { _file: None });
                }
            }
        }
    }
}

fn open_lock_file(folder: &Path) -> std::io::Result<File> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600).open(folder.join("host.lock"))
}
