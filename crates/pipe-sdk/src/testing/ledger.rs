//! A ledger in memory, by tokio's clock.

use crate::{Booking, Charge, Exceeded, Ledger, Result, Window};
use futures_util::future::{BoxFuture, ready};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};
use tokio::time::Instant;

/// An in-memory ledger.
#[derive(Default)]
pub struct InMemoryLedger {
    hits: Mutex<HashMap<String, Vec<(Instant, u64)>>>,
    spent: Mutex<HashMap<String, u64>>,
    held: Mutex<Vec<(String, String, u64)>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl InMemoryLedger {
    pub fn spend(&self, user: &str, cost: u64) {
        *lock(&self.spent).entry(user.into()).or_default() += cost;
    }

    fn hit(&self, key: &str, amount: u64) {
        lock(&self.hits).entry(key.into()).or_default().push((Instant::now(), amount));
    }

    /// Returns the amount that other holders have reserved.
    fn reserved_by_others(&self, key: &str, holder: &str) -> u64 {
        let held = lock(&self.held);
        let others = held.iter().filter(|(k, by, _)| k == key && by != holder);
        others.map(|(.., amount)| amount).sum()
    }

    /// Returns the refusal of this charge, if too little of its limit is left. Amounts leave the
    /// window in the order in which they were added.
    fn find_exceeded(&self, index: usize, take: &Charge, holder: &str) -> Option<Exceeded> {
        let held = self.reserved_by_others(&take.key, holder);
        // A charge of 0 still needs room for 1.
        let amount = take.amount.max(1);
        let window = match &take.window {
            Window::Sliding(window) => *window,
            Window::Spending { user, until, .. } => {
                let spent = lock(&self.spent);
                let of = |(who, _): &(&String, &u64)| user.as_ref().is_none_or(|user| user == *who);
                let used = spent.iter().filter(of).map(|(_, spent)| spent).sum::<u64>();
                let wait = until.duration_since(SystemTime::now()).ok();
                let full = Exceeded { index, used, held, retry_after: wait };
                return (used + held + amount > take.max).then_some(full);
            }
        };
        let hits = lock(&self.hits);
        let within = hits.get(&take.key).into_iter().flatten();
        let within: Vec<_> = within.filter(|(at, _)| at.elapsed() < window).collect();
        let used: u64 = within.iter().map(|(_, amount)| amount).sum();
        let wanted = used + amount;
        if wanted + held <= take.max {
            return None;
        }
        if wanted <= take.max {
            return Some(Exceeded { index, used, held, retry_after: Some(Duration::from_secs(5)) });
        }
        let mut leaving = 0;
        let last = within.iter().find(|(_, amount)| {
            leaving += amount;
            wanted - leaving.min(wanted) <= take.max
        });
        let wait = |at: &Instant| (*at + window).saturating_duration_since(Instant::now());
        let retry_after: Option<Duration> = last.map(|(at, _)| wait(at));
        Some(Exceeded { index, used, held, retry_after })
    }
}

impl Ledger for InMemoryLedger {
    fn take(
        &self,
        charges: Vec<Charge>,
        holder: String,
    ) -> BoxFuture<'_, Result<Option<Exceeded>>> {
        let mut all = charges.iter().enumerate();
        let refused = all.find_map(|(index, take)| self.find_exceeded(index, take, &holder));
        if refused.is_none() {
            for Charge { key, amount, reserved, .. } in charges {
                self.hit(&key, amount);
                lock(&self.held).push((key, holder.clone(), reserved));
            }
        }
        Box::pin(ready(Ok(refused)))
    }

    fn book(&self, bookings: Vec<Booking>) -> BoxFuture<'_, Result<()>> {
        // `spend` returns the amounts that were spent.
        for Booking { key, amount, .. } in bookings.into_iter().filter(|one| !one.is_spending) {
            self.hit(&key, amount);
        }
        Box::pin(ready(Ok(())))
    }

    fn release(&self, holder: String) {
        lock(&self.held).retain(|(_, by, _)| *by != holder);
    }

    fn spent(&self, user: String, _: SystemTime) -> BoxFuture<'_, Result<u64>> {
        Box::pin(ready(Ok(lock(&self.spent).get(&user).copied().unwrap_or_default())))
    }
}
