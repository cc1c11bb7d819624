//! Usage in PostgreSQL.

use super::{BACKGROUND_TIMEOUT, Parameter, Postgres, REQUEST_TIMEOUT, first_i64, to_store_error};
use crate::{
    Result,
    usage::{self, Batch, Ledger, ReportRow, Sql, UsageQuery, spent_sql},
};
use futures_util::future::BoxFuture;
use std::sync::Arc;
use tokio_postgres::types::Type;

const SCHEMA: &str = "pipewright.";

/// Writes a batch in one statement, and therefore in one transaction. A batch that was written
/// before is skipped.
const WRITE: &str = "
    WITH new AS (
        INSERT INTO pipewright.usage_batch (id) VALUES ($1) ON CONFLICT DO NOTHING RETURNING id
    ), rows AS (
        INSERT INTO pipewright.usage (at, user_id, key_label, model, pipe, via, side, task, kind, status,
            prompt, cached, cache_creation, completion, reasoning, cost)
        SELECT at, user_id, key_label, model, pipe, via, side, task, kind, status,
            prompt, cached, cache_creation, completion, reasoning, cost
        FROM new, jsonb_to_recordset($2::TEXT::JSONB) AS row (at BIGINT, user_id TEXT, key_label TEXT, model TEXT,
            pipe TEXT, via TEXT, side TEXT, task TEXT, kind TEXT, status TEXT, prompt BIGINT, cached BIGINT,
            cache_creation BIGINT, completion BIGINT, reasoning BIGINT, cost BIGINT)
    ), days AS (
        INSERT INTO pipewright.usage_daily AS known (day, user_id, key_label, model, pipe, side, task, kind,
            requests, errors, cancelled, prompt, cached, cache_creation, completion, reasoning, cost, unpriced)
        SELECT day, user_id, key_label, model, pipe, side, task, kind,
            requests, errors, cancelled, prompt, cached, cache_creation, completion, reasoning, cost, unpriced
        FROM new, jsonb_to_recordset($3::TEXT::JSONB) AS row (day BIGINT, user_id TEXT, key_label TEXT, model TEXT,
            pipe TEXT, side TEXT, task TEXT, kind TEXT, requests BIGINT, errors BIGINT, cancelled BIGINT, prompt BIGINT,
            cached BIGINT, cache_creation BIGINT, completion BIGINT, reasoning BIGINT, cost BIGINT, unpriced BIGINT)
        ON CONFLICT (day, user_id, key_label, model, pipe, side, task, kind) DO UPDATE SET
            requests = known.requests + excluded.requests, errors = known.errors + excluded.errors,
            cancelled = known.cancelled + excluded.cancelled, prompt = known.prompt + excluded.prompt,
            cached = known.cached + excluded.cached, cache_creation = known.cache_creation + excluded.cache_creation,
            completion = known.completion + excluded.completion, reasoning = known.reasoning + excluded.reasoning,
            cost = known.cost + excluded.cost, unpriced = known.unpriced + excluded.unpriced
    )
    INSERT INTO pipewright.usage_user AS known (user_id, name)
    SELECT key, value FROM new, jsonb_each_text($4::TEXT::JSONB) ORDER BY key
    ON CONFLICT (user_id) DO UPDATE SET name = excluded.name WHERE known.name <> excluded.name";

/// Deletes some old rows, and the batch ids of more than a day ago.
const DELETE_BEFORE: &str = "
    WITH batches AS (
        DELETE FROM pipewright.usage_batch WHERE at < now() - INTERVAL '1 day'
    ), rows AS (
        DELETE FROM pipewright.usage WHERE id IN (SELECT id FROM pipewright.usage WHERE at < $1 LIMIT 5000) RETURNING 1
    )
    SELECT count(*) FROM rows";

impl Ledger for Postgres {
    fn write(&self, batch: Arc<Batch>) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let (rows, days, names) =
                (to_json(&batch.rows), to_json(&batch.days), to_json(&batch.names));
            let parameters: [Parameter<'_>; 4] = [
                (&batch.id, Type::TEXT),
                (&rows, Type::TEXT),
                (&days, Type::TEXT),
                (&names, Type::TEXT),
            ];
            self.query(&self.0.writing, BACKGROUND_TIMEOUT, WRITE, &parameters).await.map(|_| ())
        })
    }

    fn report(&self, query: UsageQuery) -> BoxFuture<'_, Result<Vec<ReportRow>>> {
        Box::pin(async move {
            let sql = query.sql(SCHEMA);
            let rows = self
                .query(&self.0.reports, BACKGROUND_TIMEOUT, &sql.text, &to_parameters(&sql))
                .await?;
            rows.iter()
                .map(|row| {
                    ReportRow::read(|column| row.try_get(column), |column| row.try_get(column))
                })
                .collect::<Result<_, _>>()
                .map_err(to_store_error)
        })
    }

    fn spent(&self, user: &str, since: i64) -> BoxFuture<'_, Result<i64>> {
        let sql = spent_sql(user, since, SCHEMA);
        Box::pin(async move {
            first_i64(
                &self
                    .query(&self.0.requests, REQUEST_TIMEOUT, &sql.text, &to_parameters(&sql))
                    .await?,
            )
        })
    }

    fn delete_before(&self, before: i64) -> BoxFuture<'_, Result<u64>> {
        Box::pin(async move {
            let deleted = self
                .query(&self.0.writing, BACKGROUND_TIMEOUT, DELETE_BEFORE, &[(&before, Type::INT8)])
                .await?;
            first_i64(&deleted).map(i64::unsigned_abs)
        })
    }
}

#[expect(clippy::expect_used, reason = "numbers and texts, which are always JSON")]
fn to_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("a batch is JSON")
}

fn to_parameters(sql: &Sql) -> Vec<Parameter<'_>> {
    sql.parameters.iter().map(to_parameter).collect()
}

fn to_parameter(value: &usage::Parameter) -> Parameter<'_> {
    match value {
        usage::Parameter::Number(number) => (number, Type::INT8),
        usage::Parameter::Text(text) => (text, Type::TEXT),
    }
}
