//! Writes a chunk as a server-sent event in OpenAI's shape, behind a prefix that is made once an
//! answer.

use super::client_tools::{ClientTools, TextInput, ToolKind};
use super::{
    answer::{self, ResponseHead},
    error::HttpError,
    sse_body::FrameWriter,
};
use actix_web::web::{BufMut, BytesMut};
use pipe_sdk::{Chunk, FinishReason, ToolCallDelta};
use serde::Serialize;
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};

/// Writes the frames of one answer.
#[derive(Debug)]
pub struct OpenAiSseWriter {
    buffer: BytesMut,
    /// `data: {… "delta":`, as every frame of the answer begins.
    prefix: Vec<u8>,
    with_usage: bool,
    has_begun: bool,
    is_finished: bool,
    /// The number of characters of text that are written.
    written_chars: usize,
    /// The number of sources that are written.
    citation_count: usize,
    /// The number of pictures that are written.
    picture_count: usize,
    /// True if sources were sent by events.
    has_source_events: bool,
    for_open_webui: bool,
    /// The place of the answer among several.
    choice: usize,
    /// The client's types of the tools.
    tools: Arc<ClientTools>,
    /// The texts of custom tools' calls, by the calls' places.
    inputs: BTreeMap<usize, TextInput>,
}

impl OpenAiSseWriter {
    /// Creates a writer for the answer with this head; `with_usage` adds its usage.
    pub fn new(head: &ResponseHead, with_usage: bool) -> Self {
        let ResponseHead { id, created, model, .. } = head;
        let substitute = head.substitute();
        let head = json!({"id": id, "object": "chat.completion.chunk", "created": created, "model": model});
        let mut prefix = format!("data: {head}").into_bytes();
        // The head is an object, so its last byte is the brace that the rest of the frame goes
        // before.
        prefix.pop();
        let buffer = BytesMut::new();
        let mut writer = Self {
            buffer,
            prefix,
            with_usage,
            has_begun: false,
            is_finished: false,
            written_chars: 0,
            citation_count: 0,
            picture_count: 0,
            has_source_events: false,
            for_open_webui: false,
            choice: 0,
            tools: Arc::default(),
            inputs: BTreeMap::new(),
        };
        if let Some(substitute) = substitute {
            // Alone: Open WebUI loses the text of the chunk that says it
            // (`docs/reference/open-webui.md`, "Events").
            writer.fact("selected_model_id", &substitute);
        }
        writer
    }

    /// Writes for Open WebUI from now on, if it is the client.
    #[must_use]
    pub fn for_open_webui(self, is_asking: bool) -> Self {
        Self { for_open_webui: is_asking, ..self }
    }
}

impl OpenAiSseWriter {
    /// Writes the choice of this index.
    pub(super) fn with_choice(mut self, choice: usize) -> Self {
        self.choice = choice;
        // The model's name is sent once.
        if choice > 0 {
            self.buffer.clear();
        }
        self
    }

    /// Writes calls of these tools as their client expects them.
    pub(super) fn with_tools(mut self, tools: Arc<ClientTools>) -> Self {
        self.tools = tools;
        self
    }
}

impl FrameWriter for OpenAiSseWriter {
    fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    fn chunk(&mut self, chunk: &Chunk) {
        if !self.has_begun {
            self.has_begun = true;
            self.delta(br#"{"role":"assistant","content":""}"#, None);
        }
        match chunk {
            Chunk::Content(text) => {
                self.written_chars += text.chars().count();
                self.text(br#"{"content":"#, text);
            }
            Chunk::Picture(picture) => {
                self.written_chars += picture.words.chars().count();
                let mut image = answer::image(picture);
                image["index"] = self.picture_count.into();
                self.picture_count += 1;
                self.json_delta(&json!({"content": picture.words, "images": [image]}));
            }
            Chunk::Logprobs(tokens) => {
                self.open();
                self.buffer.extend_from_slice(br#"{},"logprobs":"#);
                self.json(&answer::logprobs_object(tokens));
                self.buffer.extend_from_slice(b",\"finish_reason\":null}]}\n\n");
            }
            Chunk::Reasoning(text) => self.text(br#"{"reasoning_content":"#, text),
            Chunk::ReasoningDetail(detail) => {
                // OpenAI's own client joins what comes in pieces by its index.
                let mut block = detail.thinking_block();
                block["index"] = detail.index.into();
                self.json_delta(
                    &json!({"reasoning_details": [detail], "thinking_blocks": [block]}),
                );
            }
            // Open WebUI would show twice what an event has shown already
            // (`docs/reference/open-webui.md`, "Streamed answers" and "Events").
            Chunk::Citation(_) if self.has_source_events && self.for_open_webui => {}
            Chunk::Citation(citation) => {
                let mut annotation = citation.annotation(0, self.written_chars);
                annotation["index"] = self.citation_count.into();
                self.citation_count += 1;
                self.json_delta(&json!({"annotations": [annotation]}));
            }
            Chunk::ToolCall(delta) => self.tool_call(delta),
            Chunk::Fact(name, fact) => self.fact(name, fact),
            Chunk::NextChoice { finish, .. } => {
                self.flush_inputs();
                self.delta(b"{}", Some(*finish));
                (self.choice, self.written_chars, self.citation_count, self.picture_count) =
                    (self.choice + 1, 0, 0, 0);
                self.delta(br#"{"role":"assistant","content":""}"#, None);
            }
            Chunk::Finish(reason) => {
                self.flush_inputs();
                self.is_finished = true;
                self.delta(b"{}", Some(*reason));
            }
            Chunk::Usage(usage) if self.with_usage => {
                self.fact("usage", &answer::usage_object(usage));
            }
            Chunk::Event(event) => {
                self.has_source_events |= event.kind == "source";
                // Beside a choice that says nothing: other clients than Open WebUI read every frame
                // as a chunk.
                self.open();
                self.buffer
                    .extend_from_slice(br#"{},"logprobs":null,"finish_reason":null}],"event":"#);
                self.json(event);
                self.buffer.extend_from_slice(b"}\n\n");
            }
            _ => {}
        }
    }

    fn has_finished(&self) -> bool {
        self.is_finished
    }

    /// Writes a comment.
    fn write_keepalive(&mut self) {
        self.buffer.extend_from_slice(b": \n\n");
    }

    fn done(&mut self) {
        self.buffer.extend_from_slice(b"data: [DONE]\n\n");
    }

    /// Writes an error without `choices`, as Open WebUI reads it only then
    /// (`docs/reference/open-webui.md`, "Streamed answers").
    fn error(&mut self, error: &HttpError) {
        self.buffer.extend_from_slice(b"data: ");
        self.json(&json!({"error": error.object()}));
        self.buffer.extend_from_slice(b"\n\n");
        self.done();
    }
}

impl OpenAiSseWriter {
    /// Writes what is left of the texts of custom tools' calls.
    fn flush_inputs(&mut self) {
        for (index, mut input) in std::mem::take(&mut self.inputs) {
            self.input(index, &input.finish().1);
        }
    }

    /// Writes an event whose delta is an opening and a text.
    fn text(&mut self, opening: &[u8], text: &str) {
        self.open();
        self.buffer.extend_from_slice(opening);
        self.json(text);
        self.buffer.extend_from_slice(b"}");
        self.close(None);
    }

    fn tool_call(&mut self, delta: &ToolCallDelta) {
        let ToolCallDelta { index, id, name, arguments } = delta;
        let known = name.as_deref().and_then(|name| self.tools.get(name));
        if let Some(tool) = known.filter(|tool| tool.kind == ToolKind::Custom) {
            let mut input = TextInput::default();
            let text = input.push(arguments);
            let call = json!({
                "index": index, "id": id, "type": "custom", "custom": {"name": tool.name, "input": text},
            });
            self.inputs.insert(*index, input);
            self.json_delta(&json!({"tool_calls": [call]}));
            return;
        }
        if let Some(input) = self.inputs.get_mut(index) {
            let text = input.push(arguments);
            self.input(*index, &text);
            return;
        }
        let mut call = json!({"index": index, "function": {"arguments": arguments}});
        if let Some(name) = name {
            call["function"] = json!({"name": name, "arguments": arguments});
            call["type"] = "function".into();
        }
        if let Some(id) = id {
            call["id"] = id.as_str().into();
        }
        self.json_delta(&json!({"tool_calls": [call]}));
    }

    /// Writes a piece of the text of a custom tool's call.
    fn input(&mut self, index: usize, text: &str) {
        if !text.is_empty() {
            let call = json!({"index": index, "custom": {"input": text}});
            self.json_delta(&json!({"tool_calls": [call]}));
        }
    }

    fn json_delta(&mut self, delta: &Value) {
        self.open();
        self.json(delta);
        self.close(None);
    }

    /// Writes an event with a field beside `choices`.
    fn fact<T: Serialize + ?Sized>(&mut self, name: &str, fact: &T) {
        self.buffer.extend_from_slice(&self.prefix);
        self.buffer.extend_from_slice(br#","choices":[],"#);
        self.json(name);
        self.buffer.extend_from_slice(b":");
        self.json(fact);
        self.buffer.extend_from_slice(b"}\n\n");
    }

    /// Writes an event with this delta.
    fn delta(&mut self, delta: &[u8], finish: Option<FinishReason>) {
        self.open();
        self.buffer.extend_from_slice(delta);
        self.close(finish);
    }

    /// Writes the beginning of an event, as far as its delta.
    fn open(&mut self) {
        self.buffer.extend_from_slice(&self.prefix);
        self.buffer.extend_from_slice(br#","choices":[{"index":"#);
        let choice = self.choice;
        self.json(&choice);
        self.buffer.extend_from_slice(br#","delta":"#);
    }

    /// Writes the end of an event, after its delta.
    fn close(&mut self, finish: Option<FinishReason>) {
        self.buffer.extend_from_slice(br#","logprobs":null,"finish_reason":"#);
        self.json(&finish);
        self.buffer.extend_from_slice(if self.with_usage {
            b"}],\"usage\":null}\n\n"
        } else {
            b"}]}\n\n"
        });
    }

    /// Writes a value as JSON.
    fn json<T: Serialize + ?Sized>(&mut self, value: &T) {
        // Writing texts and numbers into memory cannot fail.
        _ = serde_json::to_writer((&mut self.buffer).writer(), value);
    }
}
