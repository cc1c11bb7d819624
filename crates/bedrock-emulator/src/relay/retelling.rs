//! An OpenAI stream, told again in Bedrock's events.

use crate::event::Event;
use crate::usage::Usage;
use serde_json::{Value, json};

/// How far the retelling has come: which block is open, and what its end will say.
#[derive(Debug, Default)]
pub(super) struct Retelling {
    begun: bool,
    open: Option<Part>,
    blocks: usize,
    stop: Option<&'static str>,
    usage: Usage,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    Text,
    Reasoning,
    Tool(u64),
}

impl Retelling {
    /// The events one chunk amounts to.
    pub(super) fn tell(&mut self, chunk: &Value) -> Vec<Event> {
        if let (Some(input), Some(output)) =
            (chunk["usage"]["prompt_tokens"].as_u64(), chunk["usage"]["completion_tokens"].as_u64())
        {
            self.usage = Usage { input, output, ..Usage::default() };
        }
        let (choice, delta) = (&chunk["choices"][0], &chunk["choices"][0]["delta"]);
        let mut events = self.beginning();
        let reasoning = delta["reasoning_content"].as_str().or(delta["reasoning"].as_str());
        for (part, text) in [(Part::Reasoning, reasoning), (Part::Text, delta["content"].as_str())]
        {
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                events.extend(self.turn_to(part, None));
                events.push(self.delta(&part.delta(text)));
            }
        }
        events.extend(
            delta["tool_calls"].as_array().into_iter().flatten().flat_map(|call| self.call(call)),
        );
        self.stop = choice["finish_reason"].as_str().map(stop_reason).or(self.stop);
        events
    }

    /// The events the end amounts to.
    pub(super) fn end(&mut self) -> Vec<Event> {
        let mut events = self.beginning();
        events.extend(self.close());
        let stop = self.stop.unwrap_or("end_turn");
        events.push(Event::new("messageStop", json!({ "stopReason": stop })));
        events.push(Event::new(
            "metadata",
            json!({ "usage": self.usage.wire(), "metrics": { "latencyMs": 42 } }),
        ));
        events
    }

    fn beginning(&mut self) -> Vec<Event> {
        let first = !std::mem::replace(&mut self.begun, true);
        first
            .then(|| Event::new("messageStart", json!({ "role": "assistant" })))
            .into_iter()
            .collect()
    }

    fn call(&mut self, call: &Value) -> Vec<Event> {
        let part = Part::Tool(call["index"].as_u64().unwrap_or(0));
        let id =
            call["id"].as_str().map_or_else(|| format!("tooluse_{}", self.blocks), str::to_owned);
        let start = json!({ "toolUse": { "toolUseId": id, "name": call["function"]["name"] } });
        let mut events = self.turn_to(part, Some(start));
        if let Some(fragment) =
            call["function"]["arguments"].as_str().filter(|fragment| !fragment.is_empty())
        {
            events.push(self.delta(&part.delta(fragment)));
        }
        events
    }

    fn turn_to(&mut self, part: Part, start: Option<Value>) -> Vec<Event> {
        if self.open == Some(part) {
            return Vec::new();
        }
        let mut events = self.close();
        self.open = Some(part);
        self.blocks += 1;
        events.extend(start.map(|start| {
            Event::new(
                "contentBlockStart",
                json!({ "start": start, "contentBlockIndex": self.index() }),
            )
        }));
        events
    }

    fn close(&mut self) -> Vec<Event> {
        let end = self
            .open
            .take()
            .map(|_| Event::new("contentBlockStop", json!({ "contentBlockIndex": self.index() })));
        end.into_iter().collect()
    }

    fn delta(&self, delta: &Value) -> Event {
        Event::new(
            "contentBlockDelta",
            json!({ "delta": delta, "contentBlockIndex": self.index() }),
        )
    }

    fn index(&self) -> usize {
        self.blocks.saturating_sub(1)
    }
}

impl Part {
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
        let mut retelling = Retelling::default();
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
        .flat_map(|chunk| retelling.tell(chunk))
        .collect();
        events.extend(retelling.end());
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
