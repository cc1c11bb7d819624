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
use tool_schema::SentTools;
use tools::{RequestTool, RequestTools};

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
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    stop: &'a [String],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tools: Vec<RequestTool<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<Cow<'a, Value>>,
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
    /// How its tools were sent.
    pub tools: SentTools,
    /// The types of tools that the server does not have.
    pub left_out: Vec<String>,
}

/// The fields that Open WebUI or this host puts into the body of a chat for itself
/// (`docs/reference/open-webui.md`, "Inlet and outlet bodies"), and those that the host answers: the
/// number of choices and the user.
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

/// How an answer is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// As server-sent events.
    Stream,
    /// As one JSON object.
    Whole,
}

/// Writes a chat for a model of a server, as JSON.
///
/// # Errors
/// When a tool must be called, and the server has none of the chat's tools.
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
    let RequestTools { tools, mut sent, left_out } = tools;
    let chat = ChatRequest {
        model,
        messages: write_messages(&body.messages, vendor, quirks, &mut sent),
        stream: delivery == Delivery::Stream,
        stream_options: (delivery == Delivery::Stream && !quirks.no_stream_options)
            .then_some(StreamOptions { include_usage: true }),
        temperature: body.temperature,
        top_p: body.top_p,
        max_tokens: tokens.filter(|_| !is_new),
        max_completion_tokens: tokens.filter(|_| is_new),
        stop: &body.stop,
        tools,
        tool_choice,
        rest: ExtraFields::from_chat(&body.rest, vendor, quirks, has_tools),
    };
    let json = serde_json::to_vec(&chat)
        .map_err(|_| OpenAiError::InvalidResponse("its request cannot be written"))?;
    Ok(SerializedChat { json, tools: sent, left_out })
}

impl<'a> ExtraFields<'a> {
    fn from_chat(
        rest: &'a Map<String, Value>,
        vendor: Vendor,
        quirks: Quirks,
        has_tools: bool,
    ) -> Self {
        let is_sent = |name: &str| match name {
            // It is refused without tools.
            "parallel_tool_calls" if !has_tools => false,
            // Fields of Anthropic's API.
            "thinking" | "top_k" if vendor.is_strict() => false,
            name => !HOST_FIELDS.contains(&name) && quirks.accepts_field(name),
        };
        let sent = rest.iter().filter(|(name, value)| is_sent(name) && !value.is_null());
        Self(sent.collect())
    }

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
