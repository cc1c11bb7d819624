//! The PostgreSQL schema, and the settings of each session.

use super::Transaction;
use crate::error::{IndexError, Result};
use tokio_postgres::error::SqlState;

/// The version of the schema. It also increases when the same text would give other terms.
const VERSION: i64 = 2;

/// Creates the tables.
const TABLES: &str = include_str!("schema.sql");

/// The index's schema comes first; pgvector may be in any schema of the search path.
pub(super) const SESSION_SETTINGS: &str = "
    SELECT set_config('search_path', 'pipewright_index, ' || current_setting('search_path'), false);
    SET lock_timeout = '60s';
    SET statement_timeout = '120s'";

/// Serializes the migrations of hosts that start together.
const MIGRATION_LOCK: &str = "SELECT pg_advisory_xact_lock(4117083354310287716)";

const CREATE_SCHEMA: &str = "DO $$ BEGIN
    IF to_regnamespace('pipewright_index') IS NULL THEN CREATE SCHEMA pipewright_index; END IF;
    IF to_regclass('pipewright_index.version') IS NULL THEN
        CREATE TABLE pipewright_index.version (version BIGINT NOT NULL);
        INSERT INTO pipewright_index.version VALUES (0);
    END IF; END $$";

/// Upgrades version 1 to version 2.
const ADD_PAGES: &str = "ALTER TABLE chunk ADD COLUMN page BIGINT";

/// Creates the tables of a new database, brings those of version 1 up to date, and refuses a
/// database of another version.
pub(super) async fn migrate(transaction: &Transaction<'_>) -> Result<()> {
    transaction.batch_execute(MIGRATION_LOCK).await?;
    transaction
        .batch_execute("CREATE EXTENSION IF NOT EXISTS vector")
        .await
        .map_err(pgvector_error)?;
    let installed: String = transaction
        .query_one("SELECT extversion FROM pg_extension WHERE extname = 'vector'", &[])
        .await?
        .get(0);
    if !has_iterative_scans(&installed) {
        return Err(IndexError::InvalidInput(format!(
            "the database's pgvector is {installed}: 0.8 or later is needed (ALTER EXTENSION vector UPDATE)"
        )));
    }
    transaction.batch_execute(CREATE_SCHEMA).await?;
    let version: i64 =
        transaction.query_one("SELECT version FROM pipewright_index.version", &[]).await?.get(0);
    match version {
        VERSION => Ok(()),
        0 | 1 => {
            transaction.batch_execute(if version == 0 { TABLES } else { ADD_PAGES }).await?;
            transaction.execute("UPDATE version SET version = $1", &[&VERSION]).await?;
            Ok(())
        }
        _ => Err(IndexError::InvalidInput(format!(
            "the index is of version {version}, this release reads version {VERSION}: index the documents again in another database"
        ))),
    }
}

/// Returns true from pgvector 0.8 on.
fn has_iterative_scans(version: &str) -> bool {
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or_default());
    (numbers.next(), numbers.next()) >= (Some(0), Some(8))
}

fn pgvector_error(error: tokio_postgres::Error) -> IndexError {
    match error.code() {
        Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
            IndexError::InvalidInput("the database has no pgvector, and this user may not add it: let an admin say CREATE EXTENSION vector".to_owned())
        }
        Some(&SqlState::FEATURE_NOT_SUPPORTED | &SqlState::UNDEFINED_FILE) => {
            IndexError::InvalidInput("the database has no pgvector: install it where PostgreSQL runs".to_owned())
        }
        _ => IndexError::storage(error),
    }
}
