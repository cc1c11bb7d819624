//! The request of the Messages API, and its conversion into a chat.

use super::{
    content::Content,
    field_paths::FieldPaths,
    turns::{Conversation, Turn, present_fields},
};
use crate::http::{
    anthropic_tools::{AnthropicTool, is_server_tool},
    field_error::field_error,
    json::JsonBody,
    shape::{Shape, messages},
};
use actix_web::http::StatusCode;
use pipe_sdk::{Body, FunctionTool, PipeError, Tool};
use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};

/// The body of a request. Unknown fields are ignored.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Request {
    model: String,
    max_tokens: Option<u64>,
    system: Option<Content>,
    messages: Vec<Turn>,
    tools: Option<Vec<ToolDefinition>>,
    tool_choice: Option<ToolChoice>,
    stop_sequences: Option<Vec<String>>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    top_k: Option<u64>,
    thinking: Option<Value>,
    metadata: Option<Metadata>,
    service_tier: Option<String>,
    cache_control: Option<Value>,
    output_config: Option<OutputConfig>,
    mcp_servers: Option<Vec<Value>>,
    /// The older place of `output_config.format`.
    output_format: Option<Value>,
    stream: Option<bool>,
}

/// A tool of the request.
#[derive(Deserialize)]
struct ToolDefinition {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    name: String,
    description: Option<String>,
    input_schema: Option<Box<RawValue>>,
    strict: Option<bool>,
    cache_control: Option<Value>,
    /// The fields that only tools of other types have.
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// A request as a chat.
pub struct ConvertedRequest {
    /// The chat.
    pub body: Body,
    /// The paths of the chat's parts in the request.
    pub field_paths: FieldPaths,
    /// Notes about ignored parts of the request.
    pub notes: Vec<String>,
}

/// The field `tool_choice`.
#[derive(Deserialize)]
struct ToolChoice {
    #[serde(default, rename = "type")]
    kind: ToolChoiceKind,
    name: Option<String>,
    #[serde(default)]
    disable_parallel_tool_use: Option<bool>,
}

/// The type of a tool choice.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ToolChoiceKind {
    #[default]
    Auto,
    Any,
    Tool,
    None,
}

/// The field `metadata`.
#[derive(Deserialize)]
struct Metadata {
    user_id: Option<String>,
}

/// The field `output_config`.
#[derive(Default, Deserialize)]
struct OutputConfig {
    effort: Option<Value>,
    format: Option<OutputFormat>,
}

/// The format of an answer in JSON.
#[derive(Deserialize)]
struct OutputFormat {
    schema: Option<Value>,
}

impl JsonBody for Request {
    const LIMIT: usize = 64 << 20;
    const SHAPE: &'static Shape = &messages::REQUEST;
    const INVALID_STATUS: StatusCode = StatusCode::BAD_REQUEST;
}

impl Request {
    /// Returns an error unless the request limits the answer's tokens, as this API demands.
    pub fn check_max_tokens(&self) -> Result<(), PipeError> {
        match self.max_tokens {
            Some(1..) => Ok(()),
            Some(0) => Err(field_error("max_tokens", "must be at least 1")),
            None => Err(field_error("max_tokens", "say how many tokens the answer may have")),
        }
    }

    /// Returns the request as a chat that every pipe understands.
    pub fn into_chat(mut self) -> Result<ConvertedRequest, PipeError> {
        if self.model.is_empty() {
            return Err(field_error("model", "name a model, as `GET /models` lists them"));
        }
        let mut notes = Vec::new();
        if self.mcp_servers.as_ref().is_some_and(|servers| !servers.is_empty()) {
            notes.push("left out mcp_servers: only Anthropic's own API supports them".to_owned());
        }
        if self.output_format.as_ref().is_some_and(Value::is_string) {
            notes.push("left out output_format: a word is no schema".to_owned());
        }
        let rest = self.take_openai_fields();
        let Conversation { mut messages, mut field_paths } =
            conversation(self.system, self.messages)?;
        // It is about the last block of the request.
        if let (Some(mark), Some(last)) = (self.cache_control, messages.last_mut()) {
            last.rest.entry("cache_control").or_insert(mark);
        }
        let mut tools = Vec::new();
        for (place, tool) in self.tools.into_iter().flatten().enumerate() {
            if let Some(tool) = tool.into_tool(place, &mut notes)? {
                tools.push(tool);
                field_paths.tools.push(place);
            }
        }
        let body = Body {
            messages,
            stream: self.stream.unwrap_or_default(),
            temperature: self.temperature,
            top_p: self.top_p,
            max_tokens: self.max_tokens,
            stop: self.stop_sequences.unwrap_or_default(),
            tools,
            tool_choice: self.tool_choice.map(ToolChoice::into_openai).transpose()?,
            rest,
            ..Body::new(self.model, Vec::new())
        };
        Ok(ConvertedRequest { body, field_paths, notes })
    }

    /// Removes and returns the fields that chats have beside their usual ones, in OpenAI's words
    /// where it has some.
    fn take_openai_fields(&mut self) -> Map<String, Value> {
        let output = self.output_config.take().unwrap_or_default();
        let older = self.output_format.take().map(OutputFormat::deserialize);
        let format = output.format.or(older.and_then(Result::ok));
        let one_call = self.tool_choice.as_ref().and_then(|tool| tool.disable_parallel_tool_use);
        let user = self.metadata.take().and_then(|metadata| metadata.user_id);
        let tier = self.service_tier.take().map(|tier| match tier.as_str() {
            "standard_only" => "default".into(),
            _ => tier,
        });
        present_fields([
            ("top_k", self.top_k.map(Value::from)),
            ("thinking", self.thinking.take()),
            ("reasoning_effort", output.effort),
            ("response_format", format.and_then(OutputFormat::into_response_format)),
            ("service_tier", tier.map(Value::from)),
            ("user", user.map(Value::from)),
            ("parallel_tool_calls", one_call.map(|one| Value::from(!one))),
        ])
    }
}

/// Returns the turns as messages of a chat, each with the field that it comes from.
fn conversation(system: Option<Content>, turns: Vec<Turn>) -> Result<Conversation, PipeError> {
    if turns.is_empty() {
        return Err(field_error("messages", "send at least one message"));
    }
    let mut conversation = Conversation::default();
    if let Some(system) = system {
        conversation.add_instructions(system, "system")?;
    }
    for (place, turn) in turns.into_iter().enumerate() {
        conversation.add_turn(turn, &format!("messages[{place}].content"))?;
    }
    Ok(conversation)
}

impl OutputFormat {
    fn into_response_format(self) -> Option<Value> {
        let schema = json!({"name": "answer", "schema": self.schema?, "strict": true});
        Some(json!({"type": "json_schema", "json_schema": schema}))
    }
}

impl ToolDefinition {
    /// Returns the tool of a chat; `None` for one that runs only at Anthropic's.
    fn into_tool(self, place: usize, notes: &mut Vec<String>) -> Result<Option<Tool>, PipeError> {
        let Self { kind, name, description, input_schema: parameters, strict, .. } = self;
        if let Some(kind) = kind.filter(|kind| kind != "custom" && kind != "function") {
            if let Some(known) = AnthropicTool::from_type(&kind) {
                let mut fields = self.rest;
                fields.insert("name".into(), name.into());
                if let Some(mark) = self.cache_control {
                    fields.insert("cache_control".into(), mark);
                }
                return Ok(Some(known.into_tool(kind, fields)));
            }
            if is_server_tool(&kind) || parameters.is_none() || name.is_empty() {
                let note = format!("left out a tool of type {kind}: it runs only at Anthropic's");
                if !notes.contains(&note) {
                    notes.push(note);
                }
                return Ok(None);
            }
        }
        if name.is_empty() {
            return Err(field_error(&format!("tools[{place}].name"), "is missing"));
        }
        if parameters.is_none() {
            let rule = "is missing: send the JSON Schema of the tool's input";
            return Err(field_error(&format!("tools[{place}].input_schema"), rule));
        }
        let function = Some(FunctionTool { name, description, parameters, strict });
        let rest = present_fields([("cache_control", self.cache_control)]);
        Ok(Some(Tool { kind: "function".into(), function, rest }))
    }
}

impl ToolChoice {
    fn into_openai(self) -> Result<Value, PipeError> {
        Ok(match (self.kind, self.name) {
            (ToolChoiceKind::Auto, _) => "auto".into(),
            (ToolChoiceKind::Any, _) => "required".into(),
            (ToolChoiceKind::None, _) => "none".into(),
            (ToolChoiceKind::Tool, Some(name)) => {
                json!({"type": "function", "function": {"name": name}})
            }
            (ToolChoiceKind::Tool, None) => {
                return Err(field_error("tool_choice.name", "name the tool"));
            }
        })
    }
}
