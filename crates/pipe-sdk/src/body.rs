//! OpenAI's chat completion request (<https://platform.openai.com/docs/api-reference/chat/create>),
//! as lenient as its clients need it.
//!
//! Fields that the host and its pipes read are typed; everything else stays in `rest`, in its
//! order. Tool schemas are kept as the text they came in, because their key order is part of what a
//! model sees and of what upstreams cache (`docs/reference/bedrock.md`, "Key order").

mod lenient;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, value::RawValue};

/// One chat completion request.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Body {
    /// The model, as `pipe.model`.
    pub model: String,
    /// The conversation, oldest first.
    pub messages: Vec<Message>,
    /// `true` if the caller wants chunks. Pipes always stream; only the host reads it.
    #[serde(deserialize_with = "lenient::deserialize_or_default")]
    pub stream: bool,
    /// The options of a streamed answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream_options: Option<StreamOptions>,
    /// 0–2 for OpenAI's models; others have narrower ranges.
    #[serde(
        deserialize_with = "lenient::deserialize_number",
        skip_serializing_if = "Option::is_none"
    )]
    pub temperature: Option<f64>,
    /// 0–1.
    #[serde(
        deserialize_with = "lenient::deserialize_number",
        skip_serializing_if = "Option::is_none"
    )]
    pub top_p: Option<f64>,
    /// The older name of `max_completion_tokens`.
    #[serde(
        deserialize_with = "lenient::deserialize_u64",
        skip_serializing_if = "Option::is_none"
    )]
    pub max_tokens: Option<u64>,
    /// The most tokens that the answer may have.
    #[serde(
        deserialize_with = "lenient::deserialize_u64",
        skip_serializing_if = "Option::is_none"
    )]
    pub max_completion_tokens: Option<u64>,
    /// Texts that end the answer; one or several.
    #[serde(
        deserialize_with = "lenient::deserialize_texts",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub stop: Vec<String>,
    /// The tools that the model may call.
    #[serde(
        deserialize_with = "lenient::deserialize_or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub tools: Vec<Tool>,
    /// `"none"`, `"auto"`, `"required"`, or an object that names a tool.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<Value>,
    /// Everything else, in its order.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl Body {
    /// Returns a chat of these messages with this model, and nothing else set.
    pub fn new(model: impl Into<String>, messages: Vec<Message>) -> Self {
        Self { model: model.into(), messages, ..Self::default() }
    }

    /// Returns the largest number of tokens of the answer, by either of its names.
    pub fn max_answer_tokens(&self) -> Option<u64> {
        self.max_completion_tokens.or(self.max_tokens)
    }

    /// Returns whether the chat is one of Open WebUI's background prompts, such as the one that
    /// asks for a title, by its form alone: a call may name its task too
    /// (`docs/reference/open-webui.md`, "Background tasks").
    pub fn is_task_prompt(&self) -> bool {
        let [message] = self.messages.as_slice() else { return false };
        message.role == Role::User
            && self.tools.is_empty()
            && message.text().trim_start().starts_with("### Task:")
    }

    /// Returns the text of the last user message.
    pub fn last_user_text(&self) -> Option<String> {
        self.messages.iter().rev().find(|message| message.role == Role::User).map(Message::text)
    }
}

/// The options of a streamed answer.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct StreamOptions {
    /// A last chunk with the usage.
    #[serde(deserialize_with = "lenient::deserialize_or_default")]
    pub include_usage: bool,
}

/// One message of a conversation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Message {
    /// The role of its author.
    pub role: Role,
    /// The content; missing in an assistant's turn that only calls tools.
    #[serde(default)]
    pub content: Option<Content>,
    /// The calls of the assistant.
    #[serde(
        default,
        deserialize_with = "lenient::deserialize_or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub tool_calls: Vec<ToolCall>,
    /// The id of the call that a tool's message answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_call_id: Option<String>,
    /// Everything else, in its order.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

impl Message {
    /// Returns a message of plain text.
    pub fn new(role: Role, text: impl Into<String>) -> Self {
        Self {
            role,
            content: Some(Content::Text(text.into())),
            tool_calls: Vec::new(),
            tool_call_id: None,
            rest: Map::new(),
        }
    }

    /// Returns all its text, without images and other parts.
    pub fn text(&self) -> String {
        match &self.content {
            None => String::new(),
            Some(Content::Text(text)) => text.clone(),
            Some(Content::Parts(parts)) => parts.iter().filter_map(Part::text).collect(),
        }
    }
}

/// The role of a message's author.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The operator's instructions.
    System,
    /// OpenAI's newer word for the same.
    Developer,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// A tool's result.
    Tool,
    /// The older word for the same.
    Function,
}

/// The content of a message.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Content {
    /// Plain text.
    Text(String),
    /// Text, images, files, in order.
    Parts(Vec<Part>),
}

/// One part of a message.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Part {
    /// Text.
    Text {
        /// The text itself.
        text: String,
        /// Everything else, in its order.
        #[serde(flatten)]
        rest: Map<String, Value>,
    },
    /// A picture.
    ImageUrl {
        /// The URL: mostly a `data:` URL that holds it.
        image_url: String,
        /// Everything else, in its order.
        #[serde(flatten)]
        rest: Map<String, Value>,
    },
    /// A part of another type, as it came.
    #[serde(untagged)]
    Other(Map<String, Value>),
}

impl Part {
    /// Returns a part of plain text.
    pub fn from_text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into(), rest: Map::new() }
    }

    /// Returns its text, if it is one.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text { text, .. } => Some(text),
            Self::ImageUrl { .. } | Self::Other(_) => None,
        }
    }
}

/// A call that an assistant made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "lenient::Call")]
pub struct ToolCall {
    /// The id that the result of the call refers to.
    pub id: String,
    /// The type, which is always `function`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The function that was called.
    pub function: FunctionCall,
}

/// Returns the default type of a tool.
fn function() -> String {
    "function".into()
}

/// A function's name and its arguments.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionCall {
    /// The tool's name.
    pub name: String,
    /// The arguments as JSON text; a model's own words, so it may be anything.
    #[serde(default, deserialize_with = "lenient::json_text")]
    pub arguments: String,
}

/// Something that the model may call.
///
/// A tool of another kind than `function` may bring a function too: a service that knows the kind
/// takes the tool by its `kind` and `rest`, all others take the function. Anthropic's
/// `bash_20250124` comes so.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tool {
    /// `function`; other kinds belong to other services.
    #[serde(
        default = "function",
        deserialize_with = "lenient::deserialize_tool_kind",
        rename = "type"
    )]
    pub kind: String,
    /// The function, for tools of that kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<FunctionTool>,
    /// Everything else, in its order.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// A function that the model may call.
///
/// Some clients name the schema of its arguments as Anthropic or MCP do.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "lenient::FunctionTool")]
pub struct FunctionTool {
    /// The name.
    pub name: String,
    /// The description, for the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The JSON Schema of its arguments, in the very text in which it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Box<RawValue>>,
    /// `true` if arguments must match the schema exactly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strict: Option<bool>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn body(value: &Value) -> Body {
        serde_json::from_str(&value.to_string()).unwrap()
    }

    #[test]
    fn what_open_webui_sends_as_text_is_read_as_numbers() {
        let body = body(
            &json!({"model": "m", "messages": [], "temperature": "0.5", "max_tokens": "7", "stop": "END"}),
        );
        assert_eq!((body.temperature, body.max_tokens), (Some(0.5), Some(7)));
        assert_eq!(body.stop, ["END"]);
    }

    #[test]
    fn null_is_as_good_as_missing() {
        let body = body(&json!({
            "model": "m", "stream": null, "tools": null, "stop": null, "temperature": null,
            "messages": [{"role": "assistant", "content": null, "tool_calls": null}],
        }));
        assert!(!body.stream && body.tools.is_empty() && body.stop.is_empty());
        assert_eq!(body.messages[0].text(), "");
    }

    #[test]
    fn unknown_fields_and_parts_are_kept_in_their_order() {
        let sent = json!({"model": "m", "messages": [{"role": "user", "content": [{"type": "file", "b": 1, "a": 2}], "x": 1}], "stream": false, "zeta": 1, "alpha": {"y": 1, "b": 2}});
        assert_eq!(serde_json::to_string(&body(&sent)).unwrap(), sent.to_string());
    }

    #[test]
    fn a_tool_schema_keeps_the_text_in_which_it_came() {
        let sent = r#"{"model":"m","messages":[],"tools":[{"type":"function","function":{"name":"f","parameters":{"z": 1.0,  "a":1e3}}}]}"#;
        let body: Body = serde_json::from_str(sent).unwrap();
        let function = body.tools[0].function.as_ref().unwrap();
        assert_eq!(function.parameters.as_ref().unwrap().get(), r#"{"z": 1.0,  "a":1e3}"#);
    }

    #[test]
    fn an_image_may_come_as_an_object_or_as_a_bare_text() {
        for image in [json!({"url": "data:x", "detail": "low"}), json!("data:x")] {
            let part: Part =
                serde_json::from_value(json!({"type": "image_url", "image_url": image})).unwrap();
            assert!(matches!(part, Part::ImageUrl { image_url, .. } if image_url == "data:x"));
        }
    }

    #[test]
    fn arguments_may_come_as_an_object() {
        let call: FunctionCall =
            serde_json::from_value(json!({"name": "f", "arguments": {"a": 1}})).unwrap();
        assert_eq!(call.arguments, r#"{"a":1}"#);
    }
}
