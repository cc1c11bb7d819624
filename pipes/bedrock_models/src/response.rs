//! The response of Bedrock: bytes become frames, frames events, and events chunks.

mod chunk_buffer;
mod converse_response;
mod event_handler;
mod text_tool_calls;
mod wire;

pub use bedrock_runtime::EventStreamDecoder;
pub use converse_response::read_converse_response;
pub use event_handler::EventHandler;

use crate::error::BedrockError;
use bedrock_runtime::Body;
use futures_util::Stream;
use pipe_sdk::Chunk;
use resilience::IdleTimer;
use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::timeout;

/// The chunks of a response of `ConverseStream`. It reads the connection itself, and dropping it
/// closes the connection.
pub struct ResponseStream {
    /// `None` when the response has ended.
    body: Option<Body>,
    decoder: EventStreamDecoder,
    handler: EventHandler,
    /// `None` until the answer has begun.
    idle_timer: Option<IdleTimer>,
}

/// The time to wait for the second chunk. A model that fails within this time after the first
/// chunk, which mostly marks only the start of the message, counts as failed, so that another one
/// can answer.
const FIRST_TOKEN_GRACE: Duration = Duration::from_millis(500);

impl ResponseStream {
    /// Creates the stream of the events in this body.
    pub fn new(body: Body, handler: EventHandler) -> Self {
        let decoder = EventStreamDecoder::default();
        Self { body: Some(body), decoder, handler, idle_timer: None }
    }

    /// Waits until the answer has begun. From then on it may be silent for `idle_timeout` at a
    /// time.
    ///
    /// An error before the first chunk is the error of the whole answer.
    pub async fn wait_until_started(
        mut self,
        idle_timeout: Duration,
    ) -> Result<Self, BedrockError> {
        poll_fn(|cx| self.poll_buffered(0, cx)).await?;
        if self.handler.buffered_len() == 1 && self.body.is_some() {
            let second = timeout(FIRST_TOKEN_GRACE, poll_fn(|cx| self.poll_buffered(1, cx))).await;
            _ = second.unwrap_or(Ok(true))?;
        }
        self.idle_timer = Some(IdleTimer::new(idle_timeout));
        Ok(self)
    }

    /// Polls the response: ready with `true` when more than `count` chunks are buffered, or with
    /// `false` when no more will come.
    fn poll_buffered(
        &mut self,
        count: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<bool, BedrockError>> {
        while self.handler.buffered_len() <= count {
            let frame = self.decoder.next_frame();
            if let Some(frame) = frame.map_err(|error| BedrockError::Protocol(error.to_string()))? {
                self.handler.handle_frame(&frame)?;
            } else if !ready!(self.poll_bytes(cx))? {
                return Poll::Ready(Ok(false));
            }
        }
        Poll::Ready(Ok(true))
    }

    /// Waits for more bytes. Ready with `false` when no more will come.
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, BedrockError>> {
        let Some(body) = &mut self.body else { return Poll::Ready(Ok(false)) };
        match Pin::new(body).poll_next(cx) {
            Poll::Ready(Some(Ok(bytes))) => {
                self.idle_timer.iter_mut().for_each(IdleTimer::reset);
                self.decoder.push(&bytes);
                Poll::Ready(Ok(true))
            }
            // The answer is complete after `messageStop` only: a truncated body may look to HTTP
            // like one that has ended. If the connection breaks after `messageStop`, only the usage
            // is lost.
            Poll::Ready(Some(Err(_)) | None) => {
                self.body = None;
                let is_complete = self.handler.is_stopped();
                Poll::Ready(if is_complete {
                    Ok(false)
                } else {
                    Err(BedrockError::ConnectionClosed)
                })
            }
            Poll::Pending => match &mut self.idle_timer {
                Some(idle_timer) => {
                    let elapsed = ready!(idle_timer.poll_elapsed(cx));
                    let is_complete = self.handler.is_stopped();
                    // The same holds for a connection that stays open and silent.
                    self.body = self.body.take().filter(|_| !is_complete);
                    Poll::Ready(if is_complete { Ok(false) } else { Err(elapsed.into()) })
                }
                None => Poll::Pending,
            },
        }
    }
}

impl Stream for ResponseStream {
    type Item = Result<Chunk, BedrockError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let stream = self.get_mut();
        match ready!(stream.poll_buffered(0, cx)) {
            Ok(_) => Poll::Ready(stream.handler.next_chunk().map(Ok)),
            Err(error) => {
                // No chunk comes after an error.
                (stream.body, stream.decoder) = (None, EventStreamDecoder::default());
                Poll::Ready(Some(Err(error)))
            }
        }
    }
}
