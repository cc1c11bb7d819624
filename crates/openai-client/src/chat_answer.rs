//! The answer to a chat: a stream of chunks, or all chunks at once.

use crate::{
    OpenAiError,
    answer_decoder::AnswerDecoder,
    request::SerializedChat,
    response_body::ResponseBody,
    sse::{SseDecoder, decode_utf8},
};
use bytes::Bytes;
use futures_util::{FutureExt, Stream, StreamExt, TryStreamExt, stream};
use http::header::CONTENT_TYPE;
use pipe_sdk::{Chunk, ChunkStream};
use resilience::{InFlightCall, TrackedStream};
use std::{
    future::poll_fn,
    iter,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::timeout;
use tool_schema::{SentTools, restore_calls};

/// The answer to a chat. Dropping it cancels the chat.
#[derive(Debug)]
pub struct ChatAnswer {
    chunks: AnswerChunks,
    /// The form in which the tools were sent.
    tools: SentTools,
    /// The tools that were not sent.
    left_out: Vec<String>,
    /// The stop sequences that were not sent.
    stop_sequences: Vec<String>,
}

/// The chunks of an answer.
#[derive(Debug)]
enum AnswerChunks {
    /// A streamed answer, whose first chunks are there.
    Stream(Box<TrackedStream<AnswerStream>>),
    /// An answer that came in one piece.
    Whole(Vec<Chunk>),
}

/// The chunks of a streamed answer. Dropping it closes the connection.
#[derive(Debug)]
pub struct AnswerStream {
    /// `None` when no more is to be read.
    body: Option<ResponseBody>,
    events: SseDecoder,
    decoder: AnswerDecoder,
    /// The number of bytes read so far.
    size: usize,
    secrets: Arc<[String]>,
}

/// An answer that has started, before it is tracked.
#[derive(Debug)]
pub(crate) enum StartedAnswer {
    Stream(Box<AnswerStream>),
    Whole(Vec<Chunk>),
}

/// The format of a response body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// Server-sent events.
    Sse,
    /// One JSON object.
    Json,
    /// A web page.
    Html,
}

/// The name under which an answer says which tools were not sent: those that
/// the server does not have, and those that are too many for it.
const LEFT_OUT_TOOLS_FACT: &str = "x_left_out_tools";

/// The most bytes of an answer in one piece.
const MAX_JSON_BYTES: usize = 32 << 20;

/// The most bytes of a streamed answer: more than any model writes in a day.
const MAX_STREAM_BYTES: usize = 256 << 20;

/// The time that a stream has for a second chunk before its start is reported: an error until then
/// is the error of the whole chat, so that another model may answer.
const FIRST_TOKEN_GRACE: Duration = Duration::from_millis(500);

impl ChatAnswer {
    pub(crate) fn new(answer: StartedAnswer, call: InFlightCall, chat: SerializedChat) -> Self {
        let chunks = match answer {
            StartedAnswer::Stream(stream) => AnswerChunks::Stream(Box::new(call.track(*stream))),
            StartedAnswer::Whole(chunks) => {
                call.complete(None);
                AnswerChunks::Whole(chunks)
            }
        };
        let SerializedChat { tools, left_out, unsent_stop_sequences, .. } = chat;
        Self { chunks, tools, left_out, stop_sequences: unsent_stop_sequences }
    }

    /// Returns the answer as the chunks of the model with this id, which comes first. Errors name
    /// the model by `name`.
    pub fn into_chunks(self, id: String, name: String) -> ChunkStream {
        let first = Chunk::Model(id);
        let left_out = (!self.left_out.is_empty())
            .then(|| Chunk::Fact(LEFT_OUT_TOOLS_FACT, self.left_out.into()));
        let chunks = match self.chunks {
            AnswerChunks::Whole(chunks) => {
                ChunkStream::from_chunks(iter::once(first).chain(chunks).chain(left_out))
            }
            AnswerChunks::Stream(answer) => {
                let chunks = answer.map_err(move |error| error.into_pipe_error(&name));
                let chunks = stream::iter([Ok(first)]).chain(chunks);
                ChunkStream::new(chunks.chain(stream::iter(left_out.map(Ok))))
            }
        };
        restore_calls(chunks.with_stop_sequences(self.stop_sequences), self.tools)
    }
}

impl StartedAnswer {
    /// Reads a response until the answer has started, or to its end if it comes in one piece.
    ///
    /// The content type decides, not what was asked for: some servers stream always, others never.
    /// `secrets` are removed from the errors of the server; `stop_sequences` are those of the chat.
    pub async fn read(
        response: reqwest::Response,
        idle_timeout: Duration,
        secrets: Arc<[String]>,
        stop_sequences: &[String],
    ) -> Result<Self, OpenAiError> {
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let format = Format::from_content_type(content_type.unwrap_or_default());
        let mut body = ResponseBody::new(response.into(), idle_timeout);
        let decoder = AnswerDecoder::with_stop_sequences(stop_sequences);
        let (format, first) = match format {
            Some(format) => (format, Bytes::new()),
            None => detect_format(&mut body).await?,
        };
        match format {
            Format::Html => Err(OpenAiError::HtmlPage),
            Format::Json => {
                let json = body.read_to_end(first, MAX_JSON_BYTES).await?;
                let chunks = decoder.decode_whole(&decode_utf8(&json));
                chunks.map(Self::Whole).map_err(|error| error.redact(&secrets))
            }
            Format::Sse => {
                let mut stream = AnswerStream::new(body, decoder, secrets);
                stream.events.push(&first);
                stream.start().await?;
                Ok(Self::Stream(Box::new(stream)))
            }
        }
    }
}

impl AnswerStream {
    fn new(body: ResponseBody, decoder: AnswerDecoder, secrets: Arc<[String]>) -> Self {
        Self { body: Some(body), events: SseDecoder::default(), decoder, size: 0, secrets }
    }

    /// Waits for the first chunks of the answer, or its error.
    async fn start(&mut self) -> Result<(), OpenAiError> {
        poll_fn(|cx| self.poll_chunks(0, cx)).await?;
        if self.decoder.len() == 1 && !self.decoder.has_ended() {
            // Mostly the first chunk only says that the model has begun.
            let second = timeout(FIRST_TOKEN_GRACE, poll_fn(|cx| self.poll_chunks(1, cx))).await;
            _ = second.unwrap_or(Ok(true))?;
        }
        Ok(())
    }

    /// Waits for more than `count` chunks; `false` if there will be no more.
    fn poll_chunks(
        &mut self,
        count: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<bool, OpenAiError>> {
        let polled = ready!(self.poll_decoder(count, cx));
        Poll::Ready(polled.map_err(|error| error.redact(&self.secrets)))
    }

    /// Polls the answer until more than `count` chunks are decoded. Ready with `false` when no more
    /// will come.
    fn poll_decoder(
        &mut self,
        count: usize,
        cx: &mut Context<'_>,
    ) -> Poll<Result<bool, OpenAiError>> {
        while self.decoder.len() <= count {
            if self.decoder.has_ended() {
                self.release_connection();
                return Poll::Ready(Ok(false));
            }
            let too_long = |_| OpenAiError::InvalidResponse("a line of it is too long");
            if let Some(event) = self.events.next().map_err(too_long)? {
                self.decoder.decode_event(&event)?;
            } else if !ready!(self.poll_bytes(cx))? {
                self.finish()?;
            }
        }
        Poll::Ready(Ok(true))
    }

    /// Waits for more bytes; `false` if there will be no more.
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, OpenAiError>> {
        let Some(body) = &mut self.body else { return Poll::Ready(Ok(false)) };
        match ready!(body.poll_next_unpin(cx)) {
            Some(Ok(bytes)) => {
                self.size += bytes.len();
                if self.size > MAX_STREAM_BYTES {
                    return Poll::Ready(Err(OpenAiError::InvalidResponse("it is too long")));
                }
                self.events.push(&bytes);
                Poll::Ready(Ok(true))
            }
            // After the finish reason a broken connection costs no more than the usage.
            Some(Err(error)) if !self.decoder.has_finish_reason() => Poll::Ready(Err(error)),
            Some(Err(_)) | None => Poll::Ready(Ok(false)),
        }
    }

    /// Ends the answer where the bytes end.
    fn finish(&mut self) -> Result<(), OpenAiError> {
        // An incomplete event is ignored; the finish reason says whether the answer is complete.
        if let Ok(Some(event)) = self.events.last()
            && !self.decoder.has_finish_reason()
        {
            match self.decoder.decode_event(&event) {
                Err(OpenAiError::InvalidResponse(_)) => return Err(OpenAiError::Incomplete),
                decoded => decoded?,
            }
        }
        if self.decoder.has_ended() { Ok(()) } else { self.decoder.finish() }
    }

    /// Gives the connection back to the pool. One that was read to its end can be used again.
    fn release_connection(&mut self) {
        if let Some(mut body) = self.body.take() {
            while let Some(Some(Ok(_))) = body.next().now_or_never() {}
        }
    }
}

impl Stream for AnswerStream {
    type Item = Result<Chunk, OpenAiError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let answer = self.get_mut();
        let polled = ready!(answer.poll_chunks(0, cx));
        if polled.is_err() {
            // Nothing follows an error.
            answer.body = None;
        }
        Poll::Ready(polled.map(|_| answer.decoder.pop()).transpose())
    }
}

impl Format {
    /// Returns the format that a content type names; `None` if the body has to be looked at.
    fn from_content_type(content_type: &str) -> Option<Self> {
        let name = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match name.as_str() {
            "text/event-stream" => Some(Self::Sse),
            "text/html" | "application/xhtml+xml" => Some(Self::Html),
            _ => None,
        }
    }

    fn from_first_byte(byte: u8) -> Self {
        match byte {
            b'{' | b'[' => Self::Json,
            b'<' => Self::Html,
            _ => Self::Sse,
        }
    }
}

/// Returns the format of a body by its first byte, and the bytes that were read for that.
async fn detect_format(body: &mut ResponseBody) -> Result<(Format, Bytes), OpenAiError> {
    while let Some(bytes) = body.next().await.transpose()? {
        if let Some(byte) = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
            return Ok((Format::from_first_byte(*byte), bytes));
        }
    }
    Err(OpenAiError::Incomplete)
}
