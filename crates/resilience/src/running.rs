//! An answer under way: its place, and what becomes known of the upstream when it ends.

use crate::{Classify, FailureKind, Upstream, breaker::Ticket};
use futures_util::Stream;
use std::{
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll, ready},
};
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

/// One of the places of an upstream.
pub(crate) type ConcurrencyPermit = OwnedSemaphorePermit;

/// An answer under way. Dropping it frees its place, and says nothing about the upstream.
#[derive(Debug)]
pub struct InFlightCall {
    guard: AttemptGuard,
    _place: ConcurrencyPermit,
}

/// One attempt. Dropped before it is settled, it was given up.
#[derive(Debug)]
pub(crate) struct AttemptGuard {
    upstream: Arc<Upstream>,
    ticket: Option<Ticket>,
}

impl InFlightCall {
    pub(crate) fn began(guard: AttemptGuard, place: ConcurrencyPermit) -> Self {
        if let Some(ticket) = guard.ticket {
            guard.upstream.breaker().began(ticket);
        }
        Self { guard, _place: place }
    }

    /// The answer has ended: well, or so.
    pub fn settle(self, failure: Option<FailureKind>) {
        self.guard.settle(failure);
    }

    /// The same stream, which holds the place and is settled when it ends.
    pub fn watch<S>(self, answer: S) -> TrackedStream<S> {
        TrackedStream { answer, running: Some(self) }
    }
}

impl AttemptGuard {
    pub fn new(upstream: Arc<Upstream>, ticket: Ticket) -> Self {
        Self { upstream, ticket: Some(ticket) }
    }

    /// It is known how the upstream fared.
    pub fn settle(mut self, failure: Option<FailureKind>) {
        let Some(ticket) = self.ticket.take() else { return };
        if let Some(kind) = failure {
            self.upstream.counts.failures[kind as usize].fetch_add(1, Relaxed);
        }
        match failure {
            None | Some(FailureKind::Throttled) => self.upstream.breaker().succeeded(ticket),
            Some(_) => self.upstream.breaker().failed(ticket, Instant::now()),
        }
    }
}

impl Drop for AttemptGuard {
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
            Some(Err(error)) => error.verdict().kind,
            None => None,
        };
        if let Some(running) = self.running.take() {
            running.settle(ended);
        }
        Poll::Ready(item)
    }
}
