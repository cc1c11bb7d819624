//! An answer that comes in one piece, told as if it came step by step (`docs/reference/bedrock.md`, "Converse response").

use super::{
    events::{Events, Unread},
    wire::{Cited, MessageStop, Metadata},
};
use serde::Deserialize;
use serde_json::value::RawValue;

/// What Converse answers.
#[derive(Deserialize)]
pub struct Whole<'a> {
    #[serde(borrow)]
    output: Output<'a>,
    #[serde(flatten)]
    stop: MessageStop,
    #[serde(flatten)]
    metadata: Metadata,
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
    reasoning_content: Option<Reasoning>,
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
struct Reasoning {
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
    citations: Vec<Cited>,
}

#[derive(Deserialize)]
struct CitedText {
    #[serde(default)]
    text: String,
}

impl Events {
    /// Tells the whole answer in this JSON text.
    pub fn tell_whole(&mut self, json: &[u8]) -> Result<(), Unread> {
        let unread = |_| Unread::Payload("answer".into());
        let Whole { output, stop, metadata } = serde_json::from_slice(json).map_err(unread)?;
        self.begin();
        for (number, block) in (0..).zip(output.message.content) {
            self.whole_block(number, block);
            self.end(number);
        }
        self.finish(stop)?;
        self.beside(metadata);
        Ok(())
    }

    fn whole_block(&mut self, number: u64, block: Block<'_>) {
        if let Some(text) = block.text {
            self.text(text);
        }
        if let Some(ToolUse { tool_use_id, name, input }) = block.tool_use {
            self.call(number, tool_use_id, name);
            self.arguments(number, input.get().to_owned());
        }
        if let Some(Reasoning { reasoning_text, redacted_content }) = block.reasoning_content {
            if let Some(ReasoningText { text, signature }) = reasoning_text {
                self.reason(number, text, &signature);
            }
            if let Some(data) = redacted_content {
                self.redact(number, &data);
            }
        }
        if let Some(CitationsContent { content, citations }) = block.citations_content {
            content.into_iter().for_each(|cited| self.text(cited.text));
            citations.into_iter().for_each(|cited| self.cite(cited));
        }
    }
}
