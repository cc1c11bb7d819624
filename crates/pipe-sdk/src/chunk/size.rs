//! The memory that chunks take once an answer is whole.

use super::{Chunk, Citation, ReasoningDetail, ReasoningKind, TokenLogprob};
use serde_json::Value;

/// The approximate size of a choice without its texts, in bytes.
const CHOICE_BYTES: usize = 1 << 10;

/// Returns about the number of bytes that a chunk adds to a whole answer.
pub fn size_of_chunk(chunk: &Chunk) -> usize {
    let texts = match chunk {
        Chunk::Content(text) | Chunk::Reasoning(text) => return text.len(),
        Chunk::ToolCall(delta) => return delta.arguments.len(),
        Chunk::Model(_) | Chunk::Role | Chunk::Side(_) | Chunk::Finish(_) | Chunk::Usage(_) => {
            return 0;
        }
        Chunk::Logprobs(tokens) => tokens.iter().map(logprob_size).sum(),
        Chunk::ReasoningDetail(detail) => detail_size(detail),
        Chunk::Picture(picture) => picture.url.len() + picture.words.len(),
        Chunk::Citation(citation) => citation_size(citation),
        Chunk::Fact(_, value) => value_size(value),
        Chunk::Event(event) => value_size(&event.data),
        Chunk::NextChoice { .. } => CHOICE_BYTES,
    };
    size_of::<Chunk>() + texts
}

fn logprob_size(token: &TokenLogprob) -> usize {
    let texts = |text: &str, bytes: Option<&Vec<u8>>| text.len() + bytes.map_or(0, Vec::len);
    let others = token
        .top_logprobs
        .iter()
        .map(|other| size_of::<TokenLogprob>() + texts(&other.token, other.bytes.as_ref()));
    size_of::<TokenLogprob>() + texts(&token.token, token.bytes.as_ref()) + others.sum::<usize>()
}

fn detail_size(detail: &ReasoningDetail) -> usize {
    match &detail.kind {
        ReasoningKind::Text { text, signature } => {
            text.len() + signature.as_ref().map_or(0, String::len)
        }
        ReasoningKind::Encrypted { data } => data.len(),
    }
}

fn citation_size(citation: &Citation) -> usize {
    let texts = [Some(&citation.url), Some(&citation.title), citation.cited_text.as_ref()];
    let texts = texts.into_iter().flatten().map(String::len).sum::<usize>();
    texts + citation.location.as_ref().map_or(0, value_size)
}

/// Returns about the size of a JSON value, in bytes.
fn value_size(value: &Value) -> usize {
    let inner = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(values) => values.iter().map(value_size).sum(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| name.len() + value_size(value)).sum()
        }
    };
    size_of::<Value>() + inner
}
