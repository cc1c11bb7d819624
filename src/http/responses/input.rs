//! Converts the items of `input` into messages.
//!
//! The reasoning, messages and calls of the assistant are an item each; a chat has them in one
//! message. Items of unknown types, and of those that only OpenAI hosts, become text if they hold
//! some, and are dropped if not: none of them stops a conversation.

mod content;

use super::{
    item,
    tools::{ConvertedTools, FlatTool},
};
use crate::http::{
    attribution::without_attribution,
    client_tools::{BuiltinTool, ToolKind, custom_arguments},
    field_error::field_error,
};
use content::{append_content, append_reasoning, chat_part, is_shell_output, shell_output};
use pipe_sdk::{Content, FunctionCall, Message, Part, Result, Role, ToolCall, text_of_part};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The path of a message's content in the request, and the message.
type PlacedMessage = (String, Message);

/// An input as messages.
#[derive(Default)]
pub struct Conversation {
    /// The messages.
    pub messages: Vec<PlacedMessage>,
    /// `true` if it ends with the request for a summary in its place, as Codex makes it.
    pub compacts: bool,
}

/// Returns the conversation of this input. Tools that it brings are added to `offer`.
pub fn read_input(input: Value, offer: &mut ConvertedTools) -> Result<Conversation> {
    let items = match input {
        Value::String(text) if !text.is_empty() => {
            let messages = vec![("input".into(), Message::new(Role::User, text))];
            return Ok(Conversation { messages, compacts: false });
        }
        Value::Array(items) if !items.is_empty() => items,
        _ => return Err(field_error("input", "must be a text or a list of items")),
    };
    let mut read = Vec::with_capacity(items.len());
    for (place, item) in items.into_iter().enumerate() {
        let field = format!("input[{place}]");
        let Value::Object(fields) = item else {
            return Err(field_error(&field, "must be an item"));
        };
        let mut item = InputItem { field, fields };
        // All tools are known before the first call is read.
        item.take_tools(offer)?;
        read.push(item);
    }
    let mut conversation = Conversation::default();
    for item in read {
        item.add_to(offer, &mut conversation)?;
    }
    // Reasoning that led to nothing is no message.
    conversation.messages.retain(|(_, message)| {
        let is_silent = message.content.is_none() && message.tool_calls.is_empty();
        message.role != Role::Assistant || !is_silent
    });
    Ok(conversation)
}

/// One item, and its path.
struct InputItem {
    field: String,
    fields: Map<String, Value>,
}

impl InputItem {
    /// Returns the type of the item, `message` by default.
    fn kind(&self) -> &str {
        self.fields.get("type").and_then(Value::as_str).unwrap_or("message")
    }

    /// Takes the tools out of an item that brings some.
    fn take_tools(&mut self, offer: &mut ConvertedTools) -> Result<()> {
        if !matches!(self.kind(), "additional_tools" | "tool_search_output") {
            return Ok(());
        }
        let Some(Value::Array(tools)) = self.fields.get("tools") else { return Ok(()) };
        for (place, tool) in tools.iter().enumerate() {
            let field = format!("{}.tools[{place}]", self.field);
            let tool =
                FlatTool::deserialize(tool).map_err(|_| field_error(&field, "must be a tool"))?;
            offer.add_tool(tool, field)?;
        }
        Ok(())
    }

    fn add_to(mut self, offer: &ConvertedTools, conversation: &mut Conversation) -> Result<()> {
        let kind = self.kind().to_owned();
        let messages = &mut conversation.messages;
        match kind.as_str() {
            "message" => {
                let (role, content) = (self.parse_role()?, self.take_content("content")?);
                if role == Role::Assistant {
                    append_content(self.assistant_message(messages), content);
                } else {
                    let message = Message { content: Some(content), ..empty_message(role) };
                    let message = without_attribution(message);
                    let field = format!("{}.content", self.field);
                    messages.extend(message.map(|message| (field, message)));
                }
            }
            "function_call" => {
                let (id, name) = (self.take_text("call_id")?, self.take_text("name")?);
                let arguments = self.take_arguments()?;
                let name = self.function_name(offer, ToolKind::Function, &name);
                self.add_call(messages, id, name, arguments);
            }
            "custom_tool_call" => {
                let (id, name) = (self.take_text("call_id")?, self.take_text("name")?);
                let name = self.function_name(offer, ToolKind::Custom, &name);
                let input = self.fields.get("input").and_then(Value::as_str).unwrap_or_default();
                let arguments = custom_arguments(input);
                self.add_call(messages, id, name, arguments);
            }
            "function_call_output" | "custom_tool_call_output" => {
                let id = self.take_text("call_id")?;
                let output = self.take_output("output")?;
                self.add_result(messages, id, "output", output);
            }
            "reasoning" => {
                if self.fields.get("summary").is_some_and(|s| !s.is_array() && !s.is_null()) {
                    let field = format!("{}.summary", self.field);
                    return Err(field_error(&field, "must be a list of parts"));
                }
                let sealed = self.fields.get("encrypted_content").and_then(Value::as_str);
                if let Some(details) = sealed.and_then(item::decode_reasoning) {
                    append_reasoning(self.assistant_message(messages), details);
                }
            }
            "compaction" | "compaction_summary" | "context_compaction" => {
                let sealed = self.fields.get("encrypted_content").and_then(Value::as_str);
                let words = match sealed.and_then(item::decode_summary) {
                    Some(summary) => Some(format!("{SUMMARY_FRAME}{summary}")),
                    None => self.unknown_text(),
                };
                self.add_text(messages, Role::User, words);
            }
            "compaction_trigger" => conversation.compacts = true,
            "item_reference" => {
                return Err(field_error(
                    &self.field,
                    "nothing is stored here: send the item itself",
                ));
            }
            "mcp_call" => self.add_mcp_call(messages),
            "additional_tools" | "mcp_list_tools" | "configuration_update" | "ghost_snapshot" => {}
            kind => {
                if let Some(builtin) = BuiltinTool::from_result_type(kind) {
                    return self.add_builtin_result(messages, builtin);
                }
                match BuiltinTool::from_call_type(kind)
                    .filter(|builtin| self.is_client_call(*builtin))
                {
                    Some(builtin) => {
                        let id = self.call_id();
                        let name = offer.client.builtin_function(builtin).unwrap_or(builtin.name());
                        let arguments = builtin.arguments(&self.fields);
                        self.add_call(messages, id, name.to_owned(), arguments);
                    }
                    None => self.add_unknown(messages),
                }
            }
        }
        Ok(())
    }

    fn is_client_call(&self, builtin: BuiltinTool) -> bool {
        builtin != BuiltinTool::ToolSearch
            || self.fields.get("execution").is_none_or(|place| place == "client")
    }

    /// Returns the id that joins a call and its result; older clients send the item's own.
    fn call_id(&self) -> String {
        let text = |name: &str| self.fields.get(name).and_then(Value::as_str);
        text("call_id").or_else(|| text("id")).unwrap_or_default().to_owned()
    }

    fn function_name(&self, offer: &ConvertedTools, kind: ToolKind, name: &str) -> String {
        let namespace = self.fields.get("namespace").and_then(Value::as_str);
        offer.client.function_name(kind, namespace.filter(|name| !name.is_empty()), name)
    }

    fn add_call(
        &self,
        messages: &mut Vec<PlacedMessage>,
        id: String,
        name: String,
        arguments: String,
    ) {
        let function = FunctionCall { name, arguments };
        let call = ToolCall { id, kind: "function".into(), function };
        self.assistant_message(messages).tool_calls.push(call);
    }

    fn add_result(
        &self,
        messages: &mut Vec<PlacedMessage>,
        id: String,
        place: &str,
        output: Content,
    ) {
        let message = Message { content: Some(output), ..empty_message(Role::Tool) };
        let message = Message { tool_call_id: Some(id), ..message };
        messages.push((format!("{}.{place}", self.field), message));
    }

    /// Adds a call that an MCP server has answered at OpenAI's: call and result are one item.
    fn add_mcp_call(&self, messages: &mut Vec<PlacedMessage>) {
        let text = |name: &str| self.fields.get(name).and_then(Value::as_str);
        let Some(name) = text("name") else { return };
        let id = self.call_id();
        let arguments = text("arguments").unwrap_or("{}").to_owned();
        self.add_call(messages, id.clone(), name.to_owned(), arguments);
        let output = text("output").or_else(|| text("error")).unwrap_or("(empty)");
        self.add_result(messages, id, "output", Content::Text(output.to_owned()));
    }

    fn add_builtin_result(
        &mut self,
        messages: &mut Vec<PlacedMessage>,
        builtin: BuiltinTool,
    ) -> Result<()> {
        let id = self.call_id();
        if id.is_empty() && builtin == BuiltinTool::ToolSearch {
            // A search that ran at OpenAI's: its tools are offered already.
            return Ok(());
        }
        if id.is_empty() {
            return Err(field_error(&format!("{}.call_id", self.field), "must be a text"));
        }
        let output = match builtin {
            BuiltinTool::ToolSearch => {
                let tools = self.fields.get("tools").and_then(Value::as_array);
                let names: Vec<_> = tools.into_iter().flatten().filter_map(tool_names).collect();
                Content::Text(format!("Found these tools: {}", names.join(", ")))
            }
            _ => self.take_output("output")?,
        };
        self.add_result(messages, id, "output", output);
        Ok(())
    }

    /// Adds the text of an item of an unknown type, if it has some.
    fn add_unknown(&self, messages: &mut Vec<PlacedMessage>) {
        let role = self.fields.get("role").and_then(|role| Role::deserialize(role).ok());
        let is_ours = self.kind().ends_with("_call");
        let role = role.unwrap_or(if is_ours { Role::Assistant } else { Role::User });
        let role = if matches!(role, Role::Tool | Role::Function) { Role::User } else { role };
        self.add_text(messages, role, self.unknown_text());
    }

    fn add_text(&self, messages: &mut Vec<PlacedMessage>, role: Role, words: Option<String>) {
        let Some(words) = words else { return };
        if role == Role::Assistant {
            append_content(
                self.assistant_message(messages),
                Content::Parts(vec![Part::from_text(words)]),
            );
        } else {
            messages.push((self.field.clone(), Message::new(role, words)));
        }
    }

    /// Returns the text of an item of an unknown type.
    fn unknown_text(&self) -> Option<String> {
        let texts = TEXT_FIELDS.iter().filter_map(|name| text_of_part(self.fields.get(*name)?));
        let words: Vec<_> = texts.collect();
        (!words.is_empty()).then(|| format!("[{}] {}", self.kind(), words.join("\n")))
    }

    /// Returns the assistant's message at the end, and adds one if the last message is of another
    /// role.
    fn assistant_message<'a>(&self, messages: &'a mut Vec<PlacedMessage>) -> &'a mut Message {
        if messages.last().is_none_or(|(_, last)| last.role != Role::Assistant) {
            messages.push((format!("{}.content", self.field), empty_message(Role::Assistant)));
        }
        let last = messages.len() - 1;
        &mut messages[last].1
    }

    fn parse_role(&self) -> Result<Role> {
        let role = self.fields.get("role");
        // OpenAI's conversations have these, too.
        let is_foreign = |word: &str| matches!(word, "critic" | "discriminator" | "unknown");
        if role.and_then(Value::as_str).is_some_and(is_foreign) {
            return Ok(Role::User);
        }
        let role = role.and_then(|role| Role::deserialize(role).ok());
        role.filter(|role| !matches!(role, Role::Tool | Role::Function)).ok_or_else(|| {
            let field = format!("{}.role", self.field);
            field_error(&field, "must be user, assistant, system or developer")
        })
    }

    fn take_text(&mut self, name: &str) -> Result<String> {
        match self.fields.get_mut(name).map(Value::take) {
            Some(Value::String(text)) => Ok(text),
            _ => Err(field_error(&format!("{}.{name}", self.field), "must be a text")),
        }
    }

    /// Takes the arguments of a call; a text or an object. What is missing is an empty object.
    fn take_arguments(&mut self) -> Result<String> {
        match self.fields.get("arguments") {
            None | Some(Value::Null) => Ok("{}".into()),
            Some(Value::Object(arguments)) => Ok(json!(arguments).to_string()),
            Some(_) => self.take_text("arguments"),
        }
    }

    /// Takes the output of a call: a text, parts, or an object, which becomes its JSON.
    fn take_output(&mut self, name: &str) -> Result<Content> {
        match self.fields.get_mut(name) {
            None | Some(Value::Null) => Ok(Content::Text(String::new())),
            Some(Value::Object(fields)) => {
                let kind = fields.get("type").and_then(Value::as_str).unwrap_or_default();
                if matches!(kind, "computer_screenshot" | "input_image") {
                    let image = Value::Object(std::mem::take(fields));
                    let field = format!("{}.{name}", self.field);
                    let part =
                        chat_part(image).map_err(|(at, rule)| field_error(&(field + at), rule))?;
                    return Ok(Content::Parts(part.into_iter().collect()));
                }
                Ok(Content::Text(json!(fields).to_string()))
            }
            Some(Value::Array(parts)) if parts.iter().all(is_shell_output) => {
                let outputs: Vec<_> = parts.iter().map(shell_output).collect();
                Ok(Content::Text(outputs.join("\n")))
            }
            _ => self.take_content(name),
        }
    }

    fn take_content(&mut self, name: &str) -> Result<Content> {
        let field = format!("{}.{name}", self.field);
        match self.fields.get_mut(name).map(Value::take) {
            Some(Value::String(text)) => Ok(Content::Text(text)),
            Some(Value::Array(parts)) => {
                let read = |(place, value): (usize, Value)| {
                    chat_part(value)
                        .map_err(|(at, rule)| field_error(&format!("{field}[{place}]{at}"), rule))
                        .transpose()
                };
                let parts = parts.into_iter().enumerate().filter_map(read);
                parts.collect::<Result<_>>().map(Content::Parts)
            }
            _ => Err(field_error(&field, "must be a text or a list of parts")),
        }
    }
}

/// The text before a summary that replaces a conversation.
const SUMMARY_FRAME: &str = "The conversation until here, in short:\n\n";

/// The fields in which items of unknown types hold text.
const TEXT_FIELDS: [&str; 15] = [
    "revised_prompt",
    "text",
    "content",
    "summary",
    "message",
    "query",
    "queries",
    "code",
    "action",
    "output",
    "outputs",
    "results",
    "result_text",
    "error",
    "reason",
];

/// Returns the name of a tool; for a namespace, the names of its tools.
fn tool_names(tool: &Value) -> Option<String> {
    let name = tool["name"].as_str()?;
    let within = tool["tools"].as_array();
    let within: Vec<_> =
        within.into_iter().flatten().filter_map(|tool| tool["name"].as_str()).collect();
    Some(if within.is_empty() { name.to_owned() } else { within.join(", ") })
}

/// Returns an empty message of this role.
fn empty_message(role: Role) -> Message {
    Message { content: None, ..Message::new(role, "") }
}
