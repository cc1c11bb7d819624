//! One upstream service with its circuit breaker, its budgets and its totals.

use crate::{FailureKind, Limits, breaker::CircuitBreaker, budget::RetryBudget};
use pipe_sdk::UpstreamState;
use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering::Relaxed},
};
use tokio::{sync::Semaphore, time::Instant};

/// One service at one address, with the state of its circuit breaker and its budgets.
#[derive(Debug)]
pub struct Upstream {
    name: Arc<str>,
    pub(crate) limits: Limits,
    breaker: Mutex<CircuitBreaker>,
    budget: Mutex<RetryBudget>,
    pub(crate) concurrency_permits: Arc<Semaphore>,
    pub(crate) counts: Counts,
}

/// The totals since the start.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) calls: AtomicU64,
    pub(crate) attempts: AtomicU64,
    pub(crate) shed: AtomicU64,
    pub(crate) refused: AtomicU64,
    failures: [AtomicU64; FailureKind::ALL.len()],
}

impl Upstream {
    /// Returns an upstream with a closed circuit breaker.
    pub fn new(name: impl Into<Arc<str>>, limits: Limits) -> Self {
        Self {
            name: name.into(),
            breaker: Mutex::new(CircuitBreaker::new(&limits)),
            budget: Mutex::new(RetryBudget::new(limits.retry_percent)),
            concurrency_permits: Arc::new(Semaphore::new(limits.max_concurrent)),
            counts: Counts::default(),
            limits,
        }
    }

    /// Returns the name for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the time-outs and limits.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Returns the state for metrics.
    pub fn state(&self) -> UpstreamState {
        let Counts { calls, attempts, shed, refused, failures } = &self.counts;
        let (calls, attempts) = (calls.load(Relaxed), attempts.load(Relaxed));
        let failures = FailureKind::ALL.iter().zip(failures);
        UpstreamState {
            name: self.name.to_string(),
            breaker: self.breaker().state(Instant::now()),
            in_flight: self.limits.max_concurrent - self.concurrency_permits.available_permits(),
            calls,
            retries: attempts.saturating_sub(calls),
            shed: shed.load(Relaxed),
            refused: refused.load(Relaxed),
            failures: failures.map(|(kind, count)| (kind.name(), count.load(Relaxed))).collect(),
        }
    }

    pub(crate) fn count_failure(&self, kind: Option<FailureKind>) {
        if let Some(kind) = kind {
            self.counts.failures[kind as usize].fetch_add(1, Relaxed);
        }
    }

    /// Locks the circuit breaker.
    pub(crate) fn breaker(&self) -> MutexGuard<'_, CircuitBreaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn budget(&self) -> MutexGuard<'_, RetryBudget> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
