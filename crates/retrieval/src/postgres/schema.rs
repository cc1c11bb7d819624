//! The tables, and what a connection to them begins with.

use super::Transaction;
use crate::error::{Error, Result};
use tokio_postgres::error::SqlState;

/// Counts up with the tables, and with whatever makes other terms or chunks of the same text.
const VERSION: i64 = 1;

const TABLES: &str = include_str!("schema.sql");

/// Ours first; pgvector may be in any schema that is looked into.
pub(super) const SESSION: &str = "
    SELECT set_config('search_path', 'pipewright_index, ' || current_setting('search_path'), false);
    SET lock_timeout = '60s';
    SET statement_timeout = '120s'";

/// Held while tables are made, so that of two hosts that start together one waits.
const LOCK: &str = "SELECT pg_advisory_xact_lock(4117083354310287716)";

const BASE: &str = "DO $$ BEGIN
    IF to_regnamespace('pipewright_index') IS NULL THEN CREATE SCHEMA pipewright_index; END IF;
    IF to_regclass('pipewright_index.version') IS NULL THEN
        CREATE TABLE pipewright_index.version (version BIGINT NOT NULL);
        INSERT INTO pipewright_index.version VALUES (0);
    END IF; END $$";

/// Makes the tables of a new database, and refuses one that it does not understand.
pub(super) async fn settle(transaction: &Transaction<'_>) -> Result<()> {
    transaction.batch_execute(LOCK).await?;
    transaction.batch_execute("CREATE EXTENSION IF NOT EXISTS vector").await.map_err(no_vectors)?;
    let held: String = transaction
        .query_one("SELECT extversion FROM pg_extension WHERE extname = 'vector'", &[])
        .await?
        .get(0);
    if !has_iterative_scans(&held) {
        return Err(Error::Refused(format!(
            "the database's pgvector is {held}: 0.8 or later is needed (ALTER EXTENSION vector UPDATE)"
        )));
    }
    transaction.batch_execute(BASE).await?;
    let version: i64 =
        transaction.query_one("SELECT version FROM pipewright_index.version", &[]).await?.get(0);
    match version {
        VERSION => Ok(()),
        0 => {
            transaction.batch_execute(TABLES).await?;
            transaction.execute("UPDATE version SET version = $1", &[&VERSION]).await?;
            Ok(())
        }
        _ => Err(Error::Refused(format!(
            "the index is of version {version}, this release reads version {VERSION}: index the documents anew in another database"
        ))),
    }
}

/// Version 0.8 brought them.
fn has_iterative_scans(version: &str) -> bool {
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or_default());
    (numbers.next(), numbers.next()) >= (Some(0), Some(8))
}

fn no_vectors(error: tokio_postgres::Error) -> Error {
    match error.code() {
        Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
            Error::Refused("the database has no pgvector, and this user may not add it: let an admin say CREATE EXTENSION vector".to_owned())
        }
        Some(&SqlState::FEATURE_NOT_SUPPORTED | &SqlState::UNDEFINED_FILE) => {
            Error::Refused("the database has no pgvector: install it where PostgreSQL runs".to_owned())
        }
        _ => Error::store(error),
    }
}
