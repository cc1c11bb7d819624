//! Parts of an answer beside its text: reasoning that has to come back, and citations.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// One block of reasoning, in the shape of the `reasoning_details` that Open WebUI sends back while
/// tools are called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReasoningDetail {
    /// The content.
    #[serde(flatten)]
    pub kind: ReasoningKind,
    /// The format, as in `anthropic-claude-v1`: another model family cannot read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// The index of the block in the answer: 0, 1, 2, …
    #[serde(default)]
    pub index: usize,
}

/// The content of a block of reasoning.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub enum ReasoningKind {
    /// Words.
    #[serde(rename = "reasoning.text")]
    Text {
        /// The words.
        #[serde(default)]
        text: String,
        /// The provider's proof that they are unchanged.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signature: Option<String>,
    },
    /// Reasoning that the provider does not show.
    #[serde(rename = "reasoning.encrypted")]
    Encrypted {
        /// The provider's own cipher, in base64.
        data: String,
    },
}

impl ReasoningDetail {
    /// Returns the same block in Anthropic's shape, as clients of other gateways send it back in
    /// `thinking_blocks`.
    pub fn thinking_block(&self) -> Value {
        match &self.kind {
            ReasoningKind::Text { text, signature } => {
                json!({"type": "thinking", "thinking": text, "signature": signature})
            }
            ReasoningKind::Encrypted { data } => json!({"type": "redacted_thinking", "data": data}),
        }
    }
}

/// The source of a passage of the answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Citation {
    /// The page; empty for a document that came with the chat.
    pub url: String,
    /// The title, for people.
    pub title: String,
    /// The words in the source.
    pub cited_text: Option<String>,
    /// The place in the source, in the provider's own words.
    pub location: Option<Value>,
}

impl Citation {
    /// Returns OpenAI's annotation of the text between two places, which are counted in characters.
    pub fn annotation(&self, start: usize, end: usize) -> Value {
        let mut citation = json!({
            "url": self.url, "title": self.title, "start_index": start, "end_index": end,
        });
        if let Some(text) = &self.cited_text {
            citation["cited_text"] = text.as_str().into();
        }
        if let Some(location) = &self.location {
            citation["location"] = location.clone();
        }
        json!({"type": "url_citation", "url_citation": citation})
    }
}
