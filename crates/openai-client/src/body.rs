//! The bytes of an answer, as they come.

use crate::Trouble;
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use http_body::Body as _;
use resilience::IdleTimeout;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

/// The bytes of an answer, which may be silent for so long at a time. Dropping them before they end closes the connection, which is the cancel.
#[derive(Debug)]
pub(crate) struct Body(IdleTimeout<Frames>);

#[derive(Debug)]
struct Frames(reqwest::Body);

impl Body {
    pub fn new(body: reqwest::Body, longest_silence: Duration) -> Self {
        Self(IdleTimeout::new(Frames(body), longest_silence))
    }

    /// All bytes, after these, unless there are more than so many.
    pub async fn whole(mut self, first: Bytes, limit: usize) -> Result<Bytes, Trouble> {
        let mut whole = BytesMut::from(first);
        while whole.len() <= limit {
            match self.next().await.transpose()? {
                Some(bytes) => whole.extend_from_slice(&bytes),
                None => return Ok(whole.freeze()),
            }
        }
        Err(Trouble::Garbled("it is too long"))
    }
}

impl Stream for Body {
    type Item = Result<Bytes, Trouble>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.0).poll_next(cx)
    }
}

impl Stream for Frames {
    type Item = Result<Bytes, Trouble>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let frame = match ready!(Pin::new(&mut self.0).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(_)) => return Poll::Ready(Some(Err(Trouble::Cut))),
                None => return Poll::Ready(None),
            };
            // Trailers say nothing here.
            if let Ok(bytes) = frame.into_data() {
                return Poll::Ready(Some(Ok(bytes)));
            }
        }
    }
}
