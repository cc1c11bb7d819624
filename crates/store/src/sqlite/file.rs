//! The database file, readable only by its owner.

use super::{migrations, to_store_error};
use crate::{Result, StoreError};
use rusqlite::{Connection, OpenFlags};
use std::{
    fs::{self, DirBuilder, OpenOptions, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

/// The time that a statement waits for another process that locks the file.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The location of a database.
#[derive(Clone, Debug)]
pub(super) enum DatabaseLocation {
    File(PathBuf),
    Memory,
}

impl DatabaseLocation {
    pub fn in_directory(folder: &Path) -> Self {
        Self::File(folder.join("store.db"))
    }

    /// Renames a corrupt file, and returns a sentence that says where it is.
    pub fn move_aside(&self) -> String {
        let Self::File(path) = self else { return "it was in memory".into() };
        let aside = path.with_extension("db.corrupt");
        for suffix in ["-wal", "-shm"] {
            let (from, to) = (append_suffix(path, suffix), append_suffix(&aside, suffix));
            // These files may not exist.
            _ = fs::rename(from, to);
        }
        match fs::rename(path, &aside) {
            Ok(()) => format!("it was moved to {}", aside.display()),
            Err(error) => format!("it could not be moved aside ({error})"),
        }
    }
}

fn append_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Opens a writable database and migrates its schema.
pub(super) fn open(location: &DatabaseLocation) -> Result<Connection> {
    let mut connection = match location {
        DatabaseLocation::Memory => Connection::open_in_memory(),
        DatabaseLocation::File(path) => {
            create_file(path).map_err(|error| to_file_error(&error))?;
            Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
        }
    }
    .map_err(to_store_error)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(to_store_error)?;
    // A power failure may lose the last transactions, but does not corrupt the file.
    connection
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 16777216; PRAGMA secure_delete = ON;")
        .map_err(to_store_error)?;
    connection.set_prepared_statement_cache_capacity(64);
    migrations::run(&mut connection)?;
    Ok(connection)
}

/// Opens a read-only connection.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

/// Creates the file with mode 600; SQLite gives its other files the same mode.
fn create_file(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).mode(0o600).open(path)?;
    if file.metadata()?.permissions().mode() & 0o077 != 0 {
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
    }
    Ok(())
}

fn to_file_error(error: &io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::DiskFull,
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => StoreError::ReadOnly,
        _ => StoreError::Unavailable(format!("its file cannot be opened ({error})")),
    }
}
