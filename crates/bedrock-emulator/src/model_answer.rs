//! The answer of a model: blocks of text, reasoning and tool calls, each split into stream deltas.

use crate::event::{AnswerStream, StreamEvent};
use crate::prompt_cache::CachedTokens;
use crate::usage::TokenUsage;
use futures_util::{StreamExt as _, stream};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// The answer of a model, built block by block.
#[derive(Clone, Debug, Default)]
pub struct ModelAnswer {
    blocks: Vec<Block>,
    stop: Option<String>,
    usage: Option<TokenUsage>,
    metadata: Map<String, Value>,
    interleaved: bool,
    response_fields: Option<Value>,
}

/// A content block.
#[derive(Clone, Debug)]
struct Block {
    index: usize,
    start: Option<Value>,
    deltas: Vec<Value>,
}

impl ModelAnswer {
    /// Creates an answer without blocks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates an answer with one text block, streamed in these deltas.
    pub fn with_text<T: Into<String>>(deltas: impl IntoIterator<Item = T>) -> Self {
        Self::new().text(deltas)
    }

    /// Adds a text block, streamed in these deltas.
    #[must_use]
    pub fn text<T: Into<String>>(self, deltas: impl IntoIterator<Item = T>) -> Self {
        let deltas = deltas.into_iter().map(|delta| json!({ "text": delta.into() })).collect();
        self.block(None, deltas)
    }

    /// Adds a text block with sources (each a `Citation` of Converse), streamed after the text.
    #[must_use]
    pub fn text_with_citations<T: Into<String>>(
        self,
        deltas: impl IntoIterator<Item = T>,
        citations: impl IntoIterator<Item = Value>,
    ) -> Self {
        let text = deltas.into_iter().map(|delta| json!({ "text": delta.into() }));
        let citations = citations.into_iter().map(|citation| json!({ "citation": citation }));
        let deltas = text.chain(citations).collect();
        self.block(None, deltas)
    }

    /// Adds reasoning, streamed in these deltas, and its signature unless that is empty.
    #[must_use]
    pub fn reasoning<T: Into<String>>(
        self,
        deltas: impl IntoIterator<Item = T>,
        signature: &str,
    ) -> Self {
        let text = deltas.into_iter().map(|delta| json!({ "text": delta.into() }));
        let signed = (!signature.is_empty()).then(|| json!({ "signature": signature }));
        let deltas = text.chain(signed).map(|part| json!({ "reasoningContent": part })).collect();
        self.block(None, deltas)
    }

    /// Adds reasoning that the provider has encrypted (`redactedContent`).
    #[must_use]
    pub fn redacted(self, content: &[u8]) -> Self {
        let content = aws_smithy_types::base64::encode(content);
        self.block(None, vec![json!({ "reasoningContent": { "redactedContent": content } })])
    }

    /// Adds a tool call, with its input streamed in these fragments of JSON.
    #[must_use]
    pub fn tool<T: Into<String>>(
        self,
        id: &str,
        name: &str,
        fragments: impl IntoIterator<Item = T>,
    ) -> Self {
        let start = json!({ "toolUse": { "toolUseId": id, "name": name } });
        let deltas = fragments
            .into_iter()
            .map(|part| json!({ "toolUse": { "input": part.into() } }))
            .collect();
        self.block(Some(start), deltas)
    }

    /// Sets the index of the last block, for example to leave a gap.
    #[must_use]
    pub fn at_index(mut self, index: usize) -> Self {
        if let Some(block) = self.blocks.last_mut() {
            block.index = index;
        }
        self
    }

    /// Streams the deltas of all blocks alternately instead of one block after the other.
    #[must_use]
    pub fn interleaved(self) -> Self {
        Self { interleaved: true, ..self }
    }

    /// Sets the stop reason. The default is `tool_use` if a tool is called, else `end_turn`.
    #[must_use]
    pub fn stop(self, reason: &str) -> Self {
        Self { stop: Some(reason.to_owned()), ..self }
    }

    /// Sets the usage. The default is a few tokens, and those of the prompt cache.
    #[must_use]
    pub fn usage(self, usage: TokenUsage) -> Self {
        Self { usage: Some(usage), ..self }
    }

    /// Adds a member of the metadata event: a guardrail's `trace`, the `serviceTier`, the
    /// `performanceConfig`.
    ///
    /// The last two default to those of the request.
    #[must_use]
    pub fn metadata(mut self, name: &str, value: Value) -> Self {
        self.metadata.insert(name.to_owned(), value);
        self
    }

    /// Adds `additionalModelResponseFields`.
    #[must_use]
    pub fn response_fields(self, fields: Value) -> Self {
        Self { response_fields: Some(fields), ..self }
    }

    /// Appends a content block.
    fn block(mut self, start: Option<Value>, deltas: Vec<Value>) -> Self {
        let index = self.blocks.last().map_or(0, |block| block.index + 1);
        self.blocks.push(Block { index, start, deltas });
        self
    }

    /// Sets the usage by the prompt cache, unless it is set already.
    pub(crate) fn with_cached_tokens(self, cached: Option<CachedTokens>) -> Self {
        Self {
            usage: Some(
                self.usage.unwrap_or_else(|| TokenUsage::default().with_cached_tokens(cached)),
            ),
            ..self
        }
    }

    /// Sets the service tier and the latency of the request, unless they are set already.
    pub(crate) fn with_request_metadata(mut self, body: &Value) -> Self {
        for name in ["serviceTier", "performanceConfig"] {
            if let Some(asked) = body.get(name) {
                self.metadata.entry(name).or_insert_with(|| asked.clone());
            }
        }
        self
    }

    /// Returns the signatures, each with the reasoning text that it signs.
    pub(crate) fn signatures(&self) -> impl Iterator<Item = (String, String)> {
        self.blocks.iter().filter_map(|block| {
            let parts = || block.deltas.iter().map(|delta| &delta["reasoningContent"]);
            let signature = parts().find_map(|part| part["signature"].as_str())?;
            let thought = parts().filter_map(|part| part["text"].as_str()).collect();
            Some((signature.to_owned(), thought))
        })
    }

    /// Returns the events as a stream, with a pause of `pace` before each delta.
    pub(crate) fn stream(self, pace: Duration) -> AnswerStream {
        let paced = move |event: StreamEvent| async move {
            if event.is_delta() && !pace.is_zero() {
                tokio::time::sleep(pace).await;
            }
            Ok(event)
        };
        stream::iter(self.events()).then(paced).boxed()
    }

    /// Returns the events of the answer.
    pub(crate) fn events(self) -> Vec<StreamEvent> {
        let mut stop = json!({ "stopReason": self.stop_reason() });
        if let Some(fields) = &self.response_fields {
            stop["additionalModelResponseFields"] = fields.clone();
        }
        let usage = self.usage.unwrap_or_default().to_json();
        let mut metadata = json!({ "usage": usage, "metrics": { "latencyMs": 42 } });
        for (name, value) in &self.metadata {
            metadata[name] = value.clone();
        }
        let mut events = vec![StreamEvent::new("messageStart", json!({ "role": "assistant" }))];
        events.extend(if self.interleaved {
            interleave(&self.blocks)
        } else {
            in_order(&self.blocks)
        });
        events.extend([
            StreamEvent::new("messageStop", stop),
            StreamEvent::new("metadata", metadata),
        ]);
        events
    }

    fn stop_reason(&self) -> &str {
        let calls = self.blocks.iter().any(|block| block.start.is_some());
        self.stop.as_deref().unwrap_or(if calls { "tool_use" } else { "end_turn" })
    }
}

/// Returns the events of several blocks, one block after the other.
fn in_order(blocks: &[Block]) -> Vec<StreamEvent> {
    blocks
        .iter()
        .flat_map(|block| {
            block
                .opening()
                .into_iter()
                .chain(block.deltas.iter().map(|delta| block.delta(delta)))
                .chain([block.end()])
        })
        .collect()
}

/// Returns the events of several blocks, whose deltas come by turns.
fn interleave(blocks: &[Block]) -> Vec<StreamEvent> {
    let rounds = blocks.iter().map(|block| block.deltas.len()).max().unwrap_or(0);
    let turns = (0..rounds).flat_map(|round| {
        blocks
            .iter()
            .filter_map(move |block| block.deltas.get(round).map(|delta| block.delta(delta)))
    });
    blocks
        .iter()
        .filter_map(Block::opening)
        .chain(turns)
        .chain(blocks.iter().map(Block::end))
        .collect()
}

impl Block {
    // Bedrock sends a start event only for tool blocks. Text and reasoning begin with their first
    // delta.
    /// Returns the event `contentBlockStart`, if the block has one.
    fn opening(&self) -> Option<StreamEvent> {
        let start = self.start.as_ref()?;
        Some(StreamEvent::new(
            "contentBlockStart",
            json!({ "start": start, "contentBlockIndex": self.index }),
        ))
    }

    /// Returns an event `contentBlockDelta`.
    fn delta(&self, delta: &Value) -> StreamEvent {
        StreamEvent::new(
            "contentBlockDelta",
            json!({ "delta": delta, "contentBlockIndex": self.index }),
        )
    }

    /// Returns the event `contentBlockStop`.
    fn end(&self) -> StreamEvent {
        StreamEvent::new("contentBlockStop", json!({ "contentBlockIndex": self.index }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(answer: ModelAnswer) -> Vec<String> {
        answer
            .events()
            .iter()
            .map(|event| format!("{} {}", event.name, event.payload["contentBlockIndex"]))
            .collect()
    }

    #[test]
    fn only_tool_blocks_are_opened() {
        let answer = ModelAnswer::with_text(["Let me look"]).tool("t1", "clock", ["{}"]);
        let opened: Vec<_> =
            answer.events().into_iter().filter(|event| event.name == "contentBlockStart").collect();
        assert_eq!(opened.len(), 1);
        assert_eq!(opened[0].payload["contentBlockIndex"], 1);
    }

    #[test]
    fn blocks_can_take_turns_and_skip_indexes() {
        let answer = ModelAnswer::with_text(["a", "b"])
            .tool("t1", "clock", ["{", "}"])
            .at_index(4)
            .interleaved();
        assert_eq!(
            shape(answer),
            [
                "messageStart null",
                "contentBlockStart 4",
                "contentBlockDelta 0",
                "contentBlockDelta 4",
                "contentBlockDelta 0",
                "contentBlockDelta 4",
                "contentBlockStop 0",
                "contentBlockStop 4",
                "messageStop null",
                "metadata null"
            ]
        );
    }

    #[test]
    fn the_stop_reason_follows_from_the_blocks_unless_given() {
        for (answer, reason) in [
            (ModelAnswer::with_text(["a"]), "end_turn"),
            (ModelAnswer::new().tool("t", "clock", ["{}"]), "tool_use"),
            (ModelAnswer::with_text(["a"]).stop("max_tokens"), "max_tokens"),
        ] {
            assert_eq!(answer.stop_reason(), reason);
        }
    }
}
