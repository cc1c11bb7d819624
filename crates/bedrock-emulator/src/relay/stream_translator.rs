//! Translates an OpenAI stream to Bedrock's events.

use crate::event::StreamEvent;
use crate::usage::TokenUsage;
use serde_json::{Value, json};

/// The state of the translation: the open block, the stop reason and the usage.
#[derive(Debug, Default)]
pub(super) struct StreamTranslator {
    has_started: bool,
    open: Option<OpenBlock>,
    block_count: usize,
    stop: Option<&'static str>,
    usage: TokenUsage,
}

/// The content block that is being written: its kind, and the number of its tool call.
#[derive(Clone, Copy, Debug, PartialEq)]
enum OpenBlock {
    Text,
    Reasoning,
    Tool(u64),
}

impl StreamTranslator {
    /// Translates a chunk.
    pub(super) fn translate(&mut self, chunk: &Value) -> Vec<StreamEvent> {
        if let (Some(input), Some(output)) =
            (chunk["usage"]["prompt_tokens"].as_u64(), chunk["usage"]["completion_tokens"].as_u64())
        {
            self.usage = TokenUsage { input, output, ..TokenUsage::default() };
        }
        let (choice, delta) = (&chunk["choices"][0], &chunk["choices"][0]["delta"]);
        let mut events = self.start_once();
        let reasoning = delta["reasoning_content"].as_str().or(delta["reasoning"].as_str());
        for (part, text) in
            [(OpenBlock::Reasoning, reasoning), (OpenBlock::Text, delta["content"].as_str())]
        {
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                events.extend(self.switch_to(part, None));
                events.push(self.delta(&part.delta(text)));
            }
        }
        events.extend(
            delta["tool_calls"]
                .as_array()
                .into_iter()
                .flatten()
                .flat_map(|call| self.translate_tool_call(call)),
        );
        self.stop = choice["finish_reason"].as_str().map(stop_reason).or(self.stop);
        events
    }

    /// Returns the events at the end of the stream.
    pub(super) fn finish(&mut self) -> Vec<StreamEvent> {
        let mut events = self.start_once();
        events.extend(self.close_block());
        let stop = self.stop.unwrap_or("end_turn");
        events.push(StreamEvent::new("messageStop", json!({ "stopReason": stop })));
        events.push(StreamEvent::new(
            "metadata",
            json!({ "usage": self.usage.to_json(), "metrics": { "latencyMs": 42 } }),
        ));
        events
    }

    fn start_once(&mut self) -> Vec<StreamEvent> {
        let first = !std::mem::replace(&mut self.has_started, true);
        first
            .then(|| StreamEvent::new("messageStart", json!({ "role": "assistant" })))
            .into_iter()
            .collect()
    }

    fn translate_tool_call(&mut self, call: &Value) -> Vec<StreamEvent> {
        let part = OpenBlock::Tool(call["index"].as_u64().unwrap_or(0));
        let id = call["id"]
            .as_str()
            .map_or_else(|| format!("tooluse_{}", self.block_count), str::to_owned);
        let start = json!({ "toolUse": { "toolUseId": id, "name": call["function"]["name"] } });
        let mut events = self.switch_to(part, Some(start));
        if let Some(fragment) =
            call["function"]["arguments"].as_str().filter(|fragment| !fragment.is_empty())
        {
            events.push(self.delta(&part.delta(fragment)));
        }
        events
    }

    fn switch_to(&mut self, part: OpenBlock, start: Option<Value>) -> Vec<StreamEvent> {
        if self.open == Some(part) {
            return Vec::new();
        }
        let mut events = self.close_block();
        self.open = Some(part);
        self.block_count += 1;
        events.extend(start.map(|start| {
            StreamEvent::new(
                "contentBlockStart",
                json!({ "start": start, "contentBlockIndex": self.index() }),
            )
        }));
        events
    }

    fn close_block(&mut self) -> Vec<StreamEvent> {
        let end = self.open.take().map(|_| {
            StreamEvent::new("contentBlockStop", json!({ "contentBlockIndex": self.index() }))
        });
        end.into_iter().collect()
    }

    /// Returns an event `contentBlockDelta` of the open block.
    fn delta(&self, delta: &Value) -> StreamEvent {
        StreamEvent::new(
            "contentBlockDelta",
            json!({ "delta": delta, "contentBlockIndex": self.index() }),
        )
    }

    fn index(&self) -> usize {
        self.block_count.saturating_sub(1)
    }
}

impl OpenBlock {
    /// Returns a text as a delta of a block of this kind.
    fn delta(self, text: &str) -> Value {
        match self {
            Self::Text => json!({ "text": text }),
            Self::Reasoning => json!({ "reasoningContent": { "text": text } }),
            Self::Tool(_) => json!({ "toolUse": { "input": text } }),
        }
    }
}

fn stop_reason(reason: &str) -> &'static str {
    match reason {
        "tool_calls" => "tool_use",
        "length" => "max_tokens",
        "content_filter" => "content_filtered",
        _ => "end_turn",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::fold;
    use futures_util::{StreamExt as _, stream};

    #[tokio::test]
    async fn chunks_become_the_blocks_they_speak_of() {
        let delta = |delta: Value| json!({ "choices": [{ "delta": delta }] });
        let mut stream_translator = StreamTranslator::default();
        let mut events: Vec<_> = [
            delta(json!({ "role": "assistant", "content": "" })),
            delta(json!({ "reasoning_content": "Hm." })),
            delta(json!({ "content": "Let me " })),
            delta(json!({ "content": "look." })),
            delta(json!({ "tool_calls": [{ "index": 0, "id": "c1", "function": { "name": "clock", "arguments": "" } }] })),
            delta(json!({ "tool_calls": [{ "index": 0, "function": { "arguments": "{\"zone\":\"UTC\"}" } }] })),
            json!({ "choices": [{ "delta": {}, "finish_reason": "tool_calls" }] }),
            json!({ "choices": [], "usage": { "prompt_tokens": 7, "completion_tokens": 3 } }),
        ]
        .iter()
        .flat_map(|chunk| stream_translator.translate(chunk))
        .collect();
        events.extend(stream_translator.finish());
        let whole = fold(stream::iter(events).map(Ok).boxed()).await.unwrap();
        assert_eq!(
            whole["output"]["message"]["content"],
            json!([
                { "reasoningContent": { "reasoningText": { "text": "Hm." } } },
                { "text": "Let me look." },
                { "toolUse": { "toolUseId": "c1", "name": "clock", "input": { "zone": "UTC" } } },
            ])
        );
        assert_eq!(
            (&whole["stopReason"], &whole["usage"]["totalTokens"]),
            (&json!("tool_use"), &json!(10))
        );
    }
}
