//! The body of a chat completion request: OpenAI's fields and the user's own parameters, without
//! fields that only Open WebUI knows.

use crate::{
    base_url::Vendor,
    quirks::{Quirks, REASONING_FIELDS},
};
use pipe_sdk::{Body, Content, FunctionTool, Message, Part, PipeError, Role, Tool, ToolCall};
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Map, Value};

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
    tool_choice: Option<&'a Value>,
    #[serde(flatten)]
    rest: ExtraFields<'a>,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

/// Further fields, in their order.
struct ExtraFields<'a>(Vec<(&'a String, &'a Value)>);

/// A message, with the fields that servers accept.
#[derive(Serialize)]
struct RequestMessage<'a> {
    role: Role,
    content: RequestContent<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<RequestToolCall<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
    #[serde(flatten)]
    rest: ExtraFields<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum RequestContent<'a> {
    Text(&'a str),
    Parts(Vec<RequestPart<'a>>),
    None,
}

#[derive(Serialize)]
#[serde(untagged)]
enum RequestPart<'a> {
    Text {
        r#type: &'static str,
        text: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        cache_control: Option<&'a Value>,
    },
    Image {
        r#type: &'static str,
        image_url: Image<'a>,
    },
    Other(&'a Map<String, Value>),
}

#[derive(Serialize)]
struct Image<'a> {
    url: &'a str,
}

#[derive(Serialize)]
struct RequestToolCall<'a> {
    id: &'a str,
    r#type: &'static str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    arguments: &'a str,
}

#[derive(Serialize)]
struct RequestTool<'a> {
    r#type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<&'a FunctionTool>,
    #[serde(flatten)]
    rest: ExtraFields<'a>,
}

/// The fields that Open WebUI or this host puts into the body of a chat for itself
/// (`docs/reference/open-webui.md`, "Inlet and outlet bodies"), and those that the host answers:
/// the number of choices, their probabilities, and the user.
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
    "logprobs",
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
    "top_logprobs",
    "user",
    "user_agent",
    "user_id",
    "user_message",
    "user_message_id",
    "variables",
];

/// Further fields of messages that servers accept.
const MESSAGE_FIELDS: &[&str] = &["name", "function_call", "prefix", "partial"];

/// The form in which an answer is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// As server-sent events.
    Stream,
    /// As one JSON object.
    Whole,
}

/// Writes a chat for a model of a server, as JSON.
pub(crate) fn serialize_chat(
    body: &Body,
    model: &str,
    vendor: Vendor,
    quirks: Quirks,
    delivery: Delivery,
) -> Result<Vec<u8>, PipeError> {
    let with_reasoning = !vendor.is_strict() && !quirks.no_reasoning;
    let tokens = body.max_answer_tokens();
    let is_new = quirks.token_limit_field(model).is_max_completion_tokens();
    let has_tools = !body.tools.is_empty();
    let chat = ChatRequest {
        model,
        messages: body
            .messages
            .iter()
            .map(|said| RequestMessage::of(said, vendor, with_reasoning))
            .collect(),
        stream: delivery == Delivery::Stream,
        stream_options: (delivery == Delivery::Stream && !quirks.no_stream_options)
            .then_some(StreamOptions { include_usage: true }),
        temperature: body.temperature,
        top_p: body.top_p,
        max_tokens: tokens.filter(|_| !is_new),
        max_completion_tokens: tokens.filter(|_| is_new),
        stop: &body.stop,
        tools: body.tools.iter().map(|tool| RequestTool::of(tool, vendor)).collect(),
        tool_choice: body.tool_choice.as_ref().filter(|choice| has_tools && !choice.is_null()),
        rest: ExtraFields::of_chat(&body.rest, vendor, has_tools),
    };
    serde_json::to_vec(&chat).map_err(PipeError::internal)
}

impl<'a> ExtraFields<'a> {
    fn of_chat(rest: &'a Map<String, Value>, vendor: Vendor, has_tools: bool) -> Self {
        let is_sent = |name: &str| match name {
            // It is refused without tools.
            "parallel_tool_calls" => has_tools,
            // A field of Anthropic's API.
            "thinking" => !vendor.is_strict(),
            name => !HOST_FIELDS.contains(&name),
        };
        let sent = rest.iter().filter(|(name, value)| is_sent(name) && !value.is_null());
        Self(sent.collect())
    }

    fn only(rest: &'a Map<String, Value>, names: &[&[&str]]) -> Self {
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

impl<'a> RequestMessage<'a> {
    fn of(said: &'a Message, vendor: Vendor, with_reasoning: bool) -> Self {
        let reasoning = if with_reasoning { REASONING_FIELDS } else { &[] };
        let calls = !said.tool_calls.is_empty() || said.rest.contains_key("function_call");
        Self {
            // Chat templates of other vendors refuse `developer`.
            role: match said.role {
                Role::Developer if !vendor.is_strict() => Role::System,
                role => role,
            },
            content: match &said.content {
                Some(Content::Text(text)) => RequestContent::Text(text),
                Some(Content::Parts(parts)) => RequestContent::Parts(
                    parts.iter().map(|part| RequestPart::of(part, vendor)).collect(),
                ),
                None if calls => RequestContent::None,
                None => RequestContent::Text(""),
            },
            tool_calls: said.tool_calls.iter().map(RequestToolCall::of).collect(),
            tool_call_id: said.tool_call_id.as_deref(),
            rest: ExtraFields::only(&said.rest, &[MESSAGE_FIELDS, reasoning]),
        }
    }
}

impl<'a> RequestPart<'a> {
    fn of(part: &'a Part, vendor: Vendor) -> Self {
        match part {
            Part::Text { text, rest } => {
                let cache_control = rest.get("cache_control").filter(|_| !vendor.is_strict());
                Self::Text { r#type: "text", text, cache_control }
            }
            Part::ImageUrl { image_url: url, .. } => {
                Self::Image { r#type: "image_url", image_url: Image { url } }
            }
            Part::Other(part) => Self::Other(part),
        }
    }
}

impl<'a> RequestToolCall<'a> {
    fn of(call: &'a ToolCall) -> Self {
        let arguments = match call.function.arguments.trim() {
            "" => "{}",
            arguments => arguments,
        };
        let function = Function { name: &call.function.name, arguments };
        Self { id: &call.id, r#type: "function", function }
    }
}

impl<'a> RequestTool<'a> {
    fn of(tool: &'a Tool, vendor: Vendor) -> Self {
        let rest = match &tool.function {
            // A hosted tool of the server, whose fields only the server knows.
            None => ExtraFields(tool.rest.iter().collect()),
            Some(_) if vendor.is_strict() => ExtraFields(Vec::new()),
            Some(_) => ExtraFields::only(&tool.rest, &[&["cache_control"]]),
        };
        // A tool with a function is one here, whatever it is to other services.
        let kind = if tool.function.is_some() { "function" } else { &tool.kind };
        Self { r#type: kind, function: tool.function.as_ref(), rest }
    }
}

#[cfg(test)]
#[expect(clippy::needless_pass_by_value, reason = "a test writes `json!` where it is read")]
mod tests {
    use super::*;
    use serde_json::json;

    fn sent_to(vendor: Vendor, model: &str, body: Value) -> Value {
        let body: Body = serde_json::from_value(body).unwrap();
        serde_json::from_slice(
            &serialize_chat(&body, model, vendor, Quirks::default(), Delivery::Stream).unwrap(),
        )
        .unwrap()
    }

    /// What is sent of a chat with these fields, without what is always there.
    fn sent(fields: Value) -> Value {
        let mut body = json!({"model": "m", "messages": []});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let mut sent = sent_to(Vendor::Other, "m", body);
        for name in ["model", "messages", "stream", "stream_options"] {
            sent.as_object_mut().unwrap().remove(name).unwrap();
        }
        sent
    }

    /// What is sent of a message.
    fn message(vendor: Vendor, message: Value) -> Value {
        sent_to(vendor, "m", json!({"model": "m", "messages": [message]}))["messages"][0].clone()
    }

    #[test]
    fn a_streamed_chat_asks_for_its_usage_and_a_whole_one_has_it_anyway() {
        let plain = json!({"model": "x.m", "messages": [{"role": "user", "content": "hi"}]});
        let streamed = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": true, "stream_options": {"include_usage": true}});
        assert_eq!(sent_to(Vendor::OpenAi, "m", plain.clone()), streamed);
        let body: Body = serde_json::from_value(plain).unwrap();
        let (vendor, quirks) = (Vendor::OpenAi, Quirks::default());
        let whole = serialize_chat(&body, "m", vendor, quirks, Delivery::Whole).unwrap();
        assert_eq!(
            serde_json::from_slice::<Value>(&whole).unwrap(),
            json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": false})
        );
    }

    #[test]
    fn the_user_s_own_parameters_go_out_and_open_webui_s_do_not() {
        let own = json!({"temperature": 0.5, "seed": 7, "top_k": 40, "reasoning_effort": "low", "response_format": {"type": "json_object"}, "chat_template_kwargs": {"enable_thinking": false}, "stop": ["END"]});
        let mut all = own.clone();
        for name in HOST_FIELDS {
            all[name] = json!({"x": 1});
        }
        all["frequency_penalty"] = Value::Null;
        assert_eq!(sent(all), own);
    }

    #[test]
    fn what_needs_tools_goes_out_with_tools_only() {
        let choice = json!({"tool_choice": "auto", "parallel_tool_calls": false});
        assert_eq!(sent(choice.clone()), json!({}));
        let tool =
            json!({"type": "function", "function": {"name": "f", "parameters": {"z": 1, "a": 2}}});
        let mut with_tools = choice;
        with_tools["tools"] = json!([tool]);
        assert_eq!(sent(with_tools.clone()), with_tools);
    }

    #[test]
    fn the_limit_of_tokens_has_the_name_that_the_model_knows() {
        for (model, name, sent) in [
            ("gpt-4o", "max_tokens", "max_tokens"),
            ("llama3", "max_completion_tokens", "max_tokens"),
            ("gpt-5-mini", "max_tokens", "max_completion_tokens"),
            ("o3", "max_tokens", "max_completion_tokens"),
            ("openai/o4-mini", "max_tokens", "max_completion_tokens"),
            ("olmo", "max_tokens", "max_tokens"),
        ] {
            let body =
                sent_to(Vendor::Other, model, json!({"model": "m", "messages": [], name: 7}));
            assert_eq!(body[sent], 7, "{model}: {body}");
        }
    }

    #[test]
    fn messages_hold_only_what_servers_know() {
        let all = json!({"role": "assistant", "content": "a", "name": "n", "id": "1", "timestamp": 2, "files": [], "sources": [], "info": {}, "output": [], "thinking_blocks": [], "reasoning_content": "hm"});
        assert_eq!(
            message(Vendor::OpenAi, all.clone()),
            json!({"role": "assistant", "content": "a", "name": "n"})
        );
        assert_eq!(
            message(Vendor::Other, all),
            json!({"role": "assistant", "content": "a", "name": "n", "reasoning_content": "hm"})
        );
    }

    #[test]
    fn messages_are_written_as_openai_has_them() {
        for (from, to) in [
            (
                json!({"role": "user", "content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}, {"type": "image_url", "image_url": "data:x"}, {"type": "input_audio", "input_audio": {"data": "x"}}]}),
                json!({"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "data:x"}}, {"type": "input_audio", "input_audio": {"data": "x"}}]}),
            ),
            (
                json!({"role": "assistant", "content": null, "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": ""}}]}),
                json!({"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}),
            ),
            (
                json!({"role": "tool", "tool_call_id": "1", "content": null}),
                json!({"role": "tool", "tool_call_id": "1", "content": ""}),
            ),
            (
                json!({"role": "developer", "content": "a"}),
                json!({"role": "developer", "content": "a"}),
            ),
        ] {
            assert_eq!(message(Vendor::Azure, from), to);
        }
        let developer = json!({"role": "developer", "content": "a"});
        assert_eq!(message(Vendor::Other, developer)["role"], "system");
    }
}
