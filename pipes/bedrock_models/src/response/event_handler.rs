//! Turns the events of a response into chunks (`docs/reference/bedrock.md`, "Converse response",
//! "Stop reasons" and "Event stream").

use super::{
    chunk_buffer::ChunkBuffer,
    text_tool_calls::{TextToolCalls, parse_tool_calls},
    wire::{
        BlockDelta, BlockStart, BlockStop, Citation as WireCitation, Exception, MessageStop,
        Metadata, ReasoningDelta, ToolStart,
    },
};
use crate::{
    error::BedrockError,
    request::{
        AnswerShape, CLAUDE_REASONING_FORMAT, ResponseOptions, STOP_SEQUENCE_PATH, ToolCallFilter,
    },
    valves::ReasoningOutput,
};
use aws_smithy_types::base64;
use bedrock_runtime::{Frame, MessageType, SendError, ServiceError};
use pipe_sdk::{
    Chunk, Citation, FinishReason, ReasoningDetail, ReasoningKind, STOP_SEQUENCE_FACT,
    ToolCallDelta, Usage,
};
use serde::Deserialize;
use serde_json::Value;
use std::mem;

/// Reads one answer's events in their order.
#[derive(Debug)]
pub struct EventHandler {
    options: ResponseOptions,
    buffer: ChunkBuffer,
    blocks: Vec<Block>,
    /// The number of tool calls that were sent.
    tool_call_count: usize,
    /// The number of blocks of reasoning that have ended.
    reasoning_block_count: usize,
    /// Text that arrived before it was clear whether the answer comes as a tool's arguments.
    held: String,
    has_tool_answer: bool,
    /// Text that may be a tool call.
    text_tool_calls: TextToolCalls,
    reasoning_tokens: Option<u64>,
    is_stopped: bool,
}

/// An open block that is no plain text.
#[derive(Debug)]
struct Block {
    /// Bedrock's number of the block. Numbers may have gaps, and blocks may be interleaved.
    number: u64,
    kind: BlockKind,
}

/// The kind of an open content block.
#[derive(Debug)]
enum BlockKind {
    /// A tool call, and whether no argument has come yet.
    Call { index: usize, is_empty: bool },
    /// The answer itself, as the arguments of a tool, and whether none has come yet.
    Answer { is_empty: bool },
    /// Words, and the proof that they are unchanged.
    Reasoning { text: String, signature: String },
    /// Encrypted reasoning.
    Redacted(Vec<u8>),
}

/// The error of an event.
#[derive(Debug, PartialEq)]
pub enum EventError {
    /// The event is an error of the service.
    Service(ServiceError),
    /// The payload of the event with this name does not match the service's model.
    Payload(String),
    /// The model has ended without saying anything, for this reason.
    EmptyAnswer(String),
}

impl EventHandler {
    /// Returns a handler for the events of an answer with these options; reasoning is shown as the
    /// valve says.
    pub fn new(options: ResponseOptions, reasoning: ReasoningOutput) -> Self {
        let strips_fence = options.answer_shape == AnswerShape::Unfenced;
        Self {
            options,
            buffer: ChunkBuffer::new(reasoning, strips_fence),
            blocks: Vec::new(),
            tool_call_count: 0,
            reasoning_block_count: 0,
            held: String::new(),
            has_tool_answer: false,
            text_tool_calls: TextToolCalls::default(),
            reasoning_tokens: None,
            is_stopped: false,
        }
    }

    /// Returns whether the model has ended its message.
    pub fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    /// Returns the number of buffered chunks.
    pub fn buffered_len(&self) -> usize {
        self.buffer.len()
    }

    /// Returns the next buffered chunk.
    pub fn next_chunk(&mut self) -> Option<Chunk> {
        self.buffer.pop()
    }

    /// Handles a frame. Unknown events are ignored.
    pub fn handle_frame(&mut self, frame: &Frame<'_>) -> Result<(), EventError> {
        match frame.message_type {
            MessageType::Event => self.handle_event(frame),
            MessageType::Exception => Err(EventError::Service(to_service_error(frame))),
            MessageType::Error => {
                Err(EventError::Service(ServiceError::new(frame.name, frame.error_message, 500)))
            }
        }
    }

    fn handle_event(&mut self, frame: &Frame<'_>) -> Result<(), EventError> {
        match frame.name {
            "contentBlockDelta" => self.handle_delta(payload(frame)?),
            "contentBlockStart" => {
                let BlockStart { content_block_index, start } = payload(frame)?;
                if let Some(ToolStart { tool_use_id, name }) = start.tool_use {
                    self.start_tool_call(content_block_index, tool_use_id, name);
                }
            }
            "contentBlockStop" => self.end_block(payload::<BlockStop>(frame)?.content_block_index),
            "messageStart" => self.start_message(),
            "messageStop" => self.stop_message(payload(frame)?)?,
            // The answer is complete already, so metadata that cannot be read is ignored.
            "metadata" => match payload(frame) {
                Ok(metadata) => self.handle_metadata(metadata),
                Err(error) if !self.is_stopped => return Err(error),
                Err(_) => {}
            },
            _ => {}
        }
        Ok(())
    }

    /// Handles the start of the message.
    pub fn start_message(&mut self) {
        self.buffer.push_chunk(Chunk::Role);
    }

    fn handle_delta(&mut self, delta: BlockDelta) {
        let BlockDelta { content_block_index: number, delta } = delta;
        if let Some(text) = delta.text {
            self.add_text(text);
        } else if let Some(tool) = delta.tool_use {
            self.add_arguments(number, tool.input);
        } else if let Some(reasoning) = delta.reasoning_content {
            self.handle_reasoning(number, reasoning);
        } else if let Some(citation) = delta.citation {
            self.add_citation(*citation);
        }
    }

    /// Adds text to the answer.
    pub fn add_text(&mut self, text: String) {
        if matches!(self.options.answer_shape, AnswerShape::Tool(_)) && !self.has_tool_answer {
            self.held.push_str(&text);
        } else if !self.has_tool_answer && !self.options.text_tools.is_empty() {
            let text = self.text_tool_calls.filter(&text);
            self.buffer.push_text(text);
        } else if !self.has_tool_answer {
            self.buffer.push_text(text);
        }
    }

    /// Adds a citation of the text before it.
    pub fn add_citation(&mut self, citation: WireCitation) {
        let url =
            citation.location.as_ref().and_then(|l| l["web"]["url"].as_str()).map(String::from);
        let texts: String =
            citation.source_content.into_iter().flatten().map(|source| source.text).collect();
        self.buffer.push_chunk(Chunk::Citation(Citation {
            url: url.or(citation.source).unwrap_or_default(),
            title: citation.title.unwrap_or_default(),
            cited_text: non_empty(texts),
            location: citation.location,
        }));
    }

    /// Handles the start of a tool call.
    pub fn start_tool_call(&mut self, number: u64, id: String, name: String) {
        if matches!(self.options.answer_shape, AnswerShape::Tool(answer) if answer == name) {
            if self.has_tool_answer || self.tool_call_count > 0 {
                // One answer is enough, and none is wanted where the client's own tools are called.
                return;
            }
            self.has_tool_answer = true;
            self.held.clear();
            self.blocks.push(Block { number, kind: BlockKind::Answer { is_empty: true } });
            return;
        }
        let is_forwarded = match self.options.tool_calls {
            ToolCallFilter::All => true,
            ToolCallFilter::First => self.tool_call_count == 0,
            ToolCallFilter::None => false,
        };
        if !is_forwarded {
            return;
        }
        self.flush_held();
        let index = self.tool_call_count;
        self.tool_call_count += 1;
        self.blocks.push(Block { number, kind: BlockKind::Call { index, is_empty: true } });
        self.buffer.push_chunk(Chunk::ToolCall(ToolCallDelta {
            index,
            id: Some(id),
            name: Some(self.options.tool_names.to_client(name)),
            arguments: String::new(),
        }));
    }

    /// Adds to the arguments of a call.
    pub fn add_arguments(&mut self, number: u64, arguments: String) {
        let Some(arguments) = non_empty(arguments) else { return };
        match self.block(number) {
            Some(BlockKind::Answer { is_empty }) => {
                *is_empty = false;
                self.buffer.push_text(arguments);
            }
            Some(BlockKind::Call { index, is_empty }) => {
                *is_empty = false;
                let delta = ToolCallDelta { index: *index, arguments, ..ToolCallDelta::default() };
                self.buffer.push_chunk(Chunk::ToolCall(delta));
            }
            _ => {}
        }
    }

    fn handle_reasoning(&mut self, number: u64, reasoning: ReasoningDelta) {
        let ReasoningDelta { text, signature, redacted_content } = reasoning;
        if let Some(data) = redacted_content {
            self.add_redacted(number, &data);
        }
        if text.is_some() || signature.is_some() {
            self.add_reasoning(number, text.unwrap_or_default(), &signature.unwrap_or_default());
        }
    }

    /// Adds to the reasoning of a block, and to its signature.
    pub fn add_reasoning(&mut self, number: u64, words: String, proof: &str) {
        if self.block(number).is_none() {
            let kind = BlockKind::Reasoning { text: String::new(), signature: String::new() };
            self.blocks.push(Block { number, kind });
        }
        if let Some(BlockKind::Reasoning { text, signature }) = self.block(number) {
            signature.push_str(proof);
            text.push_str(&words);
        }
        self.buffer.push_reasoning(words);
    }

    /// Adds to the encrypted reasoning of a block.
    pub fn add_redacted(&mut self, number: u64, more: &str) {
        // Each piece is base64 of its own.
        let Ok(more) = base64::decode(more) else { return };
        match self.block(number) {
            Some(BlockKind::Redacted(data)) => data.extend(more),
            Some(_) => {}
            None => self.blocks.push(Block { number, kind: BlockKind::Redacted(more) }),
        }
    }

    /// Handles the end of a block.
    pub fn end_block(&mut self, number: u64) {
        let Some(place) = self.blocks.iter().position(|block| block.number == number) else {
            return;
        };
        match self.blocks.swap_remove(place).kind {
            BlockKind::Call { index, is_empty: true } => {
                // Clients parse what they get.
                let arguments = "{}".into();
                let delta = ToolCallDelta { index, arguments, ..ToolCallDelta::default() };
                self.buffer.push_chunk(Chunk::ToolCall(delta));
            }
            BlockKind::Answer { is_empty: true } => self.buffer.push_text("{}".into()),
            BlockKind::Call { .. } | BlockKind::Answer { .. } => {}
            BlockKind::Reasoning { text, signature } if !signature.is_empty() => {
                self.push_reasoning_detail(ReasoningKind::Text {
                    text,
                    signature: Some(signature),
                });
            }
            BlockKind::Reasoning { .. } => {}
            BlockKind::Redacted(data) => {
                self.push_reasoning_detail(ReasoningKind::Encrypted { data: base64::encode(data) });
            }
        }
    }

    fn push_reasoning_detail(&mut self, kind: ReasoningKind) {
        let index = self.reasoning_block_count;
        self.reasoning_block_count += 1;
        let format = self.options.signed_reasoning.then(|| CLAUDE_REASONING_FORMAT.into());
        self.buffer.push_chunk(Chunk::ReasoningDetail(ReasoningDetail { kind, format, index }));
    }

    /// Handles the end of the message.
    pub fn stop_message(&mut self, stop: MessageStop) -> Result<(), EventError> {
        // Blocks without a `contentBlockStop` end with the message.
        let open: Vec<_> = self.blocks.iter().map(|block| block.number).collect();
        open.into_iter().for_each(|number| self.end_block(number));
        let MessageStop { stop_reason, additional_model_response_fields: own } = stop;
        let is_malformed = stop_reason == "malformed_tool_use"
            || stop_reason == "malformed_model_output" && !self.options.text_tools.is_empty();
        if is_malformed {
            self.recover_tool_calls(&stop_reason)?;
        }
        self.flush_held();
        self.is_stopped = true;
        self.reasoning_tokens = own.as_ref().and_then(reasoning_tokens);
        let finish = match stop_reason.as_str() {
            "max_tokens" | "model_context_window_exceeded" => FinishReason::Length,
            "guardrail_intervened" | "content_filtered" | "refusal" => FinishReason::ContentFilter,
            // Some families end with `end_turn` although they call tools.
            "tool_use" | "end_turn" | "malformed_tool_use" | "malformed_model_output"
                if self.tool_call_count > 0 =>
            {
                FinishReason::ToolCalls
            }
            "malformed_model_output" | "malformed_tool_use" if !self.buffer.has_output() => {
                return Err(EventError::EmptyAnswer(stop_reason));
            }
            _ => FinishReason::Stop,
        };
        if stop_reason == "stop_sequence" {
            let told = own.as_ref().and_then(|own| own.pointer(STOP_SEQUENCE_PATH)?.as_str());
            let only = self.options.only_stop_sequence.as_deref();
            if let Some(sequence) = told.or(only) {
                self.buffer.push_chunk(Chunk::Fact(STOP_SEQUENCE_FACT, sequence.into()));
            }
        }
        if !KNOWN_STOP_REASONS.contains(&stop_reason.as_str()) {
            self.buffer.push_chunk(Chunk::Fact("x_bedrock_stop_reason", stop_reason.into()));
        }
        if let Some(limit) = self.options.reduced_max_tokens {
            self.buffer.push_chunk(Chunk::Fact("x_bedrock_max_tokens", limit.into()));
        }
        self.buffer.push_chunk(Chunk::Finish(finish));
        Ok(())
    }

    /// Emits the calls that were written as text, for an answer that has ended because of them.
    ///
    /// A call that cannot be read is an error, because a client that gets text and `stop` would
    /// treat the answer as complete.
    fn recover_tool_calls(&mut self, stop_reason: &str) -> Result<(), EventError> {
        let unusable = || Err(EventError::EmptyAnswer(stop_reason.to_owned()));
        let is_lost_call = stop_reason == "malformed_tool_use"
            && !self.options.text_tools.is_empty()
            && self.tool_call_count == 0;
        let is_call = self.text_tool_calls.is_call();
        let text =
            if is_call { self.text_tool_calls.take_held() } else { mem::take(&mut self.held) };
        if text.is_empty() {
            return if is_lost_call { unusable() } else { Ok(()) };
        }
        let calls = parse_tool_calls(&text, &self.options.text_tools);
        let looks_like_one = is_call || text.trim_start().starts_with(['{', '[', '<']);
        if calls.is_empty() && !looks_like_one && !is_lost_call {
            self.held = text;
            return Ok(());
        }
        if calls.is_empty() {
            return unusable();
        }
        for (number, (name, arguments)) in (u64::MAX / 2..).zip(calls) {
            let id =
                format!("call_{:08x}_{}", crc32fast::hash(text.as_bytes()), self.tool_call_count);
            self.start_tool_call(number, id, name);
            self.add_arguments(number, Value::Object(arguments).to_string());
            self.end_block(number);
        }
        Ok(())
    }

    /// Sends the text that was held back because the answer might have come in another way.
    fn flush_held(&mut self) {
        let held = mem::take(&mut self.held) + &self.text_tool_calls.take_held();
        if !held.is_empty() {
            self.buffer.push_text(held);
        }
    }

    /// Handles the metadata of the message.
    pub fn handle_metadata(&mut self, metadata: Metadata) {
        let Metadata { usage, trace, service_tier } = metadata;
        if let Some(guardrail) = trace.and_then(|trace| trace.guardrail) {
            self.buffer.push_chunk(Chunk::Fact("bedrock_guardrail", guardrail));
        }
        if let Some(tier) = service_tier {
            self.buffer.push_chunk(Chunk::Fact("service_tier", tier.r#type.into()));
        }
        if let Some(tokens) = usage {
            let usage = Usage { reasoning_tokens: self.reasoning_tokens, ..tokens.into() };
            self.buffer.push_chunk(Chunk::Usage(usage));
        }
    }

    /// Returns the open content block of this index.
    fn block(&mut self, number: u64) -> Option<&mut BlockKind> {
        let block = self.blocks.iter_mut().find(|block| block.number == number)?;
        Some(&mut block.kind)
    }
}

/// The stop reasons whose finish reason is precise. OpenAI's word for `stop_sequence` is that for
/// `end_turn`, Anthropic's is not.
const KNOWN_STOP_REASONS: &[&str] = &[
    "end_turn",
    "tool_use",
    "max_tokens",
    "model_context_window_exceeded",
    "guardrail_intervened",
    "content_filtered",
];

/// Returns the number of Claude's reasoning tokens, from the requested additional model response
/// fields.
fn reasoning_tokens(additional_fields: &Value) -> Option<u64> {
    let details = additional_fields.pointer(crate::request::THINKING_TOKENS_PATH)?;
    details["thinking_tokens"].as_u64().or_else(|| details["reasoning_tokens"].as_u64())
}

/// Parses the payload of a frame.
fn payload<'a, T: Deserialize<'a>>(frame: &Frame<'a>) -> Result<T, EventError> {
    serde_json::from_slice(frame.payload).map_err(|_| EventError::Payload(frame.name.to_owned()))
}

fn to_service_error(frame: &Frame<'_>) -> ServiceError {
    let said: Exception = serde_json::from_slice(frame.payload).unwrap_or_default();
    ServiceError::new(frame.name, &said.message, said.original_status_code)
}

/// Returns a text that is not empty.
fn non_empty(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

impl From<EventError> for BedrockError {
    fn from(error: EventError) -> Self {
        match error {
            EventError::Service(error) => Self::Send(SendError::Service(error)),
            EventError::Payload(event) => Self::Protocol(format!("an unreadable `{event}`")),
            EventError::EmptyAnswer(reason) => Self::EmptyAnswer(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn events() -> EventHandler {
        EventHandler::new(ResponseOptions::default(), ReasoningOutput::default())
    }

    fn with_options(options: ResponseOptions) -> EventHandler {
        EventHandler::new(options, ReasoningOutput::default())
    }

    fn handle(
        events: &mut EventHandler,
        name: &str,
        payload: &Value,
    ) -> Result<Vec<Chunk>, EventError> {
        let payload = payload.to_string();
        events.handle_frame(&Frame {
            message_type: MessageType::Event,
            name,
            error_message: "",
            payload: payload.as_bytes(),
        })?;
        Ok(std::iter::from_fn(|| events.next_chunk()).collect())
    }

    fn finish(events: &mut EventHandler, reason: &str) -> Vec<Chunk> {
        handle(events, "messageStop", &json!({"stopReason": reason})).unwrap()
    }

    fn call(events: &mut EventHandler, number: u64, name: &str) -> Vec<Chunk> {
        let start = json!({"start": {"toolUse": {"toolUseId": "i", "name": name}}, "contentBlockIndex": number});
        handle(events, "contentBlockStart", &start).unwrap()
    }

    fn delta(events: &mut EventHandler, number: u64, delta: &Value) -> Vec<Chunk> {
        let delta = json!({"delta": delta, "contentBlockIndex": number});
        handle(events, "contentBlockDelta", &delta).unwrap()
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
            assert!(events.is_stopped());
        }
        for reason in ["pause_turn", "stop_sequence"] {
            let fact = Chunk::Fact("x_bedrock_stop_reason", reason.into());
            assert_eq!(finish(&mut events(), reason), [fact, Chunk::Finish(Stop)]);
        }
    }

    #[test]
    fn a_malformed_answer_is_an_error_if_there_is_nothing_else() {
        let stop = json!({"stopReason": "malformed_tool_use"});
        let error = handle(&mut events(), "messageStop", &stop);
        assert_eq!(error, Err(EventError::EmptyAnswer("malformed_tool_use".into())));
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
    fn forbidden_calls_are_not_sent() {
        let mut events = with_options(ResponseOptions {
            tool_calls: ToolCallFilter::None,
            ..ResponseOptions::default()
        });
        assert_eq!(call(&mut events, 0, "n"), []);
        assert_eq!(delta(&mut events, 0, &json!({"toolUse": {"input": "{}"}})), []);
        assert_eq!(finish(&mut events, "tool_use"), [Chunk::Finish(FinishReason::Stop)]);
    }

    #[test]
    fn of_several_calls_the_first_is_sent_if_one_was_requested() {
        let mut events = with_options(ResponseOptions {
            tool_calls: ToolCallFilter::First,
            ..ResponseOptions::default()
        });
        assert_eq!(call(&mut events, 0, "a").len(), 1);
        assert_eq!(call(&mut events, 1, "b"), []);
        assert_eq!(delta(&mut events, 1, &json!({"toolUse": {"input": "{}"}})), []);
    }

    #[test]
    fn an_answer_in_the_arguments_of_a_tool_is_sent_as_text() {
        let answer_shape = AnswerShape::Tool("json_tool_call");
        let mut events =
            with_options(ResponseOptions { answer_shape, ..ResponseOptions::default() });
        assert_eq!(delta(&mut events, 0, &json!({"text": "Here you are:"})), []);
        assert_eq!(call(&mut events, 1, "json_tool_call"), []);
        let told = delta(&mut events, 1, &json!({"toolUse": {"input": "{\"a\":1}"}}));
        assert_eq!(told, [Chunk::Content("{\"a\":1}".into())]);
        assert_eq!(finish(&mut events, "tool_use"), [Chunk::Finish(FinishReason::Stop)]);

        let mut plain =
            with_options(ResponseOptions { answer_shape, ..ResponseOptions::default() });
        delta(&mut plain, 0, &json!({"text": "No."}));
        assert_eq!(finish(&mut plain, "end_turn")[0], Chunk::Content("No.".into()));
    }

    #[test]
    fn signed_and_hidden_reasoning_ends_in_a_block_that_can_come_back() {
        let mut events =
            with_options(ResponseOptions { signed_reasoning: true, ..ResponseOptions::default() });
        let said = delta(&mut events, 0, &json!({"reasoningContent": {"text": "hm"}}));
        assert_eq!(said, [Chunk::Reasoning("hm".into())]);
        assert_eq!(delta(&mut events, 0, &json!({"reasoningContent": {"signature": "s"}})), []);
        assert_eq!(
            delta(&mut events, 1, &json!({"reasoningContent": {"redactedContent": "eA=="}})),
            []
        );
        let mut blocks =
            handle(&mut events, "contentBlockStop", &json!({"contentBlockIndex": 0})).unwrap();
        blocks.extend(finish(&mut events, "end_turn"));
        let detail = |index, kind| {
            Chunk::ReasoningDetail(ReasoningDetail {
                kind,
                format: Some(CLAUDE_REASONING_FORMAT.into()),
                index,
            })
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
    fn thinking_is_counted_if_claude_reports_it() {
        let mut events = events();
        let own = json!({"usage": {"output_tokens_details": {"thinking_tokens": 7}}});
        let stop = json!({"stopReason": "end_turn", "additionalModelResponseFields": own});
        handle(&mut events, "messageStop", &stop).unwrap();
        let metadata = json!({"usage": {"inputTokens": 10, "cacheReadInputTokens": 100, "cacheWriteInputTokens": 5, "outputTokens": 9}, "serviceTier": {"type": "flex"}});
        let told = handle(&mut events, "metadata", &metadata).unwrap();
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
            assert_eq!(handle(&mut events(), name, &payload), Ok(vec![]), "{payload}");
        }
    }

    #[test]
    fn a_payload_that_is_no_json_is_reported_by_its_event() {
        let frame = Frame {
            message_type: MessageType::Event,
            name: "metadata",
            error_message: "",
            payload: b"{",
        };
        assert_eq!(events().handle_frame(&frame), Err(EventError::Payload("metadata".into())));
    }
}
