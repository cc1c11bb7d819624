//! Writes a streamed answer as the events of OpenAI's Responses API
//! (<https://platform.openai.com/docs/api-reference/responses-streaming>): items are added, filled
//! and done.
//!
//! At any time the model writes either reasoning or text; pieces of several calls may alternate, so
//! calls stay open until the answer ends.

use super::{
    answer::Response,
    event_buffer::{Delta, EventBuffer},
    item::{self, OutputItem, OutputItemKind},
};
use crate::http::{
    client_tools::{TextInput, ToolKind},
    error::HttpError,
    sse_body::FrameWriter,
};
use actix_web::web::BytesMut;
use pipe_sdk::{Chunk, Citation, FinishReason, ReasoningDetail, ToolCallDelta};
use serde_json::{Value, json};

/// Writes the events of one answer.
#[derive(Debug)]
pub struct EventWriter {
    buffer: EventBuffer,
    response: Response,
    /// The place of the reasoning or the message that is open.
    open: Option<usize>,
    /// The places of the calls.
    calls: Vec<usize>,
}

impl EventWriter {
    /// Returns a writer for this response, and writes that it has begun.
    pub fn new(response: Response) -> Self {
        let mut buffer = EventBuffer::default();
        let begun = json!({"response": response.object(None)});
        buffer.write_event("response.created", &begun);
        buffer.write_event("response.in_progress", &begun);
        Self { buffer, response, open: None, calls: Vec::new() }
    }
}

impl FrameWriter for EventWriter {
    fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer.buffer
    }

    fn chunk(&mut self, chunk: &Chunk) {
        match chunk {
            Chunk::Content(text) if self.response.compacts => self.append_summary(text),
            Chunk::Reasoning(_) | Chunk::ReasoningDetail(_) | Chunk::ToolCall(_)
                if self.response.compacts => {}
            Chunk::Reasoning(text) if !text.is_empty() => self.write_reasoning(text),
            Chunk::ReasoningDetail(detail) => self.add_reasoning_detail(detail),
            Chunk::Content(text) if !text.is_empty() => self.write_text(text),
            Chunk::Picture(picture) => self.write_text(&picture.markdown()),
            Chunk::Citation(citation) => self.write_citation(citation),
            Chunk::ToolCall(delta) => self.write_call(delta),
            Chunk::Finish(reason) => self.finish(*reason),
            Chunk::Usage(usage) => self.response.usage = Some(*usage),
            Chunk::Fact(name, fact) => self.response.add_fact(name, fact.clone()),
            _ => {}
        }
    }

    fn has_finished(&self) -> bool {
        self.response.finish.is_some()
    }

    fn write_keepalive(&mut self) {
        self.buffer.buffer.extend_from_slice(b": \n\n");
    }

    fn done(&mut self) {
        let kind = format!("response.{}", self.response.status());
        self.buffer.write_event(&kind, &json!({"response": self.response.object(None)}));
    }

    fn error(&mut self, error: &HttpError) {
        let response = self.response.object(Some(error));
        // Flat: OpenAI's client throws away whatever comes after an object named `error`.
        let said = json!({"code": response["error"]["code"], "message": error.to_string(), "param": error.field()});
        self.buffer.write_event("error", &said);
        self.buffer.write_event("response.failed", &json!({"response": response}));
    }
}

impl EventWriter {
    fn write_reasoning(&mut self, text: &str) {
        let place = self.open_reasoning();
        let OutputItem { id, kind, .. } = &mut self.response.items[place];
        let OutputItemKind::Reasoning(thought, _) = kind else { return };
        if thought.is_empty() {
            let part = json!({"item_id": id, "output_index": place, "summary_index": 0, "part": item::summary_part("")});
            self.buffer.write_event("response.reasoning_summary_part.added", &part);
        }
        thought.push_str(text);
        let delta = Delta { summary_index: Some(0), ..Delta::new(id, place, text) };
        self.buffer.write_event("response.reasoning_summary_text.delta", &delta);
    }

    fn add_reasoning_detail(&mut self, detail: &ReasoningDetail) {
        let place = self.open_reasoning();
        if let OutputItemKind::Reasoning(_, details) = &mut self.response.items[place].kind {
            details.push(detail.clone());
        }
    }

    fn write_text(&mut self, text: &str) {
        let place = self.open_message();
        let OutputItem { id, kind, .. } = &mut self.response.items[place];
        let OutputItemKind::Message(said, _) = kind else { return };
        said.push_str(text);
        let delta =
            Delta { content_index: Some(0), logprobs: Some([]), ..Delta::new(id, place, text) };
        self.buffer.write_event("response.output_text.delta", &delta);
    }

    fn write_citation(&mut self, citation: &Citation) {
        let place = self.open_message();
        let OutputItem { id, kind, .. } = &mut self.response.items[place];
        let OutputItemKind::Message(said, annotations) = kind else { return };
        let annotation = item::url_citation(citation, said.chars().count());
        let fields = json!({"item_id": id, "output_index": place, "content_index": 0, "annotation_index": annotations.len(), "annotation": annotation});
        annotations.push(annotation);
        self.buffer.write_event("response.output_text.annotation.added", &fields);
    }

    fn write_call(&mut self, delta: &ToolCallDelta) {
        let ToolCallDelta { index, id, name, arguments: more } = delta;
        while self.calls.len() <= *index {
            let (call_id, name) =
                (id.clone().unwrap_or_default(), name.clone().unwrap_or_default());
            self.close_item();
            let tool = self.response.tools.get(&name).cloned();
            let is_whole = item::is_written_whole(tool.as_ref());
            let (arguments, input) = (String::new(), TextInput::default());
            let call = OutputItemKind::Call { call_id, name, arguments, tool, input };
            let place = if is_whole { self.push_item(call) } else { self.add_item(call) };
            self.calls.push(place);
        }
        let place = self.calls[*index];
        let OutputItem { id, kind: OutputItemKind::Call { arguments, tool, input, .. }, .. } =
            &mut self.response.items[place]
        else {
            return;
        };
        arguments.push_str(more);
        match tool.as_ref().map(|tool| tool.kind) {
            Some(ToolKind::Builtin(_)) => {}
            Some(ToolKind::Custom) => {
                let text = input.push(more);
                if !text.is_empty() {
                    let delta = Delta::new(id, place, &text);
                    self.buffer.write_event("response.custom_tool_call_input.delta", &delta);
                }
            }
            None | Some(ToolKind::Function) if more.is_empty() => {}
            None | Some(ToolKind::Function) => {
                let delta = Delta::new(id, place, more);
                self.buffer.write_event("response.function_call_arguments.delta", &delta);
            }
        }
    }

    /// Adds to the summary that replaces the conversation; it is written when it is complete.
    fn append_summary(&mut self, text: &str) {
        let place = match self.open {
            Some(place) => place,
            None => {
                let place = self.push_item(OutputItemKind::Compaction(String::new()));
                self.open = Some(place);
                place
            }
        };
        if let OutputItemKind::Compaction(summary) = &mut self.response.items[place].kind {
            summary.push_str(text);
        }
    }

    /// Ends all open items, and records why the answer ended.
    fn finish(&mut self, reason: FinishReason) {
        self.response.finish = Some(reason);
        item::set_final_status(&mut self.response.items, reason);
        let open = self.calls.drain(..).chain(self.open.take()).collect::<Vec<_>>();
        open.into_iter().for_each(|place| self.end_item(place));
    }

    /// Returns the index of the open reasoning item, and begins one if none is open.
    fn open_reasoning(&mut self) -> usize {
        let is_thinking = |item: &OutputItem| matches!(item.kind, OutputItemKind::Reasoning(..));
        self.find_open_item(is_thinking)
            .unwrap_or_else(|| self.begin_item(OutputItemKind::Reasoning(String::new(), vec![])))
    }

    /// Returns the index of the open message, and begins one if none is open.
    fn open_message(&mut self) -> usize {
        let is_speaking = |item: &OutputItem| matches!(item.kind, OutputItemKind::Message(..));
        self.find_open_item(is_speaking).unwrap_or_else(|| {
            let place = self.begin_item(OutputItemKind::Message(String::new(), vec![]));
            let part = self.part_event(place, &item::text_part("", &[]));
            self.buffer.write_event("response.content_part.added", &part);
            place
        })
    }

    /// Returns the index of the open item, if the condition holds for it.
    fn find_open_item(&self, is_such: impl Fn(&OutputItem) -> bool) -> Option<usize> {
        self.open.filter(|place| is_such(&self.response.items[*place]))
    }

    fn begin_item(&mut self, kind: OutputItemKind) -> usize {
        self.close_item();
        let place = self.add_item(kind);
        self.open = Some(place);
        place
    }

    fn close_item(&mut self) {
        if let Some(place) = self.open.take() {
            self.response.items[place].status = "completed";
            self.end_item(place);
        }
    }

    /// Adds an item without writing it; it is written when it is complete.
    fn push_item(&mut self, kind: OutputItemKind) -> usize {
        let place = self.response.items.len();
        self.response.items.push(OutputItem::new(kind));
        place
    }

    fn add_item(&mut self, kind: OutputItemKind) -> usize {
        let is_message = matches!(kind, OutputItemKind::Message(..));
        let place = self.push_item(kind);
        let mut item = self.response.item_object(place);
        if is_message {
            // The event `response.content_part.added` adds the only part.
            item["content"] = json!([]);
        }
        let added = json!({"output_index": place, "item": item});
        self.buffer.write_event("response.output_item.added", &added);
        place
    }

    /// Writes that the item at this place is done; its status says why.
    fn end_item(&mut self, place: usize) {
        let OutputItem { id, kind, .. } = &mut self.response.items[place];
        match kind {
            OutputItemKind::Reasoning(text, _) if !text.is_empty() => {
                let fields = |name: &str, value: Value| json!({"item_id": id, "output_index": place, "summary_index": 0, name: value});
                let (whole, part) = (
                    fields("text", text.as_str().into()),
                    fields("part", item::summary_part(text)),
                );
                self.buffer.write_event("response.reasoning_summary_text.done", &whole);
                self.buffer.write_event("response.reasoning_summary_part.done", &part);
            }
            OutputItemKind::Reasoning(..) => {}
            OutputItemKind::Message(text, annotations) => {
                let whole = json!({"item_id": id, "output_index": place, "content_index": 0, "text": text, "logprobs": []});
                let said = item::text_part(text, annotations);
                let part = self.part_event(place, &said);
                self.buffer.write_event("response.output_text.done", &whole);
                self.buffer.write_event("response.content_part.done", &part);
            }
            OutputItemKind::Call { tool, .. } if item::is_written_whole(tool.as_ref()) => {
                self.write_added(place);
            }
            OutputItemKind::Compaction(_) => self.write_added(place),
            OutputItemKind::Call { tool: Some(tool), input, .. }
                if tool.kind == ToolKind::Custom =>
            {
                let (whole, rest) = input.finish();
                if !rest.is_empty() {
                    let delta = Delta::new(id, place, &rest);
                    self.buffer.write_event("response.custom_tool_call_input.delta", &delta);
                }
                let whole = json!({"item_id": id, "output_index": place, "input": whole});
                self.buffer.write_event("response.custom_tool_call_input.done", &whole);
            }
            OutputItemKind::Call { name, arguments, tool, .. } => {
                let name = tool.as_ref().map_or(&*name, |tool| &tool.name);
                let whole = json!({"item_id": id, "output_index": place, "name": name, "arguments": arguments});
                self.buffer.write_event("response.function_call_arguments.done", &whole);
            }
        }
        let done = json!({"output_index": place, "item": self.response.item_object(place)});
        self.buffer.write_event("response.output_item.done", &done);
    }

    /// Writes that an item was added that was held back until now.
    fn write_added(&mut self, place: usize) {
        let added = json!({"output_index": place, "item": self.response.item_object(place)});
        self.buffer.write_event("response.output_item.added", &added);
    }

    /// Returns the fields of an event about a message's one part.
    fn part_event(&self, place: usize, part: &Value) -> Value {
        let id = &self.response.items[place].id;
        json!({"item_id": id, "output_index": place, "content_index": 0, "part": part})
    }
}
