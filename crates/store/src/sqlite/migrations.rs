//! The tables, as they came to be. A number that was published never changes.

use super::failure;
use crate::{Result, StoreError};
use rusqlite::{Connection, TransactionBehavior};

const MIGRATIONS: [&str; 3] = [
    include_str!("../../migrations/sqlite/0001_usage.sql"),
    include_str!("../../migrations/sqlite/0002_limits.sql"),
    include_str!("../../migrations/sqlite/0003_reservations.sql"),
];

/// Brings a database up to date, a transaction a number.
pub(super) fn run(connection: &mut Connection) -> Result<()> {
    let known = MIGRATIONS.len() as i64;
    for (number, sql) in (1i64..).zip(MIGRATIONS) {
        let step = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(failure)?;
        let found: i64 =
            step.query_row("PRAGMA user_version", (), |row| row.get(0)).map_err(failure)?;
        if found > known {
            return Err(StoreError::Newer { found, known });
        }
        if found < number {
            step.execute_batch(sql).map_err(failure)?;
            step.pragma_update(None, "user_version", number).map_err(failure)?;
        }
        step.commit().map_err(failure)?;
    }
    Ok(())
}
