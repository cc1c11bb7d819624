//! The request of the Responses API, and its conversion into a chat.

use super::{
    field_paths::FieldPaths,
    input::{self, Conversation},
    tools::{ConvertedTools, FlatTool},
};
use crate::http::{
    attribution::strip_attribution, client_tools::ClientTools, field_error::field_error,
};
use pipe_sdk::{Body, Message, ResponseRef, Result, Role};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// The body of a request. Fields that chats have under the same name, or that only a pipe knows,
/// stay in `rest`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct Request {
    model: String,
    input: Value,
    instructions: Option<String>,
    stream: Option<bool>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    max_output_tokens: Option<u64>,
    tools: Option<Vec<FlatTool>>,
    tool_choice: Option<Value>,
    text: Option<Map<String, Value>>,
    reasoning: Option<Map<String, Value>>,
    include: Option<Vec<String>>,
    /// `true` if the response is a compaction object.
    #[serde(skip)]
    compacts: bool,
    /// The response that is stored, or that continues a stored one.
    #[serde(skip)]
    response: Option<ResponseRef>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// A request as a chat.
pub struct ConvertedRequest {
    /// The chat.
    pub chat: Body,
    /// The options that shape the response.
    pub options: ResponseOptions,
    /// The paths of the chat's fields in the request.
    pub field_paths: FieldPaths,
}

/// The options that shape the response.
#[derive(Clone)]
pub struct ResponseOptions {
    /// The fields that the response repeats.
    pub echo: Map<String, Value>,
    /// `true` if reasoning has a form that can be sent back.
    pub encrypted: bool,
    /// The tools as the client knows them.
    pub tools: Arc<ClientTools>,
    /// `true` if the answer is a summary that replaces the conversation.
    pub compacts: bool,
    /// `true` if the response is a compaction object.
    pub is_compaction: bool,
    /// The response that is stored, or that continues a stored one.
    pub response: Option<ResponseRef>,
}

/// The fields that name something stored.
const STORED_STATE_FIELDS: [&str; 3] = ["previous_response_id", "conversation", "prompt"];

/// The instruction that asks a model for a summary that replaces the conversation.
const SUMMARY_PROMPT: &str = "Write a summary of this conversation that will stand in its place, for yourself: what the user wants, in their \
own words where they matter; what was decided and why; what was done, with the names of files, commands and their outcome; what is left \
to do, and what comes next. Write the summary alone.";

/// The fields without effect here, and those that only chats have.
const IGNORED_FIELDS: [&str; 12] = [
    "background",
    "client_metadata",
    "context_management",
    "max_completion_tokens",
    "max_tokens",
    "max_tool_calls",
    "moderation",
    "messages",
    "stop",
    "store",
    "stream_options",
    "truncation",
];

impl Request {
    /// Returns the request for a summary that replaces the conversation.
    pub fn for_compaction(mut self) -> Self {
        if let Value::String(text) = &self.input {
            self.input = json!([{"role": "user", "content": text}]);
        }
        if let Value::Array(items) = &mut self.input
            && !items.is_empty()
        {
            items.push(json!({"type": "compaction_trigger"}));
        }
        self.stream = None;
        self.compacts = true;
        self
    }

    /// Returns the id of the model.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Returns whether the client wants the usage at the end of a stream of completions.
    pub fn includes_usage(&self) -> bool {
        let options = self.rest.get("stream_options");
        options.is_some_and(|options| options["include_usage"] == true)
    }

    /// Returns the request to a model that stores responses, under an id that begins with `prefix`.
    /// A `conversation` becomes the `conversation_id` of a chat, and its responses are not stored
    /// one by one.
    pub fn with_storage(mut self, prefix: &str) -> Result<Self> {
        let is_stored = self.rest.get("store").is_none_or(|store| *store != false);
        let previous_id = text_field(&mut self.rest, "previous_response_id")?;
        if let Some(Value::Object(conversation)) = self.rest.get_mut("conversation") {
            let id = conversation.shift_remove("id").unwrap_or_default();
            self.rest.insert("conversation".into(), id);
        }
        if let Some(id) = text_field(&mut self.rest, "conversation")? {
            if previous_id.is_some() {
                return Err(field_error(
                    "conversation",
                    "cannot stand beside `previous_response_id`",
                ));
            }
            self.rest.insert("conversation_id".into(), id.into());
            return Ok(self);
        }
        let id = is_stored.then(|| format!("{prefix}{}", uuid::Uuid::new_v4().simple()));
        let has_instructions = self.instructions.as_ref().is_some_and(|text| !text.is_empty());
        self.response = Some(ResponseRef { id, previous_id, has_instructions });
        Ok(self)
    }

    /// Returns the request as a chat. References to something stored are refused.
    pub fn into_chat(self) -> Result<ConvertedRequest> {
        self.check()?;
        let echo = self.echoed_fields()?;
        let encrypted = self.include.iter().flatten().any(|i| i == "reasoning.encrypted_content");
        let Self { model, input, instructions, tools, tool_choice, response, mut rest, .. } = self;
        for name in STORED_STATE_FIELDS.iter().chain(&IGNORED_FIELDS) {
            rest.shift_remove(*name);
        }
        if let Some(id) = rest.shift_remove("safety_identifier") {
            rest.entry("user").or_insert(id);
        }
        if let Some(format) = self.text.and_then(|mut text| text.shift_remove("format")) {
            rest.extend(response_format(format)?.map(|format| ("response_format".into(), format)));
        }
        let effort = self.reasoning.and_then(|mut fields| fields.shift_remove("effort"));
        if let Some(effort) = effort.filter(|effort| !effort.is_null()) {
            rest.insert("reasoning_effort".into(), effort);
        }
        let instructions = instructions.and_then(strip_attribution);
        let instructions = instructions.filter(|text| !text.is_empty());
        let leading =
            instructions.map(|text| ("instructions".into(), Message::new(Role::System, text)));
        let mut offer = ConvertedTools::default();
        for (place, tool) in tools.unwrap_or_default().into_iter().enumerate() {
            offer.add_tool(tool, format!("tools[{place}]"))?;
        }
        let Conversation { messages, compacts } = input::read_input(input, &mut offer)?;
        let (mut fields, mut messages): (Vec<_>, Vec<_>) =
            leading.into_iter().chain(messages).unzip();
        if compacts {
            messages.push(Message::new(Role::User, SUMMARY_PROMPT));
            fields.push("input".into());
        }
        let tool_choice = match tool_choice {
            _ if compacts => Some("none".into()),
            Some(choice) => Some(offer.convert_choice(choice)?),
            None => None,
        };
        let chat = Body {
            model,
            messages,
            stream: self.stream.unwrap_or_default(),
            temperature: self.temperature,
            top_p: self.top_p,
            max_completion_tokens: self.max_output_tokens,
            tools: offer.tools,
            tool_choice,
            rest,
            ..Body::default()
        };
        let options = ResponseOptions {
            echo,
            encrypted,
            tools: Arc::new(offer.client),
            compacts,
            is_compaction: self.compacts,
            response,
        };
        Ok(ConvertedRequest {
            chat,
            options,
            field_paths: FieldPaths { messages: fields, tools: offer.fields },
        })
    }

    /// Refuses requests without a model, and fields that are not supported.
    fn check(&self) -> Result<()> {
        if self.model.is_empty() {
            return Err(field_error("model", "name a model, as `GET /models` lists them"));
        }
        let given = |name: &&&str| self.rest.get(**name).is_some_and(|value| !value.is_null());
        if let Some(name) = STORED_STATE_FIELDS.iter().find(given) {
            return Err(field_error(
                name,
                "nothing is stored here: send the whole conversation as input",
            ));
        }
        if self.rest.get("background").is_some_and(|background| *background == true) {
            return Err(field_error("background", "nothing is stored here: wait for the answer"));
        }
        Ok(())
    }

    /// Returns the fields that OpenAI's own client expects in every response.
    fn echoed_fields(&self) -> Result<Map<String, Value>> {
        let mut echo = Map::new();
        let mut repeat = |name: &str, value: Value| _ = echo.insert(name.into(), value);
        let rest = |name: &str| self.rest.get(name).filter(|value| !value.is_null()).cloned();
        let text = |name: &str| self.text.as_ref().and_then(|text| text.get(name)).cloned();
        let plain = || json!({"type": "text"});
        repeat("background", false.into());
        repeat("instructions", self.instructions.clone().into());
        repeat("max_output_tokens", self.max_output_tokens.into());
        repeat("metadata", rest("metadata").unwrap_or_else(|| json!({})));
        repeat("parallel_tool_calls", rest("parallel_tool_calls").unwrap_or(true.into()));
        let response = self.response.as_ref();
        let previous_id = response.and_then(|response| response.previous_id.clone());
        repeat("previous_response_id", previous_id.into());
        repeat("reasoning", self.reasoning.clone().map_or_else(|| json!({}), Value::Object));
        repeat("service_tier", rest("service_tier").unwrap_or_else(|| "auto".into()));
        repeat("store", response.is_some_and(|response| response.id.is_some()).into());
        repeat("temperature", self.temperature.into());
        let format = text("format").filter(|format| !format.is_null()).unwrap_or_else(plain);
        repeat("text", json!({"format": format, "verbosity": text("verbosity")}));
        repeat("tool_choice", self.tool_choice.clone().unwrap_or_else(|| "auto".into()));
        let tools = self.tools.iter().flatten().enumerate().map(|(place, tool)| {
            let field = format!("tools[{place}].parameters");
            // Its schema was kept as it came until here.
            tool.to_json().ok_or_else(|| field_error(&field, "holds a number that is too large"))
        });
        repeat("tools", tools.collect::<Result<Value>>()?);
        repeat("top_p", self.top_p.into());
        repeat("truncation", "disabled".into());
        Ok(echo)
    }
}

/// Removes a text from the fields.
fn text_field(fields: &mut Map<String, Value>, name: &str) -> Result<Option<String>> {
    match fields.shift_remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(field_error(name, "must be a text")),
    }
}

/// Returns the `response_format` of a chat, which has the schema's parts in an object of their own.
fn response_format(format: Value) -> Result<Option<Value>> {
    let Value::Object(mut fields) = format else { return Ok(None) };
    match fields.shift_remove("type").as_ref().and_then(Value::as_str) {
        Some("text") => Ok(None),
        Some("json_object") => Ok(Some(json!({"type": "json_object"}))),
        Some("json_schema") => Ok(Some(json!({"type": "json_schema", "json_schema": fields}))),
        _ => Err(field_error("text.format.type", "must be text, json_object or json_schema")),
    }
}
