//! The items that a conversation is made of, and the messages that they stand for.
//!
//! What the assistant thought, said and called comes as an item each; a chat has them in one message.

use super::{item, request::fault};
use pipe_sdk::{Content, FunctionCall, Message, Part, Result, Role, ToolCall};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// A message, and the field that its content comes from.
type Told = (String, Message);

/// The messages that this input stands for.
pub fn messages(input: Value) -> Result<Vec<Told>> {
    let items = match input {
        Value::String(text) if !text.is_empty() => {
            return Ok(vec![("input".into(), Message::new(Role::User, text))]);
        }
        Value::Array(items) if !items.is_empty() => items,
        _ => return Err(fault("input", "must be a text or a list of items")),
    };
    let mut told = Vec::with_capacity(items.len());
    for (place, item) in items.into_iter().enumerate() {
        let field = format!("input[{place}]");
        let Value::Object(fields) = item else {
            return Err(fault(&field, "must be an item"));
        };
        Item { field, fields }.tell(&mut told)?;
    }
    // Reasoning that led to nothing is no message.
    told.retain(|(_, message)| {
        let is_silent = message.content.is_none() && message.tool_calls.is_empty();
        message.role != Role::Assistant || !is_silent
    });
    Ok(told)
}

/// One item, and where it stands.
struct Item {
    field: String,
    fields: Map<String, Value>,
}

impl Item {
    fn tell(mut self, told: &mut Vec<Told>) -> Result<()> {
        match self.fields.get("type").and_then(Value::as_str).unwrap_or("message") {
            "message" => {
                let (role, content) = (self.role()?, self.content("content")?);
                if role == Role::Assistant {
                    say(self.assistant(told), content);
                } else {
                    let message = Message { content: Some(content), ..of(role) };
                    told.push((format!("{}.content", self.field), message));
                }
            }
            "function_call" => {
                let id = self.text("call_id")?;
                let function =
                    FunctionCall { name: self.text("name")?, arguments: self.text("arguments")? };
                let call = ToolCall { id, kind: "function".into(), function };
                self.assistant(told).tool_calls.push(call);
            }
            "function_call_output" => {
                let (id, output) = (self.text("call_id")?, self.content("output")?);
                let message = Message { content: Some(output), ..of(Role::Tool) };
                let message = Message { tool_call_id: Some(id), ..message };
                told.push((format!("{}.output", self.field), message));
            }
            "reasoning" => {
                let sealed = self.fields.get("encrypted_content").and_then(Value::as_str);
                if let Some(details) = sealed.and_then(item::opened) {
                    replay(self.assistant(told), details);
                }
            }
            "item_reference" => {
                return Err(fault(&self.field, "nothing is stored here: send the item itself"));
            }
            kind => {
                let rule = format!("items of type `{kind}` are not taken");
                return Err(fault(&format!("{}.type", self.field), &rule));
            }
        }
        Ok(())
    }

    /// The assistant's message that is being put together.
    fn assistant<'a>(&self, told: &'a mut Vec<Told>) -> &'a mut Message {
        if told.last().is_none_or(|(_, last)| last.role != Role::Assistant) {
            told.push((format!("{}.content", self.field), of(Role::Assistant)));
        }
        let last = told.len() - 1;
        &mut told[last].1
    }

    fn role(&self) -> Result<Role> {
        let role = self.fields.get("role").and_then(|role| Role::deserialize(role).ok());
        role.filter(|role| !matches!(role, Role::Tool | Role::Function)).ok_or_else(|| {
            let field = format!("{}.role", self.field);
            fault(&field, "must be user, assistant, system or developer")
        })
    }

    fn text(&mut self, name: &str) -> Result<String> {
        match self.fields.get_mut(name).map(Value::take) {
            Some(Value::String(text)) => Ok(text),
            _ => Err(fault(&format!("{}.{name}", self.field), "must be a text")),
        }
    }

    fn content(&mut self, name: &str) -> Result<Content> {
        let field = format!("{}.{name}", self.field);
        match self.fields.get_mut(name).map(Value::take) {
            Some(Value::String(text)) => Ok(Content::Text(text)),
            Some(Value::Array(parts)) => {
                let read = |(place, value): (usize, Value)| {
                    part(value).map_err(|rule| fault(&format!("{field}[{place}]"), rule))
                };
                parts.into_iter().enumerate().map(read).collect::<Result<_>>().map(Content::Parts)
            }
            _ => Err(fault(&field, "must be a text or a list of parts")),
        }
    }
}

/// An empty message of this role.
fn of(role: Role) -> Message {
    Message { content: None, ..Message::new(role, "") }
}

fn say(message: &mut Message, content: Content) {
    message.content = Some(match message.content.take() {
        None => content,
        Some(before) => Content::Parts(parts(before).chain(parts(content)).collect()),
    });
}

fn parts(content: Content) -> impl Iterator<Item = Part> {
    match content {
        Content::Text(text) => vec![Part::of_text(text)].into_iter(),
        Content::Parts(parts) => parts.into_iter(),
    }
}

fn replay(message: &mut Message, details: Vec<Value>) {
    let before = message.rest.entry("reasoning_details").or_insert_with(|| json!([]));
    if let Value::Array(before) = before {
        before.extend(details);
    }
}

/// The same part of a chat.
fn part(value: Value) -> Result<Part, &'static str> {
    let Value::Object(mut rest) = value else { return Err("must be a part") };
    let kind = rest.shift_remove("type");
    match kind.as_ref().and_then(Value::as_str) {
        Some("input_text" | "output_text" | "text") => {
            rest.retain(|name, _| !matches!(name.as_str(), "annotations" | "logprobs"));
            match rest.shift_remove("text") {
                Some(Value::String(text)) => Ok(Part::Text { text, rest }),
                _ => Err("its text must be a text"),
            }
        }
        Some("input_image") => match rest.shift_remove("image_url") {
            Some(Value::String(image_url)) => Ok(Part::ImageUrl { image_url, rest }),
            _ => Err("files are not kept here: send the image itself, as a data URL in image_url"),
        },
        Some("input_file") if rest.get("file_id").is_some_and(Value::is_string) => {
            Err("files are not kept here: send the file itself, as a data URL in file_data")
        }
        Some("input_file") => {
            Ok(Part::Other(Map::from_iter([of_type("file"), ("file".into(), rest.into())])))
        }
        Some(kind) => {
            let (name, kind) = of_type(kind);
            rest.shift_insert(0, name, kind);
            Ok(Part::Other(rest))
        }
        None => Err("a part needs a type"),
    }
}

fn of_type(kind: &str) -> (String, Value) {
    ("type".into(), kind.into())
}
