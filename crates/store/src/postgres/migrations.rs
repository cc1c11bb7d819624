//! The tables, as they came to be. A number that was published never changes.

use super::{Line, address::Address, failure};
use crate::{Result, StoreError};

const MIGRATIONS: [&str; 4] = [
    include_str!("../../migrations/postgres/0001_usage.sql"),
    include_str!("../../migrations/postgres/0002_limits.sql"),
    include_str!("../../migrations/postgres/0003_saved_valves.sql"),
    include_str!("../../migrations/postgres/0004_reservations.sql"),
];

/// Held while tables are changed, so that of two hosts that start together one waits.
const LOCK: &str = "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; \
     SELECT pg_advisory_xact_lock(8245915713107910515)";

/// Whoever may not make schemas can be given this one.
const BASE: &str = "DO $$ BEGIN \
     IF to_regnamespace('pipewright') IS NULL THEN CREATE SCHEMA pipewright; END IF; \
     IF to_regclass('pipewright.schema_version') IS NULL THEN \
     CREATE TABLE pipewright.schema_version (version BIGINT NOT NULL); \
     INSERT INTO pipewright.schema_version VALUES (0); END IF; END $$";

/// Brings a database up to date, a transaction a number.
pub(super) async fn run(address: &Address) -> Result<()> {
    let mut line = Line::begin(address, "").await?;
    let known = MIGRATIONS.len() as i64;
    for (number, sql) in (1i64..).zip(MIGRATIONS) {
        let step = line.client.transaction().await.map_err(failure)?;
        step.batch_execute(LOCK).await.map_err(failure)?;
        step.batch_execute(BASE).await.map_err(failure)?;
        let found: i64 = step
            .query_one("SELECT version FROM pipewright.schema_version", &[])
            .await
            .map_err(failure)?
            .get(0);
        if found > known {
            return Err(StoreError::Newer { found, known });
        }
        if found < number {
            step.batch_execute(sql).await.map_err(failure)?;
            step.execute("UPDATE pipewright.schema_version SET version = $1", &[&number])
                .await
                .map_err(failure)?;
        }
        step.commit().await.map_err(failure)?;
    }
    Ok(())
}
