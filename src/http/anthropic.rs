//! The requests of Anthropic's clients, and what errors and model lists look like to them.

pub mod error;
pub mod model_object;

use super::route::strip_route_prefix;
use actix_web::http::header::HeaderMap;

/// The header that Anthropic's clients send with every request.
pub const ANTHROPIC_VERSION: &str = "anthropic-version";

/// Returns whether Anthropic's clients use this path. They list models at the same path as
/// OpenAI's.
pub fn is_anthropic_request(path: &str, headers: &HeaderMap) -> bool {
    let path = strip_route_prefix(path);
    let is = |own: &str| {
        path.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    is("/messages") || is("/models") && headers.contains_key(ANTHROPIC_VERSION)
}
