//! Normalises chats whose clients put Anthropic's shapes into OpenAI's, or send tools of other
//! kinds: the result is a chat that every pipe understands.

use crate::http::{
    anthropic_tools::{AnthropicTool, is_server_tool},
    attribution::{strip_attribution, without_attribution},
    client_tools::{ClientTool, ClientTools, ToolKind, custom_function},
};
use pipe_sdk::{
    Body, Content, FunctionCall, FunctionTool, Message, Part, Role, Tool, ToolCall, text_of_part,
};
use serde_json::{Map, Value, json, value::to_raw_value};

/// The original places of a chat's parts, for errors that name a field.
#[derive(Default)]
pub struct Normalisation {
    /// The tools as the client knows them.
    pub tools: ClientTools,
    /// `true` if the choice of a tool names it beside its type.
    flat_choice: bool,
    /// The original place of each message.
    messages: Vec<usize>,
    /// The original place of each tool, and the field of its schema if that was beside its name.
    tool_origins: Vec<(usize, Option<&'static str>)>,
}

impl Normalisation {
    /// Returns the path that this field of the chat, as in `messages[3].content`, had in the
    /// request.
    pub fn original_field(&self, field: &str) -> Option<String> {
        if let Some((place, rest)) = within(field, "messages[") {
            return Some(format!("messages[{}]{rest}", self.messages.get(place)?));
        }
        if self.flat_choice && field == "tool_choice.function.name" {
            return Some("tool_choice.name".into());
        }
        let (place, rest) = within(field, "tools[")?;
        let (origin, schema) = self.tool_origins.get(place)?;
        let rest = match (schema, rest.strip_prefix(".function")) {
            (Some(schema), Some(rest)) => rest.replacen(".parameters", &format!(".{schema}"), 1),
            _ => rest.to_owned(),
        };
        Some(format!("tools[{origin}]{rest}"))
    }
}

/// Returns the number in the brackets of this list, and what comes after them.
fn within<'a>(field: &'a str, list: &str) -> Option<(usize, &'a str)> {
    let (place, rest) = field.strip_prefix(list)?.split_once(']')?;
    Some((place.parse().ok()?, rest))
}

/// Turns this chat into one that every pipe understands.
pub fn normalise(body: &mut Body) -> Normalisation {
    let mut normalised = Normalisation::default();
    convert_tools(body, &mut normalised);
    let choice = body.tool_choice.as_ref();
    normalised.flat_choice = choice.is_some_and(|choice| choice.get("name").is_some());
    convert_tool_choice(body, &normalised.tools);
    convert_stop_sequences(body);
    let mut messages = Vec::with_capacity(body.messages.len());
    for (place, message) in std::mem::take(&mut body.messages).into_iter().enumerate() {
        if let Some(message) = without_attribution(message) {
            split_message(message, &mut messages);
        }
        normalised.messages.resize(messages.len(), place);
    }
    body.messages = messages;
    if let Some(system) = body.rest.shift_remove("system")
        && let Some(system) = instructions(&system, &body.messages)
    {
        body.messages.insert(0, system);
        normalised.messages.insert(0, 0);
    }
    normalised
}

/// Returns the instructions that are a field beside the messages, unless the messages have them
/// too.
fn instructions(system: &Value, messages: &[Message]) -> Option<Message> {
    let text = strip_attribution(text_of_part(system)?).filter(|text| !text.trim().is_empty())?;
    let is_there = |message: &Message| {
        matches!(message.role, Role::System | Role::Developer) && message.text().contains(&text)
    };
    (!messages.iter().any(is_there)).then(|| Message::new(Role::System, text))
}

/// The fields of a tool in which clients put its schema, where they do not use OpenAI's form.
const SCHEMA_FIELDS: [&str; 3] = ["input_schema", "parameters", "inputSchema"];

/// Takes Anthropic's stop sequences for OpenAI's.
fn convert_stop_sequences(body: &mut Body) {
    let given = body.rest.shift_remove("stop_sequences");
    if !body.stop.is_empty() {
        return;
    }
    body.stop = match given {
        Some(Value::String(text)) => vec![text],
        Some(Value::Array(texts)) => {
            texts.into_iter().filter_map(|text| text.as_str().map(str::to_owned)).collect()
        }
        _ => Vec::new(),
    };
}

fn convert_tools(body: &mut Body, normalised: &mut Normalisation) {
    for (place, tool) in std::mem::take(&mut body.tools).into_iter().enumerate() {
        let beside = tool.function.is_none();
        let schema = SCHEMA_FIELDS.into_iter();
        let schema = schema.filter(|_| beside).find(|name| tool.rest.contains_key(*name));
        if let Some(tool) = convert_tool(tool, &mut normalised.tools) {
            body.tools.push(tool);
            normalised.tool_origins.push((place, schema));
        }
    }
}

fn convert_tool(tool: Tool, tools: &mut ClientTools) -> Option<Tool> {
    if let Some(function) = &tool.function {
        let name = function.name.clone();
        tools.add(ClientTool { kind: ToolKind::Function, namespace: None, name });
        return Some(tool);
    }
    let Tool { kind, mut rest, .. } = tool;
    if let Some(known) = AnthropicTool::from_type(&kind) {
        return Some(known.into_tool(kind, rest));
    }
    if is_server_tool(&kind) && !rest.contains_key("input_schema") {
        tools.add_note(format!("left out a tool of type {kind}: it runs only at Anthropic's"));
        return None;
    }
    let has_schema = SCHEMA_FIELDS.iter().any(|name| rest.contains_key(*name));
    let within = rest.get("custom").and_then(Value::as_object).cloned();
    let text = |fields: &Map<String, Value>, name: &str| {
        fields.get(name).and_then(Value::as_str).map(str::to_owned)
    };
    if kind == "custom" && !has_schema {
        let fields = within.unwrap_or_else(|| rest.clone());
        let Some(name) = text(&fields, "name").filter(|name| !name.is_empty()) else {
            return Some(Tool { kind, function: None, rest });
        };
        let name = tools.add(ClientTool { kind: ToolKind::Custom, namespace: None, name });
        let description = text(&fields, "description");
        let function = custom_function(name, description.as_deref(), fields.get("format"));
        return Some(Tool { kind: "function".into(), function: Some(function), rest: Map::new() });
    }
    let name = text(&rest, "name").filter(|name| !name.trim().is_empty());
    if kind == "function" && name.is_none() && !has_schema && !rest.contains_key("name") {
        // As Gemini's `{"googleSearch": {}}`.
        let fields: Vec<_> = rest.keys().map(String::as_str).collect();
        tools.add_note(format!("left out a tool without a name: {}", fields.join(", ")));
        return None;
    }
    let Some(name) = name.filter(|_| matches!(kind.as_str(), "function" | "custom")) else {
        return Some(Tool { kind, function: None, rest });
    };
    let schema = SCHEMA_FIELDS.iter().find_map(|name| rest.shift_remove(*name));
    let function = FunctionTool {
        name,
        description: text(&rest, "description"),
        parameters: schema.and_then(|schema| to_raw_value(&schema).ok()),
        strict: rest.get("strict").and_then(Value::as_bool),
    };
    rest.retain(|name, _| name == "cache_control");
    Some(Tool { kind: "function".into(), function: Some(function), rest })
}

/// Writes `tool_choice` in OpenAI's words.
fn convert_tool_choice(body: &mut Body, tools: &ClientTools) {
    let choice = match &body.tool_choice {
        Some(Value::Object(choice)) if !choice.is_empty() => choice,
        Some(Value::Object(_)) => return body.tool_choice = None,
        Some(Value::String(word)) if word.is_empty() => return body.tool_choice = None,
        _ => return,
    };
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let named = |name: &str| json!({"type": "function", "function": {"name": name}});
    let kind = text(choice.get("type")).unwrap_or_default();
    let name = text(choice.get("name"));
    let one_call = choice.get("disable_parallel_tool_use").and_then(Value::as_bool);
    let chosen = match (kind.as_str(), name) {
        ("auto" | "none", _) => kind.into(),
        ("any" | "required", _) => "required".into(),
        ("tool", Some(name)) => named(&name),
        ("allowed_tools", _) => match convert_allowed_tools(choice, tools) {
            Some(choice) => choice,
            None => return,
        },
        ("function" | "custom" | "", _) => match chosen_function(choice, tools) {
            Some(name) => named(&name),
            None => return,
        },
        _ => return,
    };
    body.tool_choice = Some(chosen);
    if let Some(one) = one_call {
        body.rest.entry("parallel_tool_calls").or_insert(Value::from(!one));
    }
}

/// Returns the function that a choice, or an entry of its allowed tools, names: within an object of
/// its own, or beside its type.
fn chosen_function(choice: &Map<String, Value>, tools: &ClientTools) -> Option<String> {
    let kind = choice.get("type").and_then(Value::as_str).unwrap_or_default();
    let within = choice.get(if kind == "custom" { "custom" } else { "function" });
    let name = within.and_then(|within| within.get("name")).or_else(|| choice.get("name"))?;
    let name = name.as_str()?;
    Some(match kind {
        "custom" => tools.function_name(ToolKind::Custom, None, name),
        _ => name.to_owned(),
    })
}

/// Writes a choice among some tools in OpenAI's form: their list may be a field beside the type.
fn convert_allowed_tools(choice: &Map<String, Value>, tools: &ClientTools) -> Option<Value> {
    let within = choice.get("allowed_tools").and_then(Value::as_object).unwrap_or(choice);
    let entries = within.get("tools")?.as_array()?.iter().filter_map(Value::as_object);
    let names = entries.filter_map(|entry| chosen_function(entry, tools));
    let named: Vec<_> =
        names.map(|name| json!({"type": "function", "function": {"name": name}})).collect();
    let mode = within.get("mode").cloned().unwrap_or_else(|| "auto".into());
    Some(json!({"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": named}}))
}

/// Adds this message; results of tools within it become messages of their own before it.
fn split_message(mut message: Message, messages: &mut Vec<Message>) {
    let Some(Content::Parts(parts)) = &mut message.content else {
        messages.push(message);
        return;
    };
    let had_parts = !parts.is_empty();
    let mut kept = Vec::with_capacity(parts.len());
    let mut has_results = false;
    for part in std::mem::take(parts) {
        let Part::Other(mut fields) = part else {
            kept.push(part);
            continue;
        };
        let kind = fields.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        match (kind.as_str(), message.role) {
            ("tool_use", Role::Assistant) => message.tool_calls.extend(tool_call(&fields)),
            ("tool_result", Role::User | Role::Tool) => {
                messages.push(tool_result(fields));
                has_results = true;
            }
            ("thinking" | "redacted_thinking", Role::Assistant) => {
                let thoughts = message.rest.entry("thinking_blocks").or_insert_with(|| json!([]));
                if let Value::Array(thoughts) = thoughts {
                    thoughts.push(fields.into());
                }
            }
            ("image", _) => match image_url(&fields) {
                Some(image_url) => {
                    fields.retain(|name, _| name == "cache_control");
                    kept.push(Part::ImageUrl { image_url, rest: fields });
                }
                None => kept.push(Part::Other(fields)),
            },
            _ => kept.push(Part::Other(fields)),
        }
    }
    if has_results && kept.is_empty() {
        return;
    }
    if kept.is_empty() && had_parts {
        message.content = None;
    } else {
        *parts = kept;
    }
    messages.push(message);
}

fn tool_call(fields: &Map<String, Value>) -> Option<ToolCall> {
    let text = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
    let arguments = match fields.get("input") {
        None | Some(Value::Null) => "{}".into(),
        Some(Value::String(text)) => text.clone(),
        Some(input) => input.to_string(),
    };
    let function = FunctionCall { name: text("name")?, arguments };
    Some(ToolCall { id: text("id").unwrap_or_default(), kind: "function".into(), function })
}

fn tool_result(mut fields: Map<String, Value>) -> Message {
    let id = fields.get("tool_use_id").and_then(Value::as_str).map(str::to_owned);
    let content = match fields.shift_remove("content") {
        None | Some(Value::Null) => Content::Text(String::new()),
        Some(content) => {
            let json = content.to_string();
            serde_json::from_value(content).unwrap_or(Content::Text(json))
        }
    };
    let content = match content {
        Content::Parts(parts) => Content::Parts(parts.into_iter().map(convert_image).collect()),
        text @ Content::Text(_) => text,
    };
    fields.retain(|name, value| {
        name == "cache_control" || name == "is_error" && value.as_bool() == Some(true)
    });
    Message {
        content: Some(content),
        tool_call_id: id,
        rest: fields,
        ..Message::new(Role::Tool, "")
    }
}

/// Returns a part of a tool's result, with its image in OpenAI's shape.
fn convert_image(part: Part) -> Part {
    match part {
        Part::Other(fields) if fields.get("type").is_some_and(|kind| kind == "image") => {
            match image_url(&fields) {
                Some(image_url) => Part::ImageUrl { image_url, rest: Map::new() },
                None => Part::Other(fields),
            }
        }
        part => part,
    }
}

/// Returns the URL of an image in Anthropic's shape: a link or a data URL.
fn image_url(fields: &Map<String, Value>) -> Option<String> {
    let source = fields.get("source")?;
    let text = |name: &str| source.get(name).and_then(Value::as_str);
    match text("type")? {
        "url" => text("url").map(str::to_owned),
        "base64" => Some(format!("data:{};base64,{}", text("media_type")?, text("data")?)),
        _ => None,
    }
}
