//! Converts turns of blocks into messages: results become messages of tools; calls and thoughts
//! become fields of the message.

use super::{
    content::{Block, Content},
    field_paths::FieldPaths,
    source,
};
use crate::http::{attribution::strip_attribution, field_error::field_error};
use pipe_sdk::{self as sdk, FunctionCall, Message, Part, PipeError, Role, ToolCall};
use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};

/// One turn of the conversation.
#[derive(Deserialize)]
pub struct Turn {
    /// The role of its author.
    pub role: TurnRole,
    /// The content.
    pub content: Content,
}

/// The role of a turn's author.
#[derive(Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TurnRole {
    /// The person, and results of tools.
    User,
    /// The model.
    Assistant,
    /// The operator, in the middle of the conversation.
    System,
}

/// A conversation as messages.
#[derive(Default)]
pub struct Conversation {
    /// The messages.
    pub messages: Vec<Message>,
    /// The paths of their parts in the request.
    pub field_paths: FieldPaths,
}

/// The content of one turn.
#[derive(Default)]
struct TurnContent {
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
    pub fn add_instructions(&mut self, content: Content, field: &str) -> Result<(), PipeError> {
        let blocks = match content {
            Content::Text(text) => {
                if let Some(text) = strip_attribution(text).filter(|text| !text.is_empty()) {
                    self.push(Message::new(Role::System, text), Vec::new());
                }
                return Ok(());
            }
            Content::Blocks(blocks) => blocks,
            Content::Object(_) => {
                return Err(field_error(field, "must be a text or a list of blocks"));
            }
        };
        let (mut parts, mut kept) = (Vec::new(), Vec::new());
        for (block, field) in blocks.into_iter().zip(block_fields(field, usize::MAX)) {
            let mut part = match block.kind.as_str() {
                "text" => text_part(block),
                _ => {
                    return Err(field_error(
                        &format!("{field}.type"),
                        "system messages must contain text only",
                    ));
                }
            };
            if let Part::Text { text, .. } = &mut part {
                let Some(rest) = strip_attribution(std::mem::take(text)) else { continue };
                *text = rest;
            }
            parts.push(part);
            kept.push(field);
        }
        if !parts.is_empty() {
            self.push(message_of_parts(Role::System, parts), kept);
        }
        Ok(())
    }

    /// Adds this turn, whose content is the field at this path.
    pub fn add_turn(&mut self, turn: Turn, field: &str) -> Result<(), PipeError> {
        let role = match turn.role {
            TurnRole::User => Role::User,
            TurnRole::Assistant => Role::Assistant,
            TurnRole::System => return self.add_instructions(turn.content, field),
        };
        if turn.role == TurnRole::User && turn.content.is_empty() {
            return Err(field_error(field, "must not be empty"));
        }
        let blocks = match turn.content {
            Content::Text(text) => {
                self.push(Message::new(role, text), Vec::new());
                return Ok(());
            }
            Content::Blocks(blocks) => blocks,
            Content::Object(_) => {
                return Err(field_error(field, "must be a text or a list of blocks"));
            }
        };
        let (mut content, fields) = (TurnContent::default(), block_fields(field, blocks.len()));
        for (block, field) in blocks.into_iter().zip(fields) {
            content.add_block(block, turn.role, field)?;
        }
        let TurnContent { parts, fields, calls, thoughts, results, mark } = content;
        let answers_only = !results.is_empty() && parts.is_empty();
        // Results come first, as every API of chats wants them.
        results.into_iter().for_each(|(message, fields)| self.push(message, fields));
        if !answers_only {
            let thoughts = (!thoughts.is_empty()).then(|| thoughts.into());
            let rest = present_fields([("thinking_blocks", thoughts), ("cache_control", mark)]);
            self.push(Message { tool_calls: calls, rest, ..message_of_parts(role, parts) }, fields);
        }
        Ok(())
    }

    /// Appends a message, with the fields that it comes from.
    fn push(&mut self, message: Message, fields: Vec<String>) {
        self.messages.push(message);
        self.field_paths.push(fields);
    }
}

fn block_fields(field: &str, blocks: usize) -> impl Iterator<Item = String> {
    (0..blocks).map(move |place| format!("{field}[{place}]"))
}

impl TurnContent {
    fn add_block(&mut self, block: Block, role: TurnRole, field: String) -> Result<(), PipeError> {
        match (block.kind.as_str(), role) {
            ("tool_result", TurnRole::User) => self.results.push(tool_result(block, &field)?),
            ("tool_use", TurnRole::Assistant) => self.add_call(block),
            ("thinking", TurnRole::Assistant) => {
                let Block { thinking, signature, .. } = block;
                let thought =
                    json!({"type": "thinking", "thinking": thinking, "signature": signature});
                self.thoughts.push(thought);
            }
            ("redacted_thinking", TurnRole::Assistant) => {
                self.thoughts.push(json!({"type": "redacted_thinking", "data": block.data}));
            }
            ("thinking" | "redacted_thinking", _) => {}
            _ => {
                if let Some(part) = chat_part(block, &field)? {
                    self.parts.push(part);
                    self.fields.push(field);
                }
            }
        }
        Ok(())
    }

    fn add_call(&mut self, block: Block) {
        let Block { id, name, input, cache_control, .. } = block;
        // The request's shape has seen to it that they are there.
        let (id, name) = (id.unwrap_or_default(), name.unwrap_or_default());
        let arguments = input.map_or_else(|| "{}".into(), |input| RawValue::get(&input).into());
        let function = FunctionCall { name, arguments };
        self.calls.push(ToolCall { id, kind: "function".into(), function });
        self.mark = cache_control.or(self.mark.take());
    }
}

/// Returns the message of a tool's result. `is_error` in it says that the tool failed.
fn tool_result(block: Block, field: &str) -> Result<(Message, Vec<String>), PipeError> {
    let id = block.tool_use_id.unwrap_or_default();
    let failed = block.is_error.filter(|failed| *failed).map(Value::from);
    let mut fields = Vec::new();
    let said = match block.content {
        None => Message::new(Role::Tool, ""),
        Some(Content::Text(text)) => Message::new(Role::Tool, text),
        Some(Content::Blocks(blocks)) => {
            let mut parts = Vec::new();
            let within = format!("{field}.content");
            for (block, field) in blocks.into_iter().zip(block_fields(&within, usize::MAX)) {
                if let Some(part) = chat_part(block, &field)? {
                    parts.push(part);
                    fields.push(field);
                }
            }
            message_of_parts(Role::Tool, parts)
        }
        Some(Content::Object(object)) => Message::new(Role::Tool, object.to_string()),
    };
    let rest = present_fields([("is_error", failed), ("cache_control", block.cache_control)]);
    Ok((Message { tool_call_id: Some(id), rest, ..said }, fields))
}

/// Returns the block as a part of a chat; `None` for a block of an unknown type without text.
fn chat_part(block: Block, field: &str) -> Result<Option<Part>, PipeError> {
    match block.kind.as_str() {
        "text" => Ok(Some(text_part(block))),
        "image" => {
            let image_url = source::image_url(&block.source.unwrap_or_default(), field)?;
            Ok(Some(Part::ImageUrl { image_url, rest: cache_control_field(block.cache_control) }))
        }
        "search_result" => {
            let Block { source, title, content, citations, cache_control, .. } = block;
            let said =
                source::text_source(content.unwrap_or_default(), &format!("{field}.content"))?;
            Ok(Some(Part::Other(present_fields([
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
                return Err(field_error(&format!("{field}.citations"), "must be an object"));
            }
            let text = |text: Option<String>| text.map(Value::from);
            Ok(Some(Part::Other(present_fields([
                ("type", Some("document".into())),
                ("source", Some(source::document_source(source.unwrap_or_default(), field)?)),
                ("title", text(title)),
                ("context", text(context)),
                ("citations", citations),
                ("cache_control", cache_control),
            ]))))
        }
        kind @ ("tool_use" | "tool_result") => Err(field_error(
            &format!("{field}.type"),
            &format!("blocks of type `{kind}` are not supported here"),
        )),
        // Blocks that only Anthropic's servers handle, and blocks that are newer than this code.
        _ => {
            let rest = cache_control_field(block.cache_control.clone());
            Ok(block.words().map(|text| Part::Text { text, rest }))
        }
    }
}

fn text_part(block: Block) -> Part {
    Part::Text {
        text: block.text.unwrap_or_default(),
        rest: cache_control_field(block.cache_control),
    }
}

fn cache_control_field(cache_control: Option<Value>) -> Map<String, Value> {
    present_fields([("cache_control", cache_control)])
}

fn message_of_parts(role: Role, parts: Vec<Part>) -> Message {
    let content = (!parts.is_empty()).then_some(sdk::Content::Parts(parts));
    Message { content, ..Message::new(role, "") }
}

/// Returns the fields that have a value.
pub fn present_fields<const N: usize>(fields: [(&str, Option<Value>); N]) -> Map<String, Value> {
    let fields = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    fields.collect()
}
