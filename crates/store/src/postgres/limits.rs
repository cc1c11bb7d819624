//! Limits in PostgreSQL: one call of a function that stands beside the tables, by the database's clock.

use super::{LATER, Postgres, SOON, failure, number};
use crate::{
    Result, StoreError,
    limits::{Admitted, Exceeded, Take, Windows, span, unsigned},
};
use futures_util::future::BoxFuture;
use std::time::Duration;
use tokio_postgres::{Row, types::Type};

const ADMIT: &str = "SELECT refused, used, wait FROM pipewright.limit_admit($1, $2, $3, $4)";
const ADD: &str = "SELECT pipewright.limit_book($1, pipewright.limit_begin(ARRAY[$1]), $2)";
const USED: &str = "SELECT CAST(COALESCE(sum(amount), 0) AS BIGINT) FROM pipewright.limit_hit WHERE key = $1 \
     AND at > floor(extract(epoch FROM clock_timestamp()) * 1000)::BIGINT - $2";
const SWEEP: &str = "SELECT pipewright.limit_sweep()";

impl Windows for Postgres {
    fn admit(&self, takes: Vec<Take>) -> BoxFuture<'_, Result<Result<Admitted, Exceeded>>> {
        Box::pin(async move {
            let keys: Vec<_> = takes.iter().map(|take| take.key.as_str()).collect();
            let spans: Vec<_> = takes.iter().map(|take| span(take.window)).collect();
            let maxes: Vec<_> = takes.iter().map(|take| take.max as i64).collect();
            let amounts: Vec<_> = takes.iter().map(|take| take.amount as i64).collect();
            let parameters: [super::Parameter<'_>; 4] = [
                (&keys, Type::TEXT_ARRAY),
                (&spans, Type::INT8_ARRAY),
                (&maxes, Type::INT8_ARRAY),
                (&amounts, Type::INT8_ARRAY),
            ];
            let rows = self.ask(&self.0.requests, SOON, ADMIT, &parameters).await?;
            let row = rows.first().ok_or_else(|| StoreError::Away("it gave no verdict".into()))?;
            verdict(row, &takes).map_err(failure)
        })
    }

    fn add(&self, key: String, amount: u64) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let amount = amount as i64;
            let parameters: [super::Parameter<'_>; 2] = [(&key, Type::TEXT), (&amount, Type::INT8)];
            self.ask(&self.0.requests, LATER, ADD, &parameters).await.map(|_| ())
        })
    }

    fn used(&self, key: String, window: Duration) -> BoxFuture<'_, Result<u64>> {
        Box::pin(async move {
            let span = span(window);
            let parameters: [super::Parameter<'_>; 2] = [(&key, Type::TEXT), (&span, Type::INT8)];
            number(&self.ask(&self.0.requests, SOON, USED, &parameters).await?).map(unsigned)
        })
    }

    fn sweep(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async {
            while number(&self.ask(&self.0.writing, LATER, SWEEP, &[]).await?)? > 0 {}
            Ok(())
        })
    }
}

fn verdict(row: &Row, takes: &[Take]) -> Result<Result<Admitted, Exceeded>, tokio_postgres::Error> {
    let refused: Option<i32> = row.try_get(0)?;
    let used: Vec<i64> = row.try_get(1)?;
    let wait: Option<i64> = row.try_get(2)?;
    let index = refused.and_then(|number| usize::try_from(number - 1).ok());
    let refused = index.and_then(|index| Some((index, takes.get(index)?, used.get(index)?)));
    Ok(match refused {
        None => Ok(Admitted { used: used.into_iter().map(unsigned).collect() }),
        Some((index, take, used)) => Err(Exceeded {
            index,
            used: unsigned(*used),
            max: take.max,
            retry_after: wait.map(|wait| Duration::from_millis(unsigned(wait))),
        }),
    })
}
