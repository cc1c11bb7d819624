//! The file that the database is, and its owner's alone.

use super::{failure, migrations};
use crate::{Result, StoreError};
use rusqlite::{Connection, OpenFlags};
use std::{
    fs::{self, DirBuilder, OpenOptions, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

/// How long a statement waits for another program that looks into the file.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where a database is.
#[derive(Clone, Debug)]
pub(super) enum Place {
    File(PathBuf),
    Memory,
}

impl Place {
    pub fn in_folder(folder: &Path) -> Self {
        Self::File(folder.join("store.db"))
    }

    /// Puts a corrupt file out of the way, and says where it is.
    pub fn move_aside(&self) -> String {
        let Self::File(path) = self else { return "it was in memory".into() };
        let aside = path.with_extension("db.corrupt");
        for ending in ["-wal", "-shm"] {
            let (from, to) = (beside(path, ending), beside(&aside, ending));
            // They need not be there.
            _ = fs::rename(from, to);
        }
        match fs::rename(path, &aside) {
            Ok(()) => format!("it was moved to {}", aside.display()),
            Err(error) => format!("it could not be moved aside ({error})"),
        }
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Opens a database that can be written to, with the tables of today.
pub(super) fn open(place: &Place) -> Result<Connection> {
    let mut connection = match place {
        Place::Memory => Connection::open_in_memory(),
        Place::File(path) => {
            make(path).map_err(|error| unmade(&error))?;
            Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
        }
    }
    .map_err(failure)?;
    connection.busy_timeout(PATIENCE).map_err(failure)?;
    // A crash of the machine may take the last transactions, never the database.
    connection
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 16777216;")
        .map_err(failure)?;
    connection.set_prepared_statement_cache_capacity(64);
    migrations::run(&mut connection)?;
    Ok(connection)
}

/// A connection that only reads.
pub(super) fn reader(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    connection.busy_timeout(PATIENCE)?;
    Ok(connection)
}

/// SQLite gives its other files the mode of the first.
fn make(path: &Path) -> io::Result<()> {
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

fn unmade(error: &io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::Full,
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => StoreError::ReadOnly,
        _ => StoreError::Away(format!("its file cannot be opened ({error})")),
    }
}
