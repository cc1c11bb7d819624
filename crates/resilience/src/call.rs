//! Runs one call: attempts until one succeeds or further ones are useless.

use crate::{
    Classify, FailureKind, InFlightCall, Limits, Upstream, Verdict,
    breaker::{CircuitBreaker, Refused, Ticket},
    running::{CallGuard, ConcurrencyPermit},
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
    /// From 1.
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
    Resting {
        /// The time until the next call may be admitted.
        wait: Duration,
        /// The kind of the last failure.
        cause: FailureKind,
    },
    /// The concurrency limit is reached.
    Full,
    /// The last attempt has failed.
    Failed(E),
}

impl Attempt {
    /// Returns the output of the future, unless the deadline passes first.
    pub async fn in_time<T>(&self, begins: impl Future<Output = T>) -> Result<T, FirstByteElapsed> {
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
    pub async fn call_anyway<T, E: Classify, F: Future<Output = Result<T, E>>>(
        self: &Arc<Self>,
        caller: CallerId,
        attempt: impl FnMut(Attempt) -> F,
    ) -> Result<(T, InFlightCall), CallError<E>> {
        self.call_admitted(|breaker, now| breaker.admit_anyway(caller, now), attempt).await
    }

    async fn call_admitted<T, E: Classify, F: Future<Output = Result<T, E>>>(
        self: &Arc<Self>,
        admit: impl FnOnce(&mut CircuitBreaker, Instant) -> Result<Ticket, Refused>,
        mut attempt: impl FnMut(Attempt) -> F,
    ) -> Result<(T, InFlightCall), CallError<E>> {
        let place = self.place().ok_or(CallError::Full)?;
        let admitted = admit(&mut self.breaker(), Instant::now());
        let ticket = admitted.map_err(|Refused { wait, cause }| {
            self.counts.refused.fetch_add(1, Relaxed);
            CallError::Resting { wait, cause }
        })?;
        let guard = CallGuard::new(Arc::clone(self), ticket);
        self.counts.calls.fetch_add(1, Relaxed);
        self.budget().deposit();
        let deadline = Instant::now() + self.limits().first_byte;
        let mut number = 1;
        loop {
            self.counts.attempts.fetch_add(1, Relaxed);
            let error = match attempt(Attempt { number, deadline }).await {
                Ok(answer) => return Ok((answer, InFlightCall::began(guard, place))),
                Err(error) => error,
            };
            let verdict = error.verdict();
            let Some(pause) = self.pause(verdict, number, deadline) else {
                guard.settle(verdict);
                return Err(CallError::Failed(error));
            };
            self.count_failure(verdict.kind);
            sleep(pause).await;
            // Other calls may have opened the breaker in the meantime.
            if !self.breaker().is_closed() {
                return Err(CallError::Failed(error));
            }
            number += 1;
        }
    }

    fn place(&self) -> Option<ConcurrencyPermit> {
        let place = Arc::clone(&self.room).try_acquire_owned().ok();
        if place.is_none() {
            self.counts.shed.fetch_add(1, Relaxed);
        }
        place
    }

    /// Returns the delay before the next attempt; `None` if there is none.
    fn pause(&self, verdict: Verdict, number: u32, deadline: Instant) -> Option<Duration> {
        let limits = self.limits();
        let wish = verdict.retry_after.unwrap_or_default();
        if !verdict.again || number >= limits.attempts || wish > limits.longest_wish {
            return None;
        }
        let pause = longest_pause(limits, number).mul_f64(fastrand::f64()).max(wish);
        let is_in_time = Instant::now() + pause < deadline;
        // Withdrawn last: an attempt that is not made costs nothing.
        (is_in_time && self.breaker().is_closed() && self.budget().withdraw()).then_some(pause)
    }
}

/// Returns the upper bound of the delay after this attempt. The delay is random, so that many calls
/// that failed together are not repeated together.
fn longest_pause(limits: &Limits, attempt: u32) -> Duration {
    let doublings = attempt.saturating_sub(1).min(16);
    limits.first_pause.saturating_mul(1 << doublings).min(limits.longest_pause)
}
