//! `InvokeModel`: embeddings, reranking, images and Claude's Messages API.

mod embed;
mod image;
mod png;
mod rerank;

use crate::catalogue::FoundationModel;
use crate::exception::BedrockException;
use crate::tokens;
use serde_json::{Value, json};

/// The response of `InvokeModel`.
pub(crate) struct InvokeResponse {
    pub(crate) body: Value,
    pub(crate) input_tokens: u64,
    pub(crate) output_tokens: u64,
}

/// Answers a request in the format of the model's provider.
pub(crate) fn respond(
    model: &FoundationModel,
    region: &str,
    body: &Value,
) -> Result<InvokeResponse, BedrockException> {
    let answered = match model.id.as_str() {
        id if id.contains("embed") => embed::respond(id, body)?,
        id if id.contains(".rerank") => rerank::respond(id, body)?,
        id if image::generates_images(id) => image::respond(id, body)?,
        id if id.starts_with("anthropic.") => message(model, region, body)?,
        id => {
            return Err(BedrockException::validation(format!(
                "The emulator knows no InvokeModel body of {id}: use Converse."
            )));
        }
    };
    let output =
        if answered.get("content").is_some() { tokens::estimate(&answered["content"]) } else { 0 };
    Ok(InvokeResponse {
        body: answered,
        input_tokens: tokens::estimate(body),
        output_tokens: output,
    })
}

impl InvokeResponse {
    /// Splits the response into chunks: Claude's events, or for other models one chunk.
    pub(crate) fn into_chunks(self) -> Vec<Value> {
        let metrics = json!({
            "inputTokenCount": self.input_tokens,
            "outputTokenCount": self.output_tokens,
            "invocationLatency": 42,
            "firstByteLatency": 21,
        });
        let mut parts =
            if self.body["type"] == "message" { claude_events(self.body) } else { vec![self.body] };
        if let Some(last) = parts.last_mut() {
            last["amazon-bedrock-invocationMetrics"] = metrics;
        }
        parts
    }
}

/// Checks that the body has no unknown fields, with the text of Bedrock's schema check.
fn check_known_fields(body: &Value, names: &[&str]) -> Result<(), BedrockException> {
    let Some(fields) = body.as_object() else {
        return Err(BedrockException::malformed("#: expected type: JSONObject"));
    };
    match fields.keys().find(|name| !names.contains(&name.as_str())) {
        Some(name) => Err(BedrockException::malformed(format_args!(
            "#: extraneous key [{name}] is not permitted"
        ))),
        None => Ok(()),
    }
}

/// Returns the texts in this field, none of which may be empty.
fn parse_texts(
    body: &Value,
    name: &str,
    max_items: usize,
) -> Result<Vec<String>, BedrockException> {
    let items =
        require_field(body, name)?.as_array().ok_or_else(|| wrong_type(name, "JSONArray"))?;
    match items.len() {
        0 => Err(BedrockException::malformed(format_args!(
            "#/{name}: expected minimum item count: 1, found: 0"
        ))),
        found if found > max_items => Err(BedrockException::malformed(format_args!(
            "#/{name}: expected maximum item count: {max_items}, found: {found}"
        ))),
        _ => (0..)
            .zip(items)
            .map(|(place, item)| parse_text(item, &format!("{name}/{place}")))
            .collect(),
    }
}

fn parse_text(value: &Value, name: &str) -> Result<String, BedrockException> {
    match value.as_str() {
        None => Err(wrong_type(name, "String")),
        Some("") => Err(BedrockException::malformed(format_args!(
            "#/{name}: expected minLength: 1, actual: 0"
        ))),
        Some(text) => Ok(text.to_owned()),
    }
}

/// Checks that a field is absent or one of these values.
fn check_one_of(value: Option<&Value>, name: &str, words: &[&str]) -> Result<(), BedrockException> {
    match value {
        Some(value) if !words.iter().any(|word| value == word) => Err(BedrockException::malformed(
            format_args!("#/{name}: {value} is not a valid enum value"),
        )),
        _ => Ok(()),
    }
}

/// Returns the exception of a field of the wrong type.
fn wrong_type(name: &str, kind: &str) -> BedrockException {
    BedrockException::malformed(format_args!("#/{name}: expected type: {kind}"))
}

fn require_field<'a>(body: &'a Value, name: &str) -> Result<&'a Value, BedrockException> {
    body.get(name).ok_or_else(|| {
        BedrockException::malformed(format_args!("#: required key [{name}] not found"))
    })
}

/// Answers a request of Anthropic's Messages API.
fn message(model: &FoundationModel, region: &str, body: &Value) -> Result<Value, BedrockException> {
    for name in ["anthropic_version", "max_tokens", "messages"] {
        require_field(body, name)?;
    }
    let text = format!("Hello from {} in {region}, played by the Bedrock emulator.", model.name);
    let name = model.id.trim_start_matches("anthropic.");
    Ok(json!({
        "id": format!("msg_bdrk_{}", uuid::Uuid::new_v4().simple()),
        "type": "message",
        "role": "assistant",
        "model": name,
        "content": [{ "type": "text", "text": text }],
        "stop_reason": "end_turn",
        "stop_sequence": null,
        "usage": { "input_tokens": tokens::estimate(body), "output_tokens": tokens::estimate(&text.into()) },
    }))
}

fn claude_events(mut message: Value) -> Vec<Value> {
    let content = std::mem::replace(&mut message["content"], json!([]));
    let text = content[0]["text"].as_str().unwrap_or_default();
    let delta = |word| json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": word } });
    let usage = message["usage"].clone();
    let start = [
        json!({ "type": "message_start", "message": message }),
        json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "text", "text": "" } }),
    ];
    let end = [
        json!({ "type": "content_block_stop", "index": 0 }),
        json!({ "type": "message_delta", "delta": { "stop_reason": "end_turn", "stop_sequence": null }, "usage": usage }),
        json!({ "type": "message_stop" }),
    ];
    start.into_iter().chain(text.split_inclusive(' ').map(delta)).chain(end).collect()
}
