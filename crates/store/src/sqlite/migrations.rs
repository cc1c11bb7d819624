//! The schema migrations. A published migration never changes.

use super::to_store_error;
use crate::{Result, StoreError};
use rusqlite::{Connection, TransactionBehavior};

const MIGRATIONS: [&str; 4] = [
    include_str!("../../migrations/sqlite/0001_usage.sql"),
    include_str!("../../migrations/sqlite/0002_limits.sql"),
    include_str!("../../migrations/sqlite/0003_reservations.sql"),
    include_str!("../../migrations/sqlite/0004_conversations.sql"),
];

/// Runs the missing migrations, each in its own transaction.
pub(super) fn run(connection: &mut Connection) -> Result<()> {
    let known = MIGRATIONS.len() as i64;
    for (number, sql) in (1i64..).zip(MIGRATIONS) {
        let step = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(to_store_error)?;
        let found: i64 =
            step.query_row("PRAGMA user_version", (), |row| row.get(0)).map_err(to_store_error)?;
        if found > known {
            return Err(StoreError::NewerSchema { found, known });
        }
        if found < number {
            step.execute_batch(sql).map_err(to_store_error)?;
            step.pragma_update(None, "user_version", number).map_err(to_store_error)?;
        }
        step.commit().map_err(to_store_error)?;
    }
    Ok(())
}
