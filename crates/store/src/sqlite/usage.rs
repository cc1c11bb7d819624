//! Usage in SQLite.

use super::{Sqlite, bind};
use crate::{
    Result,
    usage::{Batch, Ledger, ReportRow, UsageQuery, spent_sql},
};
use futures_util::future::BoxFuture;
use rusqlite::{Connection, TransactionBehavior, params};
use std::sync::Arc;

/// Inserts the usage of one request.
const INSERT_ROW: &str = "INSERT INTO usage (at, user_id, key_label, model, pipe, via, side, task, kind, status, \
     prompt, cached, cache_creation, completion, reasoning, cost) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)";

/// Adds usage to the sums of a day.
const ADD_DAILY: &str = "INSERT INTO usage_daily (day, user_id, key_label, model, pipe, side, task, kind, \
     requests, errors, cancelled, prompt, cached, cache_creation, completion, reasoning, cost, unpriced) \
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18) \
     ON CONFLICT DO UPDATE SET requests = requests + excluded.requests, errors = errors + excluded.errors, \
     cancelled = cancelled + excluded.cancelled, prompt = prompt + excluded.prompt, cached = cached + excluded.cached, \
     cache_creation = cache_creation + excluded.cache_creation, completion = completion + excluded.completion, \
     reasoning = reasoning + excluded.reasoning, cost = cost + excluded.cost, unpriced = unpriced + excluded.unpriced";

/// Saves the name of a user.
const SAVE_NAME: &str = "INSERT INTO usage_user (user_id, name) VALUES (?1, ?2) \
     ON CONFLICT DO UPDATE SET name = excluded.name WHERE name <> excluded.name";

impl Ledger for Sqlite {
    fn write(&self, batch: Arc<Batch>) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.write_with(move |database| write(&mut database.connection, &batch)))
    }

    fn report(&self, query: UsageQuery) -> BoxFuture<'_, Result<Vec<ReportRow>>> {
        Box::pin(self.read(move |connection| {
            let sql = query.sql("");
            let mut statement = connection.prepare(&sql.text)?;
            bind(&mut statement, &sql)?;
            let mut rows = statement.raw_query();
            let mut report = Vec::new();
            while let Some(row) = rows.next()? {
                report.push(ReportRow::read(|column| row.get(column), |column| row.get(column))?);
            }
            Ok(report)
        }))
    }

    fn spent(&self, user: &str, since: i64) -> BoxFuture<'_, Result<i64>> {
        let sql = spent_sql(user, since, "");
        Box::pin(self.run(move |database| {
            let mut statement = database.connection.prepare_cached(&sql.text)?;
            bind(&mut statement, &sql)?;
            let mut rows = statement.raw_query();
            rows.next()?.map_or(Ok(0), |row| row.get(0))
        }))
    }

    fn delete_before(&self, before: i64) -> BoxFuture<'_, Result<u64>> {
        // A few at a time, so that limits need not wait.
        let some = "DELETE FROM usage WHERE id IN (SELECT id FROM usage WHERE at < ?1 LIMIT 500)";
        Box::pin(
            self.write_with(
                move |database| Ok(database.connection.execute(some, [before])? as u64),
            ),
        )
    }
}

/// Writes the usage of many requests in one transaction.
fn write(connection: &mut Connection, batch: &Batch) -> rusqlite::Result<()> {
    let written = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    {
        let mut insert = written.prepare_cached(INSERT_ROW)?;
        for row in &batch.rows {
            let tokens = &row.tokens;
            insert.execute(params![
                row.at,
                row.user_id,
                row.key_label,
                row.model,
                row.pipe,
                row.via,
                row.side,
                row.task,
                row.kind,
                row.status,
                tokens.prompt,
                tokens.cached,
                tokens.cache_creation,
                tokens.completion,
                tokens.reasoning,
                row.cost,
            ])?;
        }
        let mut upsert = written.prepare_cached(ADD_DAILY)?;
        for day in &batch.days {
            let (key, totals) = (&day.key, &day.totals);
            upsert.execute(params![
                key.day,
                key.user_id,
                key.key_label,
                key.model,
                key.pipe,
                key.side,
                key.task,
                key.kind,
                totals.requests,
                totals.errors,
                totals.cancelled,
                totals.tokens.prompt,
                totals.tokens.cached,
                totals.tokens.cache_creation,
                totals.tokens.completion,
                totals.tokens.reasoning,
                totals.cost,
                totals.unpriced,
            ])?;
        }
        let mut name = written.prepare_cached(SAVE_NAME)?;
        for (user, shown) in &batch.names {
            name.execute(params![user, shown])?;
        }
    }
    written.commit()
}
