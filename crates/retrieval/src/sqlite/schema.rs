//! The SQLite schema, and the way in which the file is opened.

use crate::error::{IndexError, Result};
use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

/// The version of the schema. It also increases when the same text would give other terms.
const VERSION: i64 = 2;

/// Creates the tables.
const TABLES: &str = "
CREATE TABLE audience (id INTEGER PRIMARY KEY, rule TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE member (
    principal TEXT NOT NULL,
    audience INTEGER NOT NULL REFERENCES audience,
    PRIMARY KEY (principal, audience)
) STRICT, WITHOUT ROWID;

CREATE TABLE collection (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    settings TEXT NOT NULL,
    audience INTEGER NOT NULL REFERENCES audience,
    model TEXT,
    dimensions INTEGER,
    CHECK ((model IS NULL) = (dimensions IS NULL))
) STRICT;

CREATE TABLE document (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    collection INTEGER NOT NULL REFERENCES collection ON DELETE CASCADE,
    name TEXT NOT NULL,
    title TEXT NOT NULL,
    url TEXT,
    metadata TEXT NOT NULL,
    audience INTEGER NOT NULL REFERENCES audience,
    fingerprint BLOB NOT NULL,
    chunks INTEGER NOT NULL,
    stored_at INTEGER NOT NULL,
    -- Why a later version could not be read.
    failure TEXT,
    UNIQUE (collection, name)
) STRICT;

CREATE TABLE chunk (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    document INTEGER NOT NULL REFERENCES document ON DELETE CASCADE,
    place INTEGER NOT NULL,
    heading TEXT NOT NULL,
    text TEXT NOT NULL,
    tokens INTEGER NOT NULL,
    hash BLOB NOT NULL,
    -- The page on which the chunk begins.
    page INTEGER,
    UNIQUE (document, place)
) STRICT;
CREATE INDEX chunk_by_hash ON chunk (hash);

CREATE TABLE vector (
    chunk INTEGER NOT NULL REFERENCES chunk ON DELETE CASCADE,
    model TEXT NOT NULL,
    numbers BLOB NOT NULL,
    PRIMARY KEY (chunk, model)
) STRICT, WITHOUT ROWID;

-- What a term occurs in; `crate::posting` says what the entries are.
CREATE TABLE posting (
    collection INTEGER NOT NULL REFERENCES collection ON DELETE CASCADE,
    term TEXT NOT NULL,
    audience INTEGER NOT NULL,
    block INTEGER NOT NULL,
    entries BLOB NOT NULL,
    PRIMARY KEY (collection, term, audience, block)
) STRICT, WITHOUT ROWID;

CREATE TABLE extent (
    collection INTEGER NOT NULL REFERENCES collection ON DELETE CASCADE,
    audience INTEGER NOT NULL,
    chunks INTEGER NOT NULL,
    terms INTEGER NOT NULL,
    PRIMARY KEY (collection, audience)
) STRICT, WITHOUT ROWID;

-- Documents whose vectors changed, so that mirrors in memory, in whatever process, can follow.
CREATE TABLE change (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    collection INTEGER NOT NULL,
    document INTEGER NOT NULL
) STRICT;
";

/// Creates the file if it does not exist, readable only by its owner, since it holds restricted
/// documents. SQLite gives its other files the same mode.
pub(super) fn create_file(path: &Path) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(IndexError::storage(error)),
        _ => Ok(()),
    }
}

/// Opens a connection with the settings that every reader and writer needs.
pub(super) fn connect(path: &Path) -> Result<Connection> {
    // A symbolic link could lead to any other file.
    let flags = OpenFlags::default() | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(30))?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    // An acknowledged document must survive a power failure.
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "cache_size", -65_536)?;
    connection.pragma_update(None, "mmap_size", 1_i64 << 30)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Upgrades version 1 to version 2.
const ADD_PAGES: &str = "ALTER TABLE chunk ADD COLUMN page INTEGER";

/// Creates the tables of a new file, brings those of version 1 up to date, and refuses a file of
/// another version.
pub(super) fn migrate(connection: &mut Connection) -> Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let tables: i64 =
        transaction.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0))?;
    match (version, tables) {
        (VERSION, _) => Ok(()),
        (0, 0) | (1, _) => {
            transaction.execute_batch(if version == 0 { TABLES } else { ADD_PAGES })?;
            transaction.pragma_update(None, "user_version", VERSION)?;
            Ok(transaction.commit()?)
        }
        _ => Err(IndexError::InvalidInput(format!(
            "the index is of version {version}, this release reads version {VERSION}: index the documents again in another file"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_version_1_is_brought_up_to_date() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(TABLES).unwrap();
        connection.execute_batch("ALTER TABLE chunk DROP COLUMN page").unwrap();
        connection.pragma_update(None, "user_version", 1).unwrap();
        migrate(&mut connection).unwrap();
        migrate(&mut connection).unwrap();
        connection.execute_batch("SELECT page FROM chunk").unwrap();
    }
}
