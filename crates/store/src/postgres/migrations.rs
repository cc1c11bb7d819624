//! The schema migrations. A published migration never changes.

use super::{Connection, address::Address, to_store_error};
use crate::{Result, StoreError};

const MIGRATIONS: [&str; 5] = [
    include_str!("../../migrations/postgres/0001_usage.sql"),
    include_str!("../../migrations/postgres/0002_limits.sql"),
    include_str!("../../migrations/postgres/0003_saved_valves.sql"),
    include_str!("../../migrations/postgres/0004_reservations.sql"),
    include_str!("../../migrations/postgres/0005_conversations.sql"),
];

/// Serializes the migrations of hosts that start together.
const LOCK: &str = "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; \
     SELECT pg_advisory_xact_lock(8245915713107910515)";

/// Creates the schema, unless an operator has created it for a user without that privilege.
const BASE: &str = "DO $$ BEGIN \
     IF to_regnamespace('pipewright') IS NULL THEN CREATE SCHEMA pipewright; END IF; \
     IF to_regclass('pipewright.schema_version') IS NULL THEN \
     CREATE TABLE pipewright.schema_version (version BIGINT NOT NULL); \
     INSERT INTO pipewright.schema_version VALUES (0); END IF; END $$";

/// Runs the missing migrations, each in its own transaction.
pub(super) async fn run(address: &Address) -> Result<()> {
    let mut connection = Connection::open(address, "").await?;
    let known = MIGRATIONS.len() as i64;
    for (number, sql) in (1i64..).zip(MIGRATIONS) {
        let step = connection.client.transaction().await.map_err(to_store_error)?;
        step.batch_execute(LOCK).await.map_err(to_store_error)?;
        step.batch_execute(BASE).await.map_err(to_store_error)?;
        let found: i64 = step
            .query_one("SELECT version FROM pipewright.schema_version", &[])
            .await
            .map_err(to_store_error)?
            .get(0);
        if found > known {
            return Err(StoreError::NewerSchema { found, known });
        }
        if found < number {
            step.batch_execute(sql).await.map_err(to_store_error)?;
            step.execute("UPDATE pipewright.schema_version SET version = $1", &[&number])
                .await
                .map_err(to_store_error)?;
        }
        step.commit().await.map_err(to_store_error)?;
    }
    Ok(())
}
