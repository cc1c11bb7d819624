//! A ledger in memory, by tokio's clock.

use crate::{Exceeded, Ledger, Result, Take};
use futures_util::future::{BoxFuture, ready};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};
use tokio::time::Instant;

/// What was taken and spent.
#[derive(Default)]
pub struct Memory {
    hits: Mutex<HashMap<String, Vec<(Instant, u64)>>>,
    spent: Mutex<HashMap<String, u64>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Memory {
    pub fn spend(&self, user: &str, cost: u64) {
        *locked(&self.spent).entry(user.into()).or_default() += cost;
    }

    fn hit(&self, key: &str, amount: u64) {
        locked(&self.hits).entry(key.into()).or_default().push((Instant::now(), amount));
    }

    /// Whether this take finds too little left. What it needs leaves in the order in which it came.
    fn refuses(&self, index: usize, take: &Take) -> Option<Exceeded> {
        let hits = locked(&self.hits);
        let within = hits.get(&take.key).into_iter().flatten();
        let within: Vec<_> = within.filter(|(at, _)| at.elapsed() < take.window).collect();
        let used: u64 = within.iter().map(|(_, amount)| amount).sum();
        // With nothing to take, there must at least be room for one.
        let wanted = used + take.amount.max(1);
        if wanted <= take.max {
            return None;
        }
        let mut leaving = 0;
        let last = within.iter().find(|(_, amount)| {
            leaving += amount;
            wanted - leaving.min(wanted) <= take.max
        });
        let wait = |at: &Instant| (*at + take.window).saturating_duration_since(Instant::now());
        let retry_after: Option<Duration> = last.map(|(at, _)| wait(at));
        Some(Exceeded { index, used, retry_after })
    }
}

impl Ledger for Memory {
    fn take(&self, takes: Vec<Take>) -> BoxFuture<'_, Result<Option<Exceeded>>> {
        let refused = takes.iter().enumerate().find_map(|(index, take)| self.refuses(index, take));
        if refused.is_none() {
            takes.iter().for_each(|take| self.hit(&take.key, take.amount));
        }
        Box::pin(ready(Ok(refused)))
    }

    fn book(&self, key: String, amount: u64) -> BoxFuture<'_, Result<()>> {
        self.hit(&key, amount);
        Box::pin(ready(Ok(())))
    }

    fn spent(&self, user: String, _: SystemTime) -> BoxFuture<'_, Result<u64>> {
        Box::pin(ready(Ok(locked(&self.spent).get(&user).copied().unwrap_or_default())))
    }
}
