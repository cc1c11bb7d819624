//! What a model answers: blocks of text, reasoning and tool calls, cut into the deltas it streams them in.

use crate::event::{Event, Events};
use crate::prompt_cache::Cached;
use crate::usage::Usage;
use futures_util::{StreamExt as _, stream};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// A model's whole answer, built block by block.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    blocks: Vec<Block>,
    stop: Option<String>,
    usage: Option<Usage>,
    metadata: Map<String, Value>,
    interleaved: bool,
    response_fields: Option<Value>,
}

#[derive(Clone, Debug)]
struct Block {
    index: usize,
    start: Option<Value>,
    deltas: Vec<Value>,
}

impl Answer {
    /// An answer without blocks, to build upon.
    pub fn new() -> Self {
        Self::default()
    }

    /// An answer of one text block.
    pub fn says<T: Into<String>>(deltas: impl IntoIterator<Item = T>) -> Self {
        Self::new().text(deltas)
    }

    /// Adds a text block, streamed in these deltas.
    #[must_use]
    pub fn text<T: Into<String>>(self, deltas: impl IntoIterator<Item = T>) -> Self {
        let deltas = deltas.into_iter().map(|delta| json!({ "text": delta.into() })).collect();
        self.block(None, deltas)
    }

    /// Adds a text block that names its sources, each a `Citation` of Converse, told after the text.
    #[must_use]
    pub fn cited<T: Into<String>>(
        self,
        deltas: impl IntoIterator<Item = T>,
        citations: impl IntoIterator<Item = Value>,
    ) -> Self {
        let text = deltas.into_iter().map(|delta| json!({ "text": delta.into() }));
        let citations = citations.into_iter().map(|citation| json!({ "citation": citation }));
        let deltas = text.chain(citations).collect();
        self.block(None, deltas)
    }

    /// Adds reasoning, streamed in these deltas and then signed (unless the signature is empty).
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

    /// Adds reasoning that the provider has hidden.
    #[must_use]
    pub fn redacted(self, content: &[u8]) -> Self {
        let content = aws_smithy_types::base64::encode(content);
        self.block(None, vec![json!({ "reasoningContent": { "redactedContent": content } })])
    }

    /// Adds a tool call, its input streamed in these fragments of JSON.
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

    /// Moves the block added last to this index, so that indexes have gaps.
    #[must_use]
    pub fn at(mut self, index: usize) -> Self {
        if let Some(block) = self.blocks.last_mut() {
            block.index = index;
        }
        self
    }

    /// Streams the blocks' deltas in turns instead of one block after the other.
    #[must_use]
    pub fn interleaved(self) -> Self {
        Self { interleaved: true, ..self }
    }

    /// Ends for this reason. Without it: `tool_use` when a tool is called, else `end_turn`.
    #[must_use]
    pub fn stop(self, reason: &str) -> Self {
        Self { stop: Some(reason.to_owned()), ..self }
    }

    /// Costs this much. Without it: little, and what the prompt cache makes of the call's cache points.
    #[must_use]
    pub fn usage(self, usage: Usage) -> Self {
        Self { usage: Some(usage), ..self }
    }

    /// Tells this besides the usage: a guardrail's `trace`, the `serviceTier`, the `performanceConfig`.
    ///
    /// The last two repeat the call's own unless they are told here.
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

    fn block(mut self, start: Option<Value>, deltas: Vec<Value>) -> Self {
        let index = self.blocks.last().map_or(0, |block| block.index + 1);
        self.blocks.push(Block { index, start, deltas });
        self
    }

    /// The same, at the price the prompt cache makes unless one was given.
    pub(crate) fn cached(self, cached: Option<Cached>) -> Self {
        Self { usage: Some(self.usage.unwrap_or_else(|| Usage::default().cached(cached))), ..self }
    }

    /// The same, told in the tier and at the latency that were asked for.
    pub(crate) fn echoing(mut self, body: &Value) -> Self {
        for name in ["serviceTier", "performanceConfig"] {
            if let Some(asked) = body.get(name) {
                self.metadata.entry(name).or_insert_with(|| asked.clone());
            }
        }
        self
    }

    /// Its signatures, each with the thought it signs.
    pub(crate) fn signed(&self) -> impl Iterator<Item = (String, String)> {
        self.blocks.iter().filter_map(|block| {
            let parts = || block.deltas.iter().map(|delta| &delta["reasoningContent"]);
            let signature = parts().find_map(|part| part["signature"].as_str())?;
            let thought = parts().filter_map(|part| part["text"].as_str()).collect();
            Some((signature.to_owned(), thought))
        })
    }

    /// The events of this answer, each delta this long after the one before.
    pub(crate) fn stream(self, pace: Duration) -> Events {
        let paced = move |event: Event| async move {
            if event.is_delta() && !pace.is_zero() {
                tokio::time::sleep(pace).await;
            }
            Ok(event)
        };
        stream::iter(self.events()).then(paced).boxed()
    }

    pub(crate) fn events(self) -> Vec<Event> {
        let mut stop = json!({ "stopReason": self.stop_reason() });
        if let Some(fields) = &self.response_fields {
            stop["additionalModelResponseFields"] = fields.clone();
        }
        let usage = self.usage.unwrap_or_default().wire();
        let mut metadata = json!({ "usage": usage, "metrics": { "latencyMs": 42 } });
        for (name, value) in &self.metadata {
            metadata[name] = value.clone();
        }
        let mut events = vec![Event::new("messageStart", json!({ "role": "assistant" }))];
        events.extend(if self.interleaved { woven(&self.blocks) } else { in_order(&self.blocks) });
        events.extend([Event::new("messageStop", stop), Event::new("metadata", metadata)]);
        events
    }

    fn stop_reason(&self) -> &str {
        let calls = self.blocks.iter().any(|block| block.start.is_some());
        self.stop.as_deref().unwrap_or(if calls { "tool_use" } else { "end_turn" })
    }
}

fn in_order(blocks: &[Block]) -> Vec<Event> {
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

fn woven(blocks: &[Block]) -> Vec<Event> {
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
    // Bedrock opens tool blocks only: text and reasoning begin with their first delta.
    fn opening(&self) -> Option<Event> {
        let start = self.start.as_ref()?;
        Some(Event::new(
            "contentBlockStart",
            json!({ "start": start, "contentBlockIndex": self.index }),
        ))
    }

    fn delta(&self, delta: &Value) -> Event {
        Event::new("contentBlockDelta", json!({ "delta": delta, "contentBlockIndex": self.index }))
    }

    fn end(&self) -> Event {
        Event::new("contentBlockStop", json!({ "contentBlockIndex": self.index }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(answer: Answer) -> Vec<String> {
        answer
            .events()
            .iter()
            .map(|event| format!("{} {}", event.name, event.payload["contentBlockIndex"]))
            .collect()
    }

    #[test]
    fn only_tool_blocks_are_opened() {
        let answer = Answer::says(["Let me look"]).tool("t1", "clock", ["{}"]);
        let opened: Vec<_> =
            answer.events().into_iter().filter(|event| event.name == "contentBlockStart").collect();
        assert_eq!(opened.len(), 1);
        assert_eq!(opened[0].payload["contentBlockIndex"], 1);
    }

    #[test]
    fn blocks_can_take_turns_and_skip_indexes() {
        let answer = Answer::says(["a", "b"]).tool("t1", "clock", ["{", "}"]).at(4).interleaved();
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
            (Answer::says(["a"]), "end_turn"),
            (Answer::new().tool("t", "clock", ["{}"]), "tool_use"),
            (Answer::says(["a"]).stop("max_tokens"), "max_tokens"),
        ] {
            assert_eq!(answer.stop_reason(), reason);
        }
    }
}
