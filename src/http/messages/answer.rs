//! Writes a complete answer as Anthropic's message, and the parts that streamed messages share with
//! it.

use crate::http::answer::{ResponseHead, ended_early};
use pipe_sdk::{
    Answer, Citation, FinishReason, PipeError, ReasoningKind, STOP_SEQUENCE_FACT, ToolCall, Usage,
};
use serde_json::{Value, json};

/// The fact in which a pipe names the stop reason in the model's own word.
pub const STOP_REASON_FACT: &str = "x_bedrock_stop_reason";

/// Returns a complete answer as one object.
pub fn message_object(head: &ResponseHead, answer: &Answer) -> Result<Value, PipeError> {
    let finish = answer.finish.ok_or_else(ended_early)?;
    let [own, stop_sequence] = [STOP_REASON_FACT, STOP_SEQUENCE_FACT]
        .map(|name| answer.facts.get(name).and_then(Value::as_str));
    let mut message = empty_message(head);
    message["content"] = content_blocks(answer).into();
    message["stop_reason"] = stop_reason(finish, own, stop_sequence).into();
    message["stop_sequence"] = stop_sequence.into();
    message["usage"] = usage_object(&answer.usage.unwrap_or_default());
    Ok(message)
}

/// Returns a message without content.
///
/// The usage is not known yet: the tokens of the prompt are an estimate until the end.
pub fn empty_message(ResponseHead { id, model, prompt_tokens, .. }: &ResponseHead) -> Value {
    let usage = usage_object(&Usage { prompt_tokens: *prompt_tokens, ..Usage::default() });
    json!({
        "id": id, "type": "message", "role": "assistant", "model": model, "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": usage,
    })
}

fn content_blocks(answer: &Answer) -> Vec<Value> {
    let mut blocks = Vec::new();
    let is_text = |kind: &ReasoningKind| matches!(kind, ReasoningKind::Text { .. });
    let has_text = answer.reasoning_details.iter().any(|detail| is_text(&detail.kind));
    if !has_text && !answer.reasoning.is_empty() {
        blocks.push(thinking_block(&answer.reasoning, None));
    }
    blocks.extend(answer.reasoning_details.iter().map(|detail| reasoning_block(&detail.kind)));
    let text = answer.text_with_images();
    if !text.is_empty() || !answer.citations.is_empty() {
        let mut text = json!({"type": "text", "text": text});
        if !answer.citations.is_empty() {
            text["citations"] =
                answer.citations.iter().map(|(_, source)| citation_object(source)).collect();
        }
        blocks.push(text);
    }
    blocks.extend(answer.tool_calls.iter().map(tool_use_block));
    blocks
}

fn reasoning_block(kind: &ReasoningKind) -> Value {
    match kind {
        ReasoningKind::Text { text, signature } => thinking_block(text, signature.as_deref()),
        ReasoningKind::Encrypted { data } => json!({"type": "redacted_thinking", "data": data}),
    }
}

fn thinking_block(text: &str, signature: Option<&str>) -> Value {
    json!({"type": "thinking", "thinking": text, "signature": signature.unwrap_or_default()})
}

/// Returns a `tool_use` block. The arguments are a model's own words: if they are no object, the
/// input is empty.
fn tool_use_block(ToolCall { id, function, .. }: &ToolCall) -> Value {
    let input = serde_json::from_str(&function.arguments).ok().filter(Value::is_object);
    let input = input.unwrap_or_else(|| json!({}));
    json!({"type": "tool_use", "id": id, "name": function.name, "input": input})
}

/// Returns Anthropic's word for the reason why the answer ends; the model's own word, and the stop
/// sequence that was met, are more precise than OpenAI's.
pub fn stop_reason(
    finish: FinishReason,
    own: Option<&str>,
    stop_sequence: Option<&str>,
) -> &'static str {
    match finish {
        FinishReason::Stop if own == Some("stop_sequence") || stop_sequence.is_some() => {
            "stop_sequence"
        }
        FinishReason::Stop => "end_turn",
        FinishReason::Length => "max_tokens",
        FinishReason::ToolCalls => "tool_use",
        FinishReason::ContentFilter => "refusal",
    }
}

/// Returns the usage. Anthropic counts tokens that were read from a cache or written to it apart.
pub fn usage_object(usage: &Usage) -> Value {
    let (read, written) =
        (usage.cached_tokens.unwrap_or(0), usage.cache_creation_tokens.unwrap_or(0));
    let mut object = json!({
        "input_tokens": usage.prompt_tokens.saturating_sub(read + written),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "output_tokens": usage.completion_tokens,
    });
    if let Some(tokens) = usage.reasoning_tokens {
        object["output_tokens_details"] = json!({"thinking_tokens": tokens});
    }
    object
}

/// Returns a citation of a page, or of a place in a document of the chat. Such places are described
/// in Bedrock's words, the only ones that occur.
pub fn citation_object(citation: &Citation) -> Value {
    let Citation { url, title, cited_text, location } = citation;
    let place = |name: &str| location.as_ref().and_then(|location| location.get(name));
    let (kind, unit, at) = if let Some(at) = place("documentPage") {
        ("page_location", "page_number", at)
    } else if let Some(at) = place("documentChunk") {
        ("content_block_location", "block_index", at)
    } else if url.contains("://") {
        return json!({
            "type": "web_search_result_location", "url": url, "title": title,
            "cited_text": cited_text.as_deref().unwrap_or_default(), "encrypted_index": "",
        });
    } else {
        ("char_location", "char_index", place("documentChar").unwrap_or(&Value::Null))
    };
    let number = |name: &str| at[name].as_u64().unwrap_or(0);
    let mut object = json!({
        "type": kind, "cited_text": cited_text.as_deref().unwrap_or_default(),
        "document_index": number("documentIndex"), "document_title": title,
    });
    object[format!("start_{unit}")] = number("start").into();
    object[format!("end_{unit}")] = number("end").into();
    object
}
