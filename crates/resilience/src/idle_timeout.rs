//! Times out streams that are silent for too long.

use futures_util::Stream;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep_until};

/// A timer that elapses when a stream has been silent for too long.
#[derive(Debug)]
pub struct IdleTimer {
    limit: Duration,
    last_activity: Instant,
    sleep: Pin<Box<Sleep>>,
}

/// The error of a stream that was silent for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdleElapsed;

/// A stream that ends in an error when it has been silent for too long.
#[derive(Debug)]
pub struct IdleTimeout<S> {
    stream: S,
    timer: IdleTimer,
}

impl IdleTimer {
    /// Starts a timer of this length.
    pub fn new(limit: Duration) -> Self {
        let last_activity = Instant::now();
        Self { limit, last_activity, sleep: Box::pin(sleep_until(last_activity + limit)) }
    }

    /// Restarts the timer, when an item has arrived.
    pub fn reset(&mut self) {
        self.last_activity = Instant::now();
    }

    /// Polls the timer, which is ready when the time has elapsed. The sleep is reset only when it
    /// fires, not with each item: that would cost more than reading the item.
    pub fn poll_elapsed(&mut self, cx: &mut Context<'_>) -> Poll<IdleElapsed> {
        loop {
            ready!(self.sleep.as_mut().poll(cx));
            let deadline = self.last_activity + self.limit;
            if Instant::now() >= deadline {
                return Poll::Ready(IdleElapsed);
            }
            self.sleep.as_mut().reset(deadline);
        }
    }
}

impl<S> IdleTimeout<S> {
    /// Wraps a stream, which may be silent for this time.
    pub fn new(stream: S, limit: Duration) -> Self {
        Self { stream, timer: IdleTimer::new(limit) }
    }
}

impl<T, E: From<IdleElapsed>, S: Stream<Item = Result<T, E>> + Unpin> Stream for IdleTimeout<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        match Pin::new(&mut self.stream).poll_next(cx) {
            Poll::Ready(item) => {
                self.timer.reset();
                Poll::Ready(item)
            }
            Poll::Pending => self.timer.poll_elapsed(cx).map(|elapsed| Some(Err(elapsed.into()))),
        }
    }
}
