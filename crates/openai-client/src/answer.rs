//! One answer on its way: bytes become events, events chunks.

use crate::{Trouble, body::Body, sse::Events, told::Told};
use bytes::Bytes;
use futures_util::{FutureExt, Stream, StreamExt};
use http::header::CONTENT_TYPE;
use pipe_sdk::Chunk;
use std::{
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::timeout;

/// An answer's chunks. It reads the connection itself, and dropping it closes the connection.
#[derive(Debug)]
pub struct Answer {
    /// `None` when no more is to be read.
    body: Option<Body>,
    events: Events,
    told: Told,
    /// How many bytes there were so far.
    size: usize,
    hidden: Arc<[String]>,
}

/// The form in which an answer comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Events, as was asked for.
    Events,
    /// One object, by servers that do not stream.
    Whole,
    /// Something for people.
    Page,
}

/// How large an answer in one piece may be.
const LARGEST_WHOLE: usize = 32 << 20;

/// How many bytes a streamed one may have: more than any model writes in a day.
const LARGEST: usize = 256 << 20;

/// An answer that has begun and says nothing may still fail. For so long that would be the failure of the whole.
const GRACE: Duration = Duration::from_millis(500);

impl Answer {
    /// The answer of this response, when it has begun: what fails before is the error of the whole. These texts are hidden in what the
    /// server says of its failures.
    pub(crate) async fn begun(
        response: reqwest::Response,
        longest_silence: Duration,
        hidden: Arc<[String]>,
    ) -> Result<Self, Trouble> {
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let form = Form::named(kind.unwrap_or_default());
        let mut body = Body::new(response.into(), longest_silence);
        let (form, first) = match form {
            Some(form) => (form, Bytes::new()),
            None => sniffed(&mut body).await?,
        };
        let (events, told) = (Events::default(), Told::default());
        let mut answer = Self { body: None, events, told, size: 0, hidden };
        match form {
            Form::Page => return Err(Trouble::Page),
            Form::Whole => {
                let json = body.whole(first, LARGEST_WHOLE).await?;
                answer.told.whole(&json).map_err(|trouble| answer.hiding(trouble))?;
            }
            Form::Events => {
                answer.events.push(&first);
                answer.body = Some(body);
                answer.begin().await?;
            }
        }
        Ok(answer)
    }

    async fn begin(&mut self) -> Result<(), Trouble> {
        poll_fn(|cx| self.poll_told(0, cx)).await?;
        if self.told.len() == 1 && !self.told.has_ended() {
            // Mostly it is the word that it begins, which binds to nothing yet.
            let more = timeout(GRACE, poll_fn(|cx| self.poll_told(1, cx))).await;
            _ = more.unwrap_or(Ok(true))?;
        }
        Ok(())
    }

    /// Ready when there are more chunks than so many, or with `false` when there will be no more.
    fn poll_told(&mut self, than: usize, cx: &mut Context<'_>) -> Poll<Result<bool, Trouble>> {
        let polled = ready!(self.poll_more(than, cx));
        Poll::Ready(polled.map_err(|trouble| self.hiding(trouble)))
    }

    fn poll_more(&mut self, than: usize, cx: &mut Context<'_>) -> Poll<Result<bool, Trouble>> {
        while self.told.len() <= than {
            if self.told.has_ended() {
                self.let_go();
                return Poll::Ready(Ok(false));
            }
            let too_long = |_| Trouble::Garbled("a line of it is too long");
            match self.events.next().map_err(too_long)? {
                Some(event) => self.told.event(&event)?,
                None if ready!(self.poll_bytes(cx))? => {}
                None => self.end()?,
            }
        }
        Poll::Ready(Ok(true))
    }

    /// Waits for more bytes; `false` when there are no more.
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, Trouble>> {
        let Some(body) = &mut self.body else { return Poll::Ready(Ok(false)) };
        match ready!(body.poll_next_unpin(cx)) {
            Some(Ok(bytes)) => {
                self.size += bytes.len();
                if self.size > LARGEST {
                    return Poll::Ready(Err(Trouble::Garbled("it is too long")));
                }
                self.events.push(&bytes);
                Poll::Ready(Ok(true))
            }
            // Once the server has said why it ends, a broken connection costs no more than the usage.
            Some(Err(trouble)) if !self.told.is_finished() => Poll::Ready(Err(trouble)),
            Some(Err(_)) | None => Poll::Ready(Ok(false)),
        }
    }

    /// There are no more bytes.
    fn end(&mut self) -> Result<(), Trouble> {
        // A piece of an event is none; whether the answer is whole without it, it has said before.
        if let Ok(Some(event)) = self.events.last()
            && !self.told.is_finished()
        {
            match self.told.event(&event) {
                Err(Trouble::Garbled(_)) => return Err(Trouble::Early),
                told => told?,
            }
        }
        if self.told.has_ended() { Ok(()) } else { self.told.end() }
    }

    /// Gives the connection back. One that has been read to its end can serve others.
    fn let_go(&mut self) {
        if let Some(mut body) = self.body.take() {
            while let Some(Some(Ok(_))) = body.next().now_or_never() {}
        }
    }

    fn hiding(&self, trouble: Trouble) -> Trouble {
        match trouble {
            Trouble::Said(complaint) => Trouble::Said(complaint.hiding(&self.hidden)),
            trouble => trouble,
        }
    }
}

impl Stream for Answer {
    type Item = Result<Chunk, Trouble>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let answer = self.get_mut();
        let told = ready!(answer.poll_told(0, cx));
        if told.is_err() {
            // Nothing comes after an error.
            answer.body = None;
        }
        Poll::Ready(told.map(|_| answer.told.take()).transpose())
    }
}

impl Form {
    /// The form that a content type names; `None` if it has to be looked at.
    fn named(kind: &str) -> Option<Self> {
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match kind.as_str() {
            "text/event-stream" => Some(Self::Events),
            "text/html" | "application/xhtml+xml" => Some(Self::Page),
            _ => None,
        }
    }

    fn looks_like(byte: u8) -> Self {
        match byte {
            b'{' | b'[' => Self::Whole,
            b'<' => Self::Page,
            _ => Self::Events,
        }
    }
}

/// The form of this body by how it begins, and what was read to see that.
async fn sniffed(body: &mut Body) -> Result<(Form, Bytes), Trouble> {
    while let Some(bytes) = body.next().await.transpose()? {
        if let Some(byte) = bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
            return Ok((Form::looks_like(*byte), bytes));
        }
    }
    Err(Trouble::Early)
}
