//! JSON responses: long ones are written off the workers, and charged to the memory budget.

use super::{
    memory_budget::Share,
    unsent_body::{MAX_UNCHARGED, UnsentBody},
};
use crate::blocking;
use actix_web::{HttpResponse, HttpResponseBuilder, http::header::ContentType};
use pipe_sdk::PipeError;
use serde::Serialize;

/// Completes a response by JSON that takes about so many bytes. A long one is written on a blocking
/// thread, and charged to the share until the client has taken it.
///
/// # Errors
/// A value that cannot be JSON, which is a defect.
pub async fn respond(
    mut response: HttpResponseBuilder,
    share: Share,
    bytes: usize,
    value: impl Serialize + Send + 'static,
) -> Result<HttpResponse, PipeError> {
    let write = move || serde_json::to_vec(&value);
    let json = blocking::compute(share.caller(), bytes, write).await?;
    let json = json.map_err(PipeError::internal)?;
    response.content_type(ContentType::json());
    if json.len() <= MAX_UNCHARGED {
        return Ok(response.body(json));
    }
    Ok(response.body(UnsentBody::new(json.into(), share)))
}
