//! What the events of an answer mean (`docs/reference/bedrock.md`, "Converse response" and "Stop reasons" and "Event stream").

use super::{
    Frame, Kind,
    shown::Shown,
    textual::{TextualCalls, calls_in},
    wire::{
        BlockDelta, BlockStart, BlockStop, Cited, Exception, MessageStop, Metadata, Reasoning,
        ToolStart,
    },
};
use crate::{
    converse::{Calls, Reading, SIGNED, Shape},
    valves::ReasoningOutput,
};
use aws_smithy_types::base64;
use bedrock_runtime::ServiceError;
use pipe_sdk::{
    Chunk, Citation, FinishReason, ReasoningDetail, ReasoningKind, ToolCallDelta, Usage,
};
use serde::Deserialize;
use serde_json::Value;
use std::mem;

/// Reads one answer's events in their order.
#[derive(Debug)]
pub struct Events {
    reading: Reading,
    shown: Shown,
    blocks: Vec<Block>,
    /// How many tool calls have been told.
    calls: usize,
    /// How many blocks of reasoning have ended.
    thoughts: usize,
    /// What was said before it was clear whether the answer comes as a tool's arguments.
    held: String,
    answered: bool,
    /// What may be a call that is written as text.
    textual: TextualCalls,
    thinking_tokens: Option<u64>,
    stopped: bool,
}

/// A block under way that is no plain text.
#[derive(Debug)]
struct Block {
    /// Bedrock's number of the block. Numbers may have gaps, and blocks may be interleaved.
    number: u64,
    what: What,
}

#[derive(Debug)]
enum What {
    /// A tool call, and whether no argument has come yet.
    Call { index: usize, bare: bool },
    /// The answer itself, as the arguments of a tool, and whether none has come yet.
    Answer { bare: bool },
    /// Words, and the proof that they are unchanged.
    Reasoning { text: String, signature: String },
    /// What is not shown.
    Redacted(Vec<u8>),
}

/// Why an event cannot be told.
#[derive(Debug, PartialEq)]
pub enum Unread {
    /// It is a failure of the service.
    ServiceError(ServiceError),
    /// Its payload is not what the service's model says. The event's name.
    Payload(String),
    /// The model has ended without saying anything, for this reason.
    Nothing(String),
}

impl Events {
    /// The events of an answer that is read so; reasoning is shown as the valve says.
    pub fn new(reading: Reading, reasoning: ReasoningOutput) -> Self {
        let unfenced = reading.shape == Shape::Unfenced;
        Self {
            reading,
            shown: Shown::new(reasoning, unfenced),
            blocks: Vec::new(),
            calls: 0,
            thoughts: 0,
            held: String::new(),
            answered: false,
            textual: TextualCalls::default(),
            thinking_tokens: None,
            stopped: false,
        }
    }

    /// Whether the model has ended its message.
    pub fn stopped(&self) -> bool {
        self.stopped
    }

    /// How many chunks wait to be taken.
    pub fn told(&self) -> usize {
        self.shown.told()
    }

    /// The next chunk of what was told.
    pub fn take(&mut self) -> Option<Chunk> {
        self.shown.take()
    }

    /// Takes in what this frame adds to the answer. Events that are not known add nothing.
    pub fn tell(&mut self, frame: &Frame<'_>) -> Result<(), Unread> {
        match frame.kind {
            Kind::Event => self.event(frame),
            Kind::Exception => Err(Unread::ServiceError(exception(frame))),
            Kind::Error => {
                Err(Unread::ServiceError(ServiceError::in_stream(frame.name, frame.said, 500)))
            }
        }
    }

    fn event(&mut self, frame: &Frame<'_>) -> Result<(), Unread> {
        match frame.name {
            "contentBlockDelta" => self.delta(payload(frame)?),
            "contentBlockStart" => {
                let BlockStart { content_block_index, start } = payload(frame)?;
                if let Some(ToolStart { tool_use_id, name }) = start.tool_use {
                    self.call(content_block_index, tool_use_id, name);
                }
            }
            "contentBlockStop" => self.end(payload::<BlockStop>(frame)?.content_block_index),
            "messageStart" => self.begin(),
            "messageStop" => self.finish(payload(frame)?)?,
            // The answer is whole already: what stands beside it cannot undo it.
            "metadata" => match payload(frame) {
                Ok(metadata) => self.beside(metadata),
                Err(unread) if !self.stopped => return Err(unread),
                Err(_) => {}
            },
            _ => {}
        }
        Ok(())
    }

    /// The message begins.
    pub fn begin(&mut self) {
        self.shown.chunk(Chunk::Role);
    }

    fn delta(&mut self, delta: BlockDelta) {
        let BlockDelta { content_block_index: number, delta } = delta;
        if let Some(text) = delta.text {
            self.text(text);
        } else if let Some(tool) = delta.tool_use {
            self.arguments(number, tool.input);
        } else if let Some(reasoning) = delta.reasoning_content {
            self.think(number, reasoning);
        } else if let Some(cited) = delta.citation {
            self.cite(*cited);
        }
    }

    /// More of the answer's text.
    pub fn text(&mut self, text: String) {
        if matches!(self.reading.shape, Shape::Tool(_)) && !self.answered {
            self.held.push_str(&text);
        } else if !self.answered && !self.reading.textual.is_empty() {
            let told = self.textual.pass(&text);
            self.shown.text(told);
        } else if !self.answered {
            self.shown.text(text);
        }
    }

    /// Where what was just said comes from.
    pub fn cite(&mut self, cited: Cited) {
        let url = cited.location.as_ref().and_then(|l| l["web"]["url"].as_str()).map(String::from);
        let texts: String =
            cited.source_content.into_iter().flatten().map(|source| source.text).collect();
        self.shown.chunk(Chunk::Citation(Citation {
            url: url.or(cited.source).unwrap_or_default(),
            title: cited.title.unwrap_or_default(),
            cited_text: filled(texts),
            location: cited.location,
        }));
    }

    /// A tool is called.
    pub fn call(&mut self, number: u64, id: String, name: String) {
        if matches!(self.reading.shape, Shape::Tool(answer) if answer == name) {
            if self.answered || self.calls > 0 {
                // One answer is enough, and none is wanted where the client's own tools are called.
                return;
            }
            self.answered = true;
            self.held.clear();
            self.blocks.push(Block { number, what: What::Answer { bare: true } });
            return;
        }
        let told = match self.reading.calls {
            Calls::All => true,
            Calls::One => self.calls == 0,
            Calls::None => false,
        };
        if !told {
            return;
        }
        self.release();
        let index = self.calls;
        self.calls += 1;
        self.blocks.push(Block { number, what: What::Call { index, bare: true } });
        self.shown.chunk(Chunk::ToolCall(ToolCallDelta {
            index,
            id: Some(id),
            name: Some(self.reading.names.original(name)),
            arguments: String::new(),
        }));
    }

    /// More of a call's arguments.
    pub fn arguments(&mut self, number: u64, arguments: String) {
        let Some(arguments) = filled(arguments) else { return };
        match self.block(number) {
            Some(What::Answer { bare }) => {
                *bare = false;
                self.shown.text(arguments);
            }
            Some(What::Call { index, bare }) => {
                *bare = false;
                let delta = ToolCallDelta { index: *index, arguments, ..ToolCallDelta::default() };
                self.shown.chunk(Chunk::ToolCall(delta));
            }
            _ => {}
        }
    }

    fn think(&mut self, number: u64, reasoning: Reasoning) {
        let Reasoning { text, signature, redacted_content } = reasoning;
        if let Some(data) = redacted_content {
            self.redact(number, &data);
        }
        if text.is_some() || signature.is_some() {
            self.reason(number, text.unwrap_or_default(), &signature.unwrap_or_default());
        }
    }

    /// More of what the model thinks in a block, and of the block's proof.
    pub fn reason(&mut self, number: u64, words: String, proof: &str) {
        if self.block(number).is_none() {
            let what = What::Reasoning { text: String::new(), signature: String::new() };
            self.blocks.push(Block { number, what });
        }
        if let Some(What::Reasoning { text, signature }) = self.block(number) {
            signature.push_str(proof);
            text.push_str(&words);
        }
        self.shown.reasoning(words);
    }

    /// More of what the model thinks and does not show.
    pub fn redact(&mut self, number: u64, more: &str) {
        // Each piece is base64 of its own.
        let Ok(more) = base64::decode(more) else { return };
        match self.block(number) {
            Some(What::Redacted(data)) => data.extend(more),
            Some(_) => {}
            None => self.blocks.push(Block { number, what: What::Redacted(more) }),
        }
    }

    /// A block ends.
    pub fn end(&mut self, number: u64) {
        let Some(place) = self.blocks.iter().position(|block| block.number == number) else {
            return;
        };
        match self.blocks.swap_remove(place).what {
            What::Call { index, bare: true } => {
                // Clients parse what they get.
                let arguments = "{}".into();
                let delta = ToolCallDelta { index, arguments, ..ToolCallDelta::default() };
                self.shown.chunk(Chunk::ToolCall(delta));
            }
            What::Answer { bare: true } => self.shown.text("{}".into()),
            What::Call { .. } | What::Answer { .. } => {}
            What::Reasoning { text, signature } if !signature.is_empty() => {
                self.thought(ReasoningKind::Text { text, signature: Some(signature) });
            }
            What::Reasoning { .. } => {}
            What::Redacted(data) => {
                self.thought(ReasoningKind::Encrypted { data: base64::encode(data) });
            }
        }
    }

    fn thought(&mut self, kind: ReasoningKind) {
        let index = self.thoughts;
        self.thoughts += 1;
        let format = self.reading.signed.then(|| SIGNED.into());
        self.shown.chunk(Chunk::ReasoningDetail(ReasoningDetail { kind, format, index }));
    }

    /// The message ends.
    pub fn finish(&mut self, stop: MessageStop) -> Result<(), Unread> {
        // Whoever leaves out the end of a block still means it.
        let open: Vec<_> = self.blocks.iter().map(|block| block.number).collect();
        open.into_iter().for_each(|number| self.end(number));
        let MessageStop { stop_reason, additional_model_response_fields: own } = stop;
        if stop_reason == "malformed_tool_use" {
            self.recover()?;
        }
        self.release();
        self.stopped = true;
        self.thinking_tokens = own.as_ref().and_then(thinking_tokens);
        let finish = match stop_reason.as_str() {
            "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
            "guardrail_intervened" | "content_filtered" | "refusal" => FinishReason::ContentFilter,
            // Some families end with `end_turn` although they call tools.
            "tool_use" | "end_turn" | "malformed_tool_use" if self.calls > 0 => {
                FinishReason::ToolCalls
            }
            "malformed_model_output" | "malformed_tool_use" if !self.shown.has_said() => {
                return Err(Unread::Nothing(stop_reason));
            }
            _ => FinishReason::Stop,
        };
        if !KNOWN_ENDS.contains(&stop_reason.as_str()) {
            self.shown.chunk(Chunk::Fact("x_bedrock_stop_reason", stop_reason.into()));
        }
        if let Some(cut) = self.reading.cut {
            self.shown.chunk(Chunk::Fact("x_bedrock_max_tokens", cut.into()));
        }
        self.shown.chunk(Chunk::Finish(finish));
        Ok(())
    }

    /// Tells the calls that were written as text, for an answer that has ended because of them.
    fn recover(&mut self) -> Result<(), Unread> {
        let is_call = self.textual.is_call();
        let text = if is_call { self.textual.end() } else { mem::take(&mut self.held) };
        if text.is_empty() {
            return Ok(());
        }
        let calls = calls_in(&text, &self.reading.textual);
        let looks_like_one = is_call || text.trim_start().starts_with(['{', '[', '<']);
        if calls.is_empty() && !looks_like_one {
            self.held = text;
            return Ok(());
        }
        if calls.is_empty() {
            return Err(Unread::Nothing("malformed_tool_use".into()));
        }
        for (number, (name, arguments)) in (u64::MAX / 2..).zip(calls) {
            let id = format!("call_{:08x}_{}", crc32fast::hash(text.as_bytes()), self.calls);
            self.call(number, id, name);
            self.arguments(number, Value::Object(arguments).to_string());
            self.end(number);
        }
        Ok(())
    }

    /// What was held back, because it was not clear whether the answer would come in another way.
    fn release(&mut self) {
        let held = mem::take(&mut self.held) + &self.textual.end();
        if !held.is_empty() {
            self.shown.text(held);
        }
    }

    /// What stands beside the message.
    pub fn beside(&mut self, metadata: Metadata) {
        let Metadata { usage, trace, service_tier } = metadata;
        if let Some(guardrail) = trace.and_then(|trace| trace.guardrail) {
            self.shown.chunk(Chunk::Fact("bedrock_guardrail", guardrail));
        }
        if let Some(tier) = service_tier {
            self.shown.chunk(Chunk::Fact("service_tier", tier.r#type.into()));
        }
        if let Some(tokens) = usage {
            let usage = Usage { reasoning_tokens: self.thinking_tokens, ..tokens.into() };
            self.shown.chunk(Chunk::Usage(usage));
        }
    }

    fn block(&mut self, number: u64) -> Option<&mut What> {
        let block = self.blocks.iter_mut().find(|block| block.number == number)?;
        Some(&mut block.what)
    }
}

/// The ends whose finish reason tells all. OpenAI's word for `stop_sequence` is that for `end_turn`, Anthropic's is not.
const KNOWN_ENDS: &[&str] = &[
    "end_turn",
    "tool_use",
    "max_tokens",
    "model_context_window_exceeded",
    "guardrail_intervened",
    "content_filtered",
];

/// How many tokens Claude has thought with, out of the part of its own answer that was asked for.
fn thinking_tokens(own: &Value) -> Option<u64> {
    let details = own.pointer(crate::converse::THOUGHT)?;
    details["thinking_tokens"].as_u64().or_else(|| details["reasoning_tokens"].as_u64())
}

fn payload<'a, T: Deserialize<'a>>(frame: &Frame<'a>) -> Result<T, Unread> {
    serde_json::from_slice(frame.payload).map_err(|_| Unread::Payload(frame.name.to_owned()))
}

fn exception(frame: &Frame<'_>) -> ServiceError {
    let said: Exception = serde_json::from_slice(frame.payload).unwrap_or_default();
    ServiceError::in_stream(frame.name, &said.message, said.original_status_code)
}

fn filled(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn events() -> Events {
        Events::new(Reading::default(), ReasoningOutput::default())
    }

    fn reading(reading: Reading) -> Events {
        Events::new(reading, ReasoningOutput::default())
    }

    fn tell(events: &mut Events, name: &str, payload: &Value) -> Result<Vec<Chunk>, Unread> {
        let payload = payload.to_string();
        events.tell(&Frame { kind: Kind::Event, name, said: "", payload: payload.as_bytes() })?;
        Ok(std::iter::from_fn(|| events.take()).collect())
    }

    fn finish(events: &mut Events, reason: &str) -> Vec<Chunk> {
        tell(events, "messageStop", &json!({"stopReason": reason})).unwrap()
    }

    fn call(events: &mut Events, number: u64, name: &str) -> Vec<Chunk> {
        let start = json!({"start": {"toolUse": {"toolUseId": "i", "name": name}}, "contentBlockIndex": number});
        tell(events, "contentBlockStart", &start).unwrap()
    }

    fn delta(events: &mut Events, number: u64, delta: &Value) -> Vec<Chunk> {
        let delta = json!({"delta": delta, "contentBlockIndex": number});
        tell(events, "contentBlockDelta", &delta).unwrap()
    }

    #[test]
    fn each_stop_reason_has_its_finish_reason() {
        use FinishReason::*;
        for (reason, finished) in [
            ("end_turn", Stop),
            ("tool_use", Stop),
            ("max_tokens", Length),
            ("model_context_window_exceeded", Length),
            ("guardrail_intervened", ContentFilter),
            ("content_filtered", ContentFilter),
        ] {
            let mut events = events();
            assert_eq!(finish(&mut events, reason), [Chunk::Finish(finished)], "{reason}");
            assert!(events.stopped());
        }
        for reason in ["pause_turn", "stop_sequence"] {
            let fact = Chunk::Fact("x_bedrock_stop_reason", reason.into());
            assert_eq!(finish(&mut events(), reason), [fact, Chunk::Finish(Stop)]);
        }
    }

    #[test]
    fn a_malformed_answer_is_an_error_if_there_is_nothing_else() {
        let stop = json!({"stopReason": "malformed_tool_use"});
        let unread = tell(&mut events(), "messageStop", &stop);
        assert_eq!(unread, Err(Unread::Nothing("malformed_tool_use".into())));
        let mut events = events();
        delta(&mut events, 0, &json!({"text": "a"}));
        assert_eq!(finish(&mut events, "malformed_tool_use").len(), 2);
    }

    #[test]
    fn an_answer_with_calls_ends_for_them_unless_it_was_cut() {
        for (reason, finished) in [
            ("tool_use", FinishReason::ToolCalls),
            ("end_turn", FinishReason::ToolCalls),
            ("max_tokens", FinishReason::Length),
        ] {
            let mut events = events();
            call(&mut events, 3, "n");
            assert_eq!(finish(&mut events, reason).last(), Some(&Chunk::Finish(finished)));
        }
    }

    #[test]
    fn calls_that_were_forbidden_are_not_told() {
        let mut events = reading(Reading { calls: Calls::None, ..Reading::default() });
        assert_eq!(call(&mut events, 0, "n"), []);
        assert_eq!(delta(&mut events, 0, &json!({"toolUse": {"input": "{}"}})), []);
        assert_eq!(finish(&mut events, "tool_use"), [Chunk::Finish(FinishReason::Stop)]);
    }

    #[test]
    fn of_several_calls_only_the_first_is_told_where_one_was_asked_for() {
        let mut events = reading(Reading { calls: Calls::One, ..Reading::default() });
        assert_eq!(call(&mut events, 0, "a").len(), 1);
        assert_eq!(call(&mut events, 1, "b"), []);
        assert_eq!(delta(&mut events, 1, &json!({"toolUse": {"input": "{}"}})), []);
    }

    #[test]
    fn an_answer_that_is_a_tool_s_arguments_is_told_as_text() {
        let shape = Shape::Tool("json_tool_call");
        let mut events = reading(Reading { shape, ..Reading::default() });
        assert_eq!(delta(&mut events, 0, &json!({"text": "Here you are:"})), []);
        assert_eq!(call(&mut events, 1, "json_tool_call"), []);
        let told = delta(&mut events, 1, &json!({"toolUse": {"input": "{\"a\":1}"}}));
        assert_eq!(told, [Chunk::Content("{\"a\":1}".into())]);
        assert_eq!(finish(&mut events, "tool_use"), [Chunk::Finish(FinishReason::Stop)]);

        let mut plain = reading(Reading { shape, ..Reading::default() });
        delta(&mut plain, 0, &json!({"text": "No."}));
        assert_eq!(finish(&mut plain, "end_turn")[0], Chunk::Content("No.".into()));
    }

    #[test]
    fn signed_and_hidden_reasoning_ends_in_a_block_that_can_come_back() {
        let mut events = reading(Reading { signed: true, ..Reading::default() });
        let said = delta(&mut events, 0, &json!({"reasoningContent": {"text": "hm"}}));
        assert_eq!(said, [Chunk::Reasoning("hm".into())]);
        assert_eq!(delta(&mut events, 0, &json!({"reasoningContent": {"signature": "s"}})), []);
        assert_eq!(
            delta(&mut events, 1, &json!({"reasoningContent": {"redactedContent": "eA=="}})),
            []
        );
        let mut blocks =
            tell(&mut events, "contentBlockStop", &json!({"contentBlockIndex": 0})).unwrap();
        blocks.extend(finish(&mut events, "end_turn"));
        let detail = |index, kind| {
            Chunk::ReasoningDetail(ReasoningDetail { kind, format: Some(SIGNED.into()), index })
        };
        let (text, signature) = ("hm".into(), Some("s".into()));
        assert_eq!(
            blocks,
            [
                detail(0, ReasoningKind::Text { text, signature }),
                detail(1, ReasoningKind::Encrypted { data: "eA==".into() }),
                Chunk::Finish(FinishReason::Stop),
            ]
        );
    }

    #[test]
    fn thinking_is_counted_where_claude_tells() {
        let mut events = events();
        let own = json!({"usage": {"output_tokens_details": {"thinking_tokens": 7}}});
        let stop = json!({"stopReason": "end_turn", "additionalModelResponseFields": own});
        tell(&mut events, "messageStop", &stop).unwrap();
        let metadata = json!({"usage": {"inputTokens": 10, "cacheReadInputTokens": 100, "cacheWriteInputTokens": 5, "outputTokens": 9}, "serviceTier": {"type": "flex"}});
        let told = tell(&mut events, "metadata", &metadata).unwrap();
        assert_eq!(told[0], Chunk::Fact("service_tier", "flex".into()));
        let Chunk::Usage(usage) = &told[1] else { panic!("{told:?}") };
        assert_eq!((usage.prompt_tokens, usage.completion_tokens), (115, 9));
        assert_eq!((usage.cached_tokens, usage.reasoning_tokens), (Some(100), Some(7)));
    }

    #[test]
    fn what_is_not_known_adds_nothing() {
        for (name, payload) in [
            ("somethingNew", json!({"a": 1})),
            ("contentBlockStart", json!({"start": {}, "contentBlockIndex": 0})),
            ("contentBlockStart", json!({"start": {"image": {"format": "png"}}})),
            ("contentBlockDelta", json!({"delta": {"somethingNew": {}}, "contentBlockIndex": 0})),
            ("contentBlockDelta", json!({"delta": {"text": ""}, "p": "abc"})),
            (
                "contentBlockDelta",
                json!({"delta": {"toolUse": {"input": "{"}}, "contentBlockIndex": 9}),
            ),
            ("metadata", json!({"metrics": {"latencyMs": 1}})),
        ] {
            assert_eq!(tell(&mut events(), name, &payload), Ok(vec![]), "{payload}");
        }
    }

    #[test]
    fn a_payload_that_is_no_json_is_said_by_its_event() {
        let frame = Frame { kind: Kind::Event, name: "metadata", said: "", payload: b"{" };
        assert_eq!(events().tell(&frame), Err(Unread::Payload("metadata".into())));
    }
}
