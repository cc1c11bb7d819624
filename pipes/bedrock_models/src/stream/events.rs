//! What the events of an answer mean, one chunk at most for each (bedrock.md §1.3, §1.4, §2.5).

use super::{Frame, Kind};
use crate::{error::Complaint, names::Names};
use pipe_sdk::{Chunk, FinishReason, ToolCallDelta, Usage};
use serde::Deserialize;

/// Reads one answer's events in their order.
#[derive(Debug, Default)]
pub struct Events {
    names: Names,
    muted: bool,
    calls: Vec<Call>,
    stopped: bool,
}

/// A tool call under way.
#[derive(Debug)]
struct Call {
    /// Bedrock's number of the block. Numbers may have gaps, and blocks may be interleaved.
    block: u64,
    /// Whether no argument has come yet.
    bare: bool,
}

/// Why an event cannot be told.
#[derive(Debug, PartialEq)]
pub enum Unread {
    /// It is a failure of the service.
    Complaint(Complaint),
    /// Its payload is not what the service's model says. The event's name.
    Payload(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockDelta {
    #[serde(default)]
    content_block_index: u64,
    delta: Delta,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Delta {
    text: Option<String>,
    tool_use: Option<ToolInput>,
    reasoning_content: Option<Reasoning>,
}

#[derive(Deserialize)]
struct ToolInput {
    #[serde(default)]
    input: String,
}

#[derive(Deserialize)]
struct Reasoning {
    text: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockStart {
    #[serde(default)]
    content_block_index: u64,
    #[serde(default)]
    start: Start,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Start {
    tool_use: Option<ToolStart>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolStart {
    tool_use_id: String,
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BlockStop {
    #[serde(default)]
    content_block_index: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MessageStop {
    stop_reason: String,
}

#[derive(Deserialize)]
struct Metadata {
    usage: Option<Tokens>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Tokens {
    input_tokens: u64,
    output_tokens: u64,
    cache_read_input_tokens: Option<u64>,
    cache_write_input_tokens: Option<u64>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Exception {
    #[serde(alias = "Message")]
    message: String,
    original_status_code: u16,
}

impl Events {
    /// The events of an answer to a request with these tool names; `muted` drops tool calls that were not asked for.
    pub fn new(names: Names, muted: bool) -> Self {
        Self { names, muted, ..Self::default() }
    }

    /// Whether the model has ended its message.
    pub fn stopped(&self) -> bool {
        self.stopped
    }

    /// What this frame adds to the answer. Events that are not known add nothing.
    pub fn tell(&mut self, frame: &Frame<'_>) -> Result<Option<Chunk>, Unread> {
        match frame.kind {
            Kind::Event => self.event(frame),
            Kind::Exception => Err(Unread::Complaint(exception(frame))),
            Kind::Error => {
                Err(Unread::Complaint(Complaint::in_stream(frame.name, frame.said, 500)))
            }
        }
    }

    fn event(&mut self, frame: &Frame<'_>) -> Result<Option<Chunk>, Unread> {
        Ok(match frame.name {
            "contentBlockDelta" => self.delta(payload(frame)?),
            "contentBlockStart" => self.start(payload(frame)?),
            "contentBlockStop" => self.stop(&payload(frame)?),
            "messageStart" => Some(Chunk::Role),
            "messageStop" => Some(Chunk::Finish(self.finish(&payload(frame)?))),
            "metadata" => {
                payload::<Metadata>(frame)?.usage.map(|tokens| Chunk::Usage(tokens.into()))
            }
            _ => None,
        })
    }

    fn delta(&mut self, delta: BlockDelta) -> Option<Chunk> {
        let BlockDelta { content_block_index, delta } = delta;
        if let Some(text) = delta.text {
            return filled(text).map(Chunk::Content);
        }
        if let Some(tool) = delta.tool_use {
            return self.arguments(content_block_index, tool.input);
        }
        delta.reasoning_content?.text.and_then(filled).map(Chunk::Reasoning)
    }

    fn start(&mut self, start: BlockStart) -> Option<Chunk> {
        let tool = start.start.tool_use.filter(|_| !self.muted)?;
        let index = self.calls.len();
        self.calls.push(Call { block: start.content_block_index, bare: true });
        Some(Chunk::ToolCall(ToolCallDelta {
            index,
            id: Some(tool.tool_use_id),
            name: Some(self.names.original(tool.name)),
            arguments: String::new(),
        }))
    }

    fn arguments(&mut self, block: u64, arguments: String) -> Option<Chunk> {
        let index = self.calls.iter().position(|call| call.block == block)?;
        let arguments = filled(arguments)?;
        self.calls[index].bare = false;
        Some(Chunk::ToolCall(ToolCallDelta { index, arguments, ..ToolCallDelta::default() }))
    }

    /// A call without arguments ends with an empty object, because clients parse what they get.
    fn stop(&mut self, stop: &BlockStop) -> Option<Chunk> {
        let ended = |call: &Call| call.block == stop.content_block_index && call.bare;
        self.calls.iter().position(ended)?;
        self.arguments(stop.content_block_index, "{}".into())
    }

    fn finish(&mut self, stop: &MessageStop) -> FinishReason {
        self.stopped = true;
        match stop.stop_reason.as_str() {
            "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
            "guardrail_intervened" | "content_filtered" | "refusal" => FinishReason::ContentFilter,
            // Some families end with `end_turn` although they call tools.
            "tool_use" | "end_turn" if !self.calls.is_empty() => FinishReason::ToolCalls,
            _ => FinishReason::Stop,
        }
    }
}

impl From<Tokens> for Usage {
    fn from(tokens: Tokens) -> Self {
        let (read, write) = (tokens.cache_read_input_tokens, tokens.cache_write_input_tokens);
        Self {
            // Bedrock counts what is read from and written to a cache apart from the rest of the prompt.
            prompt_tokens: tokens.input_tokens + read.unwrap_or(0) + write.unwrap_or(0),
            completion_tokens: tokens.output_tokens,
            cached_tokens: read,
            cache_creation_tokens: write,
            reasoning_tokens: None,
        }
    }
}

fn payload<'a, T: Deserialize<'a>>(frame: &Frame<'a>) -> Result<T, Unread> {
    serde_json::from_slice(frame.payload).map_err(|_| Unread::Payload(frame.name.to_owned()))
}

fn exception(frame: &Frame<'_>) -> Complaint {
    let said: Exception = serde_json::from_slice(frame.payload).unwrap_or_default();
    Complaint::in_stream(frame.name, &said.message, said.original_status_code)
}

fn filled(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn told(events: &mut Events, name: &str, payload: &Value) -> Result<Option<Chunk>, Unread> {
        let payload = payload.to_string();
        events.tell(&Frame { kind: Kind::Event, name, said: "", payload: payload.as_bytes() })
    }

    fn finish(events: &mut Events, reason: &str) -> Option<Chunk> {
        told(events, "messageStop", &json!({"stopReason": reason})).unwrap()
    }

    #[test]
    fn each_stop_reason_has_its_finish_reason() {
        use FinishReason::*;
        for (reason, finished) in [
            ("end_turn", Stop),
            ("stop_sequence", Stop),
            ("tool_use", Stop),
            ("max_tokens", Length),
            ("model_context_window_exceeded", Length),
            ("guardrail_intervened", ContentFilter),
            ("content_filtered", ContentFilter),
            ("malformed_tool_use", Stop),
            ("something_new", Stop),
        ] {
            let mut events = Events::default();
            assert_eq!(finish(&mut events, reason), Some(Chunk::Finish(finished)), "{reason}");
            assert!(events.stopped());
        }
    }

    #[test]
    fn an_answer_with_calls_ends_for_them_unless_it_was_cut() {
        for (reason, finished) in [
            ("tool_use", FinishReason::ToolCalls),
            ("end_turn", FinishReason::ToolCalls),
            ("max_tokens", FinishReason::Length),
        ] {
            let mut events = Events::default();
            let start = json!({"start": {"toolUse": {"toolUseId": "i", "name": "n"}}, "contentBlockIndex": 3});
            told(&mut events, "contentBlockStart", &start).unwrap();
            assert_eq!(finish(&mut events, reason), Some(Chunk::Finish(finished)));
        }
    }

    #[test]
    fn calls_that_were_forbidden_are_not_told() {
        let mut events = Events::new(Names::default(), true);
        let start =
            json!({"start": {"toolUse": {"toolUseId": "i", "name": "n"}}, "contentBlockIndex": 0});
        let delta = json!({"delta": {"toolUse": {"input": "{}"}}, "contentBlockIndex": 0});
        assert_eq!(told(&mut events, "contentBlockStart", &start), Ok(None));
        assert_eq!(told(&mut events, "contentBlockDelta", &delta), Ok(None));
        assert_eq!(finish(&mut events, "tool_use"), Some(Chunk::Finish(FinishReason::Stop)));
    }

    #[test]
    fn what_is_not_known_adds_nothing() {
        for (name, payload) in [
            ("somethingNew", json!({"a": 1})),
            ("contentBlockStart", json!({"start": {}, "contentBlockIndex": 0})),
            ("contentBlockStart", json!({"start": {"image": {"format": "png"}}})),
            ("contentBlockDelta", json!({"delta": {"citation": {}}, "contentBlockIndex": 0})),
            ("contentBlockDelta", json!({"delta": {"reasoningContent": {"signature": "s"}}})),
            ("contentBlockDelta", json!({"delta": {"text": ""}, "p": "abc"})),
            (
                "contentBlockDelta",
                json!({"delta": {"toolUse": {"input": "{"}}, "contentBlockIndex": 9}),
            ),
            ("metadata", json!({"metrics": {"latencyMs": 1}})),
        ] {
            assert_eq!(told(&mut Events::default(), name, &payload), Ok(None), "{payload}");
        }
    }

    #[test]
    fn a_payload_that_is_no_json_is_said_by_its_event() {
        let frame = Frame { kind: Kind::Event, name: "metadata", said: "", payload: b"{" };
        let unread = Events::default().tell(&frame);
        assert_eq!(unread, Err(Unread::Payload("metadata".into())));
    }
}
