//! What is read of a chunk, and nothing else: fields that are not named here go no further.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// One chunk of an answer, or a whole one.
///
/// What is rare, or differs between servers, is a [`Value`] that is looked at with care: a field of an unexpected kind costs no more than itself.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Step {
    #[serde(deserialize_with = "list")]
    pub choices: Vec<Choice>,
    pub usage: Value,
    pub error: Value,
    pub service_tier: Value,
    /// Perplexity's sources.
    pub citations: Value,
    pub search_results: Value,
}

/// One of its answers; there is never more than one.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Choice {
    pub index: Value,
    pub delta: Option<Said>,
    /// What a whole answer has in place of a delta.
    pub message: Option<Said>,
    pub finish_reason: Value,
}

/// What is said.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Said {
    pub content: Value,
    pub reasoning_content: Value,
    pub reasoning: Value,
    pub reasoning_details: Value,
    pub refusal: Value,
    pub tool_calls: Value,
    pub function_call: Value,
    pub annotations: Value,
    pub images: Value,
}

fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Choice>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
