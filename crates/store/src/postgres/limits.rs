//! Limits in PostgreSQL: one call of a function that stands beside the tables, by the database's clock.

use super::{LATER, Postgres, SOON, failure, number};
use crate::{
    Result, StoreError,
    limits::{
        Admitted, Booking, Charge, Exceeded, HOLD, PAUSE, Spending, Window, Windows, like, span,
        unsigned,
    },
    usage,
};
use futures_util::future::BoxFuture;
use std::time::Duration;
use tokio_postgres::{Row, types::Type};

const RESERVE: &str = "SELECT refused, used, held, wait \
     FROM pipewright.limit_reserve($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
const BOOK: &str = "SELECT pipewright.limit_book_all($1, $2, $3)";
const RELEASE: &str = "DELETE FROM pipewright.limit_reservation WHERE holder = ANY ($1)";
const USED: &str = "SELECT CAST(COALESCE(sum(amount), 0) AS BIGINT) FROM pipewright.limit_hit WHERE key = $1 \
     AND at > floor(extract(epoch FROM clock_timestamp()) * 1000)::BIGINT - $2";
const SWEEP: &str = "SELECT pipewright.limit_sweep() + pipewright.limit_sweep_reservations()";

impl Windows for Postgres {
    fn admit(
        &self,
        charges: Vec<Charge>,
        holder: String,
    ) -> BoxFuture<'_, Result<Result<Admitted, Exceeded>>> {
        Box::pin(async move {
            let columns = Columns::of(&charges);
            let (hold, pause) = (span(HOLD), span(PAUSE));
            let parameters: [super::Parameter<'_>; 12] = [
                (&columns.keys, Type::TEXT_ARRAY),
                (&columns.spans, Type::INT8_ARRAY),
                (&columns.maxes, Type::INT8_ARRAY),
                (&columns.amounts, Type::INT8_ARRAY),
                (&columns.reserves, Type::INT8_ARRAY),
                (&columns.sinces, Type::INT8_ARRAY),
                (&columns.untils, Type::INT8_ARRAY),
                (&columns.users, Type::TEXT_ARRAY),
                (&columns.models, Type::TEXT_ARRAY),
                (&holder, Type::TEXT),
                (&hold, Type::INT8),
                (&pause, Type::INT8),
            ];
            let rows = self.ask(&self.0.requests, SOON, RESERVE, &parameters).await?;
            let row = rows.first().ok_or_else(|| StoreError::Away("it gave no verdict".into()))?;
            verdict(row, &charges).map_err(failure)
        })
    }

    fn book(&self, bookings: Vec<Booking>) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let keys: Vec<_> = bookings.iter().map(|booking| booking.key.as_str()).collect();
            let amounts: Vec<_> = bookings.iter().map(|booking| booking.amount as i64).collect();
            let are_spendings: Vec<_> =
                bookings.iter().map(|booking| booking.is_spending).collect();
            let parameters: [super::Parameter<'_>; 3] = [
                (&keys, Type::TEXT_ARRAY),
                (&amounts, Type::INT8_ARRAY),
                (&are_spendings, Type::BOOL_ARRAY),
            ];
            // Beside the requests that wait for a verdict.
            self.ask(&self.0.writing, LATER, BOOK, &parameters).await.map(|_| ())
        })
    }

    fn release(&self, holders: Vec<String>) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let parameters: [super::Parameter<'_>; 1] = [(&holders, Type::TEXT_ARRAY)];
            self.ask(&self.0.writing, LATER, RELEASE, &parameters).await.map(|_| ())
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

/// Takes as the arrays that a function of PostgreSQL's reads.
#[derive(Default)]
struct Columns<'a> {
    keys: Vec<&'a str>,
    /// 0 for a period of the calendar.
    spans: Vec<i64>,
    maxes: Vec<i64>,
    amounts: Vec<i64>,
    reserves: Vec<i64>,
    sinces: Vec<i64>,
    untils: Vec<i64>,
    users: Vec<Option<String>>,
    models: Vec<Option<String>>,
}

impl<'a> Columns<'a> {
    fn of(charges: &'a [Charge]) -> Self {
        let mut columns = Self::default();
        for Charge { key, window, max, amount, reserved } in charges {
            let (span, spending) = match window {
                Window::Sliding(window) => (span(*window), Spending::default()),
                Window::Spending(spending) => (0, spending.clone()),
            };
            columns.keys.push(key);
            columns.spans.push(span);
            columns.maxes.push(*max as i64);
            columns.amounts.push(*amount as i64);
            columns.reserves.push(*reserved as i64);
            columns.sinces.push(spending.since);
            columns.untils.push(spending.until);
            columns.users.push(spending.user.map(|user| usage::fit(user, 256)));
            columns.models.push(spending.models.as_deref().map(like));
        }
        columns
    }
}

fn verdict(
    row: &Row,
    charges: &[Charge],
) -> Result<Result<Admitted, Exceeded>, tokio_postgres::Error> {
    let refused: Option<i32> = row.try_get(0)?;
    let used: Vec<i64> = row.try_get(1)?;
    let held: Vec<i64> = row.try_get(2)?;
    let wait: Option<i64> = row.try_get(3)?;
    let index = refused.and_then(|number| usize::try_from(number - 1).ok());
    let refused = index
        .and_then(|index| Some((index, charges.get(index)?, used.get(index)?, held.get(index)?)));
    Ok(match refused {
        None => Ok(Admitted { used: used.into_iter().map(unsigned).collect() }),
        Some((index, take, used, held)) => Err(Exceeded {
            index,
            used: unsigned(*used),
            held: unsigned(*held),
            max: take.max,
            retry_after: wait.map(|wait| Duration::from_millis(unsigned(wait))),
        }),
    })
}
