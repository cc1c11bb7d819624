//! One answer on its way from Bedrock: bytes become frames, frames events, events chunks.

mod events;

use crate::error::{Complaint, of_complaint};
use bedrock_runtime::{Body, Frame, Frames, Kind};
pub use events::Events;
use events::Unread;
use futures_util::{Stream, StreamExt};
use pipe_sdk::{Chunk, PipeError, Result};
use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep_until};

/// An answer's chunks. It reads the connection itself, and dropping it closes the connection.
pub struct Answer {
    bytes: Body,
    frames: Frames,
    events: Events,
    source: Source,
    /// Read while the answer was waited for, and not yet handed on.
    first: Option<Chunk>,
    /// `None` until the answer has begun.
    silence: Option<Silence>,
    over: bool,
}

/// Who answers, for the words of errors.
pub struct Source {
    /// The model's id.
    pub model: String,
    /// Where it is.
    pub region: Arc<str>,
}

/// How long nothing has come.
struct Silence {
    longest: Duration,
    heard: Instant,
    alarm: Pin<Box<Sleep>>,
}

impl Answer {
    /// The answer in this body.
    pub fn new(bytes: Body, events: Events, source: Source) -> Self {
        let frames = Frames::default();
        Self { bytes, frames, events, source, first: None, silence: None, over: false }
    }

    /// Waits until it has begun, however long that takes. From then on it may be silent for so long at a time.
    ///
    /// What fails before the first chunk is the error of the whole answer.
    pub async fn begun(mut self, longest_silence: Duration) -> Result<Self> {
        self.first = self.next().await.transpose()?;
        self.silence = Some(Silence::new(longest_silence));
        Ok(self)
    }

    /// The next chunk out of the bytes that are there already.
    fn waiting(&mut self) -> Result<Option<Chunk>> {
        while let Some(frame) =
            self.frames.next().map_err(|broken| garbled(&self.source, broken))?
        {
            match self.events.tell(&frame) {
                Ok(None) => {}
                Ok(chunk) => return Ok(chunk),
                Err(unread) => return Err(self.source.error(unread)),
            }
        }
        Ok(None)
    }

    /// Waits for more bytes; `false` when there are no more.
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool>> {
        match Pin::new(&mut self.bytes).poll_next(cx) {
            Poll::Ready(Some(Ok(bytes))) => {
                self.silence.iter_mut().for_each(Silence::end);
                self.frames.push(&bytes);
                Poll::Ready(Ok(true))
            }
            // Once the message has ended, a broken connection costs no more than the usage.
            Poll::Ready(Some(Err(_))) if !self.events.stopped() => {
                Poll::Ready(Err(self.source.cut()))
            }
            Poll::Ready(Some(Err(_)) | None) => Poll::Ready(self.ended().map(|()| false)),
            Poll::Pending => match &mut self.silence {
                Some(silence) => silence.poll(cx).map(|()| Err(self.source.silent())),
                None => Poll::Pending,
            },
        }
    }

    /// A stream that ends is whole only if the model said so; to HTTP a cut one looks the same.
    fn ended(&self) -> Result<()> {
        if self.events.stopped() { Ok(()) } else { Err(self.source.cut()) }
    }
}

impl Stream for Answer {
    type Item = Result<Chunk>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        let answer = self.get_mut();
        if let Some(chunk) = answer.first.take() {
            return Poll::Ready(Some(Ok(chunk)));
        }
        while !answer.over {
            let item = match answer.waiting() {
                Ok(None) => ready!(answer.poll_bytes(cx)),
                Ok(Some(chunk)) => return Poll::Ready(Some(Ok(chunk))),
                Err(error) => Err(error),
            };
            answer.over = !matches!(item, Ok(true));
            if let Err(error) = item {
                return Poll::Ready(Some(Err(error)));
            }
        }
        Poll::Ready(None)
    }
}

impl Silence {
    fn new(longest: Duration) -> Self {
        let heard = Instant::now();
        Self { longest, heard, alarm: Box::pin(sleep_until(heard + longest)) }
    }

    fn end(&mut self) {
        self.heard = Instant::now();
    }

    /// Ready when the silence is too long. The alarm is set anew only when it rings, not with each token: that would cost more than
    /// reading it.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.alarm.as_mut().poll(cx));
            let deadline = self.heard + self.longest;
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            self.alarm.as_mut().reset(deadline);
        }
    }
}

impl Source {
    fn error(&self, unread: Unread) -> PipeError {
        match unread {
            Unread::Complaint(complaint) => self.complaint(&complaint),
            Unread::Payload(event) => garbled(self, format_args!("an unreadable `{event}`")),
        }
    }

    fn complaint(&self, complaint: &Complaint) -> PipeError {
        of_complaint(complaint, &self.model, &self.region)
    }

    fn cut(&self) -> PipeError {
        PipeError::Upstream(format!(
            "the answer of `{}` from Amazon Bedrock in {} ended early: the connection was cut",
            self.model, self.region
        ))
    }

    fn silent(&self) -> PipeError {
        PipeError::Timeout(format!(
            "`{}` in {} has fallen silent in the middle of its answer",
            self.model, self.region
        ))
    }
}

fn garbled(source: &Source, what: impl std::fmt::Display) -> PipeError {
    let Source { model, region } = source;
    PipeError::Upstream(format!(
        "the answer of `{model}` from Amazon Bedrock in {region} cannot be read: {what}"
    ))
}
