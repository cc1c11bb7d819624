//! One answer on its way from Bedrock: bytes become frames, frames events, events chunks.

mod events;
mod shown;
mod whole;
mod wire;

use crate::error::{of_chat, of_complaint};
pub use bedrock_runtime::Frames;
use bedrock_runtime::{Body, Complaint, Failure, Frame, Kind};
pub use events::Events;
use events::Unread;
use futures_util::Stream;
use pipe_sdk::{Chunk, PipeError, Result};
use std::{
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep_until, timeout};

/// An answer's chunks. It reads the connection itself, and dropping it closes the connection.
pub struct Answer {
    /// `None` for an answer that is there already.
    bytes: Option<Body>,
    frames: Frames,
    events: Events,
    source: Source,
    /// `None` until the answer has begun.
    silence: Option<Silence>,
}

/// Who answers, for the words of errors.
#[derive(Clone, Debug)]
pub struct Source {
    /// The model's id.
    pub model: String,
    /// Where it is.
    pub region: Arc<str>,
}

/// Why there is no answer, or no more of it.
#[derive(Debug)]
pub enum Trouble {
    /// The request has failed, or the service has while it answered.
    Failure(Failure),
    /// The connection was cut.
    Cut,
    /// Nothing has come for too long.
    Silent,
    /// Something cannot be read.
    Garbled(String),
    /// The model has ended without saying anything, for this reason.
    Nothing(String),
}

/// How long nothing has come.
struct Silence {
    longest: Duration,
    heard: Instant,
    alarm: Pin<Box<Sleep>>,
}

/// An answer that has begun and says nothing may still fail. For so long that would be the failure of the whole.
const GRACE: Duration = Duration::from_millis(500);

/// How large an answer in one piece may be.
const LARGEST: usize = 32 << 20;

impl Answer {
    /// The answer whose events come in this body.
    pub fn new(bytes: Body, events: Events, source: Source) -> Self {
        let frames = Frames::default();
        Self { bytes: Some(bytes), frames, events, source, silence: None }
    }

    /// The answer that comes in this body in one piece.
    pub async fn whole(bytes: Body, mut events: Events, source: Source) -> Result<Self, Trouble> {
        let json = bytes.whole(LARGEST).await.map_err(|_| Trouble::Cut)?;
        events.tell_whole(&json)?;
        Ok(Self { bytes: None, frames: Frames::default(), events, source, silence: None })
    }

    /// Waits until it has begun, however long that takes. From then on it may be silent for so long at a time.
    ///
    /// What fails before the first chunk is the error of the whole answer.
    pub async fn begun(mut self, longest_silence: Duration) -> Result<Self, Trouble> {
        poll_fn(|cx| self.poll_told(0, cx)).await?;
        if self.events.told() == 1 && self.bytes.is_some() {
            // Mostly it is the word that it begins, which binds to nothing yet.
            let more = timeout(GRACE, poll_fn(|cx| self.poll_told(1, cx))).await;
            _ = more.unwrap_or(Ok(true))?;
        }
        self.silence = Some(Silence::new(longest_silence));
        Ok(self)
    }

    /// Ready when there are more chunks than so many, or with `false` when there will be no more.
    fn poll_told(&mut self, than: usize, cx: &mut Context<'_>) -> Poll<Result<bool, Trouble>> {
        while self.events.told() <= than {
            let frame = self.frames.next();
            if let Some(frame) = frame.map_err(|broken| Trouble::Garbled(broken.to_string()))? {
                self.events.tell(&frame)?;
            } else if !ready!(self.poll_bytes(cx))? {
                return Poll::Ready(Ok(false));
            }
        }
        Poll::Ready(Ok(true))
    }

    /// Waits for more bytes; `false` when there are no more.
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Trouble>> {
        let Some(bytes) = &mut self.bytes else { return Poll::Ready(Ok(false)) };
        match Pin::new(bytes).poll_next(cx) {
            Poll::Ready(Some(Ok(bytes))) => {
                self.silence.iter_mut().for_each(Silence::end);
                self.frames.push(&bytes);
                Poll::Ready(Ok(true))
            }
            // A stream that ends is whole only if the model said so; to HTTP a cut one looks the same. Once the message has ended, a
            // broken connection costs no more than the usage.
            Poll::Ready(Some(Err(_)) | None) => {
                self.bytes = None;
                Poll::Ready(if self.events.stopped() { Ok(false) } else { Err(Trouble::Cut) })
            }
            Poll::Pending => match &mut self.silence {
                Some(silence) => silence.poll(cx).map(|()| Err(Trouble::Silent)),
                None => Poll::Pending,
            },
        }
    }
}

impl Stream for Answer {
    type Item = Result<Chunk>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Chunk>>> {
        let answer = self.get_mut();
        match ready!(answer.poll_told(0, cx)) {
            Ok(_) => Poll::Ready(answer.events.take().map(Ok)),
            Err(trouble) => {
                // Nothing comes after an error.
                (answer.bytes, answer.frames) = (None, Frames::default());
                Poll::Ready(Some(Err(trouble.error(&answer.source))))
            }
        }
    }
}

impl From<Unread> for Trouble {
    fn from(unread: Unread) -> Self {
        match unread {
            Unread::Complaint(complaint) => Self::Failure(Failure::Said(complaint)),
            Unread::Payload(event) => Self::Garbled(format!("an unreadable `{event}`")),
            Unread::Nothing(reason) => Self::Nothing(reason),
        }
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl Trouble {
    /// What AWS says it is about, if it says something.
    pub fn complaint(&self) -> Option<&Complaint> {
        match self {
            Self::Failure(Failure::Said(complaint)) => Some(complaint),
            _ => None,
        }
    }

    /// The error of a chat with this model.
    pub fn error(self, Source { model, region }: &Source) -> PipeError {
        match self {
            Self::Failure(Failure::Said(complaint)) => of_complaint(&complaint, model, region),
            Self::Failure(failure) => of_chat(failure, model, region),
            Self::Cut => PipeError::Upstream(format!(
                "the answer of `{model}` from Amazon Bedrock in {region} ended early: the connection was cut"
            )),
            Self::Silent => PipeError::Timeout(format!(
                "`{model}` in {region} has fallen silent in the middle of its answer"
            )),
            Self::Garbled(what) => PipeError::Upstream(format!(
                "the answer of `{model}` from Amazon Bedrock in {region} cannot be read: {what}"
            )),
            Self::Nothing(reason) => PipeError::Upstream(format!(
                "`{model}` in {region} has given no answer that can be used ({reason}): try again"
            )),
        }
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
