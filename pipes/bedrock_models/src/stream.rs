//! One answer on its way from Bedrock: bytes become frames, frames events, events chunks.

mod events;
mod shown;
mod textual;
mod trouble;
mod whole;
mod wire;

pub use bedrock_runtime::Frames;
use bedrock_runtime::{Body, Frame, Kind};
pub use events::Events;
use futures_util::Stream;
use pipe_sdk::Chunk;
use resilience::IdleTimer;
use std::{
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::timeout;
pub use trouble::Trouble;

/// An answer's chunks. It reads the connection itself, and dropping it closes the connection.
pub struct Answer {
    /// `None` for an answer that is there already.
    bytes: Option<Body>,
    frames: Frames,
    events: Events,
    /// `None` until the answer has begun.
    silence: Option<IdleTimer>,
}

/// Who answers, for the words of errors.
#[derive(Clone, Debug)]
pub struct Source {
    /// The model's id.
    pub model: String,
    /// Where it is.
    pub region: Arc<str>,
}

/// An answer that has begun and says nothing may still fail. For so long that would be the failure of the whole.
const GRACE: Duration = Duration::from_millis(500);

/// How large an answer in one piece may be.
const LARGEST: usize = 32 << 20;

impl Answer {
    /// The answer whose events come in this body.
    pub fn new(bytes: Body, events: Events) -> Self {
        Self { bytes: Some(bytes), frames: Frames::default(), events, silence: None }
    }

    /// The answer that comes in this body in one piece.
    pub async fn whole(bytes: Body, mut events: Events) -> Result<Self, Trouble> {
        let json = bytes.whole(LARGEST).await.map_err(|_| Trouble::Cut)?;
        events.tell_whole(&json)?;
        Ok(Self { bytes: None, frames: Frames::default(), events, silence: None })
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
        self.silence = Some(IdleTimer::new(longest_silence));
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
                self.silence.iter_mut().for_each(IdleTimer::end);
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
                Some(silence) => {
                    let silent = ready!(silence.poll(cx));
                    let has_ended = self.events.stopped();
                    // The same holds for a connection that stays open and says no more.
                    self.bytes = self.bytes.take().filter(|_| !has_ended);
                    Poll::Ready(if has_ended { Ok(false) } else { Err(silent.into()) })
                }
                None => Poll::Pending,
            },
        }
    }
}

impl Stream for Answer {
    type Item = Result<Chunk, Trouble>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let answer = self.get_mut();
        match ready!(answer.poll_told(0, cx)) {
            Ok(_) => Poll::Ready(answer.events.take().map(Ok)),
            Err(trouble) => {
                // Nothing comes after an error.
                (answer.bytes, answer.frames) = (None, Frames::default());
                Poll::Ready(Some(Err(trouble)))
            }
        }
    }
}
