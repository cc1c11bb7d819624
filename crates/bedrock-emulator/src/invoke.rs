//! What models answer to bodies of their own making: embeddings, reranking, pictures and Claude's messages.

mod embed;
mod image;
mod png;
mod rerank;

use crate::catalogue::Model;
use crate::fault::Fault;
use crate::tokens;
use serde_json::{Value, json};

pub(crate) struct Invoked {
    pub(crate) body: Value,
    pub(crate) input_tokens: u64,
    pub(crate) output_tokens: u64,
}

/// The answer in the shape the model's provider has chosen.
pub(crate) fn answer(model: &Model, region: &str, body: &Value) -> Result<Invoked, Fault> {
    let answered = match model.id.as_str() {
        id if id.contains("embed") => embed::answer(id, body)?,
        id if id.contains(".rerank") => rerank::answer(id, body)?,
        id if image::paints(id) => image::answer(id, body)?,
        id if id.starts_with("anthropic.") => message(model, region, body)?,
        id => {
            return Err(Fault::validation(format!(
                "The emulator knows no InvokeModel body of {id}: use Converse."
            )));
        }
    };
    let output =
        if answered.get("content").is_some() { tokens::of(&answered["content"]) } else { 0 };
    Ok(Invoked { body: answered, input_tokens: tokens::of(body), output_tokens: output })
}

impl Invoked {
    /// The same as a stream: Claude's events, or for others the whole in one piece.
    pub(crate) fn streamed(self) -> Vec<Value> {
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

/// Refuses fields that the model does not have, in the words of Bedrock's own checker.
fn known(body: &Value, names: &[&str]) -> Result<(), Fault> {
    let Some(fields) = body.as_object() else {
        return Err(Fault::malformed("#: expected type: JSONObject"));
    };
    match fields.keys().find(|name| !names.contains(&name.as_str())) {
        Some(name) => {
            Err(Fault::malformed(format_args!("#: extraneous key [{name}] is not permitted")))
        }
        None => Ok(()),
    }
}

/// The texts of this field, each with at least one letter.
fn texts(body: &Value, name: &str, most: usize) -> Result<Vec<String>, Fault> {
    let items = required(body, name)?.as_array().ok_or_else(|| expected(name, "JSONArray"))?;
    match items.len() {
        0 => Err(Fault::malformed(format_args!(
            "#/{name}: expected minimum item count: 1, found: 0"
        ))),
        found if found > most => Err(Fault::malformed(format_args!(
            "#/{name}: expected maximum item count: {most}, found: {found}"
        ))),
        _ => (0..).zip(items).map(|(place, item)| text(item, &format!("{name}/{place}"))).collect(),
    }
}

fn text(value: &Value, name: &str) -> Result<String, Fault> {
    match value.as_str() {
        None => Err(expected(name, "String")),
        Some("") => {
            Err(Fault::malformed(format_args!("#/{name}: expected minLength: 1, actual: 0")))
        }
        Some(text) => Ok(text.to_owned()),
    }
}

/// Refuses a field that is there and none of these words.
fn one_of(value: Option<&Value>, name: &str, words: &[&str]) -> Result<(), Fault> {
    match value {
        Some(value) if !words.iter().any(|word| value == word) => {
            Err(Fault::malformed(format_args!("#/{name}: {value} is not a valid enum value")))
        }
        _ => Ok(()),
    }
}

fn expected(name: &str, kind: &str) -> Fault {
    Fault::malformed(format_args!("#/{name}: expected type: {kind}"))
}

fn required<'a>(body: &'a Value, name: &str) -> Result<&'a Value, Fault> {
    body.get(name)
        .ok_or_else(|| Fault::malformed(format_args!("#: required key [{name}] not found")))
}

fn message(model: &Model, region: &str, body: &Value) -> Result<Value, Fault> {
    for name in ["anthropic_version", "max_tokens", "messages"] {
        required(body, name)?;
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
        "usage": { "input_tokens": tokens::of(body), "output_tokens": tokens::of(&text.into()) },
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
