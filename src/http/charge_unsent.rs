//! The middleware that charges long answers to the memory budget until they are sent.

use super::{
    request_log::RequestLog,
    route::Access,
    state::HostState,
    unsent_body::{MAX_UNCHARGED, UnsentBody},
};
use actix_web::{
    HttpMessage, ResponseError,
    body::{BodySize, BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::Method,
    middleware::Next,
    web,
};
use std::sync::Arc;

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
    let state = response.request().app_data::<web::Data<HostState>>().cloned();
    let Some(state) = state.filter(|_| is_long && access != Some(Access::Open)) else {
        return Ok(response);
    };
    let (request, response) = response.into_parts();
    let (response, body) = response.into_parts();
    let bytes = match body.try_into_bytes() {
        Ok(bytes) => bytes,
        // A stream of known length, which is never in memory as a whole.
        Err(body) => return Ok(ServiceResponse::new(request, response.set_body(body))),
    };
    let mut share = state.memory_budget.share(state.identify_sender(&request));
    if *request.method() == Method::GET
        && let Err(error) = share.grow(bytes.len())
    {
        let refusal = error.error_response();
        return Ok(ServiceResponse::new(request, refusal));
    }
    let body = UnsentBody::new(bytes, share).boxed();
    Ok(ServiceResponse::new(request, response.set_body(body)))
}
