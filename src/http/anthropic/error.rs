//! Errors in the shape of Anthropic's API (<https://docs.claude.com/en/api/errors>). The status is
//! the same as in the other APIs.

use crate::http::error::HttpError;
use actix_web::{HttpResponse, ResponseError, http::StatusCode};
use serde_json::{Value, json};

/// Returns the response to a request that failed.
pub fn error_response(error: &HttpError, request_id: &str) -> HttpResponse {
    let mut body = error_object(error);
    body["request_id"] = request_id.into();
    error.bare().json(body)
}

/// Returns the error object.
pub fn error_object(error: &HttpError) -> Value {
    let kind = error_type(error.status_code());
    let message =
        if error.is_too_long() { prompt_too_long(&error.to_string()) } else { error.to_string() };
    json!({"type": "error", "error": {"type": kind, "message": message}})
}

/// Returns Anthropic's message for a prompt that is too long: its clients shorten the prompt when
/// they read it.
fn prompt_too_long(message: &str) -> String {
    match prompt_sizes(message) {
        Some((tokens, most)) => format!("prompt is too long: {tokens} tokens > {most} maximum"),
        None => format!("prompt is too long: {message}"),
    }
}

/// Returns the tokens of the prompt and their limit, if a message names both.
fn prompt_sizes(message: &str) -> Option<(u64, u64)> {
    // The message has a greater-than sign between a sum and the limit.
    if let Some((sum, most)) = message.rsplit_once('>') {
        let sum = sum.rsplit_once(':').map_or(sum, |(_, sum)| sum);
        let tokens = token_counts(sum).into_iter().sum();
        return token_counts(most).first().map(|most| (tokens, *most)).filter(|(n, most)| n > most);
    }
    let found = token_counts(message);
    let [first, second, ..] = found[..] else { return None };
    (first != second).then(|| (first.max(second), first.min(second)))
}

/// Returns the numbers in a text that may count the tokens of a long prompt. Some have commas
/// between thousands.
fn token_counts(text: &str) -> Vec<u64> {
    let is_within = |c: char| c.is_ascii_digit() || c == ',' || c == '_';
    let words =
        text.split(|c: char| !(is_within(c) || c.is_alphanumeric() || c == '.' || c == '-'));
    let number = |word: &str| {
        let word = word.trim_end_matches(['.', ',']);
        let digits: String = word.chars().filter(char::is_ascii_digit).collect();
        word.chars().all(is_within).then(|| digits.parse().ok()).flatten()
    };
    words.filter_map(number).filter(|number| *number >= 100).collect()
}

/// Returns Anthropic's type of errors with this status.
fn error_type(status: StatusCode) -> &'static str {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_too_long_prompt_is_refused_in_the_words_that_clients_recognize() {
        for (message, said) in [
            (
                "Amazon Bedrock refuses the request: prompt is too long: 210000 tokens > 200000 maximum",
                Some((210_000, 200_000)),
            ),
            (
                "input length and `max_tokens` exceed context limit: 188240 + 21333 > 200000",
                Some((209_573, 200_000)),
            ),
            ("prompt tokens (131,073) exceed model maximum (131,072)", Some((131_073, 131_072))),
            (
                "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens",
                Some((5000, 4096)),
            ),
            ("`nova-lite-v1:0` refuses: Number of input tokens exceeds maximum length", None),
        ] {
            assert_eq!(prompt_sizes(message), said, "{message}");
        }
    }
}
