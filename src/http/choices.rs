//! The choices of a request with `n` above 1: several answers, merged into one stream of chunks.

use futures_util::Stream;
use pipe_sdk::{Chunk, ChunkStream, Result, Usage};
use std::{
    pin::Pin,
    task::{Context, Poll},
};

/// The chunks of several answers, each with the index of its answer. Their usage is summed in one
/// chunk at the end.
pub struct Choices {
    /// `None` where an answer has ended.
    answers: Vec<Option<ChunkStream>>,
    /// The answer that is asked first, so that none has to wait for the others.
    next: usize,
    usage: Option<Usage>,
}

impl Choices {
    /// Merges the chunks of these answers.
    pub fn new(answers: Vec<ChunkStream>) -> Self {
        Self { answers: answers.into_iter().map(Some).collect(), next: 0, usage: None }
    }
}

/// Returns the sum of the usage of two answers.
pub fn sum(one: Option<Usage>, other: Option<Usage>) -> Option<Usage> {
    let (Some(mut one), Some(other)) = (one, other) else { return one.or(other) };
    one.add(&other);
    Some(one)
}

impl Stream for Choices {
    type Item = Result<(usize, Chunk)>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let all = this.answers.len();
        let mut is_pending = false;
        let mut asked = 0;
        while asked < all {
            let place = this.next % all;
            let Some(answer) = this.answers.get_mut(place).and_then(Option::as_mut) else {
                this.next += 1;
                asked += 1;
                continue;
            };
            match Pin::new(answer).poll_next(cx) {
                Poll::Ready(Some(Ok(Chunk::Usage(usage)))) if all > 1 => {
                    this.usage = sum(this.usage, Some(usage));
                }
                Poll::Ready(Some(Ok(chunk))) => {
                    this.next += 1;
                    return Poll::Ready(Some(Ok((place, chunk))));
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error))),
                Poll::Ready(None) => {
                    this.answers[place] = None;
                    this.next += 1;
                    asked += 1;
                }
                Poll::Pending => {
                    is_pending = true;
                    this.next += 1;
                    asked += 1;
                }
            }
        }
        if is_pending {
            return Poll::Pending;
        }
        Poll::Ready(this.usage.take().map(|usage| Ok((0, Chunk::Usage(usage)))))
    }
}
