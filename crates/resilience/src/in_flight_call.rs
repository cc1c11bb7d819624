//! An answer in flight: its concurrency permit, and its outcome for the circuit breaker.

use crate::{Classify, FailureKind, Upstream, Verdict, breaker::CallTicket};
use futures_util::Stream;
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

/// One permit of an upstream's concurrency limit.
pub(crate) type ConcurrencyPermit = OwnedSemaphorePermit;

/// An answer in flight. Dropping it frees its permit, and counts neither as success nor as failure.
#[derive(Debug)]
pub struct InFlightCall {
    guard: CallGuard,
    _permit: ConcurrencyPermit,
}

/// One call. If it is dropped before it is complete, it was cancelled.
#[derive(Debug)]
pub(crate) struct CallGuard {
    upstream: Arc<Upstream>,
    ticket: Option<CallTicket>,
}

impl InFlightCall {
    /// Records that an admitted call begins.
    pub(crate) fn start(guard: CallGuard, permit: ConcurrencyPermit) -> Self {
        if let Some(ticket) = guard.ticket {
            guard.upstream.breaker().record_start(ticket);
        }
        Self { guard, _permit: permit }
    }

    /// Records the end of the answer: a success, or this failure.
    pub fn complete(self, failure: Option<FailureKind>) {
        self.guard.complete(failure.map_or_else(Verdict::success, Verdict::failure));
    }

    /// Wraps the answer's stream, which holds the permit and is complete at its end.
    pub fn track<S>(self, answer: S) -> TrackedStream<S> {
        TrackedStream { answer, call: Some(self) }
    }
}

impl CallGuard {
    pub fn new(upstream: Arc<Upstream>, ticket: CallTicket) -> Self {
        Self { upstream, ticket: Some(ticket) }
    }

    /// Records the outcome of the call.
    pub fn complete(mut self, verdict: Verdict) {
        let Some(ticket) = self.ticket.take() else { return };
        self.upstream.count_failure(verdict.kind);
        let now = Instant::now();
        match verdict.kind {
            None | Some(FailureKind::Throttled) => {
                self.upstream.breaker().record_success(ticket, now);
            }
            Some(_) => self.upstream.breaker().record_failure(ticket, verdict, now),
        }
    }
}

impl Drop for CallGuard {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.upstream.breaker().record_cancellation(ticket, Instant::now());
        }
    }
}

/// A stream that records its outcome: a success at its end, a failure at its first error.
#[derive(Debug)]
pub struct TrackedStream<S> {
    answer: S,
    call: Option<InFlightCall>,
}

impl<T, E: Classify, S: Stream<Item = Result<T, E>> + Unpin> Stream for TrackedStream<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let item = ready!(Pin::new(&mut self.answer).poll_next(cx));
        let ended = match &item {
            Some(Ok(_)) => return Poll::Ready(item),
            Some(Err(error)) => error.verdict(),
            None => Verdict::success(),
        };
        if let Some(call) = self.call.take() {
            call.guard.complete(ended);
        }
        Poll::Ready(item)
    }
}
