//! The body of a streamed response: server-sent events in the format of one API.
//!
//! Frames that are ready together leave in one write. While the upstream is silent, a keep-alive
//! frame is sent every 15 seconds, so that proxies keep the connection and a client that
//! disconnected is noticed. The body never yields an error: actix would drop what it has not sent
//! yet, so a late error is a frame.

use super::{
    answer::{self, ResponseHead},
    choices::Choices,
    error::HttpError,
    request_log::RequestLog,
};
use crate::drain::Drain;
use actix_web::{
    HttpResponse,
    body::{BodySize, MessageBody},
    http::header::{self, HeaderValue},
    web::{Bytes, BytesMut},
};
use futures_util::{Stream, future::BoxFuture};
use pipe_sdk::Chunk;
use std::{
    convert::Infallible,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep_until};

/// The longest time without output.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// The largest size of one write, in bytes.
const MAX_WRITE_BYTES: usize = 4 << 10;

/// Writes the frames of one answer in the shape of one API.
pub trait FrameWriter: Unpin + 'static {
    /// Returns the buffer of written frames.
    fn buffer(&mut self) -> &mut BytesMut;

    /// Writes a chunk.
    fn chunk(&mut self, chunk: &Chunk);

    /// Writes a chunk of the answer with this index, if there are several.
    fn chunk_of(&mut self, choice: usize, chunk: &Chunk) {
        let _ = choice;
        self.chunk(chunk);
    }

    /// Returns whether the finish reason has been written.
    fn has_finished(&self) -> bool;

    /// Writes a keep-alive frame.
    fn write_keepalive(&mut self);

    /// Writes the end of the stream.
    fn done(&mut self);

    /// Writes an error as the last frame.
    fn error(&mut self, error: &HttpError);

    /// Takes the written frames out of the buffer.
    fn take(&mut self) -> Bytes {
        self.buffer().split().freeze()
    }
}

/// Returns a streamed response.
pub fn stream_response(
    head: &ResponseHead,
    writer: impl FrameWriter,
    chunks: Choices,
    drain: &Drain,
    request_log: Arc<RequestLog>,
) -> HttpResponse {
    let mut response = head.response();
    response.insert_header((
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream; charset=utf-8"),
    ));
    response.insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-cache")));
    // nginx would hold the frames back.
    response.insert_header(("x-accel-buffering", HeaderValue::from_static("no")));
    let drain = drain.clone();
    response.body(SseBody {
        chunks: Some(chunks),
        writer,
        abort: Box::pin(async move { drain.wait_for_abort().await }),
        keepalive: Box::pin(sleep_until(Instant::now() + KEEPALIVE_INTERVAL)),
        last_write: Instant::now(),
        request_log,
    })
}

/// The body of a streamed response. Dropping it cancels the upstream's response.
struct SseBody<W> {
    /// `None` when the answer has ended.
    chunks: Option<Choices>,
    writer: W,
    abort: BoxFuture<'static, ()>,
    keepalive: Pin<Box<Sleep>>,
    last_write: Instant,
    request_log: Arc<RequestLog>,
}

impl<W: FrameWriter> MessageBody for SseBody<W> {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        let frames = &mut *self;
        if frames.chunks.is_none() {
            return Poll::Ready(None);
        }
        frames.poll_chunks(cx);
        if frames.chunks.is_some() && frames.abort.as_mut().poll(cx).is_ready() {
            frames.end_with(&answer::stopped_error(), "stopped");
        }
        if frames.writer.buffer().is_empty() && frames.is_silent(cx) {
            frames.writer.write_keepalive();
        }
        if frames.writer.buffer().is_empty() {
            return Poll::Pending;
        }
        frames.last_write = Instant::now();
        Poll::Ready(Some(Ok(frames.writer.take())))
    }
}

impl<W: FrameWriter> SseBody<W> {
    /// Writes every chunk that is ready now.
    fn poll_chunks(&mut self, cx: &mut Context<'_>) {
        while let Some(chunks) =
            self.chunks.as_mut().filter(|_| self.writer.buffer().len() < MAX_WRITE_BYTES)
        {
            let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(chunks).poll_next(cx)));
            match polled {
                Ok(Poll::Pending) => return,
                Ok(Poll::Ready(Some(Ok((choice, chunk))))) => self.write(choice, &chunk),
                Ok(Poll::Ready(Some(Err(error)))) => {
                    let kind = error.kind();
                    self.end_with(&error.into(), kind);
                }
                Ok(Poll::Ready(None)) if self.writer.has_finished() => {
                    self.writer.done();
                    self.chunks = None;
                }
                Ok(Poll::Ready(None)) => {
                    let error = answer::ended_early();
                    let kind = error.kind();
                    self.end_with(&error.into(), kind);
                }
                Err(_) => self.end_with(&HttpError::panicked(), "panic"),
            }
        }
    }

    /// Writes a chunk of this choice as events.
    fn write(&mut self, choice: usize, chunk: &Chunk) {
        if let Chunk::Usage(usage) = chunk {
            self.request_log.outcome().usage = Some(*usage);
        }
        self.writer.chunk_of(choice, chunk);
    }

    fn end_with(&mut self, error: &HttpError, kind: &'static str) {
        self.writer.error(error);
        self.request_log.fail(kind, error);
        self.chunks = None;
    }

    /// Returns whether nothing was written for too long. The timer is reset only when it fires:
    /// resetting it at every chunk costs more.
    fn is_silent(&mut self, cx: &mut Context<'_>) -> bool {
        while self.keepalive.as_mut().poll(cx).is_ready() {
            let due = self.last_write + KEEPALIVE_INTERVAL;
            let now = Instant::now();
            self.keepalive.as_mut().reset(if due > now { due } else { now + KEEPALIVE_INTERVAL });
            if due <= now {
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::{super::openai_writer::OpenAiSseWriter, *};
    use actix_web::{body::BoxBody, test::TestRequest};
    use futures_util::{StreamExt, stream};
    use pipe_sdk::{ChunkStream, FinishReason};
    use std::future::poll_fn;

    fn body(chunks: ChunkStream, drain: &Drain) -> BoxBody {
        let mut head = ResponseHead::new("", "a.\"b\"");
        (head.id, head.created) = ("chatcmpl-1".into(), 7);
        let request_log = Arc::new(RequestLog::new(&TestRequest::default().to_srv_request()));
        let chunks = Choices::new(vec![chunks]);
        stream_response(&head, OpenAiSseWriter::new(&head, false), chunks, drain, request_log)
            .into_body()
    }

    async fn next(body: &mut BoxBody) -> Option<String> {
        let bytes = poll_fn(|cx| Pin::new(&mut *body).poll_next(cx)).await?.unwrap();
        Some(String::from_utf8(bytes.to_vec()).unwrap())
    }

    fn text(text: &str) -> Chunk {
        Chunk::Content(text.into())
    }

    #[tokio::test]
    async fn frames_that_are_ready_together_leave_in_one_write() {
        let chunks =
            ChunkStream::from_chunks([text("a"), text("b\n"), Chunk::Finish(FinishReason::Stop)]);
        let mut body = body(chunks, &Drain::default());
        let head = r#"{"id":"chatcmpl-1","object":"chat.completion.chunk","created":7,"model":"a.\"b\"","choices":[{"index":0,"delta":"#;
        let frame = |delta: &str, finish: &str| {
            format!("data: {head}{delta},\"logprobs\":null,\"finish_reason\":{finish}}}]}}\n\n")
        };
        let frames = [
            frame(r#"{"role":"assistant","content":""}"#, "null"),
            frame(r#"{"content":"a"}"#, "null"),
            frame(r#"{"content":"b\n"}"#, "null"),
            frame("{}", "\"stop\""),
            "data: [DONE]\n\n".into(),
        ];
        assert_eq!(next(&mut body).await, Some(frames.concat()));
        assert_eq!(next(&mut body).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_wire_carries_a_comment_every_quarter_of_a_minute() {
        let begun = Instant::now();
        let chunks = stream::iter([Ok(text("a"))]).chain(stream::pending());
        let mut body = body(ChunkStream::new(chunks), &Drain::default());
        assert!(next(&mut body).await.unwrap().contains("\"a\""));
        for beat in 1..4 {
            assert_eq!(next(&mut body).await.unwrap(), ": \n\n");
            assert_eq!(begun.elapsed().as_secs(), beat * KEEPALIVE_INTERVAL.as_secs());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_cut_ends_with_a_word() {
        let drain = Drain::default();
        let chunks = stream::iter([Ok(text("a"))]).chain(stream::pending());
        let mut body = body(ChunkStream::new(chunks), &drain);
        assert!(next(&mut body).await.unwrap().contains("\"a\""));
        drain.advance(crate::drain::DrainStage::Aborting);
        let last = next(&mut body).await.unwrap();
        assert!(
            last.contains("The host was stopped") && last.ends_with("data: [DONE]\n\n"),
            "{last}"
        );
        assert_eq!(next(&mut body).await, None);
    }
}
