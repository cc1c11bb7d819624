//! The parts of Bedrock's responses that are read (`docs/reference/bedrock.md`, "Converse response"
//! and "Event stream").

use pipe_sdk::Usage;
use serde::Deserialize;
use serde_json::Value;

/// A piece of a block.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockDelta {
    #[serde(default)]
    pub content_block_index: u64,
    pub delta: Delta,
}

/// The content of a delta: one of these.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delta {
    pub text: Option<String>,
    pub tool_use: Option<ToolInput>,
    pub reasoning_content: Option<ReasoningDelta>,
    pub citation: Option<Box<Citation>>,
}

/// More of a call's arguments, as JSON text.
#[derive(Deserialize)]
pub struct ToolInput {
    #[serde(default)]
    pub input: String,
}

/// More of what the model thinks.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReasoningDelta {
    pub text: Option<String>,
    pub signature: Option<String>,
    pub redacted_content: Option<String>,
}

/// A citation, as Bedrock sends it.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Citation {
    pub title: Option<String>,
    pub source: Option<String>,
    pub source_content: Option<Vec<SourceText>>,
    pub location: Option<Value>,
}

/// The words in a source.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct SourceText {
    pub text: String,
}

/// A block begins.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockStart {
    #[serde(default)]
    pub content_block_index: u64,
    #[serde(default)]
    pub start: BlockStartContent,
}

/// The content; empty for text.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockStartContent {
    pub tool_use: Option<ToolStart>,
}

/// A call begins.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolStart {
    pub tool_use_id: String,
    pub name: String,
}

/// A block ends.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BlockStop {
    #[serde(default)]
    pub content_block_index: u64,
}

/// The end of a message.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MessageStop {
    pub stop_reason: String,
    pub additional_model_response_fields: Option<Value>,
}

/// The metadata of a message.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    pub usage: Option<TokenUsage>,
    pub trace: Option<Trace>,
    pub service_tier: Option<ServiceTier>,
}

/// The trace of a guardrail.
#[derive(Deserialize)]
pub struct Trace {
    pub guardrail: Option<Value>,
}

/// The service tier.
#[derive(Deserialize)]
pub struct ServiceTier {
    pub r#type: String,
}

/// The usage, in tokens.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct TokenUsage {
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cache_read_input_tokens: Option<u64>,
    pub cache_write_input_tokens: Option<u64>,
}

/// A failure within the stream.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Exception {
    #[serde(alias = "Message")]
    pub message: String,
    pub original_status_code: u16,
}

impl From<TokenUsage> for Usage {
    fn from(tokens: TokenUsage) -> Self {
        let (read, write) = (tokens.cache_read_input_tokens, tokens.cache_write_input_tokens);
        Self {
            // Bedrock counts what is read from and written to a cache apart from the rest of the
            // prompt.
            prompt_tokens: tokens.input_tokens + read.unwrap_or(0) + write.unwrap_or(0),
            completion_tokens: tokens.output_tokens,
            cached_tokens: read,
            cache_creation_tokens: write,
            reasoning_tokens: None,
        }
    }
}
