//! Writes a streamed answer as Anthropic's events
//! (<https://docs.claude.com/en/docs/build-with-claude/streaming>): blocks that start, grow and
//! stop, one after the other.

use super::answer::{STOP_REASON_FACT, citation_object, empty_message, stop_reason, usage_object};
use crate::http::{
    answer::ResponseHead, anthropic::error::error_object, error::HttpError, sse_body::FrameWriter,
};
use actix_web::web::{BufMut, BytesMut};
use pipe_sdk::{Chunk, ReasoningKind, STOP_SEQUENCE_FACT, ToolCallDelta, Usage};
use serde::{Serialize, de::IgnoredAny};
use serde_json::{Value, json};

/// Writes the events of one answer.
pub struct EventWriter {
    buffer: BytesMut,
    /// The message without content, until it is written.
    begun: Option<Value>,
    open: Option<OpenBlock>,
    /// The number of blocks that were started.
    block_count: usize,
    /// The number of calls that were started.
    call_count: usize,
    /// Pieces of calls that arrived while another call was open.
    waiting_calls: Vec<ToolCallDelta>,
    /// The stop reason in the model's own word.
    own_reason: Option<String>,
    /// The stop sequence at which the answer has ended.
    stop_sequence: Option<String>,
    stop_reason: Option<&'static str>,
    usage: Usage,
}

/// The block that is open.
enum OpenBlock {
    Text,
    Thinking,
    /// The call of this number, and its arguments so far.
    Call(usize, String),
}

impl EventWriter {
    /// Returns a writer for the answer under this head.
    pub fn new(head: &ResponseHead) -> Self {
        Self {
            buffer: BytesMut::new(),
            begun: Some(empty_message(head)),
            open: None,
            block_count: 0,
            call_count: 0,
            waiting_calls: Vec::new(),
            own_reason: None,
            stop_sequence: None,
            stop_reason: None,
            usage: Usage::default(),
        }
    }
}

impl FrameWriter for EventWriter {
    fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    fn chunk(&mut self, chunk: &Chunk) {
        if let Some(message) = self.begun.take() {
            self.write_event(
                "message_start",
                &json!({"type": "message_start", "message": message}),
            );
        }
        match chunk {
            Chunk::Content(text) if !text.is_empty() => {
                self.open_text();
                self.write_text_delta("text_delta", "text", text);
            }
            Chunk::Picture(picture) => {
                self.open_text();
                self.write_text_delta("text_delta", "text", &picture.markdown());
            }
            Chunk::Reasoning(text) if !text.is_empty() => {
                self.open_thinking();
                self.write_text_delta("thinking_delta", "thinking", text);
            }
            Chunk::ReasoningDetail(detail) => self.write_reasoning_detail(&detail.kind),
            Chunk::Citation(source) => {
                self.open_text();
                let delta = json!({"type": "citations_delta", "citation": citation_object(source)});
                self.write_delta(&delta);
            }
            Chunk::ToolCall(piece) => self.write_call(piece),
            Chunk::Fact(STOP_REASON_FACT, word) => {
                self.own_reason = word.as_str().map(String::from);
            }
            Chunk::Fact(STOP_SEQUENCE_FACT, text) => {
                self.stop_sequence = text.as_str().map(String::from);
            }
            Chunk::Finish(finish) => {
                self.close_block();
                let [own, sequence] = [&self.own_reason, &self.stop_sequence].map(Option::as_deref);
                self.stop_reason = Some(stop_reason(*finish, own, sequence));
            }
            Chunk::Usage(usage) => self.usage = *usage,
            _ => {}
        }
    }

    fn has_finished(&self) -> bool {
        self.stop_reason.is_some()
    }

    fn write_keepalive(&mut self) {
        self.write_event("ping", &json!({"type": "ping"}));
    }

    /// Writes the end: the usage arrives after the finish reason, so both wait for it.
    fn done(&mut self) {
        let delta = json!({"stop_reason": self.stop_reason, "stop_sequence": self.stop_sequence});
        let usage = usage_object(&self.usage);
        let end = json!({"type": "message_delta", "delta": delta, "usage": usage});
        self.write_event("message_delta", &end);
        self.write_event("message_stop", &json!({"type": "message_stop"}));
    }

    fn error(&mut self, error: &HttpError) {
        self.write_event("error", &error_object(error));
    }
}

impl EventWriter {
    fn open_text(&mut self) {
        if !matches!(self.open, Some(OpenBlock::Text)) {
            self.open_block(OpenBlock::Text, &json!({"type": "text", "text": ""}));
        }
    }

    fn open_thinking(&mut self) {
        if !matches!(self.open, Some(OpenBlock::Thinking)) {
            let block = json!({"type": "thinking", "thinking": "", "signature": ""});
            self.open_block(OpenBlock::Thinking, &block);
        }
    }

    /// Writes the rest of a thought: its text has mostly been written, its signature has not.
    fn write_reasoning_detail(&mut self, kind: &ReasoningKind) {
        match kind {
            ReasoningKind::Text { text, signature } => {
                if !matches!(self.open, Some(OpenBlock::Thinking)) {
                    self.open_thinking();
                    if !text.is_empty() {
                        self.write_text_delta("thinking_delta", "thinking", text);
                    }
                }
                if let Some(signature) = signature {
                    self.write_text_delta("signature_delta", "signature", signature);
                }
            }
            ReasoningKind::Encrypted { data } => {
                self.start_block(&json!({"type": "redacted_thinking", "data": data}));
                self.stop_block();
                return;
            }
        }
        self.close_block();
    }

    /// Writes a piece of a call. Pieces of several calls may alternate, but blocks may not: a piece
    /// that arrives during another call waits for the end of that call.
    fn write_call(&mut self, piece: &ToolCallDelta) {
        if let Some(OpenBlock::Call(open, arguments)) = &mut self.open {
            if *open == piece.index {
                arguments.push_str(&piece.arguments);
                self.write_arguments(&piece.arguments);
                return;
            }
            if !self.waiting_calls.is_empty() || !is_whole(arguments) {
                self.waiting_calls.push(piece.clone());
                return;
            }
        }
        self.start_call(piece);
    }

    fn start_call(&mut self, piece: &ToolCallDelta) {
        let ToolCallDelta { index, id, name, arguments } = piece;
        if *index < self.call_count {
            // The rest of a call that was whole without it.
            return;
        }
        self.call_count = index + 1;
        let block = json!({"type": "tool_use", "id": id.as_deref().unwrap_or_default(), "name": name.as_deref().unwrap_or_default(), "input": {}});
        self.open_block(OpenBlock::Call(*index, arguments.clone()), &block);
        self.write_arguments(arguments);
    }

    fn write_arguments(&mut self, json: &str) {
        if !json.is_empty() {
            self.write_text_delta("input_json_delta", "partial_json", json);
        }
    }

    /// Begins a block that further events add to.
    fn open_block(&mut self, block: OpenBlock, start: &Value) {
        self.start_block(start);
        self.open = Some(block);
    }

    /// Writes `content_block_start`, after the end of the block before.
    fn start_block(&mut self, block: &Value) {
        self.close_block();
        let index = self.block_count;
        self.block_count += 1;
        let start = json!({"type": "content_block_start", "index": index, "content_block": block});
        self.write_event("content_block_start", &start);
    }

    /// Stops the open block, and writes the calls that waited for that.
    fn close_block(&mut self) {
        self.end_block();
        let mut waiting_calls = std::mem::take(&mut self.waiting_calls);
        waiting_calls.sort_by_key(|piece| piece.index);
        for pieces in waiting_calls.chunk_by(|one, next| one.index == next.index) {
            pieces.iter().for_each(|piece| self.write_call(piece));
            self.end_block();
        }
    }

    fn end_block(&mut self) {
        if self.open.take().is_some() {
            self.stop_block();
        }
    }

    fn stop_block(&mut self) {
        let index = self.block_count.saturating_sub(1);
        self.write_event(
            "content_block_stop",
            &json!({"type": "content_block_stop", "index": index}),
        );
    }

    /// Writes more text of the open block; every token passes here.
    fn write_text_delta(&mut self, kind: &str, field: &str, text: &str) {
        self.begin_delta();
        self.buffer.extend_from_slice(b"{\"type\":\"");
        self.buffer.extend_from_slice(kind.as_bytes());
        self.buffer.extend_from_slice(b"\",\"");
        self.buffer.extend_from_slice(field.as_bytes());
        self.buffer.extend_from_slice(b"\":");
        self.write_json(text);
        self.buffer.extend_from_slice(b"}}\n\n");
    }

    fn write_delta(&mut self, delta: &Value) {
        self.begin_delta();
        self.write_json(delta);
        self.buffer.extend_from_slice(b"}\n\n");
    }

    /// Writes the beginning of `content_block_delta`, as far as its delta.
    fn begin_delta(&mut self) {
        self.buffer.extend_from_slice(
            b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":",
        );
        self.write_json(&self.block_count.saturating_sub(1));
        self.buffer.extend_from_slice(b",\"delta\":");
    }

    fn write_event(&mut self, name: &str, data: &Value) {
        self.buffer.extend_from_slice(b"event: ");
        self.buffer.extend_from_slice(name.as_bytes());
        self.buffer.extend_from_slice(b"\ndata: ");
        self.write_json(data);
        self.buffer.extend_from_slice(b"\n\n");
    }

    fn write_json<T: Serialize + ?Sized>(&mut self, value: &T) {
        // Writing texts and numbers into memory cannot fail.
        _ = serde_json::to_writer((&mut self.buffer).writer(), value);
    }
}

/// Returns whether these arguments are complete.
fn is_whole(arguments: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(arguments).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use pipe_sdk::FinishReason;

    fn events(chunks: &[Chunk]) -> Vec<String> {
        let mut events = EventWriter::new(&ResponseHead::new("msg_", "m"));
        chunks.iter().for_each(|chunk| events.chunk(chunk));
        events.done();
        let written = String::from_utf8(events.take().to_vec()).unwrap();
        written.split_terminator("\n\n").map(summarize).collect()
    }

    /// Summarizes an event.
    fn summarize(event: &str) -> String {
        let (name, data) = event.split_once("\ndata: ").unwrap();
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!(name, format!("event: {}", data["type"].as_str().unwrap()));
        let delta = &data["delta"];
        match data["type"].as_str().unwrap() {
            "content_block_start" => {
                let block = &data["content_block"];
                let name = block["name"].as_str().unwrap_or_default();
                format!("+{} {}{name}", data["index"], block["type"].as_str().unwrap())
            }
            "content_block_delta" => {
                let text = ["text", "thinking", "signature", "partial_json"];
                let text = text.iter().find_map(|field| delta[field].as_str());
                format!("{} {}", data["index"], text.unwrap_or("?"))
            }
            "content_block_stop" => format!("-{}", data["index"]),
            kind => kind.into(),
        }
    }

    fn piece(index: usize, name: &str, arguments: &str) -> Chunk {
        let name = (!name.is_empty()).then(|| name.to_owned());
        let id = name.clone();
        Chunk::ToolCall(ToolCallDelta { index, id, name, arguments: arguments.into() })
    }

    #[test]
    fn interleaved_calls_are_sent_one_after_the_other() {
        let summaries = events(&[
            Chunk::Role,
            piece(0, "f", ""),
            piece(1, "g", ""),
            piece(0, "", "{\"a\""),
            piece(2, "h", "{}"),
            piece(1, "", "{}"),
            piece(0, "", ":1}"),
            Chunk::Finish(FinishReason::ToolCalls),
        ]);
        assert_eq!(
            summaries,
            [
                "message_start",
                "+0 tool_usef",
                "0 {\"a\"",
                "0 :1}",
                "-0",
                "+1 tool_useg",
                "1 {}",
                "-1",
                "+2 tool_useh",
                "2 {}",
                "-2",
                "message_delta",
                "message_stop",
            ]
        );
    }

    #[test]
    fn a_call_whose_arguments_are_whole_ends_when_the_next_one_begins() {
        let summaries = events(&[
            piece(0, "f", "{}"),
            piece(1, "g", ""),
            piece(1, "", "{\"b\":2}"),
            piece(0, "", " "),
            Chunk::Finish(FinishReason::ToolCalls),
        ]);
        let end = ["-1", "message_delta", "message_stop"];
        let calls = ["message_start", "+0 tool_usef", "0 {}", "-0", "+1 tool_useg"];
        assert_eq!(summaries, [&calls[..], &["1 {\"b\":2}"], &end].concat());
    }

    #[test]
    fn a_silent_wire_carries_a_ping() {
        let mut events = EventWriter::new(&ResponseHead::new("msg_", "m"));
        events.write_keepalive();
        assert_eq!(events.take(), "event: ping\ndata: {\"type\":\"ping\"}\n\n");
    }
}
