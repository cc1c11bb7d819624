//! The body of a response, as its bytes arrive.

use crate::OpenAiError;
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use http_body::Body as _;
use resilience::IdleTimeout;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

/// The bytes of a response, with a limit of the silence between them. Dropping them before their
/// end closes the connection, which cancels the answer.
#[derive(Debug)]
pub(crate) struct ResponseBody(IdleTimeout<DataFrames>);

/// The frames of a response's body that carry data.
#[derive(Debug)]
struct DataFrames(reqwest::Body);

impl ResponseBody {
    pub fn new(body: reqwest::Body, idle_timeout: Duration) -> Self {
        Self(IdleTimeout::new(DataFrames(body), idle_timeout))
    }

    /// Returns these bytes and all that follow, unless they are more than `limit`.
    pub async fn read_to_end(mut self, first: Bytes, limit: usize) -> Result<Bytes, OpenAiError> {
        let mut all = first;
        let mut joined: Option<BytesMut> = None;
        while let Some(bytes) = self.next().await.transpose()? {
            // A short body mostly comes in one piece, which is not copied.
            if all.is_empty() && joined.is_none() {
                all = bytes;
            } else {
                joined.get_or_insert_with(|| BytesMut::from(&all[..])).extend_from_slice(&bytes);
            }
            if joined.as_ref().map_or(all.len(), BytesMut::len) > limit {
                return Err(OpenAiError::InvalidResponse("it is too long"));
            }
        }
        Ok(joined.map_or(all, BytesMut::freeze))
    }
}

impl Stream for ResponseBody {
    type Item = Result<Bytes, OpenAiError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.0).poll_next(cx)
    }
}

impl Stream for DataFrames {
    type Item = Result<Bytes, OpenAiError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let frame = match ready!(Pin::new(&mut self.0).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(_)) => return Poll::Ready(Some(Err(OpenAiError::Interrupted))),
                None => return Poll::Ready(None),
            };
            // Trailers are ignored.
            if let Ok(bytes) = frame.into_data() {
                return Poll::Ready(Some(Ok(bytes)));
            }
        }
    }
}
