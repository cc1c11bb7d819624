//! An answer under way: its place, and what becomes known of the upstream when it ends.

use crate::{Classify, FailureKind, Upstream, Verdict, breaker::Ticket};
use futures_util::Stream;
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

/// One of the places of an upstream.
pub(crate) type ConcurrencyPermit = OwnedSemaphorePermit;

/// An answer under way. Dropping it frees its place, and says nothing about the upstream.
#[derive(Debug)]
pub struct InFlightCall {
    guard: CallGuard,
    _place: ConcurrencyPermit,
}

/// One call. Dropped before it is settled, it was given up.
#[derive(Debug)]
pub(crate) struct CallGuard {
    upstream: Arc<Upstream>,
    ticket: Option<Ticket>,
}

impl InFlightCall {
    pub(crate) fn began(guard: CallGuard, place: ConcurrencyPermit) -> Self {
        if let Some(ticket) = guard.ticket {
            guard.upstream.breaker().began(ticket);
        }
        Self { guard, _place: place }
    }

    /// The answer has ended: well, or so.
    pub fn settle(self, failure: Option<FailureKind>) {
        self.guard.settle(failure.map_or_else(Verdict::fine, Verdict::failed));
    }

    /// The same stream, which holds the place and is settled when it ends.
    pub fn watch<S>(self, answer: S) -> TrackedStream<S> {
        TrackedStream { answer, running: Some(self) }
    }
}

impl CallGuard {
    pub fn new(upstream: Arc<Upstream>, ticket: Ticket) -> Self {
        Self { upstream, ticket: Some(ticket) }
    }

    /// It is known how the upstream fared.
    pub fn settle(mut self, verdict: Verdict) {
        let Some(ticket) = self.ticket.take() else { return };
        self.upstream.count_failure(verdict.kind);
        let now = Instant::now();
        match verdict.kind {
            None | Some(FailureKind::Throttled) => self.upstream.breaker().succeeded(ticket, now),
            Some(_) => self.upstream.breaker().failed(ticket, verdict, now),
        }
    }
}

impl Drop for CallGuard {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.upstream.breaker().abandoned(ticket, Instant::now());
        }
    }
}

/// A stream that is settled when it ends: well at its end, ill at its first error.
#[derive(Debug)]
pub struct TrackedStream<S> {
    answer: S,
    running: Option<InFlightCall>,
}

impl<T, E: Classify, S: Stream<Item = Result<T, E>> + Unpin> Stream for TrackedStream<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let item = ready!(Pin::new(&mut self.answer).poll_next(cx));
        let ended = match &item {
            Some(Ok(_)) => return Poll::Ready(item),
            Some(Err(error)) => error.verdict(),
            None => Verdict::fine(),
        };
        if let Some(running) = self.running.take() {
            running.guard.settle(ended);
        }
        Poll::Ready(item)
    }
}
