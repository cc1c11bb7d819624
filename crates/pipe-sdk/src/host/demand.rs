//! The demand of a request: what it asks of a model, as far as it is known before the answer.

use crate::{Body, Content, DemandKind, EmbedCall, ImageCall, Message, Part, RerankCall};
use serde_json::Value;

/// The demand of a request: what it asks of a model, as far as it is known before the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// The kind of a demand.
    pub kind: DemandKind,
    /// The number of texts to embed, images to make, or searches; 1 for everything else.
    pub amount: u64,
    /// The estimated number of prompt tokens.
    pub prompt_tokens: u64,
    /// The estimated number of completion tokens: as many as the request allows, but no more than
    /// [`MAX_ANSWER_TOKENS`](Self::MAX_ANSWER_TOKENS), or
    /// [`DEFAULT_ANSWER_TOKENS`](Self::DEFAULT_ANSWER_TOKENS) where it sets no limit.
    pub completion_tokens: u64,
}

/// The estimated number of tokens of an image or of a page of a file.
const TOKENS_PER_IMAGE: u64 = 1000;

impl Demand {
    /// The number of tokens that is assumed for an answer whose request sets no limit.
    pub const DEFAULT_ANSWER_TOKENS: u64 = 2048;

    /// No more tokens are expected of an answer, whatever its request allows: what it reserves is
    /// kept from others.
    pub const MAX_ANSWER_TOKENS: u64 = 32_768;

    /// Returns the demand of this chat.
    pub fn chat(body: &Body) -> Self {
        Self {
            kind: DemandKind::Chat,
            amount: 1,
            prompt_tokens: prompt_tokens(body),
            completion_tokens: body
                .max_answer_tokens()
                .unwrap_or(Self::DEFAULT_ANSWER_TOKENS)
                .min(Self::MAX_ANSWER_TOKENS),
        }
    }

    /// Returns the demand of a count of a chat's tokens.
    pub fn token_count() -> Self {
        Self::single(DemandKind::TokenCount)
    }

    /// Returns the demand of a search among documents.
    pub fn search() -> Self {
        Self::searches(1)
    }

    /// Returns the demand of this number of searches at once.
    pub fn searches(amount: u64) -> Self {
        Self { amount, ..Self::single(DemandKind::Search) }
    }

    /// Returns the demand of this call for vectors.
    pub fn embedding(call: &EmbedCall) -> Self {
        let letters: usize = call.input.iter().map(String::len).sum();
        let amount = call.input.len() as u64;
        Self { amount, prompt_tokens: tokens_in(letters), ..Self::single(DemandKind::Embedding) }
    }

    /// Returns the demand of this call for a ranking. The question is read beside each document.
    pub fn rerank(call: &RerankCall) -> Self {
        let documents: usize = call.documents.iter().map(String::len).sum();
        let letters = documents + call.query.len() * call.documents.len();
        Self { prompt_tokens: tokens_in(letters), ..Self::single(DemandKind::Rerank) }
    }

    /// Returns the demand of this call for images.
    pub fn image(call: &ImageCall) -> Self {
        Self { amount: u64::from(call.options.count()), ..Self::single(DemandKind::Image) }
    }

    /// Creates the demand of one request without tokens.
    fn single(kind: DemandKind) -> Self {
        Self { kind, amount: 1, prompt_tokens: 0, completion_tokens: 0 }
    }
}

/// Estimates the tokens of a prompt: a quarter of its letters and of those of its tools, and a
/// thousand for each image or file.
fn prompt_tokens(body: &Body) -> u64 {
    let (mut letters, mut pictures) = (0, 0);
    for message in &body.messages {
        add_message_size(message, &mut letters, &mut pictures);
    }
    for function in body.tools.iter().filter_map(|tool| tool.function.as_ref()) {
        letters += function.name.len() + function.description.as_deref().map_or(0, str::len);
        letters += function.parameters.as_ref().map_or(0, |schema| schema.get().len());
    }
    tokens_in(letters).saturating_add(pictures)
}

fn add_message_size(message: &Message, letters: &mut usize, pictures: &mut u64) {
    *letters += message.tool_calls.iter().map(|call| call.function.arguments.len()).sum::<usize>();
    match &message.content {
        None => {}
        Some(Content::Text(text)) => *letters += text.len(),
        Some(Content::Parts(parts)) => {
            for part in parts {
                match part {
                    Part::Text { text, .. } => *letters += text.len(),
                    Part::ImageUrl { .. } => *pictures += TOKENS_PER_IMAGE,
                    // A page of a file is some forty kB of base64.
                    Part::Other(part) => {
                        let size: usize = part.values().map(count_characters).sum();
                        *pictures += TOKENS_PER_IMAGE.max(size as u64 / 40);
                    }
                }
            }
        }
    }
}

/// Returns the number of characters of the texts in this value.
fn count_characters(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(count_characters).sum(),
        Value::Object(fields) => fields.values().map(count_characters).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

/// Estimates the tokens in this number of letters.
fn tokens_in(letters: usize) -> u64 {
    letters.div_ceil(4) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn all_that_is_read_is_estimated() {
        let body = json!({"model": "m", "max_tokens": 7, "messages": [
            {"role": "user", "content": [{"type": "text", "text": "12345678"}, {"type": "image_url", "image_url": "data:x"}, {"type": "file", "file": {"file_data": "x".repeat(80_000)}}]},
            {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{  }"}}]},
        ], "tools": [{"type": "function", "function": {"name": "f", "description": "abc", "parameters": {}}}]});
        let body: Body = serde_json::from_str(&body.to_string()).unwrap();
        let demand = Demand::chat(&body);
        // 8 letters, 4 of a call, 6 of a tool.
        assert_eq!((demand.prompt_tokens, demand.completion_tokens), (5 + 1000 + 2000, 7));
        let usual = Demand::chat(&Body::new("m", vec![]));
        assert_eq!(
            (usual.prompt_tokens, usual.completion_tokens),
            (0, Demand::DEFAULT_ANSWER_TOKENS)
        );
    }
}
