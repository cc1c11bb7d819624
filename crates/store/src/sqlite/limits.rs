//! Limits in SQLite: one transaction each.
//!
//! A window keeps the sum of its hits, and how far back it reaches. To ask it is to take off what has fallen out since, so that a window of
//! a day costs no more than one of a second.

use super::{Database, Sqlite};
use crate::{
    Result,
    limits::{
        Admitted, Booking, Charge, Exceeded, HOLD, PAUSE, Spending, Window, Windows, like, span,
        unsigned,
    },
    usage::{self, DAY},
};
use futures_util::future::BoxFuture;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use std::{collections::BTreeMap, time::Duration};

impl Windows for Sqlite {
    fn admit(
        &self,
        charges: Vec<Charge>,
        holder: String,
    ) -> BoxFuture<'_, Result<Result<Admitted, Exceeded>>> {
        Box::pin(self.change(move |database| {
            let (now, whole) = begin(database)?;
            let verdict = admit(&whole, now, &charges, &holder)?;
            whole.commit()?;
            Ok(verdict)
        }))
    }

    fn book(&self, bookings: Vec<Booking>) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.change(move |database| {
            let (now, whole) = begin(database)?;
            for Booking { key, amount, is_spending } in &bookings {
                match is_spending {
                    true => spend(&whole, key, *amount)?,
                    false => book(&whole, now, key, *amount)?,
                }
            }
            whole.commit()
        }))
    }

    fn release(&self, holders: Vec<String>) -> BoxFuture<'_, Result<()>> {
        Box::pin(self.change(move |database| {
            let (_, whole) = begin(database)?;
            for holder in &holders {
                whole
                    .prepare_cached("DELETE FROM limit_reservation WHERE holder = ?1")?
                    .execute([holder])?;
            }
            whole.commit()
        }))
    }

    fn used(&self, key: String, window: Duration) -> BoxFuture<'_, Result<u64>> {
        Box::pin(self.run(move |database| {
            let since = database.clock.now() - span(window);
            sum(&database.connection, &key, since, i64::MAX).map(unsigned)
        }))
    }

    fn sweep(&self) -> BoxFuture<'_, Result<()>> {
        Box::pin(async {
            // A few at a time, so that whoever takes need not wait.
            while self.change(sweep).await? > 0 {}
            Ok(())
        })
    }
}

/// The last moment that anything was stored for.
pub(super) fn last(connection: &Connection) -> rusqlite::Result<i64> {
    let last = "SELECT max(COALESCE((SELECT max(at) FROM limit_hit), 0), COALESCE((SELECT max(asked) FROM limit_window), 0))";
    connection.query_row(last, (), |row| row.get(0))
}

fn begin(database: &mut Database) -> rusqlite::Result<(i64, Transaction<'_>)> {
    let now = database.clock.now();
    Ok((now, database.connection.transaction_with_behavior(TransactionBehavior::Immediate)?))
}

fn admit(
    whole: &Transaction<'_>,
    now: i64,
    charges: &[Charge],
    holder: &str,
) -> rusqlite::Result<Result<Admitted, Exceeded>> {
    let mut states = Vec::with_capacity(charges.len());
    let mut amounts = BTreeMap::<&str, (u64, u64)>::new();
    for take in charges {
        let used = match &take.window {
            Window::Sliding(window) => settled(whole, now, &take.key, span(*window))?,
            Window::Spending(spending) => spent(whole, &take.key, spending)?,
        };
        states.push((used, held(whole, now, &take.key, holder)?));
        let (amount, reserved) = amounts.entry(&take.key).or_default();
        (*amount, *reserved) = (take.amount.max(*amount), take.reserved.max(*reserved));
    }
    if let Some(exceeded) = exceeded(whole, now, charges, &states)? {
        return Ok(Err(exceeded));
    }
    for (key, (amount, reserved)) in &amounts {
        book(whole, now, key, *amount)?;
        reserve(whole, now, key, holder, *reserved)?;
    }
    let booked = |(take, (used, _)): (&Charge, (u64, u64))| {
        used + amounts.get(&*take.key).map_or(0, |(amount, _)| *amount)
    };
    Ok(Ok(Admitted { used: charges.iter().zip(states).map(booked).collect() }))
}

/// What was spent in a period. The first time it is summed from the usage.
fn spent(whole: &Transaction<'_>, key: &str, spending: &Spending) -> rusqlite::Result<u64> {
    let known = whole
        .prepare_cached("SELECT used FROM limit_spending WHERE key = ?1")?
        .query_row([key], |row| row.get::<_, i64>(0))
        .optional()?;
    if let Some(used) = known {
        return Ok(unsigned(used));
    }
    let Spending { since, until, user, models } = spending;
    let (day, user) = (usage::days_up(*since), user.clone().map(|user| usage::fit(user, 256)));
    let used: i64 = whole
        .prepare_cached(
            "SELECT COALESCE(sum(cost), 0) FROM ( \
               SELECT cost FROM usage_daily WHERE day >= ?1 AND (?2 IS NULL OR user_id = ?2) \
               AND (?3 IS NULL OR model LIKE ?3 ESCAPE '\\') \
             UNION ALL \
               SELECT cost FROM usage WHERE at >= ?4 AND at < ?5 AND (?2 IS NULL OR user_id = ?2) \
               AND (?3 IS NULL OR model LIKE ?3 ESCAPE '\\'))",
        )?
        .query_row(params![day, user, models.as_deref().map(like), since, day * DAY], |row| {
            row.get(0)
        })?;
    whole
        .prepare_cached("INSERT INTO limit_spending (key, used, until) VALUES (?1, ?2, ?3)")?
        .execute(params![key, used, until])?;
    Ok(unsigned(used))
}

/// Adds to a period that somebody has asked for; another is summed from the usage when somebody does.
fn spend(whole: &Transaction<'_>, key: &str, amount: u64) -> rusqlite::Result<()> {
    whole
        .prepare_cached("UPDATE limit_spending SET used = used + ?2 WHERE key = ?1")?
        .execute(params![key, amount as i64])?;
    Ok(())
}

/// What others than this holder have reserved.
fn held(whole: &Transaction<'_>, now: i64, key: &str, holder: &str) -> rusqlite::Result<u64> {
    whole
        .prepare_cached("SELECT COALESCE(sum(amount), 0) FROM limit_reservation WHERE key = ?1 AND holder <> ?2 AND expires > ?3")?
        .query_row(params![key, holder, now], |row| row.get(0))
        .map(unsigned)
}

fn reserve(
    whole: &Transaction<'_>,
    now: i64,
    key: &str,
    holder: &str,
    amount: u64,
) -> rusqlite::Result<()> {
    if amount == 0 {
        return Ok(());
    }
    whole
        .prepare_cached(
            "INSERT INTO limit_reservation (key, holder, amount, expires) VALUES (?1, ?2, ?3, ?4) \
             ON CONFLICT DO UPDATE SET amount = amount + excluded.amount, expires = excluded.expires",
        )?
        .execute(params![key, holder, amount as i64, now + span(HOLD)])?;
    Ok(())
}

/// What is in a window at this moment, after what has fallen out of it was taken off.
fn settled(whole: &Transaction<'_>, now: i64, key: &str, span: i64) -> rusqlite::Result<u64> {
    let fresh = now - span;
    let kept = whole
        .prepare_cached("SELECT used, tail FROM limit_window WHERE key = ?1 AND span = ?2")?
        .query_row(params![key, span], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)))
        .optional()?;
    let Some((used, tail)) = kept else {
        let used = sum(whole, key, fresh, i64::MAX)?;
        whole
            .prepare_cached("INSERT INTO limit_window (key, span, used, tail, asked) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![key, span, used, fresh, now])?;
        return Ok(unsigned(used));
    };
    let gone = sum(whole, key, tail, fresh)?;
    whole
        .prepare_cached(
            "UPDATE limit_window SET used = ?3, tail = ?4, asked = ?5 WHERE key = ?1 AND span = ?2",
        )?
        .execute(params![key, span, used - gone, fresh, now])?;
    if gone > 0 {
        whole
            .prepare_cached("DELETE FROM limit_hit WHERE key = ?1 AND at <= (SELECT min(tail) FROM limit_window WHERE key = ?1)")?
            .execute([key])?;
    }
    Ok(unsigned(used - gone))
}

/// The take that has no room, and of several the one that has to wait the longest.
fn exceeded(
    whole: &Transaction<'_>,
    now: i64,
    charges: &[Charge],
    states: &[(u64, u64)],
) -> rusqlite::Result<Option<Exceeded>> {
    let mut worst: Option<Exceeded> = None;
    for (index, (take, &(used, held))) in charges.iter().zip(states).enumerate() {
        let wanted = take.amount.max(1);
        if used + held + wanted <= take.max {
            continue;
        }
        let retry_after = match &take.window {
            _ if wanted > take.max => None,
            _ if used + wanted <= take.max => Some(PAUSE),
            Window::Sliding(window) => {
                Some(room(whole, now, (&take.key, *window), used + wanted - take.max)?)
            }
            Window::Spending(spending) => {
                Some(Duration::from_millis(unsigned(spending.until - now)))
            }
        };
        let is_worse = worst.is_none_or(|worst| match (worst.retry_after, retry_after) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(known), Some(wait)) => wait > known,
        });
        if is_worse {
            worst = Some(Exceeded { index, used, held, max: take.max, retry_after });
        }
    }
    Ok(worst)
}

/// How long it takes until so much has fallen out of the window.
fn room(
    whole: &Transaction<'_>,
    now: i64,
    (key, window): (&str, Duration),
    excess: u64,
) -> rusqlite::Result<Duration> {
    let span = span(window);
    let mut oldest = whole.prepare_cached(
        "SELECT at, amount FROM limit_hit WHERE key = ?1 AND at > ?2 ORDER BY at",
    )?;
    let mut hits = oldest.query(params![key, now - span])?;
    let mut fallen = 0;
    while let Some(hit) = hits.next()? {
        fallen += unsigned(hit.get(1)?);
        if fallen >= excess {
            let at: i64 = hit.get(0)?;
            return Ok(Duration::from_millis(unsigned(at + span - now)));
        }
    }
    Ok(window)
}

fn book(whole: &Transaction<'_>, now: i64, key: &str, amount: u64) -> rusqlite::Result<()> {
    if amount == 0 {
        return Ok(());
    }
    let amount = amount as i64;
    whole
        .prepare_cached(
            "INSERT INTO limit_hit (key, at, amount) VALUES (?1, ?2, ?3) \
             ON CONFLICT DO UPDATE SET amount = amount + excluded.amount",
        )?
        .execute(params![key, now, amount])?;
    whole
        .prepare_cached("UPDATE limit_window SET used = used + ?2 WHERE key = ?1")?
        .execute(params![key, amount])?;
    Ok(())
}

fn sum(connection: &Connection, key: &str, after: i64, until: i64) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("SELECT COALESCE(sum(amount), 0) FROM limit_hit WHERE key = ?1 AND at > ?2 AND at <= ?3")?
        .query_row(params![key, after, until], |row| row.get(0))
}

/// Forgets windows that nobody has asked for in twice their length, and hits that no window looks at; says how many.
///
/// Hits of a key without windows stay for a day: a long answer may be booked after its window was forgotten.
fn sweep(database: &mut Database) -> rusqlite::Result<usize> {
    let (now, whole) = begin(database)?;
    let windows = whole
        .prepare_cached(
            "DELETE FROM limit_window WHERE (key, span) IN \
             (SELECT key, span FROM limit_window WHERE asked <= ?1 - 2 * span LIMIT 500)",
        )?
        .execute([now])?;
    let hits = whole
        .prepare_cached(
            "DELETE FROM limit_hit WHERE (key, at) IN (SELECT key, at FROM limit_hit AS hit \
             WHERE at <= COALESCE((SELECT min(tail) FROM limit_window AS w WHERE w.key = hit.key), ?1) LIMIT 500)",
        )?
        .execute([now - DAY])?;
    let reservations = whole
        .prepare_cached(
            "DELETE FROM limit_reservation WHERE (key, holder) IN \
             (SELECT key, holder FROM limit_reservation WHERE expires <= ?1 LIMIT 500)",
        )?
        .execute([now])?;
    let periods = whole
        .prepare_cached(
            "DELETE FROM limit_spending WHERE key IN \
             (SELECT key FROM limit_spending WHERE until <= ?1 LIMIT 500)",
        )?
        .execute([now - DAY])?;
    whole.commit()?;
    Ok(windows + hits + reservations + periods)
}
