//! The fields of a chat completion that are read. Others go no further, because Open WebUI would
//! act on some of them.
//!
//! Fields whose form differs between servers are [`RawValue`]s: they cost nothing until they are
//! looked at, and one of an unexpected kind does not make the others unreadable.

use pipe_sdk::without_lone_surrogates;
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use serde_json::{Value, value::RawValue};

/// A chunk of a streamed completion, or a whole completion.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Completion<'a> {
    #[serde(borrow, deserialize_with = "null_as_empty")]
    pub choices: Vec<Choice<'a>>,
    #[serde(borrow)]
    pub usage: Option<&'a RawValue>,
    #[serde(borrow)]
    pub error: Option<&'a RawValue>,
    #[serde(borrow)]
    pub service_tier: Option<&'a RawValue>,
    /// The sources of Perplexity's answers.
    #[serde(borrow)]
    pub citations: Option<&'a RawValue>,
    #[serde(borrow)]
    pub search_results: Option<&'a RawValue>,
}

/// One of the choices; the host never asks for more than one.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Choice<'a> {
    #[serde(borrow)]
    pub index: Option<&'a RawValue>,
    #[serde(borrow)]
    pub delta: Option<Delta<'a>>,
    /// The message of a whole completion, in place of a delta.
    #[serde(borrow)]
    pub message: Option<Delta<'a>>,
    #[serde(borrow)]
    pub finish_reason: Option<&'a RawValue>,
    /// The stop sequence at which the answer has ended, or the number of a token (vLLM).
    #[serde(borrow)]
    pub stop_reason: Option<&'a RawValue>,
    /// The same (`SGLang`).
    #[serde(borrow)]
    pub matched_stop: Option<&'a RawValue>,
    #[serde(borrow)]
    pub logprobs: Option<&'a RawValue>,
}

/// A message, or a piece of one.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Delta<'a> {
    #[serde(borrow)]
    pub content: Option<&'a RawValue>,
    #[serde(borrow)]
    pub reasoning_content: Option<&'a RawValue>,
    #[serde(borrow)]
    pub reasoning: Option<&'a RawValue>,
    #[serde(borrow)]
    pub reasoning_details: Option<&'a RawValue>,
    #[serde(borrow)]
    pub refusal: Option<&'a RawValue>,
    #[serde(borrow)]
    pub tool_calls: Option<&'a RawValue>,
    #[serde(borrow)]
    pub function_call: Option<&'a RawValue>,
    #[serde(borrow)]
    pub annotations: Option<&'a RawValue>,
    #[serde(borrow)]
    pub images: Option<&'a RawValue>,
    /// A spoken answer; its transcript is read.
    #[serde(borrow)]
    pub audio: Option<&'a RawValue>,
}

impl<'a> Completion<'a> {
    /// Parses a completion; `None` if the text is no JSON object of that form.
    pub fn parse(json: &'a str) -> Option<Self> {
        // serde reads a list as an object, too: its items would be the fields in order.
        let is_list = json.trim_start().starts_with('[');
        serde_json::from_str(json).ok().filter(|_| !is_list)
    }
}

/// Parses JSON. Lone surrogates are replaced, because some servers cut a character in two.
pub(crate) fn parse_json<T: DeserializeOwned>(json: &str) -> Option<T> {
    let repaired = || serde_json::from_slice(&without_lone_surrogates(json.as_bytes())?).ok();
    serde_json::from_str(json).ok().or_else(repaired)
}

/// Returns a field as a value; `Null` if it is missing.
pub(crate) fn to_value(field: Option<&RawValue>) -> Value {
    field.and_then(|raw| parse_json(raw.get())).unwrap_or_default()
}

/// Returns a field that is a text and not empty.
pub(crate) fn to_text(field: Option<&RawValue>) -> Option<String> {
    let json = field?.get();
    // Only a text is worth parsing.
    let text: String = json.starts_with('"').then(|| parse_json(json))??;
    Some(text).filter(|text| !text.is_empty())
}

/// Deserializes a list, or `null` as an empty one.
fn null_as_empty<'de: 'a, 'a, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<Choice<'a>>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}
