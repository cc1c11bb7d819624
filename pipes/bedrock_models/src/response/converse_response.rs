//! The response of Converse: a whole answer, which takes the same path as the events of a stream
//! (`docs/reference/bedrock.md`, "Converse response").

use super::{
    event_handler::{EventError, EventHandler},
    wire::{Citation, MessageStop, Metadata, ServiceTier, TokenUsage, Trace},
};
use crate::error::BedrockError;
use bedrock_runtime::{Body, BodyError};
use pipe_sdk::Chunk;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

/// The largest response that is read.
const MAX_RESPONSE_BYTES: usize = 32 << 20;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConverseResponse<'a> {
    #[serde(borrow)]
    output: Output<'a>,
    stop_reason: String,
    additional_model_response_fields: Option<Value>,
    usage: Option<TokenUsage>,
    trace: Option<Trace>,
    service_tier: Option<ServiceTier>,
}

#[derive(Deserialize)]
struct Output<'a> {
    #[serde(borrow)]
    message: Message<'a>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    content: Vec<Block<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Block<'a> {
    text: Option<String>,
    #[serde(borrow)]
    tool_use: Option<ToolUse<'a>>,
    reasoning_content: Option<ReasoningContent>,
    citations_content: Option<CitationsContent>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolUse<'a> {
    tool_use_id: String,
    name: String,
    #[serde(borrow)]
    input: &'a RawValue,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReasoningContent {
    reasoning_text: Option<ReasoningText>,
    redacted_content: Option<String>,
}

#[derive(Deserialize)]
struct ReasoningText {
    #[serde(default)]
    text: String,
    #[serde(default)]
    signature: String,
}

#[derive(Deserialize)]
struct CitationsContent {
    #[serde(default)]
    content: Vec<CitedText>,
    #[serde(default)]
    citations: Vec<Citation>,
}

#[derive(Deserialize)]
struct CitedText {
    #[serde(default)]
    text: String,
}

/// Reads the response of Converse, and returns its chunks.
pub async fn read_converse_response(
    body: Body,
    mut handler: EventHandler,
) -> Result<Vec<Chunk>, BedrockError> {
    let json = body.read_up_to(MAX_RESPONSE_BYTES).await.map_err(|error| match error {
        BodyError::ConnectionClosed => BedrockError::ConnectionClosed,
        BodyError::TooLong(_) => BedrockError::Protocol(error.to_string()),
    })?;
    handler.handle_response(&json)?;
    Ok(std::iter::from_fn(|| handler.next_chunk()).collect())
}

impl EventHandler {
    /// Takes in a whole response of Converse.
    pub fn handle_response(&mut self, json: &[u8]) -> Result<(), EventError> {
        let unreadable = |_| EventError::Payload("answer".into());
        let response: ConverseResponse<'_> = serde_json::from_slice(json).map_err(unreadable)?;
        self.start_message();
        for (number, block) in (0..).zip(response.output.message.content) {
            self.handle_block(number, block);
            self.end_block(number);
        }
        self.stop_message(MessageStop {
            stop_reason: response.stop_reason,
            additional_model_response_fields: response.additional_model_response_fields,
        })?;
        let ConverseResponse { usage, trace, service_tier, .. } = response;
        self.handle_metadata(Metadata { usage, trace, service_tier });
        Ok(())
    }

    fn handle_block(&mut self, number: u64, block: Block<'_>) {
        if let Some(text) = block.text {
            self.add_text(text);
        }
        if let Some(ToolUse { tool_use_id, name, input }) = block.tool_use {
            self.start_tool_call(number, tool_use_id, name);
            self.add_arguments(number, input.get().to_owned());
        }
        if let Some(reasoning) = block.reasoning_content {
            if let Some(ReasoningText { text, signature }) = reasoning.reasoning_text {
                self.add_reasoning(number, text, &signature);
            }
            if let Some(data) = reasoning.redacted_content {
                self.add_redacted(number, &data);
            }
        }
        if let Some(CitationsContent { content, citations }) = block.citations_content {
            content.into_iter().for_each(|cited| self.add_text(cited.text));
            citations.into_iter().for_each(|citation| self.add_citation(citation));
        }
    }
}
