//! The body of a chat completion request: OpenAI's fields and the user's own parameters, without
//! fields that only Open WebUI knows.

mod messages;
mod parts;
mod tools;

use crate::{OpenAiError, base_url::Vendor, quirks::Quirks};
use messages::{RequestMessage, write_messages};
use pipe_sdk::Body;
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Map, Value};
use std::borrow::Cow;
use tool_schema::{SentTools, sanitize_name};
use tools::{RequestTool, RequestTools, is_closed};

/// The body of a chat completion request.
#[derive(Serialize)]
struct ChatRequest<'a> {
    model: &'a str,
    messages: Vec<RequestMessage<'a>>,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<StreamOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_completion_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stop: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<RequestTool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Cow<'a, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<Cow<'a, Value>>,
    #[serde(flatten)]
    rest: ExtraFields<'a>,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

/// Further fields, in their order.
struct ExtraFields<'a>(Vec<(&'a String, &'a Value)>);

/// A chat as it is sent.
pub(crate) struct SerializedChat {
    pub json: Vec<u8>,
    /// The form in which its tools were sent.
    pub tools: SentTools,
    /// The types of tools that the server does not have, and the names of those that are too many.
    pub left_out: Vec<String>,
    /// The stop sequences that are too many for the server.
    pub unsent_stop_sequences: Vec<String>,
}

/// The fields that Open WebUI or this host puts into the body of a chat for itself
/// (`docs/reference/open-webui.md`, "Inlet and outlet bodies"), and those that the host answers:
/// the number of choices and the user.
const HOST_FIELDS: &[&str] = &[
    "automation_id",
    "background_tasks",
    "chat",
    "chat_context",
    "chat_id",
    "chat_variables",
    "custom_params",
    "direct",
    "features",
    "files",
    "filter_ids",
    "folder_id",
    "function_calling",
    "id",
    "include_file_context",
    "internal",
    "message_id",
    "metadata",
    "model_item",
    "n",
    "params",
    "parent_id",
    "session_id",
    "skill_ids",
    "stream_delta_chunk_size",
    "stream_response",
    "system",
    "task",
    "task_body",
    "task_id",
    "terminal_id",
    "title",
    "tool_approval_resume",
    "tool_ids",
    "tool_servers",
    "user",
    "user_agent",
    "user_id",
    "user_message",
    "user_message_id",
    "variables",
];

/// The fields of Anthropic's API, which OpenAI refuses.
const ANTHROPIC_FIELDS: &[&str] = &[
    "anthropic_beta",
    "anthropic_version",
    "betas",
    "container",
    "context_management",
    "inference_geo",
    "mcp_servers",
    "output_config",
    "speed",
    "thinking",
    "top_k",
];

/// The delivery of an answer: streamed or in one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// A stream of server-sent events.
    Stream,
    /// One JSON object.
    Whole,
}

/// Writes a chat for a model of a server, as JSON.
///
/// # Errors
/// Returns an error if a tool must be called, and the server has none of the chat's tools.
pub(crate) fn serialize_chat(
    body: &Body,
    model: &str,
    vendor: Vendor,
    quirks: Quirks,
    delivery: Delivery,
) -> Result<SerializedChat, OpenAiError> {
    let tokens = quirks.limit_tokens(body.max_answer_tokens());
    let is_new = quirks.token_limit_field(model).is_max_completion_tokens();
    let mut tools = RequestTools::from_body(body, vendor, quirks);
    if tools.lacks_demanded_tool(body) {
        return Err(OpenAiError::MissingTools(tools.left_out.join(", ")));
    }
    let has_tools = !tools.tools.is_empty();
    let tool_choice = tools.choice(body);
    let RequestTools { tools, mut sent, left_out, long_descriptions } = tools;
    let mut messages = write_messages(&body.messages, vendor, quirks, &mut sent);
    messages.splice(0..0, RequestMessage::describing_tools(&long_descriptions));
    let mut stop = body.stop.iter().map(String::as_str).filter(|text| !text.is_empty());
    let sent_stop = stop.by_ref().take(quirks.max_stop_sequences(vendor)).collect();
    let unsent_stop_sequences = stop.map(str::to_owned).collect();
    let chat = ChatRequest {
        model,
        messages,
        stream: delivery == Delivery::Stream,
        stream_options: (delivery == Delivery::Stream && !quirks.no_stream_options)
            .then_some(StreamOptions { include_usage: true }),
        temperature: body.temperature,
        top_p: body.top_p,
        max_tokens: tokens.filter(|_| !is_new),
        max_completion_tokens: tokens.filter(|_| is_new),
        stop: sent_stop,
        tools,
        tool_choice,
        response_format: body.rest.get("response_format").and_then(fit_response_format),
        rest: ExtraFields::from_chat(&body.rest, vendor, quirks, has_tools),
    };
    let json = serde_json::to_vec(&chat)
        .map_err(|_| OpenAiError::InvalidResponse("its request cannot be written"))?;
    Ok(SerializedChat { json, tools: sent, left_out, unsent_stop_sequences })
}

/// Returns the format of the answer in a form that servers accept: OpenAI refuses some names of
/// schemas, and `strict` for a schema that leaves something open. `None` if there is none.
fn fit_response_format(format: &Value) -> Option<Cow<'_, Value>> {
    if format.is_null() {
        return None;
    }
    let described = &format["json_schema"];
    let name = described["name"].as_str().unwrap_or_default();
    let accepted_name = sanitize_name(name);
    let is_open = described["strict"] == true && !is_closed(&described["schema"]);
    if !described.is_object() || !is_open && accepted_name == name {
        return Some(Cow::Borrowed(format));
    }
    let mut fitted = format.clone();
    fitted["json_schema"]["name"] = accepted_name.into();
    if is_open {
        fitted["json_schema"]["strict"] = false.into();
    }
    Some(Cow::Owned(fitted))
}

impl<'a> ExtraFields<'a> {
    fn from_chat(
        rest: &'a Map<String, Value>,
        vendor: Vendor,
        quirks: Quirks,
        has_tools: bool,
    ) -> Self {
        let is_sent = |name: &str| match name {
            // It has a field of its own.
            "response_format" => false,
            // It is refused without tools.
            "parallel_tool_calls" if !has_tools => false,
            // It is refused without probabilities.
            "top_logprobs" if rest.get("logprobs").is_none_or(|asked| *asked != true) => false,
            name if vendor.is_strict() && ANTHROPIC_FIELDS.contains(&name) => false,
            name => !HOST_FIELDS.contains(&name) && quirks.accepts_field(name),
        };
        // Clients of other gateways put some of the fields into an object of their own.
        let within = rest.get("extra_body").and_then(Value::as_object).into_iter().flatten();
        let within = within.filter(|(name, _)| !rest.contains_key(*name));
        let fields = rest.iter().filter(|(name, _)| *name != "extra_body").chain(within);
        Self(fields.filter(|(name, value)| is_sent(name) && !value.is_null()).collect())
    }

    /// Returns the fields of these names.
    fn select(rest: &'a Map<String, Value>, names: &[&[&str]]) -> Self {
        let is_named = |name: &str| names.iter().any(|names| names.contains(&name));
        Self(rest.iter().filter(|(name, value)| is_named(name) && !value.is_null()).collect())
    }
}

impl Serialize for ExtraFields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests;
