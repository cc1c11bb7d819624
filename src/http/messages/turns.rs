//! Converts turns of blocks into messages: results become messages of tools; calls and thoughts
//! become fields of the message.

use super::{
    content::{Block, Content},
    places::Places,
    request::{Speaker, Turn, fault, there},
    source,
};
use pipe_sdk::{self as sdk, FunctionCall, Message, Part, PipeError, Role, ToolCall};
use serde_json::{Map, Value, json, value::RawValue};

/// A conversation as messages.
#[derive(Default)]
pub struct Conversation {
    /// The messages.
    pub messages: Vec<Message>,
    /// The paths of their parts in the request.
    pub places: Places,
}

/// The content of one turn.
#[derive(Default)]
struct Said {
    parts: Vec<Part>,
    /// The paths of the parts.
    fields: Vec<String>,
    calls: Vec<ToolCall>,
    thoughts: Vec<Value>,
    /// Messages of tools, with the paths of their parts.
    results: Vec<(Message, Vec<String>)>,
    /// The cache mark of a call: the chat's message has it, because a call has no field for it.
    mark: Option<Value>,
}

impl Conversation {
    /// Adds the instructions of this field.
    pub fn instruct(&mut self, content: Content, field: &str) -> Result<(), PipeError> {
        let blocks = match content {
            Content::Text(text) => {
                let text = without_attribution(text);
                if !text.is_empty() {
                    self.push(Message::new(Role::System, text), Vec::new());
                }
                return Ok(());
            }
            Content::Blocks(blocks) => blocks,
            Content::Object(_) => return Err(fault(field, "must be a text or a list of blocks")),
        };
        let (mut parts, mut kept) = (Vec::new(), Vec::new());
        for (block, field) in blocks.into_iter().zip(fields_of(field, usize::MAX)) {
            let mut part = match block.kind.as_str() {
                "text" => text(block),
                _ => {
                    return Err(fault(
                        &format!("{field}.type"),
                        "instructions are taken as text only",
                    ));
                }
            };
            if let Part::Text { text, .. } = &mut part {
                let is_attributed = text.starts_with(ATTRIBUTION);
                *text = without_attribution(std::mem::take(text));
                if is_attributed && text.is_empty() {
                    continue;
                }
            }
            parts.push(part);
            kept.push(field);
        }
        if !parts.is_empty() {
            self.push(of_parts(Role::System, parts), kept);
        }
        Ok(())
    }

    /// Adds this turn, whose content is the field at this path.
    pub fn add(&mut self, turn: Turn, field: &str) -> Result<(), PipeError> {
        let role = match turn.role {
            Speaker::User => Role::User,
            Speaker::Assistant => Role::Assistant,
            Speaker::System => return self.instruct(turn.content, field),
        };
        if turn.role == Speaker::User && turn.content.is_empty() {
            return Err(fault(field, "there is nothing in it"));
        }
        let blocks = match turn.content {
            Content::Text(text) => {
                self.push(Message::new(role, text), Vec::new());
                return Ok(());
            }
            Content::Blocks(blocks) => blocks,
            Content::Object(_) => return Err(fault(field, "must be a text or a list of blocks")),
        };
        let (mut said, fields) = (Said::default(), fields_of(field, blocks.len()));
        for (block, field) in blocks.into_iter().zip(fields) {
            said.add(block, turn.role, field)?;
        }
        let Said { parts, fields, calls, thoughts, results, mark } = said;
        let answers_only = !results.is_empty() && parts.is_empty();
        // Results come first, as every API of chats wants them.
        results.into_iter().for_each(|(message, fields)| self.push(message, fields));
        if !answers_only {
            let thoughts = (!thoughts.is_empty()).then(|| thoughts.into());
            let rest = there([("thinking_blocks", thoughts), ("cache_control", mark)]);
            self.push(Message { tool_calls: calls, rest, ..of_parts(role, parts) }, fields);
        }
        Ok(())
    }

    fn push(&mut self, message: Message, fields: Vec<String>) {
        self.messages.push(message);
        self.places.push(fields);
    }
}

fn fields_of(field: &str, blocks: usize) -> impl Iterator<Item = String> {
    (0..blocks).map(move |place| format!("{field}[{place}]"))
}

/// The prefix of the line in which Claude Code tells Anthropic who pays. Bedrock refuses it, and it
/// differs in every request, so that no cached prompt would be found again.
const ATTRIBUTION: &str = "x-anthropic-billing-header";

/// Returns these instructions without the attribution line.
fn without_attribution(text: String) -> String {
    if !text.starts_with(ATTRIBUTION) {
        return text;
    }
    text.split_once('\n').map_or_else(String::new, |(_, rest)| rest.trim_start().to_owned())
}

impl Said {
    fn add(&mut self, block: Block, speaker: Speaker, field: String) -> Result<(), PipeError> {
        match (block.kind.as_str(), speaker) {
            ("tool_result", Speaker::User) => self.results.push(result(block, &field)?),
            ("tool_use", Speaker::Assistant) => self.call(block),
            ("thinking", Speaker::Assistant) => {
                let Block { thinking, signature, .. } = block;
                let thought =
                    json!({"type": "thinking", "thinking": thinking, "signature": signature});
                self.thoughts.push(thought);
            }
            ("redacted_thinking", Speaker::Assistant) => {
                self.thoughts.push(json!({"type": "redacted_thinking", "data": block.data}));
            }
            ("thinking" | "redacted_thinking", _) => {}
            _ => {
                if let Some(part) = part(block, &field)? {
                    self.parts.push(part);
                    self.fields.push(field);
                }
            }
        }
        Ok(())
    }

    fn call(&mut self, block: Block) {
        let Block { id, name, input, cache_control, .. } = block;
        // The request's shape has seen to it that they are there.
        let (id, name) = (id.unwrap_or_default(), name.unwrap_or_default());
        let arguments = input.map_or_else(|| "{}".into(), |input| RawValue::get(&input).into());
        let function = FunctionCall { name, arguments };
        self.calls.push(ToolCall { id, kind: "function".into(), function });
        self.mark = cache_control.or(self.mark.take());
    }
}

/// Returns the message of a tool's result. `is_error` in it tells that the tool failed.
fn result(block: Block, field: &str) -> Result<(Message, Vec<String>), PipeError> {
    let id = block.tool_use_id.unwrap_or_default();
    let failed = block.is_error.filter(|failed| *failed).map(Value::from);
    let mut fields = Vec::new();
    let said = match block.content {
        None => Message::new(Role::Tool, ""),
        Some(Content::Text(text)) => Message::new(Role::Tool, text),
        Some(Content::Blocks(blocks)) => {
            let mut parts = Vec::new();
            let within = format!("{field}.content");
            for (block, field) in blocks.into_iter().zip(fields_of(&within, usize::MAX)) {
                if let Some(part) = part(block, &field)? {
                    parts.push(part);
                    fields.push(field);
                }
            }
            of_parts(Role::Tool, parts)
        }
        Some(Content::Object(object)) => Message::new(Role::Tool, object.to_string()),
    };
    let rest = there([("is_error", failed), ("cache_control", block.cache_control)]);
    Ok((Message { tool_call_id: Some(id), rest, ..said }, fields))
}

/// Returns the block as a part of a chat; `None` for a block of an unknown type without text.
fn part(block: Block, field: &str) -> Result<Option<Part>, PipeError> {
    match block.kind.as_str() {
        "text" => Ok(Some(text(block))),
        "image" => {
            let image_url = source::image_url(&block.source.unwrap_or_default(), field)?;
            Ok(Some(Part::ImageUrl { image_url, rest: marked(block.cache_control) }))
        }
        "search_result" => {
            let Block { source, title, content, citations, cache_control, .. } = block;
            let said = source::said(content.unwrap_or_default(), &format!("{field}.content"))?;
            Ok(Some(Part::Other(there([
                ("type", Some("document".into())),
                ("source", Some(said)),
                ("title", title.map(Value::from)),
                ("context", source),
                ("citations", citations),
                ("cache_control", cache_control),
            ]))))
        }
        "document" => {
            let Block { source, title, context, citations, cache_control, .. } = block;
            if citations.as_ref().is_some_and(|citations| !citations.is_object()) {
                return Err(fault(&format!("{field}.citations"), "must be an object"));
            }
            let text = |text: Option<String>| text.map(Value::from);
            Ok(Some(Part::Other(there([
                ("type", Some("document".into())),
                ("source", Some(source::document(source.unwrap_or_default(), field)?)),
                ("title", text(title)),
                ("context", text(context)),
                ("citations", citations),
                ("cache_control", cache_control),
            ]))))
        }
        kind @ ("tool_use" | "tool_result") => Err(fault(
            &format!("{field}.type"),
            &format!("blocks of type `{kind}` are not taken here"),
        )),
        // What only Anthropic's servers do, and what comes after this was written.
        _ => {
            let rest = marked(block.cache_control.clone());
            Ok(block.words().map(|text| Part::Text { text, rest }))
        }
    }
}

fn text(block: Block) -> Part {
    Part::Text { text: block.text.unwrap_or_default(), rest: marked(block.cache_control) }
}

fn marked(cache_control: Option<Value>) -> Map<String, Value> {
    there([("cache_control", cache_control)])
}

fn of_parts(role: Role, parts: Vec<Part>) -> Message {
    let content = (!parts.is_empty()).then_some(sdk::Content::Parts(parts));
    Message { content, ..Message::new(role, "") }
}
