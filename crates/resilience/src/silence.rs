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
    longest: Duration,
    heard: Instant,
    alarm: Pin<Box<Sleep>>,
}

/// The error of a stream that was silent for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdleElapsed;

/// A stream that ends in an error when it has been silent for too long.
#[derive(Debug)]
pub struct IdleTimeout<S> {
    stream: S,
    silence: IdleTimer,
}

impl IdleTimer {
    /// Starts a timer of this length.
    pub fn new(longest: Duration) -> Self {
        let heard = Instant::now();
        Self { longest, heard, alarm: Box::pin(sleep_until(heard + longest)) }
    }

    /// Restarts the timer, when an item has arrived.
    pub fn end(&mut self) {
        self.heard = Instant::now();
    }

    /// Is ready when the time has elapsed. The sleep is reset only when it fires, not with each
    /// item: that would cost more than reading the item.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<IdleElapsed> {
        loop {
            ready!(self.alarm.as_mut().poll(cx));
            let deadline = self.heard + self.longest;
            if Instant::now() >= deadline {
                return Poll::Ready(IdleElapsed);
            }
            self.alarm.as_mut().reset(deadline);
        }
    }
}

impl<S> IdleTimeout<S> {
    /// Wraps a stream, which may be silent for this time.
    pub fn new(stream: S, longest: Duration) -> Self {
        Self { stream, silence: IdleTimer::new(longest) }
    }
}

impl<T, E: From<IdleElapsed>, S: Stream<Item = Result<T, E>> + Unpin> Stream for IdleTimeout<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        match Pin::new(&mut self.stream).poll_next(cx) {
            Poll::Ready(item) => {
                self.silence.end();
                Poll::Ready(item)
            }
            Poll::Pending => self.silence.poll(cx).map(|silent| Some(Err(silent.into()))),
        }
    }
}
