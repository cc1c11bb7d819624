//! Writes a streamed answer as the events of OpenAI's Responses API
//! (<https://platform.openai.com/docs/api-reference/responses-streaming>): items are added, filled
//! and done.
//!
//! At any time the model either thinks or speaks; pieces of several calls may alternate, so calls
//! stay open until the answer ends.

use super::{
    answer::Response,
    item::{self, Item, Kind},
    wire::{Delta, Wire},
};
use crate::http::{
    Error, FrameWriter,
    client_tools::{TextInput, ToolKind},
};
use actix_web::web::BytesMut;
use pipe_sdk::{Chunk, Citation, FinishReason, ReasoningDetail, ToolCallDelta};
use serde_json::{Value, json};

/// Writes the events of one answer.
#[derive(Debug)]
pub struct Events {
    wire: Wire,
    response: Response,
    /// The place of the reasoning or the message that is open.
    open: Option<usize>,
    /// The places of the calls.
    calls: Vec<usize>,
}

impl Events {
    /// Returns a writer for this response, and writes that it has begun.
    pub fn new(response: Response) -> Self {
        let mut wire = Wire::default();
        let begun = json!({"response": response.object(None)});
        wire.event("response.created", &begun);
        wire.event("response.in_progress", &begun);
        Self { wire, response, open: None, calls: Vec::new() }
    }
}

impl FrameWriter for Events {
    fn buffer(&mut self) -> &mut BytesMut {
        &mut self.wire.buffer
    }

    fn chunk(&mut self, chunk: &Chunk) {
        match chunk {
            Chunk::Content(text) if self.response.compacts => self.summarise(text),
            Chunk::Reasoning(_) | Chunk::ReasoningDetail(_) | Chunk::ToolCall(_)
                if self.response.compacts => {}
            Chunk::Reasoning(text) if !text.is_empty() => self.think(text),
            Chunk::ReasoningDetail(detail) => self.seal(detail),
            Chunk::Content(text) if !text.is_empty() => self.say(text),
            Chunk::Picture(picture) => self.say(&picture.markdown()),
            Chunk::Citation(citation) => self.cite(citation),
            Chunk::ToolCall(delta) => self.call(delta),
            Chunk::Finish(reason) => self.finish(*reason),
            Chunk::Usage(usage) => self.response.usage = Some(*usage),
            Chunk::Fact(name, fact) => self.response.fact(name, fact.clone()),
            _ => {}
        }
    }

    fn has_finished(&self) -> bool {
        self.response.finish.is_some()
    }

    fn write_keepalive(&mut self) {
        self.wire.buffer.extend_from_slice(b": \n\n");
    }

    fn done(&mut self) {
        let kind = format!("response.{}", self.response.status());
        self.wire.event(&kind, &json!({"response": self.response.object(None)}));
    }

    fn error(&mut self, error: &Error) {
        let response = self.response.object(Some(error));
        // Flat: OpenAI's client throws away whatever comes after an object named `error`.
        let said = json!({"code": response["error"]["code"], "message": error.to_string(), "param": error.field()});
        self.wire.event("error", &said);
        self.wire.event("response.failed", &json!({"response": response}));
    }
}

impl Events {
    fn think(&mut self, text: &str) {
        let place = self.reasoning();
        let Item { id, kind, .. } = &mut self.response.items[place];
        let Kind::Reasoning(thought, _) = kind else { return };
        if thought.is_empty() {
            let part = json!({"item_id": id, "output_index": place, "summary_index": 0, "part": item::summary("")});
            self.wire.event("response.reasoning_summary_part.added", &part);
        }
        thought.push_str(text);
        let delta = Delta { summary_index: Some(0), ..Delta::of(id, place, text) };
        self.wire.event("response.reasoning_summary_text.delta", &delta);
    }

    fn seal(&mut self, detail: &ReasoningDetail) {
        let place = self.reasoning();
        if let Kind::Reasoning(_, details) = &mut self.response.items[place].kind {
            details.push(detail.clone());
        }
    }

    fn say(&mut self, text: &str) {
        let place = self.message();
        let Item { id, kind, .. } = &mut self.response.items[place];
        let Kind::Message(said, _) = kind else { return };
        said.push_str(text);
        let delta =
            Delta { content_index: Some(0), logprobs: Some([]), ..Delta::of(id, place, text) };
        self.wire.event("response.output_text.delta", &delta);
    }

    fn cite(&mut self, citation: &Citation) {
        let place = self.message();
        let Item { id, kind, .. } = &mut self.response.items[place];
        let Kind::Message(said, annotations) = kind else { return };
        let annotation = item::annotation(citation, said.chars().count());
        let fields = json!({"item_id": id, "output_index": place, "content_index": 0, "annotation_index": annotations.len(), "annotation": annotation});
        annotations.push(annotation);
        self.wire.event("response.output_text.annotation.added", &fields);
    }

    fn call(&mut self, delta: &ToolCallDelta) {
        let ToolCallDelta { index, id, name, arguments: more } = delta;
        while self.calls.len() <= *index {
            let (call_id, name) =
                (id.clone().unwrap_or_default(), name.clone().unwrap_or_default());
            self.close();
            let tool = self.response.tools.get(&name).cloned();
            let is_whole = item::comes_whole(tool.as_ref());
            let (arguments, input) = (String::new(), TextInput::default());
            let call = Kind::Call { call_id, name, arguments, tool, input };
            let place = if is_whole { self.hold(call) } else { self.add(call) };
            self.calls.push(place);
        }
        let place = self.calls[*index];
        let Item { id, kind: Kind::Call { arguments, tool, input, .. }, .. } =
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
                    let delta = Delta::of(id, place, &text);
                    self.wire.event("response.custom_tool_call_input.delta", &delta);
                }
            }
            None | Some(ToolKind::Function) if more.is_empty() => {}
            None | Some(ToolKind::Function) => {
                let delta = Delta::of(id, place, more);
                self.wire.event("response.function_call_arguments.delta", &delta);
            }
        }
    }

    /// Adds to the summary that replaces the conversation; it is written when it is complete.
    fn summarise(&mut self, text: &str) {
        let place = match self.open {
            Some(place) => place,
            None => {
                let place = self.hold(Kind::Compaction(String::new()));
                self.open = Some(place);
                place
            }
        };
        if let Kind::Compaction(summary) = &mut self.response.items[place].kind {
            summary.push_str(text);
        }
    }

    fn finish(&mut self, reason: FinishReason) {
        self.response.finish = Some(reason);
        item::end(&mut self.response.items, reason);
        let open = self.calls.drain(..).chain(self.open.take()).collect::<Vec<_>>();
        open.into_iter().for_each(|place| self.end(place));
    }

    /// Returns the place of the open reasoning, which is begun if there is none.
    fn reasoning(&mut self) -> usize {
        let is_thinking = |item: &Item| matches!(item.kind, Kind::Reasoning(..));
        self.told(is_thinking).unwrap_or_else(|| self.begin(Kind::Reasoning(String::new(), vec![])))
    }

    /// Returns the place of the open message, which is begun if there is none.
    fn message(&mut self) -> usize {
        let is_speaking = |item: &Item| matches!(item.kind, Kind::Message(..));
        self.told(is_speaking).unwrap_or_else(|| {
            let place = self.begin(Kind::Message(String::new(), vec![]));
            let part = self.part(place, &item::said("", &[]));
            self.wire.event("response.content_part.added", &part);
            place
        })
    }

    fn told(&self, is_such: impl Fn(&Item) -> bool) -> Option<usize> {
        self.open.filter(|place| is_such(&self.response.items[*place]))
    }

    fn begin(&mut self, kind: Kind) -> usize {
        self.close();
        let place = self.add(kind);
        self.open = Some(place);
        place
    }

    fn close(&mut self) {
        if let Some(place) = self.open.take() {
            self.response.items[place].status = "completed";
            self.end(place);
        }
    }

    /// Adds an item without writing it; it is written when it is complete.
    fn hold(&mut self, kind: Kind) -> usize {
        let place = self.response.items.len();
        self.response.items.push(Item::new(kind));
        place
    }

    fn add(&mut self, kind: Kind) -> usize {
        let is_message = matches!(kind, Kind::Message(..));
        let place = self.hold(kind);
        let mut item = self.response.item(place);
        if is_message {
            // Its one part is added by an event of its own.
            item["content"] = json!([]);
        }
        let added = json!({"output_index": place, "item": item});
        self.wire.event("response.output_item.added", &added);
        place
    }

    /// Writes that the item at this place is done; its status says why.
    fn end(&mut self, place: usize) {
        let Item { id, kind, .. } = &mut self.response.items[place];
        match kind {
            Kind::Reasoning(text, _) if !text.is_empty() => {
                let fields = |name: &str, value: Value| json!({"item_id": id, "output_index": place, "summary_index": 0, name: value});
                let (whole, part) =
                    (fields("text", text.as_str().into()), fields("part", item::summary(text)));
                self.wire.event("response.reasoning_summary_text.done", &whole);
                self.wire.event("response.reasoning_summary_part.done", &part);
            }
            Kind::Reasoning(..) => {}
            Kind::Message(text, annotations) => {
                let whole = json!({"item_id": id, "output_index": place, "content_index": 0, "text": text, "logprobs": []});
                let said = item::said(text, annotations);
                let part = self.part(place, &said);
                self.wire.event("response.output_text.done", &whole);
                self.wire.event("response.content_part.done", &part);
            }
            Kind::Call { tool, .. } if item::comes_whole(tool.as_ref()) => self.tell_held(place),
            Kind::Compaction(_) => self.tell_held(place),
            Kind::Call { tool: Some(tool), input, .. } if tool.kind == ToolKind::Custom => {
                let (whole, rest) = input.finish();
                if !rest.is_empty() {
                    let delta = Delta::of(id, place, &rest);
                    self.wire.event("response.custom_tool_call_input.delta", &delta);
                }
                let whole = json!({"item_id": id, "output_index": place, "input": whole});
                self.wire.event("response.custom_tool_call_input.done", &whole);
            }
            Kind::Call { name, arguments, tool, .. } => {
                let name = tool.as_ref().map_or(&*name, |tool| &tool.name);
                let whole = json!({"item_id": id, "output_index": place, "name": name, "arguments": arguments});
                self.wire.event("response.function_call_arguments.done", &whole);
            }
        }
        let done = json!({"output_index": place, "item": self.response.item(place)});
        self.wire.event("response.output_item.done", &done);
    }

    /// Writes that an item was added that was held back until now.
    fn tell_held(&mut self, place: usize) {
        let added = json!({"output_index": place, "item": self.response.item(place)});
        self.wire.event("response.output_item.added", &added);
    }

    /// Returns the fields of an event about a message's one part.
    fn part(&self, place: usize, part: &Value) -> Value {
        let id = &self.response.items[place].id;
        json!({"item_id": id, "output_index": place, "content_index": 0, "part": part})
    }
}
