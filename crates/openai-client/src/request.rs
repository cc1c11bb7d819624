//! A chat as it leaves: OpenAI's fields and the user's own, and nothing that only Open WebUI sends.

use crate::{address::Whose, lesson::Lessons};
use pipe_sdk::{Body, Content, FunctionTool, Message, Part, PipeError, Role, Tool, ToolCall};
use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::{Map, Value};

/// A chat, written for one server.
#[derive(Serialize)]
struct Chat<'a> {
    model: &'a str,
    messages: Vec<Said<'a>>,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_options: Option<Options>,
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
    tools: Vec<Offered<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_choice: Option<&'a Value>,
    #[serde(flatten)]
    rest: Rest<'a>,
}

#[derive(Serialize)]
struct Options {
    include_usage: bool,
}

/// The user's own parameters.
struct Rest<'a>(Vec<(&'a String, &'a Value)>);

/// A message, with the fields that servers know.
#[derive(Serialize)]
struct Said<'a> {
    role: Role,
    content: Words<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Called<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_call_id: Option<&'a str>,
    #[serde(flatten)]
    rest: Rest<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Words<'a> {
    Text(&'a str),
    Parts(Vec<Piece<'a>>),
    None,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Piece<'a> {
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
struct Called<'a> {
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
struct Offered<'a> {
    r#type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<&'a FunctionTool>,
    #[serde(flatten)]
    rest: Rest<'a>,
}

/// What Open WebUI, or this host, puts into the body of a chat for itself (`docs/reference/open-webui.md`, "Inlet and outlet bodies"), and what is answered here: the number of
/// answers, their probabilities, who asks.
const OURS: &[&str] = &[
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

/// Fields of messages that servers know beside the usual ones.
const OF_MESSAGES: &[&str] = &["name", "function_call", "prefix", "partial"];

/// Those that some know and some refuse.
pub(crate) const THOUGHTS: &[&str] = &["reasoning_content", "reasoning", "reasoning_details"];

/// This chat for the server's model of this name, as JSON.
pub(crate) fn written(
    body: &Body,
    model: &str,
    whose: Whose,
    lessons: Lessons,
) -> Result<Vec<u8>, PipeError> {
    let with_thoughts = !whose.is_strict() && !lessons.no_reasoning;
    let tokens = body.max_answer_tokens();
    let is_new = lessons.tokens_name(model).is_new();
    let has_tools = !body.tools.is_empty();
    let chat = Chat {
        model,
        messages: body.messages.iter().map(|said| Said::of(said, whose, with_thoughts)).collect(),
        stream: true,
        stream_options: (!lessons.no_usage).then_some(Options { include_usage: true }),
        temperature: body.temperature,
        top_p: body.top_p,
        max_tokens: tokens.filter(|_| !is_new),
        max_completion_tokens: tokens.filter(|_| is_new),
        stop: &body.stop,
        tools: body.tools.iter().map(|tool| Offered::of(tool, whose)).collect(),
        tool_choice: body.tool_choice.as_ref().filter(|choice| has_tools && !choice.is_null()),
        rest: Rest::of_chat(&body.rest, whose, has_tools),
    };
    serde_json::to_vec(&chat).map_err(PipeError::internal)
}

impl<'a> Rest<'a> {
    fn of_chat(rest: &'a Map<String, Value>, whose: Whose, has_tools: bool) -> Self {
        let is_sent = |name: &str| match name {
            // Both are refused without tools.
            "parallel_tool_calls" => has_tools,
            // Anthropic's word, which its clients have brought here.
            "thinking" => !whose.is_strict(),
            name => !OURS.contains(&name),
        };
        let sent = rest.iter().filter(|(name, value)| is_sent(name) && !value.is_null());
        Self(sent.collect())
    }

    fn only(rest: &'a Map<String, Value>, names: &[&[&str]]) -> Self {
        let is_named = |name: &str| names.iter().any(|names| names.contains(&name));
        Self(rest.iter().filter(|(name, value)| is_named(name) && !value.is_null()).collect())
    }
}

impl Serialize for Rest<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in &self.0 {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'a> Said<'a> {
    fn of(said: &'a Message, whose: Whose, with_thoughts: bool) -> Self {
        let thoughts = if with_thoughts { THOUGHTS } else { &[] };
        let calls = !said.tool_calls.is_empty() || said.rest.contains_key("function_call");
        Self {
            // Only OpenAI's own models tell the two apart; templates of others refuse the newer word.
            role: match said.role {
                Role::Developer if !whose.is_strict() => Role::System,
                role => role,
            },
            content: match &said.content {
                Some(Content::Text(text)) => Words::Text(text),
                Some(Content::Parts(parts)) => {
                    Words::Parts(parts.iter().map(|part| Piece::of(part, whose)).collect())
                }
                None if calls => Words::None,
                None => Words::Text(""),
            },
            tool_calls: said.tool_calls.iter().map(Called::of).collect(),
            tool_call_id: said.tool_call_id.as_deref(),
            rest: Rest::only(&said.rest, &[OF_MESSAGES, thoughts]),
        }
    }
}

impl<'a> Piece<'a> {
    fn of(part: &'a Part, whose: Whose) -> Self {
        match part {
            Part::Text { text, rest } => {
                let cache_control = rest.get("cache_control").filter(|_| !whose.is_strict());
                Self::Text { r#type: "text", text, cache_control }
            }
            Part::ImageUrl { image_url: url, .. } => {
                Self::Image { r#type: "image_url", image_url: Image { url } }
            }
            Part::Other(part) => Self::Other(part),
        }
    }
}

impl<'a> Called<'a> {
    fn of(call: &'a ToolCall) -> Self {
        let arguments = match call.function.arguments.trim() {
            "" => "{}",
            arguments => arguments,
        };
        let function = Function { name: &call.function.name, arguments };
        Self { id: &call.id, r#type: "function", function }
    }
}

impl<'a> Offered<'a> {
    fn of(tool: &'a Tool, whose: Whose) -> Self {
        let rest = match &tool.function {
            // A tool of the server's own, whose fields only it knows.
            None => Rest(tool.rest.iter().collect()),
            Some(_) if whose.is_strict() => Rest(Vec::new()),
            Some(_) => Rest::only(&tool.rest, &[&["cache_control"]]),
        };
        // What brings a function is one here, whatever it is to other services.
        let kind = if tool.function.is_some() { "function" } else { &tool.kind };
        Self { r#type: kind, function: tool.function.as_ref(), rest }
    }
}

#[cfg(test)]
#[expect(clippy::needless_pass_by_value, reason = "a test writes `json!` where it is read")]
mod tests {
    use super::*;
    use serde_json::json;

    fn sent_to(whose: Whose, model: &str, body: Value) -> Value {
        let body: Body = serde_json::from_value(body).unwrap();
        serde_json::from_slice(&written(&body, model, whose, Lessons::default()).unwrap()).unwrap()
    }

    /// What is sent of a chat with these fields, without what is always there.
    fn sent(fields: Value) -> Value {
        let mut body = json!({"model": "m", "messages": []});
        body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let mut sent = sent_to(Whose::Others, "m", body);
        for name in ["model", "messages", "stream", "stream_options"] {
            sent.as_object_mut().unwrap().remove(name).unwrap();
        }
        sent
    }

    /// What is sent of a message.
    fn message(whose: Whose, message: Value) -> Value {
        sent_to(whose, "m", json!({"model": "m", "messages": [message]}))["messages"][0].clone()
    }

    #[test]
    fn a_chat_is_always_streamed_and_its_cost_asked_for() {
        let plain = json!({"model": "x.m", "messages": [{"role": "user", "content": "hi"}], "stream": false});
        assert_eq!(
            sent_to(Whose::OpenAi, "m", plain),
            json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": true, "stream_options": {"include_usage": true}})
        );
    }

    #[test]
    fn the_user_s_own_parameters_go_out_and_open_webui_s_do_not() {
        let own = json!({"temperature": 0.5, "seed": 7, "top_k": 40, "reasoning_effort": "low", "response_format": {"type": "json_object"}, "chat_template_kwargs": {"enable_thinking": false}, "stop": ["END"]});
        let mut all = own.clone();
        for name in OURS {
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
                sent_to(Whose::Others, model, json!({"model": "m", "messages": [], name: 7}));
            assert_eq!(body[sent], 7, "{model}: {body}");
        }
    }

    #[test]
    fn messages_hold_only_what_servers_know() {
        let all = json!({"role": "assistant", "content": "a", "name": "n", "id": "1", "timestamp": 2, "files": [], "sources": [], "info": {}, "output": [], "thinking_blocks": [], "reasoning_content": "hm"});
        assert_eq!(
            message(Whose::OpenAi, all.clone()),
            json!({"role": "assistant", "content": "a", "name": "n"})
        );
        assert_eq!(
            message(Whose::Others, all),
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
            assert_eq!(message(Whose::Azure, from), to);
        }
        let developer = json!({"role": "developer", "content": "a"});
        assert_eq!(message(Whose::Others, developer)["role"], "system");
    }
}
