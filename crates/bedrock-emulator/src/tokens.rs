//! Estimates the number of tokens of a text.

use serde_json::Value;

const CHARS_PER_TOKEN: usize = 4;
const TOKENS_PER_MEDIUM: usize = 800;

/// Estimates the tokens of all texts in a JSON value. Each medium counts a fixed number.
pub(crate) fn estimate(value: &Value) -> u64 {
    let tokens = media(value) * TOKENS_PER_MEDIUM + chars(value).div_ceil(CHARS_PER_TOKEN);
    u64::try_from(tokens).unwrap_or(u64::MAX)
}

/// Returns the number of characters of all texts in a body, without media.
fn chars(value: &Value) -> usize {
    match value {
        Value::String(text) => text.chars().count(),
        Value::Array(items) => items.iter().map(chars).sum(),
        Value::Object(fields) => {
            fields.iter().filter(|(name, _)| *name != "bytes").map(|(_, field)| chars(field)).sum()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

/// Returns the number of images, documents and videos in a body.
fn media(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(media).sum(),
        Value::Object(fields) => {
            usize::from(fields.contains_key("bytes")) + fields.values().map(media).sum::<usize>()
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn four_letters_make_a_token_and_a_picture_many() {
        for (value, tokens) in [
            (json!("12345678"), 2),
            (json!([{ "text": "12345" }]), 2),
            (json!({ "image": { "format": "webp", "source": { "bytes": "AAAAAAAA" } } }), 801),
        ] {
            assert_eq!(estimate(&value), tokens, "{value}");
        }
    }
}
