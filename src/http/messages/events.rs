//! Writes a streamed answer as Anthropic's events
//! (<https://docs.claude.com/en/docs/build-with-claude/streaming>): blocks that start, grow and
//! stop, one after the other.

use super::{
    answer::{OWN_REASON, begun, citation, stop_reason, usage},
    error,
};
use crate::http::{Error, answer::ResponseHead, sse_body::FrameWriter};
use actix_web::web::{BufMut, BytesMut};
use pipe_sdk::{Chunk, ReasoningKind, ToolCallDelta, Usage};
use serde::{Serialize, de::IgnoredAny};
use serde_json::{Value, json};

/// Writes the events of one answer.
pub struct Events {
    buffer: BytesMut,
    /// The message without content, until it is written.
    begun: Option<Value>,
    open: Option<Block>,
    /// The number of blocks that were started.
    blocks: usize,
    /// The number of calls that were started.
    calls: usize,
    /// Pieces of calls that arrived while another call was open.
    held: Vec<ToolCallDelta>,
    /// The stop reason in the model's own word.
    own_reason: Option<String>,
    stop_reason: Option<&'static str>,
    usage: Usage,
}

/// The block that is open.
enum Block {
    Text,
    Thinking,
    /// The call of this number, and its arguments so far.
    Call(usize, String),
}

impl Events {
    /// Returns a writer for the answer under this head.
    pub fn new(head: &ResponseHead) -> Self {
        Self {
            buffer: BytesMut::new(),
            begun: Some(begun(head)),
            open: None,
            blocks: 0,
            calls: 0,
            held: Vec::new(),
            own_reason: None,
            stop_reason: None,
            usage: Usage::default(),
        }
    }
}

impl FrameWriter for Events {
    fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    fn chunk(&mut self, chunk: &Chunk) {
        if let Some(message) = self.begun.take() {
            self.event("message_start", &json!({"type": "message_start", "message": message}));
        }
        match chunk {
            Chunk::Content(text) if !text.is_empty() => {
                self.tell_text();
                self.delta("text_delta", "text", text);
            }
            Chunk::Picture(picture) => {
                self.tell_text();
                self.delta("text_delta", "text", &picture.markdown());
            }
            Chunk::Reasoning(text) if !text.is_empty() => {
                self.think();
                self.delta("thinking_delta", "thinking", text);
            }
            Chunk::ReasoningDetail(detail) => self.thought(&detail.kind),
            Chunk::Citation(source) => {
                self.tell_text();
                let delta = json!({"type": "citations_delta", "citation": citation(source)});
                self.json_delta(&delta);
            }
            Chunk::ToolCall(piece) => self.call(piece),
            Chunk::Fact(OWN_REASON, word) => self.own_reason = word.as_str().map(String::from),
            Chunk::Finish(finish) => {
                self.close();
                self.stop_reason = Some(stop_reason(*finish, self.own_reason.as_deref()));
            }
            Chunk::Usage(usage) => self.usage = *usage,
            _ => {}
        }
    }

    fn has_finished(&self) -> bool {
        self.stop_reason.is_some()
    }

    fn write_keepalive(&mut self) {
        self.event("ping", &json!({"type": "ping"}));
    }

    /// Writes the end: the usage arrives after the finish reason, so both wait for it.
    fn done(&mut self) {
        let delta = json!({"stop_reason": self.stop_reason, "stop_sequence": null});
        let usage = usage(&self.usage);
        let end = json!({"type": "message_delta", "delta": delta, "usage": usage});
        self.event("message_delta", &end);
        self.event("message_stop", &json!({"type": "message_stop"}));
    }

    fn error(&mut self, error: &Error) {
        self.event("error", &error::object(error));
    }
}

impl Events {
    fn tell_text(&mut self) {
        if !matches!(self.open, Some(Block::Text)) {
            self.open(Block::Text, &json!({"type": "text", "text": ""}));
        }
    }

    fn think(&mut self) {
        if !matches!(self.open, Some(Block::Thinking)) {
            let block = json!({"type": "thinking", "thinking": "", "signature": ""});
            self.open(Block::Thinking, &block);
        }
    }

    /// Writes the rest of a thought: its text has mostly been written, its signature has not.
    fn thought(&mut self, kind: &ReasoningKind) {
        match kind {
            ReasoningKind::Text { text, signature } => {
                if !matches!(self.open, Some(Block::Thinking)) {
                    self.think();
                    if !text.is_empty() {
                        self.delta("thinking_delta", "thinking", text);
                    }
                }
                if let Some(signature) = signature {
                    self.delta("signature_delta", "signature", signature);
                }
            }
            ReasoningKind::Encrypted { data } => {
                self.start(&json!({"type": "redacted_thinking", "data": data}));
                self.stop();
                return;
            }
        }
        self.close();
    }

    /// Writes a piece of a call. Pieces of several calls may alternate, but blocks may not: a piece
    /// that arrives amid another call waits for its end.
    fn call(&mut self, piece: &ToolCallDelta) {
        if let Some(Block::Call(open, arguments)) = &mut self.open {
            if *open == piece.index {
                arguments.push_str(&piece.arguments);
                self.arguments(&piece.arguments);
                return;
            }
            if !self.held.is_empty() || !is_whole(arguments) {
                self.held.push(piece.clone());
                return;
            }
        }
        self.next_call(piece);
    }

    fn next_call(&mut self, piece: &ToolCallDelta) {
        let ToolCallDelta { index, id, name, arguments } = piece;
        if *index < self.calls {
            // The rest of a call that was whole without it.
            return;
        }
        self.calls = index + 1;
        let block = json!({"type": "tool_use", "id": id.as_deref().unwrap_or_default(), "name": name.as_deref().unwrap_or_default(), "input": {}});
        self.open(Block::Call(*index, arguments.clone()), &block);
        self.arguments(arguments);
    }

    fn arguments(&mut self, json: &str) {
        if !json.is_empty() {
            self.delta("input_json_delta", "partial_json", json);
        }
    }

    fn open(&mut self, block: Block, start: &Value) {
        self.start(start);
        self.open = Some(block);
    }

    fn start(&mut self, block: &Value) {
        self.close();
        let index = self.blocks;
        self.blocks += 1;
        let start = json!({"type": "content_block_start", "index": index, "content_block": block});
        self.event("content_block_start", &start);
    }

    /// Stops the open block, and writes the calls that waited for that.
    fn close(&mut self) {
        self.end();
        let mut held = std::mem::take(&mut self.held);
        held.sort_by_key(|piece| piece.index);
        for pieces in held.chunk_by(|one, next| one.index == next.index) {
            pieces.iter().for_each(|piece| self.call(piece));
            self.end();
        }
    }

    fn end(&mut self) {
        if self.open.take().is_some() {
            self.stop();
        }
    }

    fn stop(&mut self) {
        let index = self.blocks.saturating_sub(1);
        self.event("content_block_stop", &json!({"type": "content_block_stop", "index": index}));
    }

    /// Writes more text of the open block; every token passes here.
    fn delta(&mut self, kind: &str, field: &str, text: &str) {
        self.open_delta();
        self.buffer.extend_from_slice(b"{\"type\":\"");
        self.buffer.extend_from_slice(kind.as_bytes());
        self.buffer.extend_from_slice(b"\",\"");
        self.buffer.extend_from_slice(field.as_bytes());
        self.buffer.extend_from_slice(b"\":");
        self.json(text);
        self.buffer.extend_from_slice(b"}}\n\n");
    }

    fn json_delta(&mut self, delta: &Value) {
        self.open_delta();
        self.json(delta);
        self.buffer.extend_from_slice(b"}\n\n");
    }

    fn open_delta(&mut self) {
        self.buffer.extend_from_slice(
            b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":",
        );
        self.json(&self.blocks.saturating_sub(1));
        self.buffer.extend_from_slice(b",\"delta\":");
    }

    fn event(&mut self, name: &str, data: &Value) {
        self.buffer.extend_from_slice(b"event: ");
        self.buffer.extend_from_slice(name.as_bytes());
        self.buffer.extend_from_slice(b"\ndata: ");
        self.json(data);
        self.buffer.extend_from_slice(b"\n\n");
    }

    fn json<T: Serialize + ?Sized>(&mut self, value: &T) {
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
        let mut events = Events::new(&ResponseHead::new("msg_", "m"));
        chunks.iter().for_each(|chunk| events.chunk(chunk));
        events.done();
        let written = String::from_utf8(events.take().to_vec()).unwrap();
        written.split_terminator("\n\n").map(told).collect()
    }

    /// An event in a few words.
    fn told(event: &str) -> String {
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
    fn calls_that_come_in_turns_are_told_one_after_the_other() {
        let told = events(&[
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
            told,
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
        let told = events(&[
            piece(0, "f", "{}"),
            piece(1, "g", ""),
            piece(1, "", "{\"b\":2}"),
            piece(0, "", " "),
            Chunk::Finish(FinishReason::ToolCalls),
        ]);
        let end = ["-1", "message_delta", "message_stop"];
        let calls = ["message_start", "+0 tool_usef", "0 {}", "-0", "+1 tool_useg"];
        assert_eq!(told, [&calls[..], &["1 {\"b\":2}"], &end].concat());
    }

    #[test]
    fn a_silent_wire_carries_a_ping() {
        let mut events = Events::new(&ResponseHead::new("msg_", "m"));
        events.write_keepalive();
        assert_eq!(events.take(), "event: ping\ndata: {\"type\":\"ping\"}\n\n");
    }
}
