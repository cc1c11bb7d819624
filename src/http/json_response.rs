//! JSON responses: long ones are written off the workers.

use crate::blocking;
use actix_web::{HttpResponse, HttpResponseBuilder, http::header::ContentType};
use pipe_sdk::{CallerId, PipeError};
use serde::Serialize;

/// Completes a caller's response by JSON that takes about so many bytes. A long one is written on a
/// blocking thread.
///
/// # Errors
/// A value that cannot be JSON, which is a defect.
pub async fn respond(
    mut response: HttpResponseBuilder,
    caller: CallerId,
    bytes: usize,
    value: impl Serialize + Send + 'static,
) -> Result<HttpResponse, PipeError> {
    let write = move || serde_json::to_vec(&value);
    let json = blocking::compute(caller, bytes, write).await?;
    let json = json.map_err(PipeError::internal)?;
    Ok(response.content_type(ContentType::json()).body(json))
}
