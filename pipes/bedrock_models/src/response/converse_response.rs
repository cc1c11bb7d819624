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
    input: Option<&'a RawValue>,
}

impl ToolUse<'_> {
    /// Returns the text of the arguments. The service's model says "any JSON" of them, and nothing
    /// of what is there when the answer was cut within them: text stands for itself then.
    fn arguments(&self) -> String {
        let json = self.input.map(RawValue::get).unwrap_or_default();
        match json.trim_start().as_bytes().first() {
            Some(b'"') => serde_json::from_str(json).unwrap_or_default(),
            Some(b'{') => json.to_owned(),
            _ => String::new(),
        }
    }
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
        if let Some(tool_use) = block.tool_use {
            let arguments = tool_use.arguments();
            self.start_tool_call(number, tool_use.tool_use_id, tool_use.name);
            self.add_arguments(number, arguments);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{request::ResponseOptions, valves::ReasoningOutput};
    use serde_json::json;

    #[test]
    fn a_truncated_call_is_sent_whatever_its_input_is() {
        let whole = |tool_use: Value| {
            json!({
                "output": {"message": {"role": "assistant", "content": [{"toolUse": tool_use}]}},
                "stopReason": "max_tokens",
            })
        };
        for (input, arguments) in [
            (Some(json!({})), "{}"),
            (Some(json!({"city": "Li"})), r#"{"city":"Li"}"#),
            (Some(json!(r#"{"city": "Li"#)), r#"{"city": "Li"#),
            (Some(json!("")), "{}"),
            (Some(Value::Null), "{}"),
            (None, "{}"),
        ] {
            let mut tool_use = json!({"toolUseId": "t", "name": "f"});
            if let Some(input) = &input {
                tool_use["input"] = input.clone();
            }
            let mut handler =
                EventHandler::new(ResponseOptions::default(), ReasoningOutput::default());
            handler.handle_response(whole(tool_use).to_string().as_bytes()).unwrap();
            let chunks = std::iter::from_fn(|| handler.next_chunk());
            let given: String = chunks
                .filter_map(|chunk| match chunk {
                    Chunk::ToolCall(delta) => Some(delta.arguments),
                    _ => None,
                })
                .collect();
            assert_eq!(given, arguments, "{input:?}");
        }
    }
}
