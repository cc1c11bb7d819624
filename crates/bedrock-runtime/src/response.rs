//! A response whose headers have arrived.

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use http::{HeaderMap, response::Parts};
use http_body::Body as _;
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

/// An answer whose headers are there. Dropping it closes its connection.
#[derive(Debug)]
pub struct Response {
    head: Parts,
    body: Body,
}

/// An answer's bytes as they come. Dropping them before they end closes the connection, which is
/// the cancel.
#[derive(Debug)]
pub struct Body(reqwest::Body);

/// The error that ends the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// The connection broke.
    #[error("the connection was cut")]
    ConnectionClosed,
    /// The body is larger than the limit.
    #[error("the answer is longer than {0} bytes")]
    TooLong(usize),
}

impl Response {
    /// Returns the HTTP status.
    pub fn status(&self) -> u16 {
        self.head.status.as_u16()
    }

    /// Returns the request id, for AWS's support.
    pub fn request_id(&self) -> Option<&str> {
        self.header("x-amzn-requestid")
    }

    /// Returns the value of this header, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name)?.to_str().ok()
    }

    /// Returns the bytes that follow.
    pub fn into_body(self) -> Body {
        self.body
    }

    /// Returns the headers.
    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    pub(crate) fn is_success(&self) -> bool {
        self.head.status.is_success()
    }
}

impl From<reqwest::Response> for Response {
    fn from(response: reqwest::Response) -> Self {
        let (head, body) = http::Response::<reqwest::Body>::from(response).into_parts();
        Self { head, body: Body(body) }
    }
}

impl Body {
    /// Returns all bytes, unless they are more than the limit.
    pub async fn read_up_to(mut self, limit: usize) -> Result<Bytes, BodyError> {
        let Some(first) = self.next().await.transpose()? else { return Ok(Bytes::new()) };
        let mut whole = BytesMut::from(first);
        while whole.len() <= limit {
            match self.next().await.transpose()? {
                Some(bytes) => whole.extend_from_slice(&bytes),
                None => return Ok(whole.freeze()),
            }
        }
        Err(BodyError::TooLong(limit))
    }
}

impl Stream for Body {
    type Item = Result<Bytes, BodyError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let body = self.get_mut();
        loop {
            let frame = match ready!(Pin::new(&mut body.0).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(_)) => return Poll::Ready(Some(Err(BodyError::ConnectionClosed))),
                None => return Poll::Ready(None),
            };
            // Trailers say nothing here.
            if let Ok(bytes) = frame.into_data() {
                return Poll::Ready(Some(Ok(bytes)));
            }
        }
    }
}
