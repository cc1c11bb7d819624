//! The body of a long answer that is sent whole: its memory is charged until it is sent.

use super::memory_budget::Share;
use actix_web::{
    body::{BodySize, MessageBody},
    web::Bytes,
};
use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

/// An answer of more bytes than this is charged to the memory budget until it is sent.
pub const MAX_UNCHARGED: usize = 16 << 10;

/// The largest piece that is handed on to be sent, in bytes. The server asks for the next one when
/// the client has taken most of it, and would keep a copy of a whole answer.
const MAX_PIECE: usize = 32 << 10;

/// The part of an answer that is not sent yet, and its share of the memory budget.
pub struct UnsentBody {
    bytes: Bytes,
    _share: Share,
}

impl UnsentBody {
    /// Returns the body of an answer, which this share is charged with from now on.
    pub fn new(bytes: Bytes, mut share: Share) -> Self {
        share.set(bytes.len());
        Self { bytes, _share: share }
    }
}

impl MessageBody for UnsentBody {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.bytes.len() as u64)
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
        if self.bytes.is_empty() {
            return Poll::Ready(None);
        }
        let size = self.bytes.len().min(MAX_PIECE);
        Poll::Ready(Some(Ok(self.bytes.split_to(size))))
    }
}
