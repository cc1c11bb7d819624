//! Resilience for calls of upstream services: time-outs, retries with a budget, a circuit breaker
//! and a concurrency limit.
//!
//! An [`Upstream`] is one service at one address. [`Upstream::call`] runs attempts until one
//! succeeds or further ones are useless; the caller decides what an attempt does, and by which
//! client. Errors implement [`Classify`], which says what they mean for the upstream. The caller's
//! [`CallerId`](pipe_sdk::CallerId) makes sure that one caller's failures do not close the upstream
//! to the others.
//!
//! ```
//! # use std::sync::Arc;
//! # use pipe_sdk::CallerId;
//! # use resilience::{Classify, FailureKind, FirstByteElapsed, Limits, Upstream, Verdict};
//! # #[derive(Debug, PartialEq)]
//! enum DemoError { Busy, FirstByteElapsed }
//!
//! impl Classify for DemoError {
//!     fn verdict(&self) -> Verdict {
//!         match self {
//!             Self::Busy => Verdict::failure(FailureKind::Server).retryable(),
//!             Self::FirstByteElapsed => Verdict::failure(FailureKind::Timeout),
//!         }
//!     }
//! }
//! impl From<FirstByteElapsed> for DemoError {
//!     fn from(_: FirstByteElapsed) -> Self { Self::FirstByteElapsed }
//! }
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)]
//! # async fn main() {
//! let upstream = Arc::new(Upstream::new("example", Limits::default()));
//! let answered = upstream.call(CallerId::default(), async |attempt| {
//!     attempt.with_deadline(async {
//!         if attempt.number == 1 { Err(DemoError::Busy) } else { Ok("hello") }
//!     }).await?
//! }).await;
//! let (answer, call) = answered.unwrap();
//! call.complete(None);
//! assert_eq!((answer, upstream.state().retries), ("hello", 1));
//! # }
//! ```
//!
//! Not part of this crate: an HTTP client, texts for people, tasks. A call that is dropped frees
//! its permit and counts neither as success nor as failure; an answer in progress holds its permit
//! in an [`InFlightCall`].

mod breaker;
mod budget;
mod call;
mod idle_timeout;
mod in_flight_call;
mod limits;
mod verdict;
mod window;

pub use call::{Attempt, CallError, FirstByteElapsed};
pub use idle_timeout::{IdleElapsed, IdleTimeout, IdleTimer};
pub use in_flight_call::{InFlightCall, TrackedStream};
pub use limits::Limits;
pub use verdict::{Classify, FailureKind, Suspect, Verdict};

use breaker::CircuitBreaker;
use budget::RetryBudget;
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
    limits: Limits,
    breaker: Mutex<CircuitBreaker>,
    budget: Mutex<RetryBudget>,
    concurrency_permits: Arc<Semaphore>,
    counts: Counts,
}

/// The totals since the start.
#[derive(Debug, Default)]
struct Counts {
    calls: AtomicU64,
    attempts: AtomicU64,
    shed: AtomicU64,
    refused: AtomicU64,
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

    fn count_failure(&self, kind: Option<FailureKind>) {
        if let Some(kind) = kind {
            self.counts.failures[kind as usize].fetch_add(1, Relaxed);
        }
    }

    /// Locks the circuit breaker.
    fn breaker(&self) -> MutexGuard<'_, CircuitBreaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn budget(&self) -> MutexGuard<'_, RetryBudget> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
