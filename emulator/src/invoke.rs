//! What models answer to bodies of their own making: embeddings, reranking and Claude's messages.

use crate::body::list;
use crate::catalogue::Model;
use crate::fault::Fault;
use crate::tokens;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

pub(crate) struct Invoked {
    pub(crate) body: Value,
    pub(crate) input_tokens: u64,
    pub(crate) output_tokens: u64,
}

/// The answer in the shape the model's provider has chosen.
pub(crate) fn answer(model: &Model, region: &str, body: &Value) -> Result<Invoked, Fault> {
    let answered = match model.id.as_str() {
        id if id.starts_with("amazon.titan-embed") => titan(model, body)?,
        id if id.starts_with("cohere.embed") => cohere(body)?,
        id if id.starts_with("cohere.rerank") => ranks(body)?,
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

fn required<'a>(body: &'a Value, name: &str) -> Result<&'a Value, Fault> {
    body.get(name)
        .ok_or_else(|| Fault::malformed(format_args!("#: required key [{name}] not found")))
}

fn titan(model: &Model, body: &Value) -> Result<Value, Fault> {
    let text = required(body, "inputText")?.as_str().unwrap_or_default();
    let second = model.id.contains("-v2");
    let size = body["dimensions"].as_u64().unwrap_or(if second { 1024 } else { 1536 });
    if second && ![256, 512, 1024].contains(&size) {
        return Err(Fault::malformed(format_args!(
            "#/dimensions: {size} is not a valid enum value"
        )));
    }
    let vector = vector(text, size);
    let mut answer =
        json!({ "embedding": vector, "inputTextTokenCount": tokens::of(&text.into()) });
    if second {
        answer["embeddingsByType"] = json!({ "float": vector });
    }
    Ok(answer)
}

fn cohere(body: &Value) -> Result<Value, Fault> {
    const MOST: usize = 96;
    let texts = list(required(body, "texts")?);
    required(body, "input_type")?;
    if texts.len() > MOST {
        let found = texts.len();
        return Err(Fault::malformed(format_args!(
            "#/texts: expected maximum item count: {MOST}, found: {found}"
        )));
    }
    let vectors: Vec<_> =
        texts.iter().map(|text| vector(text.as_str().unwrap_or_default(), 1024)).collect();
    let typed = body.get("embedding_types").is_some();
    Ok(json!({
        "id": uuid::Uuid::new_v4().to_string(),
        "texts": texts,
        "embeddings": if typed { json!({ "float": vectors }) } else { json!(vectors) },
        "response_type": if typed { "embeddings_by_type" } else { "embeddings_floats" },
    }))
}

fn ranks(body: &Value) -> Result<Value, Fault> {
    let query = vector(required(body, "query")?.as_str().unwrap_or_default(), 256);
    let documents = list(required(body, "documents")?);
    let near = |text: &Value| -> f64 {
        let other = vector(text.as_str().unwrap_or_default(), 256);
        query.iter().zip(other).map(|(a, b)| a * b).sum::<f64>().clamp(0.0, 1.0)
    };
    let mut ranked: Vec<_> = documents.iter().map(near).enumerate().collect();
    ranked.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    let most =
        body["top_n"].as_u64().and_then(|most| usize::try_from(most).ok()).unwrap_or(ranked.len());
    let results = ranked
        .iter()
        .take(most)
        .map(|(index, score)| json!({ "index": index, "relevance_score": score }));
    Ok(json!({ "results": results.collect::<Vec<_>>() }))
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

/// A unit vector that depends on the words alone, so that texts with words in common are near each other.
fn vector(text: &str, size: u64) -> Vec<f64> {
    let mut sum = vec![0.0; usize::try_from(size).unwrap_or(1)];
    for word in text.to_lowercase().split_whitespace() {
        let mut seed = Sha256::digest(word)
            .iter()
            .fold(1_u64, |seed, byte| seed.rotate_left(8) ^ u64::from(*byte));
        for place in &mut sum {
            seed = shuffled(seed);
            *place += f64::from(u32::try_from(seed >> 32).unwrap_or(0)) / f64::from(u32::MAX) - 0.5;
        }
    }
    let length = sum.iter().map(|place| place * place).sum::<f64>().sqrt();
    sum.iter().map(|place| if length > 0.0 { place / length } else { 0.0 }).collect()
}

/// The next of Marsaglia's xorshift numbers.
fn shuffled(mut seed: u64) -> u64 {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^ (seed << 17)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nearness(one: &str, other: &str) -> f64 {
        vector(one, 256).iter().zip(vector(other, 256)).map(|(a, b)| a * b).sum()
    }

    #[test]
    fn texts_with_words_in_common_are_near() {
        assert_eq!(vector("The cat", 8), vector("the CAT", 8));
        assert!(
            nearness("the cat sat", "the cat sleeps")
                > nearness("the cat sat", "markets fell sharply")
        );
    }

    #[test]
    fn the_nearest_document_ranks_first() {
        let ranked = ranks(&json!({ "query": "blue sky", "documents": ["red wine", "the sky is blue"], "top_n": 1 })).unwrap();
        assert_eq!(ranked["results"][0]["index"], 1);
        assert_eq!(ranked["results"].as_array().unwrap().len(), 1);
    }
}
