//! Limits in SQLite, one transaction per call.
//!
//! A window stores the sum of its hits and its begin. A query subtracts the hits that have expired
//! since, so a window of a day costs no more than one of a second.

use super::{Database, Sqlite};
use crate::{
    Result,
    limits::{
        Admitted, Booking, Charge, Exceeded, LimitStore, RESERVATION_RETRY_AFTER, RESERVATION_TTL,
        Spending, Window, glob_to_like, to_millis, to_unsigned,
    },
    usage::{self, DAY},
};
use futures_util::future::BoxFuture;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use std::{collections::BTreeMap, time::Duration};

impl LimitStore for Sqlite {
    fn admit(
        &self,
        charges: Vec<Charge>,
        holder: String,
    ) -> BoxFuture<'_, Result<Result<Admitted, Exceeded>>> {
        Box::pin(self.write_with(move |database| {
            let (now, transaction) = begin(database)?;
            let verdict = admit(&transaction, now, &charges, &holder)?;
            transaction.commit()?;
            Ok(verdict)
        }))
    }

    fn book(&self, bookings: Vec<Booking>) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.write_with(move |database| {
            let (now, transaction) = begin(database)?;
            for Booking { key, amount, is_spending } in &bookings {
                match is_spending {
                    true => add_spending(&transaction, key, *amount)?,
                    false => add_hit(&transaction, now, key, *amount)?,
                }
            }
            transaction.commit()
        }))
    }

    fn release(&self, holders: Vec<String>) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.write_with(move |database| {
            let (_, transaction) = begin(database)?;
            for holder in &holders {
                transaction
                    .prepare_cached("DELETE FROM limit_reservation WHERE holder = ?1")?
                    .execute([holder])?;
            }
            transaction.commit()
        }))
    }

    fn used(&self, key: String, window: Duration) -> BoxFuture<'_, Result<u64>> {
        Box::pin(self.run(move |database| {
            let since = database.clock.now() - to_millis(window);
            sum(&database.connection, &key, since, i64::MAX).map(to_unsigned)
        }))
    }

    fn delete_expired(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async {
            // Small transactions, so that requests need not wait.
            while self.write_with(delete_expired).await? > 0 {}
            Ok(())
        })
    }
}

/// Returns the latest stored time.
pub(super) fn last_timestamp(connection: &Connection) -> rusqlite::Result<i64> {
    let last = "SELECT max(COALESCE((SELECT max(at) FROM limit_hit), 0), COALESCE((SELECT max(asked) FROM limit_window), 0))";
    connection.query_row(last, (), |row| row.get(0))
}

/// Begins a transaction, and returns it with the present time.
fn begin(database: &mut Database) -> rusqlite::Result<(i64, Transaction<'_>)> {
    let now = database.clock.now();
    Ok((now, database.connection.transaction_with_behavior(TransactionBehavior::Immediate)?))
}

/// Admits charges, or returns the first limit that is used up.
fn admit(
    transaction: &Transaction<'_>,
    now: i64,
    charges: &[Charge],
    holder: &str,
) -> rusqlite::Result<Result<Admitted, Exceeded>> {
    let mut states = Vec::with_capacity(charges.len());
    let mut amounts = BTreeMap::<&str, (u64, u64)>::new();
    for charge in charges {
        let used = match &charge.window {
            Window::Sliding(window) => {
                update_window(transaction, now, &charge.key, to_millis(*window))?
            }
            Window::Spending(spending) => spent_in_period(transaction, &charge.key, spending)?,
        };
        states.push((used, reserved_by_others(transaction, now, &charge.key, holder)?));
        let (amount, reserved) = amounts.entry(&charge.key).or_default();
        (*amount, *reserved) = (charge.amount.max(*amount), charge.reserved.max(*reserved));
    }
    if let Some(exceeded) = find_exceeded(transaction, now, charges, &states)? {
        return Ok(Err(exceeded));
    }
    for (key, (amount, reserved)) in &amounts {
        add_hit(transaction, now, key, *amount)?;
        reserve(transaction, now, key, holder, *reserved)?;
    }
    let booked = |(charge, (used, _)): (&Charge, (u64, u64))| {
        used + amounts.get(&*charge.key).map_or(0, |(amount, _)| *amount)
    };
    Ok(Ok(Admitted { used: charges.iter().zip(states).map(booked).collect() }))
}

/// Returns the spending in a period. The first query sums it from the usage.
fn spent_in_period(
    transaction: &Transaction<'_>,
    key: &str,
    spending: &Spending,
) -> rusqlite::Result<u64> {
    let known = transaction
        .prepare_cached("SELECT used FROM limit_spending WHERE key = ?1")?
        .query_row([key], |row| row.get::<_, i64>(0))
        .optional()?;
    if let Some(used) = known {
        return Ok(to_unsigned(used));
    }
    let Spending { since, until, user, models } = spending;
    let (day, user) =
        (usage::first_full_day(*since), user.clone().map(|user| usage::truncate_text(user, 256)));
    let used: i64 = transaction
        .prepare_cached(
            "SELECT COALESCE(sum(cost), 0) FROM ( \
               SELECT cost FROM usage_daily WHERE day >= ?1 AND (?2 IS NULL OR user_id = ?2) \
               AND (?3 IS NULL OR model LIKE ?3 ESCAPE '\\') \
             UNION ALL \
               SELECT cost FROM usage WHERE at >= ?4 AND at < ?5 AND (?2 IS NULL OR user_id = ?2) \
               AND (?3 IS NULL OR model LIKE ?3 ESCAPE '\\'))",
        )?
        .query_row(
            params![day, user, models.as_deref().map(glob_to_like), since, day * DAY],
            |row| row.get(0),
        )?;
    transaction
        .prepare_cached("INSERT INTO limit_spending (key, used, until) VALUES (?1, ?2, ?3)")?
        .execute(params![key, used, until])?;
    Ok(to_unsigned(used))
}

/// Adds to a period that was queried before. Others are summed from the usage when they are first
/// queried.
fn add_spending(transaction: &Transaction<'_>, key: &str, amount: u64) -> rusqlite::Result<()> {
    transaction
        .prepare_cached("UPDATE limit_spending SET used = used + ?2 WHERE key = ?1")?
        .execute(params![key, amount as i64])?;
    Ok(())
}

/// Returns the amount that other holders have reserved.
fn reserved_by_others(
    transaction: &Transaction<'_>,
    now: i64,
    key: &str,
    holder: &str,
) -> rusqlite::Result<u64> {
    transaction
        .prepare_cached("SELECT COALESCE(sum(amount), 0) FROM limit_reservation WHERE key = ?1 AND holder <> ?2 AND expires > ?3")?
        .query_row(params![key, holder, now], |row| row.get(0))
        .map(to_unsigned)
}

/// Reserves an amount of a limit for a request.
fn reserve(
    transaction: &Transaction<'_>,
    now: i64,
    key: &str,
    holder: &str,
    amount: u64,
) -> rusqlite::Result<()> {
    if amount == 0 {
        return Ok(());
    }
    transaction
        .prepare_cached(
            "INSERT INTO limit_reservation (key, holder, amount, expires) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT DO UPDATE SET amount = amount + excluded.amount, expires = excluded.expires",
        )?
        .execute(params![key, holder, amount as i64, now + to_millis(RESERVATION_TTL)])?;
    Ok(())
}

/// Subtracts expired hits from a window, and returns its current amount.
fn update_window(
    transaction: &Transaction<'_>,
    now: i64,
    key: &str,
    span: i64,
) -> rusqlite::Result<u64> {
    let window_start = now - span;
    let window = transaction
        .prepare_cached("SELECT used, tail FROM limit_window WHERE key = ?1 AND span = ?2")?
        .query_row(params![key, span], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))
        .optional()?;
    let Some((used, tail)) = window else {
        let used = sum(transaction, key, window_start, i64::MAX)?;
        transaction
            .prepare_cached("INSERT INTO limit_window (key, span, used, tail, asked) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![key, span, used, window_start, now])?;
        return Ok(to_unsigned(used));
    };
    let expired = sum(transaction, key, tail, window_start)?;
    transaction
        .prepare_cached(
            "UPDATE limit_window SET used = ?3, tail = ?4, asked = ?5 WHERE key = ?1 AND span = ?2",
        )?
        .execute(params![key, span, used - expired, window_start, now])?;
    if expired > 0 {
        transaction
            .prepare_cached("DELETE FROM limit_hit WHERE key = ?1 AND at <= (SELECT min(tail) FROM limit_window WHERE key = ?1)")?
            .execute([key])?;
    }
    Ok(to_unsigned(used - expired))
}

/// Returns the exceeded charge; of several, the one with the longest wait.
fn find_exceeded(
    transaction: &Transaction<'_>,
    now: i64,
    charges: &[Charge],
    states: &[(u64, u64)],
) -> rusqlite::Result<Option<Exceeded>> {
    let mut worst: Option<Exceeded> = None;
    for (index, (charge, &(used, held))) in charges.iter().zip(states).enumerate() {
        let wanted = charge.amount.max(1);
        if used + held + wanted <= charge.max {
            continue;
        }
        let retry_after = match &charge.window {
            _ if wanted > charge.max => None,
            _ if used + wanted <= charge.max => Some(RESERVATION_RETRY_AFTER),
            Window::Sliding(window) => Some(time_until_room(
                transaction,
                now,
                (&charge.key, *window),
                used + wanted - charge.max,
            )?),
            Window::Spending(spending) => {
                Some(Duration::from_millis(to_unsigned(spending.until - now)))
            }
        };
        let is_worse = worst.is_none_or(|worst| match (worst.retry_after, retry_after) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(known), Some(wait)) => wait > known,
        });
        if is_worse {
            worst = Some(Exceeded { index, used, held, max: charge.max, retry_after });
        }
    }
    Ok(worst)
}

/// Returns the time until this excess has expired.
fn time_until_room(
    transaction: &Transaction<'_>,
    now: i64,
    (key, window): (&str, Duration),
    excess: u64,
) -> rusqlite::Result<Duration> {
    let span = to_millis(window);
    let mut oldest = transaction.prepare_cached(
        "SELECT at, amount FROM limit_hit WHERE key = ?1 AND at > ?2 ORDER BY at",
    )?;
    let mut hits = oldest.query(params![key, now - span])?;
    let mut expired = 0;
    while let Some(hit) = hits.next()? {
        expired += to_unsigned(hit.get(1)?);
        if expired >= excess {
            let at: i64 = hit.get(0)?;
            return Ok(Duration::from_millis(to_unsigned(at + span - now)));
        }
    }
    Ok(window)
}

fn add_hit(
    transaction: &Transaction<'_>,
    now: i64,
    key: &str,
    amount: u64,
) -> rusqlite::Result<()> {
    if amount == 0 {
        return Ok(());
    }
    let amount = amount as i64;
    transaction
        .prepare_cached(
            "INSERT INTO limit_hit (key, at, amount) VALUES (?1, ?2, ?3) \
             ON CONFLICT DO UPDATE SET amount = amount + excluded.amount",
        )?
        .execute(params![key, now, amount])?;
    transaction
        .prepare_cached("UPDATE limit_window SET used = used + ?2 WHERE key = ?1")?
        .execute(params![key, amount])?;
    Ok(())
}

/// Returns the amount that was used of a limit in a period.
fn sum(connection: &Connection, key: &str, after: i64, until: i64) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("SELECT COALESCE(sum(amount), 0) FROM limit_hit WHERE key = ?1 AND at > ?2 AND at <= ?3")?
        .query_row(params![key, after, until], |row| row.get(0))
}

/// Deletes windows that were not queried for twice their length, and hits that no window needs;
/// returns the number of rows.
///
/// Hits of a key without windows stay for a day, because a long answer may be booked after its
/// window was deleted.
fn delete_expired(database: &mut Database) -> rusqlite::Result<usize> {
    let (now, transaction) = begin(database)?;
    let windows = transaction
        .prepare_cached(
            "DELETE FROM limit_window WHERE (key, span) IN \
             (SELECT key, span FROM limit_window WHERE asked <= ?1 - 2 * span LIMIT 500)",
        )?
        .execute([now])?;
    let hits = transaction
        .prepare_cached(
            "DELETE FROM limit_hit WHERE (key, at) IN (SELECT key, at FROM limit_hit AS hit \
             WHERE at <= COALESCE((SELECT min(tail) FROM limit_window AS w WHERE w.key = hit.key), ?1) LIMIT 500)",
        )?
        .execute([now - DAY])?;
    let reservations = transaction
        .prepare_cached(
            "DELETE FROM limit_reservation WHERE (key, holder) IN \
             (SELECT key, holder FROM limit_reservation WHERE expires <= ?1 LIMIT 500)",
        )?
        .execute([now])?;
    let periods = transaction
        .prepare_cached(
            "DELETE FROM limit_spending WHERE key IN \
             (SELECT key FROM limit_spending WHERE until <= ?1 LIMIT 500)",
        )?
        .execute([now - DAY])?;
    transaction.commit()?;
    Ok(windows + hits + reservations + periods)
}
