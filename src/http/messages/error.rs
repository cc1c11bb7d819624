//! What went wrong, in the shape that Anthropic's clients read. The status is the same as everywhere.

use crate::http::Error;
use actix_web::{HttpResponse, ResponseError, http::StatusCode};
use serde_json::{Value, json};

/// The answer to a request that went wrong.
pub fn refusal(error: &Error, request_id: &str) -> HttpResponse {
    let mut body = object(error);
    body["request_id"] = request_id.into();
    error.bare().json(body)
}

/// The error itself.
pub fn object(error: &Error) -> Value {
    let kind = kind(error.status_code());
    json!({"type": "error", "error": {"type": kind, "message": error.to_string()}})
}

/// Anthropic's word for errors of this status.
fn kind(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        408 | 504 => "timeout_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        400..=499 => "invalid_request_error",
        _ => "api_error",
    }
}
