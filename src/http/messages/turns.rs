//! Turns of blocks as messages: results become messages of tools, calls and thoughts stand beside what is said.

use super::{
    content::{Block, Content},
    request::{Speaker, Turn, fault, told as fields},
};
use pipe_sdk::{self as sdk, FunctionCall, Message, Part, PipeError, Role, ToolCall};
use serde_json::{Map, Value, json, value::RawValue};

/// What the blocks of one turn say.
#[derive(Default)]
struct Said {
    parts: Vec<Part>,
    calls: Vec<ToolCall>,
    thoughts: Vec<Value>,
    results: Vec<Message>,
    /// Where a call is marked for the cache, its message is: a call has no place for it.
    mark: Option<Value>,
}

/// Instructions, which stand in this field.
pub fn system(content: Content, role: Role, field: &str) -> Result<Message, PipeError> {
    let blocks = match content {
        Content::Text(text) => return Ok(Message::new(role, text)),
        Content::Blocks(blocks) => blocks,
    };
    let part = |(place, block): (usize, Block)| match block.kind.as_str() {
        "text" => Ok(text(block)),
        _ => Err(fault(&format!("{field}[{place}]"), "instructions are taken as text only")),
    };
    let parts = blocks.into_iter().enumerate().map(part).collect::<Result<_, _>>()?;
    Ok(of_parts(role, parts))
}

/// Adds what this turn, whose content stands in this field, says.
pub fn told(turn: Turn, field: &str, messages: &mut Vec<Message>) -> Result<(), PipeError> {
    let role = match turn.role {
        Speaker::User => Role::User,
        Speaker::Assistant => Role::Assistant,
        Speaker::System => {
            messages.push(system(turn.content, Role::System, field)?);
            return Ok(());
        }
    };
    let blocks = match turn.content {
        Content::Text(text) => {
            messages.push(Message::new(role, text));
            return Ok(());
        }
        Content::Blocks(blocks) => blocks,
    };
    let mut said = Said::default();
    for (place, block) in blocks.into_iter().enumerate() {
        said.add(block, turn.role, &format!("{field}[{place}]"))?;
    }
    let Said { parts, calls, thoughts, results, mark } = said;
    let answers_only = !results.is_empty() && parts.is_empty();
    // Results come first, as every API of chats wants them.
    messages.extend(results);
    if !answers_only {
        let thoughts = (!thoughts.is_empty()).then(|| thoughts.into());
        messages.push(Message {
            tool_calls: calls,
            rest: fields([("thinking_blocks", thoughts), ("cache_control", mark)]),
            ..of_parts(role, parts)
        });
    }
    Ok(())
}

impl Said {
    fn add(&mut self, block: Block, speaker: Speaker, field: &str) -> Result<(), PipeError> {
        match (block.kind.as_str(), speaker) {
            ("tool_result", Speaker::User) => self.results.push(result(block, field)?),
            ("tool_use", Speaker::Assistant) => self.call(block, field)?,
            ("thinking", Speaker::Assistant) => {
                let Block { thinking, signature, .. } = block;
                let thought =
                    json!({"type": "thinking", "thinking": thinking, "signature": signature});
                self.thoughts.push(thought);
            }
            ("redacted_thinking", Speaker::Assistant) => {
                self.thoughts.push(json!({"type": "redacted_thinking", "data": block.data}));
            }
            _ => self.parts.push(part(block, field)?),
        }
        Ok(())
    }

    fn call(&mut self, block: Block, field: &str) -> Result<(), PipeError> {
        let Block { id, name, input, cache_control, .. } = block;
        let name = name.ok_or_else(|| fault(field, "a call needs the `name` of its tool"))?;
        let id = id.ok_or_else(|| fault(field, "a call needs an `id`"))?;
        let arguments = input.map_or_else(|| "{}".into(), |input| RawValue::get(&input).into());
        let function = FunctionCall { name, arguments };
        self.calls.push(ToolCall { id, kind: "function".into(), function });
        self.mark = cache_control.or(self.mark.take());
        Ok(())
    }
}

/// What came of a call. That it has failed is said by `is_error` in the message.
fn result(block: Block, field: &str) -> Result<Message, PipeError> {
    let id = block.tool_use_id;
    let id = id.ok_or_else(|| fault(field, "a result needs the `tool_use_id` of its call"))?;
    let failed = block.is_error.filter(|failed| *failed).map(Value::from);
    let said = match block.content {
        None => Message::new(Role::Tool, ""),
        Some(Content::Text(text)) => Message::new(Role::Tool, text),
        Some(Content::Blocks(blocks)) => {
            let blocks = blocks.into_iter().enumerate();
            let parts = blocks.map(|(at, block)| part(block, &format!("{field}.content[{at}]")));
            of_parts(Role::Tool, parts.collect::<Result<_, _>>()?)
        }
    };
    let rest = fields([("is_error", failed), ("cache_control", block.cache_control)]);
    Ok(Message { tool_call_id: Some(id), rest, ..said })
}

fn part(block: Block, field: &str) -> Result<Part, PipeError> {
    match block.kind.as_str() {
        "text" => Ok(text(block)),
        "image" => {
            let image_url = block.source.as_ref().and_then(image_url).ok_or_else(|| {
                let rule = "an image needs a `source` of the type `base64` or `url`";
                fault(field, rule)
            })?;
            Ok(Part::ImageUrl { image_url, rest: marked(block.cache_control) })
        }
        "document" => {
            let Block { source, title, context, citations, cache_control, .. } = block;
            let text = |text: Option<String>| text.map(Value::from);
            Ok(Part::Other(fields([
                ("type", Some("document".into())),
                ("source", source),
                ("title", text(title)),
                ("context", text(context)),
                ("citations", citations),
                ("cache_control", cache_control),
            ])))
        }
        "" => Err(fault(field, "a block needs a `type`, as in `text`")),
        kind => Err(fault(field, &format!("blocks of type `{kind}` are not taken here"))),
    }
}

fn text(block: Block) -> Part {
    Part::Text { text: block.text.unwrap_or_default(), rest: marked(block.cache_control) }
}

fn marked(cache_control: Option<Value>) -> Map<String, Value> {
    fields([("cache_control", cache_control)])
}

/// A link, or a data URL of what is here.
fn image_url(source: &Value) -> Option<String> {
    let text = |name: &str| source[name].as_str();
    match text("type")? {
        "base64" => Some(format!("data:{};base64,{}", text("media_type")?, text("data")?)),
        "url" => text("url").map(String::from),
        _ => None,
    }
}

fn of_parts(role: Role, parts: Vec<Part>) -> Message {
    let content = (!parts.is_empty()).then_some(sdk::Content::Parts(parts));
    Message { content, ..Message::new(role, "") }
}
