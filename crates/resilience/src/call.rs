//! Runs one call: attempts until one succeeds or further ones are useless.

use crate::{
    Classify, FailureKind, InFlightCall, Limits, Upstream, Verdict,
    breaker::{BreakerRefusal, CallTicket, CircuitBreaker},
    in_flight_call::{CallGuard, ConcurrencyPermit},
};
use pipe_sdk::CallerId;
use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};
use tokio::time::{Instant, sleep, timeout_at};

/// One attempt of a call: its number and its deadline.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// The number of the attempt, from 1.
    pub number: u32,
    /// The time by which the answer must have begun.
    deadline: Instant,
}

/// The error when no answer began in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstByteElapsed;

/// An error of a call that got no answer.
#[derive(Debug, PartialEq)]
pub enum CallError<E> {
    /// The circuit breaker is open, because the upstream has failed repeatedly.
    CircuitOpen {
        /// The time until the next call may be admitted.
        wait: Duration,
        /// The kind of the last failure.
        cause: FailureKind,
    },
    /// The concurrency limit is reached.
    ConcurrencyLimit,
    /// The last attempt has failed.
    Failed(E),
}

impl Attempt {
    /// Returns the output of the future, unless the deadline passes first.
    pub async fn with_deadline<T>(
        &self,
        begins: impl Future<Output = T>,
    ) -> Result<T, FirstByteElapsed> {
        timeout_at(self.deadline, begins).await.map_err(|_| FirstByteElapsed)
    }
}

impl Upstream {
    /// Runs attempts until one succeeds, or until further ones are useless.
    ///
    /// An attempt may be repeated, so it must not have passed anything on to the client. The answer
    /// is in flight as long as its [`InFlightCall`] exists. The circuit breaker counts all attempts
    /// as one call.
    pub async fn call<T, E: Classify, F: Future<Output = Result<T, E>>>(
        self: &Arc<Self>,
        caller: CallerId,
        attempt: impl FnMut(Attempt) -> F,
    ) -> Result<(T, InFlightCall), CallError<E>> {
        self.call_admitted(|breaker, now| breaker.admit(caller, now), attempt).await
    }

    /// Runs a call without an alternative: it is sent although the circuit breaker is open, unless
    /// the upstream cannot be connected to.
    pub async fn call_ignoring_breaker<T, E: Classify, F: Future<Output = Result<T, E>>>(
        self: &Arc<Self>,
        caller: CallerId,
        attempt: impl FnMut(Attempt) -> F,
    ) -> Result<(T, InFlightCall), CallError<E>> {
        self.call_admitted(|breaker, now| breaker.admit_ignoring_state(caller, now), attempt).await
    }

    async fn call_admitted<T, E: Classify, F: Future<Output = Result<T, E>>>(
        self: &Arc<Self>,
        admit: impl FnOnce(&mut CircuitBreaker, Instant) -> Result<CallTicket, BreakerRefusal>,
        mut attempt: impl FnMut(Attempt) -> F,
    ) -> Result<(T, InFlightCall), CallError<E>> {
        let permit = self.acquire_permit().ok_or(CallError::ConcurrencyLimit)?;
        let admitted = admit(&mut self.breaker(), Instant::now());
        let ticket = admitted.map_err(|BreakerRefusal { wait, last_failure }| {
            self.counts.refused.fetch_add(1, Relaxed);
            CallError::CircuitOpen { wait, cause: last_failure }
        })?;
        let guard = CallGuard::new(Arc::clone(self), ticket);
        self.counts.calls.fetch_add(1, Relaxed);
        self.budget().deposit();
        let deadline = Instant::now() + self.limits().first_byte;
        let mut number = 1;
        loop {
            self.counts.attempts.fetch_add(1, Relaxed);
            let error = match attempt(Attempt { number, deadline }).await {
                Ok(answer) => return Ok((answer, InFlightCall::start(guard, permit))),
                Err(error) => error,
            };
            let verdict = error.verdict();
            let Some(delay) = self.retry_delay(verdict, number, deadline) else {
                guard.complete(verdict);
                return Err(CallError::Failed(error));
            };
            self.count_failure(verdict.kind);
            sleep(delay).await;
            // Other calls may have opened the breaker in the meantime.
            if !self.breaker().is_closed() {
                return Err(CallError::Failed(error));
            }
            number += 1;
        }
    }

    fn acquire_permit(&self) -> Option<ConcurrencyPermit> {
        let permit = Arc::clone(&self.concurrency_permits).try_acquire_owned().ok();
        if permit.is_none() {
            self.counts.shed.fetch_add(1, Relaxed);
        }
        permit
    }

    /// Returns the delay before the next attempt; `None` if there is none.
    fn retry_delay(&self, verdict: Verdict, number: u32, deadline: Instant) -> Option<Duration> {
        let limits = self.limits();
        let requested = verdict.retry_after.unwrap_or_default();
        if !verdict.is_retryable || number >= limits.attempts || requested > limits.max_retry_after
        {
            return None;
        }
        let delay = max_backoff(limits, number).mul_f64(fastrand::f64()).max(requested);
        let is_in_time = Instant::now() + delay < deadline;
        // Withdrawn last: an attempt that is not made costs nothing.
        (is_in_time && self.breaker().is_closed() && self.budget().withdraw()).then_some(delay)
    }
}

/// Returns the upper bound of the delay after this attempt. The delay is random, so that many calls
/// that failed together are not repeated together.
fn max_backoff(limits: &Limits, attempt: u32) -> Duration {
    let doublings = attempt.saturating_sub(1).min(16);
    limits.base_delay.saturating_mul(1 << doublings).min(limits.max_delay)
}
