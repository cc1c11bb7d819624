//! Limits in PostgreSQL: each call runs one function in the database, by the database's clock.

use super::{BACKGROUND_TIMEOUT, Postgres, REQUEST_TIMEOUT, first_i64, to_store_error};
use crate::{
    Result, StoreError,
    limits::{
        Admitted, Booking, Charge, Exceeded, LimitStore, RESERVATION_RETRY_AFTER, RESERVATION_TTL,
        Spending, Window, glob_to_like, to_millis, to_unsigned,
    },
    usage,
};
use futures_util::future::BoxFuture;
use std::time::Duration;
use tokio_postgres::{Row, types::Type};

/// Reserves amounts of limits, or returns the limit that is used up.
const RESERVE: &str = "SELECT refused, used, held, wait \
     FROM pipewright.limit_reserve($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
/// Books amounts that were used.
const BOOK: &str = "SELECT pipewright.limit_book_all($1, $2, $3)";
/// Deletes the reservations of requests.
const RELEASE: &str = "DELETE FROM pipewright.limit_reservation WHERE holder = ANY ($1)";
/// Sums up what was used of a limit in a period.
const SELECT_USED: &str = "SELECT CAST(COALESCE(sum(amount), 0) AS BIGINT) FROM pipewright.limit_hit WHERE key = $1 \
     AND at > floor(extract(epoch FROM clock_timestamp()) * 1000)::BIGINT - $2";
/// Deletes what no limit counts any more.
const DELETE_EXPIRED: &str =
    "SELECT pipewright.limit_sweep() + pipewright.limit_sweep_reservations()";

impl LimitStore for Postgres {
    fn admit(
        &self,
        charges: Vec<Charge>,
        holder: String,
    ) -> BoxFuture<'_, Result<Result<Admitted, Exceeded>>> {
        Box::pin(async move {
            let columns = Columns::from_charges(&charges);
            let (hold, pause) = (to_millis(RESERVATION_TTL), to_millis(RESERVATION_RETRY_AFTER));
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
            let rows = self.query(&self.0.requests, REQUEST_TIMEOUT, RESERVE, &parameters).await?;
            let row =
                rows.first().ok_or_else(|| StoreError::Unavailable("it returned no row".into()))?;
            parse_admission(row, &charges).map_err(to_store_error)
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
            // Not on the connection of requests that wait for an admission.
            self.query(&self.0.writing, BACKGROUND_TIMEOUT, BOOK, &parameters).await.map(|_| ())
        })
    }

    fn release(&self, holders: Vec<String>) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let parameters: [super::Parameter<'_>; 1] = [(&holders, Type::TEXT_ARRAY)];
            self.query(&self.0.writing, BACKGROUND_TIMEOUT, RELEASE, &parameters).await.map(|_| ())
        })
    }

    fn used(&self, key: String, window: Duration) -> BoxFuture<'_, Result<u64>> {
        Box::pin(async move {
            let span = to_millis(window);
            let parameters: [super::Parameter<'_>; 2] = [(&key, Type::TEXT), (&span, Type::INT8)];
            first_i64(
                &self.query(&self.0.requests, REQUEST_TIMEOUT, SELECT_USED, &parameters).await?,
            )
            .map(to_unsigned)
        })
    }

    fn delete_expired(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async {
            while first_i64(
                &self.query(&self.0.writing, BACKGROUND_TIMEOUT, DELETE_EXPIRED, &[]).await?,
            )? > 0
            {}
            Ok(())
        })
    }
}

/// Charges as array parameters of a database function.
#[derive(Default)]
struct Columns<'a> {
    keys: Vec<&'a str>,
    /// 0 for a calendar period.
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
    fn from_charges(charges: &'a [Charge]) -> Self {
        let mut columns = Self::default();
        for Charge { key, window, max, amount, reserved } in charges {
            let (span, spending) = match window {
                Window::Sliding(window) => (to_millis(*window), Spending::default()),
                Window::Spending(spending) => (0, spending.clone()),
            };
            columns.keys.push(key);
            columns.spans.push(span);
            columns.maxes.push(*max as i64);
            columns.amounts.push(*amount as i64);
            columns.reserves.push(*reserved as i64);
            columns.sinces.push(spending.since);
            columns.untils.push(spending.until);
            columns.users.push(spending.user.map(|user| usage::truncate_text(user, 256)));
            columns.models.push(spending.models.as_deref().map(glob_to_like));
        }
        columns
    }
}

/// Returns the admission in a row, or the limit that is used up.
fn parse_admission(
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
        None => Ok(Admitted { used: used.into_iter().map(to_unsigned).collect() }),
        Some((index, charge, used, held)) => Err(Exceeded {
            index,
            used: to_unsigned(*used),
            held: to_unsigned(*held),
            max: charge.max,
            retry_after: wait.map(|wait| Duration::from_millis(to_unsigned(wait))),
        }),
    })
}
