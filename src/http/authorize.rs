//! Authentication: the key is checked before a byte of the body is read.

use super::{
    error::HttpError,
    request_log::RequestLog,
    route::{Access, strip_route_prefix},
    state::HostState,
};
use actix_web::{
    HttpMessage, ResponseError,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{Method, StatusCode, header},
    middleware::Next,
    web,
};
use std::sync::Arc;

/// Lets a request pass that needs no key or has it. What is not in the table of routes needs the
/// host's own.
pub async fn authorize(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let request_log = request.extensions().get::<Arc<RequestLog>>().cloned();
    let (Some(state), Some(request_log)) =
        (request.app_data::<web::Data<HostState>>(), request_log)
    else {
        return Err(HttpError::panicked().into());
    };
    if is_handshake_with_body(&request) {
        let message = "A WebSocket handshake has no body, and this host speaks no WebSocket: leave the header `Upgrade` out";
        return Err(HttpError::new(StatusCode::BAD_REQUEST, message).into());
    }
    let access = request_log.access();
    let is_open = access == Access::Open
        || (state.open_metrics && strip_route_prefix(request.path()) == "/metrics");
    if !is_open {
        let caller = state.callers.identify(request.request());
        let checked = state.keys.check(request.headers(), &caller, access);
        let name = checked.map_err(|error| match error.status_code() {
            StatusCode::UNAUTHORIZED => {
                let refused = state.callers.refuse(error, &caller);
                request_log.outcome().is_logged = refused.is_logged;
                refused.error
            }
            _ => error,
        })?;
        if let Some(name) = name {
            request.extensions_mut().insert(name);
        }
    }
    next.call(request).await
}

/// Returns whether a request asks for a WebSocket and has a body, whose length the server would not
/// heed.
fn is_handshake_with_body(request: &ServiceRequest) -> bool {
    let headers = request.headers();
    let mut protocols = headers
        .get_all(header::UPGRADE)
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii));
    protocols.any(|protocol| protocol.eq_ignore_ascii_case(b"websocket"))
        && (request.method() != Method::GET || headers.contains_key(header::CONTENT_LENGTH))
}
