//! The body of a long answer that is sent whole: its memory is charged until it is sent.

use super::{Access, State, memory_budget::Share, request_log::RequestLog, sender::Sender};
use actix_web::{
    HttpMessage, ResponseError,
    body::{BodySize, BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::Method,
    middleware::Next,
    web::{self, Bytes},
};
use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
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

/// Charges long answers to their senders.
///
/// Those to a `GET` are refused with status 429 if there is no room for them; others may have been
/// paid for, and only leave less room for the next request. Answers that need no key are the same
/// bytes for everybody, and are not charged.
pub async fn charge_unsent(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let access = request.extensions().get::<Arc<RequestLog>>().map(|log| log.access());
    let response = next.call(request).await?.map_into_boxed_body();
    let is_long = matches!(
        response.response().body().size(),
        BodySize::Sized(bytes) if bytes > MAX_UNCHARGED as u64
    );
    let state = response.request().app_data::<web::Data<State>>().cloned();
    let Some(state) = state.filter(|_| is_long && access != Some(Access::Open)) else {
        return Ok(response);
    };
    let (request, response) = response.into_parts();
    let (response, body) = response.into_parts();
    let bytes = match body.try_into_bytes() {
        Ok(bytes) => bytes,
        // It is charged already.
        Err(body) => return Ok(ServiceResponse::new(request, response.set_body(body))),
    };
    let mut share = state.memory_budget.share(Sender::from_request(&request, &state));
    if *request.method() == Method::GET
        && let Err(error) = share.grow(bytes.len())
    {
        let refusal = error.error_response();
        return Ok(ServiceResponse::new(request, refusal));
    }
    let body = UnsentBody::new(bytes, share).boxed();
    Ok(ServiceResponse::new(request, response.set_body(body)))
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
